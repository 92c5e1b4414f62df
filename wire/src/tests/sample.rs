//! One message of each kind with fixed values: what the golden files hold. Every field has a value of
//! its own, so that exchanged fields show.

use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest as _, Sha256};
use types::{
    Action, AggregateOrder, AmendmentTerms, AuctionResult, ClientOrderId, Code, Conditions,
    ContractAmended, ContractTerms, Currency, Delegation, DeliverySlot, Digest, Energy, GridLimit,
    GridLimitSet, GridPlace, GridRefused, KeyId, Lead, ListKind, MarketDefinition, MarketId,
    Member, MeterId, MeterRegistration, NewOrder, OfferId, Operated, Operation, OrderId, OrderKind,
    OrderList, Origin, OwnerId, PAGE_MEMBERS_MAX, Party, PartyRegistration, Phase, PlaceNote,
    PlaceNoted, PlatformId, Power, Price, PriceRule, PublicKey, RejectReason, Remark, ReplaceOrder,
    RetailerId, Role, Scope, Seq, SessionId, ShardId, Side, Sides, Signature, SignedOperation,
    SlotKey, SlotPhaseChanged, TimeInForce, Timestamp, Trade, TradeBusted, TradeId, TradeSide,
    TradingControl, TradingState, UtilityId, members_listing,
};

use crate::{
    FeedMessage, Inbound, MarketMessage, Outbound,
    data::{Answer, QueryResult, Receipt},
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
    signing,
};

/// 2026-06-01T12:00:00Z for one hour, in market 1.
pub(super) fn slot() -> SlotKey {
    let slot = DeliverySlot::new(29_671_920, 60).unwrap();
    SlotKey { market: MarketId::new(1), slot }
}

/// Sell 2 kWh at 4.50 or better; signature valid until 2026-06-01T08:00:00Z.
pub(super) fn new_order() -> NewOrder {
    NewOrder {
        client_order: ClientOrderId::new(1_001),
        meter: MeterId::new(42),
        key: slot(),
        side: Side::Sell,
        kind: OrderKind::Limit,
        time_in_force: TimeInForce::UntilGate,
        limit: Price::from_micros(4_500_000),
        quantity: Energy::from_wh(2_000),
        valid_until: Timestamp::from_ns(1_780_300_800_000_000_000),
        conditions: Conditions::NONE,
        list: OrderList::NONE,
    }
}

/// An order in which nothing is left out, so that every byte of the layout is seen to matter. No
/// exchange would accept it.
pub(super) fn crowded_order() -> NewOrder {
    NewOrder {
        kind: OrderKind::Market,
        time_in_force: TimeInForce::UntilTime,
        conditions: Conditions {
            post_only: false,
            all_or_none: true,
            display: Energy::from_wh(300),
            minimum: Energy::from_wh(700),
            expires: Timestamp::from_ns(1_780_299_900_000_000_000),
        },
        list: OrderList { kind: ListKind::Basket, orders: 96, number: ClientOrderId::new(55) },
        ..new_order()
    }
}

fn replace_order() -> ReplaceOrder {
    ReplaceOrder {
        client_order: ClientOrderId::new(1_002),
        order: OrderId::new(77),
        meter: MeterId::new(42),
        limit: Price::from_micros(-250_000),
        quantity: Energy::from_wh(1_500),
        valid_until: Timestamp::from_ns(1_780_300_800_000_000_001),
    }
}

/// The meter's key in every example.
pub(super) fn meter_key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn sign(bytes: &[u8]) -> Signature {
    Signature::new(meter_key().sign(bytes).to_bytes())
}

pub(super) fn signed_new() -> SignedNew {
    signed(new_order())
}

pub(super) fn signed(order: NewOrder) -> SignedNew {
    let mut bytes = Vec::new();
    signing::new_order(&order, &mut bytes);
    SignedNew { order, signature: sign(&bytes) }
}

fn signed_replace() -> SignedReplace {
    let replace = replace_order();
    let mut bytes = Vec::new();
    signing::replace_order(&replace, &mut bytes);
    SignedReplace { replace, signature: sign(&bytes) }
}

