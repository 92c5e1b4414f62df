//! The settlement pipeline in its own thread, fed by the trade feed over QUIC like any subscriber.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crossbeam::channel::{self, Receiver, RecvTimeoutError, Sender, TrySendError};
use gateway::{
    DataRequest, Ingress,
    client::{ClientError, Connector, FeedBatch, FeedClient},
};
use settlement::{
    Checkpoint, DepositOutcome, MissingReadings, Pipeline, SettlementError, Summary,
    VerificationSummary,
};
use tokio::sync::{mpsc, oneshot, watch};
use types::{MarketId, MeterId, Money, Party, Role, Seq, ShardId, Timestamp};
use wire::data::{Answer, RequestKind};

use crate::{
    clock::Clock,
    exit::Failure,
    grid_outbox::GridOutbox,
    priority,
    pull::{self, Pull, PullRows},
    questions::{self, Question, Reply},
    signers::Signers,
    suspensions::Suspensions,
};

/// Work that may wait for the pipeline; beyond it the feed and documents wait.
const WORK_MAX: usize = 64;
/// Items captured in one transaction at most.
const CAPTURE_ITEMS_MAX: usize = 20_000;
/// News that come close together are looked at together.
const NEWS_AFTER: Duration = Duration::from_millis(50);
/// Pause before what a full ring did not take is offered again.
const SEND_AGAIN_AFTER: Duration = Duration::from_millis(20);
/// Pause before a lost feed is subscribed again.
const RESUBSCRIBE_AFTER: Duration = Duration::from_millis(200);

/// What the pipeline's thread is asked to do.
enum Work {
    Capture(ShardId, FeedBatch),
    Data(DataRequest),
    Deposits(
        Vec<(u64, MeterId, Money)>,
        oneshot::Sender<Result<Vec<DepositOutcome>, SettlementError>>,
    ),
    Poll(Question, oneshot::Sender<Reply>),
    Missing(Timestamp, BTreeSet<Party>, oneshot::Sender<Result<Missing, SettlementError>>),
    Verify(
        Timestamp,
        Option<MarketId>,
        oneshot::Sender<Result<VerificationSummary, SettlementError>>,
    ),
    Rail(RailWork),
    Checkpoint(oneshot::Sender<Result<Checkpoint, SettlementError>>),
    Summary(oneshot::Sender<Result<Summary, SettlementError>>),
}

/// What the task of a payment rail does with the pipeline. It gives its own answer.
type RailWork = Box<dyn FnOnce(&mut Pipeline, Timestamp) -> Result<(), SettlementError> + Send>;

/// Asks the pipeline from any task.
#[derive(Debug, Clone)]
pub struct Settlement {
    work: Sender<Work>,
    captured: watch::Receiver<Captures>,
    signed: Arc<watch::Sender<Option<Signed>>>,
    news: watch::Receiver<u64>,
}

/// The newest checkpoint, and when the ledger was last found to have nothing beyond it.
#[derive(Debug, Clone, Copy)]
pub struct Signed {
    /// Leaves under it.
    pub leaves: u64,
    /// When.
    pub at: Instant,
}

/// The readings that are missing, by who signs them.
pub type Missing = BTreeMap<Party, Vec<MissingReadings>>;

/// How far the feed of each shard is captured.
pub type Captures = BTreeMap<ShardId, Seq>;

