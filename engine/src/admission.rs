//! Stop 8 of an order's life: admission. Every check of a request, in the order that
//! `docs/matching.md` gives; the first that fails is the answer.
//!
//! Whether a signature is genuine has been checked at the edge. Everything that depends on state
//! or on sequenced time is checked here, so that a replay decides the same.

use types::{
    ClientOrderId, Conditions, DelegatedOrder, DelegatedReplace, ICEBERG_PARTS_MAX, MarketId,
    MeterId, NewOrder, OrderId, OrderKind, OrderList, Origin, Phase, PlatformId, Price,
    RejectReason, ReplaceOrder, SelfTradeAction, Side, SignedNewOrder, SignedReplaceOrder, SlotKey,
    Terms, TimeInForce, Timestamp,
};

use crate::{
    client_ids::Vacancy,
    credit::{amount, exposure},
    engine::Engine,
    index::NONE,
    orders::{Accepted, Extra, MARKET, Order, Place, Traits},
    registry::{Market, MeterRow, group},
    slots::Slot,
};

/// What a platform's right to ask for something rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authority {
    /// The meter's key signed it: its registered platform may send it.
    Meter,
    /// The platform's key signed it: it needs a delegation of the meter.
    Delegation,
}

/// A new order, who sent it, and why it may.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) origin: Origin,
    pub(crate) order: &'a NewOrder,
    authority: Authority,
}

impl<'a> Entry<'a> {
    pub(crate) const fn signed(signed: &'a SignedNewOrder) -> Self {
        Self { origin: signed.origin, order: &signed.order, authority: Authority::Meter }
    }

    pub(crate) const fn delegated(delegated: &'a DelegatedOrder) -> Self {
        let authority = Authority::Delegation;
        Self { origin: delegated.origin, order: &delegated.order, authority }
    }
}

/// A replacement, who sent it, and why it may.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change<'a> {
    pub(crate) origin: Origin,
    pub(crate) replace: &'a ReplaceOrder,
    authority: Authority,
}

impl<'a> Change<'a> {
    pub(crate) const fn signed(signed: &'a SignedReplaceOrder) -> Self {
        Self { origin: signed.origin, replace: &signed.replace, authority: Authority::Meter }
    }

    pub(crate) const fn delegated(delegated: &'a DelegatedReplace) -> Self {
        let authority = Authority::Delegation;
        Self { origin: delegated.origin, replace: &delegated.replace, authority }
    }
}

/// Why a request is not carried out.
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

/// A new order that is accepted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admitted {
    pub(crate) order: Accepted,
    pub(crate) extra: Option<(Traits, Extra)>,
    /// What it reserves of its platform's credit, in nano-currency.
    pub(crate) reserve: i128,
    pub(crate) vacancy: Vacancy,
}

/// An admitted replacement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replacement {
    pub(crate) number: u32,
    pub(crate) level: u32,
    pub(crate) quantity: u32,
}

