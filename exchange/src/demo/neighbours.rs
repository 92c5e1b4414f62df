//! Neighbours who agree directly, without the book. The rules are stated here and nowhere else:
//!
//! - Of every slot, up to eight producers each offer a quarter of their forecast to one consumer whose
//!   platform and retailer are others, halfway between the feed-in rate and the retail rate.
//! - One consumer in eight declines. What is agreed comes off both forecasts before they trade in
//!   the book.

use std::collections::{BTreeMap, BTreeSet};

use settlement::allocation::Metered;
use types::{
    AmendmentTerms, ContractTerms, Energy, MarketDefinition, MeterId, Price, Side, SlotKey,
    Timestamp,
};
use wire::outbound::ContractInvitation;

use super::{
    dice::{Dice, Question},
    strategy::{FEED_IN_MICROS, RETAIL_MICROS, lots},
    trader::Intent,
};

/// Most contracts that neighbours offer each other in a slot.
const OFFERS_MAX: u32 = 8;

/// A meter with what it is expected to do in a slot.
#[derive(Debug, Clone, Copy)]
pub struct Forecast {
    /// Which meter.
    pub meter: MeterId,
    /// Index of its platform.
    pub platform: usize,
    /// Its retailer.
    pub retailer: u16,
    /// What it will do.
    pub metered: Metered,
}

/// What neighbours offer each other in a slot, each with the platform of the producer.
#[must_use]
pub fn offers(
    dice: Dice,
    market: &MarketDefinition,
    key: SlotKey,
    forecasts: &[Forecast],
    expires: Timestamp,
) -> Vec<(usize, ContractTerms)> {
    let (producers, consumers): (Vec<&Forecast>, Vec<&Forecast>) =
        forecasts.iter().partition(|forecast| forecast.metered.injected > Energy::ZERO);
    let mut taken = BTreeSet::new();
    let mut offers = Vec::new();
    for number in 0..OFFERS_MAX {
        let slot = key.slot.start_minute();
        let drawn = |question| dice.roll(question, number, slot, u64::MAX);
        let Some(&producer) = drawn_from(&producers, drawn(Question::Producer), |_| true) else {
            return offers;
        };
        let is_other = |consumer: &Forecast| {
            consumer.platform != producer.platform
                && consumer.retailer != producer.retailer
                && !taken.contains(&consumer.meter)
        };
        let found = drawn_from(&consumers, drawn(Question::Consumer), is_other);
        let Some(&consumer) = found.filter(|_| !taken.contains(&producer.meter)) else {
            continue;
        };
        let quarter = producer.metered.injected.wh().div_euclid(4);
        let Some(quantity) = lots(market, quarter.min(consumer.metered.withdrawn.wh())) else {
            continue;
        };
        taken.extend([producer.meter, consumer.meter]);
        let terms = ContractTerms {
            key,
            buyer: consumer.meter,
            seller: producer.meter,
            price: Price::from_micros(FEED_IN_MICROS.midpoint(RETAIL_MICROS)),
            quantity,
            reference: u64::from(number).saturating_add(1),
            expires,
        };
        offers.push((producer.platform, terms));
    }
    offers
}

/// The first that will do, from a drawn place on.
fn drawn_from<'a>(
    forecasts: &'a [&Forecast],
    drawn: u64,
    will_do: impl Fn(&Forecast) -> bool,
) -> Option<&'a &'a Forecast> {
    let length = u64::try_from(forecasts.len()).unwrap_or(u64::MAX);
    let place = usize::try_from(drawn.checked_rem(length)?).unwrap_or(0);
    let (before, from) = forecasts.split_at_checked(place)?;
    from.iter().chain(before).find(|forecast| will_do(forecast))
}

/// What a consumer says to an offer.
#[must_use]
pub fn answer(dice: Dice, invitation: &ContractInvitation) -> Intent {
    let ContractInvitation { offer, terms, .. } = *invitation;
    let slot = terms.key.slot.start_minute();
    if dice.roll(Question::Consent, terms.buyer.get(), slot, 8) == 0 {
        Intent::Decline { offer }
    } else {
        Intent::Accept { meter: terms.buyer, invitation: *invitation }
    }
}

/// What is agreed directly, by meter and slot.
#[derive(Debug, Default)]
pub struct Agreed(BTreeMap<(MeterId, SlotKey), Energy>);

impl Agreed {
    /// A contract is agreed.
    pub fn note(&mut self, terms: &ContractTerms) {
        for side in [Side::Buy, Side::Sell] {
            let promised = self.0.entry((terms.meter(side), terms.key)).or_default();
            *promised = promised.checked_add(terms.quantity).unwrap_or(*promised);
        }
    }

    /// A contract is changed: what was agreed is free, and the new quantity is agreed in its slot.
    pub fn change(&mut self, terms: &AmendmentTerms) {
        for side in [Side::Buy, Side::Sell] {
            let meter = terms.meter(side);
            let before = self.0.entry((meter, terms.key)).or_default();
            *before = before.saturating_sub(terms.quantity);
            let promised = self.0.entry((meter, terms.new_key())).or_default();
            *promised = promised.checked_add(terms.new_quantity).unwrap_or(*promised);
        }
    }

    /// What is left of a forecast for the book.
    #[must_use]
    pub fn left(&self, meter: MeterId, key: SlotKey, metered: Metered) -> Metered {
        let promised = self.0.get(&(meter, key)).copied().unwrap_or_default();
        Metered {
            injected: metered.injected.saturating_sub(promised),
            withdrawn: metered.withdrawn.saturating_sub(promised),
        }
    }
}
