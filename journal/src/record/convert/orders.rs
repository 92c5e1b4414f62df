//! What platforms ask: orders, changes of orders, mass cancellations.

use types::{
    ClientOrderId, Conditions, DelegatedOrder, DelegatedReplace, Energy, ListKind, MassCancel,
    MeterId, NewOrder, OrderId, OrderKind, OrderList, OrderRequest, Price, ReduceOrder,
    ReplaceOrder, Scope, Side, Signature, SignedNewOrder, SignedReplaceOrder, TimeInForce,
    Timestamp,
};

use super::{
    Archived, Stored,
    layout::{
        DelegatedOrderLayout, DelegatedReplaceLayout, MassCancelLayout, NewOrderLayout,
        OrderRequestLayout, ReduceLayout, ReplaceLayout,
    },
    optional_origin, origin, origin_parts, slot_key, zero,
};

/// A platform asked for the mass cancellation.
const HAS_ORIGIN: u8 = 1;
/// It is of one slot.
const HAS_SLOT: u8 = 2;

/// The layout of a new order, with what else it has.
macro_rules! order_layout {
    ($layout:ident, $origin:expr, $order:expr $(, $field:ident: $value:expr)?) => {
        $layout {
            $($field: $value,)?
            client_order: $order.client_order.get(),
            limit: $order.limit.micros(),
            quantity: $order.quantity.wh(),
            valid_until: $order.valid_until.ns(),
            display: $order.conditions.display.wh(),
            minimum: $order.conditions.minimum.wh(),
            expires: $order.conditions.expires.ns(),
            list_number: $order.list.number.get(),
            meter: $order.meter.get(),
            session: $origin.session.get(),
            start_minute: $order.key.slot.start_minute(),
            minutes: $order.key.slot.minutes(),
            market: $order.key.market.get(),
            platform: $origin.platform.get(),
            side: $order.side.code(),
            kind: $order.kind.code(),
            time_in_force: $order.time_in_force.code(),
            conditions: $order.conditions.flags(),
            list_kind: $order.list.kind.code(),
            list_orders: $order.list.orders,
        }
    };
}

/// The new order in a layout.
macro_rules! order_of {
    ($layout:ident) => {{
        let (post_only, all_or_none) = Conditions::from_flags($layout.conditions)?;
        NewOrder {
            client_order: ClientOrderId::new($layout.client_order.to_native()),
            meter: MeterId::new($layout.meter.to_native()),
            key: slot_key(
                $layout.start_minute.to_native(),
                $layout.minutes.to_native(),
                $layout.market.to_native(),
            )?,
            side: Side::from_code($layout.side)?,
            kind: OrderKind::from_code($layout.kind)?,
            time_in_force: TimeInForce::from_code($layout.time_in_force)?,
            limit: Price::from_micros($layout.limit.to_native()),
            quantity: Energy::from_wh($layout.quantity.to_native()),
            valid_until: Timestamp::from_ns($layout.valid_until.to_native()),
            conditions: Conditions {
                post_only,
                all_or_none,
                display: Energy::from_wh($layout.display.to_native()),
                minimum: Energy::from_wh($layout.minimum.to_native()),
                expires: Timestamp::from_ns($layout.expires.to_native()),
            },
            list: OrderList {
                kind: ListKind::from_code($layout.list_kind)?,
                orders: $layout.list_orders,
                number: ClientOrderId::new($layout.list_number.to_native()),
            },
        }
    }};
}

impl Stored for SignedNewOrder {
    type Layout = NewOrderLayout;

    fn layout(&self) -> NewOrderLayout {
        let signature = *self.signature.as_bytes();
        order_layout!(NewOrderLayout, self.origin, self.order, signature: signature)
    }

    fn restore(layout: &Archived<NewOrderLayout>) -> Option<Self> {
        let origin = origin(layout.platform.to_native(), layout.session.to_native());
        let signature = Signature::new(layout.signature);
        Some(Self { origin, order: order_of!(layout), signature })
    }
}

impl Stored for DelegatedOrder {
    type Layout = DelegatedOrderLayout;

    fn layout(&self) -> DelegatedOrderLayout {
        order_layout!(DelegatedOrderLayout, self.origin, self.order)
    }

    fn restore(layout: &Archived<DelegatedOrderLayout>) -> Option<Self> {
        let origin = origin(layout.platform.to_native(), layout.session.to_native());
        Some(Self { origin, order: order_of!(layout) })
    }
}

impl Stored for OrderRequest {
    type Layout = OrderRequestLayout;

    fn layout(&self) -> OrderRequestLayout {
        OrderRequestLayout {
            client_order: self.client_order.get(),
            order: self.order.get(),
            session: self.origin.session.get(),
            platform: self.origin.platform.get(),
            zero: [0; 2],
        }
    }

