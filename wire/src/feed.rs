//! The trade feed: what became durable, in order, from any position on.

use types::{
    AmendmentTerms, AuctionResult, ClientOrderId, Code, ContractAmended, Currency, DeliverySlot,
    Digest, Energy, Event, GridLimit, GridLimitSet, GridPlace, GridRefused, Lead, MarketDefinition,
    MarketId, MeterId, MeterRegistration, OfferId, Operated, OrderId, Origin, OwnerId, Party,
    PartyRegistration, Phase, PlaceNote, PlaceNoted, PlatformId, Power, Price, PriceRule,
    PublicKey, RejectReason, RetailerId, Seq, SessionId, ShardId, Side, SignedOperation, SlotKey,
    SlotPhaseChanged, Timestamp, Trade, TradeBusted, TradeId, TradeSide, UtilityId,
    shard::NUMBER_MASK,
};

use crate::{
    field::{DecodeError, Field},
    inbound::Empty,
};

/// An event with its place: what a subscriber stores to know where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedItem {
    /// Position of the command.
    pub seq: Seq,
    /// When the command was sequenced.
    pub time: Timestamp,
    /// Index among the command's events.
    pub index: u32,
    /// What happened.
    pub event: Event,
}

/// Where an event stands: the head of every feed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Position of the command.
    pub seq: Seq,
    /// When the command was sequenced.
    pub time: Timestamp,
    /// Index among the command's events.
    pub index: u32,
}
layout! { Place { seq: Seq, time: Timestamp, index: u32, zero 4, } }

layout! {
    MarketDefinition {
        market: MarketId,
        slot_minutes: u16,
        currency: Currency,
        area: Code<16>,
        time_zone: Code<32>,
        price_min: Price,
        price_max: Price,
        tick: Price,
        lot: Energy,
        quantity_max: Energy,
        opening_lead: Lead,
        gate_lead: Lead,
        price_rule: PriceRule,
        zero 7,
    }
}
layout! { PartyRegistration { party: Party, zero 4, code: Code<32>, key: PublicKey, } }
layout! {
    MeterRegistration {
        meter: MeterId,
        platform: PlatformId,
        retailer: RetailerId,
        utility: UtilityId,
        zero 2,
        owner: OwnerId,
        code: Code<32>,
        key: PublicKey,
        injection_max: Power,
        withdrawal_max: Power,
    }
}
layout! { SlotPhaseChanged { key: SlotKey, phase: Phase, zero 7, } }
layout! {
    each TradeSide {
        order: OrderId,
        client_order: types::ClientOrderId,
        leaves: Energy,
        meter: MeterId,
        platform: PlatformId,
        zero 2,
    }
}
layout! {
    Trade {
        trade: TradeId,
        key: SlotKey,
        price: Price,
        quantity: Energy,
        buy: TradeSide,
        sell: TradeSide,
        maker: Option<Side>,
        zero 7,
    }
}

/// A place and what happened there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At<T> {
    /// Where.
    pub place: Place,
    /// What.
    pub body: T,
}
layout! { At<MarketDefinition> { place: Place, body: MarketDefinition, } }
layout! { At<PartyRegistration> { place: Place, body: PartyRegistration, } }
layout! { At<MeterRegistration> { place: Place, body: MeterRegistration, } }
layout! { At<SlotPhaseChanged> { place: Place, body: SlotPhaseChanged, } }
layout! {
    AuctionResult {
        key: SlotKey,
        price: Option<Price>,
        reference: Option<Price>,
        volume: Energy,
        surplus_wh: i64,
        candidates: u32,
        rule: PriceRule,
        clamped: bool,
        zero 2,
        book: Digest,
    }
}
layout! { At<AuctionResult> { place: Place, body: AuctionResult, } }
layout! { At<Trade> { place: Place, body: Trade, } }
layout! { Origin { session: SessionId, platform: PlatformId, zero 2, } }
layout! {
    ContractAmended {
        client_order: ClientOrderId,
        offer: OfferId,
        offered_as: ClientOrderId,
        terms: AmendmentTerms,
        origin: Origin,
        offerer: PlatformId,
        offered_by: Side,
        zero 5,
    }
}
layout! { At<ContractAmended> { place: Place, body: ContractAmended, } }
layout! {
    PlaceNote {
        number: u64,
        meter: MeterId,
        from_minute: u32,
        zone: Option<Code<16>>,
        feeder: Option<Code<16>>,
        revision: u32,
    }
}
layout! { PlaceNoted { note: PlaceNote, cancelled: u32, complete: bool, zero 7, } }
layout! { GridPlace { zone: Code<16>, feeder: Option<Code<16>>, utility: UtilityId, } }