/// Why a question to the pipeline has no answer.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The pipeline failed at it.
    #[error(transparent)]
    Settlement(#[from] SettlementError),
    /// The pipeline's thread has ended; its own error was logged.
    #[error("the settlement pipeline has stopped")]
    Stopped,
    /// A thread cannot be started.
    #[error("cannot start the settlement thread")]
    Thread(#[source] std::io::Error),
}

/// How settlement and the rest of the exchange reach each other.
pub struct Ways {
    /// Where the feeds are.
    pub feed: Connector,
    /// Documents and questions that arrive.
    pub data: mpsc::Receiver<DataRequest>,
    /// The ring of each shard's core loop.
    pub rings: Vec<(ShardId, Ingress)>,
    /// Whom to ask for readings.
    pub pull: pull::Parts,
    /// The directory of the authority, whose register says how long who may sign.
    pub keys: PathBuf,
}

/// A running pipeline.
#[derive(Debug)]
pub struct SettlementWorker {
    /// The way to it.
    pub handle: Settlement,
    /// Asks for readings that are missing.
    pub pull: Pull,
    /// Where events of payment rails arrive, if one is used.
    pub rail_address: Option<SocketAddr>,
    thread: thread::JoinHandle<()>,
}

impl SettlementWorker {
    /// Starts the thread, a subscription to the feed of every shard and the data port, on the current
    /// tokio runtime. `captured` holds what the pipeline has captured of every shard.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(
        pipeline: Pipeline,
        captured: watch::Sender<Captures>,
        clock: Clock,
        ways: Ways,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, WorkerError> {
        let Ways { feed, data, rings, pull, keys } = ways;
        let (work, queue) = channel::bounded(WORK_MAX);
        let captures = captured.subscribe();
        let shards: Vec<_> = captures.borrow().keys().copied().collect();
        let (news, told) = watch::channel(0_u64);
        let rows = Pull::rows_at_first(&pull);
        let suspensions = Suspensions::new(rings.iter().map(|(_, ring)| ring.clone()).collect());
        let (pulls, outbox) = (rows.subscribe(), GridOutbox::new(rings));
        let signers = Signers::new(keys);
        let desk = Desk {
            pipeline,
            clock: clock.clone(),
            outbox,
            suspensions,
            pulls,
            captured,
            news,
            signers,
        };
        let thread = thread::Builder::new()
            .name("settlement".to_owned())
            .spawn(move || {
                priority::SETTLEMENT.apply();
                desk.run(&queue);
            })
            .map_err(WorkerError::Thread)?;
        let captured = captures;
        let signed = Arc::new(watch::Sender::new(None));
        let (captured_too, news) = (captured.clone(), told.clone());
        let handle = Settlement { work: work.clone(), captured: captured_too, signed, news };
        for shard in shards {
            let (feed, captured) = (feed.clone(), captured.clone());
            tokio::spawn(follow_feed(feed, shard, captured, work.clone(), stop.clone()));
        }
        let pull = Pull::new(pull, handle.clone(), clock, rows, stop.clone());
        tokio::spawn(forward_data(data, work, told, pull.clone(), stop));
        Ok(Self { handle, pull, rail_address: None, thread })
    }

    /// Whether the thread still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Waits until the thread has done what was asked and ended. All handles must be gone.
    pub fn join(self) {
        drop((self.handle, self.pull));
        if self.thread.join().is_err() {
            tracing::error!("the settlement thread panicked");
        }
    }
}

impl Settlement {
    /// Waits until everything of a shard up to `seq` is captured.
    ///
    /// # Errors
    /// When the pipeline has stopped.
    pub async fn captured_through(&self, shard: ShardId, seq: Seq) -> Result<(), WorkerError> {
        let mut captured = self.captured.clone();
        captured
            .wait_for(|captured| captured.get(&shard).is_some_and(|&through| through >= seq))
            .await
            .map(|_| ())
            .map_err(|_| WorkerError::Stopped)
    }

    /// How far every shard is captured, to look at and to wait on.
    #[must_use]
    pub fn captures(&self) -> watch::Receiver<Captures> {
        self.captured.clone()
    }

    /// Changes after each piece of work: what was committed can be read then.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.clone()
    }

    /// Books collateral of meters, each under a reference that makes a repetition harmless.
    ///
    /// # Errors
    /// When the pipeline fails or has stopped.
    pub async fn deposits(
        &self,
        deposits: Vec<(u64, MeterId, Money)>,
    ) -> Result<Vec<DepositOutcome>, WorkerError> {
        self.ask(|answer| Work::Deposits(deposits, answer)).await
    }

    /// Runs a verification cycle.
    ///
    /// # Errors
    /// When the pipeline fails or has stopped.
    pub async fn verify(&self, now: Timestamp) -> Result<VerificationSummary, WorkerError> {
        self.ask(|answer| Work::Verify(now, None, answer)).await
    }

    /// Runs a verification cycle of one market.
    ///
    /// # Errors
    /// When the pipeline fails or has stopped.
    pub async fn verify_market(
        &self,
        now: Timestamp,
        market: MarketId,
    ) -> Result<VerificationSummary, WorkerError> {
        self.ask(|answer| Work::Verify(now, Some(market), answer)).await
    }

    /// The readings of some parties' meters that contracts of ended slots still need.
    ///
    /// # Errors
    /// When the pipeline fails or has stopped.
    pub async fn missing_of_each(
        &self,
        now: Timestamp,
        of: BTreeSet<Party>,
    ) -> Result<Missing, WorkerError> {
        self.ask(|answer| Work::Missing(now, of, answer)).await
    }

    /// Takes a document that a party gave, as from its own connection: how many of its statements
    /// count, and 0 or why it was refused.
    ///
    /// # Errors
    /// When the pipeline has stopped.
    pub async fn ingest(&self, from: Party, body: Vec<u8>) -> Result<(u32, u16), WorkerError> {
        let question = Question { party: from, kind: RequestKind::Document, body };
        let (answer, answered) = oneshot::channel();
        hand_over(&self.work, Work::Poll(question, answer)).await?;
        match answered.await.map_err(|_| WorkerError::Stopped)?.result {
            Answer::Receipt(receipt) => Ok((receipt.accepted, receipt.reason)),
            Answer::QueryResult(result) => Ok((0, result.reason)),
        }
    }

    /// Signs the ledger as it stands.
    ///
    /// # Errors
    /// When the pipeline fails or has stopped.
    pub async fn checkpoint(&self) -> Result<Checkpoint, WorkerError> {
        let checkpoint = self.ask(Work::Checkpoint).await?;
        self.signed.send_replace(Some(Signed { leaves: checkpoint.size, at: Instant::now() }));
        Ok(checkpoint)
    }

    /// The newest checkpoint that was signed since the start, to look at.
    #[must_use]
    pub fn signed(&self) -> watch::Receiver<Option<Signed>> {
        self.signed.subscribe()
    }

    /// Does something with what is asked of payment rails and what they tell.
    ///
    /// # Errors
    /// When the pipeline fails or has stopped.
    pub async fn rail<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Pipeline, Timestamp) -> Result<T, SettlementError> + Send + 'static,
    ) -> Result<T, WorkerError> {
        self.ask(|answer| {
            Work::Rail(Box::new(move |pipeline, now| reply(answer, work(pipeline, now))))
        })
        .await
    }

    /// Counts and balances.
    ///
    /// # Errors
    /// When the pipeline fails or has stopped.
    pub async fn summary(&self) -> Result<Summary, WorkerError> {
        self.ask(Work::Summary).await
    }

    async fn ask<T>(
        &self,
        work: impl FnOnce(oneshot::Sender<Result<T, SettlementError>>) -> Work,
    ) -> Result<T, WorkerError> {
        let (answer, answered) = oneshot::channel();
        hand_over(&self.work, work(answer)).await?;
        Ok(answered.await.map_err(|_| WorkerError::Stopped)??)
    }
}

