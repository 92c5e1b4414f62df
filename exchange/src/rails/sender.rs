//! Sends what is written and asks about what nobody answered.

use std::{sync::Arc, time::Duration};

use settlement::{
    Errand, Pace, Task,
    rails::{Answer, Capabilities, Event, PaymentRail, Sealed},
};
use tokio::sync::{Semaphore, watch};
use types::Currency;

use super::{RailOptions, adapter::HttpRail};
use crate::settlement_worker::{Settlement, WorkerError};

/// Between two looks at what is due.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Sends until told to stop. What is in flight then is asked about after the next start.
pub(super) async fn run(
    rail: Arc<HttpRail>,
    options: RailOptions,
    settlement: Settlement,
    mut stop: watch::Receiver<bool>,
) {
    let most = options.in_flight;
    let places = Arc::new(Semaphore::new(usize::try_from(most).unwrap_or(1)));
    let pace = options.pace;
    loop {
        let free = u32::try_from(places.available_permits()).unwrap_or(most);
        let errands = match free {
            0 => Vec::new(),
            _ => {
                let asked = settlement.rail(move |all, now| all.rail_errands(now, free, pace));
                match asked.await {
                    Ok(errands) => errands,
                    Err(error) => return tracing::error!(%error, "instructions are not sent"),
                }
            }
        };
        let is_full = errands.len() == usize::try_from(free).unwrap_or(0) && free > 0;
        for errand in errands {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let (rail, settlement, mut stop) =
                (Arc::clone(&rail), settlement.clone(), stop.clone());
            tokio::spawn(async move {
                let carried = carry(&*rail, rail.currency, &settlement, errand, pace);
                tokio::select! {
                    carried = carried => if let Err(error) = carried {
                        tracing::error!(%error, "a rail's answer is lost");
                    },
                    _ = stop.wait_for(|&stop| stop) => {}
                }
                drop(place);
            });
        }
        if is_full {
            // There is more; it waits for a free place, or for the end.
            tokio::select! {
                place = places.acquire() => drop(place),
                _ = stop.wait_for(|&stop| stop) => return,
            }
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stop.wait_for(|&stop| stop) => return,
        }
    }
}

/// Carries one errand out, and writes down what came of it.
async fn carry(
    rail: &impl PaymentRail,
    currency: Currency,
    settlement: &Settlement,
    errand: Errand,
    pace: Pace,
) -> Result<(), WorkerError> {
    let Errand { id, kind, task, submission } = errand;
    let can: Capabilities = rail.capabilities();
    let answer = match task {
        Task::Submit if !can.includes(kind) => Answer::Rejected,
        Task::Submit => rail.submit(&submission).await,
        Task::Query => {
            let (answer, events) = rail.query(id).await;
            for sealed in events {
                take(rail, currency, settlement, sealed).await?;
            }
            answer
        }
    };
    settlement.rail(move |pipeline, now| pipeline.rail_answer(id, &answer, now, pace)).await
}

/// An event in an answer: its seal is checked, its time is not, because we have just asked for it.
async fn take(
    rail: &impl PaymentRail,
    currency: Currency,
    settlement: &Settlement,
    sealed: Sealed,
) -> Result<(), WorkerError> {
    if let Err(error) = rail.verify(&sealed) {
        tracing::warn!(%error, "an event in a rail's answer");
        return Ok(());
    }
    match Event::read(&sealed.body, currency) {
        Ok(event) if event.id == sealed.number => {
            let body = sealed.body;
            settlement.rail(move |all, now| all.rail_event(&event, &body, now)).await?;
        }
        Ok(_) => tracing::warn!("an event in a rail's answer has another number"),
        Err(error) => tracing::warn!(%error, "an event in a rail's answer"),
    }
    Ok(())
}
