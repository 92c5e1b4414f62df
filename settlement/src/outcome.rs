//! Stop 15 of an order's life: contract, allocation and curtailment become an outcome, exactly.
//!
//! Everything here is exact: amounts are [`Exact`] values that nobody has rounded yet. Rounding is
//! the business of [`crate::books`].

use types::{Energy, Price};

use crate::{
    allocation::Share,
    books::Exact,
    policy::{
        ChargeRule, MILLION, PenaltyBase, PenaltySize, Policy, ShortfallPenalty, UnderConsumption,
    },
};

/// Where a contract stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum State {
    /// The slot has not ended, or a side's readings are missing or incomplete.
    AwaitingMeterData = 0,
    /// No unexcused shortfall beyond tolerance, no curtailment.
    Complete = 1,
    /// An unexcused shortfall beyond tolerance, with some delivery.
    Partial = 2,
    /// A curtailment excused something, with some delivery.
    PartialCurtailed = 3,
    /// No delivery, excused or not.
    Failed = 4,
    /// A meter's buys and sells cancel out, and the hold stays; or the data changed after finality, and what
    /// was settled stays. People decide.
    Disputed = 5,
    /// Both parties agreed to it before delivery.
    Cancelled = 6,
    /// The payer's rail did not block the money.
    CancelledUnfunded = 7,
    /// Two operators of the exchange undid the trade before its gate: nothing is held, billed or owed for it,
    /// and nobody pays a penalty.
    CancelledBusted = 8,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Self::AwaitingMeterData,
        Self::Complete,
        Self::Partial,
        Self::PartialCurtailed,
        Self::Failed,
        Self::Disputed,
        Self::Cancelled,
        Self::CancelledUnfunded,
        Self::CancelledBusted,
    ];

    /// The state with this code, if there is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }

    /// Whether it was ended before delivery.
    #[must_use]
    pub const fn is_cancelled(self) -> bool {
        matches!(self, Self::Cancelled | Self::CancelledUnfunded | Self::CancelledBusted)
    }

    /// The code in leaves and rows.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the enum is repr(u8)")]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The name in machine-readable output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AwaitingMeterData => "AWAITING_METER_DATA",
            Self::Complete => "COMPLETE",
            Self::Partial => "PARTIAL",
            Self::PartialCurtailed => "PARTIAL_CURTAILED",
            Self::Failed => "FAILED",
            Self::Disputed => "DISPUTED",
            Self::Cancelled => "CANCELLED",
            Self::CancelledUnfunded => "CANCELLED_UNFUNDED",
            Self::CancelledBusted => "CANCELLED_BUSTED",
        }
    }
}

/// What was contracted and what both meters' allocations say about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// What was contracted.
    pub energy: Energy,
    /// At which price.
    pub price: Price,
    /// The buyer's share.
    pub buyer: Share,
    /// The seller's share.
    pub seller: Share,
}

impl Verified {
    /// What settles: the smaller of both sides.
    /// Rule S-15.
    #[must_use]
    pub fn settled(&self) -> Energy {
        self.buyer.allocated.min(self.seller.allocated)
    }
}

/// Energy beyond all contracts of a meter, as far as it is attributed to this contract. A memo.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Excess {
    /// Injected by the seller, bought by the seller's retailer.
    pub injected: Energy,
    /// Withdrawn by the buyer, sold by the buyer's retailer.
    pub withdrawn: Energy,
}

/// What became of a contract, in energy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Where it stands now.
    pub state: State,
    /// Delivered and taken.
    pub settled: Energy,
    /// Missing on the seller's side, without excuse.
    pub shortfall: Energy,
    /// Missing on the seller's side because of a curtailment.
    pub excused: Energy,
    /// Delivered, not taken, and to be paid for nevertheless.
    pub take_or_pay: Energy,
    /// The shortfall lies beyond the tolerance band.
    pub breach: bool,
}

/// The amounts an outcome causes, before any rounding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amounts {
    /// Settled energy at the contract price; negative when the price is.
    pub energy: Exact,
    /// Energy not taken, at the contract price.
    pub take_or_pay: Exact,
    /// The seller's penalty.
    pub penalty: Exact,
    /// Wheeling and transaction charges, in the order of the policy.
    pub charges: Vec<ExactCharge>,
    /// Excess injection at the feed-in rate.
    pub feed_in: Exact,
    /// Excess withdrawal at the retail rate.
    pub retail: Exact,
}

