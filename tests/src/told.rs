//! What a journal holds, side by side with what platforms were told.
#![expect(clippy::expect_used, reason = "a journal that cannot be read fails the test")]

use std::{collections::BTreeMap, fs, ops::ControlFlow, path::Path};

use exchange::node::Layout;
use settlement::State;
use types::{Energy, Event, NewOrder, OrderAccepted, Timestamp, Trade, TradeId};

use crate::day;

/// A platform and its number of an order.
pub type Sent = (u16, u64);

/// A line of a platform's blotter: a report of a kind, with the numbers it states.
pub type Line = (String, [i128; 6]);

/// The acceptances and trades of a journal.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Accepted orders as they were sent and as they were acknowledged.
    pub orders: BTreeMap<Sent, (NewOrder, OrderAccepted)>,
    /// Accepted orders for many meters.
    pub aggregates: Vec<OrderAccepted>,
    /// Trades by number.
    pub trades: BTreeMap<u64, Trade>,
    /// How much is contracted now, of trades that were changed.
    pub changed: BTreeMap<u64, Energy>,
}

impl Recovered {
    /// Reads a journal. Nothing in it may be there twice.
    ///
    /// # Panics
    /// When it is damaged, or an order or a trade occurs twice.
    #[must_use]
    pub fn read(dir: &Path) -> Self {
        let mut recovered = Self::default();
        let scanned = journal::scan(&Layout::new(dir).journal(), &mut |entry, _| {
            for event in &entry.events {
                recovered.note(&entry.command.value, event);
            }
            ControlFlow::Continue(())
        });
        scanned.expect("a sound journal");
        recovered
    }

    fn note(&mut self, command: &types::Command, event: &Event) {
        if let (types::Command::NewOrder(signed), Event::OrderAccepted(accepted)) = (command, event)
        {
            let sent = (accepted.origin.platform.get(), accepted.client_order.get());
            let before = self.orders.insert(sent, (signed.order, *accepted));
            assert!(before.is_none(), "order {sent:?} is accepted twice");
        }
        if let (types::Command::NewAggregateOrder(_), Event::OrderAccepted(accepted)) =
            (command, event)
        {
            self.aggregates.push(*accepted);
        }
        if let Event::ContractAmended(amended) = event {
            self.changed.insert(amended.terms.trade.get(), amended.terms.new_quantity);
        }
        if let Event::Trade(trade) = event {
            let before = self.trades.insert(trade.trade.get(), *trade);
            assert!(before.is_none(), "trade {} happens twice", trade.trade);
        }
    }

    /// The lines that `platform` must find for its orders and fills in this journal.
    #[must_use]
    pub fn lines_of(&self, platform: u16) -> Vec<Line> {
        let orders = self.orders.iter().filter(|((owner, _), _)| *owner == platform);
        let mut lines: Vec<Line> = orders.map(|(_, (_, accepted))| new_line(accepted)).collect();
        let own = |accepted: &&OrderAccepted| accepted.origin.platform.get() == platform;
        lines.extend(self.aggregates.iter().filter(own).map(new_line));
        for trade in self.trades.values() {
            for side in [&trade.buy, &trade.sell] {
                if side.platform.get() == platform {
                    lines.push(fill_line(trade, side));
                }
            }
        }
        lines
    }
}

fn new_line(accepted: &OrderAccepted) -> Line {
    let quantity = accepted.quantity.wh().into();
    let (client_order, order) = (accepted.client_order.get(), accepted.order.get());
    let numbers =
        [client_order.into(), order.into(), 0, accepted.limit.micros().into(), quantity, quantity];
    ("new".to_owned(), numbers)
}

fn fill_line(trade: &Trade, side: &types::TradeSide) -> Line {
    let numbers = [
        side.client_order.get().into(),
        side.order.get().into(),
        trade.trade.get().into(),
        trade.price.micros().into(),
        trade.quantity.wh().into(),
        side.leaves.wh().into(),
    ];
    ("trade".to_owned(), numbers)
}

/// The whole lines of a blotter that report an acceptance or a fill. What a kill cut off at its end
/// is no line.
///
/// # Panics
/// When it is not a blotter.
#[must_use]
pub fn blotter(dir: &Path, platform: u16) -> Vec<Line> {
    let file = dir.join("blotter").join(format!("platform-{platform}.csv"));
    let text = fs::read_to_string(file).expect("a blotter");
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let orders = whole.lines().skip(1).filter(|line| !line.starts_with("contract"));
    let lines = orders.map(|line| {
        let (kind, numbers) = line.split_once(',').expect("a line");
        let numbers: Vec<i128> = numbers.split(',').map(|n| n.parse().expect("numbers")).collect();
        (kind.to_owned(), numbers.try_into().expect("six numbers"))
    });
    lines.filter(|(kind, _)| kind == "new" || kind == "trade").collect()
}

/// Settlement must have exactly the trades of the journal, as they are now: each as a purchase of one meter and a
/// sale of another, in books that balance.
///
/// # Panics
/// When it has others.
pub fn check_settlement(dir: &Path, recovered: &Recovered) {
    let pipeline = day::settlement(dir);
    let summary = pipeline.summary().expect("a summary");
    let trades = u64::try_from(recovered.trades.len()).expect("a count");
    assert_eq!(summary.contracts, trades, "contracts and trades");
    assert_eq!(summary.balance_minor, 0, "money sums to zero");
    let audit = pipeline.audit().expect("an audit");
    assert!(audit.is_clean(), "{audit:?}");
    let mut contracts = Vec::new();
    for meter in day::registry(dir).meters {
        let (from, to) = (Timestamp::from_ns(0), Timestamp::from_ns(i64::MAX));
        let energy = pipeline.p2p_energy(meter.meter, from, to).expect("an answer");
        contracts.extend(energy.iter().map(|row| {
            (row.contract.get(), row.side, meter.meter, row.counterparty, row.contracted)
        }));
    }
    contracts.sort_unstable();
    let mut expected: Vec<_> = Vec::new();
    for (&number, trade) in &recovered.trades {
        let (buyer, seller) = (trade.buy.meter, trade.sell.meter);
        let standing = pipeline.standing(TradeId::new(number)).expect("a standing");
        // The rail of a demo ends with it: what it has not blocked by then is cancelled at the next cycle.
        let is_unfunded = standing.is_some_and(|(state, _)| state == State::CancelledUnfunded);
        let contracted = if is_unfunded {
            Energy::ZERO
        } else {
            recovered.changed.get(&number).copied().unwrap_or(trade.quantity)
        };
        expected.push((number, types::Side::Buy, buyer, seller, contracted));
        expected.push((number, types::Side::Sell, seller, buyer, contracted));
    }
    let differs = contracts.iter().zip(&expected).find(|(one, other)| one != other);
    assert_eq!(differs, None, "every contract is one trade");
    assert_eq!(contracts.len(), expected.len(), "every contract is one trade");
}
