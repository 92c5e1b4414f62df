//! Any message with any values its types can have.

mod feed;
mod market_data;

use proptest::{array, option, prelude::*, sample::select, string};
use types::{
    Action, AggregateOrder, AmendmentTerms, AuctionResult, ClientOrderId, Code, Conditions,
    ContractAmended, ContractTerms, Currency, Delegation, DeliverySlot, Digest, Energy, GridLimit,
    GridLimitSet, GridPlace, GridRefused, KeyId, Lead, ListKind, MarketDefinition, MarketId,
    Member, MeterId, MeterRegistration, NewMarket, NewOrder, OfferId, Operated, Operation, OrderId,
    OrderKind, OrderList, Origin, OwnerId, PAGE_MEMBERS_MAX, Party, PartyRegistration, Phase,
    PlaceNote, PlaceNoted, PlatformId, Power, Price, PriceRule, PublicKey, RejectReason, Remark,
    ReplaceOrder, RetailerId, Role, Scope, Seq, SessionId, ShardId, Side, Sides, Signature,
    SignedOperation, SlotAction, SlotKey, SlotPhaseChanged, TimeInForce, Timestamp, Trade,
    TradeBusted, TradeId, TradeSide, TradingControl, TradingState, UtilityId,
    shard::{NUMBER_MASK, SHARDS_MAX},
};

use crate::{
    FeedMessage, Inbound, MarketMessage, Outbound,
    data::{Answer, P2pQuery, QueryResult, Receipt},
    feed::{At, Place, Progress, Subscribe},
    inbound::{
        Accept, Amendment, AmendmentAccept, DeadMan, Delegate, Empty, FrameSignature, Logon,
        MassCancel, MembersPage, Offer, OfferRequest, OrderRequest, Reduce, ResumePoint, Revoke,
        SignedAggregate, SignedNew, SignedReplace, Test,
    },
    market::{
        BookChange, BookHead, Indicative, Level, Missed, PublicTrade, Selection, Subscribed,
        SubscriptionRejected,
    },
    outbound::{
        AmendmentInvitation, Applied, ContractInvitation, ContractReport, ContractState,
        DelegationReport, DelegationState, ExecType, ExecutionReport, MassCancelReport,
        MembersReport, MessageRejected, ResumeComplete, ResumeTooOld, SessionAccepted,
        SessionLimits, SessionRejected,
    },
};

pub(super) use feed::feed;
use feed::slot_phase;
pub(super) use market_data::market_data;

/// A number of any value in a type of its own.
fn number<Raw: Arbitrary, T: std::fmt::Debug>(new: fn(Raw) -> T) -> impl Strategy<Value = T> {
    any::<Raw>().prop_map(new)
}

fn shard() -> impl Strategy<Value = ShardId> {
    (0..SHARDS_MAX).prop_map(|index| ShardId::new(index).unwrap())
}

fn code<const N: usize>() -> impl Strategy<Value = Code<N>> {
    prop::collection::vec(b'!'..=b'~', 1..=N).prop_map(|bytes| {
        let mut padded = [0; N];
        padded[..bytes.len()].copy_from_slice(&bytes);
        Code::from_padded(padded).unwrap()
    })
}

fn currency() -> impl Strategy<Value = Currency> {
    (array::uniform3(b'A'..=b'Z'), 0_u8..=4)
        .prop_map(|(code, digits)| Currency::new(code, digits).unwrap())
}

fn side() -> impl Strategy<Value = Side> {
    select(vec![Side::Buy, Side::Sell])
}

fn reason() -> impl Strategy<Value = RejectReason> {
    select(RejectReason::ALL)
}

fn bytes<const N: usize, T: std::fmt::Debug>(new: fn([u8; N]) -> T) -> impl Strategy<Value = T> {
    prop::collection::vec(any::<u8>(), N).prop_map(move |bytes| new(bytes.try_into().unwrap()))
}

fn slot_key() -> impl Strategy<Value = SlotKey> {
    let durations: Vec<u16> = (5..=1_440).filter(|minutes| 1_440 % minutes == 0).collect();
    (any::<u16>(), 0..=153_000_000_u32, select(durations)).prop_map(|(market, start, minutes)| {
        let slot = DeliverySlot::new(start, minutes).unwrap();
        SlotKey { market: MarketId::new(market), slot }
    })
}

prop_compose! {
    fn conditions()(
        post_only in any::<bool>(),
        all_or_none in any::<bool>(),
        display in number(Energy::from_wh),
        minimum in number(Energy::from_wh),
        expires in number(Timestamp::from_ns),
    ) -> Conditions {
        Conditions { post_only, all_or_none, display, minimum, expires }
    }
}

