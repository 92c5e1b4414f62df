//! Load over the network: signed orders in frames, sent on time and answered late, if at all.
//!
//! Each session has a thread of its own that sends when a frame is due, and a task that receives.
//! In an open loop an order is due at its place in the timetable, however long the exchange takes
//! for those before it, and its latency counts from then. With a window, a frame is due when fewer
//! than so many of the session's frames are unanswered.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use gateway::client::{ClientError, Connector, TradingReceiver, TradingSender, TradingSession};
use tokio::{
    runtime::Runtime,
    sync::{Semaphore, watch},
    task::JoinSet,
    time::timeout,
};
use types::{ClientOrderId, RejectReason};
use wire::{Inbound, Outbound, outbound::ExecType};

use crate::{Failure, latency::Latencies, threads};

/// Longest silence the client promises; nothing here lasts longer.
const HEARTBEAT_MS: u32 = 60_000;
/// How long answers are waited for after the last order was sent.
const GRACE: Duration = Duration::from_secs(30);
/// The sessions are ready this long before the first order is due.
const RUN_UP: Duration = Duration::from_millis(50);
/// Shortest sleep of a sending thread: what falls due within it is sent together, a little late.
const SLEEP_MIN: Duration = Duration::from_micros(100);

/// When frames are sent.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// At a rate, over all sessions.
    OrdersPerSecond(u64),
    /// As soon as fewer than so many frames of the session are unanswered.
    Window(usize),
}

/// One session's part. The platform's numbers of its orders count up from 1.
#[derive(Debug)]
pub struct SessionLoad {
    /// How and as whom it connects.
    pub connector: Connector,
    /// The frames it sends, all of the same size except the last.
    pub frames: Vec<Vec<Inbound>>,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// From when each order was due to its first answer.
    pub latencies: Latencies,
    /// Orders that got a number.
    pub accepted: u64,
    /// Orders that were refused, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Orders without an answer.
    pub unanswered: u64,
    /// Messages received.
    pub messages: u64,
    /// From when the first order was due to the last answer.
    pub elapsed: Duration,
    /// From when the first order was due until the last was sent.
    pub sending: Duration,
    /// How late a frame was handed to the network at most.
    pub late_max: Duration,
    /// Why sessions were lost.
    pub lost: Vec<String>,
    /// Processor time of the sending threads, which are gone by the end.
    pub senders_cpu_ns: u64,
}

/// What sender and receiver of a session share.
#[derive(Debug)]
struct Track {
    /// By frame: nanoseconds from the beginning to when it was due.
    due_ns: Vec<AtomicU64>,
    frame_orders: u64,
    orders: u64,
    window: Option<Semaphore>,
}

#[derive(Debug)]
struct Received {
    outcome: Outcome,
    answered: Vec<bool>,
    /// By frame.
    left: Vec<u64>,
}

/// Sends everything and waits for the answers. `at_end` is asked before the clients' threads end.
///
/// # Errors
/// When a session cannot be opened or a thread not be started.
pub fn run<R>(
    sessions: Vec<SessionLoad>,
    pace: Pace,
    at_end: impl FnOnce() -> R,
) -> Result<(Outcome, R), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("client")
        .enable_all()
        .build()?;
    let mut open = Vec::new();
    for load in sessions {
        let session = runtime.block_on(TradingSession::open(&load.connector, HEARTBEAT_MS))?;
        open.push((session, load.frames));
    }
    let count = u64::try_from(open.len())?;
    let began = Instant::now() + RUN_UP;
    let (stop, stopped) = watch::channel(false);
    let mut receivers = JoinSet::new();
    let mut senders = Vec::new();
    for (number, (session, frames)) in (0..).zip(open) {
        let TradingSession { sender, receiver, .. } = session;
        let track = Arc::new(Track::new(&frames, pace)?);
        let receive = receive(receiver, Arc::clone(&track), began, stopped.clone())?;
        receivers.spawn_on(receive, runtime.handle());
        let timetable = Timetable::new(pace, track.frame_orders, number, count);
        let handle = runtime.handle().clone();
        let send = move || send(sender, &frames, timetable, &track, began, &handle);
        senders.push(thread::Builder::new().name("sender".to_owned()).spawn(send)?);
    }
    let outcome = finish(&runtime, senders, receivers, &stop)?;
    Ok((outcome, at_end()))
}

type Sending = Result<Sent, ClientError>;

#[derive(Debug)]
struct Sent {
    took: Duration,
    late_max: Duration,
    cpu_ns: u64,
    /// Dropping it ends the session, so it is kept until everything is answered.
    sender: TradingSender,
}

