//! Stop 10 of an order's life: what became durable is told to both sides.
//!
//! The core loop hands over committed events; each becomes an execution report for the platforms it
//! concerns. A platform without a session is not told; what it missed is read from the journal when it resumes.

mod aggregates;
mod contracts;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use types::{
    CancelReason, ClientOrderId, Command, Delegation, DelegationRevoked, Energy, Event,
    MassCancelled, MeterDelegated, MeterId, OrderAccepted, OrderCancelled, OrderId, OrderMoved,
    OrderRejected, OrderReplaced, OrderRestated, OrderValidated, Origin, PlatformId, Price,
    RejectReason, Request, Seq, Sequenced, Side, Timestamp, Trade, TradeId, TradeSide,
};
use wire::{
    Outbound,
    frame::FRAME_MESSAGES_MAX,
    outbound::{
        Applied, DelegationReport, DelegationState, ExecType, ExecutionReport, MassCancelReport,
    },
};

use crate::{
    directory::Directory,
    guard::{Guard, Now},
    ingress::Ingress,
    quic::CloseCode,
    seam::{Seam, Told},
};

/// Encoded messages for one session, less than or exactly one frame.
#[derive(Debug, Default)]
pub struct OutboundBatch {
    /// The messages, one after another.
    pub payload: Vec<u8>,
    /// How many.
    pub messages: u16,
    /// Position of the last report among them; zero without one.
    pub reported: Seq,
}

impl OutboundBatch {
    /// Adds a message. Gives the batch away first if it is full.
    pub fn push(&mut self, message: &Outbound) -> Option<Self> {
        let full = (self.messages >= FRAME_MESSAGES_MAX).then(|| std::mem::take(self));
        message.encode(&mut self.payload);
        self.messages = self.messages.saturating_add(1);
        if let Outbound::ResumeComplete(complete) = message {
            self.reported = complete.through;
        } else if let Some(seq) = message.seq() {
            self.reported = seq;
        }
        full
    }
}

/// One open session as others see it.
#[derive(Debug, Clone)]
pub struct SessionHandle {
    origin: Origin,
    outbound: mpsc::Sender<OutboundBatch>,
    state: Arc<State>,
}

/// What a session shares with the core loop and its verifier.
#[derive(Debug)]
struct State {
    seam: Seam,
    /// A newer session has taken its place: nothing of it is done any more.
    fenced: AtomicBool,
    /// Whether it is told what is applied and not durable yet.
    tell_applied: AtomicBool,
    /// Requests in the ring or on their way to it, without an answer.
    open_requests: AtomicU32,
    /// Why its connection is to be closed.
    closing: watch::Sender<Option<CloseCode>>,
}

impl SessionHandle {
    /// A session that reads its outbound messages from the other end of `outbound`. It is told
    /// nothing live before it joins.
    #[must_use]
    pub fn new(origin: Origin, outbound: mpsc::Sender<OutboundBatch>) -> Self {
        let state = State {
            seam: Seam::far(),
            fenced: AtomicBool::new(false),
            tell_applied: AtomicBool::new(false),
            open_requests: AtomicU32::new(0),
            closing: watch::Sender::new(None),
        };
        Self { origin, outbound, state: Arc::new(state) }
    }

    /// Whose session it is.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// Adds a message to a batch, sending the batch first when it is full.
    pub fn push(&self, batch: &mut OutboundBatch, message: &Outbound) {
        if let Some(full) = batch.push(message) {
            self.send(full);
        }
    }

    /// Hands a batch to the session's writer without waiting. A session that does not read its
    /// messages is closed: what it missed stands in the journal.
    pub fn send(&self, batch: OutboundBatch) {
        if batch.messages > 0
            && let Err(mpsc::error::TrySendError::Full(_)) = self.outbound.try_send(batch)
        {
            self.close(CloseCode::SlowReader);
        }
    }

    /// Has the session's connection closed. The first reason counts.
    pub fn close(&self, code: CloseCode) {
        self.state.closing.send_if_modified(|closing| {
            let is_first = closing.is_none();
            *closing = closing.or(Some(code));
            is_first
        });
    }

    /// Completes when the connection is to be closed.
    pub async fn closing(&self) -> CloseCode {
        let mut closing = self.state.closing.subscribe();
        let reason = closing.wait_for(Option::is_some).await;
        reason.ok().and_then(|reason| *reason).unwrap_or(CloseCode::Done)
    }