layout! {
    GridLimit {
        number: u64,
        limit: Energy,
        slot: DeliverySlot,
        place: GridPlace,
        side: Side,
        zero 1,
        revision: u32,
    }
}
layout! {
    GridLimitSet {
        limit: GridLimit,
        used: Energy,
        cancelled: u32,
        complete: bool,
        zero 3,
    }
}
layout! { GridRefused { number: u64, reason: RejectReason, zero 6, } }
layout! { At<PlaceNoted> { place: Place, body: PlaceNoted, } }
layout! { At<GridLimitSet> { place: Place, body: GridLimitSet, } }
layout! { At<GridRefused> { place: Place, body: GridRefused, } }
layout! { Operated { signed: SignedOperation, took_effect: bool, zero 7, } }
layout! { At<Operated> { place: Place, body: Operated, } }
layout! {
    TradeBusted {
        trade: TradeId,
        price: Price,
        quantity: Energy,
        key: SlotKey,
        buyer: MeterId,
        seller: MeterId,
        version: u32,
        buyer_platform: PlatformId,
        seller_platform: PlatformId,
    }
}
layout! { At<TradeBusted> { place: Place, body: TradeBusted, } }

/// Asks for everything after a position of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscribe {
    /// Whose feed.
    pub shard: ShardId,
    /// The last position the subscriber has; 0 for everything.
    pub after: Seq,
}

/// One number, made as numbers of orders are: the shard above the position.
impl Field for Subscribe {
    const SIZE: usize = 8;
    const NAME: &'static str = "u64";
    fn parts(_: &'static str) -> Vec<(String, usize, &'static str)> {
        vec![
            ("after".to_owned(), 6, "u48"),
            ("shard".to_owned(), 1, "u8"),
            ("(zero)".to_owned(), 1, "zero"),
        ]
    }
    fn put(&self, out: &mut Vec<u8>) {
        (self.shard.number_base() | (self.after.get() & NUMBER_MASK)).put(out);
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let number = u64::take(bytes)?;
        let shard = ShardId::of_number(number).ok_or(DecodeError::BadField("ShardId"))?;
        Ok(Self { shard, after: Seq::new(number & NUMBER_MASK) })
    }
}

/// Everything up to here was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The position.
    pub through: Seq,
}
layout! { Progress { through: Seq, } }

messages! {
    /// What travels on a feed stream, in either direction.
    FeedMessage {
        /// Subscriber → exchange, the first and only message.
        Subscribe(Subscribe) = 128, 16;
        /// All events up to the position have been sent. Ends every batch.
        Progress(Progress) = 129, 16;
        /// The exchange is shutting down.
        GoingAway(Empty) = 130, 8;
        /// A market exists.
        MarketDefined(At<MarketDefinition>) = 131, 144;
        /// A party takes part.
        PartyRegistered(At<PartyRegistration>) = 132, 104;
        /// A meter takes part.
        MeterRegistered(At<MeterRegistration>) = 133, 120;
        /// A slot moved on.
        SlotPhaseChanged(At<SlotPhaseChanged>) = 134, 48;
        /// Two orders met, or two sides agreed: then the numbers of both orders are 0.
        Trade(At<Trade>) = 135, 136;
        /// A call ended.
        AuctionUncrossed(At<AuctionResult>) = 136, 128;
        /// Both sides changed a trade, which came before: it has the version after the one in the terms.
        ContractAmended(At<ContractAmended>) = 137, 152;
        /// A utility's word where a meter hangs has reached the books.
        PlaceNoted(At<PlaceNoted>) = 143, 96;
        /// A utility's limit of a zone or feeder is in force.
        GridLimitSet(At<GridLimitSet>) = 144, 112;
        /// What a utility said of its wires came too late, or is outdated.
        GridRefused(At<GridRefused>) = 145, 48;
        /// An operator's order was signed; it took effect or waits for another operator.
        Operated(At<Operated>) = 146, 192;
        /// The exchange undid a trade, which came before: nothing of it is delivered or paid.
        TradeBusted(At<TradeBusted>) = 147, 80;
    }
}

