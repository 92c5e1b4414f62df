//! The rules of one market's settlement, as numbers. Decimals stop here: a policy document says
//! `"0.10"`, the stages see millionths.

use rust_decimal::Decimal;
use serde::Deserialize;
use types::{Currency, Price};

/// Millionths in one.
pub const MILLION: i128 = 1_000_000;

/// Largest fraction a policy may name: 10, that is 1,000 %.
pub const FRACTION_MAX_PPM: u32 = 10_000_000;

/// Largest rate per kWh a policy may name: one million currency units.
pub const RATE_MICROS_MAX: i64 = 1_000_000_000_000;

/// Most charges in one policy.
pub const CHARGES_MAX: usize = 16;

/// A fraction in millionths: 100,000 is 10 %.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fraction(u32);

impl Fraction {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From millionths, or `None` above [`FRACTION_MAX_PPM`].
    #[must_use]
    pub const fn from_ppm(ppm: u32) -> Option<Self> {
        if ppm <= FRACTION_MAX_PPM { Some(Self(ppm)) } else { None }
    }

    /// Millionths.
    #[must_use]
    pub const fn ppm(self) -> u32 {
        self.0
    }
}

/// What happens to half a minor unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// 0.5 becomes 1 and −0.5 becomes −1.
    #[default]
    HalfAwayFromZero,
    /// 0.5 becomes 0 and 1.5 becomes 2.
    HalfEven,
}

/// How money moves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mechanism {
    /// The clearing house holds the payer's money and pays on delivery.
    #[default]
    ClearingHouse,
}

/// How metered energy is spread over the contracts of a meter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// In proportion to what was contracted.
    #[default]
    ProRata,
    /// The earliest trade first.
    Fifo,
}

impl Method {
    /// The code in outcome leaves.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::ProRata => 1,
            Self::Fifo => 2,
        }
    }
}

/// What a breach of the tolerance band is penalised on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PenaltyBase {
    /// All unexcused missing energy.
    WholeShortfall,
    /// Only what lies beyond the band.
    BeyondBand,
}

/// Who receives the penalty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PenaltyTo {
    /// The buyer.
    Buyer,
    /// The utility whose wires the seller hangs on.
    SellerUtility,
    /// The exchange's pool.
    Pool,
}

/// How large the penalty is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PenaltySize {
    /// A fraction of the contract price, whatever its sign.
    Rate(Fraction),
    /// A price of its own per kWh.
    PerKwh(Price),
}

/// The seller's penalty for missing energy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShortfallPenalty {
    /// How large.
    pub size: PenaltySize,
    /// On what.
    pub base: PenaltyBase,
    /// To whom.
    pub to: PenaltyTo,
}

/// What a buyer pays for energy the seller delivered and the buyer did not take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnderConsumption {
    /// Nothing.
    #[default]
    Actuals,
    /// The contract price.
    TakeOrPay,
}

/// A wheeling or transaction charge per settled kWh. Billed by the retailers: a memo here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Its name on bills.
    pub name: String,
    /// How it is spread.
    pub rule: ChargeRule,
}

/// How a charge is spread over the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChargeRule {
    /// Rounded once, then halved; the odd minor unit is the seller's.
    SplitEqual(Price),
    /// Each side its own rate, each rounded.
    PerSide {
        /// The buyer's rate per kWh.
        buyer: Price,
        /// The seller's rate per kWh.
        seller: Price,
    },
}

/// The rules by which contracts are verified and settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Every amount is in this currency.
    pub currency: Currency,
    /// What happens to half a minor unit.
    pub rounding: Rounding,
    /// How money moves.
    pub mechanism: Mechanism,
    /// How metered energy is spread.
    pub allocation: Method,
    /// Missing energy up to this fraction of the contract, inclusive, is no breach.
    pub tolerance: Fraction,
    /// The seller's penalty for a breach.
    pub shortfall_penalty: Option<ShortfallPenalty>,
    /// What the buyer pays for energy not taken.
    pub under_consumption: UnderConsumption,
    /// Wheeling and transaction charges.
    pub charges: Vec<Charge>,
    /// The seller's retailer's rate for excess injection: a memo.
    pub feed_in: Price,
    /// The buyer's retailer's rate for excess withdrawal: a memo.
    pub retail: Price,
}

