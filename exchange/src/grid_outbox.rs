//! What settlement has to tell the engines of the grid, on its way into their rings.

use gateway::Ingress;
use settlement::{Pipeline, SettlementError};
use types::ShardId;

/// Commands of a shard that wait for their answer at the same time: enough to keep a core loop busy, and
/// few beside the orders in its ring.
const UNANSWERED_MAX: u32 = 256;

/// The rings of all shards, and how far each was told. What is in a ring when the process ends is
/// sent again by the next one.
#[derive(Debug)]
pub(crate) struct GridOutbox {
    rings: Vec<Ring>,
}

#[derive(Debug)]
struct Ring {
    shard: ShardId,
    ingress: Ingress,
    /// The last number that was put into the ring.
    sent: u64,
}

impl GridOutbox {
    /// Nothing was sent through these rings.
    pub(crate) fn new(rings: Vec<(ShardId, Ingress)>) -> Self {
        let ring = |(shard, ingress)| Ring { shard, ingress, sent: 0 };
        Self { rings: rings.into_iter().map(ring).collect() }
    }

    /// Puts what waits in the outbox into the rings, each number once; whether they took it all. As many
    /// as may be unanswered, and more as the answers come.
    ///
    /// # Errors
    /// When the database refuses.
    pub(crate) fn send(&mut self, pipeline: &Pipeline) -> Result<bool, SettlementError> {
        let mut all = true;
        for ring in &mut self.rings {
            for (number, command) in pipeline.grid_commands(ring.shard, UNANSWERED_MAX)? {
                if number <= ring.sent {
                    continue;
                }
                if ring.ingress.push(command).is_err() {
                    all = false;
                    break;
                }
                ring.sent = number;
            }
        }
        Ok(all)
    }
}
