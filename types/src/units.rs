//! Energy, power, price and money. Integers only; the doc line of each type states its unit.

use core::fmt;

/// Energy in whole watt-hours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Energy(u64);

impl Energy {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From watt-hours.
    #[must_use]
    pub const fn from_wh(wh: u64) -> Self {
        Self(wh)
    }

    /// Watt-hours.
    #[must_use]
    pub const fn wh(self) -> u64 {
        self.0
    }

    /// The sum, or `None` beyond 2^64 − 1 Wh.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(wh) => Some(Self(wh)),
            None => None,
        }
    }

    /// What is left after `other` is taken away, or `None` when there is less.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(wh) => Some(Self(wh)),
            None => None,
        }
    }

    /// What is left after `other` is taken away, at least nothing.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Whether there is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Energy {
    /// Kilowatt-hours with three decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} kWh", self.0.div_euclid(1_000), self.0.rem_euclid(1_000))
    }
}

/// Power in whole watts: the size of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Power(u32);

impl Power {
    /// From watts.
    #[must_use]
    pub const fn from_w(w: u32) -> Self {
        Self(w)
    }

    /// Watts.
    #[must_use]
    pub const fn w(self) -> u32 {
        self.0
    }

    /// Energy at this power over `minutes`, rounded down: 5 kW over 30 minutes is 2,500 Wh.
    #[must_use]
    #[expect(clippy::arithmetic_side_effects, reason = "u32 * u16 fits in u64")]
    pub fn over_minutes(self, minutes: u16) -> Energy {
        Energy((u64::from(self.0) * u64::from(minutes)).div_euclid(60))
    }
}

/// Price in micro-currency per kilowatt-hour. Signed: power prices go negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Price(i64);

impl Price {
    /// From micro-currency per kilowatt-hour.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Micro-currency per kilowatt-hour.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Value of `energy` at this price. Exact: micros/kWh times Wh is nanos.
    #[must_use]
    #[expect(clippy::arithmetic_side_effects, reason = "i64 * u64 always fits in i128")]
    pub fn notional(self, energy: Energy) -> Notional {
        Notional(i128::from(self.0) * i128::from(energy.wh()))
    }
}

impl fmt::Display for Price {
    /// Currency per kilowatt-hour, without trailing zeros beyond two decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let micros = self.0.unsigned_abs();
        let fraction = format!("{:06}", micros.rem_euclid(1_000_000));
        let kept = fraction.trim_end_matches('0').len().max(2);
        let fraction = fraction.get(..kept).unwrap_or(&fraction);
        write!(f, "{sign}{}.{fraction}", micros.div_euclid(1_000_000))
    }
}

/// Exact value in nano-currency: a price times an energy, before any rounding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Notional(i128);

impl Notional {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From nano-currency.
    #[must_use]
    pub const fn from_nanos(nanos: i128) -> Self {
        Self(nanos)
    }

    /// Nano-currency.
    #[must_use]
    pub const fn nanos(self) -> i128 {
        self.0
    }

    /// The sum, or `None` on overflow.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(nanos) => Some(Self(nanos)),
            None => None,
        }
    }
}

/// Money in minor units of a currency. Appears only where something is posted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Money(i64);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From minor units (cents).
    #[must_use]
    pub const fn from_minor(minor: i64) -> Self {
        Self(minor)
    }

    /// Minor units (cents).
    #[must_use]
    pub const fn minor(self) -> i64 {
        self.0
    }

    /// The sum, or `None` on overflow.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(minor) => Some(Self(minor)),
            None => None,
        }
    }

    /// The difference, or `None` on overflow.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(minor) => Some(Self(minor)),
            None => None,
        }
    }
}

/// A currency: its ISO 4217 code and how many decimals its minor unit has (0 to 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    code: [u8; 3],
    minor_digits: u8,
}

/// Why a currency is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CurrencyError {
    /// Not three capital letters.
    BadCode,
    /// More than four decimals.
    TooManyDigits(u8),
    /// The code is not in the table of [`Currency::from_iso`].
    Unknown,
}

impl fmt::Display for CurrencyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadCode => f.write_str("currency code is not three capital letters"),
            Self::TooManyDigits(got) => write!(f, "{got} minor digits, at most 4 are supported"),
            Self::Unknown => f.write_str("currency is not in the table of known currencies"),
        }
    }
}

impl core::error::Error for CurrencyError {}

