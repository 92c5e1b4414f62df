//! The markets of an exchange: who serves something for each of them looks here, and a market that an operator
//! defines while the exchange runs is entered here once it is durable, as those of the start are.

use std::sync::Arc;

use arc_swap::ArcSwap;
use types::{
    Currency, Lead, MarketDefinition, NewMarket, RejectReason, ShardMap,
    calendar::{self, CalendarError},
};

/// A market as the edge and readers know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownMarket {
    /// Its rules.
    pub definition: MarketDefinition,
    /// The call of a slot ends this long before delivery.
    pub uncross_lead: Lead,
}

/// Every market that is traded. It only grows.
#[derive(Debug)]
pub struct Markets {
    map: Arc<ShardMap>,
    currency: Currency,
    /// Most slots of all markets that can be open at once.
    slots_open_max: u32,
    /// In the order in which they were learned.
    known: ArcSwap<Vec<KnownMarket>>,
}

impl Markets {
    /// None yet, of an exchange that settles in this currency and has room for so many open slots.
    #[must_use]
    pub fn new(map: Arc<ShardMap>, currency: Currency, slots_open_max: u32) -> Self {
        Self { map, currency, slots_open_max, known: ArcSwap::default() }
    }

    /// A market is traded from now on. One that is known stays as it is.
    ///
    /// # Errors
    /// When its time zone is unknown.
    pub fn learn(&self, market: KnownMarket) -> Result<(), CalendarError> {
        self.map.learn(&market.definition)?;
        self.known.rcu(|known| {
            let mut known = Vec::clone(known);
            let number = market.definition.market;
            if known.iter().all(|other| other.definition.market != number) {
                known.push(market);
            }
            known
        });
        Ok(())
    }

    /// Those that are traded now.
    #[must_use]
    pub fn known(&self) -> Arc<Vec<KnownMarket>> {
        self.known.load_full()
    }

    /// Whether this exchange can have a market besides those that it has.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn admit(
        &self,
        new: &NewMarket,
        definition: &MarketDefinition,
    ) -> Result<(), RejectReason> {
        let zone = definition.time_zone.as_str();
        let has_days = calendar::local_day(SOME_DAY, zone, definition.slot_minutes).is_ok();
        if definition.check().is_err() || !new.fits(definition) || !has_days {
            return Err(RejectReason::InvalidMarket);
        }
        let known = self.known.load();
        if known.iter().any(|other| other.definition.market == new.market) {
            return Err(RejectReason::AlreadyRegistered);
        }
        if definition.currency != self.currency {
            return Err(RejectReason::OtherCurrency);
        }
        let every = known.iter().map(|other| &other.definition).chain([definition]);
        let open = every.map(MarketDefinition::slots_open_max).fold(0, u32::saturating_add);
        if open > self.slots_open_max {
            return Err(RejectReason::RegistryFull);
        }
        Ok(())
    }
}

/// A day like most others, which the slots of a market have to fill.
pub const SOME_DAY: &str = "2026-06-24";

#[cfg(test)]
mod tests {
    use types::{Code, Energy, MarketId, Price, PriceRule, Shards, SlotKey};

    use super::*;

    fn market(number: u16) -> (NewMarket, MarketDefinition) {
        let definition = MarketDefinition {
            market: MarketId::new(number),
            area: Code::new("AREA").unwrap(),
            time_zone: Code::new("Europe/Berlin").unwrap(),
            currency: Currency::from_iso("EUR").unwrap(),
            slot_minutes: 15,
            price_min: Price::from_micros(0),
            price_max: Price::from_micros(400_000),
            tick: Price::from_micros(1_000),
            lot: Energy::from_wh(100),
            quantity_max: Energy::from_wh(100_000),
            opening_lead: Lead::from_minutes(60),
            gate_lead: Lead::from_minutes(15),
            price_rule: PriceRule::T7Clamp,
        };
        let market = definition.market;
        let uncross_lead = Lead::from_minutes(30);
        (NewMarket { market, uncross_lead, call_extension_minutes: 5 }, definition)
    }

    fn markets(shards: u8, slots_open_max: u32) -> Markets {
        let map = ShardMap::new(Shards::new(shards).unwrap(), []).unwrap();
        Markets::new(Arc::new(map), Currency::from_iso("EUR").unwrap(), slots_open_max)
    }

    #[test]
    fn a_market_that_is_learned_has_a_shard_and_is_no_new_one() {
        let markets = markets(3, 8);
        let (new, definition) = market(7);
        let slot = calendar::local_day(SOME_DAY, "Europe/Berlin", 15).unwrap()[0];
        let key = SlotKey { market: new.market, slot };
        assert_eq!(markets.map.of(key), None);
        assert_eq!(markets.admit(&new, &definition), Ok(()));
        let known = KnownMarket { definition, uncross_lead: new.uncross_lead };
        for _ in 0..2 {
            markets.learn(known).unwrap();
        }
        assert_eq!(*markets.known(), [known]);
        assert!(markets.map.of(key).is_some());
        assert_eq!(markets.admit(&new, &definition), Err(RejectReason::AlreadyRegistered));
        let (new, definition) = market(8);
        assert_eq!(markets.admit(&new, &definition), Ok(()), "four slots of each");
        markets.learn(KnownMarket { definition, uncross_lead: new.uncross_lead }).unwrap();
        let (new, definition) = market(9);
        assert_eq!(markets.admit(&new, &definition), Err(RejectReason::RegistryFull));
    }

    #[test]
    fn what_does_not_fit_the_exchange_is_refused() {
        let markets = markets(1, 100);
        let (new, good) = market(7);
        let refused = |new: NewMarket, definition| markets.admit(&new, &definition).unwrap_err();
        let pounds = Currency::from_iso("GBP").unwrap();
        let other = MarketDefinition { currency: pounds, ..good };
        assert_eq!(refused(new, other), RejectReason::OtherCurrency);
        let odd = [
            MarketDefinition { tick: Price::from_micros(0), ..good },
            MarketDefinition { time_zone: Code::new("Europe/Berlyn").unwrap(), ..good },
            MarketDefinition { slot_minutes: 7, ..good },
            MarketDefinition { market: MarketId::new(8), ..good },
        ];
        for definition in odd {
            assert_eq!(refused(new, definition), RejectReason::InvalidMarket, "{definition:?}");
        }
        for minutes in [15, 60] {
            let uncross_lead = Lead::from_minutes(minutes);
            let new = NewMarket { uncross_lead, ..new };
            assert_eq!(refused(new, good), RejectReason::InvalidMarket, "{minutes}");
        }
        for call_extension_minutes in [0, 1_441] {
            let new = NewMarket { call_extension_minutes, ..new };
            assert_eq!(refused(new, good), RejectReason::InvalidMarket);
        }
    }
}
