//! One task for each webhook: what is new for its party goes out in order, and what is not acknowledged
//! goes out again.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde::Serialize;
use settlement::store::{database::Store, queries::Queries};
use tokio::{
    sync::{Mutex, Semaphore, watch},
    time::sleep,
};
use types::{Currency, Party};

use super::{
    Line, NUMBER, WebhookOptions,
    body::NoticeBody,
    pages::Pages,
    plan,
    signature::{self, NoticeKey},
    target::CallError,
};
use crate::{
    clock::Clock,
    exit::Failure,
    settlement_worker::{Settlement, WorkerError},
};

/// What happens close together goes out together.
const NEWS_AFTER: Duration = Duration::from_millis(50);
/// Between two times at which acknowledgements are made durable: what lies between is sent again after
/// a crash.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// A database that cannot be read is tried again.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// Numbers that are not for a party, of which so many are worth a note.
const SKIPPED_MIN: u64 = 256;
/// Nanoseconds of a second.
const NANOS: i64 = 1_000_000_000;

/// What all tasks share.
pub(super) struct Office {
    pub(super) options: WebhookOptions,
    pub(super) key: Arc<NoticeKey>,
    pub(super) clock: Clock,
    pub(super) currency: Currency,
    pub(super) settlement: Settlement,
    pub(super) database: Store,
    pub(super) seed: u64,
    pub(super) seen: watch::Sender<u64>,
}

/// A body.
#[derive(Serialize)]
struct Told<'a> {
    /// Who is told.
    party: String,
    /// In the order of their numbers.
    notices: &'a [NoticeBody],
}

/// What is to be said to a party.
struct Batch {
    notices: Vec<NoticeBody>,
    /// All numbers up to here are in it, or are not for the party.
    through: u64,
    /// Nothing comes behind it so far.
    is_end: bool,
}

/// Where notices are read, by one task after the other.
type Archive = Mutex<(Queries, Pages)>;

impl Office {
    /// Runs until told to stop, then keeps what was acknowledged.
    pub(super) async fn run(
        self,
        queries: Queries,
        lines: Vec<Arc<Line>>,
        mut stop: watch::Receiver<bool>,
    ) {
        let office = Arc::new(self);
        let archive = Arc::new(Mutex::new((queries, Pages::default())));
        let places = Arc::new(Semaphore::new(office.options.parallel));
        let mut tasks = tokio::task::JoinSet::new();
        for (line, number) in lines.iter().zip(0_u64..) {
            let seed = office.seed.wrapping_add(number);
            let (office, line) = (Arc::clone(&office), Arc::clone(line));
            let (archive, places) = (Arc::clone(&archive), Arc::clone(&places));
            tasks.spawn(async move { office.serve(&line, &archive, &places, seed).await });
        }
        loop {
            tokio::select! {
                () = sleep(SAVE_EVERY) => {}
                _ = stop.wait_for(|&stop| stop) => break,
            }
            if let Err(error) = office.save(&lines).await {
                tracing::error!("webhooks: {}", Failure::runtime(error).message());
                break;
            }
        }
        tasks.shutdown().await;
        if let Err(error) = office.save(&lines).await {
            tracing::warn!("webhooks: {}", Failure::runtime(error).message());
        }
    }

    /// Makes durable what was acknowledged since it was done last.
    async fn save(&self, lines: &[Arc<Line>]) -> Result<(), WorkerError> {
        let mut through: Vec<(Party, u64)> = Vec::new();
        for line in lines {
            let mut standing = line.standing();
            if std::mem::take(&mut standing.unsaved) {
                through.push((line.webhook.party, standing.through));
            }
        }
        if through.is_empty() {
            return Ok(());
        }
        self.settlement.rail(move |pipeline, _| pipeline.set_acknowledged(&through)).await
    }

    /// Tells one party what is for it, for ever.
    async fn serve(&self, line: &Line, archive: &Archive, places: &Semaphore, mut chance: u64) {
        let mut news = self.settlement.news();
        loop {
            news.mark_unchanged();
            let (after, rewound) = {
                let standing = line.standing();
                (standing.through, standing.rewound)
            };
            let batch = match self.batch(line.webhook.party, archive, after).await {
                Ok(batch) => batch,
                Err(error) => {
                    tracing::error!("webhooks: {}", Failure::runtime(error).message());
                    sleep(READ_AGAIN).await;
                    // A server may have been away.
                    if let Ok(queries) = Queries::open(&self.database) {
                        archive.lock().await.0 = queries;
                    }
                    continue;
                }
            };
            if !batch.notices.is_empty() {
                let sent = self.send(line, &batch, places).await;
                chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                if let Some(pause) = self.note(line, &batch, rewound, (sent, chance >> 20)) {
                    tokio::select! {
                        () = sleep(pause) => {}
                        () = line.rewound.notified() => {}
                    }
                }
                continue;
            }
            self.skip(line, &batch, (after, rewound));
            if batch.is_end {
                tokio::select! {
                    changed = news.changed() => match changed {
                        Ok(()) => sleep(NEWS_AFTER).await,
                        Err(_) => return,
                    },
                    () = line.rewound.notified() => {}
                }
            }
        }
    }

