//! Contracts: what is asked, and what became of it.

use types::{
    AcceptContract, ClientOrderId, ContractAgreed, ContractEnded, ContractOffered,
    ContractRestated, ContractTerms, Energy, MeterId, OfferContract, OfferId, OfferRequest,
    OfferState, PlatformId, Price, Side, Signature, Timestamp, TradeId,
};

use super::{
    Archived, Stored,
    layout::{
        AcceptLayout, AgreedLayout, ContractRestatedLayout, EndedLayout, OfferLayout,
        OfferRequestLayout, OfferedLayout,
    },
    origin, slot_key, zero,
};

/// The terms in a layout, which three layouts have.
macro_rules! terms {
    ($layout:ident) => {
        ContractTerms {
            key: slot_key(
                $layout.start_minute.to_native(),
                $layout.minutes.to_native(),
                $layout.market.to_native(),
            )?,
            buyer: MeterId::new($layout.buyer.to_native()),
            seller: MeterId::new($layout.seller.to_native()),
            price: Price::from_micros($layout.price.to_native()),
            quantity: Energy::from_wh($layout.quantity.to_native()),
            reference: $layout.reference.to_native(),
            expires: Timestamp::from_ns($layout.expires.to_native()),
        }
    };
}

impl Stored for OfferContract {
    type Layout = OfferLayout;

    fn layout(&self) -> OfferLayout {
        let terms = &self.terms;
        OfferLayout {
            signature: *self.signature.as_bytes(),
            client_order: self.client_order.get(),
            price: terms.price.micros(),
            quantity: terms.quantity.wh(),
            reference: terms.reference,
            expires: terms.expires.ns(),
            buyer: terms.buyer.get(),
            seller: terms.seller.get(),
            session: self.origin.session.get(),
            start_minute: terms.key.slot.start_minute(),
            minutes: terms.key.slot.minutes(),
            market: terms.key.market.get(),
            platform: self.origin.platform.get(),
            side: self.offered_by.code(),
            zero: [0; 1],
        }
    }

    fn restore(layout: &Archived<OfferLayout>) -> Option<Self> {
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

impl Stored for AcceptContract {
    type Layout = AcceptLayout;

    fn layout(&self) -> AcceptLayout {
        let terms = &self.terms;
        AcceptLayout {
            signature: *self.signature.as_bytes(),
            client_order: self.client_order.get(),
            offer: self.offer.get(),
            price: terms.price.micros(),
            quantity: terms.quantity.wh(),
            reference: terms.reference,
            expires: terms.expires.ns(),
            buyer: terms.buyer.get(),
            seller: terms.seller.get(),
            session: self.origin.session.get(),
            start_minute: terms.key.slot.start_minute(),
            minutes: terms.key.slot.minutes(),
            market: terms.key.market.get(),
            platform: self.origin.platform.get(),
            side: self.accepted_by.code(),
            zero: [0; 1],
        }
    }

    fn restore(layout: &Archived<AcceptLayout>) -> Option<Self> {
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

impl Stored for OfferRequest {
    type Layout = OfferRequestLayout;

    fn layout(&self) -> OfferRequestLayout {
        OfferRequestLayout {
            client_order: self.client_order.get(),
            offer: self.offer.get(),
            session: self.origin.session.get(),
            platform: self.origin.platform.get(),
            zero: [0; 2],
        }
    }

    fn restore(layout: &Archived<OfferRequestLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            origin: origin(layout.platform.to_native(), layout.session.to_native()),
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            offer: OfferId::new(layout.offer.to_native()),
        })
    }
}

impl Stored for ContractOffered {
    type Layout = OfferedLayout;

    fn layout(&self) -> OfferedLayout {
        let terms = &self.terms;
        OfferedLayout {
            client_order: self.client_order.get(),
            offer: self.offer.get(),
            price: terms.price.micros(),
            quantity: terms.quantity.wh(),
            reference: terms.reference,
            expires: terms.expires.ns(),
            buyer: terms.buyer.get(),
            seller: terms.seller.get(),
            session: self.origin.session.get(),
            start_minute: terms.key.slot.start_minute(),
            minutes: terms.key.slot.minutes(),
            market: terms.key.market.get(),
            platform: self.origin.platform.get(),
            invited: self.invited.get(),
            side: self.offered_by.code(),
            zero: [0; 7],
        }
    }

    fn restore(layout: &Archived<OfferedLayout>) -> Option<Self> {
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

impl Stored for ContractAgreed {
    type Layout = AgreedLayout;

    fn layout(&self) -> AgreedLayout {
        AgreedLayout {
            client_order: self.client_order.get(),
            offer: self.offer.get(),
            trade: self.trade.get(),
            offered_as: self.offered_as.get(),
            session: self.origin.session.get(),
            platform: self.origin.platform.get(),
            offerer: self.offerer.get(),
            side: self.offered_by.code(),
            zero: [0; 7],
        }
    }

    fn restore(layout: &Archived<AgreedLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            origin: origin(layout.platform.to_native(), layout.session.to_native()),
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            offer: OfferId::new(layout.offer.to_native()),
            trade: TradeId::new(layout.trade.to_native()),
            offerer: PlatformId::new(layout.offerer.to_native()),
            offered_as: ClientOrderId::new(layout.offered_as.to_native()),
            offered_by: Side::from_code(layout.side)?,
        })
    }
}

impl Stored for ContractEnded {
    type Layout = EndedLayout;

    fn layout(&self) -> EndedLayout {
        EndedLayout {
            offer: self.offer.get(),
            offered_as: self.offered_as.get(),
            client_order: self.client_order.get(),
            offerer: self.offerer.get(),
            invited: self.invited.get(),
            side: self.offered_by.code(),
            state: self.state.code(),
            zero: [0; 2],
        }
    }

    fn restore(layout: &Archived<EndedLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            offer: OfferId::new(layout.offer.to_native()),
            offerer: PlatformId::new(layout.offerer.to_native()),
            offered_as: ClientOrderId::new(layout.offered_as.to_native()),
            offered_by: Side::from_code(layout.side)?,
            invited: PlatformId::new(layout.invited.to_native()),
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            state: OfferState::from_code(layout.state)?,
        })
    }
}

impl Stored for ContractRestated {
    type Layout = ContractRestatedLayout;

    fn layout(&self) -> ContractRestatedLayout {
        ContractRestatedLayout {
            client_order: self.client_order.get(),
            offer: self.offer.get(),
            trade: self.trade.get(),
            session: self.origin.session.get(),
            platform: self.origin.platform.get(),
            state: self.state.code(),
            side: self.side.code(),
        }
    }

    fn restore(layout: &Archived<ContractRestatedLayout>) -> Option<Self> {
        Some(Self {
            origin: origin(layout.platform.to_native(), layout.session.to_native()),
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            offer: OfferId::new(layout.offer.to_native()),
            state: OfferState::from_code(layout.state)?,
            trade: TradeId::new(layout.trade.to_native()),
            side: Side::from_code(layout.side)?,
        })
    }
}
