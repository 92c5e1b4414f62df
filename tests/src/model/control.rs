//! Many at once: mass cancellations, suspensions, kills; credit and counted trades.

use types::{
    CancelReason, ClientOrderId, CreditLimit, CreditRelease, Event, MASS_CANCEL_MAX, MarketId,
    MassCancel, MassCancelled, MeterId, Origin, Party, PlatformId, Price, RejectReason, Request,
    Role, Scope, SlotKey, TradingControl, TradingState,
};

use super::{Model, Outcome, exposure, refuse_if, requests::reject, worst_price};

/// A platform and a market.
type Row = (PlatformId, MarketId);

impl Model {
    pub(super) fn mass_cancel(&mut self, mass: &MassCancel, events: &mut Vec<Event>) -> Outcome {
        if let Err(reason) = self.check_mass_cancel(mass) {
            let Some(origin) = mass.origin else { return Err(reason) };
            events.push(reject(origin, mass.client_order, Request::MassCancel, reason));
            return Ok(());
        }
        self.cancel_many(mass, CancelReason::MassCancel, events);
        Ok(())
    }

    fn check_mass_cancel(&self, mass: &MassCancel) -> Outcome {
        let Some(key) = mass.slot else { return Ok(()) };
        self.market_of(key)?;
        refuse_if(self.find_slot(key).is_none(), RejectReason::SlotNotOpen)
    }

    /// Open orders that a mass cancellation reaches: slots in the order of their opening, orders by
    /// number.
    fn reached(&self, mass: &MassCancel) -> Vec<usize> {
        let mut reached = Vec::new();
        let slots = self.slots.iter().map(|slot| slot.key);
        for key in slots.filter(|&key| mass.slot.is_none_or(|only| only == key)) {
            reached.extend((0..self.orders.len()).filter(|&at| {
                let order = &self.orders[at];
                order.is_open()
                    && order.sent.key == key
                    && mass.origin.is_none_or(|origin| origin.platform == order.platform)
                    && self.is_in_scope(at, mass.scope)
            }));
        }
        reached
    }

    fn cancel_many(&mut self, mass: &MassCancel, reason: CancelReason, events: &mut Vec<Event>) {
        let mut cancelled = 0;
        for at in self.reached(mass) {
            // The rest of a list may have gone with an earlier one.
            if cancelled < MASS_CANCEL_MAX && self.orders[at].is_open() {
                cancelled += self.cancel_whole(at, None, reason, events);
            }
        }
        events.push(Event::MassCancelled(MassCancelled {
            origin: mass.origin,
            client_order: mass.client_order,
            scope: mass.scope,
            cancelled,
            complete: self.reached(mass).is_empty(),
        }));
    }

    pub(super) fn set_trading(
        &mut self,
        control: &TradingControl,
        events: &mut Vec<Event>,
    ) -> Outcome {
        let TradingControl { scope, state } = *control;
        let known = |role, number| self.parties.contains_key(&Party { role, number });
        match scope {
            Scope::All => {}
            Scope::Platform(id) => {
                refuse_if(!known(Role::Platform, id.get()), RejectReason::UnknownParty)?;
            }
            Scope::Retailer(id) => {
                refuse_if(!known(Role::Retailer, id.get()), RejectReason::UnknownParty)?;
            }
            Scope::Meter(id) => {
                let registered = self.meters.iter().any(|meter| meter.meter == id);
                refuse_if(!registered, RejectReason::UnknownMeter)?;
            }
            Scope::Market(id) => {
                refuse_if(!self.markets.contains_key(&id), RejectReason::UnknownMarket)?;
            }
            Scope::Session(_) => return Err(RejectReason::InvalidScope),
        }
        match state {
            TradingState::Active => self.halted.remove(&scope.parts()),
            TradingState::Suspended | TradingState::Killed => {
                self.halted.insert(scope.parts(), state)
            }
        };
        events.push(Event::TradingChanged(*control));
        if state == TradingState::Killed {
            let client_order = ClientOrderId::new(0);
            let (origin, slot): (Option<Origin>, Option<SlotKey>) = (None, None);
            let mass = MassCancel { origin, client_order, scope, slot };
            self.kill_offers(scope, events);
            self.cancel_many(&mass, CancelReason::Killed, events);
        }
        Ok(())
    }

    pub(super) fn set_credit(&mut self, credit: &CreditLimit, events: &mut Vec<Event>) -> Outcome {
        let row = (credit.platform, credit.market);
        self.check_row(row)?;
        refuse_if(credit.limit.minor() < 0, RejectReason::InvalidCredit)?;
        self.credit.insert(row, credit.limit);
        events.push(Event::CreditSet(*credit));
        Ok(())
    }

    pub(super) fn release_credit(
        &mut self,
        release: &CreditRelease,
        events: &mut Vec<Event>,
    ) -> Outcome {
        let row = (release.platform, release.market);
        let nanos_per_minor = self.check_row(row)?;
        let amount = i128::from(release.amount.minor()) * nanos_per_minor;
        let owed = self.owed.get(&row).copied().unwrap_or(0);
        refuse_if(amount < 0 || amount > owed, RejectReason::InvalidCredit)?;
        self.owed.insert(row, owed - amount);
        events.push(Event::CreditReleased(*release));
        Ok(())
    }

    /// What a minor unit of the market is in nano-currency, if market and platform are known.
    fn check_row(&self, (platform, market): Row) -> Result<i128, RejectReason> {
        let market = self.markets.get(&market).ok_or(RejectReason::UnknownMarket)?;
        let party = Party { role: Role::Platform, number: platform.get() };
        refuse_if(!self.parties.contains_key(&party), RejectReason::UnknownParty)?;
        Ok(market.definition.currency.nanos_per_minor())
    }

    /// What the open orders of a platform in a market may come to owe, in nano-currency.
    pub(super) fn reserved(&self, (platform, market): Row) -> i128 {
        let definition = self.markets[&market].definition;
        self.orders
            .iter()
            .filter(|order| {
                order.is_open() && order.platform == platform && order.sent.key.market == market
            })
            .map(|order| {
                let sent = &order.sent;
                let price = worst_price(&definition, sent.kind, sent.side, order.limit);
                exposure(sent.side, price, order.open)
            })
            .sum()
    }

    /// One side of a trade: what its platform owes, and the count of its meter.
    pub(super) fn owe_and_count(
        &mut self,
        (at, meter): (usize, MeterId),
        price: Price,
        quantity: u64,
    ) {
        let order = self.orders[at];
        let key = order.sent.key;
        let owed = self.owed.entry((order.platform, key.market)).or_default();
        *owed += exposure(order.sent.side, price, quantity);
        if self.markets[&key.market].controls.executions_max > 0 {
            *self.slot_mut(key).executions.entry(meter).or_default() += 1;
        }
    }
}
