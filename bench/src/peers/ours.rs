//! Our own engine, which takes operations in batches.

use std::slice;

use replay::flow::{FlowHeader, FlowOperation, FlowResult, run::FlowEngine};

use super::Peer;

/// Operations of a batch: 256 commands and what they cause stay in the second-level cache.
const BATCH: usize = 256;

pub(super) struct Ours {
    engine: FlowEngine,
}

impl Peer for Ours {
    fn name() -> &'static str {
        "gridcross"
    }

    fn new(header: &FlowHeader) -> Self {
        Self { engine: FlowEngine::new(header) }
    }

    fn apply(&mut self, operation: &FlowOperation, result: &mut FlowResult) {
        self.engine.apply(slice::from_ref(operation), result);
    }

    fn apply_all(&mut self, operations: &[FlowOperation], result: &mut FlowResult) {
        for batch in operations.chunks(BATCH) {
            self.engine.apply(batch, result);
        }
    }
}
