//! Every check of a request, in the order of the rules. The first that fails is the answer.

use types::{
    MarketId, MeterId, NewOrder, OrderKind, OrderList, OrderRequest, Origin, Phase, PlatformId,
    Price, RejectReason, ReplaceOrder, Scope, SelfTradeAction, Side, SlotKey, TimeInForce,
};

use super::{
    Group, Market, Model, Order, Outcome, Stand,
    delegations::{By, asked_limit},
    exposure, reaches, refuse_if, worst_price,
};

/// The most an order may be over its whole life, and a capacity may count as, in Wh.
const WH_MAX: u64 = 0xFFFF_FFFF;

/// A request that passed, and the position of its order.
pub(super) enum Admitted {
    /// It was done before.
    Repeat(usize),
    /// It can be done.
    Fresh(usize),
}

impl Model {
    pub(super) fn admit_new(
        &self,
        origin: Origin,
        by: By,
        sent: &NewOrder,
    ) -> Result<Admitted, RejectReason> {
        self.check_meter(origin, by, sent.meter)?;
        let known = self.orders.iter().position(|order| {
            order.platform == origin.platform && order.sent.client_order == sent.client_order
        });
        if let Some(at) = known
            && self.orders[at].sent == *sent
        {
            return Ok(Admitted::Repeat(at));
        }
        refuse_if(self.last_time > sent.valid_until, RejectReason::SignatureExpired)?;
        self.check_trading(origin.platform, sent.meter, Some(sent.key.market))?;
        if by == By::Platform {
            let limit = asked_limit(sent.kind, sent.limit);
            let wish = (sent.key.market, sent.side, sent.quantity.wh(), limit);
            self.check_delegation(origin.platform, sent.meter, Some(wish))?;
        }
        let (market, phase) = self.check_slot(sent.key)?;
        refuse_if(phase == Phase::Frozen, RejectReason::WrongPhase)?;
        let immediate = sent.time_in_force.is_immediate();
        refuse_if(immediate && phase != Phase::Continuous, RejectReason::WrongPhase)?;
        check_quantity(&market, sent.quantity.wh(), 0)?;
        if sent.kind == OrderKind::Limit {
            check_price(&market, sent.limit)?;
        }
        refuse_if(known.is_some(), RejectReason::DuplicateClientOrder)?;
        self.check_capacity(sent.meter, sent.side, sent.key, sent.quantity.wh())?;
        if phase == Phase::Call {
            let group = self.group_of(sent.meter, &market.controls);
            self.check_other_side(&market, sent.key, sent.side, group)?;
        }
        let group = self.group_of(sent.meter, &market.controls);
        let meets = group.is_some() && self.is_member(sent.key, sent.side.opposite(), group);
        refuse_if(meets, RejectReason::AggregateSelfTrade)?;
        self.check_room(sent)?;
        check_size(&market, sent, sent.limit, sent.quantity.wh())?;
        self.check_conditions(&market, sent)?;
        if phase == Phase::Continuous {
            self.check_post_only(sent, sent.limit)?;
        }
        let price = worst_price(&market.definition, sent.kind, sent.side, sent.limit);
        let more = exposure(sent.side, price, sent.quantity.wh());
        self.check_credit(origin.platform, &market, more)?;
        self.check_executions(&market, sent.key, sent.meter)?;
        self.check_list(origin.platform, sent)?;
        Ok(Admitted::Fresh(self.orders.len()))
    }

    fn check_meter(&self, origin: Origin, by: By, meter: MeterId) -> Outcome {
        let meter = self.find_meter(meter).ok_or(RejectReason::UnknownMeter)?;
        let foreign = by == By::Meter && meter.platform != origin.platform;
        refuse_if(foreign, RejectReason::NotAuthorised)
    }

    pub(super) fn check_trading(
        &self,
        platform: PlatformId,
        meter: MeterId,
        market: Option<MarketId>,
    ) -> Outcome {
        let retailer = self.find_meter(meter).expect("the meter was checked").retailer;
        let scopes =
            [Scope::All, Scope::Platform(platform), Scope::Retailer(retailer), Scope::Meter(meter)];
        let halted = scopes
            .into_iter()
            .chain(market.map(Scope::Market))
            .any(|scope| self.halted.contains_key(&scope.parts()));
        refuse_if(halted, RejectReason::TradingSuspended)
    }

    /// The market and phase of a slot that takes orders.
    pub(super) fn check_slot(&self, key: SlotKey) -> Result<(Market, Phase), RejectReason> {
        let market = self.market_of(key)?;
        let phase = self.find_slot(key).map(|slot| slot.phase);
        let past = self.last_time > market.definition.gate_closes_after(key.slot);
        let early = self.last_time < market.definition.opens_at(key.slot);
        refuse_if(!past && (early || phase.is_none()), RejectReason::SlotNotOpen)?;
        refuse_if(past, RejectReason::GateClosed)?;
        let phase = phase.ok_or(RejectReason::SlotNotOpen)?;
        refuse_if(phase == Phase::Closed, RejectReason::GateClosed)?;
        Ok((market, phase))
    }

