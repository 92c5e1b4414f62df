//! What happened: to orders, between two of them, and to commands that were refused.

use types::{
    CancelReason, ClientOrderId, CommandRejected, Energy, MassCancelled, MeterId, OrderAccepted,
    OrderCancelled, OrderId, OrderMoved, OrderRejected, OrderReplaced, OrderRestated,
    OrderValidated, PlatformId, Price, RejectReason, Request, Scope, Side, Trade, TradeId,
    TradeSide,
};

use super::{
    Archived, Stored,
    layout::{
        AcceptedLayout, CancelledLayout, CommandRejectedLayout, MassCancelledLayout, MovedLayout,
        RejectedLayout, ReplacedLayout, RestatedLayout, TradeLayout, ValidatedLayout,
    },
    optional_origin, origin, origin_parts, slot_key, zero,
};

/// A platform asked for the mass cancellation.
const HAS_ORIGIN: u8 = 1;
/// It left nothing.
const COMPLETE: u8 = 2;

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

impl Stored for OrderValidated {
    type Layout = ValidatedLayout;

    fn layout(&self) -> ValidatedLayout {
        ValidatedLayout {
            client_order: self.client_order.get(),
            session: self.origin.session.get(),
            platform: self.origin.platform.get(),
            zero: [0; 2],
        }
    }

    fn restore(layout: &Archived<ValidatedLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            origin: origin(layout.platform.to_native(), layout.session.to_native()),
            client_order: ClientOrderId::new(layout.client_order.to_native()),
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

impl Stored for OrderMoved {
    type Layout = MovedLayout;

    fn layout(&self) -> MovedLayout {
        MovedLayout {
            client_order: self.client_order.get(),
            order: self.order.get(),
            leaves: self.leaves.wh(),
            session: self.origin.session.get(),
            platform: self.origin.platform.get(),
            zero: [0; 2],
        }
    }

    fn restore(layout: &Archived<MovedLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            origin: origin(layout.platform.to_native(), layout.session.to_native()),
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            order: OrderId::new(layout.order.to_native()),
            leaves: Energy::from_wh(layout.leaves.to_native()),
        })
    }
}

impl Stored for MassCancelled {
    type Layout = MassCancelledLayout;

    fn layout(&self) -> MassCancelledLayout {
        let (platform, session) = origin_parts(self.origin);
        let (scope_kind, scope_number) = self.scope.parts();
        let mut flags = 0;
        if self.origin.is_some() {
            flags |= HAS_ORIGIN;
        }
        if self.complete {
            flags |= COMPLETE;
        }
        MassCancelledLayout {
            client_order: self.client_order.get(),
            cancelled: self.cancelled,
            scope_number,
            session,
            platform,
            scope_kind,
            flags,
        }
    }

    fn restore(layout: &Archived<MassCancelledLayout>) -> Option<Self> {
        if layout.flags & !(HAS_ORIGIN | COMPLETE) != 0 {
            return None;
        }
        Some(Self {
            origin: optional_origin(
                layout.flags & HAS_ORIGIN != 0,
                layout.platform.to_native(),
                layout.session.to_native(),
            )?,
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            scope: Scope::from_parts(layout.scope_kind, layout.scope_number.to_native())?,
            cancelled: layout.cancelled.to_native(),
            complete: layout.flags & COMPLETE != 0,
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
