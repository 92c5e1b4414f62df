//! The rules of one market's settlement, as numbers. Decimals stop here: a policy document says
//! `"0.10"`, the stages see millionths.

use rust_decimal::Decimal;
use serde::Deserialize;
use types::{Currency, MarketId, PlatformId, Price, RetailerId};

/// Millionths in one.
pub const MILLION: i128 = 1_000_000;

/// Largest fraction a policy may name: 10, that is 1,000 %.
pub const FRACTION_MAX_PPM: u32 = 10_000_000;

/// Largest rate per kWh a policy may name: one million currency units.
pub const RATE_MICROS_MAX: i64 = 1_000_000_000_000;

/// Most days of any term: 27 years.
pub const DAYS_MAX: u32 = 10_000;

/// Most charges in one policy.
pub const CHARGES_MAX: usize = 16;

/// Most rules of mechanisms in one policy: each is looked at for each trade.
pub const MECHANISM_RULES_MAX: usize = 64;

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

/// Twice the certified capacity: beyond it a meter file is more likely wrong than a meter.
const PLAUSIBLE: Fraction = Fraction(2_000_000);

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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mechanism {
    /// The clearing house holds the payer's money and pays on delivery.
    #[default]
    ClearingHouse,
    /// A payment rail blocks the payer's money and captures it on delivery.
    Block,
    /// The payer's prepaid meter is debited, and the retailers pass it on.
    Prepaid,
    /// The seller bills the payer.
    SellerBiller,
    /// The platform bills the payer and keeps its fee.
    PlatformBiller,
}

impl Mechanism {
    /// Every one, in the order of the codes.
    pub const ALL: [Self; 5] =
        [Self::ClearingHouse, Self::Block, Self::Prepaid, Self::SellerBiller, Self::PlatformBiller];

    /// The code in rows.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::ClearingHouse => 1,
            Self::Block => 2,
            Self::Prepaid => 3,
            Self::SellerBiller => 4,
            Self::PlatformBiller => 5,
        }
    }

    /// The mechanism of a code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.code() == code)
    }

    /// The name in policies and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClearingHouse => "clearing_house",
            Self::Block => "block",
            Self::Prepaid => "prepaid",
            Self::SellerBiller => "seller_biller",
            Self::PlatformBiller => "platform_biller",
        }
    }
}

/// How a contract came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Orders met in a book.
    Book,
    /// Two meters agreed on it between themselves.
    Negotiated,
}

/// What of a contract decides its mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Where it was traded.
    pub market: MarketId,
    /// How.
    pub origin: Origin,
    /// The platform that sent the seller's side.
    pub seller_platform: PlatformId,
    /// Who serves the buyer.
    pub buyer_retailer: RetailerId,
}

/// A mechanism for some contracts. What it does not name is any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MechanismRule {
    /// Of this market.
    pub market: Option<MarketId>,
    /// Of this origin.
    pub origin: Option<Origin>,
    /// Sold through this platform.
    pub seller_platform: Option<PlatformId>,
    /// Bought by a meter that this retailer serves.
    pub buyer_retailer: Option<RetailerId>,
    /// How their money moves.
    pub mechanism: Mechanism,
}

impl MechanismRule {
    fn is_for(&self, terms: &Terms) -> bool {
        let Terms { market, origin, seller_platform, buyer_retailer } = *terms;
        self.market.is_none_or(|named| named == market)
            && self.origin.is_none_or(|named| named == origin)
            && self.seller_platform.is_none_or(|named| named == seller_platform)
            && self.buyer_retailer.is_none_or(|named| named == buyer_retailer)
    }
}

/// How long a payment rail keeps money blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockRule {
    /// Days after which a block expires.
    pub hold_days: u32,
    /// Days before delivery at which a block is asked for that would expire before it otherwise.
    pub lead_days: Option<u32>,
}

/// Money moves over a payment rail: instructions are written, and its events are what moves it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RailRule {
    /// Of a clearing house: days before delivery at which cash is called for what is not covered;
    /// never, if there are none.
    pub call_lead_days: Option<u32>,
}

/// What a meter is taken to have moved when its readings never came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// Nothing beyond the intervals that are known.
    Nothing,
    /// What it had contracted, if the known intervals are less.
    Contracted,
}

