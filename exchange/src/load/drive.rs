//! Drives an exchange over the network: frames go out on time and are answered late, if at all.
//!
//! In an open loop an order is due at its place in the timetable, however long the exchange takes
//! for those before it, and its latency counts from then: what waits in the sender counts too. One
//! thread watches the timetable for all sessions; what fell due meanwhile is sent together. With a
//! window, a frame is due when fewer than so many of the session's frames are unanswered.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use gateway::client::{ClientError, Connector, TradingReceiver, TradingSender, TradingSession};
use tokio::{
    sync::{Notify, Semaphore, watch},
    task::JoinSet,
};
use types::{ClientOrderId, RejectReason, ShardId};
use wire::{Inbound, Outbound, inbound::Logon, outbound::ExecType};

use super::{
    Failure,
    frames::Frames,
    latency::Latencies,
    timetable::{Stage, Timetable, stage_at},
};

/// Longest silence the client promises; nothing here lasts longer.
const HEARTBEAT_MS: u32 = 60_000;
/// How long answers are waited for after the last order was sent.
const GRACE: Duration = Duration::from_secs(30);
/// What is due so long after a stage began shows what remains of the one before.
pub const SETTLED_AFTER: Duration = Duration::from_secs(2);
/// The sessions are ready this long before the first order is due.
const RUN_UP: Duration = Duration::from_millis(50);
/// How often the timetable is looked at for one session, and at the most for many.
const TICK: Duration = Duration::from_micros(50);
const TICK_MIN: Duration = Duration::from_micros(100);
const TICK_MAX: Duration = Duration::from_millis(1);

/// When frames are sent.
#[derive(Debug, Clone)]
pub enum Pace {
    /// At the rates of stages, one behind the other.
    Stages(Vec<Stage>),
    /// As soon as fewer than so many frames of the session are unanswered.
    Window(usize),
}

/// What counts as an order's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// Its report, which is durable
    Durable,
    /// That it is applied in memory; its report is waited for at the end
    Memory,
}

/// What is sent when, and what of it counts.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How fast.
    pub pace: Pace,
    /// Until what an order's latency counts, and a frame is in the window.
    pub until: Until,
    /// Orders that are due earlier are not in the figures.
    pub warm_up: Duration,
    /// With a window: no frame is sent later. In an open loop the frames end it.
    pub length: Duration,
}

/// One session's part.
#[derive(Debug)]
pub struct SessionLoad {
    /// How and as whom it connects.
    pub connector: Connector,
    /// What it asks for before the clock starts; the exchange answers each with one message.
    pub opening: Vec<Inbound>,
    /// What it sends.
    pub frames: Frames,
}

/// What came of the orders that were due after the warm-up.
#[derive(Debug)]
pub struct Outcome {
    /// From when each order was due to its first answer.
    pub latencies: Latencies,
    /// By session: the same.
    pub by_session: Vec<Latencies>,
    /// By stage, where there are stages.
    pub by_stage: Vec<StageOutcome>,
    /// When the first stage began.
    pub began: Instant,
    /// Orders that got a number.
    pub accepted: u64,
    /// Orders that were refused, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Orders without an answer, those of the warm-up included.
    pub unanswered: u64,
    /// Messages received, those of the warm-up included.
    pub messages: u64,
    /// From the end of the warm-up to the last answer.
    pub elapsed: Duration,
    /// How late a frame was handed to the network at most.
    pub late_max: Duration,
    /// Why sessions were lost.
    pub lost: Vec<String>,
}

/// What came of the orders that were due in a stage, after the warm-up.
#[derive(Debug, Clone)]
pub struct StageOutcome {
    /// Of those that got a number: from when each was due to its answer.
    pub accepted: Latencies,
    /// Of those that were due a while after the stage began: the same.
    pub settled: Latencies,
    /// Orders that were refused.
    pub rejected: u64,
}

/// What lets a session send.
#[derive(Debug)]
enum Gate {
    /// How many frames are due, and who is told of it.
    Timetable { timetable: Timetable, due: AtomicUsize, more: Notify },
    /// Room for unanswered frames, and when each frame was let through.
    Window { room: Semaphore, due_ns: Vec<AtomicU64>, end: Duration },
}