    pub(super) fn check_capacity(
        &self,
        meter: MeterId,
        side: Side,
        key: SlotKey,
        more: u64,
    ) -> Outcome {
        let used = self.used(meter, side, key);
        let meter = self.find_meter(meter).expect("the meter was checked");
        let power = match side {
            Side::Buy => meter.withdrawal_max,
            Side::Sell => meter.injection_max,
        };
        let capacity = u64::from(power.w()) * u64::from(key.slot.minutes()) / 60;
        let most = i128::from(capacity.min(WH_MAX));
        refuse_if(used + i128::from(more) > most, RejectReason::CapacityExceeded)?;
        if more == 0 {
            return Ok(());
        }
        self.check_grid(meter.meter, side, key.slot, more)
    }

    /// What a meter holds of its capacity in a slot, in Wh.
    pub(super) fn used(&self, meter: MeterId, side: Side, key: SlotKey) -> i128 {
        let ordered: u64 = self
            .orders
            .iter()
            .map(|order| (order.sent, order.filled + order.open))
            .filter(|(sent, _)| sent.meter == meter && sent.side == side && sent.key == key)
            .map(|(_, wh)| wh)
            .sum();
        let pooled = i128::from(self.pooled(meter, side, key));
        i128::from(ordered) + self.contracted(meter, side, key) + pooled
    }

    /// In a call nobody may stand on both sides, asleep or in a list included.
    fn check_other_side(
        &self,
        market: &Market,
        key: SlotKey,
        side: Side,
        group: Option<Group>,
    ) -> Outcome {
        let allowed = group.is_none() || market.controls.self_trade == SelfTradeAction::Allow;
        let meets = self.orders.iter().any(|order| {
            order.is_open()
                && order.sent.side != side
                && order.sent.key == key
                && order.group == group
        });
        refuse_if(!allowed && meets, RejectReason::SelfTrade)
    }

    fn check_room(&self, sent: &NewOrder) -> Outcome {
        let orders_max = usize::try_from(self.limits.orders_max).expect("fits");
        let book_orders_max = usize::try_from(self.limits.book_orders_max).expect("fits");
        // How many others of a kind are open in the slot.
        let others = |kind: fn(&NewOrder) -> bool| {
            let open = self.orders.iter().filter(|order| order.is_open());
            open.filter(|order| order.sent.key == sent.key && kind(&order.sent)).count()
        };
        let too_many = |kind: fn(&NewOrder) -> bool, most| kind(sent) && others(kind) >= most;
        let full = self.open_orders() >= orders_max
            || self.open_in(sent.key) >= book_orders_max
            || too_many(|order| !order.conditions.display.is_zero(), 1_000)
            || too_many(
                |order| order.conditions.all_or_none || !order.conditions.minimum.is_zero(),
                100,
            )
            || too_many(|order| order.list != OrderList::NONE, 100);
        refuse_if(full, RejectReason::OrderLimitReached)
    }

    fn check_conditions(&self, market: &Market, sent: &NewOrder) -> Outcome {
        let conditions = sent.conditions;
        let lot = market.definition.lot.wh();
        let quantity = sent.quantity.wh();
        let (display, minimum) = (conditions.display.wh(), conditions.minimum.wh());
        let plain = match sent.kind {
            OrderKind::Limit => true,
            OrderKind::Market => sent.limit.micros() == 0 && !conditions.post_only && display == 0,
        };
        let ends = match sent.time_in_force {
            TimeInForce::UntilTime => conditions.expires >= self.last_time,
            TimeInForce::UntilGate | TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill => {
                conditions.expires.ns() == 0
            }
        };
        let must_rest = conditions.post_only || display > 0;
        let can_rest = !sent.time_in_force.is_immediate();
        let given = [conditions.all_or_none, minimum > 0, display > 0];
        let one_at_most = given.into_iter().filter(|&given| given).count() <= 1;
        let whole = minimum.is_multiple_of(lot) && display.is_multiple_of(lot);
        let fits = minimum <= quantity && display <= quantity && parts_fit(display, quantity);
        let agree = plain && ends && (can_rest || !must_rest) && one_at_most && whole && fits;
        refuse_if(!agree, RejectReason::InvalidConditions)
    }