fn finish(
    runtime: &Runtime,
    senders: Vec<thread::JoinHandle<Sending>>,
    mut receivers: JoinSet<Received>,
    stop: &watch::Sender<bool>,
) -> Result<Outcome, Failure> {
    let mut whole = Outcome::new()?;
    let mut open = Vec::new();
    for sender in senders {
        match sender.join().map_err(|_| "a sending thread panicked")? {
            Ok(sent) => {
                whole.senders_cpu_ns += sent.cpu_ns;
                whole.sending = whole.sending.max(sent.took);
                whole.late_max = whole.late_max.max(sent.late_max);
                open.push(sent.sender);
            }
            Err(error) => whole.lost.push(error.to_string()),
        }
    }
    runtime.block_on(async {
        let mut parts = Vec::new();
        let all = async {
            while let Some(part) = receivers.join_next().await {
                parts.push(part);
            }
        };
        if timeout(GRACE, all).await.is_err() {
            stop.send_replace(true);
            while let Some(part) = receivers.join_next().await {
                parts.push(part);
            }
        }
        for part in parts {
            whole.add(part?.outcome);
        }
        drop(open);
        Ok(whole)
    })
}

/// When a session's frames are due.
#[derive(Debug, Clone, Copy)]
struct Timetable {
    /// Nanoseconds from one frame of this session to the next; `None` with a window.
    interval_ns: Option<u64>,
    /// Sessions take turns.
    first_ns: u64,
}

impl Timetable {
    fn new(pace: Pace, frame_orders: u64, number: u64, sessions: u64) -> Self {
        match pace {
            Pace::Window(_) => Self { interval_ns: None, first_ns: 0 },
            Pace::OrdersPerSecond(rate) => {
                let interval_ns = frame_orders * sessions * 1_000_000_000 / rate.max(1);
                let first_ns = interval_ns * number / sessions.max(1);
                Self { interval_ns: Some(interval_ns), first_ns }
            }
        }
    }
}

/// Sends a session's frames.
fn send(
    mut sender: TradingSender,
    frames: &[Vec<Inbound>],
    timetable: Timetable,
    track: &Track,
    began: Instant,
    handle: &tokio::runtime::Handle,
) -> Sending {
    let mut late_max = Duration::ZERO;
    thread::sleep(began.saturating_duration_since(Instant::now()));
    for ((frame, due_ns), number) in frames.iter().zip(&track.due_ns).zip(0_u64..) {
        let due = if let Some(interval_ns) = timetable.interval_ns {
            Duration::from_nanos(timetable.first_ns + interval_ns * number)
        } else {
            handle.block_on(track.enter_window());
            began.elapsed()
        };
        let early = due.saturating_sub(began.elapsed());
        if !early.is_zero() {
            thread::sleep(early.max(SLEEP_MIN));
        }
        due_ns.store(ns(due), Ordering::Relaxed);
        handle.block_on(sender.send(frame))?;
        late_max = late_max.max(began.elapsed().saturating_sub(due));
    }
    Ok(Sent { took: began.elapsed(), late_max, cpu_ns: threads::own_cpu_ns(), sender })
}

/// Receives a session's answers until each order has one, the session is lost or the wait is over.
fn receive(
    mut receiver: TradingReceiver,
    track: Arc<Track>,
    began: Instant,
    mut stop: watch::Receiver<bool>,
) -> Result<impl Future<Output = Received> + Send + 'static, Failure> {
    let mut received = Received::new(&track)?;
    Ok(async move {
        while received.outcome.unanswered > 0 {
            let next = tokio::select! {
                next = receiver.next() => next,
                _ = stop.wait_for(|&stop| stop) => break,
            };
            let now = began.elapsed();
            match next {
                Ok(message) => received.take(&message, &track, now),
                Err(error) => {
                    received.outcome.lost.push(error.to_string());
                    break;
                }
            }
            while let Some(message) = receiver.try_next() {
                received.take(&message, &track, now);
            }
        }
        received
    })
}

impl Track {
    fn new(frames: &[Vec<Inbound>], pace: Pace) -> Result<Self, Failure> {
        let orders: usize = frames.iter().map(Vec::len).sum();
        Ok(Self {
            due_ns: frames.iter().map(|_| AtomicU64::new(0)).collect(),
            frame_orders: u64::try_from(frames.first().map_or(1, Vec::len).max(1))?,
            orders: u64::try_from(orders)?,
            window: match pace {
                Pace::Window(frames) => Some(Semaphore::new(frames)),
                Pace::OrdersPerSecond(_) => None,
            },
        })
    }

