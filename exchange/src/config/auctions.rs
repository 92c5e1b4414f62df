//! The auction cycles of a market, as they stand in the configuration.

use serde::Deserialize;
use types::MarketDefinition;

use super::Refused;
use crate::schedule::{AuctionCycle, AuctionCycles, CycleSlots};

/// Most cycles of a market.
const CYCLES_MAX: usize = 16;
/// A day.
const CALL_MINUTES_MAX: u32 = 1_440;

/// One cycle: a time of day, or a pattern of times.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuctionTable {
    at: Option<String>,
    every: Option<String>,
    slots: String,
    #[serde(default = "default_call_minutes")]
    call_minutes: u32,
}

/// Five minutes of a call.
const fn default_call_minutes() -> u32 {
    5
}

/// The cycles of a market.
pub(super) fn cycles(
    tables: &[AuctionTable],
    definition: &MarketDefinition,
) -> Result<AuctionCycles, Refused> {
    if tables.len() > CYCLES_MAX {
        return Err(("auctions", format!("has more than {CYCLES_MAX} entries")));
    }
    let cycles = tables.iter().map(cycle).collect::<Result<_, _>>()?;
    let cycles = AuctionCycles::new(definition.time_zone.as_str(), cycles)
        .map_err(|error| ("time_zone", error.to_string()))?;
    let (least, lead) =
        (cycles.opening_lead_min(definition.slot_minutes), definition.opening_lead.minutes());
    match least {
        Some(least) if lead < least => Err((
            "opening_lead_minutes",
            format!(
                "is {lead}, but an auction of all slots of tomorrow needs them open by then: at \
                 least {least}"
            ),
        )),
        _ => Ok(cycles),
    }
}

fn cycle(table: &AuctionTable) -> Result<AuctionCycle, Refused> {
    let AuctionTable { at, every, slots, call_minutes } = table;
    let named = CycleSlots::ALL.into_iter().find(|one| one.name() == slots);
    let slots = named.ok_or_else(|| {
        ("auctions.slots", format!("is `{slots}`, possible are `open`, `today`, `tomorrow`"))
    })?;
    if !(1..=CALL_MINUTES_MAX).contains(call_minutes) {
        let message = format!("is {call_minutes}, possible are 1 to {CALL_MINUTES_MAX}");
        return Err(("auctions.call_minutes", message));
    }
    match (at, every) {
        (Some(at), None) => AuctionCycle::at(at, slots, *call_minutes)
            .map_err(|error| ("auctions.at", format!("is `{at}`: {error}"))),
        (None, Some(every)) => AuctionCycle::every(every, slots, *call_minutes)
            .map_err(|error| ("auctions.every", format!("is `{every}`: {error}"))),
        (Some(_), Some(_)) | (None, None) => {
            Err(("auctions", "needs either `at` or `every` in each entry".to_owned()))
        }
    }
}