prop_compose! {
    fn order_list()(
        kind in select(vec![ListKind::Single, ListKind::Block, ListKind::Basket]),
        orders in any::<u8>(),
        number in number(ClientOrderId::new),
    ) -> OrderList {
        OrderList { kind, orders, number }
    }
}

prop_compose! {
    fn new_order()(
        client_order in number(ClientOrderId::new),
        meter in number(MeterId::new),
        key in slot_key(),
        side in side(),
        kind in select(vec![OrderKind::Limit, OrderKind::Market]),
        time_in_force in select(vec![
            TimeInForce::UntilGate,
            TimeInForce::ImmediateOrCancel,
            TimeInForce::UntilTime,
            TimeInForce::FillOrKill,
        ]),
        limit in number(Price::from_micros),
        quantity in number(Energy::from_wh),
        valid_until in number(Timestamp::from_ns),
        conditions in conditions(),
        list in order_list(),
    ) -> NewOrder {
        NewOrder {
            client_order, meter, key, side, kind, time_in_force, limit, quantity, valid_until,
            conditions, list,
        }
    }
}

prop_compose! {
    fn order_request()(
        client_order in number(ClientOrderId::new),
        order in number(OrderId::new),
    ) -> OrderRequest {
        OrderRequest { client_order, order }
    }
}

prop_compose! {
    fn reduce()(
        client_order in number(ClientOrderId::new),
        order in number(OrderId::new),
        quantity in number(Energy::from_wh),
    ) -> Inbound {
        Inbound::ReduceOrder(Reduce { client_order, order, quantity })
    }
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        Just(Scope::All),
        number(PlatformId::new).prop_map(Scope::Platform),
        number(RetailerId::new).prop_map(Scope::Retailer),
        number(MeterId::new).prop_map(Scope::Meter),
        number(SessionId::new).prop_map(Scope::Session),
    ]
}

prop_compose! {
    fn mass_cancel()(
        client_order in number(ClientOrderId::new),
        slot in option::of(slot_key()),
        scope in scope(),
    ) -> Inbound {
        Inbound::MassCancel(MassCancel { client_order, slot, scope })
    }
}

prop_compose! {
    fn replace_order()(
        client_order in number(ClientOrderId::new),
        order in number(OrderId::new),
        meter in number(MeterId::new),
        limit in number(Price::from_micros),
        quantity in number(Energy::from_wh),
        valid_until in number(Timestamp::from_ns),
    ) -> ReplaceOrder {
        ReplaceOrder { client_order, order, meter, limit, quantity, valid_until }
    }
}

prop_compose! {
    fn delegation()(
        (number_of, meter, platform) in
            (any::<u64>(), number(MeterId::new), number(PlatformId::new)),
        market in number(MarketId::new),
        sides in select(vec![Sides::Buy, Sides::Sell, Sides::Both]),
        quantity_max in number(Energy::from_wh),
        buy_limit in number(Price::from_micros),
        sell_limit in number(Price::from_micros),
        valid_from in number(Timestamp::from_ns),
        valid_until in number(Timestamp::from_ns),
        key in number(KeyId::new),
    ) -> Delegation {
        Delegation {
            number: number_of, meter, platform, market, sides, quantity_max, buy_limit,
            sell_limit, valid_from, valid_until, key,
        }
    }
}

prop_compose! {
    fn revoke()(
        client_order in number(ClientOrderId::new),
        number_of in any::<u64>(),
        meter in number(MeterId::new),
        signature in option::of(Just(Signature::new([9; 64]))),
    ) -> Inbound {
        Inbound::RevokeDelegation(Revoke { client_order, number: number_of, meter, signature })
    }
}

prop_compose! {
    fn delegation_report()(
        seq in number(Seq::new),
        time in number(Timestamp::from_ns),
        client_order in number(ClientOrderId::new),
        number_of in any::<u64>(),
        meter in number(MeterId::new),
        reason in any::<u16>(),
        state in select(&DelegationState::ALL[..]),
    ) -> Outbound {
        Outbound::DelegationReport(DelegationReport {
            seq, time, client_order, number: number_of, meter, reason, state,
        })
    }
}

prop_compose! {
    fn logon()(
        heartbeat_ms in any::<u32>(),
        shard in shard(),
        resume in option::of((number(Seq::new), any::<u32>())),
        cancel_after_ms in any::<u32>(),
        tell_applied in any::<bool>(),
    ) -> Inbound {
        let resume = resume.map(|(seq, reports)| ResumePoint { seq, reports });
        Inbound::Logon(Logon { heartbeat_ms, shard, resume, cancel_after_ms, tell_applied })
    }
}

