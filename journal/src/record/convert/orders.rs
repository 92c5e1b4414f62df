//! What platforms ask: orders, changes of orders, mass cancellations.

use types::{
    ClientOrderId, Conditions, Energy, ListKind, MassCancel, MeterId, NewOrder, OrderId, OrderKind,
    OrderList, OrderRequest, Price, ReduceOrder, ReplaceOrder, Scope, Side, Signature,
    SignedNewOrder, SignedReplaceOrder, TimeInForce, Timestamp,
};

use super::{
    Archived, Stored,
    layout::{MassCancelLayout, NewOrderLayout, OrderRequestLayout, ReduceLayout, ReplaceLayout},
    optional_origin, origin, origin_parts, slot_key, zero,
};

/// A platform asked for the mass cancellation.
const HAS_ORIGIN: u8 = 1;
/// It is of one slot.
const HAS_SLOT: u8 = 2;

impl Stored for SignedNewOrder {
    type Layout = NewOrderLayout;

    fn layout(&self) -> NewOrderLayout {
        NewOrderLayout {
            signature: *self.signature.as_bytes(),
            client_order: self.order.client_order.get(),
            limit: self.order.limit.micros(),
            quantity: self.order.quantity.wh(),
            valid_until: self.order.valid_until.ns(),
            display: self.order.conditions.display.wh(),
            minimum: self.order.conditions.minimum.wh(),
            expires: self.order.conditions.expires.ns(),
            list_number: self.order.list.number.get(),
            meter: self.order.meter.get(),
            session: self.origin.session.get(),
            start_minute: self.order.key.slot.start_minute(),
            minutes: self.order.key.slot.minutes(),
            market: self.order.key.market.get(),
            platform: self.origin.platform.get(),
            side: self.order.side.code(),
            kind: self.order.kind.code(),
            time_in_force: self.order.time_in_force.code(),
            conditions: self.order.conditions.flags(),
            list_kind: self.order.list.kind.code(),
            list_orders: self.order.list.orders,
        }
    }

    fn restore(layout: &Archived<NewOrderLayout>) -> Option<Self> {
        let (post_only, all_or_none) = Conditions::from_flags(layout.conditions)?;
        let order = NewOrder {
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            meter: MeterId::new(layout.meter.to_native()),
            key: slot_key(
                layout.start_minute.to_native(),
                layout.minutes.to_native(),
                layout.market.to_native(),
            )?,
            side: Side::from_code(layout.side)?,
            kind: OrderKind::from_code(layout.kind)?,
            time_in_force: TimeInForce::from_code(layout.time_in_force)?,
            limit: Price::from_micros(layout.limit.to_native()),
            quantity: Energy::from_wh(layout.quantity.to_native()),
            valid_until: Timestamp::from_ns(layout.valid_until.to_native()),
            conditions: Conditions {
                post_only,
                all_or_none,
                display: Energy::from_wh(layout.display.to_native()),
                minimum: Energy::from_wh(layout.minimum.to_native()),
                expires: Timestamp::from_ns(layout.expires.to_native()),
            },
            list: OrderList {
                kind: ListKind::from_code(layout.list_kind)?,
                orders: layout.list_orders,
                number: ClientOrderId::new(layout.list_number.to_native()),
            },
        };
        let origin = origin(layout.platform.to_native(), layout.session.to_native());
        Some(Self { origin, order, signature: Signature::new(layout.signature) })
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
