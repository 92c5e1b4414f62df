//! A history that both sides know: the entry of a sequence is a function of that sequence.

use journal::Entry;
use types::{
    CancelReason, ClientOrderId, Command, Energy, Event, OrderCancelled, OrderId, OrderRequest,
    Origin, PlatformId, Seq, Sequenced, SessionId, Timestamp,
};

/// The entry at a place of the history.
pub(crate) fn entry(seq: Seq) -> Entry {
    let mut dice = Dice(seq.get());
    let origin = Origin { platform: PlatformId::new(7), session: SessionId::new(3) };
    let client_order = ClientOrderId::new(dice.next());
    let order = OrderId::new(dice.next());
    let cancelled = |dice: &mut Dice| {
        Event::OrderCancelled(OrderCancelled {
            platform: PlatformId::new(7),
            client_order,
            order: OrderId::new(dice.next()),
            leaves: Energy::from_wh(dice.next()),
            reason: CancelReason::Requested,
        })
    };
    let events = (0..dice.below(6)).map(|_| cancelled(&mut dice)).collect();
    let value = Command::CancelOrder(OrderRequest { origin, client_order, order });
    let time = Timestamp::from_ns(i64::try_from(seq.get()).unwrap_or(i64::MAX));
    Entry { command: Sequenced { seq, time, value }, events }
}

/// Seeded numbers.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// SplitMix64.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    pub(crate) fn pick<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        let at = self.below(u64::try_from(all.len()).unwrap_or(0));
        usize::try_from(at).ok().and_then(|at| all.get(at).copied())
    }
}
