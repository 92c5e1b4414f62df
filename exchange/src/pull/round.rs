//! A round: every party that something is missing from is asked, side by side.

use std::{collections::BTreeSet, sync::Arc};

use hyper::body::Bytes;
use settlement::DocumentReject;
use tokio::{
    sync::{Mutex, Semaphore, watch},
    task::JoinSet,
    time::{Instant, timeout_at},
};
use types::Party;

use super::{
    Parts,
    call::{CallError, Callable},
    paper::{self, Page},
    plan::{self, PullOptions, Standing},
    status::PullRow,
};
use crate::{
    clock::Clock,
    load::dice::Dice,
    settlement_worker::{Settlement, WorkerError},
};

/// Asks the parties that have an endpoint.
#[derive(Debug, Clone)]
pub struct Pull {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: PullOptions,
    settlement: Settlement,
    clock: Clock,
    rows: watch::Sender<Vec<PullRow>>,
    stop: watch::Receiver<bool>,
    /// One round at a time; a second one that is asked for meanwhile waits for the first.
    desk: Mutex<Desk>,
}

/// Who is asked, and what a round leaves for the next.
#[derive(Debug)]
struct Desk {
    callees: Vec<Callee>,
    dice: Dice,
}

#[derive(Debug)]
struct Callee {
    party: Party,
    callable: Arc<Callable>,
    standing: Standing,
}

/// What a party is asked in a round.
struct Errand {
    party: Party,
    callable: Arc<Callable>,
    pages: Vec<Page>,
    attempts: u32,
    dice: Dice,
    row: PullRow,
    deadline: Instant,
}

impl Pull {
    /// For the endpoints of `parts`; nothing is asked before [`Pull::round`]. Results go to `rows`,
    /// which holds a row of each endpoint, in order. A round ends when `stop` says so.
    #[must_use]
    pub fn new(
        parts: Parts,
        settlement: Settlement,
        clock: Clock,
        rows: watch::Sender<Vec<PullRow>>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let callee = |(endpoint, callable): (super::Endpoint, _)| Callee {
            party: endpoint.party,
            callable,
            standing: Standing::NEW,
        };
        let desk = Desk {
            callees: parts.endpoints.into_iter().map(callee).collect(),
            dice: Dice::new(parts.seed),
        };
        let desk = Mutex::new(desk);
        let options = parts.options;
        Self { shared: Arc::new(Shared { options, settlement, clock, rows, stop, desk }) }
    }

    /// Rows for the endpoints before the first round.
    #[must_use]
    pub fn rows_at_first(parts: &Parts) -> watch::Sender<Vec<PullRow>> {
        let row = |(endpoint, _): &(super::Endpoint, _)| PullRow::new(endpoint);
        watch::channel(parts.endpoints.iter().map(row).collect()).0
    }

    /// Asks every party for what is missing from it now and hands its answers to the pipeline. Returns
    /// when each has answered or failed, at the latest after [`PullOptions::round_max`], or at once
    /// when the exchange stops.
    ///
    /// # Errors
    /// When the pipeline fails or has stopped. What is wrong with a party is in its row.
    pub async fn round(&self) -> Result<(), WorkerError> {
        let Shared { stop, desk, .. } = &*self.shared;
        let mut stop = stop.clone();
        tokio::select! {
            done = async {
                match desk.try_lock() {
                    Ok(mut desk) => self.ask_all(&mut desk).await,
                    Err(_) => {
                        drop(desk.lock().await);
                        Ok(())
                    }
                }
            } => done,
            _ = stop.wait_for(|&stop| stop) => Ok(()),
        }
    }

    async fn ask_all(&self, desk: &mut Desk) -> Result<(), WorkerError> {
        let Shared { options, settlement, clock, rows, .. } = &*self.shared;
        let now = clock.now();
        let deadline = Instant::now() + options.round_max;
        let places = Arc::new(Semaphore::new(options.parallel));
        let mut asked = JoinSet::new();
        let Desk { callees, dice } = desk;
        let ready = callees.iter().filter(|callee| callee.standing.may_be_asked(now));
        let ready: BTreeSet<Party> = ready.map(|callee| callee.party).collect();
        if ready.is_empty() {
            return Ok(());
        }
        let mut missing = settlement.missing_of_each(now, ready).await?;
        for (index, callee) in callees.iter().enumerate() {
            let Some(missing) = missing.remove(&callee.party) else { continue };
            let Some(row) = rows.borrow().get(index).cloned() else { continue };
            let errand = Errand {
                party: callee.party,
                callable: Arc::clone(&callee.callable),
                pages: paper::pages(&missing, options.page_readings),
                attempts: callee.standing.attempts(options),
                dice: Dice::new(dice.roll()),
                row: PullRow {
                    at: Some(now.to_string()),
                    requests: 0,
                    asked: 0,
                    documents: 0,
                    accepted: 0,
                    refused: 0,
                    detail: String::new(),
                    ..row
                },
                deadline,
            };
            let (pull, places) = (self.clone(), Arc::clone(&places));
            asked.spawn(async move { (index, pull.ask(errand, &places).await) });
        }
        while let Some(finished) = asked.join_next().await {
            // A task of ours that panicked has no result; its party is asked in the next round.
            let Ok((index, (mut row, result))) = finished else { continue };
            let Some(callee) = callees.get_mut(index) else { continue };
            callee.standing = match &result {
                Ok(()) => callee.standing.succeeded(),
                Err(Failed::Worker) => return Err(WorkerError::Stopped),
                Err(Failed::NotReached) => continue,
                Err(Failed::Party) => callee.standing.failed(now, options),
            };
            row.stand(callee.standing, now);
            tell(&row);
            rows.send_modify(|rows| {
                if let Some(place) = rows.get_mut(index) {
                    *place = row;
                }
            });
        }
        Ok(())
    }

