//! The life of an order or a trade, stop by stop, as far as journal and settlement know it.

mod entry;
mod settled;
mod stops;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use journal::{Entry, JournalError, Position};
use settlement::SettlementError;
use types::{About, Command, Event, MemberList, OrderId, Seq, Sequenced, Trade, TradeId};

use crate::evidence::{Frame, Frames, Keys};
use crate::members::Members;
pub use stops::{STOPS, Stop};

/// What a trace is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// An order, from its acceptance to its end, with the trades it made.
    Order(OrderId),
    /// A trade, with the entry of both its orders.
    Trade(TradeId),
}

/// Whether a stop left something behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It did.
    Recorded,
    /// Nothing is kept of it, or not in this directory.
    NotRecorded,
    /// It has not happened so far.
    NotYet,
}

impl Status {
    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::NotRecorded => "not recorded",
            Self::NotYet => "not yet",
        }
    }
}

/// What is known of one stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Which.
    pub stop: &'static Stop,
    /// Position of the command that it was about.
    pub seq: Seq,
    /// The trade, from stop 12 on.
    pub trade: Option<TradeId>,
    /// Whether there is a record.
    pub status: Status,
    /// What it says, or why there is none.
    pub text: String,
}

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The journal cannot be read, or is damaged.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The settlement database cannot be read, or is damaged.
    #[error("settlement's records cannot be read")]
    Settlement(#[from] SettlementError),
    /// The journal holds no such order.
    #[error("no order {order} was accepted; the journal's last is {last}")]
    NoOrder {
        /// What was asked for.
        order: OrderId,
        /// The last there is.
        last: OrderId,
    },
    /// The journal holds no such trade.
    #[error("there is no trade {trade}; the journal's last is {last}")]
    NoTrade {
        /// What was asked for.
        trade: TradeId,
        /// The last there is.
        last: TradeId,
    },
}

/// An entry as far as it is about the subject.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Moment {
    command: Sequenced<Command>,
    position: Position,
    /// The events about the subject, with their index.
    events: Vec<(usize, Event)>,
    /// How many events there were in all.
    caused: usize,
}

/// What one pass over the journal found.
#[derive(Debug, Default)]
struct Found {
    moments: Vec<Moment>,
    keys: Keys,
    /// Frames on their way, and those with an order that the trace is about.
    frames: Frames,
    signed: Vec<Frame>,
    /// Lists of members on their way, and those of aggregate orders that the trace is about.
    members: Members,
    listed: BTreeMap<Seq, MemberList>,
    last_order: OrderId,
    last_trade: TradeId,
}

/// Traces `subject` through the journal in `journal` and, if it is there, the settlement database at
/// `settlement`.
///
/// # Errors
/// When there is no such order or trade, or a file cannot be read or is damaged.
pub fn trace(journal: &Path, settlement: &Path, subject: Subject) -> Result<Vec<Row>, TraceError> {
    let (found, trades) = match subject {
        Subject::Order(order) => of_order(journal, order)?,
        Subject::Trade(trade) => of_trade(journal, trade)?,
    };
    let mut rows = Vec::new();
    for moment in &found.moments {
        rows.extend(entry::rows(moment, (&found.keys, &found.signed, &found.listed)));
    }
    rows.extend(settled::rows(settlement, &trades)?);
    Ok(rows)
}

fn of_order(journal: &Path, order: OrderId) -> Result<(Found, Vec<(Seq, Trade)>), TraceError> {
    let found = pass(journal, &|command, event| is_about(command, event, &[order]))?;
    let accepted = |(_, event): &(usize, Event)| matches!(event, Event::OrderAccepted(accepted) if accepted.order == order);
    if !found.moments.iter().any(|moment| moment.events.iter().any(accepted)) {
        return Err(TraceError::NoOrder { order, last: found.last_order });
    }
    let trades = trades(&found);
    Ok((found, trades))
}

fn of_trade(journal: &Path, trade: TradeId) -> Result<(Found, Vec<(Seq, Trade)>), TraceError> {
    let is_it = |event: &Event| matches!(event, Event::Trade(found) if found.trade == trade);
    let found = pass(journal, &|_, event| event.is_some_and(is_it))?;
    let trades = trades(&found);
    let Some((_, made)) = trades.first() else {
        return Err(TraceError::NoTrade { trade, last: found.last_trade });
    };
    if made.is_negotiated() {
        return Ok((of_contract(journal, trade)?, trades));
    }
    let orders = [made.buy.order, made.sell.order];
    let found = pass(journal, &|_, event| {
        event.is_some_and(|event| {
            let enters = matches!(event, Event::OrderAccepted(accepted)
                if orders.contains(&accepted.order));
            enters || is_it(event)
        })
    })?;
    Ok((found, trades))
}