/// Meter 42 lets platform 7 buy up to 2 kWh at 5.00 or less and sell at 4.00 or more in market 1, on
/// the first of June 2026.
fn delegation() -> Delegation {
    Delegation {
        number: 3,
        meter: MeterId::new(42),
        platform: PlatformId::new(7),
        market: MarketId::new(1),
        sides: Sides::Both,
        quantity_max: Energy::from_wh(2_000),
        buy_limit: Price::from_micros(5_000_000),
        sell_limit: Price::from_micros(4_000_000),
        valid_from: Timestamp::from_ns(1_780_272_000_000_000_000),
        valid_until: Timestamp::from_ns(1_780_358_399_999_999_999),
        key: key_id(&meter_key()),
    }
}

fn key_id(key: &SigningKey) -> KeyId {
    PublicKey::new(key.verifying_key().to_bytes()).id()
}

/// The platform's key in every example.
pub(super) fn platform_key() -> SigningKey {
    SigningKey::from_bytes(&[8; 32])
}

fn delegate() -> Inbound {
    let delegation = delegation();
    let mut bytes = Vec::new();
    signing::delegation(&delegation, &mut bytes);
    let client_order = ClientOrderId::new(1_009);
    Inbound::DelegateMeter(Delegate { client_order, delegation, signature: sign(&bytes) })
}

fn revoke() -> Inbound {
    let (meter, number) = (MeterId::new(42), 3);
    let mut bytes = Vec::new();
    signing::revocation(meter, number, &mut bytes);
    let client_order = ClientOrderId::new(1_010);
    Inbound::RevokeDelegation(Revoke { client_order, number, meter, signature: Some(sign(&bytes)) })
}

/// Of platform 7, over the two messages that follow it in the examples.
fn frame_signature() -> Inbound {
    let mut covered = Vec::new();
    signing::delegated_order(&new_order(), &mut covered);
    signing::delegated_replace(&replace_order(), &mut covered);
    let digest = Digest::new(Sha256::digest(&covered).into());
    let (key, orders) = (key_id(&platform_key()), 2);
    let mut bytes = Vec::new();
    signing::frame(PlatformId::new(7), key, orders, &digest, &mut bytes);
    let signature = Signature::new(platform_key().sign(&bytes).to_bytes());
    Inbound::FrameSignature(FrameSignature { signature, key, orders })
}

/// A signed frame: a signature and what it covers.
pub(super) fn signed_frame() -> [Inbound; 3] {
    let replace = Inbound::DelegatedReplace(replace_order());
    [frame_signature(), Inbound::DelegatedOrder(new_order()), replace]
}

fn order_request(client_order: u64) -> OrderRequest {
    OrderRequest { client_order: ClientOrderId::new(client_order), order: OrderId::new(77) }
}

pub(super) fn inbound() -> Vec<Inbound> {
    vec![
        Inbound::Logon(Logon {
            heartbeat_ms: 5_000,
            shard: ShardId::FIRST,
            resume: Some(ResumePoint { seq: Seq::new(8_990), reports: 2 }),
            cancel_after_ms: 30_000,
            tell_applied: true,
        }),
        Inbound::Logout(Empty),
        Inbound::Heartbeat(Empty),
        Inbound::NewOrder(signed_new()),
        Inbound::CancelOrder(order_request(1_003)),
        Inbound::ReplaceOrder(signed_replace()),
        Inbound::TestRequest(Test { token: 0x0102_0304_0506_0708 }),
        Inbound::ReduceOrder(Reduce {
            client_order: ClientOrderId::new(1_005),
            order: OrderId::new(77),
            quantity: Energy::from_wh(500),
        }),
        Inbound::HibernateOrder(order_request(1_006)),
        Inbound::ActivateOrder(order_request(1_007)),
        Inbound::MassCancel(MassCancel {
            client_order: ClientOrderId::new(1_008),
            slot: Some(slot()),
            scope: Scope::Meter(MeterId::new(42)),
        }),
        delegate(),
        revoke(),
        frame_signature(),
        Inbound::DelegatedOrder(new_order()),
        Inbound::DelegatedReplace(replace_order()),
        Inbound::ValidateOrder(signed_new()),
        Inbound::StatusRequest(order_request(1_011)),
        Inbound::SetDeadMan(DeadMan { after_ms: 10_000 }),
        Inbound::OfferContract(Offer {
            client_order: ClientOrderId::new(1_011),
            terms: contract_terms(),
            signature: signed_contract(),
            offered_by: Side::Sell,
        }),
        Inbound::AcceptContract(Accept {
            client_order: ClientOrderId::new(1_012),
            offer: OfferId::new(5),
            terms: contract_terms(),
            signature: signed_contract(),
            accepted_by: Side::Sell,
        }),
        Inbound::DeclineContract(offer_request(1_013)),
        Inbound::WithdrawContract(offer_request(1_014)),
        Inbound::OfferAmendment(Amendment {
            client_order: ClientOrderId::new(1_015),
            terms: amendment_terms(),
            signature: signed_amendment(),
            offered_by: Side::Buy,
        }),
        Inbound::AcceptAmendment(AmendmentAccept {
            client_order: ClientOrderId::new(1_016),
            offer: OfferId::new(6),
            terms: amendment_terms(),
            signature: signed_amendment(),
            accepted_by: Side::Sell,
        }),
        Inbound::AggregateMembers(members_page()),
        Inbound::NewAggregateOrder(signed_aggregate()),
    ]
}

