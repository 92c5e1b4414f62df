//! Delegations and their ends, good and bad, and which orders are sent under them.

use types::{
    ClientOrderId, Command, DelegateMeter, DelegatedOrder, Delegation, Energy, KeyId, MarketId,
    MeterId, Origin, PlatformId, RevokeDelegation, SessionId, Sides, Signature, SignedFrame,
    SignedNewOrder,
};

use super::{History, MINUTE_NS};

impl History {
    pub(super) fn delegate(&mut self) -> Command {
        let meter = self.some_meter();
        let known = self.delegations.get(&meter).copied();
        let mut delegation = known.unwrap_or_else(|| self.delegation(meter));
        // Now and then the one that is known again.
        if known.is_none() || !self.random.once_in(12) {
            delegation = self.delegation(meter);
        }
        let sender = if self.random.once_in(20) { 1 } else { delegation.platform.get() };
        self.client_orders += 1;
        Command::DelegateMeter(DelegateMeter {
            origin: self.from(PlatformId::new(sender)),
            client_order: ClientOrderId::new(self.client_orders),
            delegation,
            signature: Signature::new([0; 64]),
        })
    }

    pub(super) fn revoke(&mut self) -> Command {
        let meter = self.some_meter();
        let known = self.delegations.get(&meter).copied();
        let last = known.map_or(self.delegation_numbers, |known| known.number);
        let number = match self.random.below(10) {
            0 => last.saturating_sub(1),
            1 => last + 1,
            2 => 0,
            _ => last,
        };
        let holder = known.map_or(PlatformId::new(1), |known| known.platform);
        let sender = if self.random.once_in(6) { PlatformId::new(2) } else { holder };
        let is_signed = self.random.once_in(2);
        self.client_orders += 1;
        Command::RevokeDelegation(RevokeDelegation {
            origin: self.from(sender),
            client_order: ClientOrderId::new(self.client_orders),
            meter,
            number,
            signature: is_signed.then_some(Signature::new([1; 64])),
        })
    }

    /// The evidence of nothing: the engine does not ask.
    pub(super) fn signed_frame(&mut self) -> Command {
        Command::SignedFrame(SignedFrame {
            origin: self.from(PlatformId::new(1)),
            frame: self.client_orders,
            orders: 1,
            key: KeyId::new(7),
            signature: Signature::new([0; 64]),
        })
    }

    /// A single order, now and then under a delegation, mostly by the platform that has it.
    pub(super) fn under_a_delegation(&mut self, signed: &mut SignedNewOrder) -> bool {
        let is_delegated = self.random.once_in(3);
        if is_delegated
            && !self.random.once_in(8)
            && let Some(known) = self.delegations.get(&signed.order.meter)
        {
            signed.origin.platform = known.platform;
        }
        is_delegated
    }

    /// An order on its way. One of a list is sent under a delegation where its own platform has one.
    pub(super) fn send(&mut self, signed: SignedNewOrder, is_delegated: bool) -> Command {
        self.sent.push(signed);
        if is_delegated {
            let SignedNewOrder { origin, order, .. } = signed;
            return Command::DelegatedOrder(DelegatedOrder { origin, order });
        }
        Command::NewOrder(signed)
    }

    /// Whether the platform that sends it has a delegation of its meter.
    pub(super) fn has_delegation(&self, origin: Origin, meter: MeterId) -> bool {
        self.delegations.get(&meter).is_some_and(|known| known.platform == origin.platform)
    }

    fn from(&mut self, platform: PlatformId) -> Origin {
        Origin { platform, session: SessionId::new(u32::from(self.random.small(3))) }
    }

    pub(super) fn some_meter(&mut self) -> MeterId {
        let known = 1 + u32::from(self.random.small(7));
        MeterId::new(if self.random.once_in(60) { 99 } else { known })
    }

    fn delegation(&mut self, meter: MeterId) -> Delegation {
        self.delegation_numbers += 1;
        let minutes = |history: &mut Self, most: u64| {
            i64::try_from(history.random.below(most * MINUTE_NS)).unwrap_or(0)
        };
        let market = self.definition(MarketId::new(1));
        let (begins, lasts) = (minutes(self, 4), minutes(self, 60));
        let is_past = self.random.once_in(20);
        let begins = if self.random.once_in(6) { begins } else { -begins };
        Delegation {
            number: if self.random.once_in(20) { 1 } else { self.delegation_numbers },
            meter,
            platform: PlatformId::new(match self.random.below(40) {
                0 => 3,
                serves => u16::from(serves % 2 == 0) + 1,
            }),
            market: MarketId::new(match self.random.below(40) {
                0 => 9,
                1..8 => 1 + self.random.small(3),
                _ => 0,
            }),
            sides: self.random.one_of(&[Sides::Buy, Sides::Sell, Sides::Both, Sides::Both]),
            quantity_max: match self.random.below(4) {
                0 => Energy::from_wh(10 * (1 + self.random.below(15))),
                1 => Energy::from_wh(u64::from(u32::MAX) + self.random.below(3)),
                _ => Energy::ZERO,
            },
            buy_limit: if self.random.once_in(3) {
                self.price(&market)
            } else {
                Delegation::ANY_BUY
            },
            sell_limit: if self.random.once_in(3) {
                self.price(&market)
            } else {
                Delegation::ANY_SELL
            },
            valid_from: self.time.plus_ns(begins),
            valid_until: if is_past { self.time } else { self.time.plus_ns(lasts) },
            key: KeyId::new(u64::from(meter.get())),
        }
    }
}