    /// The next notices for a party after a number, up to as many as go into one body.
    async fn batch(
        &self,
        party: Party,
        archive: &Archive,
        after: u64,
    ) -> Result<Batch, settlement::SettlementError> {
        let mut batch = Batch { notices: Vec::new(), through: after, is_end: false };
        while batch.notices.len() < self.options.batch && !batch.is_end {
            let mut archive = archive.lock().await;
            let (queries, pages) = &mut *archive;
            let found = pages.after(queries, batch.through)?;
            drop(archive);
            self.seen.send_if_modified(|newest| {
                let is_newer = found.through() > *newest;
                *newest = found.through().max(*newest);
                is_newer
            });
            for notice in found.notices() {
                if batch.notices.len() >= self.options.batch {
                    return Ok(batch);
                }
                batch.notices.extend(NoticeBody::of(notice, party, self.currency));
                batch.through = notice.number;
            }
            batch.through = found.through();
            batch.is_end = found.is_end();
            // Whoever has much to look through lets others have their turn.
            tokio::task::yield_now().await;
        }
        Ok(batch)
    }

    /// One call.
    async fn send(&self, line: &Line, batch: &Batch, places: &Semaphore) -> Result<(), CallError> {
        // It is never closed.
        let _place = places.acquire().await;
        let party = line.webhook.party.to_string();
        // Plain strings and numbers always serialise.
        let body = serde_json::to_vec(&Told { party, notices: &batch.notices }).unwrap_or_default();
        let digest = signature::content_digest(&body);
        let number = batch.notices.last().map_or(batch.through, NoticeBody::number).to_string();
        let components = [
            ("@method", "POST"),
            ("@target-uri", line.target.url()),
            (signature::CONTENT_DIGEST, digest.as_str()),
            (NUMBER, number.as_str()),
        ];
        let created = self.clock.now().ns().div_euclid(NANOS);
        let (input, signed) = signature::sign(&self.key, &components, created);
        let headers = [
            (signature::CONTENT_DIGEST, digest.as_str()),
            (NUMBER, number.as_str()),
            (signature::SIGNATURE_INPUT, input.as_str()),
            (signature::SIGNATURE, signed.as_str()),
        ];
        line.target.post(&headers, Bytes::from(body), self.options.request_max).await
    }

    /// Writes down what came of a call; how long to wait then.
    fn note(
        &self,
        line: &Line,
        batch: &Batch,
        rewound: u64,
        (sent, chance): (Result<(), CallError>, u64),
    ) -> Option<Duration> {
        let mut standing = line.standing();
        // What was set back meanwhile begins anew.
        let counts = standing.rewound == rewound;
        match sent {
            Ok(()) => {
                let told = u64::try_from(batch.notices.len()).unwrap_or(u64::MAX);
                standing.calls.0 = standing.calls.0.saturating_add(1);
                standing.delivered = standing.delivered.saturating_add(told);
                standing.failures = 0;
                standing.last_error = None;
                if counts {
                    standing.through = batch.through;
                    standing.unsaved = true;
                }
                None
            }
            Err(error) => {
                standing.calls.1 = standing.calls.1.saturating_add(1);
                standing.failures = standing.failures.saturating_add(1);
                let failures = standing.failures;
                standing.last_error = Some(error.to_string());
                drop(standing);
                let pause = plan::pause(&self.options, failures, chance);
                let party = line.webhook.party;
                tracing::warn!(%party, failures, ?pause, %error, "a webhook did not acknowledge");
                counts.then_some(pause)
            }
        }
    }

    /// Goes on behind numbers that are not for the party. That alone is not made durable each time: to look
    /// again costs less.
    fn skip(&self, line: &Line, batch: &Batch, (after, rewound): (u64, u64)) {
        let mut standing = line.standing();
        if standing.rewound == rewound {
            standing.through = batch.through;
            standing.unsaved |= batch.through.saturating_sub(after) >= SKIPPED_MIN;
        }
    }
}
