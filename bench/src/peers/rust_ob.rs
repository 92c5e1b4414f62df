//! `rust_ob`: decimal prices and quantities; without immediate or cancel, so what is left of such an
//! order is cancelled.

use replay::flow::{FlowHeader, FlowKind, FlowOperation, FlowResult};
use rust_ob::{Decimal, OrderBook, OrderMatch, Side as TheirSide};
use types::Side;

use super::{Peer, narrow, one_each};

pub(super) struct RustOb {
    books: Vec<OrderBook<u64>>,
}

impl Peer for RustOb {
    fn name() -> &'static str {
        "rust_ob 2.5.3"
    }

    fn new(header: &FlowHeader) -> Self {
        Self { books: one_each(header, OrderBook::new) }
    }

    fn apply(&mut self, operation: &FlowOperation, result: &mut FlowResult) {
        let Some(book) = self.books.get_mut(usize::from(operation.book)) else { return };
        if operation.kind == FlowKind::Cancel {
            book.cancel_order(operation.id).ok();
            return;
        }
        let side = match operation.side {
            Side::Buy => TheirSide::Buy,
            Side::Sell => TheirSide::Sell,
        };
        let (price, quantity) = (operation.price.into(), Decimal::from(operation.quantity));
        let matches = book.process_limit_order(operation.id, side, price, quantity);
        let matches = matches.unwrap_or_default();
        // The last match is the taker's: the sum of the others.
        let filled = matches.split_last().map(|(taker, makers)| {
            makers.iter().for_each(|maker| count(operation.id, maker, result));
            taker.quantity
        });
        if operation.kind == FlowKind::ImmediateOrCancel && filled != Some(quantity) {
            book.cancel_order(operation.id).ok();
        }
    }
}

fn count(taker: u64, maker: &OrderMatch<u64>, result: &mut FlowResult) {
    let quantity = whole(maker.quantity);
    let price = whole(maker.cost).checked_div(quantity).unwrap_or(0);
    result.fill(taker, maker.order, narrow(price), narrow(quantity));
}

/// The magnitude of a decimal without digits after the point.
fn whole(value: Decimal) -> u64 {
    u64::try_from(value.mantissa().unsigned_abs()).unwrap_or(u64::MAX)
}