/// Codes of ISO 4217 whose minor unit is a hundredth.
const TWO_DIGITS: [&str; 134] = [
    "AED", "AFN", "ALL", "AMD", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BMD",
    "BND", "BOB", "BRL", "BSD", "BTN", "BWP", "BYN", "BZD", "CAD", "CDF", "CHF", "CNY", "COP",
    "CRC", "CUP", "CVE", "CZK", "DKK", "DOP", "DZD", "EGP", "ERN", "ETB", "EUR", "FJD", "FKP",
    "GBP", "GEL", "GHS", "GIP", "GMD", "GTQ", "GYD", "HKD", "HNL", "HTG", "HUF", "IDR", "ILS",
    "INR", "IRR", "JMD", "KES", "KGS", "KHR", "KPW", "KYD", "KZT", "LAK", "LBP", "LKR", "LRD",
    "LSL", "MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP", "MRU", "MUR", "MVR", "MWK", "MXN",
    "MYR", "MZN", "NAD", "NGN", "NIO", "NOK", "NPR", "NZD", "PAB", "PEN", "PGK", "PHP", "PKR",
    "PLN", "QAR", "RON", "RSD", "RUB", "SAR", "SBD", "SCR", "SDG", "SEK", "SGD", "SHP", "SLE",
    "SOS", "SRD", "SSP", "STN", "SVC", "SYP", "SZL", "THB", "TJS", "TMT", "TOP", "TRY", "TTD",
    "TWD", "TZS", "UAH", "USD", "UYU", "UZS", "VED", "VES", "WST", "XCD", "XCG", "YER", "ZAR",
    "ZMW", "ZWG", "BGN", "ANG",
];

impl Currency {
    /// A currency of any code.
    ///
    /// # Errors
    /// When the code is not three capital letters or there are more than four minor digits.
    pub fn new(code: [u8; 3], minor_digits: u8) -> Result<Self, CurrencyError> {
        if !code.iter().all(u8::is_ascii_uppercase) {
            return Err(CurrencyError::BadCode);
        }
        if minor_digits > 4 {
            return Err(CurrencyError::TooManyDigits(minor_digits));
        }
        Ok(Self { code, minor_digits })
    }

    /// A currency by its ISO 4217 code, with that standard's minor digits.
    ///
    /// # Errors
    /// When the code is not one the exchange knows.
    pub fn from_iso(code: &str) -> Result<Self, CurrencyError> {
        let minor_digits = match code {
            code if TWO_DIGITS.contains(&code) => 2,
            "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF"
            | "UGX" | "UYI" | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
            "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
            "CLF" | "UYW" => 4,
            _ => return Err(CurrencyError::Unknown),
        };
        let code = code.as_bytes().try_into().map_err(|_| CurrencyError::BadCode)?;
        Self::new(code, minor_digits)
    }

    /// The ISO 4217 code.
    #[must_use]
    pub fn code(&self) -> &str {
        core::str::from_utf8(&self.code).unwrap_or("XXX")
    }

    /// Decimals of the minor unit.
    #[must_use]
    pub const fn minor_digits(&self) -> u8 {
        self.minor_digits
    }

    /// Nano-currency in one minor unit: 10,000,000 for cents.
    #[must_use]
    pub fn nanos_per_minor(&self) -> i128 {
        10_i128.pow(9_u32.saturating_sub(u32::from(self.minor_digits)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notional_is_exact() {
        let notional = Price::from_micros(5_000_000).notional(Energy::from_wh(5_000));
        assert_eq!(notional.nanos(), 25_000_000_000);
        let corner = Price::from_micros(i64::MIN).notional(Energy::from_wh(u64::MAX));
        assert_eq!(corner.nanos(), i128::from(i64::MIN) * i128::from(u64::MAX));
    }

    #[test]
    fn power_is_not_energy() {
        assert_eq!(Power::from_w(5_000).over_minutes(30), Energy::from_wh(2_500));
        assert_eq!(Power::from_w(1).over_minutes(15), Energy::ZERO);
    }

    #[test]
    fn prices_print_as_decimals() {
        assert_eq!(Price::from_micros(201_000_000).to_string(), "201.00");
        assert_eq!(Price::from_micros(-82_500).to_string(), "-0.0825");
        assert_eq!(Price::from_micros(i64::MIN).to_string(), "-9223372036854.775808");
    }

    #[test]
    fn minor_units_follow_the_currency() {
        assert_eq!(Currency::from_iso("EUR").unwrap().nanos_per_minor(), 10_000_000);
        assert_eq!(Currency::from_iso("JPY").unwrap().nanos_per_minor(), 1_000_000_000);
        assert_eq!(Currency::from_iso("eur"), Err(CurrencyError::Unknown));
    }
}