/// Meter 42 gives 1.5 kWh, meter 44 half a kWh.
fn members() -> [Member; 2] {
    [Member::new(MeterId::new(42), 1_500), Member::new(MeterId::new(44), 500)]
}

fn members_page() -> MembersPage {
    let mut page = [Member::default(); PAGE_MEMBERS_MAX];
    page[..2].copy_from_slice(&members());
    MembersPage { client_order: ClientOrderId::new(1_015), page: 3, members: page }
}

/// Those two sell 2 kWh at 4.50 or better; signature valid until 2026-06-01T08:00:00Z.
fn signed_aggregate() -> SignedAggregate {
    let order = AggregateOrder {
        client_order: ClientOrderId::new(1_015),
        key: slot(),
        side: Side::Sell,
        time_in_force: TimeInForce::UntilTime,
        limit: Price::from_micros(4_500_000),
        quantity: Energy::from_wh(2_000),
        valid_until: Timestamp::from_ns(1_780_300_800_000_000_000),
        members: 2,
        list: Digest::new(Sha256::digest(members_listing(&members())).into()),
    };
    let mut bytes = Vec::new();
    signing::aggregate(PlatformId::new(7), &order, &mut bytes);
    SignedAggregate { order, signature: Signature::new(platform_key().sign(&bytes).to_bytes()) }
}

fn contract_report() -> Outbound {
    Outbound::ContractReport(ContractReport {
        seq: Seq::new(9_004),
        time: Timestamp::from_ns(1_780_300_000_123_456_792),
        client_order: ClientOrderId::new(1_012),
        offer: OfferId::new(5),
        trade: TradeId::new(34),
        reason: 31,
        state: ContractState::AcceptRefused,
        side: Some(Side::Buy),
    })
}

fn contract_invitation() -> Outbound {
    Outbound::ContractInvitation(ContractInvitation {
        seq: Seq::new(9_005),
        time: Timestamp::from_ns(1_780_300_000_123_456_793),
        offer: OfferId::new(5),
        terms: contract_terms(),
        signature: signed_contract(),
        offered_by: Side::Sell,
    })
}

/// Meter 42 gives meter 43 half a kWh at 4.20; signatures valid until 2026-06-01T08:00:00Z.
fn contract_terms() -> ContractTerms {
    ContractTerms {
        key: slot(),
        buyer: MeterId::new(43),
        seller: MeterId::new(42),
        price: Price::from_micros(4_200_000),
        quantity: Energy::from_wh(500),
        reference: 0x0102_0304_0506_0709,
        expires: Timestamp::from_ns(1_780_300_800_000_000_000),
    }
}

fn signed_contract() -> Signature {
    let mut bytes = Vec::new();
    signing::contract(&contract_terms(), &mut bytes);
    sign(&bytes)
}

/// Meter 43 asks meter 42 to take 300 Wh of trade 33 instead, a slot later.
fn amendment_terms() -> AmendmentTerms {
    let ContractTerms { key, buyer, seller, price, quantity, reference, expires } =
        contract_terms();
    let start = key.slot.start_minute() + u32::from(key.slot.minutes());
    AmendmentTerms {
        trade: TradeId::new(33),
        version: 2,
        key,
        buyer,
        seller,
        price,
        quantity,
        new_slot: DeliverySlot::new(start, key.slot.minutes()).unwrap(),
        new_quantity: Energy::from_wh(300),
        reference,
        expires,
    }
}