/// When and how a contract is settled although readings are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvisionalRule {
    /// Hours after the slot's end during which readings are waited for.
    pub after_hours: u32,
    /// What is taken in place of what is missing.
    pub missing: Missing,
}

/// The ladder of measures against who does not pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enforcement {
    /// Days in which to pay.
    pub due_days: u32,
    /// Days after that until the default is recorded.
    pub grace_days: u32,
    /// Days after that until the fine; never, if there are none.
    pub fine_after_days: Option<u32>,
    /// The fine as a fraction of what is open.
    pub fine_rate: Fraction,
    /// Days within which another default of the same party suspends it; never, if there are none.
    pub repeat_days: Option<u32>,
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
    /// How money moves, where no rule below says otherwise.
    pub mechanism: Mechanism,
    /// How it moves for some contracts; the first rule that is for a contract decides.
    pub mechanisms: Vec<MechanismRule>,
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
    /// What who asks for a modification pays the other party, of the changed value.
    pub modification_penalty: Fraction,
    /// What the seller's platform keeps of what the seller is paid.
    pub platform_fee: Fraction,
    /// The payment rail's terms, for [`Mechanism::Block`].
    pub block: Option<BlockRule>,
    /// Whether and how a payment rail is used; without it nothing is asked of any.
    pub rail: Option<RailRule>,
    /// What happens to who does not pay.
    pub enforcement: Option<Enforcement>,
    /// Days after delivery through which an outcome may still change by itself.
    pub finality_days: Option<u32>,
    /// What happens when readings do not come; without it they are waited for for ever.
    pub provisional: Option<ProvisionalRule>,
    /// A reading above this fraction of the certified capacity over its interval is refused.
    pub plausible: Fraction,
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
}

impl Policy {
    /// A clearing house without tolerance, penalties, charges or memos.
    #[must_use]
    pub fn clearing_house(currency: Currency) -> Self {
        Self {
            currency,
            rounding: Rounding::default(),
            mechanism: Mechanism::ClearingHouse,
            mechanisms: Vec::new(),
            allocation: Method::default(),
            tolerance: Fraction::ZERO,
            shortfall_penalty: None,
            under_consumption: UnderConsumption::default(),
            charges: Vec::new(),
            feed_in: Price::default(),
            retail: Price::default(),
            modification_penalty: Fraction::ZERO,
            platform_fee: Fraction::ZERO,
            block: None,
            rail: None,
            enforcement: None,
            finality_days: None,
            provisional: None,
            plausible: PLAUSIBLE,
        }
    }

    /// How the money of a contract moves. It is asked when the contract is captured, and kept with it.
    /// Rule S-02.
    #[must_use]
    pub fn mechanism_of(&self, terms: &Terms) -> Mechanism {
        let rule = self.mechanisms.iter().find(|rule| rule.is_for(terms));
        rule.map_or(self.mechanism, |rule| rule.mechanism)
    }

