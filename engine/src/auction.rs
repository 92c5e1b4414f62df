//! Stop 8 of an order's life: the call auction. One price for a whole book, then its trades.
//!
//! A price rule is an ordered list of [`Step`]s over a [`Curve`]: each step keeps some of the
//! candidate prices or decides. [`clear`] runs them and touches no orders; an [`crate::Engine`]
//! makes the curve from the aggregate quantities of its ladders, so that the indicative price is
//! one pass over levels, and the uncross is the same call followed by pairing.

use std::borrow::Cow;

use types::{Energy, Price, PriceRule, Side};

/// What is limited to one price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurvePoint {
    /// The limit.
    pub price: Price,
    /// Buys with exactly this limit.
    pub buy: Energy,
    /// Sells with exactly this limit.
    pub sell: Energy,
}

/// Supply and demand of a call auction. All quantities together are below 2^63 Wh.
#[derive(Debug, Clone, Copy)]
pub struct Curve<'a> {
    /// The limits in the book, prices strictly rising: these are the candidates.
    pub points: &'a [CurvePoint],
    /// Buys at any price: market orders, or limits above all of `points`.
    pub market_buy: Energy,
    /// Sells at any price: market orders, or limits below all of `points`.
    pub market_sell: Energy,
    /// Prices are whole ticks apart.
    pub tick: Price,
    /// The price to stay close to, where the rule leaves a choice.
    pub reference: Option<Price>,
}

/// What a price rule decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clearing {
    /// The one price. Not always a limit of the book.
    pub price: Price,
    /// Energy that trades.
    pub volume: Energy,
    /// Demand minus supply at the price, in Wh.
    pub surplus_wh: i64,
    /// How many candidates were left after volume and surplus; 0 with market orders alone.
    pub candidates: u32,
    /// Whether the reference price was outside the range that was left. `false` also where the
    /// pressure of a surplus decided, since then the reference is not asked.
    pub clamped: bool,
}

/// One step of a price rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Keep the candidates at which most energy trades.
    MaximumVolume,
    /// Keep the candidates with the smallest absolute surplus.
    MinimumSurplus,
    /// Buy surplus everywhere: the highest. Sell surplus everywhere: the lowest. Both: keep the
    /// highest with a buy surplus and the lowest with a sell surplus.
    Pressure,
    /// The reference price, clamped into the range from the lowest to the highest candidate.
    /// Without a reference the middle of the range, rounded down to the tick.
    ClampReference,
    /// The candidate nearest to the reference price; of two that are equally near, the higher.
    /// Without a reference the one nearest to the middle of the range.
    NearestToReference,
    /// Make the reference price a candidate too.
    AddReference,
    /// Keep the candidates at which no order that is strictly better goes without: there supply
    /// meets demand, whichever way the curves cross or overlap.
    Equilibrium,
    /// The middle of the range from the lowest to the highest candidate, rounded up to the tick.
    Middle,
}

/// The steps of a rule, in order. The last one always decides.
#[must_use]
pub const fn steps(rule: PriceRule) -> &'static [Step] {
    use Step::{
        AddReference, ClampReference, Equilibrium, MaximumVolume, Middle, MinimumSurplus,
        NearestToReference, Pressure,
    };
    match rule {
        PriceRule::T7Clamp | PriceRule::ProRataAtBand => {
            &[MaximumVolume, MinimumSurplus, Pressure, ClampReference]
        }
        PriceRule::XetraNearest | PriceRule::Asx | PriceRule::CmeIop => {
            &[MaximumVolume, MinimumSurplus, Pressure, NearestToReference]
        }
        PriceRule::Euronext => {
            &[AddReference, MaximumVolume, MinimumSurplus, Pressure, NearestToReference]
        }
        PriceRule::Nse => &[MaximumVolume, MinimumSurplus, NearestToReference],
        PriceRule::Midpoint => &[MaximumVolume, Equilibrium, Middle],
    }
}

