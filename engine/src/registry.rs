//! Markets, parties and meters: who and what orders may name.

use std::collections::BTreeMap;

use types::{
    DeliverySlot, MarketControls, MarketDefinition, MarketId, MeterId, MeterRegistration, OwnerId,
    Party, PartyRegistration, PlatformId, Power, Price, RejectReason, RetailerId, Role, Scope,
    SelfTradeAction, SelfTradeScope, Side, TradingControl, TradingState,
};

use crate::{
    index::{Divisor, at, low, next_index},
    limits::{Limits, METERS_MAX},
    orders::MARKET,
};

/// Groups of owners are numbered from here; below are those of meters.
pub(crate) const OWNERS_FROM: u32 = 1 << 27;

const _: () = assert!(METERS_MAX < OWNERS_FROM, "groups of meters and owners are apart");

/// The self-trade group of an order: meters by their number, owners after them, 0 for none.
/// Rule T-81.
#[inline(always)]
pub(crate) fn group(controls: &MarketControls, meter: MeterId, owner: OwnerId) -> u32 {
    match (controls.self_trade, controls.self_trade_scope) {
        (SelfTradeAction::Allow, _) => 0,
        (_, SelfTradeScope::Owner) if owner.get() != 0 => OWNERS_FROM + owner.get(),
        (_, SelfTradeScope::Owner | SelfTradeScope::Meter) => meter.get(),
    }
}

/// A market with what is worked out from its definition once.
#[derive(Debug)]
pub(crate) struct Market {
    /// As the operator defined it.
    pub(crate) definition: MarketDefinition,
    /// How many levels a ladder of this market has.
    pub(crate) levels: u32,
    /// As the operator set them, or the standard ones.
    pub(crate) controls: MarketControls,
    /// Largest value of one order in nano-currency; the largest number there is for no limit.
    pub(crate) value_max: i128,
    /// Price of the market's last call auction that had one: the reference of the next slot.
    pub(crate) last_auction_price: Option<Price>,
    tick: Divisor,
    lot: Divisor,
}

impl Market {
    fn new(definition: MarketDefinition) -> Self {
        Self {
            definition,
            levels: definition.levels(),
            controls: MarketControls::standard(definition.market),
            value_max: i128::MAX,
            last_auction_price: None,
            tick: Divisor::new(definition.tick.micros().unsigned_abs()),
            lot: Divisor::new(definition.lot.wh()),
        }
    }

    /// Whether a slot fits the market.
    ///
    /// A slot fits when it lasts `slot_minutes` and starts at a UTC minute that is a multiple of
    /// `slot_minutes`, or of 30 where slots are longer: the longer slots of zones that are half an
    /// hour off start at half past.
    pub(crate) const fn fits(&self, slot: DeliverySlot) -> bool {
        let minutes = self.definition.slot_minutes;
        #[expect(clippy::as_conversions, reason = "widening loses nothing")]
        let alignment = if minutes < 30 { minutes as u32 } else { 30 };
        slot.minutes() == minutes && slot.start_minute().is_multiple_of(alignment)
    }

    /// The level of a price an order may have.
    /// Rule T-09.
    #[inline(always)]
    pub(crate) fn level_of(&self, price: Price) -> Result<u32, RejectReason> {
        let definition = &self.definition;
        if price < definition.price_min || price > definition.price_max {
            return Err(RejectReason::PriceOutsideBand);
        }
        let above = price.micros().abs_diff(definition.price_min.micros());
        self.tick.exact(above).map(low).ok_or(RejectReason::PriceNotOnTick)
    }

    /// The price that an order of this level may have to pay or take: its limit, or the edge of the
    /// band for a market order.
    /// Rule T-11.
    #[inline(always)]
    pub(crate) fn worst_price(&self, side: Side, level: u32) -> Price {
        match (level, side) {
            (MARKET, Side::Buy) => self.definition.price_max,
            (MARKET, Side::Sell) => self.definition.price_min,
            (level, _) => self.price_of(level),
        }
    }

    /// The limit of an order of this level; zero for a market order.
    pub(crate) fn limit_of(&self, level: u32) -> Price {
        if level == MARKET { Price::default() } else { self.price_of(level) }
    }

    /// The price of a level of the ladder. In a checked definition it is at most the highest price,
    /// so nothing wraps.
    #[inline(always)]
    pub(crate) fn price_of(&self, level: u32) -> Price {
        let above = self.definition.tick.micros().wrapping_mul(i64::from(level));
        Price::from_micros(self.definition.price_min.micros().wrapping_add(above))
    }

    /// A quantity that is whole lots, at least one, and at most the market's largest.
    /// Rule T-07.
    #[inline(always)]
    pub(crate) fn check_quantity(&self, wh: u64) -> Result<u32, RejectReason> {
        if !self.is_lots(wh) {
            return Err(RejectReason::QuantityNotOnLot);
        }
        match u32::try_from(wh) {
            Ok(quantity) if wh <= self.definition.quantity_max.wh() => Ok(quantity),
            Ok(_) | Err(_) => Err(RejectReason::QuantityAboveMaximum),
        }
    }

