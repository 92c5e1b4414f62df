//! Auction cycles of a market: at which local times the auctions of which slots are held.
//!
//! A cycle is a pattern of local times. Where clocks change, the rules of `cron` hold. A pattern of one time a day
//! has exactly one instant each day: the first after the gap where that time is skipped, the earlier one where it
//! comes twice. Any other pattern has the instants whose local time it matches: none in a gap, both where a time
//! comes twice. So a day of 23 hours has 92 quarter hours and one of 25 hours has 100.

use std::str::FromStr as _;

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{ToSpan as _, Zoned, tz::TimeZone};
use types::{DeliverySlot, Timestamp};

use super::MINUTE_NS;

/// Which slots a cycle's auction is of, besides that their books are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CycleSlots {
    /// All.
    Open,
    /// Those whose delivery begins on the same local day.
    Today,
    /// Those whose delivery begins on the next local day.
    Tomorrow,
}

impl CycleSlots {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Open, Self::Today, Self::Tomorrow];

    /// The word in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Today => "today",
            Self::Tomorrow => "tomorrow",
        }
    }
}

/// How the times of a cycle are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CycleTimes {
    /// Once a day, at this local time.
    At(String),
    /// Whenever this pattern matches the local time.
    Every(String),
}

/// A cycle, and its next auction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedCycle<'a> {
    /// As the configuration has them.
    pub times: &'a CycleTimes,
    /// Which slots its auctions are of.
    pub slots: CycleSlots,
    /// How long a call of a slot that trades continuously is.
    pub call_minutes: u32,
    /// When the next call begins, of slots that trade continuously; it may have begun.
    pub call_from: Timestamp,
    /// When the auction of that call is held.
    pub auction_at: Timestamp,
}

/// Auctions that come again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuctionCycle {
    /// At which local times.
    times: Cron,
    /// As they are written.
    written: CycleTimes,
    /// Of which slots.
    slots: CycleSlots,
    /// How long before its auction a slot that trades continuously is called, in minutes.
    call_minutes: u32,
}

impl AuctionCycle {
    /// With a pattern of five fields as in `cron`: minute, hour, day of the month, month, day of the week.
    ///
    /// # Errors
    /// Says what is wrong with the pattern.
    pub fn every(pattern: &str, slots: CycleSlots, call_minutes: u32) -> Result<Self, String> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed);
        let times = parser.build().parse(pattern).map_err(|error| error.to_string())?;
        let from = jiff::Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
        times
            .find_next_occurrence(&from, false)
            .map_err(|_| "no day has such a time".to_owned())?;
        let written = CycleTimes::Every(pattern.to_owned());
        Ok(Self { times, written, slots, call_minutes })
    }

    /// Once a day, at a local time `HH:MM`.
    ///
    /// # Errors
    /// Where the text is no such time.
    pub fn at(time: &str, slots: CycleSlots, call_minutes: u32) -> Result<Self, String> {
        let part = |text: &str| {
            let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            u8::from_str(text).ok().filter(|_| digits)
        };
        let parsed = time.split_once(':').and_then(|(hour, minute)| {
            let (hour, minute) = (part(hour)?, part(minute)?);
            (hour < 24 && minute < 60).then_some((hour, minute))
        });
        let (hour, minute) = parsed.ok_or("write a time such as 12:00")?;
        let daily = Self::every(&format!("{minute} {hour} * * *"), slots, call_minutes)?;
        Ok(Self { written: CycleTimes::At(time.to_owned()), ..daily })
    }

    /// The length of a call.
    fn call_ns(&self) -> i64 {
        i64::from(self.call_minutes).saturating_mul(MINUTE_NS)
    }
}

/// An auction that a cycle wants of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CycleAuction {
    /// When it is held.
    pub(super) at: Timestamp,
    /// From when on the slot is called for it.
    pub(super) call_from: Timestamp,
}

/// The cycles of a market in its local time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuctionCycles {
    zone: TimeZone,
    cycles: Vec<AuctionCycle>,
}

impl AuctionCycles {
    /// Of a market whose local time is that of `time_zone`.
    ///
    /// # Errors
    /// Where the zone is unknown.
    pub fn new(time_zone: &str, cycles: Vec<AuctionCycle>) -> Result<Self, jiff::Error> {
        Ok(Self { zone: TimeZone::get(time_zone)?, cycles })
    }

