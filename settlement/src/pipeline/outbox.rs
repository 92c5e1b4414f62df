//! What the exchange is told of the grid, and what it answers.
//!
//! A place or a limit is written into the outbox in the transaction of its document, under a number, once
//! for each shard that it concerns. Whoever runs the pipeline enters it as a command and may do so again; the
//! event that comes back on the feed with the number takes it out of the outbox. The exchange takes the
//! same twice without effect, so a restart anywhere between changes nothing.

use std::collections::BTreeSet;

use types::{
    Command, GridLimitSet, GridPlace, MeterId, Party, PlaceNote, PlaceNoted, RejectReason, Seq,
    ShardId, SlotKey, UtilityId,
};

use super::{Pipeline, Work};
use crate::{
    error::SettlementError,
    metering::GridLimit,
    registry::{MeterPoint, Place},
    store::{
        grid::ScheduleKey,
        outbox::{self as rows, Said},
    },
};

/// What a shard answers to a number of the outbox.
#[derive(Debug, Clone, Copy)]
pub(super) enum GridAnswer {
    /// A place is noted.
    Noted,
    /// A limit is in force.
    InForce {
        since: Seq,
        used: types::Energy,
    },
    /// Orders that have to go are left: it is to be told again.
    Incomplete,
    Refused(RejectReason),
}

impl GridAnswer {
    pub(super) const fn of_place(noted: &PlaceNoted) -> Self {
        if noted.complete { Self::Noted } else { Self::Incomplete }
    }

    pub(super) const fn of_limit(since: Seq, set: &GridLimitSet) -> Self {
        if set.complete { Self::InForce { since, used: set.used } } else { Self::Incomplete }
    }
}

impl Work<'_> {
    /// Every shard is to be told where a meter hangs.
    pub(super) fn tell_place(
        &self,
        meter: MeterId,
        revision: u32,
        point: &MeterPoint,
    ) -> Result<(), SettlementError> {
        let MeterPoint { from_minute, zone, feeder, .. } = *point;
        // A first word that names neither says who serves the meter, and nothing of the grid.
        if revision == 1 && zone.is_none() && feeder.is_none() {
            return Ok(());
        }
        let number = rows::next_number(self.connection)?;
        let note = PlaceNote { number, meter, from_minute, revision, zone, feeder };
        for shard in self.shards.shards().iter() {
            rows::put_place(self.connection, shard, &note)?;
        }
        Ok(())
    }

    /// The shards that have slots of this delivery are to be told of a limit.
    pub(super) fn tell_limit(
        &mut self,
        utility: UtilityId,
        limit: &GridLimit,
    ) -> Result<(), SettlementError> {
        let GridLimit { zone, feeder, side, slot, limit, revision } = *limit;
        let number = rows::next_number(self.connection)?;
        let place = GridPlace { utility, zone, feeder };
        let told = types::GridLimit { number, place, side, slot, limit, revision };
        let fits = self.registry.markets().filter(|market| market.slot_minutes == slot.minutes());
        let keys = fits.map(|market| SlotKey { market: market.id, slot });
        let shards: BTreeSet<ShardId> = keys.filter_map(|key| self.shards.of(key)).collect();
        for shard in shards {
            rows::put_limit(self.connection, shard, &told)?;
        }
        self.limit_changed(&told);
        Ok(())
    }

    /// A shard has answered. What it has answered before is known and changes nothing.
    pub(super) fn answered(
        &mut self,
        (shard, number): (ShardId, u64),
        answer: &GridAnswer,
    ) -> Result<(), SettlementError> {
        let Some(command) = rows::take(self.connection, shard, number)? else { return Ok(()) };
        match (answer, command) {
            (GridAnswer::Incomplete, Command::NotePlace(note)) => {
                let number = rows::next_number(self.connection)?;
                rows::put_place(self.connection, shard, &PlaceNote { number, ..note })
            }
            (GridAnswer::Incomplete, Command::SetGridLimit(limit)) => {
                let number = rows::next_number(self.connection)?;
                let limit = types::GridLimit { number, ..limit };
                rows::put_limit(self.connection, shard, &limit)
            }
            (GridAnswer::InForce { since, used }, Command::SetGridLimit(limit)) => {
                self.became(&limit, &Said { shard, since: since.get(), used: *used, reason: 0 })
            }
            (GridAnswer::Refused(reason), Command::SetGridLimit(limit)) => {
                let (since, used) = (0, types::Energy::ZERO);
                self.became(&limit, &Said { shard, since, used, reason: reason.code() })
            }
            // Who says where meters hang sees it in the schedule.
            _ => Ok(()),
        }
    }

    /// Writes down what became of a limit, and tells its utility.
    fn became(&mut self, limit: &types::GridLimit, said: &Said) -> Result<(), SettlementError> {
        let document = rows::set_said(self.connection, limit, said)?;
        rows::put_notice(self.connection, limit, document)?;
        self.limit_changed(limit);
        Ok(())
    }

    /// Who follows the schedule is told of a limit.
    fn limit_changed(&mut self, limit: &types::GridLimit) {
        let GridPlace { utility, zone, feeder } = limit.place;
        let place = Place { utility, zone: Some(zone), feeder };
        self.limited.insert(ScheduleKey { place, slot: limit.slot });
    }
}

impl Pipeline {
    /// What a shard of the exchange is to be told and has not answered, the oldest first, each with its
    /// number: [`Command::NotePlace`] or [`Command::SetGridLimit`].
    ///
    /// # Errors
    /// When the database refuses or a row cannot be.
    pub fn grid_commands(
        &self,
        shard: ShardId,
        most: u32,
    ) -> Result<Vec<(u64, Command)>, SettlementError> {
        rows::waiting(self.connection(), shard, most)
    }

    /// Keeps how far webhooks have acknowledged what parties are told: a restart goes on behind it.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn set_acknowledged(&mut self, through: &[(Party, u64)]) -> Result<(), SettlementError> {
        self.transact(|work| {
            through
                .iter()
                .try_for_each(|&(party, to)| rows::set_acknowledged(work.connection, party, to))
        })
    }
}