impl FeedMessage {
    /// The message for an event, or `None` where the feed does not carry such events.
    #[must_use]
    pub const fn from_item(item: &FeedItem) -> Option<Self> {
        let place = Place { seq: item.seq, time: item.time, index: item.index };
        match item.event {
            Event::MarketDefined(body) => Some(Self::MarketDefined(At { place, body })),
            Event::PartyRegistered(body) => Some(Self::PartyRegistered(At { place, body })),
            Event::MeterRegistered(body) => Some(Self::MeterRegistered(At { place, body })),
            Event::SlotPhaseChanged(body) => Some(Self::SlotPhaseChanged(At { place, body })),
            Event::Trade(body) => Some(Self::Trade(At { place, body })),
            Event::AuctionUncrossed(body) => Some(Self::AuctionUncrossed(At { place, body })),
            Event::ContractAmended(body) => Some(Self::ContractAmended(At { place, body })),
            Event::PlaceNoted(body) => Some(Self::PlaceNoted(At { place, body })),
            Event::GridLimitSet(body) => Some(Self::GridLimitSet(At { place, body })),
            Event::GridRefused(body) => Some(Self::GridRefused(At { place, body })),
            Event::Operated(body) => Some(Self::Operated(At { place, body })),
            Event::TradeBusted(body) => Some(Self::TradeBusted(At { place, body })),
            Event::ControlsSet(_)
            | Event::SlotFrozen(_)
            | Event::CallExtended(_)
            | Event::OrderAccepted(_)
            | Event::OrderRestated(_)
            | Event::OrderValidated(_)
            | Event::OrderReplaced(_)
            | Event::OrderCancelled(_)
            | Event::OrderHibernated(_)
            | Event::OrderActivated(_)
            | Event::MassCancelled(_)
            | Event::OrderRejected(_)
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
            | Event::MembersListed(_)
            | Event::MemberRefused(_)
            | Event::CommandRejected(_) => None,
        }
    }

    /// The event in the message, or `None` for messages that carry none.
    #[must_use]
    pub const fn item(&self) -> Option<FeedItem> {
        let (place, event) = match *self {
            Self::Subscribe(_) | Self::Progress(_) | Self::GoingAway(_) => return None,
            Self::MarketDefined(at) => (at.place, Event::MarketDefined(at.body)),
            Self::PartyRegistered(at) => (at.place, Event::PartyRegistered(at.body)),
            Self::MeterRegistered(at) => (at.place, Event::MeterRegistered(at.body)),
            Self::SlotPhaseChanged(at) => (at.place, Event::SlotPhaseChanged(at.body)),
            Self::Trade(at) => (at.place, Event::Trade(at.body)),
            Self::AuctionUncrossed(at) => (at.place, Event::AuctionUncrossed(at.body)),
            Self::ContractAmended(at) => (at.place, Event::ContractAmended(at.body)),
            Self::PlaceNoted(at) => (at.place, Event::PlaceNoted(at.body)),
            Self::GridLimitSet(at) => (at.place, Event::GridLimitSet(at.body)),
            Self::GridRefused(at) => (at.place, Event::GridRefused(at.body)),
            Self::Operated(at) => (at.place, Event::Operated(at.body)),
            Self::TradeBusted(at) => (at.place, Event::TradeBusted(at.body)),
        };
        Some(FeedItem { seq: place.seq, time: place.time, index: place.index, event })
    }
}
