//! What utilities do: limits before delivery, curtailments after it.

use std::{collections::BTreeMap, error::Error};

use settlement::PlaceName;
use types::{Energy, MeterId, Party};

use super::{
    super::{
        dice::Question,
        grid_desk::{self, LIMIT_QUARTER, ZONE_QUARTER},
        household,
        meter_desk::Actuals,
    },
    Day96,
};

/// Quarter hours in which plants may be curtailed: from 11 to 14 o'clock.
const SUNNY: std::ops::Range<usize> = 44..57;

impl Day96<'_> {
    /// What the wires can take of a slot that is traded: three quarters of the forecast of each utility's
    /// sunniest zone before the first order for it, and half a quarter hour later, which ends some of them.
    pub(super) async fn limit(&mut self, step: usize) -> Result<(), Box<dyn Error>> {
        let Some(limited) = LIMIT_QUARTER.checked_sub(self.first_quarter) else { return Ok(()) };
        let Some(&slot) = self.slots.get(limited) else { return Ok(()) };
        let (quarters, revision) = match step.checked_sub(limited) {
            Some(0) => (3, 1),
            Some(1) => (2, 2),
            _ => return Ok(()),
        };
        // Settlement sees what is open before it sees the document, as in `deliver`.
        self.settle_up().await?;
        for utility in self.desks.utility_parties() {
            let Some((zone, forecast)) = self.sunniest_zone(utility, LIMIT_QUARTER) else {
                continue;
            };
            let limit = Energy::from_wh(forecast.saturating_mul(quarters).div_euclid(4));
            self.desks.limit(utility, slot, (zone, limit), revision).await?;
        }
        Ok(())
    }

    /// What the wires could not take of a slot that was delivered.
    pub(super) async fn curtail(&mut self, delivered: usize) -> Result<(), Box<dyn Error>> {
        let quarter = self.first_quarter.saturating_add(delivered);
        let Some(&slot) = self.slots.get(delivered) else { return Ok(()) };
        for utility in self.desks.utility_parties() {
            if SUNNY.contains(&quarter) && quarter.is_multiple_of(4) {
                let caps = self.halved(utility, quarter, |meter, _| {
                    let number = u32::try_from(quarter).unwrap_or(u32::MAX);
                    self.actuals.dice.roll(Question::Curtailment, meter.get(), number, 100) < 5
                });
                self.desks.curtail(utility, slot, &caps).await?;
                self.actuals.hold_to(quarter, &caps);
            }
            let sunniest = (quarter == ZONE_QUARTER).then(|| self.sunniest_zone(utility, quarter));
            if let Some((zone, _)) = sunniest.flatten() {
                let caps = self.halved(utility, quarter, |_, household| household.zone == zone);
                let cap = Energy::from_wh(caps.iter().map(|(_, cap)| cap.wh()).sum());
                self.desks.curtail_zone(utility, slot, (zone, cap)).await?;
                self.actuals.hold_to(quarter, &caps);
            }
        }
        Ok(())
    }

    /// Half of what some of a utility's meters inject in a quarter hour.
    fn halved(
        &self,
        utility: Party,
        quarter: usize,
        is_meant: impl Fn(MeterId, &household::Household) -> bool,
    ) -> Vec<(MeterId, Energy)> {
        let Actuals { day, .. } = self.actuals;
        grid_desk::meters_of(utility, &day.households)
            .filter(|&(meter, household)| is_meant(meter, household))
            .map(|(meter, household)| {
                let injected = day.metered(household, quarter).injected;
                (meter, Energy::from_wh(injected.wh().div_euclid(2)))
            })
            .filter(|(_, cap)| !cap.is_zero())
            .collect()
    }

    /// The zone of a utility that injects most, if one does, and how much, in Wh; of equal ones the last by name.
    fn sunniest_zone(&self, utility: Party, quarter: usize) -> Option<(PlaceName, u64)> {
        let Actuals { day, .. } = self.actuals;
        let mut zones: BTreeMap<PlaceName, u64> = BTreeMap::new();
        for (_, household) in grid_desk::meters_of(utility, &day.households) {
            let total = zones.entry(household.zone).or_default();
            *total = total.saturating_add(day.metered(household, quarter).injected.wh());
        }
        zones
            .into_iter()
            .max_by_key(|&(_, injected)| injected)
            .filter(|&(_, injected)| injected > 0)
    }
}
