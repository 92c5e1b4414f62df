//! `matchcore`: commands carry a sequence number without gaps, which also names the order.

use matchcore::{
    CancelCmd, Command, CommandKind, CommandMeta, CommandOutcome, CommandReport, LimitOrder,
    NewOrder, OrderBook, OrderFlags, OrderId, OrderKind, Price, Quantity, QuantityPolicy,
    SequenceNumber, Side as TheirSide, SubmitCmd, TimeInForce, Timestamp,
};
use replay::flow::{FlowHeader, FlowKind, FlowOperation, FlowResult};
use types::Side;

use super::{Peer, narrow, one_each};

/// A number that stands for no order.
const NOBODY: u64 = u64::MAX;

pub(super) struct Matchcore {
    books: Vec<Book>,
    /// Numbers of the commands that sent each order, by id.
    numbers: Vec<u64>,
}

struct Book {
    book: OrderBook,
    /// Ids of the orders that each command named, by number.
    ids: Vec<u64>,
}

impl Peer for Matchcore {
    fn name() -> &'static str {
        "matchcore 0.4.0"
    }

    fn new(header: &FlowHeader) -> Self {
        let books = one_each(header, || Book { book: OrderBook::new("slot"), ids: Vec::new() });
        let orders = usize::try_from(header.id_max).unwrap_or(0).saturating_add(1);
        Self { books, numbers: vec![NOBODY; orders] }
    }

    fn apply(&mut self, operation: &FlowOperation, result: &mut FlowResult) {
        let Some(Book { book, ids }) = self.books.get_mut(usize::from(operation.book)) else {
            return;
        };
        let id = usize::try_from(operation.id).unwrap_or(usize::MAX);
        let Some(number) = self.numbers.get_mut(id) else { return };
        let next = u64::try_from(ids.len()).unwrap_or(NOBODY);
        ids.push(operation.id);
        let kind = match operation.kind {
            FlowKind::New => submit(operation, TimeInForce::Gtc),
            FlowKind::ImmediateOrCancel => submit(operation, TimeInForce::Ioc),
            FlowKind::Cancel => CommandKind::Cancel(CancelCmd {
                order_id: OrderId(*number),
                order_kind: OrderKind::Limit,
            }),
        };
        *number = next;
        let meta = CommandMeta { sequence_number: SequenceNumber(next), timestamp: Timestamp(0) };
        let outcome = book.execute(&Command { meta, kind });
        let CommandOutcome::Applied(CommandReport::Submit(effects)) = outcome else { return };
        let Some(matched) = effects.target_order().match_result() else { return };
        for trade in matched.trades() {
            let maker = usize::try_from(trade.maker_order_id().0).ok().and_then(|at| ids.get(at));
            let maker = maker.copied().unwrap_or(NOBODY);
            let (price, quantity) = (narrow(trade.price().0), narrow(trade.quantity().0));
            result.fill(operation.id, maker, price, quantity);
        }
    }
}

fn submit(operation: &FlowOperation, time_in_force: TimeInForce) -> CommandKind {
    let side = match operation.side {
        Side::Buy => TheirSide::Buy,
        Side::Sell => TheirSide::Sell,
    };
    let quantity = Quantity(operation.quantity.into());
    CommandKind::Submit(SubmitCmd {
        order: NewOrder::Limit(LimitOrder::new(
            Price(operation.price.into()),
            QuantityPolicy::Standard { quantity },
            OrderFlags::new(side, false, time_in_force),
        )),
    })
}
