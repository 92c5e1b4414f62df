//! Many orders at once: mass cancellations, suspensions and kills, and closing a slot.

use types::{
    CancelReason, ClientOrderId, Event, MASS_CANCEL_MAX, MassCancel, MassCancelled, Origin,
    PlatformId, RejectReason, Request, Scope, TradingControl, TradingState,
};

use crate::{
    book::Book, engine::Engine, index::NONE, ladder::queue, matching::rejected, orders::OrderLog,
};

/// Which orders a mass cancellation reaches.
#[derive(Debug, Clone, Copy)]
struct Reached {
    scope: Scope,
    /// Only orders of this platform.
    platform: Option<PlatformId>,
    reason: CancelReason,
}

impl Engine {
    /// Cancels the open orders of a scope.
    /// Rule T-38.
    pub(crate) fn mass_cancel(&mut self, request: &MassCancel, events: &mut Vec<Event>) {
        let slot = match request.slot.map(|key| self.known_slot(key)).transpose() {
            Ok(slot) => slot,
            Err(reason) => {
                return events.push(match request.origin {
                    Some(origin) => {
                        rejected(origin, request.client_order, Request::MassCancel, reason)
                    }
                    None => Self::refused(reason),
                });
            }
        };
        let reached = Reached {
            scope: request.scope,
            platform: request.origin.map(|origin| origin.platform),
            reason: CancelReason::MassCancel,
        };
        let client_order = request.client_order;
        self.cancel_reached(reached, slot, (request.origin, client_order), events);
    }

    /// Suspends a scope, kills it, or lets it trade again.
    /// Rule T-117.
    pub(crate) fn set_trading(
        &mut self,
        control: TradingControl,
        events: &mut Vec<Event>,
    ) -> Result<(), RejectReason> {
        self.registry.set_trading(control)?;
        events.push(Event::TradingChanged(control));
        if control.state == TradingState::Killed {
            let scope = control.scope;
            self.kill_offers(scope, events);
            let reached = Reached { scope, platform: None, reason: CancelReason::Killed };
            self.cancel_reached(reached, None, (None, ClientOrderId::new(0)), events);
        }
        Ok(())
    }

    fn cancel_reached(
        &mut self,
        reached: Reached,
        slot: Option<u32>,
        (origin, client_order): (Option<Origin>, ClientOrderId),
        events: &mut Vec<Event>,
    ) {
        let slots = slot.map_or(0..self.slots.len(), |slot| slot..slot + 1);
        let (mut cancelled, mut complete) = (0, true);
        let mut numbers = Vec::new();
        for slot in slots {
            let book = self.slots.slot(slot).book;
            if book == NONE {
                continue;
            }
            numbers.clear();
            open_numbers(self.slots.book(book), &self.orders, &mut numbers);
            numbers.retain(|&number| self.is_reached(number, reached));
            for &number in &numbers {
                if self.orders.get(number).is_done() {
                    continue; // With its list.
                }
                if cancelled >= MASS_CANCEL_MAX {
                    complete = false;
                    break;
                }
                cancelled += self.cancel_with_list(number, None, reached.reason, events);
            }
        }
        events.push(Event::MassCancelled(MassCancelled {
            origin,
            client_order,
            scope: reached.scope,
            cancelled,
            complete,
        }));
    }

    /// Whether an order is of a scope; an aggregate order is, when any of its members is.
    /// Rule T-37.
    fn is_reached(&self, number: u32, reached: Reached) -> bool {
        let order = self.orders.get(number);
        if reached.platform.is_some_and(|platform| platform != order.platform) {
            return false;
        }
        match reached.scope {
            Scope::All => true,
            Scope::Platform(platform) => order.platform == platform,
            Scope::Meter(meter) => self.meters_of(number, order).any(|of| of == meter),
            Scope::Session(session) => order.session == session,
            Scope::Market(market) => self.slots.slot(order.slot).key.market == market,
            Scope::Retailer(retailer) => {
                let row = |meter| self.registry.meter(meter);
                let mut retailers = self.meters_of(number, order).filter_map(row);
                retailers.any(|row| row.retailer == retailer)
            }
        }
    }

    /// Cancels what is open in a slot, by number.
    pub(crate) fn cancel_slot(&mut self, slot: u32, reason: CancelReason, events: &mut Vec<Event>) {
        let mut numbers = core::mem::take(&mut self.numbers);
        open_numbers(self.slots.book(self.slots.slot(slot).book), &self.orders, &mut numbers);
        for number in numbers.drain(..) {
            if !self.orders.get(number).is_done() {
                self.cancel_with_list(number, None, reason, events);
            }
        }
        self.numbers = numbers;
    }
}

/// Every open order of a book, in its queues and outside, by number.
pub(crate) fn open_numbers(book: &Book, orders: &OrderLog, numbers: &mut Vec<u32>) {
    for ladder in [book.ladder(types::Side::Buy), book.ladder(types::Side::Sell)] {
        for rank in ladder.ranks() {
            numbers.extend(queue(orders, ladder.level(rank)).map(|(number, _)| number));
        }
    }
    numbers.extend(&book.outside);
    numbers.sort_unstable();
}
