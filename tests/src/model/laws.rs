//! What always holds between two commands.

use types::{LIST_ORDERS_MAX, ListKind, Phase, Side};

use super::{Model, Stand};

impl Model {
    /// Checks what always holds between two commands.
    ///
    /// # Panics
    /// When something does not hold.
    pub fn check_laws(&self) {
        self.check_orders();
        self.check_slots();
        self.check_lists();
        self.check_pools();
        let open = self.open_orders();
        assert!(open <= usize::try_from(self.limits.orders_max).expect("fits"));
        for order in &self.orders {
            let row = (order.platform, order.sent.key.market);
            assert!(self.reserved(row) >= 0, "a negative reservation of {row:?}");
            assert!(self.owed.get(&row).is_none_or(|&owed| owed >= 0), "{row:?} is owed to");
            assert!(open > 0 || self.reserved(row) == 0, "nothing is open, much is reserved");
        }
    }

    fn check_orders(&self) {
        for order in &self.orders {
            let display = order.sent.conditions.display.wh();
            assert!(order.filled + order.open <= u64::from(u32::MAX), "too large: {order:?}");
            assert_eq!(order.is_open(), order.stand != Stand::Done, "{order:?}");
            assert!(order.stand != Stand::Entering, "neither in nor out: {order:?}");
            assert!(order.stand != Stand::Waiting || order.is_listed(), "{order:?}");
            if order.rests() && order.is_iceberg() {
                assert!(order.view > 0, "nothing in view: {order:?}");
                assert!(order.view <= display.min(order.open), "too much in view: {order:?}");
            }
            if order.rests() {
                let phase = self.slot(order.sent.key).phase;
                assert!(phase != Phase::Closed, "open in a closed slot: {order:?}");
                assert!(phase != Phase::Continuous || !order.is_market(), "{order:?}");
            }
        }
    }

    fn check_slots(&self) {
        for slot in &self.slots {
            let filled = |side: Side| -> u64 {
                let here = self.orders.iter().filter(|order| order.sent.key == slot.key);
                here.filter(|order| order.sent.side == side).map(|order| order.filled).sum()
            };
            assert_eq!(filled(Side::Buy), filled(Side::Sell), "{slot:?}");
            assert_eq!(slot.uncross_at.is_some(), slot.phase == Phase::Frozen, "{slot:?}");
            let may_be_extended = matches!(slot.phase, Phase::Call | Phase::Frozen);
            assert!(!slot.extended || may_be_extended, "{slot:?}");
        }
    }

    fn check_lists(&self) {
        for list in self.lists.values() {
            let waiting = !list.over;
            for &at in &list.members {
                assert_eq!(self.orders[at].stand == Stand::Waiting, waiting, "{list:?}");
            }
            assert!(list.members.len() <= usize::from(LIST_ORDERS_MAX), "{list:?}");
            let done = list.over || !list.is_complete();
            assert!(done || list.kind == ListKind::Block, "{list:?}");
        }
    }
}