prop_compose! {
    fn contract_terms()(
        key in slot_key(),
        (buyer, seller) in (number(MeterId::new), number(MeterId::new)),
        price in number(Price::from_micros),
        quantity in number(Energy::from_wh),
        reference in any::<u64>(),
        expires in number(Timestamp::from_ns),
    ) -> ContractTerms {
        ContractTerms { key, buyer, seller, price, quantity, reference, expires }
    }
}

prop_compose! {
    fn amendment_terms()(
        terms in contract_terms(),
        trade in number(TradeId::new),
        version in any::<u32>(),
        new_key in slot_key(),
        new_quantity in number(Energy::from_wh),
    ) -> AmendmentTerms {
        let ContractTerms { key, buyer, seller, price, quantity, reference, expires } = terms;
        AmendmentTerms {
            trade, version, key, buyer, seller, price, quantity, new_slot: new_key.slot,
            new_quantity, reference, expires,
        }
    }
}

prop_compose! {
    fn amended()(
        terms in amendment_terms(),
        (platform, session) in (number(PlatformId::new), number(SessionId::new)),
        (client_order, offered_as) in (number(ClientOrderId::new), number(ClientOrderId::new)),
        offer in number(OfferId::new),
        offerer in number(PlatformId::new),
        offered_by in side(),
    ) -> ContractAmended {
        let origin = Origin { platform, session };
        ContractAmended { origin, client_order, offer, offerer, offered_as, offered_by, terms }
    }
}

prop_compose! {
    fn offer_request()(
        client_order in number(ClientOrderId::new),
        offer in number(OfferId::new),
    ) -> OfferRequest {
        OfferRequest { client_order, offer }
    }
}

fn members() -> impl Strategy<Value = [Member; PAGE_MEMBERS_MAX]> {
    array::uniform16((number(MeterId::new), any::<u32>()))
        .prop_map(|members| members.map(|(meter, wh)| Member::new(meter, wh)))
}

prop_compose! {
    fn aggregate_order()(
        client_order in number(ClientOrderId::new),
        key in slot_key(),
        side in side(),
        time_in_force in select(vec![
            TimeInForce::UntilGate,
            TimeInForce::ImmediateOrCancel,
            TimeInForce::UntilTime,
        ]),
        limit in number(Price::from_micros),
        quantity in number(Energy::from_wh),
        valid_until in number(Timestamp::from_ns),
        members in any::<u16>(),
        list in bytes(Digest::new),
    ) -> AggregateOrder {
        AggregateOrder {
            client_order, key, side, time_in_force, limit, quantity, valid_until, members, list,
        }
    }
}

prop_compose! {
    fn members_report()(
        seq in number(Seq::new),
        time in number(Timestamp::from_ns),
        client_order in number(ClientOrderId::new),
        meter in number(MeterId::new),
        (page, members, reason) in (any::<u16>(), any::<u16>(), any::<u16>()),
    ) -> Outbound {
        Outbound::MembersReport(MembersReport {
            seq, time, client_order, meter, page, members, reason,
        })
    }
}

prop_compose! {
    fn contract_report()(
        seq in number(Seq::new),
        time in number(Timestamp::from_ns),
        client_order in number(ClientOrderId::new),
        offer in number(OfferId::new),
        trade in number(TradeId::new),
        reason in any::<u16>(),
        state in select(&ContractState::ALL[..]),
        side in option::of(side()),
    ) -> Outbound {
        Outbound::ContractReport(ContractReport {
            seq, time, client_order, offer, trade, reason, state, side,
        })
    }
}

