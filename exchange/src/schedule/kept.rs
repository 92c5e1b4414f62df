//! The part of a timetable that a snapshot holds: what it learned from events.
//!
//! Timers and the markets of the configuration are not part of it: they are entered anew at every start.

use types::{Lead, MarketDefinition, MarketId, Phase, SlotKey, Timestamp};
use wire::{DecodeError, field::Field};

use super::{AuctionCycles, Schedule, ScheduledMarket, Slot};

impl Schedule {
    /// Appends what it learned.
    pub(crate) fn keep(&self, out: &mut Vec<u8>) {
        put_count(self.slots.len(), out);
        for (key, slot) in &self.slots {
            key.put(out);
            slot.phase.put(out);
            put_instant(slot.since, out);
            put_instant(slot.uncross_at, out);
        }
        put_count(self.freezes.len(), out);
        for (market, longest) in &self.freezes {
            market.put(out);
            longest.put(out);
        }
        // A timetable without any has none of these bytes.
        if !self.defined.is_empty() {
            put_count(self.defined.len(), out);
            for market in self.defined.values() {
                market.definition.put(out);
                market.uncross_lead.put(out);
                market.call_extension_minutes.put(out);
            }
        }
    }

    /// Learns it again, from the front of `bytes`. Nothing may have been learned or entered before.
    ///
    /// # Errors
    /// When the bytes are not what [`Schedule::keep`] writes.
    pub(crate) fn learn(&mut self, bytes: &mut &[u8]) -> Result<(), DecodeError> {
        for _ in 0..u64::take(bytes)? {
            let key = SlotKey::take(bytes)?;
            let phase = Phase::take(bytes)?;
            let since = take_instant(bytes)?;
            let uncross_at = take_instant(bytes)?;
            self.slots.insert(key, Slot { phase, since, uncross_at });
        }
        for _ in 0..u64::take(bytes)? {
            let market = MarketId::take(bytes)?;
            self.freezes.insert(market, i64::take(bytes)?);
        }
        if bytes.is_empty() {
            return Ok(());
        }
        for _ in 0..u64::take(bytes)? {
            let definition = MarketDefinition::take(bytes)?;
            let market = ScheduledMarket {
                definition,
                uncross_lead: Lead::take(bytes)?,
                call_extension_minutes: u32::take(bytes)?,
                cycles: AuctionCycles::none(),
            };
            self.defined.insert(definition.market, market);
        }
        Ok(())
    }
}

fn put_count(count: usize, out: &mut Vec<u8>) {
    u64::try_from(count).unwrap_or(u64::MAX).put(out);
}

fn put_instant(instant: Option<Timestamp>, out: &mut Vec<u8>) {
    instant.is_some().put(out);
    instant.unwrap_or_default().put(out);
}

fn take_instant(bytes: &mut &[u8]) -> Result<Option<Timestamp>, DecodeError> {
    let is_some = bool::take(bytes)?;
    let instant = Timestamp::take(bytes)?;
    Ok(is_some.then_some(instant))
}
