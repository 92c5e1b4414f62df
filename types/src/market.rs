//! A market: the rules its slots share; and the phases of a slot.

use core::fmt;

use crate::{
    auction::PriceRule,
    code::Code,
    ids::MarketId,
    slot::{DeliverySlot, SlotKey},
    time::{Lead, Timestamp},
    units::{Currency, Energy, Price},
};

/// Where a slot stands in its life. Phases move down this list, but for a volatility interruption,
/// which turns continuous trading to a call, and an extension, which unfreezes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Phase {
    /// Not yet open: no order is accepted.
    PreOpen = 0,
    /// Orders collect, nothing matches.
    Call = 1,
    /// The call's last seconds: nothing enters, nothing leaves.
    Frozen = 4,
    /// Orders match on arrival.
    Continuous = 2,
    /// Gate closed: nothing may change any more.
    Closed = 3,
}

impl Phase {
    /// The phase with this code, if there is one.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::PreOpen),
            1 => Some(Self::Call),
            2 => Some(Self::Continuous),
            3 => Some(Self::Closed),
            4 => Some(Self::Frozen),
            _ => None,
        }
    }

    /// The code in messages and records.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the enum is repr(u8)")]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The word in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PreOpen => "pre_open",
            Self::Call => "call",
            Self::Frozen => "frozen",
            Self::Continuous => "continuous",
            Self::Closed => "closed",
        }
    }
}

/// Most price levels a market may have: 1,048,576 levels × 16 bytes × 2 sides = 32 MiB a slot.
pub const LEVELS_MAX: u32 = 1 << 20;

/// The rules shared by all slots of one market. Built by [`MarketDefinition::check`]ing the parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarketDefinition {
    /// Its number.
    pub market: MarketId,
    /// The market area, for people and other systems.
    pub area: Code<16>,
    /// IANA time zone of local days.
    pub time_zone: Code<32>,
    /// Every price and amount is in this currency.
    pub currency: Currency,
    /// Duration of each slot in minutes.
    pub slot_minutes: u16,
    /// Lowest price an order may have.
    pub price_min: Price,
    /// Highest price an order may have.
    pub price_max: Price,
    /// Prices are `price_min` plus whole ticks.
    pub tick: Price,
    /// Quantities are whole lots, at least one.
    pub lot: Energy,
    /// Largest quantity of one order.
    pub quantity_max: Energy,
    /// Trading opens this long before delivery, inclusive.
    pub opening_lead: Lead,
    /// The gate closes this long before delivery; the instant itself is the last accepted.
    pub gate_lead: Lead,
    /// How call auctions find their price.
    pub price_rule: PriceRule,
}

/// Why a market definition is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarketError {
    /// The duration of its slots is impossible.
    BadSlotMinutes(u16),
    /// The tick is zero or negative.
    BadTick,
    /// The band is empty, not a whole number of ticks, or has more than [`LEVELS_MAX`] levels.
    BadBand,
    /// The lot is zero, or the largest quantity is not a whole number of lots above zero.
    BadLot,
    /// Trading would open after the gate closes.
    BadLeads,
}

impl fmt::Display for MarketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadSlotMinutes(got) => write!(f, "slots of {got} minutes are not possible"),
            Self::BadTick => f.write_str("the tick must be above zero"),
            Self::BadBand => write!(
                f,
                "the price band must be a whole number of ticks with at most {LEVELS_MAX} levels"
            ),
            Self::BadLot => {
                f.write_str("the lot must be above zero and divide the largest quantity")
            }
            Self::BadLeads => f.write_str("the opening lead must be longer than the gate lead"),
        }
    }
}

impl core::error::Error for MarketError {}

impl MarketDefinition {
    /// Checks that the parts fit together.
    ///
    /// # Errors
    /// Names the first part that does not.
    pub fn check(&self) -> Result<(), MarketError> {
        if DeliverySlot::new(0, self.slot_minutes).is_err() {
            return Err(MarketError::BadSlotMinutes(self.slot_minutes));
        }
        if self.tick.micros() <= 0 {
            return Err(MarketError::BadTick);
        }
        if self.level_of(self.price_max).is_none() {
            return Err(MarketError::BadBand);
        }
        let lot = self.lot.wh();
        if lot == 0 || self.quantity_max.is_zero() || self.quantity_max.wh().rem_euclid(lot) != 0 {
            return Err(MarketError::BadLot);
        }
        if self.opening_lead <= self.gate_lead {
            return Err(MarketError::BadLeads);
        }
        Ok(())
    }