/// A negotiated trade: its offer, and its acceptance with the trade.
fn of_contract(journal: &Path, trade: TradeId) -> Result<Found, TraceError> {
    let agreed = |event: &Event| {
        if let Event::ContractAgreed(agreed) = event
            && agreed.trade == trade
        {
            return Some(agreed.offer);
        }
        None
    };
    let found = pass(journal, &|_, event| event.is_some_and(|event| agreed(event).is_some()))?;
    let events = found.moments.iter().flat_map(|moment| &moment.events);
    let offer = events.clone().find_map(|(_, event)| agreed(event));
    pass(journal, &|_, event| {
        event.is_some_and(|event| {
            let offers = matches!(event, Event::ContractOffered(offered)
                if Some(offered.offer) == offer);
            let trades = matches!(event, Event::Trade(found) if found.trade == trade);
            offers || trades || agreed(event).is_some()
        })
    })
}

/// Collects the entries whose command (asked with no event) or events are about the subject.
fn pass(
    journal: &Path,
    is_about: &dyn Fn(&Command, Option<&Event>) -> bool,
) -> Result<Found, TraceError> {
    let mut found = Found::default();
    journal::scan(journal, &mut |entry, position| {
        found.look_at(entry, position, is_about);
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

impl Found {
    fn look_at(
        &mut self,
        entry: &Entry,
        position: Position,
        is_about: &dyn Fn(&Command, Option<&Event>) -> bool,
    ) {
        self.keys.learn(entry);
        let list = self.members.take(entry);
        let command = &entry.command.value;
        let mut events = Vec::new();
        for (index, event) in entry.events.iter().enumerate() {
            if let Event::OrderAccepted(accepted) = event {
                self.last_order = accepted.order;
            } else if let Event::Trade(trade) = event {
                self.last_trade = trade.trade;
            }
            if is_about(command, Some(event)) {
                events.push((index, *event));
            }
        }
        if !events.is_empty() || is_about(command, None) {
            let caused = entry.events.len();
            self.moments.push(Moment { command: entry.command, position, events, caused });
            self.listed.extend(list.map(|list| (entry.command.seq, list)));
        }
        // A frame that is not whole is no evidence, and the rows say so.
        if let Ok(Some(frame)) = self.frames.take(&entry.command) {
            let is_about = |moment: &Moment| frame.orders.contains(&moment.command.seq);
            if self.moments.iter().rev().take(frame.orders.len()).any(is_about) {
                self.signed.push(frame);
            }
        }
    }
}

fn trades(found: &Found) -> Vec<(Seq, Trade)> {
    let of_moment = |moment: &Moment| {
        let seq = moment.command.seq;
        let trades = moment.events.iter().filter_map(|(_, event)| {
            if let Event::Trade(trade) = event { Some(*trade) } else { None }
        });
        trades.map(|trade| (seq, trade)).collect::<Vec<_>>()
    };
    found.moments.iter().flat_map(of_moment).collect()
}

/// Whether a command, or an event of it, is about one of `orders`. Of a request about one of them the
/// refusal is, too.
fn is_about(command: &Command, event: Option<&Event>, orders: &[OrderId]) -> bool {
    let is_named = matches!(command.about(), About::Order(order) if orders.contains(&order));
    let Some(event) = event else { return is_named };
    let about = match event {
        Event::OrderAccepted(event) => [event.order; 2],
        Event::OrderRestated(event) => [event.order; 2],
        Event::OrderReplaced(event) => [event.order; 2],
        Event::OrderCancelled(event) => [event.order; 2],
        Event::OrderHibernated(event) | Event::OrderActivated(event) => [event.order; 2],
        Event::Trade(trade) => [trade.buy.order, trade.sell.order],
        Event::OrderRejected(_) => return is_named,
        Event::MarketDefined(_)
        | Event::PartyRegistered(_)
        | Event::MeterRegistered(_)
        | Event::ControlsSet(_)
        | Event::SlotPhaseChanged(_)
        | Event::SlotFrozen(_)
        | Event::CallExtended(_)
        | Event::AuctionUncrossed(_)
        | Event::MassCancelled(_)
        | Event::TradingChanged(_)
        | Event::CreditSet(_)
        | Event::CreditReleased(_)
        | Event::MeterDelegated(_)
        | Event::DelegationRevoked(_)
        | Event::OrderValidated(_)
        | Event::ContractOffered(_)
        | Event::ContractAgreed(_)
        | Event::ContractEnded(_)
        | Event::ContractRestated(_)
        | Event::AmendmentOffered(_)
        | Event::ContractAmended(_)
        | Event::MembersListed(_)
        | Event::MemberRefused(_)
        | Event::PlaceNoted(_)
        | Event::GridLimitSet(_)
        | Event::GridRefused(_)
        | Event::Operated(_)
        | Event::TradeBusted(_)
        | Event::CommandRejected(_) => return false,
    };
    about.iter().any(|order| orders.contains(order))
}

/// Where settlement keeps its records in a data directory.
#[must_use]
pub fn settlement_of(dir: &Path) -> PathBuf {
    dir.join("settlement.db")
}
