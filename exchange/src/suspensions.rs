//! Meters that settlement has suspended for what they owe, on their way into the engines.
//!
//! Level, not edge: after a start every meter that was ever suspended is said again, which changes nothing
//! where the engine knows it. So what was on its way when a process ended is not lost.

use std::collections::{BTreeMap, VecDeque};

use gateway::Ingress;
use settlement::{Pipeline, SettlementError};
use types::{Command, MeterId, Scope, TradingControl, TradingState};

/// What the engines were told, and what waits for room in their rings.
#[derive(Debug)]
pub(crate) struct Suspensions {
    rings: Vec<Ingress>,
    told: BTreeMap<MeterId, bool>,
    waiting: VecDeque<(Ingress, Command)>,
    /// Something happened since the last look that may have suspended a meter, or ended that.
    is_stale: bool,
}

impl Suspensions {
    /// Nothing was said through these rings.
    pub(crate) const fn new(rings: Vec<Ingress>) -> Self {
        Self { rings, told: BTreeMap::new(), waiting: VecDeque::new(), is_stale: true }
    }

    /// Debts may have changed.
    pub(crate) const fn look_again(&mut self) {
        self.is_stale = true;
    }

    /// Says what the engines do not know yet, to every shard; whether the rings took it all.
    ///
    /// # Errors
    /// When the database refuses.
    pub(crate) fn send(&mut self, pipeline: &Pipeline) -> Result<bool, SettlementError> {
        if std::mem::take(&mut self.is_stale) {
            for (meter, is_suspended) in pipeline.suspended()? {
                if self.told.insert(meter, is_suspended) == Some(is_suspended) {
                    continue;
                }
                let state =
                    if is_suspended { TradingState::Suspended } else { TradingState::Active };
                tracing::info!(%meter, state = state.name(), "settlement says who may trade");
                let control = TradingControl { scope: Scope::Meter(meter), state };
                let command = Command::SetTrading(control);
                self.waiting.extend(self.rings.iter().map(|ring| (ring.clone(), command)));
            }
        }
        while let Some((ring, command)) = self.waiting.front() {
            if ring.push(*command).is_err() {
                return Ok(false);
            }
            self.waiting.pop_front();
        }
        Ok(true)
    }
}