/// One charge before rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExactCharge {
    /// To be rounded once and halved.
    Split(Exact),
    /// To be rounded per side.
    PerSide {
        /// The buyer's part.
        buyer: Exact,
        /// The seller's part.
        seller: Exact,
    },
}

/// Decides what became of a contract.
/// Rule S-16.
#[must_use]
pub fn decide(verified: &Verified, policy: &Policy) -> Outcome {
    let settled = verified.settled();
    let missing = verified.energy.saturating_sub(verified.seller.allocated);
    let shortfall = missing.saturating_sub(verified.seller.excused);
    let wash = verified.buyer.wash || verified.seller.wash;
    let breach = !wash && is_breach(shortfall, verified.energy, policy);
    let curtailed = !(verified.seller.excused.is_zero() && verified.buyer.excused.is_zero());
    let state = if wash {
        State::Disputed
    } else if verified.seller.allocated.is_zero() {
        State::Failed
    } else if curtailed {
        State::PartialCurtailed
    } else if breach {
        State::Partial
    } else {
        State::Complete
    };
    let untaken = verified.seller.allocated.saturating_sub(settled);
    // Rule S-31.
    let owed = policy.under_consumption == UnderConsumption::TakeOrPay
        && verified.price.micros() > 0
        && !wash;
    let take_or_pay =
        if owed { untaken.saturating_sub(verified.buyer.excused) } else { Energy::ZERO };
    Outcome { state, settled, shortfall, excused: verified.seller.excused, take_or_pay, breach }
}

/// What the outcome is worth. `None` when a number leaves the range the arithmetic is proven for.
#[must_use]
pub fn amounts(
    verified: &Verified,
    outcome: &Outcome,
    excess: Excess,
    policy: &Policy,
) -> Option<Amounts> {
    let price = verified.price;
    let penalty = match policy.shortfall_penalty {
        Some(rule) if outcome.breach => penalty_of(rule, verified, outcome, policy)?,
        Some(_) | None => Exact::ZERO,
    };
    let charge = |rule: ChargeRule| charge_on(rule, outcome.settled);
    Some(Amounts {
        energy: Exact::from_notional(price.notional(outcome.settled))?,
        take_or_pay: Exact::from_notional(price.notional(outcome.take_or_pay))?,
        penalty,
        charges: policy.charges.iter().map(|c| charge(c.rule)).collect::<Option<_>>()?,
        feed_in: Exact::from_notional(policy.feed_in.notional(excess.injected))?,
        retail: Exact::from_notional(policy.retail.notional(excess.withdrawn))?,
    })
}

/// A charge on settled energy. `None` when it is out of range.
/// Rule S-32.
#[must_use]
pub fn charge_on(rule: ChargeRule, settled: Energy) -> Option<ExactCharge> {
    let on = |rate: Price| Exact::from_notional(rate.notional(settled));
    Some(match rule {
        ChargeRule::SplitEqual(rate) => ExactCharge::Split(on(rate)?),
        ChargeRule::PerSide { buyer, seller } => {
            ExactCharge::PerSide { buyer: on(buyer)?, seller: on(seller)? }
        }
    })
}

/// The band is inclusive: a shortfall of exactly the tolerance is no breach.
/// Rule S-28.
fn is_breach(shortfall: Energy, contracted: Energy, policy: &Policy) -> bool {
    beyond_band(shortfall, contracted, policy) > 0
}

/// Missing energy beyond the band, in millionths of a watt-hour.
fn beyond_band(shortfall: Energy, contracted: Energy, policy: &Policy) -> i128 {
    let band = i128::from(contracted.wh()).saturating_mul(i128::from(policy.tolerance.ppm()));
    i128::from(shortfall.wh()).saturating_mul(MILLION).saturating_sub(band)
}

/// Rule S-29.
fn penalty_of(
    rule: ShortfallPenalty,
    verified: &Verified,
    outcome: &Outcome,
    policy: &Policy,
) -> Option<Exact> {
    let base_micro_wh = match rule.base {
        PenaltyBase::WholeShortfall => i128::from(outcome.shortfall.wh()).checked_mul(MILLION)?,
        PenaltyBase::BeyondBand => beyond_band(outcome.shortfall, verified.energy, policy),
    };
    // micros/kWh × µWh is 10^-6 nano-currency; a fraction in millionths makes it 10^-12.
    let (price, factor) = match rule.size {
        PenaltySize::Rate(part) => {
            (i128::from(verified.price.micros().unsigned_abs()), i128::from(part.ppm()))
        }
        PenaltySize::PerKwh(price) => (i128::from(price.micros()), MILLION),
    };
    Some(Exact::from_zepto(price.checked_mul(base_micro_wh)?.checked_mul(factor)?))
}

