//! What is told to whom.

use types::{
    ContractAgreed, ContractEnded, ContractOffered, MemberRefused, MembersListed, OfferId,
    OfferState, Scope, SessionId,
};
use wire::outbound::{ContractState, MembersReport};

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
    for code in 0..13 {
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
            | CancelReason::List
            | CancelReason::TradeLimit
            | CancelReason::GridLimit
            | CancelReason::AuctionCancelled => ExecType::Cancelled,
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
    assert_eq!(CancelReason::from_code(13), None, "every reason is tried");
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

/// Platform, state, number of the request, trade and side of each contract report that an event makes.
fn contract_reports(event: &Event) -> Vec<(u16, ContractState, u64, u64, Option<Side>)> {
    let reports = all(event).into_iter().flatten().map(|(platform, message)| {
        let Outbound::ContractReport(report) = message else { panic!("{message:?}") };
        let (request, trade) = (report.client_order.get(), report.trade.get());
        (platform.get(), report.state, request, trade, report.side)
    });
    reports.collect()
}

#[test]
fn an_offer_is_told_to_who_made_it_and_its_signature_to_who_is_invited() {
    let slot = types::DeliverySlot::new(29_000_100, 15).unwrap();
    let terms = types::ContractTerms {
        key: types::SlotKey { market: types::MarketId::new(1), slot },
        buyer: MeterId::new(4),
        seller: MeterId::new(5),
        price: Price::from_micros(9),
        quantity: LEAVES,
        reference: 8,
        expires: Timestamp::from_ns(77),
    };
    let (offer, invited) = (OfferId::new(3), PlatformId::new(9));
    let (origin, client_order, offered_by) = (ORIGIN, ID, Side::Buy);
    let offered = ContractOffered { origin, client_order, offer, terms, offered_by, invited };
    let signature = types::Signature::new([6; 64]);
    let command = Command::OfferContract(types::OfferContract {
        origin,
        client_order,
        terms,
        offered_by,
        signature,
    });
    let event = Event::ContractOffered(offered);
    let told = reports(Seq::new(5), Timestamp::from_ns(9), (&command, &event));
    let [Some((own, Outbound::ContractReport(report))), Some((other, message))] = told else {
        panic!("{told:?}")
    };
    assert_eq!(
        (own, report.state, report.client_order),
        (origin.platform, ContractState::Open, ID)
    );
    let Outbound::ContractInvitation(invitation) = message else { panic!("{message:?}") };
    assert_eq!((other, invitation.offer, invitation.terms), (invited, offer, terms));
    assert_eq!((invitation.signature, invitation.offered_by), (signature, Side::Buy));
}

#[test]
fn both_sides_are_told_how_an_offer_ends_with_their_own_numbers() {
    let ended = |state| {
        Event::ContractEnded(ContractEnded {
            offer: OfferId::new(3),
            offerer: ORIGIN.platform,
            offered_as: ID,
            offered_by: Side::Sell,
            invited: PlatformId::new(9),
            client_order: ClientOrderId::new(40),
            state,
        })
    };
    let (sell, buy) = (Some(Side::Sell), Some(Side::Buy));
    let told = |state| contract_reports(&ended(state));
    let (declined, withdrawn) = (ContractState::Declined, ContractState::Withdrawn);
    assert_eq!(told(OfferState::Declined), [(7, declined, 21, 0, sell), (9, declined, 40, 0, buy)]);
    assert_eq!(
        told(OfferState::Withdrawn),
        [(7, withdrawn, 40, 0, sell), (9, withdrawn, 0, 0, buy)]
    );
    for (state, expected) in [
        (OfferState::Expired, ContractState::Expired),
        (OfferState::GateClosed, ContractState::GateClosed),
        (OfferState::Killed, ContractState::Killed),
    ] {
        assert_eq!(told(state), [(7, expected, 21, 0, sell), (9, expected, 0, 0, buy)]);
    }
    let agreed = Event::ContractAgreed(ContractAgreed {
        origin: Origin { platform: PlatformId::new(9), session: SessionId::new(1) },
        client_order: ClientOrderId::new(40),
        offer: OfferId::new(3),
        trade: TradeId::new(12),
        offerer: ORIGIN.platform,
        offered_as: ID,
        offered_by: Side::Sell,
    });
    let expected = ContractState::Agreed;
    assert_eq!(
        contract_reports(&agreed),
        [(7, expected, 21, 12, sell), (9, expected, 40, 12, buy)]
    );
}

#[test]
fn a_refused_request_about_a_contract_has_a_report_of_its_own() {
    for (request, state) in [
        (Request::Offer, ContractState::OfferRefused),
        (Request::Accept, ContractState::AcceptRefused),
        (Request::Decline, ContractState::DeclineRefused),
        (Request::Withdraw, ContractState::WithdrawRefused),
    ] {
        let reason = RejectReason::UnknownOffer;
        let rejected = OrderRejected { origin: ORIGIN, client_order: ID, request, reason };
        let Outbound::ContractReport(report) = told(&Event::OrderRejected(rejected)) else {
            panic!("another report")
        };
        assert_eq!((report.state, report.reason, report.side), (state, 29, None));
        assert_eq!((report.client_order, report.offer.get()), (ID, 0));
    }
}

#[test]
fn pages_and_members_have_a_report_of_their_own() {
    let client_order = ID;
    let listed = MembersListed { origin: ORIGIN, client_order, page: 3, members: 60 };
    let refused = MemberRefused { origin: ORIGIN, client_order, meter: MeterId::new(8) };
    let (request, reason) = (Request::ListMembers, RejectReason::MembersInvalid);
    let rejected = OrderRejected { origin: ORIGIN, client_order, request, reason };
    let cases = [
        (Event::MembersListed(listed), (3, 60, 0, 0)),
        (Event::MemberRefused(refused), (0, 0, 8, 0)),
        (Event::OrderRejected(rejected), (0, 0, 0, 38)),
    ];
    for (event, expected) in cases {
        let Outbound::MembersReport(report) = told(&event) else { panic!("{event:?}") };
        assert_eq!(report.client_order, ID);
        let MembersReport { page, members, meter, reason, .. } = report;
        assert_eq!((page, members, meter.get(), reason), expected, "{event:?}");
    }
}

/// Two sessions, of which one asked for it: each is told of the last of its own requests, once.
#[test]
fn who_asked_is_told_what_is_applied_last_of_its_session() {
    let other = Origin { platform: PlatformId::new(8), session: SessionId::new(4) };
    let earlier = Origin { session: SessionId::new(2), ..ORIGIN };
    let sessions = Arc::new(Sessions::after(Seq::ZERO));
    let mut opened = [ORIGIN, other].map(|origin| {
        let (outbound, batches) = mpsc::channel(8);
        let session = SessionHandle::new(origin, outbound);
        sessions.open(&session);
        (session, batches)
    });
    let egress = Egress::new(Arc::clone(&sessions), Arc::default());
    let applied = |requests: &[(u64, Origin)]| {
        let requests = requests.to_vec();
        egress.tell_applied(requests.into_iter().map(|(number, origin)| {
            let client_order = ClientOrderId::new(100 + number);
            (origin, Applied { seq: Seq::new(number), client_order })
        }));
    };
    applied(&[(1, ORIGIN), (2, other)]);
    assert!(opened[0].1.try_recv().is_err(), "nobody asked");
    let (asking, _) = &opened[0];
    asking.tell_applied();
    let mut told = |which: usize| {
        let batches = std::iter::from_fn(|| opened[which].1.try_recv().ok());
        batches.flat_map(|batch| batch.payload).collect::<Vec<u8>>()
    };
    applied(&[(3, ORIGIN), (4, ORIGIN), (5, other), (6, ORIGIN), (7, other)]);
    let mut last = Vec::new();
    let client_order = ClientOrderId::new(106);
    Outbound::Applied(Applied { seq: Seq::new(6), client_order }).encode(&mut last);
    assert_eq!((told(0), told(1)), (last, Vec::<u8>::new()));
    applied(&[(8, earlier)]);
    assert_eq!(told(0), Vec::<u8>::new(), "of the session before it");
}