    /// Whether a quantity is whole lots above zero.
    #[inline(always)]
    pub(crate) fn is_lots(&self, wh: u64) -> bool {
        wh != 0 && self.lot.exact(wh).is_some()
    }
}

/// What admission needs of a meter, apart from the long registration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MeterRow {
    /// The one platform that may send orders which the meter signed.
    pub(crate) platform: PlatformId,
    /// Who sells to it.
    pub(crate) retailer: RetailerId,
    /// Who benefits from it, or 0.
    pub(crate) owner: OwnerId,
    injection_max: Power,
    withdrawal_max: Power,
}

const _: () = assert!(size_of::<MeterRow>() == 16);

impl MeterRow {
    /// The most energy, in Wh, the meter may have open and traded on `side` of a slot.
    #[inline(always)]
    pub(crate) fn capacity(&self, side: Side, minutes: u16) -> u32 {
        let power = match side {
            Side::Buy => self.withdrawal_max,
            Side::Sell => self.injection_max,
        };
        u32::try_from(power.over_minutes(minutes).wh()).unwrap_or(u32::MAX)
    }
}

/// Markets, parties and meters. Entries are only ever added.
#[derive(Debug)]
pub(crate) struct Registry {
    markets: Vec<Market>,
    /// By market number: index into `markets` plus one, or 0.
    market_rows: Vec<u16>,
    /// In the order of [`Party`].
    parties: Vec<PartyRegistration>,
    /// By meter number, from 1.
    meters: Vec<MeterRegistration>,
    meter_rows: Vec<MeterRow>,
    /// Scopes that may not trade.
    stopped: BTreeMap<Scope, TradingState>,
    limits: Limits,
}