impl Engine {
    /// Checks a new order.
    /// Rule T-01.
    #[inline]
    pub(crate) fn admit_new(&self, time: Timestamp, entry: Entry<'_>) -> Result<Admitted, Refusal> {
        let Entry { origin, order, authority } = entry;
        let platform = origin.platform;
        let row = self.registry.meter(order.meter).ok_or(RejectReason::UnknownMeter)?;
        // Rule T-02.
        if authority == Authority::Meter && row.platform != platform {
            return Err(RejectReason::NotAuthorised.into());
        }
        // A repeated order is answered with where it stands, even when a new one would now fail.
        let known = self.client_ids.find(&self.orders, platform, order.client_order);
        // Rule T-05.
        if let Ok(number) = known
            && self.is_same(self.orders.get(number), order)
        {
            return Err(Refusal::Restate(number));
        }
        // Rule T-04.
        if time > order.valid_until {
            return Err(RejectReason::SignatureExpired.into());
        }
        if self.registry.is_stopped((order.meter, platform), row, Some(order.key.market)) {
            return Err(RejectReason::TradingSuspended.into());
        }
        if authority == Authority::Delegation {
            self.delegations.check((order.meter, platform), time, &Terms::from(order))?;
        }
        let index = self.trading_slot(order.key, time)?;
        let slot = self.slots.slot(index);
        // Rule T-47.
        if slot.phase == Phase::Frozen
            || (order.time_in_force.is_immediate() && slot.phase != Phase::Continuous)
        {
            return Err(RejectReason::WrongPhase.into());
        }
        let market = self.registry.market(slot.market);
        let quantity = market.check_quantity(order.quantity.wh())?;
        let level = match order.kind {
            OrderKind::Limit => market.level_of(order.limit)?,
            OrderKind::Market => MARKET,
        };
        // Rule T-06.
        let vacancy = known.err().ok_or(RejectReason::DuplicateClientOrder)?;
        let group = group(&market.controls, order.meter, row.owner);
        self.check_capacity(slot, row, order.meter, order.side, quantity)?;
        self.check_self_trade(slot, group, order.side)?;
        self.check_aggregated(slot, group, order.side)?;
        self.check_room(slot, rare_traits(order))?;
        let per_wh = check_size(market, order.side, level, quantity)?;
        let reserve = amount(per_wh, quantity);
        let extra =
            if is_plain(order) { None } else { Some(check_extra(time, market, order, level)?) };
        if order.conditions.post_only {
            self.check_post_only(slot, order.side, level)?;
        }
        self.check_credit(slot.market, platform, reserve)?;
        if market.controls.executions_max != 0 {
            self.check_executions(slot, market, order.meter)?;
        }
        if order.list != OrderList::NONE {
            self.check_list(platform, order, level)?;
        }
        let order = Accepted {
            client_order: order.client_order,
            valid_until: order.valid_until,
            quantity,
            meter: order.meter,
            level,
            slot: index,
            session: origin.session,
            group,
            platform,
            side: order.side,
            kind: order.kind,
            time_in_force: order.time_in_force,
        };
        Ok(Admitted { order, extra, reserve, vacancy })
    }

    /// Checks a request about an open order, up to whether it may change now: its number.
    #[inline]
    pub(crate) fn admit_request(
        &self,
        time: Timestamp,
        origin: Origin,
        order: OrderId,
    ) -> Result<u32, RejectReason> {
        let (number, order) = self.own_order(origin, order)?;
        self.check_changeable(order, time)?;
        Ok(number)
    }

    /// An order of this platform, open or done.
    /// Rule T-27.
    #[inline]
    pub(crate) fn own_order(
        &self,
        origin: Origin,
        order: OrderId,
    ) -> Result<(u32, &Order), RejectReason> {
        let number = self.orders.number(order).ok_or(RejectReason::UnknownOrder)?;
        let order = self.orders.get(number);
        if order.platform == origin.platform {
            Ok((number, order))
        } else {
            Err(RejectReason::NotAuthorised)
        }
    }

    /// Checks that an order stands alone, in its book or asleep.
    /// Rule T-103.
    pub(crate) fn check_stands(&self, number: u32, place: Place) -> Result<(), RejectReason> {
        let order = self.orders.get(number);
        if order.traits.has(Traits::LISTED) {
            return Err(RejectReason::PartOfList);
        }
        if order.traits.has(Traits::AGGREGATE) {
            return Err(RejectReason::NotForAggregates);
        }
        if order.place() == place { Ok(()) } else { Err(RejectReason::UnknownOrder) }
    }

    /// Checks the activation of a hibernating order: its number.
    pub(crate) fn admit_activation(
        &self,
        time: Timestamp,
        origin: Origin,
        order: OrderId,
    ) -> Result<u32, RejectReason> {
        let (number, order) = self.own_order(origin, order)?;
        let market = self.slots.slot(order.slot).key.market;
        if self.is_stopped(order.meter, order.platform, market) {
            return Err(RejectReason::TradingSuspended);
        }
        self.check_changeable(order, time)?;
        self.check_stands(number, Place::Asleep)?;
        let slot = self.slots.slot(order.slot);
        if slot.is_limited {
            // What it holds is counted already.
            self.check_grid(slot, order.meter, order.side(), 0)?;
        }
        self.check_entry(order)?;
        Ok(number)
    }

