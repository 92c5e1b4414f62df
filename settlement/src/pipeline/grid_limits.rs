//! Limits as a utility sees them: beside the schedule, and what became of them.

use std::collections::BTreeMap;

use types::{Energy, MeterId, Party, Role, Side, TradeId};

use super::{
    Pipeline,
    grid::{LimitNotice, Notice, NoticeKind, ScheduleFilter, ScheduleLimit, minute_from},
};
use crate::{
    error::{Doing as _, SettlementError, fit},
    store::database::params,
    store::grid::name_text,
    store::outbox,
};

/// Start and minutes of a slot.
type Span = (u32, u16);

/// By slot and code of the side: the Wh of the newest limit, and whether it is in force.
type Newest = BTreeMap<(Span, u8), (u64, bool)>;

/// The newest limits of a period, and what is scheduled in zones that have one.
#[derive(Default)]
pub(super) struct Limits {
    /// By zone and feeder.
    places: BTreeMap<String, BTreeMap<String, Newest>>,
    /// By zone: by slot, what is sold and what is bought.
    zones: BTreeMap<String, BTreeMap<Span, [u64; 2]>>,
}

impl Limits {
    /// What the limits of a feeder and its zone leave it, of which so much is scheduled.
    pub(super) fn of(
        &self,
        (zone, feeder): (&str, &str),
        slot: Span,
        (side, scheduled): (Side, u64),
    ) -> Option<ScheduleLimit> {
        let feeders = self.places.get(zone)?;
        let at = |feeder: &str| feeders.get(feeder)?.get(&(slot, side.code())).copied();
        let in_zone = || {
            let [sold, bought] = self.zones.get(zone)?.get(&slot).copied()?;
            Some(if side == Side::Sell { sold } else { bought })
        };
        let of_feeder = if feeder.is_empty() { None } else { at(feeder) };
        let of_zone = at("").map(|limit| (limit, in_zone().unwrap_or(0)));
        let both = [of_feeder.map(|limit| (limit, scheduled)), of_zone];
        let parts = both.into_iter().flatten();
        parts
            .map(|((limit, in_force), scheduled)| ScheduleLimit {
                limit: Energy::from_wh(limit),
                headroom: Energy::from_wh(limit.saturating_sub(scheduled)),
                in_force,
            })
            .reduce(|one, other| ScheduleLimit {
                limit: one.limit.min(other.limit),
                headroom: one.headroom.min(other.headroom),
                in_force: one.in_force && other.in_force,
            })
    }
}

impl Pipeline {
    /// The limits that hold in what is asked for.
    pub(super) fn limits(&self, filter: &ScheduleFilter) -> Result<Limits, SettlementError> {
        const DOING: &str = "read the limits";
        let mut select = self
            .connection()
            .prepare_cached(
                "SELECT zone, feeder, start_minute, minutes, side, energy, since FROM grid_limits
                 WHERE utility = ?1 AND (?2 = '' OR zone = ?2) AND start_minute >= ?3
                 AND start_minute < ?4 ORDER BY revision",
            )
            .doing(DOING)?;
        let (from, to) = (minute_from(filter.from), minute_from(filter.to));
        let zone = name_text(filter.zone.as_ref());
        let mut found = select.query(params![filter.utility.get(), zone, from, to]).doing(DOING)?;
        let mut limits = Limits::default();
        while let Some(row) = found.next().doing(DOING)? {
            let (zone, feeder): (String, String) =
                (row.get(0).doing(DOING)?, row.get(1).doing(DOING)?);
            let slot = (row.get(2).doing(DOING)?, row.get(3).doing(DOING)?);
            let energy = fit(row.get::<i64>(5).doing(DOING)?, "a limit")?;
            let (side, since): (u8, i64) = (row.get(4).doing(DOING)?, row.get(6).doing(DOING)?);
            let place = limits.places.entry(zone).or_default().entry(feeder).or_default();
            place.insert((slot, side), (energy, since > 0));
        }
        if limits.places.values().any(|feeders| feeders.contains_key("")) {
            self.sum_zones(filter, &mut limits)?;
        }
        Ok(limits)
    }

    /// What is scheduled in each zone as a whole.
    fn sum_zones(
        &self,
        filter: &ScheduleFilter,
        limits: &mut Limits,
    ) -> Result<(), SettlementError> {
        const DOING: &str = "sum up the schedule of zones";
        let mut select = self
            .connection()
            .prepare_cached(
                "SELECT zone, start_minute, minutes, SUM(injection), SUM(withdrawal) FROM schedule
                 WHERE utility = ?1 AND (?2 = '' OR zone = ?2) AND start_minute >= ?3
                 AND start_minute < ?4 GROUP BY zone, start_minute, minutes
                 ORDER BY zone, start_minute, minutes",
            )
            .doing(DOING)?;
        let (from, to) = (minute_from(filter.from), minute_from(filter.to));
        let zone = name_text(filter.zone.as_ref());
        let mut found = select.query(params![filter.utility.get(), zone, from, to]).doing(DOING)?;
        while let Some(row) = found.next().doing(DOING)? {
            let wh = |column: usize| -> Result<u64, SettlementError> {
                fit(row.get::<i64>(column).doing(DOING)?, "a scheduled energy")
            };
            let slot = (row.get(1).doing(DOING)?, row.get(2).doing(DOING)?);
            let zone = row.get(0).doing(DOING)?;
            limits.zones.entry(zone).or_default().insert(slot, [wh(3)?, wh(4)?]);
        }
        Ok(())
    }

    /// What a party is told of a limit, under a number: the utility of its own, operators of all.
    pub(super) fn limit_notice(
        &self,
        number: u64,
        document: i64,
        party: Party,
    ) -> Result<Option<Notice>, SettlementError> {
        let row = outbox::limit_of(self.connection(), document)?;
        let concerns = match party.role {
            Role::Utility => party.number == row.utility.get(),
            Role::Operator | Role::Settlement => true,
            Role::Platform | Role::Retailer => false,
        };
        Ok(concerns.then(|| Notice {
            number,
            kind: NoticeKind::Limit,
            contract: TradeId::new(0),
            slot: row.slot,
            side: row.side,
            meter: MeterId::new(0),
            contracted: row.used,
            allowed: row.limit,
            limit: Some(LimitNotice { zone: row.zone, feeder: row.feeder, since: row.since }),
        }))
    }
}