    /// From now on the session is told what is applied and not durable yet.
    pub fn tell_applied(&self) {
        // The session is entered afterwards, which publishes it.
        self.state.tell_applied.store(true, Ordering::Relaxed);
    }

    /// Whether a newer session has taken over.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        self.state.fenced.load(Ordering::Acquire)
    }

    /// From now on reports are live. Returns the last position that will not be told live: it is
    /// durable. The session is open.
    #[must_use]
    pub fn join(&self, told: &Told) -> Seq {
        self.state.seam.join(told)
    }

    /// Requests without an answer.
    #[must_use]
    pub fn open_requests(&self) -> u32 {
        self.state.open_requests.load(Ordering::Acquire)
    }

    /// Counts requests before they are put into the ring.
    pub fn requested(&self, count: u32) {
        self.state.open_requests.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts requests whose answer is sent. Release pairs with the acquire in
    /// [`Self::open_requests`]: who sees them answered sends what follows behind the answers.
    pub fn answered(&self, count: u32) {
        self.state.open_requests.fetch_sub(count, Ordering::Release);
    }
}

/// Every open session at one shard by its platform: replaced as a whole when one opens or ends, read without
/// locks by the core loop.
#[derive(Debug)]
pub struct Sessions {
    open: ArcSwap<BTreeMap<PlatformId, SessionHandle>>,
    told: Told,
    /// When to cancel what platforms left. Locked when a session opens, ends or sets its switch, and
    /// by who looks what is due; never for an order.
    guard: Mutex<Guard>,
    /// Something about the guard's deadlines has changed.
    changed: Notify,
    /// Operators who wait for what became of an order of theirs, in the order of the ring. Locked for
    /// these alone.
    controls: Mutex<VecDeque<oneshot::Sender<Result<Seq, RejectReason>>>>,
}

impl Sessions {
    /// At a shard whose journal is durable up to a position.
    #[must_use]
    pub fn after(durable: Seq) -> Self {
        Self {
            open: ArcSwap::default(),
            told: Told::after(durable),
            guard: Mutex::default(),
            changed: Notify::new(),
            controls: Mutex::default(),
        }
    }

    /// Puts an operator's order into the ring, the last of these commands; what goes before it belongs to it.
    /// `None` when there is no room. What comes back is told when
    /// it is durable: its position, or why nothing changed.
    pub fn control(
        &self,
        ring: &Ingress,
        control: &[Command],
    ) -> Option<oneshot::Receiver<Result<Seq, RejectReason>>> {
        // Who waits stands in the same order as the ring's commands: one lock around both.
        let mut waiting = self.controls.lock().unwrap_or_else(PoisonError::into_inner);
        match control {
            [one] => ring.push(*one).ok()?,
            together => ring.push_frame(together.to_vec()).ok()?,
        }
        let (answer, answered) = oneshot::channel();
        waiting.push_back(answer);
        Some(answered)
    }

    /// An operator's order is durable, or was refused.
    fn controlled(&self, seq: Seq, events: &[Event]) {
        let refused = events.iter().find_map(|event| {
            if let Event::CommandRejected(rejected) = event { Some(rejected.reason) } else { None }
        });
        let mut waiting = self.controls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = waiting.pop_front() {
            // The operator may have gone; it is done all the same.
            answer.send(refused.map_or(Ok(seq), Err)).unwrap_or_default();
        }
    }

    /// How far the shard's reports are.
    #[must_use]
    pub const fn told(&self) -> &Told {
        &self.told
    }

    /// Enters a session; an older one of the same platform is closed, and nothing of it that is not
    /// in the ring by now will ever be.
    pub fn open(&self, handle: &SessionHandle) {
        let platform = handle.origin.platform;
        // What is due is pushed under the same lock: before anything of this session, or never.
        self.guard(|guard| guard.opened(handle.origin));
        let before = self.open.rcu(|sessions| {
            let mut sessions = BTreeMap::clone(sessions);
            sessions.insert(platform, handle.clone());
            sessions
        });
        if let Some(older) = before.get(&platform) {
            // Release pairs with the acquire in `is_fenced`. The verifier gets this session's
            // requests after this, and both sessions have the same verifier.
            older.state.fenced.store(true, Ordering::Release);
            older.close(CloseCode::TakenOver);
            let (older, newer) = (older.origin.session, handle.origin.session);
            tracing::info!(%platform, %older, %newer, "a newer session takes over");
        }
    }