/// Puts work into the queue, giving the runtime's thread back while it is full.
async fn hand_over(queue: &Sender<Work>, mut work: Work) -> Result<(), WorkerError> {
    loop {
        match queue.try_send(work) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Disconnected(_)) => return Err(WorkerError::Stopped),
            Err(TrySendError::Full(back)) => work = back,
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// What the thread works with.
struct Desk {
    pipeline: Pipeline,
    clock: Clock,
    outbox: GridOutbox,
    suspensions: Suspensions,
    pulls: PullRows,
    captured: watch::Sender<Captures>,
    news: watch::Sender<u64>,
    signers: Signers,
}

impl Desk {
    /// The thread: one piece of work after the other, until nobody can ask any more or it fails.
    fn run(mut self, queue: &Receiver<Work>) {
        let mut waiting = None;
        loop {
            // What the exchange had not answered when the last process ended is sent first.
            let sent = self.outbox.send(&self.pipeline);
            let told = self.suspensions.send(&self.pipeline);
            let sent = sent.and_then(|sent| told.map(|told| sent && told));
            let done = match sent.map(|sent| next_work(waiting.take(), queue, sent)) {
                Ok(Next::Over) => return,
                Ok(Next::SendAgain) => continue,
                Ok(Next::Work(Work::Capture(shard, batch))) => {
                    let (batch, next) = gather(shard, batch, queue);
                    waiting = next;
                    self.capture(shard, &batch)
                }
                Ok(Next::Work(work)) => self.carry_out(work),
                Err(error) => Err(error),
            };
            self.news.send_modify(|count| *count = count.wrapping_add(1));
            if let Err(error) = done {
                tracing::error!("settlement stops: {}", Failure::runtime(error).message());
                return;
            }
        }
    }

    fn carry_out(&mut self, work: Work) -> Result<(), SettlementError> {
        self.suspensions.look_again();
        let (pipeline, now) = (&mut self.pipeline, self.clock.now());
        match work {
            Work::Capture(shard, batch) => self.capture(shard, &batch),
            Work::Data(request) => {
                let DataRequest { party, kind, body, answer } = request;
                let Reply { result, text, .. } = self.answer(&Question { party, kind, body })?;
                // The asker may have gone; the document is in all the same.
                answer.send((result, text)).ok();
                Ok(())
            }
            Work::Poll(question, answer) => {
                let reply = self.answer(&question)?;
                // The asker may have gone.
                answer.send(reply).ok();
                Ok(())
            }
            Work::Deposits(deposits, answer) => reply(answer, pipeline.deposits(&deposits)),
            Work::Missing(at, of, answer) => reply(answer, pipeline.missing_of_each(&of, at)),
            Work::Verify(at, market, answer) => {
                reply(answer, questions::verify(pipeline, at, market))
            }
            Work::Rail(work) => work(pipeline, now),
            Work::Checkpoint(answer) => reply(answer, pipeline.checkpoint()),
            Work::Summary(answer) => reply(answer, pipeline.summary()),
        }
    }

    fn answer(&mut self, question: &Question) -> Result<Reply, SettlementError> {
        if question.kind == RequestKind::Document
            && let Some(until) = self.signers.changed()
        {
            self.pipeline.set_signing_until(until);
        }
        questions::answer(&mut self.pipeline, self.clock.now(), &self.pulls.borrow(), question)
    }

    fn capture(&mut self, shard: ShardId, batch: &FeedBatch) -> Result<(), SettlementError> {
        let done = self.pipeline.capture_from(shard, batch.through, &batch.items)?;
        self.captured.send_modify(|captured| {
            captured.insert(shard, done.cursor);
        });
        Ok(())
    }
}

/// What the thread does next.
enum Next {
    Work(Work),
    SendAgain,
    /// Nobody can ask any more.
    Over,
}

/// Waits for work; not for long where the outbox was not sent whole.
fn next_work(waiting: Option<Work>, queue: &Receiver<Work>, is_sent: bool) -> Next {
    if let Some(work) = waiting {
        return Next::Work(work);
    }
    if is_sent {
        return queue.recv().map_or(Next::Over, Next::Work);
    }
    match queue.recv_timeout(SEND_AGAIN_AFTER) {
        Ok(work) => Next::Work(work),
        Err(RecvTimeoutError::Timeout) => Next::SendAgain,
        Err(RecvTimeoutError::Disconnected) => Next::Over,
    }
}

/// Joins captures of a shard that wait behind each other, so that one transaction serves them all.
fn gather(
    shard: ShardId,
    mut batch: FeedBatch,
    queue: &Receiver<Work>,
) -> (FeedBatch, Option<Work>) {
    while batch.items.len() < CAPTURE_ITEMS_MAX {
        match queue.try_recv() {
            Ok(Work::Capture(of, next)) if of == shard => {
                batch.items.extend(next.items);
                batch.through = next.through;
            }
            Ok(other) => return (batch, Some(other)),
            Err(_) => break,
        }
    }
    (batch, None)
}

/// Gives the asker its answer, good or bad.
fn reply<T>(
    answer: oneshot::Sender<Result<T, SettlementError>>,
    result: Result<T, SettlementError>,
) -> Result<(), SettlementError> {
    // The asker may have gone; what was done is done.
    answer.send(result).ok();
    Ok(())
}

/// Keeps the feed of a shard subscribed from where the pipeline stands until told to stop.
async fn follow_feed(
    connector: Connector,
    shard: ShardId,
    captured: watch::Receiver<Captures>,
    work: Sender<Work>,
    mut stop: watch::Receiver<bool>,
) {
    while !*stop.borrow() {
        let after = captured.borrow().get(&shard).copied().unwrap_or_default();
        let followed = tokio::select! {
            followed = follow_once(&connector, shard, after, &work) => followed,
            _ = stop.wait_for(|&stop| stop) => return,
        };
        match followed {
            Err(FollowError::Stopped) => return,
            // The exchange said goodbye.
            Err(FollowError::Client(ClientError::Ended)) => {}
            Err(FollowError::Client(error)) => {
                tracing::warn!(%shard, %error, "the feed is lost and is subscribed again")
            }
            Ok(()) => {}
        }
        tokio::time::sleep(RESUBSCRIBE_AFTER).await;
    }
}

enum FollowError {
    Client(ClientError),
    Stopped,
}

async fn follow_once(
    connector: &Connector,
    shard: ShardId,
    after: Seq,
    work: &Sender<Work>,
) -> Result<(), FollowError> {
    let subscribed = FeedClient::subscribe_at(connector, shard, after).await;
    let mut feed = subscribed.map_err(FollowError::Client)?;
    loop {
        let batch = feed.next_batch().await.map_err(FollowError::Client)?;
        hand_over(work, Work::Capture(shard, batch)).await.map_err(|_| FollowError::Stopped)?;
    }
}

async fn forward_data(
    mut data: mpsc::Receiver<DataRequest>,
    work: Sender<Work>,
    news: watch::Receiver<u64>,
    pull: Pull,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let request = tokio::select! {
            request = data.recv() => request,
            _ = stop.wait_for(|&stop| stop) => return,
        };
        let Some(request) = request else { return };
        if let Some(wait) = questions::wait_of(request.kind, &request.body) {
            tokio::spawn(wait_for_news(request, wait, work.clone(), news.clone(), stop.clone()));
        } else if request.kind == RequestKind::Verify && request.party.role == Role::Operator {
            tokio::spawn(pull_first(request, pull.clone(), work.clone()));
        } else if hand_over(&work, Work::Data(request)).await.is_err() {
            return;
        }
    }
}

