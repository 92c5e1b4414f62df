//! Exact decimals in JSON: kilowatt-hours and prices are numbers there, and never floats here.

use std::str::FromStr as _;

use rust_decimal::{Decimal, prelude::ToPrimitive as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::value::RawValue;
use types::{Currency, Energy, Price};

/// Watt-hours of a kilowatt-hour.
const WH: u32 = 1_000;
/// Micros of a currency unit.
const MICROS: u32 = 1_000_000;

/// A JSON number, digit by digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Amount(Decimal);

impl Amount {
    /// An energy in kilowatt-hours.
    pub(crate) fn of_energy(energy: Energy) -> Self {
        Self::of_wh(i64::try_from(energy.wh()).unwrap_or(i64::MAX))
    }

    /// Signed watt-hours in kilowatt-hours.
    pub(crate) fn of_wh(wh: i64) -> Self {
        Self(Decimal::new(wh, 3))
    }

    /// A price in currency.
    pub(crate) fn of_price(price: Price) -> Self {
        Self(Decimal::new(price.micros(), 6))
    }

    /// Minor units in currency.
    pub(crate) fn of_minor(minor: i64, currency: Currency) -> Self {
        Self(Decimal::new(minor, u32::from(currency.minor_digits())))
    }

    /// Kilowatt-hours as whole watt-hours, if they are.
    pub(crate) fn wh(self) -> Option<i64> {
        self.times(WH)
    }

    /// Currency as whole micros, if it is.
    pub(crate) fn micros(self) -> Option<i64> {
        self.times(MICROS)
    }

    fn times(self, factor: u32) -> Option<i64> {
        self.0.checked_mul(factor.into()).filter(Decimal::is_integer)?.to_i64()
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.normalize().fmt(f)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = RawValue::from_string(self.to_string());
        text.map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let is_number =
            text.get().starts_with(|first: char| first == '-' || first.is_ascii_digit());
        let decimal = Decimal::from_str(text.get()).ok().filter(|_| is_number);
        decimal
            .map(Self)
            .ok_or_else(|| D::Error::custom("invalid value: no number of up to 28 digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_stay_exact() {
        let amount = |text: &str| serde_json::from_str::<Amount>(text).unwrap();
        assert_eq!(amount("1.25").wh(), Some(1_250));
        assert_eq!(amount("-0.001").wh(), Some(-1));
        assert_eq!(amount("0.0001").wh(), None);
        assert_eq!(amount("0.1").micros(), Some(100_000));
        let text = |amount: Amount| serde_json::to_string(&amount).unwrap();
        assert_eq!(text(Amount::of_energy(Energy::from_wh(1_250))), "1.25");
        assert_eq!(text(Amount::of_wh(-1)), "-0.001");
        assert_eq!(text(Amount::of_price(Price::from_micros(100_000))), "0.1");
        for bad in ["\"1\"", "null", "[1]", "99999999999999999999999999999999999999"] {
            assert!(serde_json::from_str::<Amount>(bad).is_err(), "{bad}");
        }
    }
}
