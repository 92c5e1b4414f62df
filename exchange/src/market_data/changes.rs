//! Books and events as messages for everyone.

use market_view::{BookView, ViewLevel};
use types::{Event, Phase, Price, Seq, Side, SlotKey, SlotPhaseChanged};
use wire::{
    FeedItem, MarketMessage,
    feed::{At, Place},
    frame::FRAME_MESSAGES_MAX,
    market::{BookChange, BookHead, Indicative, Level, PublicTrade},
};

use super::DEPTH_MAX;

// A change of every level of both sides, and its head, are one frame.
const _: () = assert!(DEPTH_MAX * 4 < FRAME_MESSAGES_MAX);

/// The whole of a book.
pub(super) fn snapshot(key: SlotKey, book: &BookView) -> impl Iterator<Item = MarketMessage> {
    let levels = || sides(book).flat_map(|(side, levels)| levels.iter().map(move |at| (side, *at)));
    let head = head(key, book, levels().count());
    let levels = levels().map(|(side, at)| MarketMessage::Level(level(side, at)));
    std::iter::once(MarketMessage::BookSnapshot(head)).chain(levels)
}

/// What makes `before` to `now`, into `changed`, which keeps its memory.
pub(super) fn change(
    key: SlotKey,
    before: &BookView,
    now: &BookView,
    changed: &mut Vec<Level>,
) -> MarketMessage {
    changed.clear();
    for ((side, before), (_, now)) in sides(before).zip(sides(now)) {
        compare(side, before, now, changed);
    }
    let head = head(key, now, changed.len());
    MarketMessage::BookChange(BookChange { previous: before.seq, head })
}

fn sides(book: &BookView) -> impl Iterator<Item = (Side, &[ViewLevel])> {
    [(Side::Buy, book.buy.as_slice()), (Side::Sell, book.sell.as_slice())].into_iter()
}

fn head(key: SlotKey, book: &BookView, levels: usize) -> BookHead {
    let indicative = book.indicative.map(|view| Indicative {
        price: view.price,
        volume: view.volume,
        surplus_wh: view.surplus_wh,
    });
    BookHead {
        key,
        revision: book.seq,
        time: book.time,
        last: book.last,
        indicative,
        phase: book.phase,
        // At most four times `DEPTH_MAX`.
        levels: u16::try_from(levels).unwrap_or(u16::MAX),
    }
}

const fn level(side: Side, at: ViewLevel) -> Level {
    Level { price: at.price, quantity: at.quantity, orders: at.orders, side }
}

/// Both lists have the best first, so one pass over both is enough.
fn compare(side: Side, mut before: &[ViewLevel], mut now: &[ViewLevel], changed: &mut Vec<Level>) {
    loop {
        let (old, new) = (before.first().copied(), now.first().copied());
        match (old, new) {
            (None, None) => return,
            (Some(old), Some(new)) if old.price == new.price => {
                if old != new {
                    changed.push(level(side, new));
                }
                before = rest(before);
                now = rest(now);
            }
            (Some(old), new) if new.is_none_or(|new| is_better(side, old.price, new.price)) => {
                let gone = ViewLevel { price: old.price, ..ViewLevel::default() };
                changed.push(level(side, gone));
                before = rest(before);
            }
            (_, Some(new)) => {
                changed.push(level(side, new));
                now = rest(now);
            }
            (Some(_), None) => return, // The arm before the last took it.
        }
    }
}

fn rest(levels: &[ViewLevel]) -> &[ViewLevel] {
    levels.split_first().map_or(&[], |(_, rest)| rest)
}

fn is_better(side: Side, one: Price, other: Price) -> bool {
    match side {
        Side::Buy => one > other,
        Side::Sell => one < other,
    }
}

/// What everyone may know of an event, and whose slot it is of.
pub(super) fn public(item: &FeedItem) -> Option<(SlotKey, MarketMessage)> {
    let place = Place { seq: item.seq, time: item.time, index: item.index };
    let moved = |key, phase| {
        let body = SlotPhaseChanged { key, phase };
        (key, MarketMessage::SlotPhaseChanged(At { place, body }))
    };
    match &item.event {
        // What two sides agree on between themselves is no price of the market.
        Event::Trade(trade) if trade.is_negotiated() => None,
        Event::Trade(trade) => {
            let body = PublicTrade::from(trade);
            Some((trade.key, MarketMessage::Trade(At { place, body })))
        }
        Event::SlotPhaseChanged(changed) => Some(moved(changed.key, changed.phase)),
        // When the auction is due is not for everyone.
        Event::SlotFrozen(frozen) => Some(moved(frozen.key, Phase::Frozen)),
        Event::AuctionUncrossed(result) => {
            Some((result.key, MarketMessage::AuctionUncrossed(At { place, body: *result })))
        }
        Event::MarketDefined(_)
        | Event::PartyRegistered(_)
        | Event::MeterRegistered(_)
        | Event::ControlsSet(_)
        | Event::CallExtended(_)
        | Event::OrderAccepted(_)
        | Event::OrderRestated(_)
        | Event::OrderValidated(_)
        | Event::OrderReplaced(_)
        | Event::OrderCancelled(_)
        | Event::OrderHibernated(_)
        | Event::OrderActivated(_)
        | Event::MassCancelled(_)
        | Event::OrderRejected(_)
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
    }
}

/// The position at which a slot closed, if a message says so.
pub(super) fn closed(message: &MarketMessage) -> Option<Seq> {
    if let MarketMessage::SlotPhaseChanged(at) = message
        && at.body.phase == Phase::Closed
    {
        return Some(at.place.seq);
    }
    None
}