fn signed_amendment() -> Signature {
    let mut bytes = Vec::new();
    signing::amendment(&amendment_terms(), &mut bytes);
    sign(&bytes)
}

fn amended() -> ContractAmended {
    ContractAmended {
        origin: Origin { platform: PlatformId::new(7), session: SessionId::new(12) },
        client_order: ClientOrderId::new(1_016),
        offer: OfferId::new(6),
        offerer: PlatformId::new(8),
        offered_as: ClientOrderId::new(1_015),
        offered_by: Side::Buy,
        terms: amendment_terms(),
    }
}

fn offer_request(client_order: u64) -> OfferRequest {
    OfferRequest { client_order: ClientOrderId::new(client_order), offer: OfferId::new(5) }
}

fn execution_report() -> ExecutionReport {
    ExecutionReport {
        seq: Seq::new(9_001),
        time: Timestamp::from_ns(1_780_300_000_123_456_789),
        client_order: ClientOrderId::new(1_001),
        order: OrderId::new(77),
        trade: TradeId::new(33),
        price: Price::from_micros(4_600_000),
        quantity: Energy::from_wh(500),
        leaves: Energy::from_wh(1_500),
        meter: MeterId::new(42),
        reason: RejectReason::Busy.code(),
        exec_type: ExecType::Trade,
        side: Some(Side::Sell),
    }
}

#[expect(clippy::too_many_lines, reason = "one of each kind")]
pub(super) fn outbound() -> Vec<Outbound> {
    vec![
        Outbound::SessionAccepted(SessionAccepted {
            session: SessionId::new(12),
            platform: PlatformId::new(7),
            frame_messages_max: 256,
            heartbeat_ms: 5_000,
            shard: ShardId::FIRST,
            last_shard: ShardId::FIRST,
            last_seq: Seq::new(9_000),
        }),
        Outbound::SessionRejected(SessionRejected { reason: RejectReason::UnexpectedMessage }),
        Outbound::Heartbeat(Empty),
        Outbound::LoggedOut(Empty),
        Outbound::ExecutionReport(execution_report()),
        Outbound::MessageRejected(MessageRejected {
            frame: 3,
            client_order: ClientOrderId::new(1_004),
            index: 17,
            reason: RejectReason::Throttled,
            limit: 500,
        }),
        Outbound::GoingAway(Empty),
        Outbound::TestReply(Test { token: 0x0102_0304_0506_0708 }),
        Outbound::MassCancelled(MassCancelReport {
            seq: Seq::new(9_001),
            time: Timestamp::from_ns(1_780_300_000_123_456_789),
            client_order: ClientOrderId::new(1_008),
            cancelled: 262_144,
            scope: Scope::Meter(MeterId::new(42)),
            complete: true,
        }),
        Outbound::Applied(Applied {
            seq: Seq::new(9_002),
            client_order: ClientOrderId::new(1_001),
        }),
        Outbound::DelegationReport(DelegationReport {
            seq: Seq::new(9_003),
            time: Timestamp::from_ns(1_780_300_000_123_456_791),
            client_order: ClientOrderId::new(1_009),
            number: 3,
            meter: MeterId::new(42),
            reason: 28,
            state: DelegationState::Refused,
        }),
        Outbound::ResumeComplete(ResumeComplete { through: Seq::new(9_001) }),
        Outbound::ResumeTooOld(ResumeTooOld {
            first_seq: Seq::new(8_991),
            through: Seq::new(9_001),
        }),
        Outbound::SessionLimits(SessionLimits {
            orders_per_s: 500,
            orders_burst: 1_000,
            cancels_per_s: 2_000,
            cancels_burst: 4_000,
            open_requests: 65_536,
            frame_messages: 256,
        }),
        Outbound::DeadManSet(DeadMan { after_ms: 10_000 }),
        contract_report(),
        contract_invitation(),
        Outbound::AmendmentInvitation(AmendmentInvitation {
            seq: Seq::new(9_006),
            time: Timestamp::from_ns(1_780_300_000_123_456_794),
            offer: OfferId::new(6),
            terms: amendment_terms(),
            signature: signed_amendment(),
            offered_by: Side::Buy,
        }),
        Outbound::MembersReport(MembersReport {
            seq: Seq::new(9_006),
            time: Timestamp::from_ns(1_780_300_000_123_456_794),
            client_order: ClientOrderId::new(1_015),
            meter: MeterId::new(44),
            page: 3,
            members: 50,
            reason: 38,
        }),
    ]
}