    async fn enter_window(&self) {
        if let Some(window) = &self.window
            && let Ok(permit) = window.acquire().await
        {
            // Given back when the frame is answered.
            permit.forget();
        }
    }
}

impl Received {
    fn new(track: &Track) -> Result<Self, Failure> {
        let orders = usize::try_from(track.orders)?;
        let left = (0..track.orders).step_by(usize::try_from(track.frame_orders)?);
        let left = left.map(|first| track.frame_orders.min(track.orders - first));
        Ok(Self {
            outcome: Outcome { unanswered: track.orders, ..Outcome::new()? },
            answered: vec![false; orders],
            left: left.collect(),
        })
    }

    fn take(&mut self, message: &Outbound, track: &Track, now: Duration) {
        self.outcome.messages += 1;
        match message {
            Outbound::ExecutionReport(report) => {
                if self.answer(report.client_order, track, now) {
                    match report.exec_type {
                        ExecType::Rejected => self.reject(RejectReason::from_code(report.reason)),
                        ExecType::New
                        | ExecType::Trade
                        | ExecType::Cancelled
                        | ExecType::Replaced
                        | ExecType::Expired
                        | ExecType::Status
                        | ExecType::CancelRejected
                        | ExecType::ReplaceRejected
                        | ExecType::Hibernated
                        | ExecType::Activated
                        | ExecType::ReduceRejected
                        | ExecType::HibernateRejected
                        | ExecType::ActivateRejected
                        | ExecType::MassCancelRejected => self.outcome.accepted += 1,
                    }
                }
            }
            Outbound::MessageRejected(rejected) => {
                if self.answer(rejected.client_order, track, now) {
                    self.reject(Some(rejected.reason));
                }
            }
            Outbound::SessionAccepted(_)
            | Outbound::SessionRejected(_)
            | Outbound::Heartbeat(_)
            | Outbound::LoggedOut(_)
            | Outbound::GoingAway(_)
            | Outbound::TestReply(_)
            | Outbound::SessionLimits(_)
            | Outbound::ResumeComplete(_)
            | Outbound::ResumeTooOld(_)
            | Outbound::DeadManSet(_)
            | Outbound::MassCancelled(_) => {}
        }
    }

    fn reject(&mut self, reason: Option<RejectReason>) {
        let name = reason.map_or("unknown", RejectReason::name);
        *self.outcome.rejected.entry(name.to_owned()).or_default() += 1;
    }

    /// Notes an order's first answer; later reports about it are not answers.
    fn answer(&mut self, order: ClientOrderId, track: &Track, now: Duration) -> bool {
        let index = order.get().wrapping_sub(1);
        let place = usize::try_from(index).ok().and_then(|index| self.answered.get_mut(index));
        let Some(answered) = place.filter(|answered| !**answered) else { return false };
        *answered = true;
        let frame = usize::try_from(index / track.frame_orders).unwrap_or(usize::MAX);
        let due_ns = track.due_ns.get(frame).map_or(0, |due| due.load(Ordering::Relaxed));
        self.outcome.latencies.record_ns(ns(now).saturating_sub(due_ns));
        self.outcome.unanswered -= 1;
        self.outcome.elapsed = self.outcome.elapsed.max(now);
        if let (Some(left), Some(window)) = (self.left.get_mut(frame), &track.window) {
            *left -= 1;
            if *left == 0 {
                window.add_permits(1);
            }
        }
        true
    }
}

impl Outcome {
    /// How many there were.
    #[must_use]
    pub fn orders(&self) -> u64 {
        self.accepted + self.rejected.values().sum::<u64>() + self.unanswered
    }

    fn new() -> Result<Self, Failure> {
        Ok(Self {
            latencies: Latencies::new()?,
            accepted: 0,
            rejected: BTreeMap::new(),
            unanswered: 0,
            messages: 0,
            elapsed: Duration::ZERO,
            sending: Duration::ZERO,
            late_max: Duration::ZERO,
            lost: Vec::new(),
            senders_cpu_ns: 0,
        })
    }

    fn add(&mut self, part: Self) {
        self.latencies.add(&part.latencies);
        self.accepted += part.accepted;
        for (reason, count) in part.rejected {
            *self.rejected.entry(reason).or_default() += count;
        }
        self.unanswered += part.unanswered;
        self.messages += part.messages;
        self.elapsed = self.elapsed.max(part.elapsed);
        self.lost.extend(part.lost);
    }
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
