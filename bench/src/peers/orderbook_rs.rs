//! `orderbook-rs`: skip lists and concurrent maps; an order that only takes is matched without being
//! added.

use orderbook_rs::{Id, OrderBook, Side as TheirSide, TimeInForce};
use replay::flow::{FlowHeader, FlowKind, FlowOperation, FlowResult};
use types::Side;

use super::{Peer, narrow, one_each};

pub(super) struct OrderBookRs {
    books: Vec<OrderBook<()>>,
}

impl Peer for OrderBookRs {
    fn name() -> &'static str {
        "orderbook-rs 0.15.3"
    }

    fn new(header: &FlowHeader) -> Self {
        Self { books: one_each(header, || OrderBook::new("slot")) }
    }

    fn apply(&mut self, operation: &FlowOperation, result: &mut FlowResult) {
        let Some(book) = self.books.get(usize::from(operation.book)) else { return };
        let id = Id::Sequential(operation.id);
        let side = match operation.side {
            Side::Buy => TheirSide::Buy,
            Side::Sell => TheirSide::Sell,
        };
        let (price, quantity) = (u128::from(operation.price), u64::from(operation.quantity));
        let matched = match operation.kind {
            FlowKind::New => {
                let (gtc, extra) = (TimeInForce::Gtc, None);
                let added = book.add_limit_order_with_result(id, price, quantity, side, gtc, extra);
                added.ok().and_then(|(_, traded)| traded).map(|traded| traded.match_result)
            }
            FlowKind::ImmediateOrCancel => book.match_limit_order(id, quantity, side, price).ok(),
            FlowKind::Cancel => {
                book.cancel_order(id).ok();
                None
            }
        };
        for trade in matched.iter().flat_map(|matched| matched.trades().as_vec()) {
            let maker = trade.maker_order_id().as_u64().unwrap_or(u64::MAX);
            let price = narrow(trade.price().as_u128());
            result.fill(operation.id, maker, price, narrow(trade.quantity().as_u64()));
        }
    }
}
