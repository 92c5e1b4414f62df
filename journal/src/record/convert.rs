//! Between the values of the exchange and their layouts. Every code is checked on the way back.

use types::{
    AuctionResult, CancelOrder, CancelReason, ClientOrderId, Code, CommandRejected, Currency,
    DeliverySlot, Digest, Energy, Lead, MarketDefinition, MarketId, MeterId, MeterRegistration,
    NewOrder, OrderAccepted, OrderCancelled, OrderId, OrderRejected, OrderReplaced, OrderRestated,
    Origin, Party, PartyRegistration, Phase, PlatformId, Power, Price, PriceRule, PublicKey,
    RejectReason, ReplaceOrder, Request, RetailerId, Role, SessionId, Side, Signature,
    SignedNewOrder, SignedReplaceOrder, SlotKey, SlotPhaseChanged, TimeInForce, Timestamp, Trade,
    TradeId, TradeSide, UtilityId,
};

use super::{
    Archived, Stored,
    layout::{
        AcceptedLayout, AuctionLayout, CancelLayout, CancelledLayout, CommandRejectedLayout,
        MarketLayout, MeterLayout, NewOrderLayout, PartyLayout, PhaseLayout, RejectedLayout,
        ReplaceLayout, ReplacedLayout, RestatedLayout, SlotLayout, TradeLayout,
    },
};

/// There is a price.
const HAS_PRICE: u8 = 1;
/// There is a reference price.
const HAS_REFERENCE: u8 = 2;
/// The reference was clamped.
const CLAMPED: u8 = 4;

fn zero<const N: usize>(reserved: &[u8; N]) -> Option<()> {
    (*reserved == [0; N]).then_some(())
}

fn slot_key(start_minute: u32, minutes: u16, market: u16) -> Option<SlotKey> {
    let slot = DeliverySlot::new(start_minute, minutes).ok()?;
    Some(SlotKey { market: MarketId::new(market), slot })
}

fn origin(platform: u16, session: u32) -> Origin {
    Origin { platform: PlatformId::new(platform), session: SessionId::new(session) }
}

/// A price that may be missing: without one its field is zero.
fn optional_price(present: bool, micros: i64) -> Option<Option<Price>> {
    match (present, micros) {
        (true, micros) => Some(Some(Price::from_micros(micros))),
        (false, 0) => Some(None),
        (false, _) => None,
    }
}

impl Stored for MarketDefinition {
    type Layout = MarketLayout;

    fn layout(&self) -> MarketLayout {
        let mut currency = [0; 3];
        currency.copy_from_slice(self.currency.code().as_bytes());
        MarketLayout {
            price_min: self.price_min.micros(),
            price_max: self.price_max.micros(),
            tick: self.tick.micros(),
            lot: self.lot.wh(),
            quantity_max: self.quantity_max.wh(),
            area: *self.area.padded(),
            time_zone: *self.time_zone.padded(),
            opening_lead: self.opening_lead.minutes(),
            gate_lead: self.gate_lead.minutes(),
            currency,
            minor_digits: self.currency.minor_digits(),
            market: self.market.get(),
            slot_minutes: self.slot_minutes,
            price_rule: self.price_rule.code(),
            zero: [0; 7],
        }
    }

    // Whether the parts fit together is the engine's question; refused definitions are recorded.
    fn restore(layout: &Archived<MarketLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            market: MarketId::new(layout.market.to_native()),
            area: Code::from_padded(layout.area).ok()?,
            time_zone: Code::from_padded(layout.time_zone).ok()?,
            currency: Currency::new(layout.currency, layout.minor_digits).ok()?,
            slot_minutes: layout.slot_minutes.to_native(),
            price_min: Price::from_micros(layout.price_min.to_native()),
            price_max: Price::from_micros(layout.price_max.to_native()),
            tick: Price::from_micros(layout.tick.to_native()),
            lot: Energy::from_wh(layout.lot.to_native()),
            quantity_max: Energy::from_wh(layout.quantity_max.to_native()),
            opening_lead: Lead::from_minutes(layout.opening_lead.to_native()),
            gate_lead: Lead::from_minutes(layout.gate_lead.to_native()),
            price_rule: PriceRule::from_code(layout.price_rule)?,
        })
    }
}

impl Stored for PartyRegistration {
    type Layout = PartyLayout;

    fn layout(&self) -> PartyLayout {
        PartyLayout {
            code: *self.code.padded(),
            key: *self.key.as_bytes(),
            number: self.party.number,
            role: self.party.role.code(),
            zero: [0; 5],
        }
    }

    fn restore(layout: &Archived<PartyLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            party: Party { role: Role::from_code(layout.role)?, number: layout.number.to_native() },
            code: Code::from_padded(layout.code).ok()?,
            key: PublicKey::new(layout.key),
        })
    }
}