    /// None at all.
    #[must_use]
    pub fn none() -> Self {
        Self { zone: TimeZone::UTC, cycles: Vec::new() }
    }

    /// Every cycle with its next auction after an instant, whether or not a slot is open for it then.
    pub fn listed(&self, after: Timestamp) -> impl Iterator<Item = ListedCycle<'_>> {
        self.cycles.iter().filter_map(move |cycle| {
            let AuctionCycle { times, written, slots, call_minutes } = cycle;
            let auction_at = self.following(times, after)?;
            Some(ListedCycle {
                times: written,
                slots: *slots,
                call_minutes: *call_minutes,
                call_from: auction_at.plus_ns(cycle.call_ns().saturating_neg()),
                auction_at,
            })
        })
    }

    /// The next auction that each cycle wants of a slot: after an instant, not after `last`, and with a call that
    /// begins after `called`, if that is given. One cycle's instants rise strictly.
    pub(super) fn next(
        &self,
        slot: DeliverySlot,
        (after, called): (Timestamp, Option<Timestamp>),
        last: Timestamp,
    ) -> impl Iterator<Item = CycleAuction> + '_ {
        self.cycles.iter().filter_map(move |cycle| {
            let (from, to) = self.window(slot, cycle.slots)?;
            // Patterns have whole minutes: a second before the window's first instant is before it.
            let after = after.max(from.plus_ns(-1));
            let lead = cycle.call_ns();
            let after = called.map_or(after, |called| after.max(called.plus_ns(lead)));
            let at = self.following(&cycle.times, after)?;
            let is_in_time = at > after && at < to && at <= last;
            is_in_time.then(|| CycleAuction { at, call_from: at.plus_ns(lead.saturating_neg()) })
        })
    }

    /// When auctions can be of a slot: from an instant, and before another.
    fn window(&self, slot: DeliverySlot, slots: CycleSlots) -> Option<(Timestamp, Timestamp)> {
        let start = slot.start();
        let today = self.local(start)?.date();
        let begin = |date: jiff::civil::Date| {
            let zoned = date.to_zoned(self.zone.clone()).ok()?;
            Some(Timestamp::from_seconds(zoned.timestamp().as_second()))
        };
        match slots {
            CycleSlots::Open => Some((Timestamp::from_ns(0), start)),
            CycleSlots::Today => Some((begin(today)?, start)),
            CycleSlots::Tomorrow => Some((begin(today.yesterday().ok()?)?, begin(today)?)),
        }
    }

    /// The first instant of a pattern after another instant.
    fn following(&self, times: &Cron, after: Timestamp) -> Option<Timestamp> {
        let next = times.find_next_occurrence(&self.local(after)?, false).ok()?;
        Some(Timestamp::from_seconds(next.timestamp().as_second()))
    }

    /// The local time at an instant, to the second.
    fn local(&self, instant: Timestamp) -> Option<Zoned> {
        let seconds = instant.ns().div_euclid(super::SECOND_NS);
        let instant = jiff::Timestamp::from_second(seconds).ok()?;
        Some(instant.to_zoned(self.zone.clone()))
    }

    /// The shortest opening lead, in minutes, with which all slots of tomorrow are open at each auction of them,
    /// on days with and without a change of the clocks. `None` without such a cycle.
    #[must_use]
    pub fn opening_lead_min(&self, slot_minutes: u16) -> Option<u32> {
        let of_tomorrow = self.cycles.iter().filter(|cycle| cycle.slots == CycleSlots::Tomorrow);
        let noon = jiff::civil::date(2026, 6, 24);
        let leads = of_tomorrow.filter_map(|cycle| {
            let begin = noon.to_zoned(TimeZone::UTC).ok()?;
            let second = 1.second();
            let first =
                cycle.times.find_next_occurrence(&begin.checked_sub(second).ok()?, false).ok()?;
            let since_midnight = i64::from(first.hour()) * 60 + i64::from(first.minute());
            // The last slot begins before the second midnight from now, an hour later where clocks are set back.
            u32::try_from(49 * 60 - i64::from(slot_minutes) - since_midnight).ok()
        });
        leads.max()
    }
}