    /// A session has ended: what its platform has open is cancelled `cancel_after` so long, unless
    /// a newer one took its place or does before; zero for never.
    pub fn ended(&self, origin: Origin, now: Now, cancel_after: Duration) {
        self.guard(|guard| guard.ended(now, origin, cancel_after));
    }

    /// Takes a session out, unless a newer one took its place.
    pub fn leave(&self, origin: Origin) {
        self.open.rcu(|sessions| {
            let mut sessions = BTreeMap::clone(sessions);
            if sessions.get(&origin.platform).is_some_and(|open| open.origin == origin) {
                sessions.remove(&origin.platform);
            }
            sessions
        });
    }

    /// Works on when orders are cancelled unasked.
    pub fn guard<T>(&self, work: impl FnOnce(&mut Guard) -> T) -> T {
        let done = self.look_at_guard(work);
        self.changed.notify_one();
        done
    }

    /// Looks at it without changing a deadline but those that pass.
    pub fn look_at_guard<T>(&self, look: impl FnOnce(&mut Guard) -> T) -> T {
        look(&mut self.guard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Completes when the deadlines may have changed since the last time it did.
    pub async fn guard_changed(&self) {
        self.changed.notified().await;
    }

    /// How many sessions are open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.open.load().len()
    }
}

/// A command that is durable and what it caused.
#[derive(Debug, Clone, Copy)]
pub struct Published<'a> {
    /// Its position.
    pub seq: Seq,
    /// When it was sequenced.
    pub time: Timestamp,
    /// Who asked for it, if a session did.
    pub origin: Option<Origin>,
    /// It.
    pub command: &'a Command,
    /// Whether it is an operator's order: [`Command::Operate`] or [`Command::BustTrade`].
    pub is_control: bool,
    /// What it caused.
    pub events: &'a [Event],
}

/// Turns events into reports and hands them to sessions.
#[derive(Debug)]
pub struct Egress {
    sessions: Arc<Sessions>,
    directory: Arc<Directory>,
    batches: BTreeMap<PlatformId, Pending>,
}

/// What is about to be told to one session.
#[derive(Debug, Default)]
struct Pending {
    batch: OutboundBatch,
    answered: u32,
    /// Where its live reports begin, once it was looked up.
    from: Option<Option<Seq>>,
}

impl Egress {
    /// Reports to `sessions`; meters that register are entered into `directory`.
    #[must_use]
    pub const fn new(sessions: Arc<Sessions>, directory: Arc<Directory>) -> Self {
        Self { sessions, directory, batches: BTreeMap::new() }
    }

    /// Tells the sessions that asked for it what is applied, before it is durable. Of `applied`, in order,
    /// only the last request of each session counts.
    pub fn tell_applied(&self, applied: impl Iterator<Item = (Origin, Applied)>) {
        let sessions = self.sessions.open.load();
        let is_told = |session: &SessionHandle| session.state.tell_applied.load(Ordering::Relaxed);
        if !sessions.values().any(is_told) {
            return;
        }
        // Requests of a session come in runs: only the ends of runs are looked at twice.
        let mut ends = applied.peekable();
        let mut last = BTreeMap::new();
        while let Some((origin, applied)) = ends.next() {
            if ends.peek().is_none_or(|(next, _)| *next != origin) {
                last.insert(origin.platform, (origin, applied));
            }
        }
        for (platform, (origin, applied)) in last {
            if let Some(session) = sessions.get(&platform)
                && session.origin == origin
                && is_told(session)
            {
                let mut batch = OutboundBatch::default();
                session.push(&mut batch, &Outbound::Applied(applied));
                session.send(batch);
            }
        }
    }