impl Stored for MeterRegistration {
    type Layout = MeterLayout;

    fn layout(&self) -> MeterLayout {
        MeterLayout {
            code: *self.code.padded(),
            key: *self.key.as_bytes(),
            meter: self.meter.get(),
            injection_max: self.injection_max.w(),
            withdrawal_max: self.withdrawal_max.w(),
            platform: self.platform.get(),
            retailer: self.retailer.get(),
            utility: self.utility.get(),
            zero: [0; 6],
        }
    }

    fn restore(layout: &Archived<MeterLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            meter: MeterId::new(layout.meter.to_native()),
            code: Code::from_padded(layout.code).ok()?,
            platform: PlatformId::new(layout.platform.to_native()),
            retailer: RetailerId::new(layout.retailer.to_native()),
            utility: UtilityId::new(layout.utility.to_native()),
            key: PublicKey::new(layout.key),
            injection_max: Power::from_w(layout.injection_max.to_native()),
            withdrawal_max: Power::from_w(layout.withdrawal_max.to_native()),
        })
    }
}

impl Stored for SlotKey {
    type Layout = SlotLayout;

    fn layout(&self) -> SlotLayout {
        SlotLayout {
            start_minute: self.slot.start_minute(),
            minutes: self.slot.minutes(),
            market: self.market.get(),
        }
    }

    fn restore(layout: &Archived<SlotLayout>) -> Option<Self> {
        slot_key(
            layout.start_minute.to_native(),
            layout.minutes.to_native(),
            layout.market.to_native(),
        )
    }
}

impl Stored for SignedNewOrder {
    type Layout = NewOrderLayout;

    fn layout(&self) -> NewOrderLayout {
        NewOrderLayout {
            signature: *self.signature.as_bytes(),
            client_order: self.order.client_order.get(),
            limit: self.order.limit.micros(),
            quantity: self.order.quantity.wh(),
            valid_until: self.order.valid_until.ns(),
            meter: self.order.meter.get(),
            session: self.origin.session.get(),
            start_minute: self.order.key.slot.start_minute(),
            minutes: self.order.key.slot.minutes(),
            market: self.order.key.market.get(),
            platform: self.origin.platform.get(),
            side: self.order.side.code(),
            time_in_force: self.order.time_in_force.code(),
            zero: [0; 4],
        }
    }

    fn restore(layout: &Archived<NewOrderLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        let order = NewOrder {
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            meter: MeterId::new(layout.meter.to_native()),
            key: slot_key(
                layout.start_minute.to_native(),
                layout.minutes.to_native(),
                layout.market.to_native(),
            )?,
            side: Side::from_code(layout.side)?,
            time_in_force: TimeInForce::from_code(layout.time_in_force)?,
            limit: Price::from_micros(layout.limit.to_native()),
            quantity: Energy::from_wh(layout.quantity.to_native()),
            valid_until: Timestamp::from_ns(layout.valid_until.to_native()),
        };
        let origin = origin(layout.platform.to_native(), layout.session.to_native());
        Some(Self { origin, order, signature: Signature::new(layout.signature) })
    }
}

impl Stored for CancelOrder {
    type Layout = CancelLayout;

    fn layout(&self) -> CancelLayout {
        CancelLayout {
            client_order: self.client_order.get(),
            order: self.order.get(),
            session: self.origin.session.get(),
            platform: self.origin.platform.get(),
            zero: [0; 2],
        }
    }

    fn restore(layout: &Archived<CancelLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            origin: origin(layout.platform.to_native(), layout.session.to_native()),
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            order: OrderId::new(layout.order.to_native()),
        })
    }
}

impl Stored for SignedReplaceOrder {
    type Layout = ReplaceLayout;

    fn layout(&self) -> ReplaceLayout {
        ReplaceLayout {
            signature: *self.signature.as_bytes(),
            client_order: self.replace.client_order.get(),
            order: self.replace.order.get(),
            limit: self.replace.limit.micros(),
            quantity: self.replace.quantity.wh(),
            valid_until: self.replace.valid_until.ns(),
            meter: self.replace.meter.get(),
            session: self.origin.session.get(),
            platform: self.origin.platform.get(),
            zero: [0; 6],
        }
    }

    fn restore(layout: &Archived<ReplaceLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        let replace = ReplaceOrder {
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            order: OrderId::new(layout.order.to_native()),
            meter: MeterId::new(layout.meter.to_native()),
            limit: Price::from_micros(layout.limit.to_native()),
            quantity: Energy::from_wh(layout.quantity.to_native()),
            valid_until: Timestamp::from_ns(layout.valid_until.to_native()),
        };
        let origin = origin(layout.platform.to_native(), layout.session.to_native());
        Some(Self { origin, replace, signature: Signature::new(layout.signature) })
    }
}

