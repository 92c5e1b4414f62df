//! Stop 10 of an order's life: what became durable is told to both sides.
//!
//! The core loop hands over committed events; each becomes an execution report for the platforms it
//! concerns. A platform without a session is not told: it asks again by sending the order again.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use quinn::{Connection, VarInt};
use tokio::sync::mpsc;
use types::{
    CancelReason, ClientOrderId, Delegation, DelegationRevoked, Energy, Event, MassCancelled,
    MeterDelegated, MeterId, OrderAccepted, OrderCancelled, OrderId, OrderMoved, OrderRejected,
    OrderReplaced, OrderRestated, Origin, PlatformId, Price, Request, Seq, Side, Timestamp, Trade,
    TradeId, TradeSide,
};
use wire::{
    Outbound,
    frame::FRAME_MESSAGES_MAX,
    outbound::{DelegationReport, DelegationState, ExecType, ExecutionReport, MassCancelReport},
};

use crate::{directory::Directory, quic::CloseCode};

/// Encoded messages for one session, less than or exactly one frame.
#[derive(Debug, Default)]
pub struct OutboundBatch {
    /// The messages, one after another.
    pub payload: Vec<u8>,
    /// How many.
    pub messages: u16,
}

/// One open session as others see it.
#[derive(Debug, Clone)]
pub struct SessionHandle {
    origin: Origin,
    outbound: mpsc::Sender<OutboundBatch>,
    connection: Connection,
}

impl SessionHandle {
    /// A session that reads its outbound messages from the other end of `outbound`.
    #[must_use]
    pub const fn new(
        origin: Origin,
        outbound: mpsc::Sender<OutboundBatch>,
        connection: Connection,
    ) -> Self {
        Self { origin, outbound, connection }
    }

    /// Whose session it is.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// Adds a message to a batch, sending the batch first when it is full.
    pub fn push(&self, batch: &mut OutboundBatch, message: &Outbound) {
        if batch.messages >= FRAME_MESSAGES_MAX {
            self.send(std::mem::take(batch));
        }
        message.encode(&mut batch.payload);
        batch.messages = batch.messages.saturating_add(1);
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

    /// Closes the session's connection.
    pub fn close(&self, code: CloseCode) {
        self.connection.close(VarInt::from_u32(code.code()), code.name().as_bytes());
    }
}

/// Every open session at one shard by its platform: replaced as a whole when one opens or ends, read without
/// locks by the core loop.
#[derive(Debug, Default)]
pub struct Sessions {
    open: ArcSwap<BTreeMap<PlatformId, SessionHandle>>,
}

impl Sessions {
    /// Enters a session; an older one of the same platform is closed.
    pub fn open(&self, handle: &SessionHandle) {
        let platform = handle.origin.platform;
        let before = self.open.rcu(|sessions| {
            let mut sessions = BTreeMap::clone(sessions);
            sessions.insert(platform, handle.clone());
            sessions
        });
        if let Some(older) = before.get(&platform) {
            older.close(CloseCode::TakenOver);
        }
    }

    /// Takes a session out, unless a newer one took its place.
    pub fn close(&self, origin: Origin) {
        self.open.rcu(|sessions| {
            let mut sessions = BTreeMap::clone(sessions);
            if sessions.get(&origin.platform).is_some_and(|open| open.origin == origin) {
                sessions.remove(&origin.platform);
            }
            sessions
        });
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
    /// What it caused.
    pub events: &'a [Event],
}

/// Turns events into reports and hands them to sessions.
#[derive(Debug)]
pub struct Egress {
    sessions: Arc<Sessions>,
    directory: Arc<Directory>,
    batches: BTreeMap<PlatformId, OutboundBatch>,
}

impl Egress {
    /// Reports to `sessions`; meters that register are entered into `directory`.
    #[must_use]
    pub const fn new(sessions: Arc<Sessions>, directory: Arc<Directory>) -> Self {
        Self { sessions, directory, batches: BTreeMap::new() }
    }