    fn check_post_only(&self, sent: &NewOrder, limit: Price) -> Outcome {
        let would_trade = self
            .queue(sent.key, sent.side.opposite())
            .into_iter()
            .any(|at| reaches(sent.side, limit, self.orders[at].limit));
        let refused = sent.conditions.post_only && would_trade;
        refuse_if(refused, RejectReason::PostOnlyWouldTrade)
    }

    pub(super) fn check_credit(
        &self,
        platform: PlatformId,
        market: &Market,
        more: i128,
    ) -> Outcome {
        let row = (platform, market.definition.market);
        let Some(limit) = self.credit.get(&row) else { return Ok(()) };
        let limit = i128::from(limit.minor()) * market.definition.currency.nanos_per_minor();
        let used = self.reserved(row) + self.owed.get(&row).copied().unwrap_or(0);
        refuse_if(used + more > limit, RejectReason::CreditExceeded)
    }

    pub(super) fn check_executions(
        &self,
        market: &Market,
        key: SlotKey,
        meter: MeterId,
    ) -> Outcome {
        let most = market.controls.executions_max;
        let had = self.slot(key).executions.get(&meter).copied().unwrap_or(0);
        refuse_if(most > 0 && had >= most, RejectReason::ExecutionLimitReached)
    }

    /// An order that a platform may still change: its position.
    pub(super) fn admit_cancel(&self, request: &OrderRequest) -> Result<usize, RejectReason> {
        let at = self.position(request.order).ok_or(RejectReason::UnknownOrder)?;
        let foreign = self.orders[at].platform != request.origin.platform;
        refuse_if(foreign, RejectReason::NotAuthorised)?;
        self.check_can_change(at)?;
        Ok(at)
    }

    fn check_can_change(&self, at: usize) -> Outcome {
        let order = &self.orders[at];
        let key = order.sent.key;
        let phase = self.slot(key).phase;
        let gate = self.markets[&key.market].definition.gate_closes_after(key.slot);
        let past = self.last_time > gate || phase == Phase::Closed;
        refuse_if(past, RejectReason::GateClosed)?;
        refuse_if(!order.is_open(), RejectReason::UnknownOrder)?;
        refuse_if(phase == Phase::Frozen, RejectReason::WrongPhase)
    }

    /// An order that stands alone, and stands as it must: its position.
    pub(super) fn admit_change(
        &self,
        request: &OrderRequest,
        stand: Stand,
    ) -> Result<usize, RejectReason> {
        let at = self.admit_cancel(request)?;
        let order = &self.orders[at];
        refuse_if(order.is_listed(), RejectReason::PartOfList)?;
        refuse_if(self.pools.contains_key(&at), RejectReason::NotForAggregates)?;
        refuse_if(order.stand != stand, RejectReason::UnknownOrder)?;
        Ok(at)
    }

    pub(super) fn admit_activate(&self, request: &OrderRequest) -> Result<usize, RejectReason> {
        let at = self.position(request.order).ok_or(RejectReason::UnknownOrder)?;
        let order = self.orders[at];
        let foreign = order.platform != request.origin.platform;
        refuse_if(foreign, RejectReason::NotAuthorised)?;
        if !self.pools.contains_key(&at) {
            let market = Some(order.sent.key.market);
            self.check_trading(order.platform, order.sent.meter, market)?;
        }
        self.admit_change(request, Stand::Hibernating)?;
        let key = order.sent.key;
        self.check_grid(order.sent.meter, order.sent.side, key.slot, 0)?;
        self.check_entry(&order, order.limit)?;
        Ok(at)
    }

    /// What an accepted order must not meet when it enters anew at this limit.
    fn check_entry(&self, order: &Order, limit: Price) -> Outcome {
        let key = order.sent.key;
        if self.slot(key).phase == Phase::Continuous {
            return self.check_post_only(&order.sent, limit);
        }
        self.check_other_side(&self.markets[&key.market], key, order.sent.side, order.group)
    }

    pub(super) fn admit_replace(
        &self,
        origin: Origin,
        by: By,
        replace: &ReplaceOrder,
    ) -> Result<Admitted, RejectReason> {
        self.check_meter(origin, by, replace.meter)?;
        let at = self.position(replace.order);
        if let Some(at) = at {
            let order = &self.orders[at];
            refuse_if(order.platform != origin.platform, RejectReason::NotAuthorised)?;
            refuse_if(self.pools.contains_key(&at), RejectReason::NotForAggregates)?;
            refuse_if(order.sent.meter != replace.meter, RejectReason::NotAuthorised)?;
            let last = order.last_replace;
            if last.get() != 0 && last == replace.client_order {
                return Ok(Admitted::Repeat(at));
            }
        }
        refuse_if(self.last_time > replace.valid_until, RejectReason::SignatureExpired)?;
        let market = at.map(|at| self.orders[at].sent.key.market);
        self.check_trading(origin.platform, replace.meter, market)?;
        if by == By::Platform {
            let wish = at.map(|at| {
                let sent = self.orders[at].sent;
                (sent.key.market, sent.side, replace.quantity.wh(), Some(replace.limit))
            });
            self.check_delegation(origin.platform, replace.meter, wish)?;
        }
        let at = at.ok_or(RejectReason::UnknownOrder)?;
        self.check_can_change(at)?;
        let order = self.orders[at];
        refuse_if(order.is_listed(), RejectReason::PartOfList)?;
        refuse_if(order.stand == Stand::Hibernating, RejectReason::UnknownOrder)?;
        refuse_if(order.is_market(), RejectReason::InvalidConditions)?;
        self.check_new_terms(&order, replace)?;
        Ok(Admitted::Fresh(at))
    }