/// What sender and receiver of a session share.
#[derive(Debug)]
struct Track {
    frames: Frames,
    gate: Gate,
    began: Instant,
    warm_up_ns: u64,
    until: Until,
    stages: Vec<Stage>,
}

/// Sends everything and waits for the answers.
///
/// # Errors
/// When a session cannot be opened or a thread not be started.
pub fn run(sessions: Vec<SessionLoad>, plan: &Plan) -> Result<Outcome, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("client")
        .enable_all()
        .build()?;
    let mut open = Vec::new();
    for load in sessions {
        let session = runtime.block_on(begin(&load, plan.until))?;
        open.push((session, load.frames));
    }
    let count = u64::try_from(open.len())?;
    let began = Instant::now() + RUN_UP;
    let (stop, stopped) = watch::channel(false);
    let (mut sending, mut receiving) = (JoinSet::new(), JoinSet::new());
    let mut tracks = Vec::new();
    for (number, (session, frames)) in (0..).zip(open) {
        let TradingSession { sender, receiver, .. } = session;
        let gate = Gate::new(plan, &frames, number, count);
        let (warm_up_ns, until) = (ns(plan.warm_up), plan.until);
        let stages = match &plan.pace {
            Pace::Stages(stages) => stages.clone(),
            Pace::Window(_) => Vec::new(),
        };
        let track = Arc::new(Track { frames, gate, began, warm_up_ns, until, stages });
        let (sent, all_sent) = watch::channel(None);
        receiving.spawn_on(
            receive(receiver, Arc::clone(&track), all_sent, stopped.clone())?,
            runtime.handle(),
        );
        sending.spawn_on(send(sender, Arc::clone(&track), sent), runtime.handle());
        tracks.push(track);
    }
    let pacing = thread::Builder::new().name("pace".to_owned()).spawn(move || pace(&tracks))?;
    let outcome = runtime.block_on(finish(sending, receiving, &stop, began))?;
    pacing.join().map_err(|_| "the pacing thread panicked")?;
    Ok(outcome)
}

/// Sessions that say nothing but that they are there.
#[derive(Debug)]
pub struct Held {
    _sessions: Vec<TradingSession>,
    /// Keeps their connections alive.
    _runtime: tokio::runtime::Runtime,
}

/// Opens a session for each, to be held until it is dropped.
///
/// # Errors
/// When a session cannot be opened.
pub fn hold(connectors: &[Connector]) -> Result<Held, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("idle")
        .enable_all()
        .build()?;
    let open = connectors
        .iter()
        .map(|connector| Ok(runtime.block_on(TradingSession::open(connector, HEARTBEAT_MS))?));
    let sessions: Result<_, Failure> = open.collect();
    Ok(Held { _sessions: sessions?, _runtime: runtime })
}

/// Logs on, and waits until what opens the session is answered.
async fn begin(load: &SessionLoad, until: Until) -> Result<TradingSession, Failure> {
    let logon =
        Logon { tell_applied: until == Until::Memory, ..Logon::new(HEARTBEAT_MS, ShardId::FIRST) };
    let mut session = TradingSession::log_on(&load.connector, logon).await?;
    session.sender.send(&load.opening).await?;
    let mut open = load.opening.len();
    while open > 0 {
        let answer = session.receiver.next().await?;
        if let Outbound::DelegationReport(report) = answer
            && report.reason == 0
        {
            open -= 1;
            continue;
        }
        if let Outbound::Applied(_) = answer {
            continue;
        }
        return Err(format!("a delegation was answered by {answer:?}").into());
    }
    Ok(session)
}

/// Tells the sessions of a timetable what is due, until everything is.
fn pace(tracks: &[Arc<Track>]) {
    let sessions = u32::try_from(tracks.len()).unwrap_or(u32::MAX);
    let tick = TICK.saturating_mul(sessions).clamp(TICK_MIN, TICK_MAX);
    loop {
        let mut is_over = true;
        for track in tracks {
            let Gate::Timetable { timetable, due, more } = &track.gate else { continue };
            let frames = track.frames.len();
            // Before the beginning nothing is due.
            let by_now = Instant::now()
                .checked_duration_since(track.began)
                .map_or(0, |now| timetable.due_by(ns(now), frames));
            is_over &= by_now == frames;
            if by_now > due.load(Ordering::Relaxed) {
                due.store(by_now, Ordering::Release);
                more.notify_one();
            }
        }
        if is_over {
            return;
        }
        thread::sleep(tick);
    }
}