fn at<T>(index: u32, body: T) -> At<T> {
    let time = Timestamp::from_ns(1_780_300_000_123_456_789);
    At { place: Place { seq: Seq::new(9_001), time, index }, body }
}

pub(super) fn market() -> MarketDefinition {
    MarketDefinition {
        market: MarketId::new(1),
        area: Code::new("IN-DL").unwrap(),
        time_zone: Code::new("Asia/Kolkata").unwrap(),
        currency: Currency::from_iso("INR").unwrap(),
        slot_minutes: 60,
        price_min: Price::from_micros(-1_000_000),
        price_max: Price::from_micros(10_000_000),
        tick: Price::from_micros(10_000),
        lot: Energy::from_wh(10),
        quantity_max: Energy::from_wh(1_000_000),
        opening_lead: Lead::from_minutes(1_440),
        gate_lead: Lead::from_minutes(240),
        price_rule: PriceRule::T7Clamp,
    }
}

fn party() -> PartyRegistration {
    PartyRegistration {
        party: Party { role: Role::Utility, number: 9 },
        code: Code::new("DELHI-WIRES").unwrap(),
        key: PublicKey::new([0xa5; 32]),
    }
}

fn meter() -> MeterRegistration {
    MeterRegistration {
        meter: MeterId::new(42),
        code: Code::new("LV1-42").unwrap(),
        platform: PlatformId::new(7),
        retailer: RetailerId::new(8),
        utility: UtilityId::new(9),
        owner: OwnerId::new(61),
        key: PublicKey::new(meter_key().verifying_key().to_bytes()),
        injection_max: Power::from_w(5_000),
        withdrawal_max: Power::from_w(11_000),
    }
}

fn trade() -> Trade {
    Trade {
        trade: TradeId::new(33),
        key: slot(),
        price: Price::from_micros(4_600_000),
        quantity: Energy::from_wh(500),
        buy: TradeSide {
            order: OrderId::new(78),
            client_order: ClientOrderId::new(501),
            meter: MeterId::new(43),
            platform: PlatformId::new(6),
            leaves: Energy::ZERO,
        },
        sell: TradeSide {
            order: OrderId::new(77),
            client_order: ClientOrderId::new(1_001),
            meter: MeterId::new(42),
            platform: PlatformId::new(7),
            leaves: Energy::from_wh(1_500),
        },
        maker: Some(Side::Sell),
    }
}

fn auction() -> AuctionResult {
    AuctionResult {
        key: slot(),
        rule: PriceRule::T7Clamp,
        price: Some(Price::from_micros(4_600_000)),
        volume: Energy::from_wh(12_500),
        surplus_wh: -500,
        reference: Some(Price::from_micros(4_700_000)),
        candidates: 11,
        clamped: true,
        book: Digest::new([0xb0; 32]),
    }
}

fn place_noted() -> PlaceNoted {
    let (zone, feeder) = (Code::new("NORTH").ok(), None);
    PlaceNoted {
        note: PlaceNote {
            number: 7,
            meter: MeterId::new(17),
            from_minute: 29_000_040,
            revision: 2,
            zone,
            feeder,
        },
        cancelled: 3,
        complete: true,
    }
}

fn limit_set() -> GridLimitSet {
    GridLimitSet {
        limit: GridLimit {
            number: 8,
            place: GridPlace {
                utility: UtilityId::new(1),
                zone: Code::new("NORTH").unwrap(),
                feeder: Code::new("F7").ok(),
            },
            side: Side::Sell,
            slot: slot().slot,
            limit: Energy::from_wh(50_000),
            revision: 1,
        },
        used: Energy::from_wh(42_000),
        cancelled: 0,
        complete: true,
    }
}

