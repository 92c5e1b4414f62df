//! Delegations: what is asked, and what became of it.

use types::{
    ClientOrderId, DelegateMeter, Delegation, DelegationRevoked, Energy, KeyId, MarketId,
    MeterDelegated, MeterId, PlatformId, Price, RevokeDelegation, Sides, Signature, SignedFrame,
    Timestamp,
};

use super::{
    Archived, Stored,
    layout::{DelegateLayout, DelegatedLayout, FrameLayout, RevokeLayout, RevokedLayout},
    origin, zero,
};

/// There is a platform that held a delegation.
const HAS_HOLDER: u8 = 1;

/// The delegation in a layout, which two layouts have.
macro_rules! delegation {
    ($layout:ident) => {
        Delegation {
            number: $layout.number.to_native(),
            meter: MeterId::new($layout.meter.to_native()),
            platform: PlatformId::new($layout.platform.to_native()),
            market: MarketId::new($layout.market.to_native()),
            sides: Sides::from_code($layout.sides)?,
            quantity_max: Energy::from_wh($layout.quantity_max.to_native()),
            buy_limit: Price::from_micros($layout.buy_limit.to_native()),
            sell_limit: Price::from_micros($layout.sell_limit.to_native()),
            valid_from: Timestamp::from_ns($layout.valid_from.to_native()),
            valid_until: Timestamp::from_ns($layout.valid_until.to_native()),
            key: KeyId::new($layout.key.to_native()),
        }
    };
}

/// A platform that may be missing: without one its field is zero.
fn holder(flags: u8, number: u16) -> Option<Option<PlatformId>> {
    match (flags, number) {
        (HAS_HOLDER, number) => Some(Some(PlatformId::new(number))),
        (0, 0) => Some(None),
        _ => None,
    }
}

impl Stored for DelegateMeter {
    type Layout = DelegateLayout;

    fn layout(&self) -> DelegateLayout {
        let delegation = &self.delegation;
        DelegateLayout {
            signature: *self.signature.as_bytes(),
            client_order: self.client_order.get(),
            number: delegation.number,
            quantity_max: delegation.quantity_max.wh(),
            buy_limit: delegation.buy_limit.micros(),
            sell_limit: delegation.sell_limit.micros(),
            valid_from: delegation.valid_from.ns(),
            valid_until: delegation.valid_until.ns(),
            key: delegation.key.get(),
            meter: delegation.meter.get(),
            session: self.origin.session.get(),
            platform: delegation.platform.get(),
            sender: self.origin.platform.get(),
            market: delegation.market.get(),
            sides: delegation.sides.code(),
            zero: [0; 1],
        }
    }

    fn restore(layout: &Archived<DelegateLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            origin: origin(layout.sender.to_native(), layout.session.to_native()),
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            delegation: delegation!(layout),
            signature: Signature::new(layout.signature),
        })
    }
}

impl Stored for RevokeDelegation {
    type Layout = RevokeLayout;

    fn layout(&self) -> RevokeLayout {
        RevokeLayout {
            signature: self.signature.map_or([0; 64], |signature| *signature.as_bytes()),
            client_order: self.client_order.get(),
            number: self.number,
            meter: self.meter.get(),
            session: self.origin.session.get(),
            platform: self.origin.platform.get(),
            zero: [0; 6],
        }
    }

    fn restore(layout: &Archived<RevokeLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        let signed = layout.signature != [0; 64];
        Some(Self {
            origin: origin(layout.platform.to_native(), layout.session.to_native()),
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            meter: MeterId::new(layout.meter.to_native()),
            number: layout.number.to_native(),
            signature: signed.then(|| Signature::new(layout.signature)),
        })
    }
}

impl Stored for SignedFrame {
    type Layout = FrameLayout;

    fn layout(&self) -> FrameLayout {
        FrameLayout {
            signature: *self.signature.as_bytes(),
            frame: self.frame,
            key: self.key.get(),
            session: self.origin.session.get(),
            platform: self.origin.platform.get(),
            orders: self.orders,
        }
    }

    fn restore(layout: &Archived<FrameLayout>) -> Option<Self> {
        Some(Self {
            origin: origin(layout.platform.to_native(), layout.session.to_native()),
            frame: layout.frame.to_native(),
            orders: layout.orders.to_native(),
            key: KeyId::new(layout.key.to_native()),
            signature: Signature::new(layout.signature),
        })
    }
}

impl Stored for MeterDelegated {
    type Layout = DelegatedLayout;

    fn layout(&self) -> DelegatedLayout {
        let delegation = &self.delegation;
        DelegatedLayout {
            client_order: self.client_order.get(),
            number: delegation.number,
            quantity_max: delegation.quantity_max.wh(),
            buy_limit: delegation.buy_limit.micros(),
            sell_limit: delegation.sell_limit.micros(),
            valid_from: delegation.valid_from.ns(),
            valid_until: delegation.valid_until.ns(),
            key: delegation.key.get(),
            meter: delegation.meter.get(),
            session: self.origin.session.get(),
            platform: delegation.platform.get(),
            sender: self.origin.platform.get(),
            market: delegation.market.get(),
            before: self.before.map_or(0, PlatformId::get),
            sides: delegation.sides.code(),
            flags: if self.before.is_some() { HAS_HOLDER } else { 0 },
            zero: [0; 6],
        }
    }

    fn restore(layout: &Archived<DelegatedLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            origin: origin(layout.sender.to_native(), layout.session.to_native()),
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            delegation: delegation!(layout),
            before: holder(layout.flags, layout.before.to_native())?,
        })
    }
}

impl Stored for DelegationRevoked {
    type Layout = RevokedLayout;

    fn layout(&self) -> RevokedLayout {
        RevokedLayout {
            client_order: self.client_order.get(),
            number: self.number,
            meter: self.meter.get(),
            session: self.origin.session.get(),
            platform: self.origin.platform.get(),
            holder: self.holder.map_or(0, PlatformId::get),
            flags: if self.holder.is_some() { HAS_HOLDER } else { 0 },
            zero: [0; 3],
        }
    }

    fn restore(layout: &Archived<RevokedLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            origin: origin(layout.platform.to_native(), layout.session.to_native()),
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            meter: MeterId::new(layout.meter.to_native()),
            number: layout.number.to_native(),
            holder: holder(layout.flags, layout.holder.to_native())?,
        })
    }
}
