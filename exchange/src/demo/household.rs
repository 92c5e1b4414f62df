//! A real summer day: what every meter draws and feeds in, quarter hour by quarter hour.
//!
//! The data is a slice of SimBench (`data/simbench-day`, with licence and provenance). Its profiles
//! are benchmark profiles that many meters share.

use rust_decimal::{Decimal, prelude::ToPrimitive};
use settlement::{PlaceName, allocation::Metered};
use types::Energy;

/// Local date of the data.
pub const DATE: &str = "2016-07-25";
/// Where the data comes from, for people.
pub const SOURCE: &str = "SimBench 1.6.3, 25 July 2016, low voltage; profiles are shared benchmark \
                          profiles, not measurements of single households";
/// Quarter hours of the day.
pub const QUARTERS: usize = 96;

const METERS: &str = include_str!("../../../data/simbench-day/meters.csv");
const PROFILES: &str = include_str!("../../../data/simbench-day/profiles.csv");

/// Why the data cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the embedded data is malformed: {file} line {line}")]
pub struct DataError {
    file: &'static str,
    line: usize,
}

/// A connection with its load and its plant.
#[derive(Debug, Clone)]
pub struct Household {
    /// Its code.
    pub code: String,
    /// Retailer, from 1.
    pub retailer: u16,
    /// Distribution utility, from 1.
    pub utility: u16,
    /// The low-voltage grid it is connected to.
    pub zone: PlaceName,
    /// Size of the load, in W.
    pub load_w: u32,
    /// Size of the plant, in W.
    pub plant_w: u32,
    load_profile: Option<usize>,
    plant_profile: Option<usize>,
}

/// All connections and their profiles.
#[derive(Debug)]
pub struct Day {
    /// The connections, in the order of the file; the first is meter 1.
    pub households: Vec<Household>,
    /// Power relative to size, in millionths, by profile and quarter hour.
    profiles: Vec<Vec<u32>>,
}

impl Day {
    /// Reads the embedded data, the first `meters_max` meters of it.
    ///
    /// # Errors
    /// When the embedded data is not what it should be.
    pub fn load(meters_max: usize) -> Result<Self, DataError> {
        let (names, profiles) = read_profiles()?;
        let mut households = Vec::new();
        for (index, line) in METERS.lines().enumerate().skip(1).take(meters_max) {
            let household = read_household(line, &names)
                .ok_or(DataError { file: "meters.csv", line: index.saturating_add(1) })?;
            households.push(household);
        }
        Ok(Self { households, profiles })
    }

    /// What the meter of a household counts in a quarter hour: the balance of load and plant.
    #[must_use]
    pub fn metered(&self, household: &Household, quarter: usize) -> Metered {
        let drawn = self.energy(household.load_w, household.load_profile, quarter);
        let made = self.energy(household.plant_w, household.plant_profile, quarter);
        Metered { injected: made.saturating_sub(drawn), withdrawn: drawn.saturating_sub(made) }
    }

    /// What the meter counts when the plant stands still.
    #[must_use]
    pub fn metered_without_plant(&self, household: &Household, quarter: usize) -> Metered {
        let drawn = self.energy(household.load_w, household.load_profile, quarter);
        Metered { injected: Energy::ZERO, withdrawn: drawn }
    }

    /// Power times a quarter of an hour, rounded down to Wh.
    fn energy(&self, size_w: u32, profile: Option<usize>, quarter: usize) -> Energy {
        let share = profile
            .and_then(|profile| self.profiles.get(profile))
            .and_then(|values| values.get(quarter))
            .copied()
            .unwrap_or(0);
        let micro_wh = u64::from(size_w).saturating_mul(u64::from(share));
        Energy::from_wh(micro_wh.div_euclid(4_000_000))
    }
}

fn read_profiles() -> Result<(Vec<&'static str>, Vec<Vec<u32>>), DataError> {
    let bad = |line| DataError { file: "profiles.csv", line };
    let mut lines = PROFILES.lines();
    let names: Vec<_> = lines.next().ok_or(bad(1))?.split(',').skip(1).collect();
    let mut profiles = vec![Vec::with_capacity(QUARTERS); names.len()];
    for (index, line) in lines.enumerate() {
        let number = index.saturating_add(2);
        let values: Vec<_> = line.split(',').skip(1).collect();
        if values.len() != profiles.len() {
            return Err(bad(number));
        }
        for (profile, value) in profiles.iter_mut().zip(values) {
            profile.push(scaled(value).ok_or(bad(number))?);
        }
    }
    Ok((names, profiles))
}

fn read_household(line: &str, names: &[&str]) -> Option<Household> {
    let cells: Vec<_> = line.split(',').collect();
    let [code, zone, load_profile, load_mw, plant_profile, plant_mw, retailer, utility] =
        cells.as_slice()
    else {
        return None;
    };
    let profile = |name: &str| names.iter().position(|&known| known == name);
    let size = |text: &str| if text.is_empty() { Some(0) } else { scaled(text) };
    Some(Household {
        code: (*code).to_owned(),
        retailer: retailer.strip_prefix('R')?.parse().ok()?,
        utility: utility.strip_prefix('U')?.parse().ok()?,
        zone: PlaceName::new(zone).ok()?,
        load_w: size(load_mw)?,
        plant_w: size(plant_mw)?,
        load_profile: profile(load_profile),
        plant_profile: profile(plant_profile),
    })
}

/// A decimal times a million: megawatts to watts, shares to millionths.
fn scaled(text: &str) -> Option<u32> {
    let value: Decimal = text.parse().ok()?;
    value.checked_mul(Decimal::from(1_000_000_u32))?.to_u32()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_has_prosumers_and_sunshine() {
        let day = Day::load(usize::MAX).unwrap();
        assert!(day.households.len() >= 2_000);
        let prosumers = day.households.iter().filter(|h| h.load_w > 0 && h.plant_w > 0).count();
        assert!(prosumers >= 300, "{prosumers}");
        assert!(day.profiles.iter().all(|profile| profile.len() == QUARTERS));
        let injected = |quarter| -> u64 {
            day.households.iter().map(|h| day.metered(h, quarter).injected.wh()).sum()
        };
        assert_eq!(injected(0), 0);
        assert!(injected(48) > 100_000, "{}", injected(48));
    }
}