/// Who wants a cycle wants it over everything that is to be had.
async fn pull_first(request: DataRequest, pull: Pull, work: Sender<Work>) {
    if pull.round().await.is_ok() {
        // Without a pipeline the asker's stream ends unanswered.
        hand_over(&work, Work::Data(request)).await.ok();
    }
}

/// Asks again whenever something happened, until there is an answer or the asker's time is over.
async fn wait_for_news(
    request: DataRequest,
    wait: Duration,
    work: Sender<Work>,
    mut news: watch::Receiver<u64>,
    mut stop: watch::Receiver<bool>,
) {
    let DataRequest { party, kind, body, answer } = request;
    let question = Question { party, kind, body };
    let mut deadline = std::pin::pin!(tokio::time::sleep(wait));
    let mut is_over = false;
    loop {
        news.mark_unchanged();
        let (sender, receiver) = oneshot::channel();
        if hand_over(&work, Work::Poll(question.clone(), sender)).await.is_err() {
            return;
        }
        let Ok(reply) = receiver.await else { return };
        if !reply.is_empty || is_over {
            answer.send((reply.result, reply.text)).ok();
            return;
        }
        is_over = tokio::select! {
            changed = news.changed() => changed.is_err(),
            () = &mut deadline => true,
            _ = stop.wait_for(|&stop| stop) => true,
        };
        if !is_over {
            tokio::time::sleep(NEWS_AFTER).await;
        }
    }
}
