//! What the simulated platforms decide. The rules are stated here and nowhere else:
//!
//! - A meter's forecast is its metered balance, off by up to ±12 %, rounded down to lots.
//! - Its first limit is spread evenly, in ticks, between the feed-in rate and the retail rate: no
//!   prosumer pays more than the retailer asks, or takes less than the retailer pays.
//! - Of the orders that did not fill in the call, half move their limit halfway to the rate at which
//!   they would trade at any price, one in ten is cancelled, the rest waits for the gate.
//! - One household in fifty finds that it needs a little more, at once, at the retail rate.

use settlement::allocation::Metered;
use types::{Energy, MarketDefinition, MeterId, OrderId, Price, Side, SlotKey, TimeInForce};

use super::{
    dice::{Dice, Question},
    trader::{Intent, Resting},
};

/// What retailers pay for energy, in micro-currency per kWh.
pub const FEED_IN_MICROS: i64 = 80_000;
/// What retailers ask for energy, in micro-currency per kWh.
pub const RETAIL_MICROS: i64 = 300_000;

/// Half the spread of forecast errors, in percent.
const FORECAST_ERROR_PERCENT: u64 = 12;

/// The first order of a meter for a slot, if it has anything to trade.
#[must_use]
pub fn first_order(
    dice: Dice,
    market: &MarketDefinition,
    meter: MeterId,
    key: SlotKey,
    metered: Metered,
) -> Option<Intent> {
    let (side, energy) = if metered.injected > metered.withdrawn {
        (Side::Sell, metered.injected)
    } else {
        (Side::Buy, metered.withdrawn)
    };
    let slot = key.slot.start_minute();
    let spread = FORECAST_ERROR_PERCENT.saturating_mul(2).saturating_add(1);
    let roll = dice.roll(Question::ForecastError, meter.get(), slot, spread);
    let percent = 100_u64.saturating_sub(FORECAST_ERROR_PERCENT).saturating_add(roll);
    let forecast = energy.wh().saturating_mul(percent).div_euclid(100);
    let quantity = lots(market, forecast)?;
    let ticks = RETAIL_MICROS.saturating_sub(FEED_IN_MICROS).div_euclid(market.tick.micros());
    let sides = u64::try_from(ticks).unwrap_or(0).saturating_add(1);
    let tick = i64::try_from(dice.roll(Question::Limit, meter.get(), slot, sides)).unwrap_or(0);
    let limit = FEED_IN_MICROS.saturating_add(tick.saturating_mul(market.tick.micros()));
    Some(Intent::New {
        meter,
        key,
        side,
        time_in_force: TimeInForce::UntilGate,
        limit: Price::from_micros(limit),
        quantity,
    })
}

/// What to do with an order that rests after the call.
#[must_use]
pub fn after_call(
    dice: Dice,
    market: &MarketDefinition,
    order: OrderId,
    resting: &Resting,
) -> Option<Intent> {
    let slot = resting.key.slot.start_minute();
    match dice.roll(Question::AfterCall, resting.meter.get(), slot, 100) {
        0..50 => {
            let goal = match resting.side {
                Side::Buy => RETAIL_MICROS,
                Side::Sell => FEED_IN_MICROS,
            };
            let halfway = resting.limit.micros().saturating_add(goal).div_euclid(2);
            let above = halfway.saturating_sub(market.price_min.micros());
            let off_tick = above.rem_euclid(market.tick.micros());
            let limit = Price::from_micros(halfway.saturating_sub(off_tick));
            let (meter, quantity) = (resting.meter, resting.leaves);
            Some(Intent::Replace { order, meter, limit, quantity })
        }
        50..60 => Some(Intent::Cancel { order }),
        _ => None,
    }
}

/// A little more, at once, for one household in fifty.
#[must_use]
pub fn second_thought(
    dice: Dice,
    market: &MarketDefinition,
    meter: MeterId,
    key: SlotKey,
    metered: Metered,
) -> Option<Intent> {
    let slot = key.slot.start_minute();
    let roll = dice.roll(Question::AfterCall, meter.get(), slot, 5_000);
    if roll >= 100 || metered.withdrawn.is_zero() {
        return None;
    }
    Some(Intent::New {
        meter,
        key,
        side: Side::Buy,
        time_in_force: TimeInForce::ImmediateOrCancel,
        limit: Price::from_micros(RETAIL_MICROS),
        quantity: lots(market, roll.saturating_add(10))?,
    })
}

/// Whole lots up to the market's largest order, or `None` for less than one.
pub fn lots(market: &MarketDefinition, wh: u64) -> Option<Energy> {
    let wh = wh.min(market.quantity_max.wh());
    let rest = wh.checked_rem(market.lot.wh())?;
    Some(Energy::from_wh(wh.saturating_sub(rest))).filter(|quantity| !quantity.is_zero())
}
