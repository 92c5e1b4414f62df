//! Changes of trades: what is asked, and what became of it.

use types::{
    AcceptAmendment, AmendmentOffered, AmendmentTerms, ClientOrderId, ContractAmended,
    DeliverySlot, Energy, MeterId, OfferAmendment, OfferId, PlatformId, Price, Side, Signature,
    Timestamp, TradeId,
};

use super::{
    Archived, Stored,
    layout::{AmendAcceptLayout, AmendLayout, AmendOfferedLayout, AmendedLayout},
    origin, slot_key, zero,
};

/// A layout with the terms and the fields named.
macro_rules! layout {
    ($layout:ident, $of:expr, $terms:expr, $($field:ident: $value:expr,)*) => {{
        let terms: &AmendmentTerms = $terms;
        $layout {
            $($field: $value,)*
            client_order: $of.client_order.get(),
            session: $of.origin.session.get(),
            platform: $of.origin.platform.get(),
            price: terms.price.micros(),
            quantity: terms.quantity.wh(),
            new_quantity: terms.new_quantity.wh(),
            reference: terms.reference,
            expires: terms.expires.ns(),
            trade: terms.trade.get(),
            version: terms.version,
            buyer: terms.buyer.get(),
            seller: terms.seller.get(),
            start_minute: terms.key.slot.start_minute(),
            new_start_minute: terms.new_slot.start_minute(),
            minutes: terms.key.slot.minutes(),
            new_minutes: terms.new_slot.minutes(),
            market: terms.key.market.get(),
        }
    }};
}

/// The terms in a layout.
macro_rules! terms {
    ($layout:ident) => {
        AmendmentTerms {
            trade: TradeId::new($layout.trade.to_native()),
            version: $layout.version.to_native(),
            key: slot_key(
                $layout.start_minute.to_native(),
                $layout.minutes.to_native(),
                $layout.market.to_native(),
            )?,
            buyer: MeterId::new($layout.buyer.to_native()),
            seller: MeterId::new($layout.seller.to_native()),
            price: Price::from_micros($layout.price.to_native()),
            quantity: Energy::from_wh($layout.quantity.to_native()),
            new_slot: DeliverySlot::new(
                $layout.new_start_minute.to_native(),
                $layout.new_minutes.to_native(),
            )
            .ok()?,
            new_quantity: Energy::from_wh($layout.new_quantity.to_native()),
            reference: $layout.reference.to_native(),
            expires: Timestamp::from_ns($layout.expires.to_native()),
        }
    };
}

impl Stored for OfferAmendment {
    type Layout = AmendLayout;

    fn layout(&self) -> AmendLayout {
        layout!(
            AmendLayout,
            self,
            &self.terms,
            signature: *self.signature.as_bytes(),
            side: self.offered_by.code(),
            zero: [0; 7],
        )
    }

    fn restore(layout: &Archived<AmendLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            origin: origin(layout.platform.to_native(), layout.session.to_native()),
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            terms: terms!(layout),
            offered_by: Side::from_code(layout.side)?,
            signature: Signature::new(layout.signature),
        })
    }
}

impl Stored for AcceptAmendment {
    type Layout = AmendAcceptLayout;

    fn layout(&self) -> AmendAcceptLayout {
        layout!(
            AmendAcceptLayout,
            self,
            &self.terms,
            signature: *self.signature.as_bytes(),
            offer: self.offer.get(),
            side: self.accepted_by.code(),
            zero: [0; 7],
        )
    }

    fn restore(layout: &Archived<AmendAcceptLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            origin: origin(layout.platform.to_native(), layout.session.to_native()),
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            offer: OfferId::new(layout.offer.to_native()),
            terms: terms!(layout),
            accepted_by: Side::from_code(layout.side)?,
            signature: Signature::new(layout.signature),
        })
    }
}

impl Stored for AmendmentOffered {
    type Layout = AmendOfferedLayout;

    fn layout(&self) -> AmendOfferedLayout {
        layout!(
            AmendOfferedLayout,
            self,
            &self.terms,
            offer: self.offer.get(),
            invited: self.invited.get(),
            side: self.offered_by.code(),
            zero: [0; 5],
        )
    }

    fn restore(layout: &Archived<AmendOfferedLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            origin: origin(layout.platform.to_native(), layout.session.to_native()),
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            offer: OfferId::new(layout.offer.to_native()),
            terms: terms!(layout),
            offered_by: Side::from_code(layout.side)?,
            invited: PlatformId::new(layout.invited.to_native()),
        })
    }
}

impl Stored for ContractAmended {
    type Layout = AmendedLayout;

    fn layout(&self) -> AmendedLayout {
        layout!(
            AmendedLayout,
            self,
            &self.terms,
            offer: self.offer.get(),
            offered_as: self.offered_as.get(),
            offerer: self.offerer.get(),
            side: self.offered_by.code(),
            zero: [0; 5],
        )
    }

    fn restore(layout: &Archived<AmendedLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            origin: origin(layout.platform.to_native(), layout.session.to_native()),
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            offer: OfferId::new(layout.offer.to_native()),
            offerer: PlatformId::new(layout.offerer.to_native()),
            offered_as: ClientOrderId::new(layout.offered_as.to_native()),
            offered_by: Side::from_code(layout.side)?,
            terms: terms!(layout),
        })
    }
}