impl Stored for SlotPhaseChanged {
    type Layout = PhaseLayout;

    fn layout(&self) -> PhaseLayout {
        PhaseLayout {
            start_minute: self.key.slot.start_minute(),
            minutes: self.key.slot.minutes(),
            market: self.key.market.get(),
            phase: self.phase.code(),
            zero: [0; 7],
        }
    }

    fn restore(layout: &Archived<PhaseLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        let key = slot_key(
            layout.start_minute.to_native(),
            layout.minutes.to_native(),
            layout.market.to_native(),
        )?;
        Some(Self { key, phase: Phase::from_code(layout.phase)? })
    }
}

impl Stored for AuctionResult {
    type Layout = AuctionLayout;

    fn layout(&self) -> AuctionLayout {
        let mut flags = 0;
        if self.price.is_some() {
            flags |= HAS_PRICE;
        }
        if self.reference.is_some() {
            flags |= HAS_REFERENCE;
        }
        if self.clamped {
            flags |= CLAMPED;
        }
        AuctionLayout {
            price: self.price.map_or(0, Price::micros),
            volume: self.volume.wh(),
            surplus_wh: self.surplus_wh,
            reference: self.reference.map_or(0, Price::micros),
            book: *self.book.as_bytes(),
            candidates: self.candidates,
            start_minute: self.key.slot.start_minute(),
            minutes: self.key.slot.minutes(),
            market: self.key.market.get(),
            rule: self.rule.code(),
            flags,
            zero: [0; 2],
        }
    }

    fn restore(layout: &Archived<AuctionLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        let flags = layout.flags;
        if flags & !(HAS_PRICE | HAS_REFERENCE | CLAMPED) != 0 {
            return None;
        }
        Some(Self {
            key: slot_key(
                layout.start_minute.to_native(),
                layout.minutes.to_native(),
                layout.market.to_native(),
            )?,
            rule: PriceRule::from_code(layout.rule)?,
            price: optional_price(flags & HAS_PRICE != 0, layout.price.to_native())?,
            volume: Energy::from_wh(layout.volume.to_native()),
            surplus_wh: layout.surplus_wh.to_native(),
            reference: optional_price(flags & HAS_REFERENCE != 0, layout.reference.to_native())?,
            candidates: layout.candidates.to_native(),
            clamped: flags & CLAMPED != 0,
            book: Digest::new(layout.book),
        })
    }
}

impl Stored for OrderAccepted {
    type Layout = AcceptedLayout;

    fn layout(&self) -> AcceptedLayout {
        AcceptedLayout {
            client_order: self.client_order.get(),
            order: self.order.get(),
            limit: self.limit.micros(),
            quantity: self.quantity.wh(),
            meter: self.meter.get(),
            session: self.origin.session.get(),
            start_minute: self.key.slot.start_minute(),
            minutes: self.key.slot.minutes(),
            market: self.key.market.get(),
            platform: self.origin.platform.get(),
            side: self.side.code(),
            zero: [0; 5],
        }
    }

    fn restore(layout: &Archived<AcceptedLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            origin: origin(layout.platform.to_native(), layout.session.to_native()),
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            order: OrderId::new(layout.order.to_native()),
            meter: MeterId::new(layout.meter.to_native()),
            key: slot_key(
                layout.start_minute.to_native(),
                layout.minutes.to_native(),
                layout.market.to_native(),
            )?,
            side: Side::from_code(layout.side)?,
            limit: Price::from_micros(layout.limit.to_native()),
            quantity: Energy::from_wh(layout.quantity.to_native()),
        })
    }
}

impl Stored for OrderRestated {
    type Layout = RestatedLayout;

    fn layout(&self) -> RestatedLayout {
        RestatedLayout {
            client_order: self.client_order.get(),
            order: self.order.get(),
            filled: self.filled.wh(),
            leaves: self.leaves.wh(),
            session: self.origin.session.get(),
            platform: self.origin.platform.get(),
            zero: [0; 2],
        }
    }

    fn restore(layout: &Archived<RestatedLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            origin: origin(layout.platform.to_native(), layout.session.to_native()),
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            order: OrderId::new(layout.order.to_native()),
            filled: Energy::from_wh(layout.filled.to_native()),
            leaves: Energy::from_wh(layout.leaves.to_native()),
        })
    }
}

impl Stored for OrderReplaced {
    type Layout = ReplacedLayout;

