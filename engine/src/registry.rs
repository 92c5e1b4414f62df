//! Markets, parties and meters: who and what orders may name.

use types::{
    DeliverySlot, MarketDefinition, MarketId, MeterId, MeterRegistration, Party, PartyRegistration,
    PlatformId, Power, Price, RejectReason, Role, Side,
};

use crate::{
    index::{Divisor, at, low, next_index},
    limits::Limits,
};

/// A market with what is worked out from its definition once.
#[derive(Debug)]
pub(crate) struct Market {
    /// As the operator defined it.
    pub(crate) definition: MarketDefinition,
    /// How many levels a ladder of this market has.
    pub(crate) levels: u32,
    /// Price of the market's last call auction that had one: the reference of the next.
    pub(crate) last_auction_price: Option<Price>,
    tick: Divisor,
    lot: Divisor,
    alignment: Divisor,
}

impl Market {
    fn new(definition: MarketDefinition) -> Self {
        Self {
            definition,
            levels: definition.levels(),
            last_auction_price: None,
            tick: Divisor::new(definition.tick.micros().unsigned_abs()),
            lot: Divisor::new(definition.lot.wh()),
            alignment: Divisor::new(u64::from(definition.slot_minutes.min(30))),
        }
    }

    /// The slot's place in the market's grid of starts, or `None` when it does not fit the market.
    ///
    /// A slot fits when it lasts `slot_minutes` and starts at a UTC minute that is a multiple of
    /// `slot_minutes`, or of 30 where slots are longer: the longer slots of zones that are half an
    /// hour off start at half past.
    #[inline]
    pub(crate) fn grid_number(&self, slot: DeliverySlot) -> Option<u32> {
        if slot.minutes() != self.definition.slot_minutes {
            return None;
        }
        self.alignment.exact(u64::from(slot.start_minute())).map(low)
    }

    /// The level of a price an order may have.
    #[inline]
    pub(crate) fn level_of(&self, price: Price) -> Result<u32, RejectReason> {
        let definition = &self.definition;
        if price < definition.price_min || price > definition.price_max {
            return Err(RejectReason::PriceOutsideBand);
        }
        let above = price.micros().abs_diff(definition.price_min.micros());
        self.tick.exact(above).map(low).ok_or(RejectReason::PriceNotOnTick)
    }

    /// The price of a level of the ladder. A checked definition makes overflow impossible.
    #[inline]
    pub(crate) fn price_of(&self, level: u32) -> Price {
        let above = self.definition.tick.micros() * i64::from(level);
        Price::from_micros(self.definition.price_min.micros() + above)
    }

    /// Whether a quantity is whole lots, at least one, and at most the market's largest.
    #[inline]
    pub(crate) fn check_quantity(&self, wh: u64) -> Result<(), RejectReason> {
        if wh == 0 || self.lot.exact(wh).is_none() {
            return Err(RejectReason::QuantityNotOnLot);
        }
        if wh > self.definition.quantity_max.wh() {
            return Err(RejectReason::QuantityAboveMaximum);
        }
        Ok(())
    }
}

/// What admission needs of a meter, apart from the long registration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MeterRow {
    /// The one platform that may send orders for it.
    pub(crate) platform: PlatformId,
    injection_max: Power,
    withdrawal_max: Power,
}

const _: () = assert!(size_of::<MeterRow>() == 12);

impl MeterRow {
    /// The most energy, in Wh, the meter may have open and traded on `side` of a slot.
    #[inline]
    pub(crate) fn capacity(&self, side: Side, minutes: u16) -> u64 {
        let power = match side {
            Side::Buy => self.withdrawal_max,
            Side::Sell => self.injection_max,
        };
        power.over_minutes(minutes).wh()
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
            limits,
        }
    }

    /// Index of the market with this number.
    #[inline]
    pub(crate) fn market_index(&self, id: MarketId) -> Option<u16> {
        self.market_rows.get(usize::from(id.get())).and_then(|row| row.checked_sub(1))
    }

    /// The market at an index that [`Registry::market_index`] gave.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "hot; markets are never taken away")]
    pub(crate) fn market(&self, index: u16) -> &Market {
        &self.markets[usize::from(index)]
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "markets are never taken away")]
    pub(crate) fn market_mut(&mut self, index: u16) -> &mut Market {
        &mut self.markets[usize::from(index)]
    }

    /// All markets in the order of their numbers.
    pub(crate) fn markets(&self) -> impl Iterator<Item = &Market> {
        let indices = self.market_rows.iter().filter_map(|row| row.checked_sub(1));
        indices.map(|index| self.market(index))
    }

    /// What admission needs of a registered meter.
    #[inline]
    pub(crate) fn meter(&self, meter: MeterId) -> Option<&MeterRow> {
        self.meter_rows.get(at(meter.get().checked_sub(1)?))
    }

    /// The platform of a meter that has an order, and so is registered.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "hot; an order names a registered meter")]
    pub(crate) fn platform_of(&self, meter: MeterId) -> PlatformId {
        self.meter_rows[at(meter.get() - 1)].platform
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
        self.meters.push(*new);
        self.meter_rows.push(MeterRow {
            platform: new.platform,
            injection_max: new.injection_max,
            withdrawal_max: new.withdrawal_max,
        });
        Ok(())
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