/// How late frames were handed over at most, and what must not be dropped before everything is
/// answered: it ends the session.
type Sent = (Duration, TradingSender);

async fn send(
    mut sender: TradingSender,
    track: Arc<Track>,
    sent: watch::Sender<Option<u64>>,
) -> Result<Sent, ClientError> {
    let mut late_max = Duration::ZERO;
    let (mut done, frames) = (0, track.frames.len());
    while done < frames {
        let Some(due) = track.gate.next(done, frames, track.began).await else { break };
        let first_due = Duration::from_nanos(track.gate.due_ns(done));
        let written = sender.send_raw(track.frames.slice(done, due)).await;
        if let Err(error) = written {
            sent.send_replace(Some(track.orders(done)));
            return Err(error);
        }
        late_max = late_max.max(track.began.elapsed().saturating_sub(first_due));
        done = due;
    }
    sent.send_replace(Some(track.orders(done)));
    Ok((late_max, sender))
}

impl Gate {
    fn new(plan: &Plan, frames: &Frames, number: u64, sessions: u64) -> Self {
        match &plan.pace {
            Pace::Stages(stages) => Self::Timetable {
                timetable: Timetable::new(stages, frames.frame_orders, number, sessions),
                due: AtomicUsize::new(0),
                more: Notify::new(),
            },
            Pace::Window(most) => Self::Window {
                room: Semaphore::new(*most),
                due_ns: (0..frames.len()).map(|_| AtomicU64::new(0)).collect(),
                end: plan.warm_up + plan.length,
            },
        }
    }

    /// Waits until more frames than `done` may be sent: up to which. `None` when the time is over.
    async fn next(&self, done: usize, frames: usize, began: Instant) -> Option<usize> {
        match self {
            Self::Timetable { due, more, .. } => loop {
                let by_now = due.load(Ordering::Acquire);
                if by_now > done {
                    return Some(by_now);
                }
                more.notified().await;
            },
            Self::Window { room, due_ns, end } => {
                // A permit is given back when its frame is answered.
                room.acquire().await.ok()?.forget();
                let mut to = done + 1;
                while to < frames
                    && let Ok(permit) = room.try_acquire()
                {
                    permit.forget();
                    to += 1;
                }
                let now = began.elapsed();
                for due_ns in due_ns.get(done..to)? {
                    due_ns.store(ns(now), Ordering::Relaxed);
                }
                (now < *end).then_some(to)
            }
        }
    }

    /// When a frame that was sent was due, in nanoseconds from the beginning.
    fn due_ns(&self, frame: usize) -> u64 {
        match self {
            Self::Timetable { timetable, .. } => {
                timetable.due_ns(u64::try_from(frame).unwrap_or(u64::MAX))
            }
            Self::Window { due_ns, .. } => {
                due_ns.get(frame).map_or(0, |due| due.load(Ordering::Relaxed))
            }
        }
    }
}

impl Track {
    /// Orders in the first frames.
    fn orders(&self, frames: usize) -> u64 {
        let frames = u64::try_from(frames).unwrap_or(u64::MAX);
        frames.saturating_mul(self.frames.frame_orders).min(self.frames.orders)
    }

    /// The frame of an order.
    fn frame_of(&self, order: u64) -> usize {
        usize::try_from(order / self.frames.frame_orders.max(1)).unwrap_or(usize::MAX)
    }

    /// When an order was due.
    fn due_ns(&self, order: u64) -> u64 {
        self.gate.due_ns(self.frame_of(order))
    }
}

async fn finish(
    mut sending: JoinSet<Result<Sent, ClientError>>,
    mut receiving: JoinSet<Received>,
    stop: &watch::Sender<bool>,
    began: Instant,
) -> Result<Outcome, Failure> {
    let mut whole = Outcome::new(0, began)?;
    let mut open = Vec::new();
    while let Some(sent) = sending.join_next().await {
        match sent? {
            Ok((late_max, sender)) => {
                whole.late_max = whole.late_max.max(late_max);
                open.push(sender);
            }
            Err(error) => whole.lost.push(error.to_string()),
        }
    }
    let deadline = tokio::time::sleep(GRACE);
    tokio::pin!(deadline);
    loop {
        tokio::select! {
            part = receiving.join_next() => match part {
                Some(part) => whole.add(part?.outcome),
                None => break,
            },
            () = &mut deadline, if !*stop.borrow() => { stop.send_replace(true); }
        }
    }
    drop(open);
    Ok(whole)
}