impl Registry {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            markets: Vec::with_capacity(usize::from(limits.markets_max)),
            market_rows: Vec::new(),
            parties: Vec::with_capacity(usize::from(limits.parties_max)),
            meters: Vec::new(),
            meter_rows: Vec::new(),
            stopped: BTreeMap::new(),
            limits,
        }
    }

    /// Index of the market with this number.
    #[inline(always)]
    pub(crate) fn market_index(&self, id: MarketId) -> Option<u16> {
        self.market_rows.get(usize::from(id.get())).and_then(|row| row.checked_sub(1))
    }

    /// The market at an index that [`Registry::market_index`] gave.
    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "hot; markets are never taken away")]
    pub(crate) fn market(&self, index: u16) -> &Market {
        &self.markets[usize::from(index)]
    }

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "markets are never taken away")]
    pub(crate) fn market_mut(&mut self, index: u16) -> &mut Market {
        &mut self.markets[usize::from(index)]
    }

    /// All markets in the order of their indices.
    pub(crate) fn markets_in_order(&self) -> &[Market] {
        &self.markets
    }

    /// All markets in the order of their numbers.
    pub(crate) fn markets(&self) -> impl Iterator<Item = &Market> {
        let indices = self.market_rows.iter().filter_map(|row| row.checked_sub(1));
        indices.map(|index| self.market(index))
    }

    /// What admission needs of a registered meter.
    #[inline(always)]
    pub(crate) fn meter(&self, meter: MeterId) -> Option<&MeterRow> {
        self.meter_rows.get(at(meter.get().checked_sub(1)?))
    }

    /// All that is known of a registered meter.
    pub(crate) fn registered(&self, meter: MeterId) -> Option<&MeterRegistration> {
        self.meters.get(at(meter.get().checked_sub(1)?))
    }

    /// All meters in the order of their numbers.
    pub(crate) fn meters(&self) -> &[MeterRegistration] {
        &self.meters
    }

    /// All parties in the order of [`Party`].
    pub(crate) fn parties(&self) -> &[PartyRegistration] {
        &self.parties
    }

    /// Adds a market, or finds it there already with the same content.
    pub(crate) fn define_market(&mut self, new: &MarketDefinition) -> Result<(), RejectReason> {
        new.check().map_err(|_| RejectReason::InvalidMarket)?;
        if let Some(index) = self.market_index(new.market) {
            return same_or_registered(&self.market(index).definition, new);
        }
        if self.markets.len() >= usize::from(self.limits.markets_max) {
            return Err(RejectReason::RegistryFull);
        }
        let number = usize::from(new.market.get());
        if self.market_rows.len() <= number {
            self.market_rows.resize(number + 1, 0);
        }
        self.markets.push(Market::new(*new));
        if let (Some(row), Ok(count)) =
            (self.market_rows.get_mut(number), u16::try_from(self.markets.len()))
        {
            *row = count;
        }
        Ok(())
    }

    /// Adds a party, or finds it there already with the same content.
    pub(crate) fn register_party(&mut self, new: &PartyRegistration) -> Result<(), RejectReason> {
        let place = match self.find_party(new.party) {
            Ok(known) => return same_or_registered(known, new),
            Err(place) => place,
        };
        if self.parties.len() >= usize::from(self.limits.parties_max) {
            return Err(RejectReason::RegistryFull);
        }
        self.parties.insert(place, *new);
        Ok(())
    }

    /// Adds the next meter, or finds it there already with the same content.
    pub(crate) fn register_meter(&mut self, new: &MeterRegistration) -> Result<(), RejectReason> {
        let before = new.meter.get().checked_sub(1).ok_or(RejectReason::MeterNotNext)?;
        if let Some(known) = self.meters.get(at(before)) {
            return same_or_registered(known, new);
        }
        let count = next_index(self.meters.len());
        if before != count {
            return Err(RejectReason::MeterNotNext);
        }
        if count >= self.limits.meters_max {
            return Err(RejectReason::RegistryFull);
        }
        let named = [
            Party { role: Role::Platform, number: new.platform.get() },
            Party { role: Role::Retailer, number: new.retailer.get() },
            Party { role: Role::Utility, number: new.utility.get() },
        ];
        if named.into_iter().any(|party| self.find_party(party).is_err()) {
            return Err(RejectReason::UnknownParty);
        }
        // Tables are indexed by owner.
        if new.owner.get() > self.limits.meters_max {
            return Err(RejectReason::OwnerOutOfRange);
        }
        self.meters.push(*new);
        self.meter_rows.push(MeterRow {
            platform: new.platform,
            retailer: new.retailer,
            owner: new.owner,
            injection_max: new.injection_max,
            withdrawal_max: new.withdrawal_max,
        });
        Ok(())
    }

    /// Sets the controls of a market.
    pub(crate) fn set_controls(&mut self, new: &MarketControls) -> Result<(), RejectReason> {
        let index = self.market_index(new.market).ok_or(RejectReason::UnknownMarket)?;
        if !new.is_sound() {
            return Err(RejectReason::InvalidMarket);
        }
        let market = self.market_mut(index);
        let per_minor = market.definition.currency.nanos_per_minor();
        market.controls = *new;
        market.value_max = match i128::from(new.value_max.minor()) {
            0 => i128::MAX,
            minor => minor * per_minor,
        };
        Ok(())
    }

    /// Says whether a scope may trade.
    /// Rule T-116.
    pub(crate) fn set_trading(&mut self, control: TradingControl) -> Result<(), RejectReason> {
        let known = |role, number| self.find_party(Party { role, number }).is_ok();
        match control.scope {
            Scope::Platform(id) if !known(Role::Platform, id.get()) => {
                return Err(RejectReason::UnknownParty);
            }
            Scope::Retailer(id) if !known(Role::Retailer, id.get()) => {
                return Err(RejectReason::UnknownParty);
            }
            Scope::Meter(id) if self.meter(id).is_none() => return Err(RejectReason::UnknownMeter),
            Scope::Market(id) if self.market_index(id).is_none() => {
                return Err(RejectReason::UnknownMarket);
            }
            Scope::Session(_) => return Err(RejectReason::InvalidScope),
            Scope::All
            | Scope::Platform(_)
            | Scope::Retailer(_)
            | Scope::Meter(_)
            | Scope::Market(_) => {}
        }
        match control.state {
            TradingState::Active => self.stopped.remove(&control.scope),
            TradingState::Suspended | TradingState::Killed => {
                self.stopped.insert(control.scope, control.state)
            }
        };
        Ok(())
    }

    /// Whether new orders of anyone are refused.
    #[inline(always)]
    pub(crate) fn stops_anyone(&self) -> bool {
        !self.stopped.is_empty()
    }

    /// Whether new orders of a meter that a platform sends to a market are refused.
    /// Rule T-115.
    #[inline(always)]
    pub(crate) fn is_stopped(
        &self,
        of: (MeterId, PlatformId),
        row: &MeterRow,
        market: Option<MarketId>,
    ) -> bool {
        !self.stopped.is_empty() && self.is_any_stopped(of, row, market)
    }

    #[cold]
    fn is_any_stopped(
        &self,
        (meter, platform): (MeterId, PlatformId),
        row: &MeterRow,
        market: Option<MarketId>,
    ) -> bool {
        let scopes = [
            Scope::All,
            Scope::Platform(platform),
            Scope::Retailer(row.retailer),
            Scope::Meter(meter),
        ];
        let is_market = market.is_some_and(|id| self.stopped.contains_key(&Scope::Market(id)));
        is_market || scopes.iter().any(|scope| self.stopped.contains_key(scope))
    }

    /// Scopes that may not trade, in the order of [`Scope`].
    pub(crate) fn stopped(&self) -> impl Iterator<Item = TradingControl> {
        self.stopped.iter().map(|(&scope, &state)| TradingControl { scope, state })
    }

    /// Whether a party of this role and number is registered.
    pub(crate) fn has_party(&self, party: Party) -> bool {
        self.find_party(party).is_ok()
    }

    /// The party, or the place where it would be.
    fn find_party(&self, party: Party) -> Result<&PartyRegistration, usize> {
        let place = self.parties.partition_point(|known| known.party < party);
        self.parties.get(place).filter(|known| known.party == party).ok_or(place)
    }
}

/// Registering the same again changes nothing and succeeds; registering something else does not.
fn same_or_registered<T: PartialEq>(known: &T, new: &T) -> Result<(), RejectReason> {
    if known == new { Ok(()) } else { Err(RejectReason::AlreadyRegistered) }
}