    /// Most of its slots that are open at once.
    #[must_use]
    pub fn slots_open_max(&self) -> u32 {
        let trading = self.opening_lead.minutes().abs_diff(self.gate_lead.minutes());
        trading.div_ceil(u32::from(self.slot_minutes).max(1)).saturating_add(1)
    }

    /// How many price levels the band has. At least one in a checked definition.
    #[must_use]
    pub fn levels(&self) -> u32 {
        self.level_of(self.price_max).map_or(0, |top| top.saturating_add(1))
    }

    /// Index of the level of `price`: 0 is `price_min`. `None` outside the band or off the tick.
    #[must_use]
    pub fn level_of(&self, price: Price) -> Option<u32> {
        if price > self.price_max {
            return None;
        }
        let above = price.micros().checked_sub(self.price_min.micros())?;
        let tick = self.tick.micros();
        if above < 0 || tick <= 0 || above.rem_euclid(tick) != 0 {
            return None;
        }
        u32::try_from(above.div_euclid(tick)).ok().filter(|&level| level < LEVELS_MAX)
    }

    /// Price of the level with this index, or `None` above the band.
    #[must_use]
    pub fn price_of(&self, level: u32) -> Option<Price> {
        let above = self.tick.micros().checked_mul(i64::from(level))?;
        let price = Price::from_micros(self.price_min.micros().checked_add(above)?);
        (price <= self.price_max).then_some(price)
    }

    /// First instant at which orders for `slot` are accepted.
    #[must_use]
    pub const fn opens_at(&self, slot: DeliverySlot) -> Timestamp {
        slot.start().earlier_by(self.opening_lead)
    }

    /// Last instant at which orders for `slot` are accepted.
    #[must_use]
    pub const fn gate_closes_after(&self, slot: DeliverySlot) -> Timestamp {
        slot.start().earlier_by(self.gate_lead)
    }

    /// The key of `slot` in this market.
    #[must_use]
    pub const fn key(&self, slot: DeliverySlot) -> SlotKey {
        SlotKey { market: self.market, slot }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn market() -> MarketDefinition {
        MarketDefinition {
            market: MarketId::new(1),
            area: Code::new("IN-DL").unwrap(),
            time_zone: Code::new("Asia/Kolkata").unwrap(),
            currency: Currency::from_iso("INR").unwrap(),
            slot_minutes: 60,
            price_min: Price::from_micros(0),
            price_max: Price::from_micros(10_000_000),
            tick: Price::from_micros(10_000),
            lot: Energy::from_wh(10),
            quantity_max: Energy::from_wh(1_000_000),
            opening_lead: Lead::from_minutes(1_440),
            gate_lead: Lead::from_minutes(240),
            price_rule: PriceRule::T7Clamp,
        }
    }

    #[test]
    fn band_and_tick_make_a_ladder() {
        let market = market();
        assert_eq!(market.check(), Ok(()));
        assert_eq!(market.levels(), 1_001);
        assert_eq!(market.level_of(Price::from_micros(10_010_000)), None);
        assert_eq!(market.level_of(Price::from_micros(-10_000)), None);
        assert_eq!(market.level_of(Price::from_micros(15_000)), None);
        assert_eq!(market.price_of(1_000), Some(market.price_max));
        assert_eq!(market.price_of(1_001), None);
        for level in [0, 1, 500, 1_000] {
            assert_eq!(market.level_of(market.price_of(level).unwrap()), Some(level));
        }
    }

    #[test]
    fn definitions_that_do_not_fit_are_refused() {
        let tick = MarketDefinition { tick: Price::from_micros(0), ..market() };
        assert_eq!(tick.check(), Err(MarketError::BadTick));
        let band = MarketDefinition { price_max: Price::from_micros(5), ..market() };
        assert_eq!(band.check(), Err(MarketError::BadBand));
        let wide = MarketDefinition {
            price_min: Price::from_micros(i64::MIN),
            price_max: Price::from_micros(i64::MAX),
            ..market()
        };
        assert_eq!(wide.check(), Err(MarketError::BadBand));
        let lot = MarketDefinition { lot: Energy::ZERO, ..market() };
        assert_eq!(lot.check(), Err(MarketError::BadLot));
        let leads = MarketDefinition { gate_lead: Lead::from_minutes(1_440), ..market() };
        assert_eq!(leads.check(), Err(MarketError::BadLeads));
    }
}