pub(super) fn feed() -> Vec<FeedMessage> {
    let closed = SlotPhaseChanged { key: slot(), phase: Phase::Closed };
    vec![
        FeedMessage::Subscribe(Subscribe { shard: ShardId::FIRST, after: Seq::new(9_000) }),
        FeedMessage::Progress(Progress { through: Seq::new(9_001) }),
        FeedMessage::GoingAway(Empty),
        FeedMessage::MarketDefined(at(0, market())),
        FeedMessage::PartyRegistered(at(0, party())),
        FeedMessage::MeterRegistered(at(0, meter())),
        FeedMessage::SlotPhaseChanged(at(4, closed)),
        FeedMessage::Trade(at(1, trade())),
        FeedMessage::AuctionUncrossed(at(0, auction())),
        FeedMessage::ContractAmended(at(0, amended())),
        FeedMessage::PlaceNoted(at(0, place_noted())),
        FeedMessage::GridLimitSet(at(2, limit_set())),
        FeedMessage::GridRefused(at(
            0,
            GridRefused { number: 9, reason: RejectReason::RevisionOutdated },
        )),
        FeedMessage::Operated(at(0, operated())),
        FeedMessage::TradeBusted(at(1, busted())),
    ]
}

fn busted() -> TradeBusted {
    TradeBusted {
        trade: TradeId::new(77),
        version: 2,
        key: slot(),
        buyer: MeterId::new(1_002),
        seller: MeterId::new(1_001),
        price: Price::from_micros(182_500),
        quantity: Energy::from_wh(5_000),
        buyer_platform: PlatformId::new(4),
        seller_platform: PlatformId::new(3),
    }
}

pub(super) fn operated() -> Operated {
    let scope = Scope::Platform(PlatformId::new(7));
    let operation = Operation {
        operator: 1,
        number: 5,
        action: Action::SetTrading(TradingControl { scope, state: TradingState::Killed }),
        valid_until: Timestamp::from_minutes(29_671_980),
        reason: Remark::new("its certificate has leaked").unwrap(),
    };
    let signature = Signature::new([0x5a; 64]);
    Operated { signed: SignedOperation { operation, signer: 2, signature }, took_effect: true }
}

fn book_head() -> BookHead {
    BookHead {
        key: slot(),
        revision: Seq::new(9_001),
        time: Timestamp::from_ns(1_780_300_000_123_456_789),
        last: Some(Price::from_micros(4_600_000)),
        indicative: Some(Indicative {
            price: Some(Price::from_micros(4_550_000)),
            volume: Energy::from_wh(12_500),
            surplus_wh: -500,
        }),
        phase: Phase::Call,
        levels: 1,
    }
}

pub(super) fn market_data() -> Vec<MarketMessage> {
    let closed = SlotPhaseChanged { key: slot(), phase: Phase::Closed };
    let quiet = BookHead { last: None, indicative: None, phase: Phase::Continuous, ..book_head() };
    vec![
        MarketMessage::Subscribe(Subscribe { shard: ShardId::FIRST, after: Seq::new(8_990) }),
        MarketMessage::Select(Selection::Market(MarketId::new(1))),
        MarketMessage::Subscribed(Subscribed { through: Seq::new(9_000), depth: 32 }),
        MarketMessage::SubscriptionRejected(SubscriptionRejected {
            reason: RejectReason::WrongShard,
        }),
        MarketMessage::BookSnapshot(book_head()),
        MarketMessage::BookChange(BookChange { previous: Seq::new(8_999), head: quiet }),
        MarketMessage::Level(Level {
            price: Price::from_micros(4_600_000),
            quantity: Energy::from_wh(500),
            orders: 3,
            side: Side::Sell,
        }),
        MarketMessage::Trade(at(1, PublicTrade::from(&trade()))),
        MarketMessage::SlotPhaseChanged(at(4, closed)),
        MarketMessage::AuctionUncrossed(at(0, auction())),
        MarketMessage::Missed(Missed {
            slot: Some(slot()),
            after: Seq::new(8_000),
            through: Seq::new(9_001),
            trades: 17,
            traded: Energy::from_wh(8_500),
            events: 2,
        }),
        MarketMessage::Position(Progress { through: Seq::new(9_001) }),
        MarketMessage::GoingAway(Empty),
    ]
}

pub(super) fn answers() -> Vec<Answer> {
    vec![
        Answer::Receipt(Receipt { digest: Digest::new([0x5a; 32]), accepted: 96, reason: 3 }),
        Answer::QueryResult(QueryResult { reason: 2 }),
    ]
}
