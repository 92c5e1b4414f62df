//! `lobster`: without immediate or cancel, so what is left of such an order is cancelled.

use lobster::{OrderBook, OrderEvent, OrderType, Side as TheirSide};
use replay::flow::{FlowHeader, FlowKind, FlowOperation, FlowResult};
use types::Side;

use super::{Peer, narrow, one_each};

pub(super) struct Lobster {
    books: Vec<OrderBook>,
}

impl Peer for Lobster {
    fn name() -> &'static str {
        "lobster 0.7.0"
    }

    fn new(header: &FlowHeader) -> Self {
        Self { books: one_each(header, OrderBook::default) }
    }

    fn apply(&mut self, operation: &FlowOperation, result: &mut FlowResult) {
        let Some(book) = self.books.get_mut(usize::from(operation.book)) else { return };
        let id = u128::from(operation.id);
        if operation.kind == FlowKind::Cancel {
            book.execute(OrderType::Cancel { id });
            return;
        }
        let side = match operation.side {
            Side::Buy => TheirSide::Bid,
            Side::Sell => TheirSide::Ask,
        };
        let (qty, price) = (operation.quantity.into(), operation.price.into());
        let event = book.execute(OrderType::Limit { id, side, qty, price });
        let (fills, is_whole) = match event {
            OrderEvent::Filled { fills, .. } => (fills, true),
            OrderEvent::PartiallyFilled { fills, .. } => (fills, false),
            OrderEvent::Placed { .. }
            | OrderEvent::Unfilled { .. }
            | OrderEvent::Canceled { .. } => (Vec::new(), false),
        };
        for fill in &fills {
            let maker = u64::try_from(fill.order_2).unwrap_or(u64::MAX);
            result.fill(operation.id, maker, narrow(fill.price), narrow(fill.qty));
        }
        if operation.kind == FlowKind::ImmediateOrCancel && !is_whole {
            book.execute(OrderType::Cancel { id });
        }
    }
}
