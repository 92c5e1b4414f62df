//! Communities: meters for which their platform sends one order. The rules are stated here and nowhere else:
//!
//! - One meter in six of the first two platforms has joined its platform's community, and signed a delegation.
//! - In the slots that begin on the hour the first platform buys for those members that will draw, the
//!   second one sells for those that will feed in: their forecasts, as for orders of their own, halfway
//!   between the feed-in rate and the retail rate. For these members no other first order is sent.

use types::{
    Delegation, Energy, MarketId, Member, MeterId, PlatformId, Price, PublicKey, Side, Sides,
    SlotKey, Timestamp,
};

use super::{
    dice::{Dice, Question},
    strategy::{FEED_IN_MICROS, RETAIL_MICROS},
    trader::{Intent, MeterKeys},
};

/// At which price communities trade at worst.
pub const LIMIT: Price = Price::from_micros(FEED_IN_MICROS.midpoint(RETAIL_MICROS));

/// Which way the community of a platform, by its index, trades, if there is one.
#[must_use]
pub const fn side_of(platform: usize) -> Option<Side> {
    match platform {
        0 => Some(Side::Buy),
        1 => Some(Side::Sell),
        _ => None,
    }
}

/// Which way it trades in a slot, if it does: only in those that begin on the hour.
#[must_use]
pub const fn side(platform: usize, key: SlotKey) -> Option<Side> {
    if key.slot.start_minute().is_multiple_of(60) { side_of(platform) } else { None }
}

/// Whether a meter of such a platform is a member.
#[must_use]
pub fn is_member(dice: Dice, meter: MeterId) -> bool {
    dice.roll(Question::Community, meter.get(), 0, 6) == 0
}

/// What a member signs, for the time of the demo; `None` for a meter without a key.
#[must_use]
pub fn delegation(
    keys: &MeterKeys,
    meter: MeterId,
    platform: PlatformId,
    (valid_from, valid_until): (Timestamp, Timestamp),
) -> Option<Delegation> {
    let key = PublicKey::new(keys.get(&meter)?.verifying_key().to_bytes()).id();
    Some(Delegation {
        number: 1,
        meter,
        platform,
        market: MarketId::new(0),
        sides: Sides::Both,
        quantity_max: Energy::ZERO,
        buy_limit: Delegation::ANY_BUY,
        sell_limit: Delegation::ANY_SELL,
        valid_from,
        valid_until,
        key,
    })
}

/// Takes the first orders of members on a side out of the orders of a platform: what they are for becomes
/// the list of the community's order.
#[must_use]
pub fn bundle(dice: Dice, side: Side, orders: &mut Vec<Intent>) -> Vec<Member> {
    let mut members = Vec::new();
    orders.retain(|order| {
        let Intent::New { meter, side: own, quantity, .. } = *order else { return true };
        match u32::try_from(quantity.wh()) {
            Ok(wh) if own == side && is_member(dice, meter) => {
                members.push(Member::new(meter, wh));
                false
            }
            _ => true,
        }
    });
    members
}
