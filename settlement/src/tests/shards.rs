//! Feeds of several shards: each has its own cursor, none tells of another's trades.

use types::{Event, OrderId, Seq, ShardId, TradeId};
use wire::FeedItem;

use super::fixture::{Desk, Feed};
use crate::error::SettlementError;

/// The same feed as another shard tells it.
fn told_by(shard: ShardId, feed: &Feed) -> Vec<FeedItem> {
    let mut items = feed.items.clone();
    for item in &mut items {
        if let Event::Trade(trade) = &mut item.event {
            trade.trade = TradeId::new(shard.number_base() + trade.trade.get());
            for side in [&mut trade.buy, &mut trade.sell] {
                side.order = OrderId::new(shard.number_base() + side.order.get());
            }
        }
    }
    items
}

#[test]
fn every_shard_has_a_cursor_and_its_trades_are_captured_once() {
    let second = ShardId::new(1).unwrap();
    let mut feed = Feed::new();
    feed.trade(0, (1, 7), 5_000, 5_000_000);
    feed.trade(1, (1, 7), 5_000, 5_000_000);
    let items = told_by(second, &feed);
    let mut desk = Desk::new();
    let known = desk.pipeline.cursor();
    assert_eq!(desk.pipeline.cursor_of(second), Seq::ZERO);
    // The second shard says the same of everybody, which changes nothing, and has trades.
    for _ in 0..2 {
        desk.pipeline.capture_from(second, feed.end(), &items).unwrap();
    }
    let cursors = |desk: &Desk| (desk.pipeline.cursor(), desk.pipeline.cursor_of(second));
    assert_eq!(cursors(&desk), (known, feed.end()));
    let mut desk = desk.restart();
    assert_eq!(cursors(&desk), (known, feed.end()));
    desk.pipeline.capture_from(second, feed.end(), &items).unwrap();
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    assert_eq!(desk.pipeline.summary().unwrap().contracts, 4, "both shards' trades, each once");
    for shard in [ShardId::FIRST, second] {
        let trade = TradeId::new(shard.number_base() + 2);
        assert_eq!(desk.pipeline.outcome_of(trade).unwrap(), None, "it is there, and not settled");
        let transfers = desk.pipeline.transfers_of(trade).unwrap();
        assert!(transfers.is_empty(), "nobody paid in: {transfers:?}");
    }
    desk.check();
}

#[test]
fn a_trade_of_another_shard_is_refused_with_its_batch() {
    let [second, third] = [1, 2].map(|index| ShardId::new(index).unwrap());
    let mut feed = Feed::new();
    feed.trade(0, (1, 7), 5_000, 5_000_000);
    let mut desk = Desk::new();
    let before = desk.pipeline.cursor();
    for (shard, items) in [
        (second, feed.items.clone()),
        (second, told_by(third, &feed)),
        (ShardId::FIRST, told_by(second, &feed)),
    ] {
        let error = desk.pipeline.capture_from(shard, feed.end(), &items).unwrap_err();
        assert!(matches!(error, SettlementError::OtherShard { .. }), "{error}");
    }
    assert_eq!((desk.pipeline.cursor(), desk.pipeline.cursor_of(second)), (before, Seq::ZERO));
    desk.check();
}
