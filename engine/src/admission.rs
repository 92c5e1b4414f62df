//! Stop 8 of an order's life: admission. Every check of a request, in the order of the reject
//! codes; the first that fails is the answer.
//!
//! Whether a signature is genuine has been checked at the edge. Everything that depends on state
//! or on sequenced time is checked here, so that a replay decides the same.

use types::{
    CancelOrder, ClientOrderId, MeterId, NewOrder, Phase, RejectReason, Side, SignedNewOrder,
    SignedReplaceOrder, SlotKey, TimeInForce, Timestamp,
};

use crate::{
    client_ids::Vacancy, engine::Engine, index::NONE, orders::OrderRecord, registry::MeterRow,
    slots::Slot,
};

/// Why a new order does not enter the book.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Refusal {
    /// It breaks a rule.
    Reject(RejectReason),
    /// The order of this number is the same one.
    Restate(u32),
}

impl From<RejectReason> for Refusal {
    fn from(reason: RejectReason) -> Self {
        Self::Reject(reason)
    }
}

/// Where an admitted new order goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placement {
    pub(crate) slot: u32,
    pub(crate) book: u32,
    pub(crate) phase: Phase,
    pub(crate) level: u32,
    pub(crate) vacancy: Vacancy,
}

/// An admitted replacement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replacement {
    pub(crate) number: u32,
    pub(crate) level: u32,
}

impl Engine {
    /// Checks a new order.
    #[inline]
    pub(crate) fn admit_new(
        &self,
        time: Timestamp,
        signed: &SignedNewOrder,
    ) -> Result<Placement, Refusal> {
        let order = &signed.order;
        let platform = signed.origin.platform;
        let meter = self.registry.meter(order.meter).ok_or(RejectReason::UnknownMeter)?;
        if meter.platform != platform {
            return Err(RejectReason::NotAuthorised.into());
        }
        // A repeated order is answered with where it stands, even when a new one would now fail.
        let known = self.client_ids.find(&self.orders, platform, order.client_order);
        if let Ok(number) = known
            && self.is_same(self.orders.get(number), order)
        {
            return Err(Refusal::Restate(number));
        }
        if time > order.valid_until {
            return Err(RejectReason::SignatureExpired.into());
        }
        let index = self.trading_slot(order.key, time)?;
        let slot = self.slots.slot(index);
        if slot.phase == Phase::Call && order.time_in_force == TimeInForce::ImmediateOrCancel {
            return Err(RejectReason::WrongPhase.into());
        }
        let market = self.registry.market(slot.market);
        market.check_quantity(order.quantity.wh())?;
        let level = market.level_of(order.limit)?;
        let vacancy = known.err().ok_or(RejectReason::DuplicateClientOrder)?;
        self.check_limits(slot, meter, order)?;
        Ok(Placement { slot: index, book: slot.book, phase: slot.phase, level, vacancy })
    }

    /// Checks a cancellation; the number is that of an open order.
    #[inline]
    pub(crate) fn admit_cancel(
        &self,
        time: Timestamp,
        cancel: &CancelOrder,
    ) -> Result<u32, RejectReason> {
        let number = self.orders.number(cancel.order).ok_or(RejectReason::UnknownOrder)?;
        let record = self.orders.get(number);
        if record.platform != cancel.origin.platform {
            return Err(RejectReason::NotAuthorised);
        }
        self.check_changeable(number, record, time)?;
        Ok(number)
    }

    /// Checks a replacement.
    ///
    /// A platform's numbers of replacements rise per order: the last one again is a repeat, an
    /// older one is the replay of a signature that has done its work.
    pub(crate) fn admit_replace(
        &self,
        time: Timestamp,
        signed: &SignedReplaceOrder,
    ) -> Result<Replacement, Refusal> {
        let replace = &signed.replace;
        let meter = self.registry.meter(replace.meter).ok_or(RejectReason::UnknownMeter)?;
        let number = self.orders.number(replace.order);
        let record = number.map(|number| (number, self.orders.get(number)));
        let of_other_meter = record.is_some_and(|(_, record)| record.meter != replace.meter);
        if meter.platform != signed.origin.platform || of_other_meter {
            return Err(RejectReason::NotAuthorised.into());
        }
        let last = record.map_or(ClientOrderId::new(0), |(_, record)| record.last_replace);
        if let Some((number, _)) = record
            && replace.client_order == last
            && last.get() != 0
        {
            return Err(Refusal::Restate(number));
        }
        if time > replace.valid_until {
            return Err(RejectReason::SignatureExpired.into());
        }
        let (number, record) = record.ok_or(RejectReason::UnknownOrder)?;
        let leaves = self.check_changeable(number, record, time)?;
        let slot = self.slots.slot(record.slot);
        let market = self.registry.market(slot.market);
        let quantity = replace.quantity.wh();
        market.check_quantity(quantity)?;
        let level = market.level_of(replace.limit)?;
        if replace.client_order <= last {
            return Err(RejectReason::DuplicateClientOrder.into());
        }
        if let Some(growth) = quantity.checked_sub(leaves) {
            self.check_capacity(slot, meter, replace.meter, record.side, growth)?;
        }
        Ok(Replacement { number, level })
    }