    /// Everything that is asked of one party in a round.
    async fn ask(&self, mut errand: Errand, places: &Semaphore) -> (PullRow, Result<(), Failed>) {
        // The semaphore is never closed. Whose turn does not come has done nothing wrong.
        let Ok(Ok(_place)) = timeout_at(errand.deadline, places.acquire()).await else {
            return (errand.row, Err(Failed::NotReached));
        };
        let mut result = Ok(());
        for page in std::mem::take(&mut errand.pages) {
            result = self.ask_page(&mut errand, &page).await;
            if result.is_err() {
                break;
            }
        }
        let mut row = errand.row;
        let result = match result {
            Ok(()) if row.refused > 0 && row.refused == row.documents => {
                "refused".clone_into(&mut row.result);
                Err(Failed::Party)
            }
            Ok(()) => {
                let result = if row.documents == 0 { "nothing_yet" } else { "answered" };
                result.clone_into(&mut row.result);
                Ok(())
            }
            Err(Broken::Call(error)) => {
                error.name().clone_into(&mut row.result);
                row.detail = error.to_string();
                Err(Failed::Party)
            }
            Err(Broken::Worker) => Err(Failed::Worker),
        };
        (row, result)
    }

    /// Asks for a page, again while that can help, and hands the answer over.
    async fn ask_page(&self, errand: &mut Errand, page: &Page) -> Result<(), Broken> {
        let options = &self.shared.options;
        // Plain numbers and strings always serialise.
        let body = Bytes::from(serde_json::to_vec(page).unwrap_or_default());
        let readings = u64::try_from(page.readings()).unwrap_or(u64::MAX);
        errand.row.asked = errand.row.asked.saturating_add(readings);
        let mut attempt = 1_u32;
        let documents = loop {
            errand.row.requests = errand.row.requests.saturating_add(1);
            let request = errand.callable.post(body.clone(), options.answer_bytes_max);
            let until = errand.deadline.min(Instant::now() + options.request_max);
            let answered = timeout_at(until, request).await;
            match answered.unwrap_or(Err(CallError::Timeout)) {
                Ok(documents) => break documents,
                Err(error) if error.is_transient() && attempt < errand.attempts => {
                    let party = errand.party;
                    tracing::debug!(%party, attempt, %error, "readings are asked for again");
                    attempt = attempt.saturating_add(1);
                    let pause = plan::pause(options, attempt, errand.dice.roll());
                    let paused = timeout_at(errand.deadline, tokio::time::sleep(pause)).await;
                    if paused.is_err() {
                        return Err(Broken::Call(error));
                    }
                }
                Err(error) => return Err(Broken::Call(error)),
            }
        };
        for document in documents {
            errand.row.documents = errand.row.documents.saturating_add(1);
            let ingested = self.shared.settlement.ingest(errand.party, document).await;
            let (accepted, reason) = ingested.map_err(|_| Broken::Worker)?;
            errand.row.accepted = errand.row.accepted.saturating_add(accepted.into());
            if let Some(reason) = DocumentReject::from_code(reason) {
                errand.row.refused = errand.row.refused.saturating_add(1);
                reason.name().clone_into(&mut errand.row.detail);
            }
        }
        Ok(())
    }
}

/// Why a party's part of a round ended early.
enum Broken {
    Call(CallError),
    Worker,
}

/// Whose fault it was.
enum Failed {
    Party,
    Worker,
    NotReached,
}

/// One line for operators.
fn tell(row: &PullRow) {
    let PullRow { party, result, detail, requests, asked, documents, accepted, refused, .. } = row;
    let (failures, next_try) = (row.failures, row.next_try.as_deref().unwrap_or("next round"));
    if failures == 0 {
        tracing::info!(
            party,
            result,
            requests,
            asked,
            documents,
            accepted,
            refused,
            "asked for readings"
        );
    } else {
        tracing::warn!(
            party,
            result,
            detail,
            requests,
            asked,
            failures,
            next_try,
            "readings were not answered"
        );
    }
}