    /// Checks a replacement.
    ///
    /// A platform's numbers of replacements rise per order: the last one again is a repeat, an
    /// older one is the replay of a signature that has done its work.
    pub(crate) fn admit_replace(
        &self,
        time: Timestamp,
        change: Change<'_>,
    ) -> Result<Replacement, Refusal> {
        let Change { origin, replace, authority } = change;
        let row = self.registry.meter(replace.meter).ok_or(RejectReason::UnknownMeter)?;
        let known = self.orders.number(replace.order).map(|n| (n, self.orders.get(n)));
        // With delegations, platforms may have orders of one meter: each changes its own.
        let of_other_platform = known.is_some_and(|(_, order)| order.platform != origin.platform);
        let is_foreign = authority == Authority::Meter && row.platform != origin.platform;
        if is_foreign || of_other_platform {
            return Err(RejectReason::NotAuthorised.into());
        }
        if known.is_some_and(|(_, order)| order.traits.has(Traits::AGGREGATE)) {
            return Err(RejectReason::NotForAggregates.into());
        }
        if known.is_some_and(|(_, order)| order.meter != replace.meter) {
            return Err(RejectReason::NotAuthorised.into());
        }
        let last = known.map_or(ClientOrderId::new(0), |(_, o)| self.orders.extra(o).last_replace);
        if let Some((number, _)) = known
            && replace.client_order == last
            && last.get() != 0
        {
            return Err(Refusal::Restate(number));
        }
        if time > replace.valid_until {
            return Err(RejectReason::SignatureExpired.into());
        }
        let market = known.map(|(_, order)| self.slots.slot(order.slot).key.market);
        if self.registry.is_stopped((replace.meter, origin.platform), row, market) {
            return Err(RejectReason::TradingSuspended.into());
        }
        if authority == Authority::Delegation {
            self.delegations.check_time((replace.meter, origin.platform), time)?;
        }
        let (number, order) = known.ok_or(RejectReason::UnknownOrder)?;
        if authority == Authority::Delegation {
            self.check_delegated_terms(time, change, order)?;
        }
        self.check_changeable(order, time)?;
        self.check_stands(number, Place::Queue)?;
        if order.level == MARKET {
            return Err(RejectReason::InvalidConditions.into());
        }
        let slot = self.slots.slot(order.slot);
        let market = self.registry.market(slot.market);
        let quantity = market.check_quantity(replace.quantity.wh())?;
        if order.filled.checked_add(quantity).is_none() {
            return Err(RejectReason::QuantityAboveMaximum.into());
        }
        let level = market.level_of(replace.limit)?;
        // Rule T-33.
        if replace.client_order <= last {
            return Err(RejectReason::DuplicateClientOrder.into());
        }
        let growth = quantity.saturating_sub(order.leaves);
        self.check_capacity(slot, row, order.meter, order.side(), growth)?;
        let moves = level != order.level || growth > 0;
        if moves {
            self.check_self_trade(slot, order.group, order.side())?;
        }
        let per_wh = check_size(market, order.side(), level, quantity)?;
        let display = self.orders.extra(order).display;
        if has_too_many_parts(u64::from(display), u64::from(quantity)) {
            return Err(RejectReason::InvalidConditions.into());
        }
        if moves && order.traits.has(Traits::POST_ONLY) {
            self.check_post_only(slot, order.side(), level)?;
        }
        let now = exposure(order.side(), market.price_of(order.level));
        let more = amount(per_wh, quantity) - amount(now, order.leaves);
        if more > 0 {
            self.check_credit(slot.market, origin.platform, more)?;
        }
        Ok(Replacement { number, level, quantity })
    }

    /// Whether a delegation allows what a replacement makes of an order.
    /// Rule T-97.
    fn check_delegated_terms(
        &self,
        time: Timestamp,
        Change { origin, replace, .. }: Change<'_>,
        order: &Order,
    ) -> Result<(), RejectReason> {
        let terms = Terms {
            market: self.slots.slot(order.slot).key.market,
            side: order.side(),
            quantity: replace.quantity,
            worst: replace.limit,
        };
        self.delegations.check((replace.meter, origin.platform), time, &terms)
    }