    /// Reads a policy document (JSON; `docs/settlement.md` lists the fields).
    ///
    /// # Errors
    /// When it is no policy, or names something impossible.
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
    mechanism: Mechanism,
    #[serde(default)]
    mechanisms: Vec<RuleDocument>,
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
    #[serde(default)]
    modification_penalty: Written,
    #[serde(default)]
    platform_fee: Written,
    block: Option<BlockRule>,
    rail: Option<RailRule>,
    enforcement: Option<EnforcementDocument>,
    finality_days: Option<u32>,
    provisional: Option<ProvisionalRule>,
    plausible: Option<Written>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleDocument {
    market: Option<u16>,
    origin: Option<Origin>,
    seller_platform: Option<u16>,
    buyer_retailer: Option<u16>,
    mechanism: Mechanism,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnforcementDocument {
    due_days: u32,
    #[serde(default)]
    grace_days: u32,
    fine_after_days: Option<u32>,
    #[serde(default)]
    fine_rate: Written,
    repeat_days: Option<u32>,
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
        let currency = Currency::from_iso(&self.currency)
            .map_err(|error| bad("currency", &error.to_string()))?;
        let platform_fee = fraction("platform_fee", self.platform_fee)?;
        if i128::from(platform_fee.ppm()) > MILLION {
            return Err(bad("platform_fee", "more than all"));
        }
        let calls = self.rail.is_some_and(|rule| rule.call_lead_days.is_some());
        if calls && !self.uses(Mechanism::ClearingHouse) {
            return Err(bad("rail", "only a clearing house calls cash before delivery"));
        }
        if self.uses(Mechanism::Block) && self.block.is_none() {
            return Err(bad("block", "the mechanism `block` needs it"));
        }
        if self.mechanisms.len() > MECHANISM_RULES_MAX {
            return Err(bad("mechanisms", "too many"));
        }
        self.check_days()?;
        if self.charges.len() > CHARGES_MAX {
            return Err(bad("charges", "too many"));
        }
        Ok(Policy {
            currency,
            rounding: self.rounding,
            mechanism: self.mechanism,
            mechanisms: self.mechanisms.into_iter().map(rule).collect(),
            allocation: self.allocation,
            tolerance: fraction("tolerance", self.tolerance)?,
            shortfall_penalty: self.shortfall_penalty.map(penalty).transpose()?,
            under_consumption: self.buyer_under_consumption,
            charges: self.charges.into_iter().map(charge).collect::<Result<_, _>>()?,
            feed_in: rate("feed_in", self.feed_in)?,
            retail: rate("retail", self.retail)?,
            modification_penalty: fraction("modification_penalty", self.modification_penalty)?,
            platform_fee,
            block: self.block,
            rail: self.rail,
            enforcement: self.enforcement.map(enforcement).transpose()?,
            finality_days: self.finality_days,
            provisional: self.provisional,
            plausible: self
                .plausible
                .map_or(Ok(PLAUSIBLE), |written| fraction("plausible", written))?,
        })
    }

    /// Whether a contract may have this mechanism.
    fn uses(&self, mechanism: Mechanism) -> bool {
        self.mechanism == mechanism || self.mechanisms.iter().any(|one| one.mechanism == mechanism)
    }

    /// Every number of days is one that sums of days stay small with.
    fn check_days(&self) -> Result<(), PolicyError> {
        let block = self.block.map(|rule| [Some(rule.hold_days), rule.lead_days]);
        let ladder = self.enforcement.as_ref().map(|rule| {
            [Some(rule.due_days), Some(rule.grace_days), rule.fine_after_days, rule.repeat_days]
        });
        let fields = [
            ("block", block.into_iter().flatten().flatten().max()),
            ("rail", self.rail.and_then(|rule| rule.call_lead_days)),
            ("enforcement", ladder.into_iter().flatten().flatten().max()),
            ("finality_days", self.finality_days),
            ("provisional", self.provisional.map(|rule| rule.after_hours.div_ceil(24))),
        ];
        match fields.into_iter().find(|(_, days)| days.is_some_and(|days| days > DAYS_MAX)) {
            Some((field, _)) => Err(bad(field, "more than ten thousand days")),
            None => Ok(()),
        }
    }
}

fn rule(document: RuleDocument) -> MechanismRule {
    MechanismRule {
        market: document.market.map(MarketId::new),
        origin: document.origin,
        seller_platform: document.seller_platform.map(PlatformId::new),
        buyer_retailer: document.buyer_retailer.map(RetailerId::new),
        mechanism: document.mechanism,
    }
}

fn enforcement(document: EnforcementDocument) -> Result<Enforcement, PolicyError> {
    Ok(Enforcement {
        due_days: document.due_days,
        grace_days: document.grace_days,
        fine_after_days: document.fine_after_days,
        fine_rate: fraction("enforcement", document.fine_rate)?,
        repeat_days: document.repeat_days,
    })
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
    fn impossible_values_are_named() {
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
        assert!(read(r#","platform_fee":"1.5""#).contains("`platform_fee`"));
        assert!(read(r#","finality_days":10001"#).contains("`finality_days`"));
        assert!(read(r#","block":{"hold_days":-1}"#).contains("cannot be read"));
        assert!(read(r#","surprise":1"#).contains("surprise"));
        assert!(read(r#","charges":[{"name":"x","per_kwh":"1"}]"#).contains("`charges`"));
        let mechanism = |name: &str| {
            Policy::from_json(&format!(r#"{{"currency":"INR","mechanism":"{name}"}}"#))
        };
        assert!(mechanism("barter").unwrap_err().to_string().contains("barter"));
        assert!(mechanism("block").unwrap_err().to_string().contains("`block`"));
        assert_eq!(mechanism("prepaid").unwrap().mechanism, Mechanism::Prepaid);
    }
}