#[derive(Debug)]
struct Received {
    outcome: Outcome,
    answered: Vec<bool>,
    answers: u64,
    /// Whose latency is known.
    timed: Vec<bool>,
    /// Orders up to here are timed, since they are applied.
    applied: u64,
    /// By frame: orders that are not timed.
    left: Vec<u64>,
}

/// Receives a session's answers until each order that was sent has one, the session is lost or the
/// wait is over.
fn receive(
    mut receiver: TradingReceiver,
    track: Arc<Track>,
    mut all_sent: watch::Receiver<Option<u64>>,
    mut stop: watch::Receiver<bool>,
) -> Result<impl Future<Output = Received> + Send + 'static, Failure> {
    let mut received = Received::new(&track)?;
    Ok(async move {
        let mut expected = None;
        while expected.is_none_or(|orders| received.answers < orders) {
            let next = tokio::select! {
                next = receiver.next() => next,
                sent = all_sent.wait_for(Option::is_some), if expected.is_none() => {
                    // A sender that is gone sent nothing more.
                    expected = Some(sent.map_or(0, |orders| orders.unwrap_or(0)));
                    continue;
                }
                _ = stop.wait_for(|&stop| stop) => break,
            };
            let now_ns = ns(track.began.elapsed());
            match next {
                Ok(message) => received.take(&message, &track, now_ns),
                Err(error) => {
                    received.outcome.lost.push(error.to_string());
                    break;
                }
            }
            while let Some(message) = receiver.try_next() {
                received.take(&message, &track, now_ns);
            }
        }
        if let Gate::Window { room, .. } = &track.gate {
            // Nobody gives permits back any more: a sender that waits for one ends.
            room.close();
        }
        let expected = match expected {
            Some(expected) => expected,
            None => {
                let sent = all_sent.wait_for(Option::is_some).await;
                sent.map_or(0, |orders| orders.unwrap_or(0))
            }
        };
        received.outcome.unanswered = expected.saturating_sub(received.answers);
        received.outcome.by_session = vec![received.outcome.latencies.clone()];
        received
    })
}

impl Received {
    fn new(track: &Track) -> Result<Self, Failure> {
        let frames = &track.frames;
        let orders = usize::try_from(frames.orders)?;
        let left = (0..frames.orders).step_by(usize::try_from(frames.frame_orders.max(1))?);
        let left = left.map(|first| frames.frame_orders.min(frames.orders - first));
        Ok(Self {
            outcome: Outcome::new(track.stages.len(), track.began)?,
            answered: vec![false; orders],
            answers: 0,
            timed: vec![false; orders],
            applied: 0,
            left: left.collect(),
        })
    }

    fn take(&mut self, message: &Outbound, track: &Track, now_ns: u64) {
        self.outcome.messages += 1;
        match message {
            Outbound::ExecutionReport(report) => {
                let reason = (report.exec_type == ExecType::Rejected).then_some(report.reason);
                self.answer(report.client_order, reason, track, now_ns);
            }
            Outbound::MessageRejected(rejected) => {
                let reason = Some(rejected.reason.code());
                self.answer(rejected.client_order, reason, track, now_ns);
            }
            Outbound::Applied(applied) => {
                // What opened the session has numbers above those of all orders.
                let number = applied.client_order.get();
                let through = if number > track.frames.orders { 0 } else { number };
                for index in self.applied..through {
                    self.time(index, track, now_ns);
                }
                self.applied = self.applied.max(through);
            }
            Outbound::SessionAccepted(_)
            | Outbound::SessionRejected(_)
            | Outbound::Heartbeat(_)
            | Outbound::LoggedOut(_)
            | Outbound::GoingAway(_)
            | Outbound::TestReply(_)
            | Outbound::MassCancelled(_)
            | Outbound::ContractReport(_)
            | Outbound::ContractInvitation(_)
            | Outbound::AmendmentInvitation(_)
            | Outbound::MembersReport(_)
            | Outbound::DelegationReport(_)
            | Outbound::ResumeComplete(_)
            | Outbound::ResumeTooOld(_)
            | Outbound::SessionLimits(_)
            | Outbound::DeadManSet(_) => {}
        }
    }