    /// Index of a slot that has been opened at some time, for commands of the operator.
    pub(crate) fn known_slot(&self, key: SlotKey) -> Result<u32, RejectReason> {
        self.find_slot(key)?.ok_or(RejectReason::SlotNotOpen)
    }

    /// Index of the slot, if it has been opened; an error when it can't ever be.
    #[inline]
    pub(crate) fn find_slot(&self, key: SlotKey) -> Result<Option<u32>, RejectReason> {
        match self.slots.find(key) {
            Some(index) => Ok(Some(index)),
            None => self.check_slot_fits(key).map(|()| None),
        }
    }

    /// Rule T-42.
    #[cold]
    fn check_slot_fits(&self, key: SlotKey) -> Result<(), RejectReason> {
        let market = self.registry.market_index(key.market).ok_or(RejectReason::UnknownMarket)?;
        if self.registry.market(market).fits(key.slot) {
            Ok(())
        } else {
            Err(RejectReason::SlotMisaligned)
        }
    }

    /// Whether a registered meter may not trade through a platform in a market now.
    pub(crate) fn is_stopped(
        &self,
        meter: MeterId,
        platform: PlatformId,
        market: MarketId,
    ) -> bool {
        let row = self.registry.meter(meter);
        row.is_some_and(|row| self.registry.is_stopped((meter, platform), row, Some(market)))
    }

