//! Shards: which of an exchange's engines a slot belongs to.
//!
//! Every slot has one shard, and all slots of a market that start on one local day have the same,
//! so that a block of orders never reaches over two engines.

use std::sync::OnceLock;

use crate::{
    calendar::{CalendarError, LocalDays},
    ids::MarketId,
    market::MarketDefinition,
    slot::SlotKey,
};

/// Most shards of an exchange: numbers of orders and trades hold the shard above [`NUMBER_BITS`].
pub const SHARDS_MAX: u8 = 16;

/// Most markets of an exchange with several shards: as many as an engine takes.
pub const MARKETS_MAX: usize = 64;

/// Bits of an order's or a trade's number that its shard counts with: 2^48 is 281 trillion.
pub const NUMBER_BITS: u32 = 48;

/// What the shard counted, of an order's or a trade's number.
pub const NUMBER_MASK: u64 = (1 << NUMBER_BITS) - 1;

/// One of an exchange's shards. Messages and numbers count them from 0; people, threads and
/// directories from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct ShardId(u8);

impl ShardId {
    /// The first, of which every exchange has one.
    pub const FIRST: Self = Self(0);

    /// The shard of this index, counted from 0. `None` where no exchange can have it.
    #[must_use]
    pub const fn new(index: u8) -> Option<Self> {
        if index < SHARDS_MAX { Some(Self(index)) } else { None }
    }

    /// The shard that gave out an order's or a trade's number. `None` where none can have.
    #[must_use]
    pub fn of_number(number: u64) -> Option<Self> {
        u8::try_from(number >> NUMBER_BITS).ok().and_then(Self::new)
    }

    /// Below the numbers that it gives to orders and trades.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "u8 to u64 is lossless; From is not const")]
    pub const fn number_base(self) -> u64 {
        (self.0 as u64) << NUMBER_BITS
    }

    /// Its index, counted from 0.
    #[must_use]
    pub const fn index(self) -> u8 {
        self.0
    }
}

impl core::fmt::Display for ShardId {
    /// As people count: from 1.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.0.saturating_add(1))
    }
}

/// How many shards an exchange has: 1 to [`SHARDS_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shards(u8);

impl Shards {
    /// One shard.
    pub const ONE: Self = Self(1);

    /// So many. `None` outside 1 to [`SHARDS_MAX`].
    #[must_use]
    pub const fn new(count: u8) -> Option<Self> {
        if count >= 1 && count <= SHARDS_MAX { Some(Self(count)) } else { None }
    }

    /// How many.
    #[must_use]
    pub const fn count(self) -> u8 {
        self.0
    }

    /// Every shard, the first one first.
    pub fn iter(self) -> impl Iterator<Item = ShardId> {
        (0..self.0).map(ShardId)
    }

    /// The last shard.
    #[must_use]
    pub const fn last(self) -> ShardId {
        ShardId(self.0.saturating_sub(1))
    }

    /// Whether the exchange has this shard.
    #[must_use]
    pub const fn contains(self, shard: ShardId) -> bool {
        shard.0 < self.0
    }

    /// The shard of a market's slots that start on one local day: neighbouring days and
    /// neighbouring markets go to different shards. `day` counts from 1970-01-01.
    #[must_use]
    pub fn of_day(self, market: MarketId, day: i64) -> ShardId {
        let sum = day.saturating_add(i64::from(market.get()));
        // A remainder of at most 15 is an index.
        ShardId(u8::try_from(sum.rem_euclid(i64::from(self.0))).unwrap_or(0))
    }
}

/// The shard of every slot of an exchange's markets.
#[derive(Debug, Clone)]
pub struct ShardMap {
    shards: Shards,
    /// In the order in which markets were learned, from the front, each place taken once. No places where there is
    /// one shard: it has every slot.
    days: Vec<OnceLock<(MarketId, LocalDays)>>,
}

impl ShardMap {
    /// Of an exchange with one shard.
    #[must_use]
    pub const fn one() -> Self {
        Self { shards: Shards::ONE, days: Vec::new() }
    }

