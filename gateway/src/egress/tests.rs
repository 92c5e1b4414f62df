//! What is told to whom.

use types::{Scope, SessionId};

use super::*;

const ORIGIN: Origin = Origin { platform: PlatformId::new(7), session: SessionId::new(3) };
const ID: ClientOrderId = ClientOrderId::new(21);
const LEAVES: Energy = Energy::from_wh(30);

/// What a platform is told of three cancellations of its orders at positions 5 to 7, in one batch,
/// by the messages of the batches its session gets.
fn told_live(join: impl Fn(&SessionHandle, &Sessions)) -> u16 {
    let sessions = Arc::new(Sessions::after(Seq::new(4)));
    let (outbound, mut batches) = mpsc::channel(8);
    let session = SessionHandle::new(ORIGIN, outbound);
    sessions.open(&session);
    session.requested(3);
    join(&session, &sessions);
    let events = [Event::OrderCancelled(OrderCancelled {
        platform: ORIGIN.platform,
        client_order: ID,
        order: OrderId::new(4),
        leaves: LEAVES,
        reason: CancelReason::Requested,
    })];
    let published = (5..8).map(|seq| Published {
        seq: Seq::new(seq),
        time: Timestamp::from_ns(9),
        origin: Some(ORIGIN),
        command: &Command::PassTime,
        is_control: false,
        events: &events,
    });
    Egress::new(Arc::clone(&sessions), Arc::default()).publish(published);
    assert_eq!(session.open_requests(), 0, "answered, live or not");
    assert_eq!(sessions.told().through(), Seq::new(7));
    std::iter::from_fn(|| batches.try_recv().ok()).map(|batch| batch.messages).sum()
}

#[test]
fn a_session_is_told_live_what_lies_behind_where_it_joined() {
    assert_eq!(told_live(|_, _| {}), 0, "it has not joined");
    let at_the_end = |session: &SessionHandle, sessions: &Sessions| {
        assert_eq!(session.join(sessions.told()), Seq::new(4));
    };
    assert_eq!(told_live(at_the_end), 3);
    let inside = |session: &SessionHandle, sessions: &Sessions| {
        sessions.told().announce(Seq::new(6));
        assert_eq!(session.join(sessions.told()), Seq::new(6));
    };
    assert_eq!(told_live(inside), 1, "the rest it has from the journal");
}

/// All messages an event makes.
fn all(event: &Event) -> [Option<(PlatformId, Outbound)>; 2] {
    reports(Seq::new(5), Timestamp::from_ns(9), (&Command::PassTime, event))
}

/// The one message an event makes, which is for platform 7.
fn told(event: &Event) -> Outbound {
    let [Some((platform, message)), None] = all(event) else {
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
        all(&event).map(|report| {
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
    assert_eq!(all(&by_operator), [None, None]);
}