/// Why a policy is refused. The sentence names the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Not a policy document.
    #[error("the policy cannot be read: {0}")]
    Unreadable(String),
    /// A value that cannot be.
    #[error("`{field}` of the policy is not possible: {why}")]
    Bad {
        /// Which field.
        field: &'static str,
        /// Why.
        why: String,
    },
    /// A value that is possible, but not here yet.
    #[error("`{field}` of the policy is not supported")]
    NotSupported {
        /// Which field and value.
        field: String,
    },
}

impl Policy {
    /// A clearing house without tolerance, penalties, charges or memos.
    #[must_use]
    pub fn clearing_house(currency: Currency) -> Self {
        Self {
            currency,
            rounding: Rounding::default(),
            mechanism: Mechanism::ClearingHouse,
            allocation: Method::default(),
            tolerance: Fraction::ZERO,
            shortfall_penalty: None,
            under_consumption: UnderConsumption::default(),
            charges: Vec::new(),
            feed_in: Price::default(),
            retail: Price::default(),
        }
    }

    /// Reads a policy document (JSON; `docs/settlement.md` lists the fields).
    ///
    /// # Errors
    /// When it is no policy, or names something impossible or not supported.
    pub fn from_json(text: &str) -> Result<Self, PolicyError> {
        let document: PolicyDocument = serde_json::from_str(text)
            .map_err(|error| PolicyError::Unreadable(error.to_string()))?;
        document.into_policy()
    }
}