/// Finds the price of a call auction, or `None` when nothing trades.
/// Rule T-52.
///
/// Market orders alone trade at the reference price; otherwise they behave as limits beyond all
/// others.
///
/// # Panics
/// When the quantities of the curve add up to 2^63 Wh or more.
#[must_use]
pub fn clear(rule: PriceRule, curve: &Curve<'_>) -> Option<Clearing> {
    let mut search = Search {
        curve,
        points: Cow::Borrowed(curve.points),
        from: 0,
        to: curve.points.len(),
        candidates: 0,
    };
    // Rule T-57.
    if curve.points.is_empty() {
        let price = curve.reference?;
        return search.result(price, Wanted::Reference(price));
    }
    for &step in steps(rule) {
        if let Some((price, wanted)) = search.take(step) {
            return search.result(price, wanted);
        }
    }
    None
}

/// Demand and supply at one price, in Wh.
#[derive(Debug, Clone, Copy)]
struct Balance {
    demand: u64,
    supply: u64,
}

impl Balance {
    fn volume(self) -> u64 {
        self.demand.min(self.supply)
    }

    fn surplus(self) -> i64 {
        // Both are below 2^63, so the wrapped difference read as signed is the difference.
        self.demand.wrapping_sub(self.supply).cast_signed()
    }
}

/// What the deciding step would have liked best.
enum Wanted {
    /// This price.
    Reference(Price),
    /// No particular one.
    Nothing,
}

/// The candidates still in question: `points[from..to]`. They are always neighbours, because
/// demand falls and supply rises with the price.
struct Search<'a> {
    curve: &'a Curve<'a>,
    /// The curve's points, and the reference price where a step added it.
    points: Cow<'a, [CurvePoint]>,
    from: usize,
    to: usize,
    candidates: u32,
}