    fn restore(layout: &Archived<OrderRequestLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            origin: origin(layout.platform.to_native(), layout.session.to_native()),
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            order: OrderId::new(layout.order.to_native()),
        })
    }
}

/// The layout of a replacement, with what else it has.
macro_rules! replace_layout {
    ($layout:ident, $origin:expr, $replace:expr $(, $field:ident: $value:expr)?) => {
        $layout {
            $($field: $value,)?
            client_order: $replace.client_order.get(),
            order: $replace.order.get(),
            limit: $replace.limit.micros(),
            quantity: $replace.quantity.wh(),
            valid_until: $replace.valid_until.ns(),
            meter: $replace.meter.get(),
            session: $origin.session.get(),
            platform: $origin.platform.get(),
            zero: [0; 6],
        }
    };
}

/// The replacement in a layout.
macro_rules! replace_of {
    ($layout:ident) => {
        ReplaceOrder {
            client_order: ClientOrderId::new($layout.client_order.to_native()),
            order: OrderId::new($layout.order.to_native()),
            meter: MeterId::new($layout.meter.to_native()),
            limit: Price::from_micros($layout.limit.to_native()),
            quantity: Energy::from_wh($layout.quantity.to_native()),
            valid_until: Timestamp::from_ns($layout.valid_until.to_native()),
        }
    };
}

impl Stored for SignedReplaceOrder {
    type Layout = ReplaceLayout;

    fn layout(&self) -> ReplaceLayout {
        let signature = *self.signature.as_bytes();
        replace_layout!(ReplaceLayout, self.origin, self.replace, signature: signature)
    }

    fn restore(layout: &Archived<ReplaceLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        let origin = origin(layout.platform.to_native(), layout.session.to_native());
        let signature = Signature::new(layout.signature);
        Some(Self { origin, replace: replace_of!(layout), signature })
    }
}

impl Stored for DelegatedReplace {
    type Layout = DelegatedReplaceLayout;

    fn layout(&self) -> DelegatedReplaceLayout {
        replace_layout!(DelegatedReplaceLayout, self.origin, self.replace)
    }

    fn restore(layout: &Archived<DelegatedReplaceLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        let origin = origin(layout.platform.to_native(), layout.session.to_native());
        Some(Self { origin, replace: replace_of!(layout) })
    }
}

impl Stored for ReduceOrder {
    type Layout = ReduceLayout;

    fn layout(&self) -> ReduceLayout {
        ReduceLayout {
            client_order: self.client_order.get(),
            order: self.order.get(),
            by: self.by.wh(),
            session: self.origin.session.get(),
            platform: self.origin.platform.get(),
            zero: [0; 2],
        }
    }

    fn restore(layout: &Archived<ReduceLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            origin: origin(layout.platform.to_native(), layout.session.to_native()),
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            order: OrderId::new(layout.order.to_native()),
            by: Energy::from_wh(layout.by.to_native()),
        })
    }
}

impl Stored for MassCancel {
    type Layout = MassCancelLayout;

    fn layout(&self) -> MassCancelLayout {
        let (platform, session) = origin_parts(self.origin);
        let (scope_kind, scope_number) = self.scope.parts();
        let mut flags = 0;
        if self.origin.is_some() {
            flags |= HAS_ORIGIN;
        }
        if self.slot.is_some() {
            flags |= HAS_SLOT;
        }
        MassCancelLayout {
            client_order: self.client_order.get(),
            session,
            scope_number,
            start_minute: self.slot.map_or(0, |key| key.slot.start_minute()),
            minutes: self.slot.map_or(0, |key| key.slot.minutes()),
            market: self.slot.map_or(0, |key| key.market.get()),
            platform,
            scope_kind,
            flags,
            zero: [0; 4],
        }
    }

    fn restore(layout: &Archived<MassCancelLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        if layout.flags & !(HAS_ORIGIN | HAS_SLOT) != 0 {
            return None;
        }
        let (start_minute, minutes, market) = (
            layout.start_minute.to_native(),
            layout.minutes.to_native(),
            layout.market.to_native(),
        );
        let slot = match (layout.flags & HAS_SLOT != 0, start_minute, minutes, market) {
            (true, ..) => Some(slot_key(start_minute, minutes, market)?),
            (false, 0, 0, 0) => None,
            (false, ..) => return None,
        };
        Some(Self {
            origin: optional_origin(
                layout.flags & HAS_ORIGIN != 0,
                layout.platform.to_native(),
                layout.session.to_native(),
            )?,
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            scope: Scope::from_parts(layout.scope_kind, layout.scope_number.to_native())?,
            slot,
        })
    }
}
