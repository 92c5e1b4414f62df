//! `gridcross order status`: where an order stands, from the journal.
//!
//! On the exchange's machine its journal answers, whether it runs or not, about every platform's orders
//! and with how they ended. `gridcross order ask` asks the exchange about one's own.

use std::{ops::ControlFlow, path::PathBuf};

use clap::Args;
use serde::Serialize;
use types::{
    ClientOrderId, Energy, Event, OrderId, PlatformId, Price, Seq, Timestamp,
    event::{CancelReason, OrderAccepted, TradeSide},
};

use super::{
    connect::{instant_text, price_text, slot_text},
    order_report::cancel_reason,
};
use crate::{
    exit::Failure,
    output::{self, Format},
};

/// Options of `order status`.
#[derive(Debug, Args)]
pub struct Options {
    /// The exchange's directory
    #[arg(long)]
    data_dir: PathBuf,
    /// The exchange's number of the order
    #[arg(required_unless_present = "client_order", conflicts_with = "client_order")]
    order: Option<u64>,
    /// The platform's number of the order, with --platform
    #[arg(long, requires = "platform")]
    client_order: Option<u64>,
    /// The number of the platform
    #[arg(long)]
    platform: Option<u16>,
    /// How it is printed
    #[arg(long, value_enum, default_value = "human")]
    output: Format,
}

/// Where an order stands.
#[derive(Debug, Serialize)]
struct Row {
    order: u64,
    client_order: u64,
    platform: u16,
    meter: u32,
    market: u16,
    slot_start: String,
    side: &'static str,
    state: &'static str,
    reason: &'static str,
    limit: String,
    filled_wh: u64,
    leaves_wh: u64,
    accepted: String,
    changed: String,
    seq: u64,
}

/// An order as its events tell it.
struct Story {
    accepted: OrderAccepted,
    accepted_at: Timestamp,
    limit: Price,
    leaves: Energy,
    filled: Energy,
    state: &'static str,
    reason: &'static str,
    changed_at: Timestamp,
    seq: Seq,
}

/// Finds the order and prints it.
///
/// # Errors
/// Code 1 where no journal has it or one cannot be read.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let mut story = None;
    for shard in ::replay::shards(&options.data_dir) {
        let mut take = |entry: &journal::Entry, _: journal::Position| {
            for event in &entry.events {
                follow(&mut story, options, entry.command.seq, entry.command.time, event);
            }
            ControlFlow::Continue(())
        };
        journal::scan(&shard.journal, &mut take).map_err(|error| Failure::journal(&error))?;
    }
    let Some(story) = story else {
        return Err(Failure::refused(format!(
            "no such order was accepted in `{}`",
            options.data_dir.display()
        ))
        .hint("orders that are refused have no number: `gridcross replay inspect` shows why"));
    };
    output::print_rows(&[row(&story)], options.output)
}

fn row(story: &Story) -> Row {
    let OrderAccepted { origin, client_order, order, meter, key, side, .. } = story.accepted;
    Row {
        order: order.get(),
        client_order: client_order.get(),
        platform: origin.platform.get(),
        meter: meter.get(),
        market: key.market.get(),
        slot_start: slot_text(key),
        side: side.name(),
        state: story.state,
        reason: story.reason,
        limit: price_text(story.limit),
        filled_wh: story.filled.wh(),
        leaves_wh: story.leaves.wh(),
        accepted: instant_text(story.accepted_at),
        changed: instant_text(story.changed_at),
        seq: story.seq.get(),
    }
}

impl Options {
    fn wants(&self, accepted: &OrderAccepted) -> bool {
        match self.order {
            Some(order) => accepted.order == OrderId::new(order),
            None => {
                self.client_order.map(ClientOrderId::new) == Some(accepted.client_order)
                    && self.platform.map(PlatformId::new) == Some(accepted.origin.platform)
            }
        }
    }
}

impl Story {
    const fn begun(accepted: OrderAccepted, time: Timestamp, seq: Seq) -> Self {
        Self {
            accepted,
            accepted_at: time,
            limit: accepted.limit,
            leaves: accepted.quantity,
            filled: Energy::ZERO,
            state: "open",
            reason: "",
            changed_at: time,
            seq,
        }
    }
}

/// Takes what an event tells of the order.
fn follow(story: &mut Option<Story>, options: &Options, seq: Seq, time: Timestamp, event: &Event) {
    if let Event::OrderAccepted(accepted) = event
        && options.wants(accepted)
    {
        *story = Some(Story::begun(*accepted, time, seq));
        return;
    }
    let Some(story) = story else { return };
    let order = story.accepted.order;
    let changed = match event {
        Event::Trade(trade) => {
            let ours = [trade.buy, trade.sell].into_iter().find(|side| side.order == order);
            ours.map(|TradeSide { leaves, .. }| {
                story.filled = story.filled.checked_add(trade.quantity).unwrap_or(story.filled);
                (leaves, if leaves.is_zero() { "filled" } else { "open" }, "")
            })
        }
        Event::OrderReplaced(replaced) if replaced.order == order => {
            story.limit = replaced.limit;
            Some((replaced.leaves, "open", ""))
        }
        Event::OrderCancelled(cancelled) if cancelled.order == order => {
            let by_time = [CancelReason::GateClosed, CancelReason::Expired];
            let state = if by_time.contains(&cancelled.reason) { "expired" } else { "cancelled" };
            Some((Energy::ZERO, state, cancel_reason(cancelled.reason)))
        }
        Event::OrderHibernated(moved) if moved.order == order => {
            Some((moved.leaves, "hibernating", ""))
        }
        Event::OrderActivated(moved) if moved.order == order => Some((moved.leaves, "open", "")),
        Event::OrderReplaced(_)
        | Event::OrderCancelled(_)
        | Event::OrderHibernated(_)
        | Event::OrderActivated(_)
        | Event::OrderAccepted(_)
        | Event::OrderRestated(_)
        | Event::OrderValidated(_)
        | Event::OrderRejected(_)
        | Event::MarketDefined(_)
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
        | Event::CommandRejected(_) => None,
    };
    if let Some((leaves, state, reason)) = changed {
        (story.leaves, story.state, story.reason) = (leaves, state, reason);
        (story.changed_at, story.seq) = (time, seq);
    }
}