    /// Index of a slot that has been opened at some time, for commands of the operator.
    pub(crate) fn known_slot(&self, key: SlotKey) -> Result<u32, RejectReason> {
        self.find_slot(key)?.ok_or(RejectReason::SlotNotOpen)
    }

    /// Index of the slot, if it has been opened; an error when it can't ever be.
    #[inline]
    pub(crate) fn find_slot(&self, key: SlotKey) -> Result<Option<u32>, RejectReason> {
        let market = self.registry.market_index(key.market).ok_or(RejectReason::UnknownMarket)?;
        let number = self.registry.market(market).grid_number(key.slot);
        Ok(self.slots.find(market, number.ok_or(RejectReason::SlotMisaligned)?))
    }

    /// Index of a slot in which orders are accepted at this time.
    ///
    /// The gate is a matter of sequenced time: past it nothing is accepted, whether the command
    /// that closes the slot has arrived or not, and whether the slot was ever opened or not.
    #[inline]
    fn trading_slot(&self, key: SlotKey, time: Timestamp) -> Result<u32, RejectReason> {
        let Some(index) = self.find_slot(key)? else {
            let market = self.registry.market_index(key.market).map(|at| self.registry.market(at));
            let past =
                market.is_some_and(|market| time > market.definition.gate_closes_after(key.slot));
            return Err(if past { RejectReason::GateClosed } else { RejectReason::SlotNotOpen });
        };
        let slot = self.slots.slot(index);
        if time < slot.opens_at {
            return Err(RejectReason::SlotNotOpen);
        }
        check_gate(slot, time)?;
        Ok(index)
    }

    /// Checks that an order's gate is open and that it still rests; its open quantity in Wh.
    #[inline]
    fn check_changeable(
        &self,
        number: u32,
        record: &OrderRecord,
        time: Timestamp,
    ) -> Result<u64, RejectReason> {
        check_gate(self.slots.slot(record.slot), time)?;
        record.open(number, &self.slab).map(|open| open.leaves).ok_or(RejectReason::UnknownOrder)
    }

    /// The last three checks of a new order.
    #[inline]
    fn check_limits(
        &self,
        slot: &Slot,
        meter: &MeterRow,
        order: &NewOrder,
    ) -> Result<(), RejectReason> {
        self.check_capacity(slot, meter, order.meter, order.side, order.quantity.wh())?;
        if slot.phase == Phase::Call
            && self.slots.book(slot.book).used(order.meter, order.side.opposite()) > 0
        {
            return Err(RejectReason::SelfTrade);
        }
        let book = self.slots.book(slot.book);
        let resting = book.ladder(Side::Buy).orders() + book.ladder(Side::Sell).orders();
        if self.slab.is_full() || resting >= self.book_orders_max {
            return Err(RejectReason::OrderLimitReached);
        }
        Ok(())
    }

    /// Open, traded and additional quantity of a meter stay within its certified capacity.
    #[inline]
    fn check_capacity(
        &self,
        slot: &Slot,
        meter: &MeterRow,
        id: MeterId,
        side: Side,
        more: u64,
    ) -> Result<(), RejectReason> {
        let capacity = meter.capacity(side, slot.key.slot.minutes());
        let used = self.slots.book(slot.book).used(id, side);
        if used.checked_add(more).is_none_or(|sum| sum > capacity) {
            return Err(RejectReason::CapacityExceeded);
        }
        Ok(())
    }

    /// Whether a new order is the one that was accepted under its number.
    fn is_same(&self, record: &OrderRecord, order: &NewOrder) -> bool {
        let slot = self.slots.slot(record.slot);
        let limit = self.registry.market(slot.market).price_of(record.level_sent);
        record.meter == order.meter
            && slot.key == order.key
            && record.side == order.side
            && record.time_in_force == order.time_in_force
            && limit == order.limit
            && record.quantity == order.quantity
            && record.valid_until == order.valid_until
    }
}

/// Past the gate, or closed before it.
#[inline]
fn check_gate(slot: &Slot, time: Timestamp) -> Result<(), RejectReason> {
    if time > slot.gate_closes_after || slot.book == NONE {
        return Err(RejectReason::GateClosed);
    }
    Ok(())
}