    /// Notes an order's first answer; later reports about it are not answers.
    fn answer(&mut self, order: ClientOrderId, reason: Option<u16>, track: &Track, now_ns: u64) {
        let index = order.get().wrapping_sub(1);
        let place = usize::try_from(index).ok().and_then(|index| self.answered.get_mut(index));
        let Some(answered) = place.filter(|answered| !**answered) else { return };
        *answered = true;
        self.answers += 1;
        // What is refused before it is applied is not told of in any other way.
        if track.until == Until::Durable || reason.is_some() {
            self.time(index, track, now_ns);
        }
        let due_ns = track.due_ns(index);
        if due_ns < track.warm_up_ns {
            return;
        }
        let (stage, into_ns) = stage_at(&track.stages, due_ns);
        if let Some(stage) = self.outcome.by_stage.get_mut(stage) {
            stage.add(reason.is_none(), now_ns.saturating_sub(due_ns), into_ns);
        }
        match reason {
            None => self.outcome.accepted += 1,
            Some(code) => {
                let name = RejectReason::from_code(code).map_or("unknown", RejectReason::name);
                *self.outcome.rejected.entry(name.to_owned()).or_default() += 1;
            }
        }
    }

    /// Notes that what an order's latency counts to has come.
    fn time(&mut self, index: u64, track: &Track, now_ns: u64) {
        let place = usize::try_from(index).ok().and_then(|index| self.timed.get_mut(index));
        let Some(timed) = place.filter(|timed| !**timed) else { return };
        *timed = true;
        let frame = track.frame_of(index);
        if let (Some(left), Gate::Window { room, .. }) = (self.left.get_mut(frame), &track.gate) {
            *left -= 1;
            if *left == 0 {
                room.add_permits(1);
            }
        }
        let due_ns = track.gate.due_ns(frame);
        if due_ns < track.warm_up_ns {
            return;
        }
        self.outcome.latencies.record_ns(now_ns.saturating_sub(due_ns));
        self.outcome.elapsed = Duration::from_nanos(now_ns.saturating_sub(track.warm_up_ns));
    }
}

impl StageOutcome {
    fn new() -> Result<Self, Failure> {
        Ok(Self { accepted: Latencies::new()?, settled: Latencies::new()?, rejected: 0 })
    }

    fn add(&mut self, accepted: bool, latency_ns: u64, into_ns: u64) {
        if !accepted {
            self.rejected += 1;
            return;
        }
        self.accepted.record_ns(latency_ns);
        if into_ns >= ns(SETTLED_AFTER) {
            self.settled.record_ns(latency_ns);
        }
    }
}

impl Outcome {
    fn new(stages: usize, began: Instant) -> Result<Self, Failure> {
        let by_stage: Result<_, Failure> = (0..stages).map(|_| StageOutcome::new()).collect();
        Ok(Self {
            by_stage: by_stage?,
            began,
            latencies: Latencies::new()?,
            by_session: Vec::new(),
            accepted: 0,
            rejected: BTreeMap::new(),
            unanswered: 0,
            messages: 0,
            elapsed: Duration::ZERO,
            late_max: Duration::ZERO,
            lost: Vec::new(),
        })
    }

    fn add(&mut self, part: Self) {
        self.latencies.add(&part.latencies);
        self.by_session.extend(part.by_session);
        if self.by_stage.is_empty() {
            self.by_stage = part.by_stage;
        } else {
            for (whole, part) in self.by_stage.iter_mut().zip(part.by_stage) {
                whole.accepted.add(&part.accepted);
                whole.settled.add(&part.settled);
                whole.rejected += part.rejected;
            }
        }
        self.accepted += part.accepted;
        for (reason, count) in part.rejected {
            *self.rejected.entry(reason).or_default() += count;
        }
        self.unanswered += part.unanswered;
        self.messages += part.messages;
        self.elapsed = self.elapsed.max(part.elapsed);
        self.late_max = self.late_max.max(part.late_max);
        self.lost.extend(part.lost);
    }
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
