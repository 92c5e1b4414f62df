//! The retailers' question "which P2P energy for this meter and period?", as people and programs
//! read the answer.

use serde::Serialize;
use settlement::P2pEnergy;

/// One contract's energy, as retailers see it.
#[derive(Debug, Serialize)]
pub struct Line {
    /// The contract.
    pub contract: u64,
    /// Start of the slot, RFC 3339 in UTC.
    pub slot_start: String,
    /// Duration of the slot.
    pub minutes: u16,
    /// `buy` or `sell`.
    pub side: &'static str,
    /// Where the contract stands.
    pub state: &'static str,
    /// What was contracted, in Wh.
    pub contracted_wh: u64,
    /// Contracted and not decided yet, in Wh.
    pub pending_wh: u64,
    /// Settled, in Wh: what a retailer may not bill.
    pub settled_wh: u64,
}

/// The lines of an answer.
#[must_use]
pub fn lines(energy: &[P2pEnergy]) -> Vec<Line> {
    energy
        .iter()
        .map(|row| Line {
            contract: row.contract.get(),
            slot_start: row.key.slot.start().to_string(),
            minutes: row.key.slot.minutes(),
            side: row.side.name(),
            state: row.state.name(),
            contracted_wh: row.contracted.wh(),
            pending_wh: row.pending.wh(),
            settled_wh: row.settled.wh(),
        })
        .collect()
}

/// The answer as one JSON array.
#[must_use]
pub fn to_json(energy: &[P2pEnergy]) -> String {
    // Plain numbers and strings always serialise.
    serde_json::to_string(&lines(energy)).unwrap_or_default()
}