    /// Tells everyone what became durable.
    pub fn publish<'a>(
        &mut self,
        published: impl DoubleEndedIterator<Item = Published<'a>> + Clone,
    ) {
        let Some(first) = published.clone().next().map(|first| first.seq) else { return };
        let last = published.clone().next_back().map_or(first, |last| last.seq);
        self.sessions.told.announce(last);
        let sessions = self.sessions.open.load();
        for Published { seq, time, origin, command, is_control, events } in published {
            if is_control {
                self.sessions.controlled(seq, events);
            }
            for event in events {
                self.observe(event);
                for (platform, report) in reports(seq, time, (command, event)).into_iter().flatten()
                {
                    let Some(session) = sessions.get(&platform) else { continue };
                    let pending = self.batches.entry(platform).or_default();
                    // Decided once: a session that joins while this goes on has all of it or none.
                    let seam = &session.state.seam;
                    let from = *pending.from.get_or_insert_with(|| seam.live_from(first));
                    if from.is_some_and(|from| from <= seq) {
                        session.push(&mut pending.batch, &report);
                    }
                }
            }
            if let Some(origin) = origin
                && sessions.get(&origin.platform).is_some_and(|open| open.origin == origin)
            {
                let pending = self.batches.entry(origin.platform).or_default();
                pending.answered = pending.answered.saturating_add(1);
            }
        }
        for (platform, pending) in &mut self.batches {
            let Pending { batch, answered, .. } = std::mem::take(pending);
            if let Some(session) = sessions.get(platform) {
                session.send(batch);
                if answered > 0 {
                    session.answered(answered);
                }
            }
        }
    }

    /// Takes note of what concerns others than sessions.
    fn observe(&self, event: &Event) {
        if let Event::MeterRegistered(registration) = event {
            self.directory.enrol(registration);
        } else if let Event::PartyRegistered(registration) = event {
            self.directory.enrol_party(registration);
        } else if let Event::MassCancelled(MassCancelled {
            origin: None,
            scope: types::Scope::Platform(platform),
            complete: false,
            ..
        }) = event
        {
            // What the exchange began for a platform it goes on with until nothing is left.
            self.sessions.guard(|guard| guard.again(*platform));
        }
    }
}

/// What a platform is told of an event of a command: nothing, one report, or both sides of its own trade.
pub fn reports_to(
    platform: PlatformId,
    command: &Sequenced<Command>,
    event: &Event,
) -> impl Iterator<Item = Outbound> + use<> {
    let all = reports(command.seq, command.time, (&command.value, event)).into_iter().flatten();
    all.filter(move |(to, _)| *to == platform).map(|(_, report)| report)
}

type Report = (PlatformId, ExecutionReport);

/// The messages an event makes: none, one, or one for each side of a trade.
fn reports(
    seq: Seq,
    time: Timestamp,
    (command, event): (&Command, &Event),
) -> [Option<(PlatformId, Outbound)>; 2] {
    if let Event::MassCancelled(cancelled) = event {
        return [mass_cancellation(seq, time, cancelled), None];
    }
    if let Some(reports) = delegation_reports(seq, time, event) {
        return reports;
    }
    if let Some(reports) = contracts::reports(seq, time, (command, event)) {
        return reports;
    }
    if let Some(report) = aggregates::report(seq, time, (command, event)) {
        return [Some(report), None];
    }
    execution_reports(seq, time, event).map(|report| {
        report.map(|(platform, report)| (platform, Outbound::ExecutionReport(report)))
    })
}

/// What is told of a delegation: to who asked, and to another platform whose delegation has ended.
fn delegation_reports(
    seq: Seq,
    time: Timestamp,
    event: &Event,
) -> Option<[Option<(PlatformId, Outbound)>; 2]> {
    let blank = DelegationReport {
        seq,
        time,
        client_order: ClientOrderId::new(0),
        number: 0,
        meter: MeterId::new(0),
        reason: 0,
        state: DelegationState::Ended,
    };
    let (asked, report, other) = if let Event::MeterDelegated(delegated) = event {
        let MeterDelegated { origin, client_order, delegation, before } = *delegated;
        let Delegation { number, meter, .. } = delegation;
        let state = DelegationState::Entered;
        (origin, DelegationReport { client_order, number, meter, state, ..blank }, before)
    } else if let Event::DelegationRevoked(revoked) = event {
        let DelegationRevoked { origin, client_order, meter, number, holder } = *revoked;
        let other = holder.filter(|&holder| holder != origin.platform);
        (origin, DelegationReport { client_order, number, meter, ..blank }, other)
    } else if let Event::OrderRejected(rejected) = event {
        let OrderRejected { origin, client_order, request, reason } = *rejected;
        let state = refused_state(request)?;
        let reason = reason.code();
        (origin, DelegationReport { client_order, reason, state, ..blank }, None)
    } else {
        return None;
    };
    let ended = DelegationReport { number: report.number, meter: report.meter, ..blank };
    let told = |(platform, report)| (platform, Outbound::DelegationReport(report));
    Some([Some(told((asked.platform, report))), other.map(|other| told((other, ended)))])
}