    fn layout(&self) -> ReplacedLayout {
        ReplacedLayout {
            client_order: self.client_order.get(),
            order: self.order.get(),
            limit: self.limit.micros(),
            leaves: self.leaves.wh(),
            session: self.origin.session.get(),
            platform: self.origin.platform.get(),
            kept_place: u8::from(self.kept_place),
            zero: [0; 1],
        }
    }

    fn restore(layout: &Archived<ReplacedLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        let kept_place = match layout.kept_place {
            0 => false,
            1 => true,
            _ => return None,
        };
        Some(Self {
            origin: origin(layout.platform.to_native(), layout.session.to_native()),
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            order: OrderId::new(layout.order.to_native()),
            limit: Price::from_micros(layout.limit.to_native()),
            leaves: Energy::from_wh(layout.leaves.to_native()),
            kept_place,
        })
    }
}

impl Stored for OrderCancelled {
    type Layout = CancelledLayout;

    fn layout(&self) -> CancelledLayout {
        CancelledLayout {
            client_order: self.client_order.get(),
            order: self.order.get(),
            leaves: self.leaves.wh(),
            platform: self.platform.get(),
            reason: self.reason.code(),
            zero: [0; 5],
        }
    }

    fn restore(layout: &Archived<CancelledLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            platform: PlatformId::new(layout.platform.to_native()),
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            order: OrderId::new(layout.order.to_native()),
            leaves: Energy::from_wh(layout.leaves.to_native()),
            reason: CancelReason::from_code(layout.reason)?,
        })
    }
}

impl Stored for OrderRejected {
    type Layout = RejectedLayout;

    fn layout(&self) -> RejectedLayout {
        RejectedLayout {
            client_order: self.client_order.get(),
            session: self.origin.session.get(),
            platform: self.origin.platform.get(),
            reason: self.reason.code(),
            request: self.request.code(),
            zero: [0; 7],
        }
    }

    fn restore(layout: &Archived<RejectedLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            origin: origin(layout.platform.to_native(), layout.session.to_native()),
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            request: Request::from_code(layout.request)?,
            reason: RejectReason::from_code(layout.reason.to_native())?,
        })
    }
}

impl Stored for Trade {
    type Layout = TradeLayout;

    fn layout(&self) -> TradeLayout {
        TradeLayout {
            trade: self.trade.get(),
            price: self.price.micros(),
            quantity: self.quantity.wh(),
            buy_order: self.buy.order.get(),
            buy_client_order: self.buy.client_order.get(),
            buy_leaves: self.buy.leaves.wh(),
            sell_order: self.sell.order.get(),
            sell_client_order: self.sell.client_order.get(),
            sell_leaves: self.sell.leaves.wh(),
            buy_meter: self.buy.meter.get(),
            sell_meter: self.sell.meter.get(),
            start_minute: self.key.slot.start_minute(),
            minutes: self.key.slot.minutes(),
            market: self.key.market.get(),
            buy_platform: self.buy.platform.get(),
            sell_platform: self.sell.platform.get(),
            maker: match self.maker {
                None => 0,
                Some(Side::Buy) => 1,
                Some(Side::Sell) => 2,
            },
            zero: [0; 3],
        }
    }

    fn restore(layout: &Archived<TradeLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        let maker = match layout.maker {
            0 => None,
            1 => Some(Side::Buy),
            2 => Some(Side::Sell),
            _ => return None,
        };
        Some(Self {
            trade: TradeId::new(layout.trade.to_native()),
            key: slot_key(
                layout.start_minute.to_native(),
                layout.minutes.to_native(),
                layout.market.to_native(),
            )?,
            price: Price::from_micros(layout.price.to_native()),
            quantity: Energy::from_wh(layout.quantity.to_native()),
            buy: TradeSide {
                order: OrderId::new(layout.buy_order.to_native()),
                client_order: ClientOrderId::new(layout.buy_client_order.to_native()),
                meter: MeterId::new(layout.buy_meter.to_native()),
                platform: PlatformId::new(layout.buy_platform.to_native()),
                leaves: Energy::from_wh(layout.buy_leaves.to_native()),
            },
            sell: TradeSide {
                order: OrderId::new(layout.sell_order.to_native()),
                client_order: ClientOrderId::new(layout.sell_client_order.to_native()),
                meter: MeterId::new(layout.sell_meter.to_native()),
                platform: PlatformId::new(layout.sell_platform.to_native()),
                leaves: Energy::from_wh(layout.sell_leaves.to_native()),
            },
            maker,
        })
    }
}

impl Stored for CommandRejected {
    type Layout = CommandRejectedLayout;

    fn layout(&self) -> CommandRejectedLayout {
        CommandRejectedLayout { reason: self.reason.code(), zero: [0; 6] }
    }

    fn restore(layout: &Archived<CommandRejectedLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self { reason: RejectReason::from_code(layout.reason.to_native())? })
    }
}
