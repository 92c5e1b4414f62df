//! Messages of market data.

use super::{
    feed::{at, auction, slot_phase, trade},
    *,
};

fn selection() -> impl Strategy<Value = Selection> {
    prop_oneof![
        number(MarketId::new).prop_map(Selection::Market),
        slot_key().prop_map(Selection::Slot),
    ]
}

pub(in crate::tests) fn market_data() -> impl Strategy<Value = MarketMessage> {
    prop_oneof![
        (shard(), 0..=NUMBER_MASK).prop_map(|(shard, after)| {
            MarketMessage::Subscribe(Subscribe { shard, after: Seq::new(after) })
        }),
        selection().prop_map(MarketMessage::Select),
        (number(Seq::new), any::<u16>()).prop_map(|(through, depth)| {
            MarketMessage::Subscribed(Subscribed { through, depth })
        }),
        reason().prop_map(|reason| {
            MarketMessage::SubscriptionRejected(SubscriptionRejected { reason })
        }),
        book_head().prop_map(MarketMessage::BookSnapshot),
        (number(Seq::new), book_head()).prop_map(|(previous, head)| {
            MarketMessage::BookChange(BookChange { previous, head })
        }),
        level(),
        at(trade().prop_map(|trade| PublicTrade::from(&trade))).prop_map(MarketMessage::Trade),
        at(slot_phase()).prop_map(MarketMessage::SlotPhaseChanged),
        at(auction()).prop_map(MarketMessage::AuctionUncrossed),
        missed(),
        number(Seq::new).prop_map(|through| MarketMessage::Position(Progress { through })),
        Just(MarketMessage::GoingAway(Empty)),
    ]
}
