//! The settlement pipeline in its own thread, fed by the trade feed over QUIC like any subscriber.

use std::{collections::BTreeMap, net::SocketAddr, thread, time::Duration};

use crossbeam::channel::{self, Receiver, Sender, TrySendError};
use gateway::{
    DataRequest,
    client::{ClientError, Connector, FeedBatch, FeedClient},
};
use settlement::{
    Captured, Checkpoint, DepositOutcome, Pipeline, SettlementError, Summary, VerificationSummary,
};
use tokio::sync::{mpsc, oneshot, watch};
use types::{MarketId, MeterId, Money, Seq, ShardId, Timestamp};

use crate::{
    clock::Clock,
    exit::Failure,
    priority,
    questions::{self, Question, Reply},
};

/// Work that may wait for the pipeline; beyond it the feed and documents wait.
const WORK_MAX: usize = 64;
/// Items captured in one transaction at most.
const CAPTURE_ITEMS_MAX: usize = 20_000;
/// News that come close together are looked at together.
const NEWS_AFTER: Duration = Duration::from_millis(50);
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
}

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

/// A running pipeline.
#[derive(Debug)]
pub struct SettlementWorker {
    /// The way to it.
    pub handle: Settlement,
    /// Where events of payment rails arrive, if one is used.
    pub rail_address: Option<SocketAddr>,
    thread: thread::JoinHandle<()>,
}

impl SettlementWorker {
    /// Starts the thread, a subscription to the feed of every shard and the data port, on the current
    /// tokio runtime. `captured_sender` holds what the pipeline has captured of every shard.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(
        pipeline: Pipeline,
        captured_sender: watch::Sender<Captures>,
        clock: Clock,
        feed: Connector,
        data: mpsc::Receiver<DataRequest>,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, WorkerError> {
        let (work, queue) = channel::bounded(WORK_MAX);
        let captured = captured_sender.subscribe();
        let shards: Vec<_> = captured.borrow().keys().copied().collect();
        let (news, told) = watch::channel(0_u64);
        let thread = thread::Builder::new()
            .name("settlement".to_owned())
            .spawn(move || {
                priority::SETTLEMENT.apply();
                run(pipeline, &clock, &queue, (&captured_sender, &news));
            })
            .map_err(WorkerError::Thread)?;
        let handle = Settlement { work: work.clone(), captured: captured.clone() };
        for shard in shards {
            let (feed, captured) = (feed.clone(), captured.clone());
            tokio::spawn(follow_feed(feed, shard, captured, work.clone(), stop.clone()));
        }
        tokio::spawn(forward_data(data, work, told, stop));
        Ok(Self { handle, rail_address: None, thread })
    }

    /// Whether the thread still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Waits until the thread has done what was asked and ended. All handles must be gone.
    pub fn join(self) {
        drop(self.handle);
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

    /// Signs the ledger as it stands.
    ///
    /// # Errors
    /// When the pipeline fails or has stopped.
    pub async fn checkpoint(&self) -> Result<Checkpoint, WorkerError> {
        self.ask(Work::Checkpoint).await
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

/// The thread: one piece of work after the other, until nobody can ask any more or it fails.
fn run(
    mut pipeline: Pipeline,
    clock: &Clock,
    queue: &Receiver<Work>,
    (captured, news): (&watch::Sender<Captures>, &watch::Sender<u64>),
) {
    let mut waiting = None;
    while let Some(work) = waiting.take().or_else(|| queue.recv().ok()) {
        let outcome = match work {
            Work::Capture(shard, batch) => {
                let (batch, next) = gather(shard, batch, queue);
                waiting = next;
                capture(&mut pipeline, shard, batch, captured).map(|_| ())
            }
            Work::Data(request) => answer_data(&mut pipeline, clock.now(), request),
            Work::Deposits(deposits, answer) => reply(answer, pipeline.deposits(&deposits)),
            Work::Poll(question, answer) => {
                questions::answer(&mut pipeline, clock.now(), &question).map(|reply| {
                    // The asker may have gone.
                    answer.send(reply).ok();
                })
            }
            Work::Verify(now, market, answer) => {
                let verified = questions::verify(&mut pipeline, now, market);
                reply(answer, verified)
            }
            Work::Rail(work) => work(&mut pipeline, clock.now()),
            Work::Checkpoint(answer) => reply(answer, pipeline.checkpoint()),
            Work::Summary(answer) => reply(answer, pipeline.summary()),
        };
        news.send_modify(|count| *count = count.wrapping_add(1));
        if let Err(error) = outcome {
            tracing::error!("settlement stops: {}", Failure::runtime(error).message());
            return;
        }
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

fn capture(
    pipeline: &mut Pipeline,
    shard: ShardId,
    batch: FeedBatch,
    captured: &watch::Sender<Captures>,
) -> Result<Captured, SettlementError> {
    let done = pipeline.capture_from(shard, batch.through, &batch.items)?;
    captured.send_modify(|captured| {
        captured.insert(shard, done.cursor);
    });
    Ok(done)
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

fn answer_data(
    pipeline: &mut Pipeline,
    now: Timestamp,
    request: DataRequest,
) -> Result<(), SettlementError> {
    let DataRequest { party, kind, body, answer } = request;
    let Reply { result, text, .. } =
        questions::answer(pipeline, now, &Question { party, kind, body })?;
    // The asker may have gone; the document is in all the same.
    answer.send((result, text)).ok();
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
        } else if hand_over(&work, Work::Data(request)).await.is_err() {
            return;
        }
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
