//! Requests about orders that were accepted.

use types::{
    ClientOrderId, Command, DelegatedReplace, Energy, MassCancel, MeterId, OrderId, OrderRequest,
    ReduceOrder, ReplaceOrder, RetailerId, Scope, SessionId, Signature, SignedReplaceOrder,
};

use super::{History, Known};

impl History {
    /// An order accepted earlier that is open and of a kind, mostly.
    fn target(&mut self, wanted: impl Fn(&Known) -> bool) -> Option<Known> {
        let any = self.random.once_in(12);
        let choices: Vec<Known> = self
            .known
            .iter()
            .rev()
            .filter(|known| any || (known.open && wanted(known)))
            .take(40)
            .copied()
            .collect();
        let mut known = self.random.pick(&choices)?;
        if self.random.once_in(60) {
            known.order = OrderId::new(self.random.one_of(&[0, u64::MAX, 1 << 32, 5_000]));
        }
        Some(known)
    }

    fn request(&mut self, known: &Known) -> OrderRequest {
        self.client_orders += 1;
        let client_order = ClientOrderId::new(self.client_orders);
        let mut origin = self.origin(known.signed.order.meter);
        if !self.random.once_in(40) {
            origin.platform = known.signed.origin.platform;
        }
        OrderRequest { origin, client_order, order: known.order }
    }

    pub(super) fn cancel(&mut self) -> Command {
        let Some(known) = self.target(|_| true) else { return self.new_order() };
        Command::CancelOrder(self.request(&known))
    }

    /// Where an order stands, open or done, by either of its numbers.
    pub(super) fn ask(&mut self) -> Command {
        let sent = self.sent.clone();
        if self.random.once_in(2)
            && let Some(signed) = self.random.pick(&sent)
        {
            let (origin, client_order) = (signed.origin, signed.order.client_order);
            return Command::AskOrder(OrderRequest {
                origin,
                client_order,
                order: OrderId::new(0),
            });
        }
        let Some(known) = self.target(|_| true) else { return self.new_order() };
        Command::AskOrder(self.request(&known))
    }

    pub(super) fn hibernate(&mut self) -> Command {
        let awake = |known: &Known| !known.hibernates;
        let Some(known) = self.target(awake) else { return self.new_order() };
        Command::HibernateOrder(self.request(&known))
    }

    pub(super) fn activate(&mut self) -> Command {
        let asleep = |known: &Known| known.hibernates;
        let Some(known) = self.target(asleep) else { return self.new_order() };
        Command::ActivateOrder(self.request(&known))
    }

    pub(super) fn reduce(&mut self) -> Command {
        let awake = |known: &Known| !known.hibernates;
        let Some(known) = self.target(awake) else { return self.new_order() };
        let OrderRequest { origin, client_order, order } = self.request(&known);
        let lot = self.definition(known.signed.order.key.market).lot.wh();
        let by = Energy::from_wh(match self.random.below(40) {
            0 => 0,
            1 => lot + 1,
            2 => u64::MAX,
            _ => lot * (1 + self.random.below(8)),
        });
        Command::ReduceOrder(ReduceOrder { origin, client_order, order, by })
    }

    pub(super) fn replace(&mut self) -> Command {
        let awake = |known: &Known| !known.hibernates;
        let Some(known) = self.target(awake) else { return self.new_order() };
        let (order, sent) = (known.order, known.signed.order);
        let meter = match self.random.below(80) {
            0 => MeterId::new(99),
            1 => MeterId::new(sent.meter.get() + 2),
            _ => sent.meter,
        };
        let market = self.definition(sent.key.market);
        let limit = if self.random.once_in(2) { sent.limit } else { self.price(&market) };
        self.client_orders += 1;
        // Now and then a number that an earlier replacement of this order had, or an older one.
        let client_order = match self.random.below(8) {
            0 => self.replaced.get(&order).copied().unwrap_or(0),
            1 => self.replaced.get(&order).map_or(0, |last| last.saturating_sub(1)),
            _ => self.client_orders,
        };
        self.replaced.insert(order, client_order);
        let mut origin = self.origin(sent.meter);
        let by = known.signed.origin.platform;
        let is_delegated = by != origin.platform || self.random.once_in(4);
        if is_delegated && !self.random.once_in(40) {
            origin.platform = by;
        }
        let replace = ReplaceOrder {
            client_order: ClientOrderId::new(client_order),
            order,
            meter,
            limit,
            quantity: self.quantity(&market),
            valid_until: self.valid_until(),
        };
        if is_delegated {
            return Command::DelegatedReplace(DelegatedReplace { origin, replace });
        }
        let signature = Signature::new([0; 64]);
        Command::ReplaceOrder(SignedReplaceOrder { origin, replace, signature })
    }

    /// Of a platform, or of the operator.
    pub(super) fn mass_cancel(&mut self) -> Command {
        self.client_orders += 1;
        let meter = MeterId::new(1 + u32::from(self.random.small(7)));
        let origin = if self.random.once_in(3) { None } else { Some(self.origin(meter)) };
        let session = SessionId::new(u32::from(self.random.small(3)));
        let scope = match self.random.below(8) {
            0 => Scope::All,
            1 => Scope::Platform(self.origin(meter).platform),
            2 => Scope::Retailer(RetailerId::new(1 + self.random.small(3))),
            3 => Scope::Session(session),
            _ => Scope::Meter(meter),
        };
        let slot = match self.random.below(6) {
            0 | 1 => None,
            2 => Some(self.key()),
            _ => Some(self.open_key()),
        };
        let client_order = ClientOrderId::new(self.client_orders);
        Command::MassCancel(MassCancel { origin, client_order, scope, slot })
    }
}