impl Search<'_> {
    /// Takes one step; a decision ends the search.
    fn take(&mut self, step: Step) -> Option<(Price, Wanted)> {
        match step {
            Step::MaximumVolume => self.keep_best(|balance| balance.volume()),
            Step::MinimumSurplus => {
                self.keep_best(|balance| u64::MAX - balance.surplus().unsigned_abs());
            }
            Step::Pressure => return self.press(),
            Step::ClampReference => return self.clamp_reference(),
            Step::NearestToReference => return self.nearest(),
            Step::AddReference => self.add_reference(),
            Step::Equilibrium => self.keep_equilibrium(),
            Step::Middle => return self.middle(),
        }
        None
    }

    fn add_reference(&mut self) {
        let Some(price) = self.curve.reference else { return };
        if let Err(place) = self.points.binary_search_by_key(&price, |point| point.price) {
            let point = CurvePoint { price, buy: Energy::ZERO, sell: Energy::ZERO };
            self.points.to_mut().insert(place, point);
            self.to += 1;
        }
    }

    fn nearest(&self) -> Option<(Price, Wanted)> {
        let low = self.price(self.from)?.micros();
        let high = self.price(self.to.checked_sub(1)?)?.micros();
        // Twice the goal, so that the middle of a range needs no rounding.
        let goal = match self.curve.reference {
            Some(reference) => 2 * i128::from(reference.micros()),
            None => i128::from(low) + i128::from(high),
        };
        let range = self.points.get(self.from..self.to)?;
        let distance = |price: Price| (2 * i128::from(price.micros()) - goal).unsigned_abs();
        // Prices rise, and of equals `min_by_key` keeps the first: so look from the highest down.
        let price = range.iter().rev().map(|point| point.price).min_by_key(|&p| distance(p))?;
        Some((price, Wanted::Nothing))
    }

    fn keep_equilibrium(&mut self) {
        let volume = self.balances().map(|(_, balance)| balance.volume()).max().unwrap_or(0);
        let mut kept: Option<(usize, usize)> = None;
        for (index, balance) in self.balances() {
            let Some(point) = self.points.get(index) else { continue };
            let better_buys = balance.demand - point.buy.wh();
            let better_sells = balance.supply - point.sell.wh();
            if better_buys <= volume && better_sells <= volume {
                kept = Some((kept.map_or(index, |(from, _)| from), index + 1));
            }
        }
        if let Some((from, to)) = kept {
            (self.from, self.to) = (from, to);
            self.candidates = u32::try_from(to - from).unwrap_or(u32::MAX);
        }
    }

    fn middle(&self) -> Option<(Price, Wanted)> {
        let low = self.price(self.from)?;
        let high = self.price(self.to.checked_sub(1)?)?;
        let tick = self.curve.tick.micros().unsigned_abs().max(1);
        let ticks = high.micros().abs_diff(low.micros()).div_euclid(tick);
        let middle = low.micros().checked_add_unsigned(ticks.div_ceil(2) * tick)?;
        Some((Price::from_micros(middle), Wanted::Nothing))
    }

    /// Keeps the candidates of the highest score.
    fn keep_best(&mut self, score: impl Fn(Balance) -> u64) {
        let mut best = None;
        let (mut from, mut to) = (self.from, self.to);
        for (index, balance) in self.balances() {
            let score = score(balance);
            if best.is_none_or(|best| score > best) {
                best = Some(score);
                from = index;
            }
            if best == Some(score) {
                to = index + 1;
            }
        }
        (self.from, self.to) = (from, to);
        self.candidates = u32::try_from(to - from).unwrap_or(u32::MAX);
    }

    /// Rule T-53.
    fn press(&mut self) -> Option<(Price, Wanted)> {
        let mut last_buy = None;
        let mut first_sell = None;
        let mut balanced = false;
        for (index, balance) in self.balances() {
            match balance.surplus() {
                1.. => last_buy = Some(index),
                0 => balanced = true,
                _ => first_sell = first_sell.or(Some(index)),
            }
        }
        match (last_buy, first_sell) {
            (Some(buy), None) if !balanced => self.price(buy).map(|p| (p, Wanted::Nothing)),
            (None, Some(sell)) if !balanced => self.price(sell).map(|p| (p, Wanted::Nothing)),
            (Some(buy), Some(sell)) => {
                (self.from, self.to) = (buy, sell + 1);
                None
            }
            _ => None,
        }
    }

    fn clamp_reference(&mut self) -> Option<(Price, Wanted)> {
        let low = self.price(self.from)?;
        let high = self.price(self.to.checked_sub(1)?)?;
        if let Some(reference) = self.curve.reference {
            return Some((reference.clamp(low, high), Wanted::Reference(reference)));
        }
        let tick = self.curve.tick.micros().unsigned_abs().max(1);
        let half = high.micros().abs_diff(low.micros()).div_euclid(2);
        let steps = half - half.rem_euclid(tick);
        let middle = low.micros().checked_add_unsigned(steps)?;
        Some((Price::from_micros(middle), Wanted::Nothing))
    }

    /// Rule T-55.
    fn result(&self, price: Price, wanted: Wanted) -> Option<Clearing> {
        let balance = self.balance_at(price);
        let clamped = match wanted {
            Wanted::Reference(reference) => reference != price,
            Wanted::Nothing => false,
        };
        (balance.volume() > 0).then(|| Clearing {
            price,
            volume: Energy::from_wh(balance.volume()),
            surplus_wh: balance.surplus(),
            candidates: self.candidates,
            clamped,
        })
    }

    fn price(&self, index: usize) -> Option<Price> {
        self.points.get(index).map(|point| point.price)
    }

    /// Demand and supply at each candidate in question.
    fn balances(&self) -> impl Iterator<Item = (usize, Balance)> {
        let mut demand = self.total(Side::Buy);
        let mut supply = self.curve.market_sell.wh();
        let points = self.points.iter().enumerate().take(self.to).map(move |(index, point)| {
            supply += point.sell.wh();
            let here = Balance { demand, supply };
            demand -= point.buy.wh();
            (index, here)
        });
        points.skip(self.from)
    }

    /// Demand and supply at any price.
    fn balance_at(&self, price: Price) -> Balance {
        let mut demand = self.total(Side::Buy);
        let mut supply = self.curve.market_sell.wh();
        for point in self.curve.points {
            if point.price < price {
                demand -= point.buy.wh();
            }
            if point.price <= price {
                supply += point.sell.wh();
            }
        }
        Balance { demand, supply }
    }

    fn total(&self, side: Side) -> u64 {
        let points = self.curve.points.iter();
        let total = match side {
            Side::Buy => points.fold(self.curve.market_buy.wh(), |sum, point| sum + point.buy.wh()),
            Side::Sell => {
                points.fold(self.curve.market_sell.wh(), |sum, point| sum + point.sell.wh())
            }
        };
        assert!(i64::try_from(total).is_ok(), "the curve holds 2^63 Wh or more");
        total
    }
}