#[expect(clippy::too_many_lines, reason = "one of each kind")]
pub(super) fn inbound() -> impl Strategy<Value = Inbound> {
    prop_oneof![
        logon(),
        Just(Inbound::Logout(Empty)),
        Just(Inbound::Heartbeat(Empty)),
        (new_order(), bytes(Signature::new))
            .prop_map(|(order, signature)| { Inbound::NewOrder(SignedNew { order, signature }) }),
        (new_order(), bytes(Signature::new)).prop_map(|(order, signature)| {
            Inbound::ValidateOrder(SignedNew { order, signature })
        }),
        order_request().prop_map(Inbound::StatusRequest),
        order_request().prop_map(Inbound::CancelOrder),
        (replace_order(), bytes(Signature::new)).prop_map(|(replace, signature)| {
            Inbound::ReplaceOrder(SignedReplace { replace, signature })
        }),
        any::<u64>().prop_map(|token| Inbound::TestRequest(Test { token })),
        reduce(),
        order_request().prop_map(Inbound::HibernateOrder),
        order_request().prop_map(Inbound::ActivateOrder),
        mass_cancel(),
        (number(ClientOrderId::new), delegation(), bytes(Signature::new)).prop_map(
            |(client_order, delegation, signature)| Inbound::DelegateMeter(Delegate {
                client_order,
                delegation,
                signature,
            })
        ),
        revoke(),
        (bytes(Signature::new), number(KeyId::new), any::<u16>()).prop_map(
            |(signature, key, orders)| Inbound::FrameSignature(FrameSignature {
                signature,
                key,
                orders,
            })
        ),
        new_order().prop_map(Inbound::DelegatedOrder),
        replace_order().prop_map(Inbound::DelegatedReplace),
        any::<u32>().prop_map(|after_ms| Inbound::SetDeadMan(DeadMan { after_ms })),
        (number(ClientOrderId::new), contract_terms(), bytes(Signature::new), side()).prop_map(
            |(client_order, terms, signature, offered_by)| Inbound::OfferContract(Offer {
                client_order,
                terms,
                signature,
                offered_by,
            })
        ),
        (number(OfferId::new), contract_terms(), bytes(Signature::new), side()).prop_map(
            |(offer, terms, signature, accepted_by)| Inbound::AcceptContract(Accept {
                client_order: ClientOrderId::new(offer.get() ^ 1),
                offer,
                terms,
                signature,
                accepted_by,
            })
        ),
        offer_request().prop_map(Inbound::DeclineContract),
        offer_request().prop_map(Inbound::WithdrawContract),
        (number(ClientOrderId::new), amendment_terms(), bytes(Signature::new), side()).prop_map(
            |(client_order, terms, signature, offered_by)| Inbound::OfferAmendment(Amendment {
                client_order,
                terms,
                signature,
                offered_by,
            })
        ),
        (number(OfferId::new), amendment_terms(), bytes(Signature::new), side()).prop_map(
            |(offer, terms, signature, accepted_by)| Inbound::AcceptAmendment(AmendmentAccept {
                client_order: ClientOrderId::new(offer.get() ^ 1),
                offer,
                terms,
                signature,
                accepted_by,
            })
        ),
        (number(ClientOrderId::new), any::<u16>(), members()).prop_map(
            |(client_order, page, members)| Inbound::AggregateMembers(MembersPage {
                client_order,
                page,
                members,
            })
        ),
        (aggregate_order(), bytes(Signature::new)).prop_map(|(order, signature)| {
            Inbound::NewAggregateOrder(SignedAggregate { order, signature })
        }),
    ]
}

prop_compose! {
    fn session_accepted()(
        session in number(SessionId::new),
        platform in number(PlatformId::new),
        frame_messages_max in any::<u16>(),
        heartbeat_ms in any::<u32>(),
        shard in shard(),
        last_shard in shard(),
        last_seq in number(Seq::new),
    ) -> Outbound {
        Outbound::SessionAccepted(SessionAccepted {
            session, platform, frame_messages_max, heartbeat_ms, shard, last_shard, last_seq,
        })
    }
}

prop_compose! {
    fn message_rejected()(
        frame in any::<u64>(),
        client_order in number(ClientOrderId::new),
        index in any::<u16>(),
        reason in reason(),
        limit in any::<u32>(),
    ) -> Outbound {
        Outbound::MessageRejected(MessageRejected { frame, client_order, index, reason, limit })
    }
}

prop_compose! {
    fn execution_report()(
        seq in number(Seq::new),
        time in number(Timestamp::from_ns),
        client_order in number(ClientOrderId::new),
        order in number(OrderId::new),
        trade in number(TradeId::new),
        price in number(Price::from_micros),
        quantity in number(Energy::from_wh),
        leaves in number(Energy::from_wh),
        meter in number(MeterId::new),
        reason in any::<u16>(),
        exec_type in select(&ExecType::ALL[..]),
        side in option::of(side()),
    ) -> Outbound {
        Outbound::ExecutionReport(ExecutionReport {
            seq, time, client_order, order, trade, price, quantity, leaves, meter, reason,
            exec_type, side,
        })
    }
}

prop_compose! {
    fn mass_cancel_report()(
        seq in number(Seq::new),
        time in number(Timestamp::from_ns),
        client_order in number(ClientOrderId::new),
        cancelled in any::<u32>(),
        scope in scope(),
        complete in any::<bool>(),
    ) -> Outbound {
        Outbound::MassCancelled(MassCancelReport {
            seq, time, client_order, cancelled, scope, complete,
        })
    }
}