    /// For these markets.
    ///
    /// # Errors
    /// When the time zone of one is unknown.
    pub fn new<'a>(
        shards: Shards,
        markets: impl IntoIterator<Item = &'a MarketDefinition>,
    ) -> Result<Self, CalendarError> {
        let places = if shards == Shards::ONE { 0 } else { MARKETS_MAX };
        let days = std::iter::repeat_with(OnceLock::new).take(places).collect();
        let map = Self { shards, days };
        markets.into_iter().try_for_each(|market| map.learn(market))?;
        Ok(map)
    }

    /// From now on a market's slots are known. Of a market that is known already nothing changes, and what is above
    /// [`MARKETS_MAX`] stays unknown: no engine has it.
    ///
    /// # Errors
    /// When its time zone is unknown.
    pub fn learn(&self, market: &MarketDefinition) -> Result<(), CalendarError> {
        let number = market.market;
        if self.shards == Shards::ONE || self.days_of(number).is_some() {
            return Ok(());
        }
        let mut entry = (number, LocalDays::new(market.time_zone.as_str())?);
        for place in &self.days {
            // Who learns the same market at the same time fills one place.
            match place.set(entry) {
                Err(unused) if place.get().is_some_and(|(known, _)| *known != number) => {
                    entry = unused;
                }
                Ok(()) | Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    fn days_of(&self, market: MarketId) -> Option<&LocalDays> {
        // Exchanges have few markets; looking through them is quicker than a tree.
        let known = self.days.iter().map_while(OnceLock::get);
        known.filter(|(known, _)| *known == market).map(|(_, days)| days).next()
    }

    /// How many shards there are.
    #[must_use]
    pub const fn shards(&self) -> Shards {
        self.shards
    }

    /// The shard of a slot, or `None` where its market is unknown.
    #[must_use]
    pub fn of(&self, key: SlotKey) -> Option<ShardId> {
        if self.shards == Shards::ONE {
            return Some(ShardId::FIRST);
        }
        let days = self.days_of(key.market)?;
        Some(self.shards.of_day(key.market, days.day_of(key.slot)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        auction::PriceRule,
        calendar,
        code::Code,
        slot::DeliverySlot,
        time::Lead,
        units::{Currency, Energy, Price},
    };

    /// Zones of sample markets, and zones whose days are odd: a change at midnight, half an hour,
    /// a day that never was, days that begin twice.
    const ZONES: [&str; 12] = [
        "Europe/Berlin",
        "Asia/Kolkata",
        "UTC",
        "America/New_York",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "America/St_Johns",
        "America/Havana",
        "America/Sao_Paulo",
        "Pacific/Apia",
        "Africa/Casablanca",
        "Asia/Beirut",
    ];

    fn market(number: u16, zone: &str) -> MarketDefinition {
        MarketDefinition {
            market: MarketId::new(number),
            area: Code::new("AREA").unwrap(),
            time_zone: Code::new(zone).unwrap(),
            currency: Currency::from_iso("EUR").unwrap(),
            slot_minutes: 15,
            price_min: Price::from_micros(0),
            price_max: Price::from_micros(1_000),
            tick: Price::from_micros(1),
            lot: Energy::from_wh(1),
            quantity_max: Energy::from_wh(1),
            opening_lead: Lead::from_minutes(60),
            gate_lead: Lead::from_minutes(15),
            price_rule: PriceRule::T7Clamp,
        }
    }

    fn map(shards: u8, number: u16, zone: &str) -> ShardMap {
        ShardMap::new(Shards::new(shards).unwrap(), [&market(number, zone)]).unwrap()
    }

    #[test]
    fn neighbouring_days_and_markets_take_turns() {
        let shards = Shards::new(3).unwrap();
        let of = |market, day| shards.of_day(MarketId::new(market), day).index();
        assert_eq!([of(1, 0), of(1, 1), of(1, 2), of(1, 3)], [1, 2, 0, 1]);
        assert_eq!([of(2, 0), of(3, 0), of(4, 0)], [2, 0, 1]);
        // The example of the protocol's document.
        let slot = calendar::local_day("2026-06-24", "Europe/Berlin", 15).unwrap()[0];
        let key = SlotKey { market: MarketId::new(1), slot };
        assert_eq!(map(2, 1, "Europe/Berlin").of(key), ShardId::new(1));
        assert_eq!(of(1, -2), 2, "days before 1970 are days too");
        assert_eq!(of(u16::MAX, i64::MAX), of(u16::MAX, i64::MAX), "nothing overflows");
    }

    #[test]
    fn one_shard_has_every_slot_also_of_unknown_markets() {
        let slot = DeliverySlot::new(29_000_000, 15).unwrap();
        let key = SlotKey { market: MarketId::new(9), slot };
        assert_eq!(map(1, 1, "UTC").of(key), Some(ShardId::FIRST));
        assert_eq!(map(2, 1, "UTC").of(key), None);
    }

    #[test]
    fn numbers_name_their_shard() {
        assert_eq!(ShardId::of_number(1), Some(ShardId::FIRST));
        assert_eq!(ShardId::of_number((15 << 48) + 7), ShardId::new(15));
        assert_eq!(ShardId::of_number(16 << 48), None);
        assert_eq!(ShardId::of_number(u64::MAX), None);
        assert_eq!([Shards::new(0), Shards::new(17)], [None, None]);
        assert_eq!(ShardId::new(16), None);
        let names: Vec<_> = Shards::new(2).unwrap().iter().map(|shard| shard.to_string()).collect();
        assert_eq!(names, ["1", "2"]);
    }

    /// All slots of a local day have one shard, and the next day has another.
    fn check_day(map: &ShardMap, number: u16, zone: &str, date: &str) {
        let of = |slot| map.of(SlotKey { market: MarketId::new(number), slot }).unwrap();
        let slots = calendar::local_day(date, zone, 15).unwrap();
        // Samoa had no 30 December 2011.
        let Some((first, rest)) = slots.split_first() else { return };
        for slot in rest {
            assert_eq!(of(*slot), of(*first), "{zone} {date} {slot}");
        }
        let next = calendar::next_date(date).unwrap();
        if let Some(after) = calendar::local_day(&next, zone, 15).unwrap().first() {
            assert_ne!(of(*after), of(*first), "{zone} {date}: the next day has another shard");
        }
    }

    #[test]
    fn days_on_which_clocks_change_have_one_shard() {
        for (zone, date) in [
            ("Europe/Berlin", "2026-03-29"),
            ("Europe/Berlin", "2026-10-25"),
            ("Europe/Berlin", "2258-03-31"),
            ("Australia/Lord_Howe", "2026-04-05"),
            ("Australia/Lord_Howe", "2026-10-04"),
            ("America/St_Johns", "1999-10-30"),
            ("America/St_Johns", "1999-10-31"),
            ("America/Havana", "2026-11-01"),
            ("America/Sao_Paulo", "2018-11-04"),
            ("Pacific/Apia", "2011-12-28"),
            ("Africa/Casablanca", "2026-02-15"),
            ("Asia/Beirut", "2026-03-29"),
            ("Asia/Kolkata", "2026-06-24"),
        ] {
            check_day(&map(16, 1, zone), 1, zone, date);
        }
    }

    #[test]
    fn every_local_day_has_one_shard() {
        for (number, zone) in (1..).zip(ZONES) {
            let map = map(7, number, zone);
            for year in [1973, 2011, 2026, 2027, 2100, 2259] {
                let mut date = format!("{year}-01-01");
                while date < format!("{year}-12-30") {
                    check_day(&map, number, zone, &date);
                    date = calendar::next_date(&date).unwrap();
                }
            }
        }
    }

    #[test]
    fn every_slot_has_one_shard_that_exists() {
        for zone in ZONES {
            let map = map(16, 1, zone);
            // About every 53 days, at another time of day each.
            for start in (0..=153_000_000).step_by(76_543) {
                let slot = DeliverySlot::new(start, 5).unwrap();
                let shard = map.of(SlotKey { market: MarketId::new(1), slot }).unwrap();
                assert!(map.shards().contains(shard), "{zone} {slot}");
                let date = calendar::local_date(slot.start(), zone).unwrap();
                let day = calendar::local_day(&date, zone, 5).unwrap_or_default();
                // Where clocks are set back over midnight, an instant's date is not its day.
                let (Some(first), Some(last)) = (day.first(), day.last()) else { continue };
                if (first.start_minute()..=last.start_minute()).contains(&start) {
                    let key = SlotKey { market: MarketId::new(1), slot: *first };
                    assert_eq!(map.of(key), Some(shard), "{zone} {slot}");
                }
            }
        }
    }
}