/// A decimal as it is written down: a string of digits with a point, never a float or an exponent.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Written(Decimal);

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Decimal::from_str_exact(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// A policy as it is written down. Decimals are strings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyDocument {
    currency: String,
    #[serde(default)]
    rounding: Rounding,
    mechanism: String,
    #[serde(default)]
    allocation: Method,
    #[serde(default)]
    tolerance: Written,
    shortfall_penalty: Option<PenaltyDocument>,
    #[serde(default)]
    buyer_under_consumption: UnderConsumption,
    #[serde(default)]
    charges: Vec<ChargeDocument>,
    #[serde(default)]
    feed_in: Written,
    #[serde(default)]
    retail: Written,
    /// Read, and used only by contract modifications, which are refused where they occur.
    #[serde(default)]
    modification_penalty: Written,
    platform_fee: Option<serde_json::Value>,
    block: Option<serde_json::Value>,
    enforcement: Option<serde_json::Value>,
    finality_days: Option<serde_json::Value>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct PenaltyDocument {
    rate: Option<Written>,
    per_kwh: Option<Written>,
    base: PenaltyBase,
    to: PenaltyTo,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChargeDocument {
    name: String,
    per_kwh: Option<Written>,
    split: Option<String>,
    buyer_per_kwh: Option<Written>,
    seller_per_kwh: Option<Written>,
}

impl PolicyDocument {
    /// Converts and checks every field.
    pub(crate) fn into_policy(self) -> Result<Policy, PolicyError> {
        self.refuse_unsupported()?;
        let currency = Currency::from_iso(&self.currency)
            .map_err(|error| bad("currency", &error.to_string()))?;
        fraction("modification_penalty", self.modification_penalty)?;
        if self.charges.len() > CHARGES_MAX {
            return Err(bad("charges", "too many"));
        }
        Ok(Policy {
            currency,
            rounding: self.rounding,
            mechanism: Mechanism::ClearingHouse,
            allocation: self.allocation,
            tolerance: fraction("tolerance", self.tolerance)?,
            shortfall_penalty: self.shortfall_penalty.map(penalty).transpose()?,
            under_consumption: self.buyer_under_consumption,
            charges: self.charges.into_iter().map(charge).collect::<Result<_, _>>()?,
            feed_in: rate("feed_in", self.feed_in)?,
            retail: rate("retail", self.retail)?,
        })
    }

    fn refuse_unsupported(&self) -> Result<(), PolicyError> {
        let not_supported = |field: &str| PolicyError::NotSupported { field: field.to_owned() };
        if self.mechanism != "clearing_house" {
            return Err(not_supported(&format!("mechanism: {}", self.mechanism)));
        }
        let later = [
            ("platform_fee", &self.platform_fee),
            ("block", &self.block),
            ("enforcement", &self.enforcement),
            ("finality_days", &self.finality_days),
        ];
        match later.into_iter().find(|(_, value)| value.is_some()) {
            Some((field, _)) => Err(not_supported(field)),
            None => Ok(()),
        }
    }
}

fn penalty(document: PenaltyDocument) -> Result<ShortfallPenalty, PolicyError> {
    const FIELD: &str = "shortfall_penalty";
    let size = match (document.rate, document.per_kwh) {
        (Some(part), None) => PenaltySize::Rate(fraction(FIELD, part)?),
        (None, Some(price)) => PenaltySize::PerKwh(charge_rate(FIELD, price)?),
        (None, None) | (Some(_), Some(_)) => {
            return Err(bad(FIELD, "exactly one of `rate` and `per_kwh` is needed"));
        }
    };
    Ok(ShortfallPenalty { size, base: document.base, to: document.to })
}

fn charge(document: ChargeDocument) -> Result<Charge, PolicyError> {
    const FIELD: &str = "charges";
    let per_side = document.buyer_per_kwh.is_some() || document.seller_per_kwh.is_some();
    let rule = match (document.per_kwh, document.split.as_deref()) {
        (Some(price), Some("equal")) if !per_side => {
            ChargeRule::SplitEqual(charge_rate(FIELD, price)?)
        }
        (None, None) if per_side => ChargeRule::PerSide {
            buyer: charge_rate(FIELD, document.buyer_per_kwh.unwrap_or_default())?,
            seller: charge_rate(FIELD, document.seller_per_kwh.unwrap_or_default())?,
        },
        (_, _) => {
            return Err(bad(
                FIELD,
                "either `per_kwh` with `split`: `equal`, or `buyer_per_kwh` and `seller_per_kwh`",
            ));
        }
    };
    Ok(Charge { name: document.name, rule })
}

/// A decimal per kWh in micro-currency, exactly.
///
/// # Errors
/// When it has more than six decimals or is beyond [`RATE_MICROS_MAX`].
pub(crate) fn rate(field: &'static str, value: Written) -> Result<Price, PolicyError> {
    let micros = value
        .0
        .checked_mul(Decimal::from(1_000_000_u32))
        .filter(Decimal::is_integer)
        .and_then(|scaled| i64::try_from(scaled).ok())
        .filter(|micros| micros.unsigned_abs() <= RATE_MICROS_MAX.unsigned_abs());
    micros.map(Price::from_micros).ok_or_else(|| bad(field, "six decimals, at most a million"))
}

fn charge_rate(field: &'static str, value: Written) -> Result<Price, PolicyError> {
    let price = rate(field, value)?;
    if price.micros() < 0 { Err(bad(field, "negative")) } else { Ok(price) }
}

fn fraction(field: &'static str, value: Written) -> Result<Fraction, PolicyError> {
    let ppm = value
        .0
        .checked_mul(Decimal::from(1_000_000_u32))
        .filter(Decimal::is_integer)
        .and_then(|scaled| u32::try_from(scaled).ok());
    ppm.and_then(Fraction::from_ppm).ok_or_else(|| bad(field, "0 to 10 with six decimals"))
}

fn bad(field: &'static str, why: &str) -> PolicyError {
    PolicyError::Bad { field, why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_becomes_integers() {
        let policy = Policy::from_json(
            r#"{"currency":"INR","mechanism":"clearing_house","tolerance":"0.10",
                "shortfall_penalty":{"rate":"0.2","base":"beyond_band","to":"pool"},
                "charges":[{"name":"wheeling","per_kwh":"0.42","split":"equal"}],
                "feed_in":"3.1"}"#,
        )
        .unwrap();
        assert_eq!(policy.tolerance.ppm(), 100_000);
        assert_eq!(policy.feed_in, Price::from_micros(3_100_000));
        assert_eq!(policy.charges[0].rule, ChargeRule::SplitEqual(Price::from_micros(420_000)));
    }

    #[test]
    fn impossible_and_unsupported_values_are_named() {
        let read = |extra: &str| {
            Policy::from_json(&format!(
                r#"{{"currency":"INR","mechanism":"clearing_house"{extra}}}"#
            ))
            .unwrap_err()
            .to_string()
        };
        assert!(read(r#","tolerance":"-0.1""#).contains("`tolerance`"));
        assert!(read(r#","tolerance":"0.0000001""#).contains("`tolerance`"));
        assert!(read(r#","tolerance":0.1"#).contains("expected a string"));
        assert!(read(r#","tolerance":"1e-1""#).contains("cannot be read"));
        assert!(read(r#","platform_fee":"0.015""#).contains("`platform_fee`"));
        assert!(read(r#","surprise":1"#).contains("surprise"));
        assert!(read(r#","charges":[{"name":"x","per_kwh":"1"}]"#).contains("`charges`"));
        let other = Policy::from_json(r#"{"currency":"INR","mechanism":"prepaid"}"#).unwrap_err();
        assert_eq!(other.to_string(), "`mechanism: prepaid` of the policy is not supported");
    }
}