prop_compose! {
    fn session_limits()(
        (orders_per_s, orders_burst) in any::<(u32, u32)>(),
        (cancels_per_s, cancels_burst) in any::<(u32, u32)>(),
        open_requests in any::<u32>(),
        frame_messages in any::<u16>(),
    ) -> Outbound {
        Outbound::SessionLimits(SessionLimits {
            orders_per_s, orders_burst, cancels_per_s, cancels_burst, open_requests, frame_messages,
        })
    }
}

pub(super) fn outbound() -> impl Strategy<Value = Outbound> {
    prop_oneof![
        session_accepted(),
        reason().prop_map(|reason| Outbound::SessionRejected(SessionRejected { reason })),
        Just(Outbound::Heartbeat(Empty)),
        Just(Outbound::LoggedOut(Empty)),
        execution_report(),
        message_rejected(),
        Just(Outbound::GoingAway(Empty)),
        any::<u64>().prop_map(|token| Outbound::TestReply(Test { token })),
        mass_cancel_report(),
        delegation_report(),
        number(Seq::new)
            .prop_map(|through| { Outbound::ResumeComplete(ResumeComplete { through }) }),
        (number(Seq::new), number(Seq::new)).prop_map(|(first_seq, through)| {
            Outbound::ResumeTooOld(ResumeTooOld { first_seq, through })
        }),
        session_limits(),
        any::<u32>().prop_map(|after_ms| Outbound::DeadManSet(DeadMan { after_ms })),
        (number(Seq::new), number(ClientOrderId::new))
            .prop_map(|(seq, client_order)| { Outbound::Applied(Applied { seq, client_order }) }),
        contract_report(),
        members_report(),
        (number(Seq::new), number(Timestamp::from_ns), number(OfferId::new), contract_terms())
            .prop_map(|(seq, time, offer, terms)| Outbound::ContractInvitation(
                ContractInvitation {
                    seq,
                    time,
                    offer,
                    terms,
                    signature: Signature::new([3; 64]),
                    offered_by: Side::Sell,
                }
            )),
        (number(Seq::new), number(Timestamp::from_ns), number(OfferId::new), amendment_terms())
            .prop_map(|(seq, time, offer, terms)| Outbound::AmendmentInvitation(
                AmendmentInvitation {
                    seq,
                    time,
                    offer,
                    terms,
                    signature: Signature::new([3; 64]),
                    offered_by: Side::Buy,
                }
            )),
    ]
}

prop_compose! {
    fn indicative()(
        price in option::of(number(Price::from_micros)),
        volume in number(Energy::from_wh),
        surplus_wh in any::<i64>(),
    ) -> Indicative {
        Indicative { price, volume, surplus_wh }
    }
}

prop_compose! {
    fn book_head()(
        moved in slot_phase(),
        revision in number(Seq::new),
        time in number(Timestamp::from_ns),
        last in option::of(number(Price::from_micros)),
        indicative in option::of(indicative()),
        levels in any::<u16>(),
    ) -> BookHead {
        let SlotPhaseChanged { key, phase } = moved;
        BookHead { key, revision, time, last, indicative, phase, levels }
    }
}

prop_compose! {
    fn level()(
        price in number(Price::from_micros),
        quantity in number(Energy::from_wh),
        orders in any::<u32>(),
        side in side(),
    ) -> MarketMessage {
        MarketMessage::Level(Level { price, quantity, orders, side })
    }
}

prop_compose! {
    fn missed()(
        slot in option::of(slot_key()),
        after in number(Seq::new),
        through in number(Seq::new),
        (trades, events) in (any::<u64>(), any::<u64>()),
        traded in number(Energy::from_wh),
    ) -> MarketMessage {
        MarketMessage::Missed(Missed { slot, after, through, trades, traded, events })
    }
}

pub(super) fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        (bytes(Digest::new), any::<u32>(), any::<u16>()).prop_map(|(digest, accepted, reason)| {
            Answer::Receipt(Receipt { digest, accepted, reason })
        }),
        any::<u16>().prop_map(|reason| Answer::QueryResult(QueryResult { reason })),
    ]
}

prop_compose! {
    pub(super) fn p2p_query()(
        from in number(Timestamp::from_ns),
        to in number(Timestamp::from_ns),
        meter in number(MeterId::new),
    ) -> P2pQuery {
        P2pQuery { from, to, meter }
    }
}
