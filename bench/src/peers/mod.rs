//! Order books by others behind one trait, driven with the same flow as ours.
//!
//! Every adapter calls the book as its documentation shows, keeps one book per instrument, and does no
//! more than turn names and numbers: what it adds is an index or two.

mod lobster;
mod matchcore;
mod orderbook_rs;
#[cfg(feature = "own-engine")]
mod ours;
mod plain;
mod rust_ob;

use replay::flow::{FlowHeader, FlowOperation, FlowResult};

/// A book that takes part.
pub(crate) trait Peer {
    /// Crate and version.
    fn name() -> &'static str
    where
        Self: Sized;

    /// Empty books for a flow.
    fn new(header: &FlowHeader) -> Self
    where
        Self: Sized;

    /// Applies one operation and counts its fills.
    fn apply(&mut self, operation: &FlowOperation, result: &mut FlowResult);

    /// Applies operations in order.
    fn apply_all(&mut self, operations: &[FlowOperation], result: &mut FlowResult) {
        for operation in operations {
            self.apply(operation, result);
        }
    }
}

/// What is known about a peer before it runs.
pub(crate) struct Entrant {
    /// Crate and version.
    pub(crate) name: &'static str,
    /// What to know about its figures.
    pub(crate) remark: &'static str,
    /// Builds its books.
    pub(crate) enter: fn(&FlowHeader) -> Box<dyn Peer>,
}

/// Everybody who takes part, in the order of a round.
pub(crate) fn entrants() -> Vec<Entrant> {
    vec![
        #[cfg(feature = "own-engine")]
        entrant::<ours::Ours>("commands made and events counted within the time"),
        entrant::<plain::Plain>("what the others are compared with"),
        entrant::<matchcore::Matchcore>("trades beyond the limit of an order that crosses"),
        entrant::<rust_ob::RustOb>(""),
        entrant::<lobster::Lobster>(""),
        entrant::<orderbook_rs::OrderBookRs>("made for many threads"),
    ]
}

fn entrant<P: Peer + 'static>(remark: &'static str) -> Entrant {
    Entrant { name: P::name(), remark, enter: |header| Box::new(P::new(header)) }
}

/// Books that were tried, and why they do not take part.
pub(crate) const LEFT_OUT: [(&str, &str); 3] = [
    (
        "nanobook 0.19.3",
        "to cancel an order behind one that filled takes another out, and the next match does not end",
    ),
    (
        "limitbook 0.1.0",
        "a part fill leaves the resting order as large as it was, so quantity is created",
    ),
    ("rust-order-book 0.0.2", "its reports hold no fills, so nothing can be compared"),
];

/// One book for each of the flow's.
fn one_each<B>(header: &FlowHeader, book: impl Fn() -> B) -> Vec<B> {
    (0..header.book_count).map(|_| book()).collect()
}

/// Narrows what a book reports; a number that no flow holds shows in the hash.
fn narrow(value: impl TryInto<u32>) -> u32 {
    value.try_into().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use replay::flow::{FlowResult, Generated, Workload, generate};

    use super::{Entrant, entrants};

    fn agrees(entrant: &Entrant, workload: Workload) -> bool {
        let Generated { flow, expected } = generate(workload, 5_000, 1);
        let mut peer = (entrant.enter)(flow.header());
        let mut result = FlowResult::default();
        flow.operations().chunks(100).for_each(|batch| peer.apply_all(batch, &mut result));
        (result.trades, result.fill_hash) == (expected.trades, expected.fill_hash)
    }

    #[test]
    fn all_peers_but_one_fill_as_expected() {
        for workload in [Workload::OneBook, Workload::Energy] {
            let entrants = entrants();
            let wrong = entrants.iter().filter(|entrant| !agrees(entrant, workload));
            let names: Vec<_> = wrong.map(|entrant| entrant.name).collect();
            assert_eq!(names, ["matchcore 0.4.0"], "{workload:?}");
        }
    }
}