/// How the refusal of a request about a delegation is told.
const fn refused_state(request: Request) -> Option<DelegationState> {
    match request {
        Request::Delegate => Some(DelegationState::Refused),
        Request::Revoke => Some(DelegationState::EndRefused),
        Request::New
        | Request::Cancel
        | Request::Replace
        | Request::Reduce
        | Request::Hibernate
        | Request::Activate
        | Request::MassCancel
        | Request::Validate
        | Request::Ask
        | Request::Offer
        | Request::Accept
        | Request::Decline
        | Request::Withdraw
        | Request::ListMembers => None,
    }
}

/// What is told of a mass cancellation, if a platform asked for it.
fn mass_cancellation(
    seq: Seq,
    time: Timestamp,
    cancelled: &MassCancelled,
) -> Option<(PlatformId, Outbound)> {
    let origin = cancelled.origin?;
    let report = MassCancelReport {
        seq,
        time,
        client_order: cancelled.client_order,
        cancelled: cancelled.cancelled,
        scope: cancelled.scope,
        complete: cancelled.complete,
    };
    Some((origin.platform, Outbound::MassCancelled(report)))
}

/// The execution reports an event makes.
fn execution_reports(seq: Seq, time: Timestamp, event: &Event) -> [Option<Report>; 2] {
    let blank = ExecutionReport {
        seq,
        time,
        client_order: ClientOrderId::new(0),
        order: OrderId::new(0),
        trade: TradeId::new(0),
        price: Price::default(),
        quantity: Energy::ZERO,
        leaves: Energy::ZERO,
        meter: MeterId::new(0),
        reason: 0,
        exec_type: ExecType::Status,
        side: None,
    };
    match event {
        Event::OrderAccepted(accepted) => [Some(new(blank, accepted)), None],
        Event::OrderValidated(validated) => [Some(validation(blank, validated)), None],
        Event::OrderRestated(restated) => [Some(status(blank, restated)), None],
        Event::OrderReplaced(replaced) => [Some(replacement(blank, replaced)), None],
        Event::OrderCancelled(cancelled) => [Some(cancellation(blank, cancelled)), None],
        Event::OrderHibernated(moved) => [Some(move_of(blank, moved, ExecType::Hibernated)), None],
        Event::OrderActivated(moved) => [Some(move_of(blank, moved, ExecType::Activated)), None],
        Event::OrderRejected(rejected) => [rejection(blank, rejected), None],
        // Its agreement is told, which names it.
        Event::Trade(trade) if trade.is_negotiated() => [None, None],
        Event::Trade(trade) => [
            Some(fill(blank, trade, &trade.buy, Side::Buy)),
            Some(fill(blank, trade, &trade.sell, Side::Sell)),
        ],
        Event::MarketDefined(_)
        | Event::PartyRegistered(_)
        | Event::MeterRegistered(_)
        | Event::ControlsSet(_)
        | Event::SlotPhaseChanged(_)
        | Event::SlotFrozen(_)
        | Event::CallExtended(_)
        | Event::AuctionUncrossed(_)
        | Event::MassCancelled(_)
        | Event::TradingChanged(_)
        | Event::CreditSet(_)
        | Event::CreditReleased(_)
        | Event::MeterDelegated(_)
        | Event::DelegationRevoked(_)
        | Event::ContractOffered(_)
        | Event::ContractAgreed(_)
        | Event::ContractEnded(_)
        | Event::ContractRestated(_)
        | Event::AmendmentOffered(_)
        | Event::ContractAmended(_)
        | Event::MembersListed(_)
        | Event::MemberRefused(_)
        | Event::PlaceNoted(_)
        | Event::GridLimitSet(_)
        | Event::GridRefused(_)
        | Event::Operated(_)
        | Event::TradeBusted(_)
        | Event::CommandRejected(_) => [None, None],
    }
}