    /// Index of a slot in which orders are accepted at this time.
    /// Rule T-43.
    ///
    /// The gate is a matter of sequenced time: past it nothing is accepted, whether the command
    /// that closes the slot has arrived or not, and whether the slot was ever opened or not.
    #[inline]
    pub(crate) fn trading_slot(&self, key: SlotKey, time: Timestamp) -> Result<u32, RejectReason> {
        let Some(index) = self.find_slot(key)? else {
            let market = self.registry.market_index(key.market).map(|at| self.registry.market(at));
            // Rule T-44.
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

    /// Checks that an order's gate is open, that it is open itself, and not frozen.
    /// Rule T-28.
    #[inline]
    fn check_changeable(&self, order: &Order, time: Timestamp) -> Result<(), RejectReason> {
        let slot = self.slots.slot(order.slot);
        check_gate(slot, time)?;
        if order.is_done() {
            return Err(RejectReason::UnknownOrder);
        }
        // Rule T-48.
        if slot.phase == Phase::Frozen {
            return Err(RejectReason::WrongPhase);
        }
        Ok(())
    }

    /// What depends on the phase for an order that is about to enter.
    fn check_entry(&self, order: &Order) -> Result<(), RejectReason> {
        let slot = self.slots.slot(order.slot);
        self.check_self_trade(slot, order.group, order.side())?;
        if order.traits.has(Traits::POST_ONLY) {
            self.check_post_only(slot, order.side(), order.level)?;
        }
        Ok(())
    }

    /// Open, traded and additional quantity of a meter stay within its certified capacity, and with
    /// those of its neighbours within what the grid allows.
    /// Rule T-12.
    #[inline]
    pub(crate) fn check_capacity(
        &self,
        slot: &Slot,
        row: &MeterRow,
        meter: MeterId,
        side: Side,
        more: u32,
    ) -> Result<(), RejectReason> {
        let capacity = row.capacity(side, slot.key.slot.minutes());
        let used = self.slots.book(slot.book).used(meter, side);
        if used.checked_add(more).is_none_or(|sum| sum > capacity) {
            return Err(RejectReason::CapacityExceeded);
        }
        if slot.is_limited && more > 0 { self.check_grid(slot, meter, side, more) } else { Ok(()) }
    }

    /// In a call, a group has open orders on one side only.
    /// Rule T-87.
    #[inline]
    fn check_self_trade(&self, slot: &Slot, group: u32, side: Side) -> Result<(), RejectReason> {
        if slot.phase == Phase::Call
            && group != 0
            && self.registry.market(slot.market).controls.self_trade != SelfTradeAction::Allow
            && self.slots.book(slot.book).open(group, side.opposite()) > 0
        {
            return Err(RejectReason::SelfTrade);
        }
        Ok(())
    }

    /// A group with an open order has no member of an open aggregate order on the other side.
    /// Rule T-100.
    #[inline]
    fn check_aggregated(&self, slot: &Slot, group: u32, side: Side) -> Result<(), RejectReason> {
        let (book, other) = (self.slots.book(slot.book), side.opposite());
        if book.members(other) > 0 && group != 0 && book.aggregated(group, other) > 0 {
            return Err(RejectReason::AggregateSelfTrade);
        }
        Ok(())
    }

    /// Rule T-14.
    #[inline]
    fn check_room(&self, slot: &Slot, rare: Traits) -> Result<(), RejectReason> {
        let book = self.slots.book(slot.book);
        if self.orders.open() >= self.limits.orders_max
            || book.orders() >= self.limits.book_orders_max
            || !book.rare.has_room(rare)
        {
            return Err(RejectReason::OrderLimitReached);
        }
        Ok(())
    }

    /// A post-only order meets nothing in a continuous slot.
    /// Rule T-24.
    fn check_post_only(&self, slot: &Slot, side: Side, level: u32) -> Result<(), RejectReason> {
        let book = self.slots.book(slot.book);
        let other = side.opposite();
        if slot.phase == Phase::Continuous && book.ladder(other).best() <= book.reach(other, level)
        {
            return Err(RejectReason::PostOnlyWouldTrade);
        }
        Ok(())
    }

    /// Rule T-16.
    #[inline]
    pub(crate) fn check_credit(
        &self,
        market: u16,
        platform: PlatformId,
        more: i128,
    ) -> Result<(), RejectReason> {
        match self.credit.account(market, platform) {
            Some(account) if !account.has_room(more) => Err(RejectReason::CreditExceeded),
            Some(_) | None => Ok(()),
        }
    }

    /// Rule T-15.
    pub(crate) fn check_executions(
        &self,
        slot: &Slot,
        market: &Market,
        meter: MeterId,
    ) -> Result<(), RejectReason> {
        let traded = self.slots.book(slot.book).executions(meter);
        if traded >= market.controls.executions_max {
            return Err(RejectReason::ExecutionLimitReached);
        }
        Ok(())
    }

    /// Whether a new order is the one that was accepted under its number.
    fn is_same(&self, known: &Order, order: &NewOrder) -> bool {
        let slot = self.slots.slot(known.slot);
        let extra = self.orders.extra(known);
        let limit = self.registry.market(slot.market).limit_of(extra.level_sent);
        known.meter == order.meter
            && slot.key == order.key
            && known.side() == order.side
            && known.kind() == order.kind
            && known.time_in_force() == order.time_in_force
            && limit == order.limit
            && u64::from(known.quantity) == order.quantity.wh()
            && known.valid_until == order.valid_until
            && self.conditions(known) == order.conditions
            && self.list_of(known) == order.list
    }

    /// The conditions of an order as sent.
    pub(crate) fn conditions(&self, order: &Order) -> Conditions {
        let extra = self.orders.extra(order);
        let wh = |wh: u32| types::Energy::from_wh(u64::from(wh));
        Conditions {
            post_only: order.traits.has(Traits::POST_ONLY),
            all_or_none: order.traits.has(Traits::WHOLE),
            display: wh(extra.display),
            minimum: wh(extra.minimum),
            expires: extra.expires,
        }
    }

    /// Scopes that may not trade, in the order of their kind and number.
    pub fn stopped(&self) -> impl Iterator<Item = types::TradingControl> {
        self.registry.stopped()
    }
}

/// Whether an order is a limit order that asks for nothing else.
#[inline]
fn is_plain(order: &NewOrder) -> bool {
    order.kind == OrderKind::Limit
        && order.conditions == Conditions::NONE
        && order.list == OrderList::NONE
        && order.time_in_force != TimeInForce::UntilTime
}

/// What an order asks for that makes work for others.
fn rare_traits(order: &NewOrder) -> Traits {
    let asked = &order.conditions;
    Traits::NONE
        .with(Traits::NEEDY, asked.all_or_none || !asked.minimum.is_zero())
        .with(Traits::ICEBERG, !asked.display.is_zero())
        .with(Traits::LISTED, order.list != OrderList::NONE)
}

/// Conditions that go together; what is rare about the order.
#[cold]
fn check_extra(
    time: Timestamp,
    market: &Market,
    order: &NewOrder,
    level: u32,
) -> Result<(Traits, Extra), RejectReason> {
    let asked = &order.conditions;
    // Rule T-21.
    let immediate = order.time_in_force.is_immediate();
    // Rule T-22.
    let conditional = [asked.all_or_none, !asked.minimum.is_zero(), !asked.display.is_zero()];
    // Rule T-23.
    let fits = |energy: types::Energy| {
        energy.is_zero() || (market.is_lots(energy.wh()) && energy <= order.quantity)
    };
    // Rule T-20.
    let expiry_fits = match order.time_in_force {
        TimeInForce::UntilTime => asked.expires >= time && asked.expires.ns() != 0,
        TimeInForce::UntilGate | TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill => {
            asked.expires.ns() == 0
        }
    };
    // Rule T-19.
    let market_fits = order.kind == OrderKind::Limit
        || (order.limit.micros() == 0 && !asked.post_only && asked.display.is_zero());
    if !market_fits
        || !expiry_fits
        || (immediate && (asked.post_only || !asked.display.is_zero()))
        || conditional.iter().filter(|&&given| given).count() > 1
        || !fits(asked.minimum)
        || !fits(asked.display)
        || has_too_many_parts(asked.display.wh(), order.quantity.wh())
    {
        return Err(RejectReason::InvalidConditions);
    }
    // Within the quantity, which fits.
    let wh = |energy: types::Energy| u32::try_from(energy.wh()).unwrap_or(u32::MAX);
    let traits = rare_traits(order)
        .with(Traits::WHOLE, asked.all_or_none)
        .with(Traits::POST_ONLY, asked.post_only);
    let extra = Extra {
        expires: asked.expires,
        level_sent: level,
        display: wh(asked.display),
        minimum: wh(asked.minimum),
        ..Extra::NONE
    };
    Ok((traits, extra))
}

/// Whether an iceberg would come into view in more parts than it may.
fn has_too_many_parts(display: u64, quantity: u64) -> bool {
    display != 0 && display.saturating_mul(u64::from(ICEBERG_PARTS_MAX)) < quantity
}

/// Smallest quantity and largest value; what each Wh may come to owe.
#[inline]
pub(crate) fn check_size(
    market: &Market,
    side: Side,
    level: u32,
    quantity: u32,
) -> Result<u64, RejectReason> {
    let price = market.worst_price(side, level);
    check_size_at(market, price, quantity)?;
    Ok(exposure(side, price))
}

/// Smallest quantity, and largest value at a price.
/// Rule T-08.
#[inline]
pub(crate) fn check_size_at(
    market: &Market,
    price: Price,
    quantity: u32,
) -> Result<(), RejectReason> {
    if u64::from(quantity) < market.controls.quantity_min.wh() {
        return Err(RejectReason::QuantityBelowMinimum);
    }
    check_value_at(market, price, quantity)
}

/// Largest value; what each Wh may come to owe.
#[inline]
pub(crate) fn check_value(
    market: &Market,
    side: Side,
    level: u32,
    quantity: u32,
) -> Result<u64, RejectReason> {
    let price = market.worst_price(side, level);
    check_value_at(market, price, quantity)?;
    Ok(exposure(side, price))
}

/// Largest value at a price.
/// Rule T-10.
#[inline]
fn check_value_at(market: &Market, price: Price, quantity: u32) -> Result<(), RejectReason> {
    if amount(price.micros().unsigned_abs(), quantity) > market.value_max {
        return Err(RejectReason::ValueAboveMaximum);
    }
    Ok(())
}

/// Past the gate, or closed before it.
#[inline]
fn check_gate(slot: &Slot, time: Timestamp) -> Result<(), RejectReason> {
    if time > slot.gate_closes_after || slot.book == NONE {
        return Err(RejectReason::GateClosed);
    }
    Ok(())
}