    fn check_new_terms(&self, order: &Order, replace: &ReplaceOrder) -> Outcome {
        let key = order.sent.key;
        let (limit, quantity) = (replace.limit, replace.quantity.wh());
        let market = self.markets[&key.market];
        check_quantity(&market, quantity, order.filled)?;
        check_price(&market, limit)?;
        let old_number = replace.client_order <= order.last_replace;
        refuse_if(old_number, RejectReason::DuplicateClientOrder)?;
        if quantity > order.open {
            let NewOrder { meter, side, .. } = order.sent;
            self.check_capacity(meter, side, key, quantity - order.open)?;
        }
        let moves = !order.keeps_place(limit, quantity);
        if moves && self.slot(key).phase == Phase::Call {
            self.check_other_side(&market, key, order.sent.side, order.group)?;
        }
        check_size(&market, &order.sent, limit, quantity)?;
        let display = order.sent.conditions.display.wh();
        refuse_if(!parts_fit(display, quantity), RejectReason::InvalidConditions)?;
        if moves && self.slot(key).phase == Phase::Continuous {
            self.check_post_only(&order.sent, limit)?;
        }
        let side = order.sent.side;
        let more = exposure(side, limit, quantity) - exposure(side, order.limit, order.open);
        if more > 0 {
            self.check_credit(order.platform, &market, more)?;
        }
        Ok(())
    }
}

impl Order {
    /// Whether a replacement with these terms leaves the order where it stands.
    pub(super) fn keeps_place(&self, limit: Price, quantity: u64) -> bool {
        limit == self.limit && quantity <= self.open
    }
}

/// Whole lots above zero, not too many; with what has filled, not too many for one order.
pub(super) fn check_quantity(market: &Market, quantity: u64, filled: u64) -> Outcome {
    let off_lot = quantity == 0 || !quantity.is_multiple_of(market.definition.lot.wh());
    refuse_if(off_lot, RejectReason::QuantityNotOnLot)?;
    let above = quantity > market.definition.quantity_max.wh();
    let lifetime = u128::from(quantity) + u128::from(filled);
    refuse_if(above || lifetime > u128::from(WH_MAX), RejectReason::QuantityAboveMaximum)
}

pub(super) fn check_price(market: &Market, limit: Price) -> Outcome {
    let definition = market.definition;
    let outside = limit < definition.price_min || limit > definition.price_max;
    refuse_if(outside, RejectReason::PriceOutsideBand)?;
    let above = i128::from(limit.micros()) - i128::from(definition.price_min.micros());
    refuse_if(above % i128::from(definition.tick.micros()) != 0, RejectReason::PriceNotOnTick)
}

/// An iceberg comes into view in a hundred parts at most.
const fn parts_fit(display: u64, quantity: u64) -> bool {
    display == 0 || quantity <= 100 * display
}

fn check_size(market: &Market, sent: &NewOrder, limit: Price, quantity: u64) -> Outcome {
    check_value(market, worst_price(&market.definition, sent.kind, sent.side, limit), quantity)
}

/// The market's smallest quantity and largest value.
pub(super) fn check_value(market: &Market, price: Price, quantity: u64) -> Outcome {
    check_smallest(market, quantity)?;
    check_largest(market, price, quantity)
}

/// The market's smallest quantity.
pub(super) fn check_smallest(market: &Market, quantity: u64) -> Outcome {
    let below = quantity < market.controls.quantity_min.wh();
    refuse_if(below, RejectReason::QuantityBelowMinimum)
}

/// The market's largest value.
pub(super) fn check_largest(market: &Market, price: Price, quantity: u64) -> Outcome {
    let value = i128::from(price.micros()).abs() * i128::from(quantity);
    let value_max = i128::from(market.controls.value_max.minor());
    let above = value > value_max * market.definition.currency.nanos_per_minor();
    refuse_if(value_max > 0 && above, RejectReason::ValueAboveMaximum)
}