const fn new(blank: ExecutionReport, accepted: &OrderAccepted) -> Report {
    let report = ExecutionReport {
        client_order: accepted.client_order,
        order: accepted.order,
        price: accepted.limit,
        quantity: accepted.quantity,
        leaves: accepted.quantity,
        meter: accepted.meter,
        exec_type: ExecType::New,
        side: Some(accepted.side),
        ..blank
    };
    (accepted.origin.platform, report)
}

const fn validation(blank: ExecutionReport, validated: &OrderValidated) -> Report {
    let OrderValidated { origin, client_order } = *validated;
    let exec_type = ExecType::Validated;
    (origin.platform, ExecutionReport { client_order, exec_type, ..blank })
}

const fn status(blank: ExecutionReport, restated: &OrderRestated) -> Report {
    let report = ExecutionReport {
        client_order: restated.client_order,
        order: restated.order,
        quantity: restated.filled,
        leaves: restated.leaves,
        exec_type: ExecType::Status,
        ..blank
    };
    (restated.origin.platform, report)
}

const fn replacement(blank: ExecutionReport, replaced: &OrderReplaced) -> Report {
    let report = ExecutionReport {
        client_order: replaced.client_order,
        order: replaced.order,
        price: replaced.limit,
        leaves: replaced.leaves,
        exec_type: ExecType::Replaced,
        ..blank
    };
    (replaced.origin.platform, report)
}

fn cancellation(blank: ExecutionReport, cancelled: &OrderCancelled) -> Report {
    let exec_type = match cancelled.reason {
        CancelReason::GateClosed | CancelReason::Expired => ExecType::Expired,
        CancelReason::Requested
        | CancelReason::ImmediateOrCancel
        | CancelReason::SelfTrade
        | CancelReason::FillOrKill
        | CancelReason::MassCancel
        | CancelReason::Killed
        | CancelReason::NoLiquidity
        | CancelReason::List
        | CancelReason::TradeLimit
        | CancelReason::AuctionCancelled
        | CancelReason::GridLimit => ExecType::Cancelled,
    };
    let report = ExecutionReport {
        client_order: cancelled.client_order,
        order: cancelled.order,
        leaves: cancelled.leaves,
        reason: cancelled.reason.code().into(),
        exec_type,
        ..blank
    };
    (cancelled.platform, report)
}

const fn move_of(blank: ExecutionReport, moved: &OrderMoved, exec_type: ExecType) -> Report {
    let report = ExecutionReport {
        client_order: moved.client_order,
        order: moved.order,
        leaves: moved.leaves,
        exec_type,
        ..blank
    };
    (moved.origin.platform, report)
}

/// None of a delegation, contract or page of members: those have a report of their own.
const fn rejection(blank: ExecutionReport, rejected: &OrderRejected) -> Option<Report> {
    let report = ExecutionReport {
        client_order: rejected.client_order,
        reason: rejected.reason.code(),
        exec_type: match rejected.request {
            Request::New => ExecType::Rejected,
            Request::Cancel => ExecType::CancelRejected,
            Request::Replace => ExecType::ReplaceRejected,
            Request::Reduce => ExecType::ReduceRejected,
            Request::Hibernate => ExecType::HibernateRejected,
            Request::Activate => ExecType::ActivateRejected,
            Request::MassCancel => ExecType::MassCancelRejected,
            Request::Validate => ExecType::ValidateRejected,
            Request::Ask => ExecType::StatusRejected,
            Request::Delegate
            | Request::Revoke
            | Request::Offer
            | Request::Accept
            | Request::Decline
            | Request::Withdraw
            | Request::ListMembers => return None,
        },
        ..blank
    };
    Some((rejected.origin.platform, report))
}

/// One side's report of a trade.
const fn fill(blank: ExecutionReport, trade: &Trade, own: &TradeSide, side: Side) -> Report {
    let report = ExecutionReport {
        client_order: own.client_order,
        order: own.order,
        trade: trade.trade,
        price: trade.price,
        quantity: trade.quantity,
        leaves: own.leaves,
        meter: own.meter,
        exec_type: ExecType::Trade,
        side: Some(side),
        ..blank
    };
    (own.platform, report)
}

pub use contracts::open_offer;

#[cfg(test)]
mod tests;