#[cfg(test)]
mod tests {
    use types::Currency;

    use super::*;
    use crate::policy::{Fraction, PenaltyTo};

    fn policy() -> Policy {
        Policy {
            tolerance: Fraction::from_ppm(100_000).unwrap(),
            shortfall_penalty: Some(ShortfallPenalty {
                size: PenaltySize::Rate(Fraction::from_ppm(200_000).unwrap()),
                base: PenaltyBase::WholeShortfall,
                to: PenaltyTo::Buyer,
            }),
            ..Policy::clearing_house(Currency::from_iso("INR").unwrap())
        }
    }

    fn share(allocated: u64, excused: u64) -> Share {
        Share {
            allocated: Energy::from_wh(allocated),
            excused: Energy::from_wh(excused),
            wash: false,
        }
    }

    fn verified(buyer: Share, seller: Share) -> Verified {
        let price = Price::from_micros(5_000_000);
        Verified { energy: Energy::from_wh(5_000), price, buyer, seller }
    }

    fn penalty_nanos(verified: &Verified, policy: &Policy) -> i128 {
        let outcome = decide(verified, policy);
        let exact = amounts(verified, &outcome, Excess::default(), policy).unwrap().penalty;
        exact.zepto() / 1_000_000_000_000
    }

    #[test]
    fn s28_the_band_is_inclusive_at_its_edge() {
        let edge = decide(&verified(share(5_000, 0), share(4_500, 0)), &policy());
        assert_eq!((edge.state, edge.breach), (State::Complete, false));
        let over = decide(&verified(share(5_000, 0), share(4_499, 0)), &policy());
        assert_eq!((over.state, over.breach), (State::Partial, true));
    }

    #[test]
    fn s29_a_penalty_covers_the_whole_shortfall_or_what_lies_beyond_the_band() {
        let case = verified(share(5_000, 0), share(3_000, 0));
        assert_eq!(penalty_nanos(&case, &policy()), 2_000_000_000);
        let mut beyond = policy();
        if let Some(rule) = &mut beyond.shortfall_penalty {
            rule.base = PenaltyBase::BeyondBand;
        }
        assert_eq!(penalty_nanos(&case, &beyond), 1_500_000_000);
        if let Some(rule) = &mut beyond.shortfall_penalty {
            rule.size = PenaltySize::PerKwh(Price::from_micros(500_000));
        }
        assert_eq!(penalty_nanos(&case, &beyond), 750_000_000);
    }

    #[test]
    fn a_curtailment_excuses_its_part_only() {
        let outcome = decide(&verified(share(5_000, 0), share(3_000, 1_000)), &policy());
        assert_eq!(outcome.state, State::PartialCurtailed);
        assert_eq!(outcome.shortfall, Energy::from_wh(1_000));
        assert!(outcome.breach);
    }

    #[test]
    fn s16_nothing_delivered_is_failed_and_a_wash_is_disputed() {
        let failed = decide(&verified(share(5_000, 0), share(0, 0)), &policy());
        assert_eq!(failed.state, State::Failed);
        let wash = Share { wash: true, ..Share::default() };
        let disputed = decide(&verified(share(5_000, 0), wash), &policy());
        assert_eq!((disputed.state, disputed.breach), (State::Disputed, false));
    }

    #[test]
    fn s31_take_or_pay_charges_what_was_delivered_and_not_taken() {
        let case = verified(share(3_500, 500), share(5_000, 0));
        assert_eq!(decide(&case, &policy()).take_or_pay, Energy::ZERO);
        let pays = Policy { under_consumption: UnderConsumption::TakeOrPay, ..policy() };
        assert_eq!(decide(&case, &pays).take_or_pay, Energy::from_wh(1_000));
        let negative = Verified { price: Price::from_micros(-1), ..case };
        assert_eq!(decide(&negative, &pays).take_or_pay, Energy::ZERO);
    }
}