    /// Tells everyone what became durable.
    pub fn publish<'a>(&mut self, published: impl Iterator<Item = Published<'a>>) {
        let sessions = self.sessions.open.load();
        for Published { seq, time, events } in published {
            for event in events {
                if let Event::MeterRegistered(registration) = event {
                    self.directory.enrol(registration);
                } else if let Event::PartyRegistered(registration) = event {
                    self.directory.enrol_party(registration);
                }
                for (platform, report) in reports(seq, time, event).into_iter().flatten() {
                    let Some(session) = sessions.get(&platform) else { continue };
                    let batch = self.batches.entry(platform).or_default();
                    session.push(batch, &report);
                }
            }
        }
        for (platform, batch) in &mut self.batches {
            if let Some(session) = sessions.get(platform) {
                session.send(std::mem::take(batch));
            }
        }
    }
}

type Report = (PlatformId, ExecutionReport);

/// The messages an event makes: none, one, or one for each side of a trade.
fn reports(seq: Seq, time: Timestamp, event: &Event) -> [Option<(PlatformId, Outbound)>; 2] {
    if let Event::MassCancelled(cancelled) = event {
        return [mass_cancellation(seq, time, cancelled), None];
    }
    if let Some(reports) = delegation_reports(seq, time, event) {
        return reports;
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
        | Request::MassCancel => None,
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
        Event::OrderRestated(restated) => [Some(status(blank, restated)), None],
        Event::OrderReplaced(replaced) => [Some(replacement(blank, replaced)), None],
        Event::OrderCancelled(cancelled) => [Some(cancellation(blank, cancelled)), None],
        Event::OrderHibernated(moved) => [Some(move_of(blank, moved, ExecType::Hibernated)), None],
        Event::OrderActivated(moved) => [Some(move_of(blank, moved, ExecType::Activated)), None],
        Event::OrderRejected(rejected) => [rejection(blank, rejected), None],
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
        | CancelReason::List => ExecType::Cancelled,
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

/// None of a delegation: those have a report of their own.
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
            Request::Delegate | Request::Revoke => return None,
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

#[cfg(test)]
mod tests {
    use types::{RejectReason, Scope, SessionId};

    use super::*;

    const ORIGIN: Origin = Origin { platform: PlatformId::new(7), session: SessionId::new(3) };
    const ID: ClientOrderId = ClientOrderId::new(21);
    const LEAVES: Energy = Energy::from_wh(30);

    /// The one message an event makes, which is for platform 7.
    fn told(event: &Event) -> Outbound {
        let [Some((platform, message)), None] = reports(Seq::new(5), Timestamp::from_ns(9), event)
        else {
            panic!("one message of {event:?}");
        };
        assert_eq!(platform, ORIGIN.platform);
        message
    }

    /// Kind, request, order, open quantity and reason of the one report an event makes.
    fn reported(event: &Event) -> (ExecType, u64, u64, u64, u16) {
        let Outbound::ExecutionReport(report) = told(event) else { panic!("{event:?}") };
        assert_eq!((report.seq.get(), report.time.ns()), (5, 9));
        let (request, order) = (report.client_order.get(), report.order.get());
        (report.exec_type, request, order, report.leaves.wh(), report.reason)
    }

    #[test]
    fn an_order_that_moves_is_told_to_who_asked() {
        let order = OrderId::new(4);
        let moved = OrderMoved { origin: ORIGIN, client_order: ID, order, leaves: LEAVES };
        let expected = |exec_type| (exec_type, 21, 4, 30, 0);
        assert_eq!(reported(&Event::OrderHibernated(moved)), expected(ExecType::Hibernated));
        assert_eq!(reported(&Event::OrderActivated(moved)), expected(ExecType::Activated));
    }

    #[test]
    fn the_end_of_an_order_expires_or_is_cancelled() {
        for code in 0..10 {
            let reason = CancelReason::from_code(code).unwrap();
            let expected = match reason {
                CancelReason::GateClosed | CancelReason::Expired => ExecType::Expired,
                CancelReason::Requested
                | CancelReason::ImmediateOrCancel
                | CancelReason::SelfTrade
                | CancelReason::FillOrKill
                | CancelReason::MassCancel
                | CancelReason::Killed
                | CancelReason::NoLiquidity
                | CancelReason::List => ExecType::Cancelled,
            };
            let event = Event::OrderCancelled(OrderCancelled {
                platform: ORIGIN.platform,
                client_order: ID,
                order: OrderId::new(4),
                leaves: LEAVES,
                reason,
            });
            assert_eq!(reported(&event), (expected, 21, 4, 30, code.into()));
        }
        assert_eq!(CancelReason::from_code(10), None, "every reason is tried");
    }

    #[test]
    fn every_request_has_its_own_refusal() {
        let refusals = [
            (Request::New, ExecType::Rejected),
            (Request::Cancel, ExecType::CancelRejected),
            (Request::Replace, ExecType::ReplaceRejected),
            (Request::Reduce, ExecType::ReduceRejected),
            (Request::Hibernate, ExecType::HibernateRejected),
            (Request::Activate, ExecType::ActivateRejected),
            (Request::MassCancel, ExecType::MassCancelRejected),
        ];
        for (request, exec_type) in refusals {
            let reason = RejectReason::PartOfList;
            let rejected = OrderRejected { origin: ORIGIN, client_order: ID, request, reason };
            let reported = reported(&Event::OrderRejected(rejected));
            assert_eq!(reported, (exec_type, 21, 0, 0, reason.code()));
        }
    }

    #[test]
    fn the_end_of_a_delegation_is_told_to_who_asked_and_to_who_held_it() {
        let (meter, other) = (MeterId::new(4), PlatformId::new(9));
        let told = |holder| {
            let (origin, client_order) = (ORIGIN, ID);
            let revoked = DelegationRevoked { origin, client_order, meter, number: 6, holder };
            let event = Event::DelegationRevoked(revoked);
            reports(Seq::new(5), Timestamp::from_ns(9), &event).map(|report| {
                let (platform, Outbound::DelegationReport(report)) = report? else {
                    panic!("another report")
                };
                assert_eq!((report.state, report.number), (DelegationState::Ended, 6));
                assert_eq!((report.meter, report.reason), (meter, 0));
                Some((platform, report.client_order.get()))
            })
        };
        let asked = Some((ORIGIN.platform, 21));
        assert_eq!(told(Some(other)), [asked, Some((other, 0))]);
        assert_eq!(told(Some(ORIGIN.platform)), [asked, None]);
        assert_eq!(told(None), [asked, None]);
    }

    #[test]
    fn a_refused_delegation_has_a_report_of_its_own() {
        for (request, state) in [
            (Request::Delegate, DelegationState::Refused),
            (Request::Revoke, DelegationState::EndRefused),
        ] {
            let reason = RejectReason::DelegationOutdated;
            let rejected = OrderRejected { origin: ORIGIN, client_order: ID, request, reason };
            let Outbound::DelegationReport(report) = told(&Event::OrderRejected(rejected)) else {
                panic!("another report")
            };
            assert_eq!((report.state, report.reason), (state, 28));
            assert_eq!((report.client_order, report.number, report.meter.get()), (ID, 0, 0));
        }
    }

    #[test]
    fn a_mass_cancellation_is_told_to_the_platform_that_asked() {
        let cancelled = MassCancelled {
            origin: Some(ORIGIN),
            client_order: ID,
            scope: Scope::All,
            cancelled: 2,
            complete: true,
        };
        let report = MassCancelReport {
            seq: Seq::new(5),
            time: Timestamp::from_ns(9),
            client_order: ID,
            cancelled: 2,
            scope: Scope::All,
            complete: true,
        };
        assert_eq!(told(&Event::MassCancelled(cancelled)), Outbound::MassCancelled(report));
        let by_operator = Event::MassCancelled(MassCancelled { origin: None, ..cancelled });
        assert_eq!(reports(Seq::new(5), Timestamp::from_ns(9), &by_operator), [None, None]);
    }
}
