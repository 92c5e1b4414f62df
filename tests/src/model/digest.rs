//! The canonical listing of the state, as the engine's documentation describes it.

use engine::digest_of;
use types::{Digest, MarketDefinition, MarketId, NewOrder, Phase, PlatformId, Side, SlotKey};

use super::{Group, Market, Model, Slot, Stand, order_id};

/// Bytes of a listing.
pub(super) struct Listing(pub(super) Vec<u8>);

impl Listing {
    pub(super) fn new(title: &str) -> Self {
        Self(title.as_bytes().to_vec())
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn count(&mut self, count: usize) {
        self.bytes(&u32::try_from(count).expect("a short list").to_le_bytes());
    }

    pub(super) fn key(&mut self, key: SlotKey) {
        self.bytes(&key.market.get().to_le_bytes());
        self.bytes(&key.slot.start_minute().to_le_bytes());
        self.bytes(&key.slot.minutes().to_le_bytes());
    }

    fn optional(&mut self, value: Option<i64>) {
        self.bytes(&[u8::from(value.is_some())]);
        self.bytes(&value.unwrap_or(0).to_le_bytes());
    }

    pub(super) fn definition(&mut self, definition: &MarketDefinition) {
        self.bytes(&definition.market.get().to_le_bytes());
        self.bytes(definition.area.padded());
        self.bytes(definition.time_zone.padded());
        self.bytes(definition.currency.code().as_bytes());
        self.bytes(&[definition.currency.minor_digits()]);
        self.bytes(&definition.slot_minutes.to_le_bytes());
        for price in [definition.price_min, definition.price_max, definition.tick] {
            self.bytes(&price.micros().to_le_bytes());
        }
        self.bytes(&definition.lot.wh().to_le_bytes());
        self.bytes(&definition.quantity_max.wh().to_le_bytes());
        self.bytes(&definition.opening_lead.minutes().to_le_bytes());
        self.bytes(&definition.gate_lead.minutes().to_le_bytes());
        self.bytes(&[definition.price_rule.code()]);
    }

    fn market(&mut self, market: &Market) {
        self.definition(&market.definition);
        self.optional(market.last_auction_price.map(types::Price::micros));
        let controls = &market.controls;
        self.bytes(&[
            controls.self_trade_scope.code(),
            controls.self_trade.code(),
            controls.allocation.code(),
        ]);
        self.bytes(&controls.quantity_min.wh().to_le_bytes());
        self.bytes(&controls.value_max.minor().to_le_bytes());
        self.bytes(&controls.collar.micros().to_le_bytes());
        self.bytes(&controls.dynamic_band.micros().to_le_bytes());
        self.bytes(&controls.executions_max.to_le_bytes());
        self.bytes(&controls.freeze_min_s.to_le_bytes());
        self.bytes(&controls.freeze_max_s.to_le_bytes());
    }

    fn group(&mut self, group: Option<Group>) {
        let (kind, number) = match group {
            None => (0, 0),
            Some(Group::Meter(meter)) => (1, meter),
            Some(Group::Owner(owner)) => (2, owner),
        };
        self.bytes(&[kind]);
        self.bytes(&u32::to_le_bytes(number));
    }

    fn sent(&mut self, sent: &NewOrder) {
        self.bytes(&sent.client_order.get().to_le_bytes());
        self.bytes(&sent.meter.get().to_le_bytes());
        self.key(sent.key);
        self.bytes(&[sent.side.code(), sent.kind.code(), sent.time_in_force.code()]);
        self.bytes(&sent.limit.micros().to_le_bytes());
        self.bytes(&sent.quantity.wh().to_le_bytes());
        self.bytes(&sent.valid_until.ns().to_le_bytes());
        self.bytes(&[sent.conditions.flags()]);
        self.bytes(&sent.conditions.display.wh().to_le_bytes());
        self.bytes(&sent.conditions.minimum.wh().to_le_bytes());
        self.bytes(&sent.conditions.expires.ns().to_le_bytes());
        self.bytes(&[sent.list.kind.code(), sent.list.orders]);
        self.bytes(&sent.list.number.get().to_le_bytes());
    }
}

impl Model {
    /// The same as `engine::Engine::digest`.
    #[must_use]
    pub fn digest(&self) -> Digest {
        digest_of(&self.listing())
    }

    /// What the digest is of.
    #[must_use]
    pub fn listing(&self) -> Vec<u8> {
        let mut listing = Listing::new("gridcross state 2\n");
        listing.bytes(&self.last_seq.get().to_le_bytes());
        listing.bytes(&self.last_time.ns().to_le_bytes());
        listing.bytes(&u64::try_from(self.orders.len()).expect("few").to_le_bytes());
        listing.bytes(&self.trades.to_le_bytes());
        listing.count(self.markets.len());
        for market in self.markets.values() {
            listing.market(market);
        }
        self.list_participants(&mut listing);
        listing.count(self.halted.len());
        for (&(kind, number), state) in &self.halted {
            listing.bytes(&[kind]);
            listing.bytes(&number.to_le_bytes());
            listing.bytes(&[state.code()]);
        }
        let mut slots: Vec<&Slot> = self.slots.iter().collect();
        slots.sort_by_key(|slot| slot.key);
        listing.count(slots.len());
        for slot in slots {
            self.list_slot(slot, &mut listing);
        }
        self.list_credit(&mut listing);
        self.list_lists(&mut listing);
        self.list_orders(&mut listing);
        self.list_delegations(&mut listing);
        self.list_offers(&mut listing);
        self.list_changes(&mut listing);
        self.list_aggregates(&mut listing);
        self.list_wires(&mut listing);
        self.list_operations(&mut listing);
        self.list_draft(&mut listing);
        listing.0
    }

    fn list_participants(&self, listing: &mut Listing) {
        listing.count(self.parties.len());
        for party in self.parties.values() {
            listing.bytes(&[party.party.role.code()]);
            listing.bytes(&party.party.number.to_le_bytes());
            listing.bytes(party.code.padded());
            listing.bytes(party.key.as_bytes());
        }
        listing.count(self.meters.len());
        for meter in &self.meters {
            listing.bytes(&meter.meter.get().to_le_bytes());
            listing.bytes(meter.code.padded());
            listing.bytes(&meter.platform.get().to_le_bytes());
            listing.bytes(&meter.retailer.get().to_le_bytes());
            listing.bytes(&meter.utility.get().to_le_bytes());
            listing.bytes(&meter.owner.get().to_le_bytes());
            listing.bytes(meter.key.as_bytes());
            listing.bytes(&meter.injection_max.w().to_le_bytes());
            listing.bytes(&meter.withdrawal_max.w().to_le_bytes());
        }
    }

    fn list_slot(&self, slot: &Slot, listing: &mut Listing) {
        listing.key(slot.key);
        listing.bytes(&[slot.phase.code()]);
        if slot.phase == Phase::Closed {
            return;
        }
        listing.bytes(&[u8::from(slot.extended)]);
        listing.optional(slot.last_price.map(types::Price::micros));
        listing.bytes(&slot.uncross_at.map_or(0, types::Timestamp::ns).to_le_bytes());
        for side in [Side::Buy, Side::Sell] {
            let queue = self.queue(slot.key, side);
            listing.count(queue.len());
            for at in queue {
                let order = &self.orders[at];
                listing.bytes(&order_id(at).get().to_le_bytes());
                listing.bytes(&order.limit.micros().to_le_bytes());
                listing.bytes(&order.open.to_le_bytes());
                listing.bytes(&order.in_view().to_le_bytes());
            }
        }
        let outside: Vec<usize> = (0..self.orders.len())
            .filter(|&at| {
                let order = &self.orders[at];
                let outside = matches!(order.stand, Stand::Hibernating | Stand::Waiting);
                outside && order.sent.key == slot.key
            })
            .collect();
        listing.count(outside.len());
        for at in outside {
            listing.bytes(&order_id(at).get().to_le_bytes());
            listing.bytes(&self.orders[at].open.to_le_bytes());
        }
        listing.count(slot.executions.len());
        for (meter, count) in &slot.executions {
            listing.bytes(&meter.get().to_le_bytes());
            listing.bytes(&count.to_le_bytes());
        }
    }

    fn list_credit(&self, listing: &mut Listing) {
        let mut rows: Vec<(PlatformId, MarketId)> = self.credit.keys().copied().collect();
        rows.extend(self.owed.keys().copied());
        rows.extend(self.orders.iter().map(|order| (order.platform, order.sent.key.market)));
        rows.sort_unstable();
        rows.dedup();
        let owed = |row: &(PlatformId, MarketId)| self.owed.get(row).copied().unwrap_or(0);
        rows.retain(|row| {
            self.credit.contains_key(row) || self.reserved(*row) != 0 || owed(row) != 0
        });
        listing.count(rows.len());
        for row in rows {
            listing.bytes(&row.0.get().to_le_bytes());
            listing.bytes(&row.1.get().to_le_bytes());
            listing.optional(self.credit.get(&row).map(|limit| limit.minor()));
            listing.bytes(&self.reserved(row).to_le_bytes());
            listing.bytes(&owed(&row).to_le_bytes());
        }
    }

    fn list_lists(&self, listing: &mut Listing) {
        listing.count(self.lists.len());
        for ((platform, number), list) in &self.lists {
            listing.bytes(&platform.get().to_le_bytes());
            listing.bytes(&number.get().to_le_bytes());
            let arrived = u8::try_from(list.members.len()).expect("at most 100");
            let state = match (list.over, list.is_complete()) {
                (true, _) => 2,
                (false, true) => 1,
                (false, false) => 0,
            };
            listing.bytes(&[list.kind.code(), list.announced, arrived, state]);
        }
    }

    fn list_delegations(&self, listing: &mut Listing) {
        if self.delegations.is_empty() {
            return;
        }
        listing.count(self.delegations.len());
        for (meter, (number, delegation)) in &self.delegations {
            listing.bytes(&meter.get().to_le_bytes());
            listing.bytes(&number.to_le_bytes());
            listing.bytes(&[u8::from(delegation.is_some())]);
            let Some(delegation) = delegation else { continue };
            listing.bytes(&delegation.number.to_le_bytes());
            listing.bytes(&delegation.meter.get().to_le_bytes());
            listing.bytes(&delegation.platform.get().to_le_bytes());
            listing.bytes(&delegation.market.get().to_le_bytes());
            listing.bytes(&[delegation.sides.code()]);
            listing.bytes(&delegation.quantity_max.wh().to_le_bytes());
            for price in [delegation.buy_limit, delegation.sell_limit] {
                listing.bytes(&price.micros().to_le_bytes());
            }
            for instant in [delegation.valid_from, delegation.valid_until] {
                listing.bytes(&instant.ns().to_le_bytes());
            }
            listing.bytes(&delegation.key.get().to_le_bytes());
        }
    }

    fn list_aggregates(&self, listing: &mut Listing) {
        if self.pools.is_empty() && self.waiting.is_empty() {
            return;
        }
        let mut waiting = self.waiting.clone();
        waiting.sort_by_key(|list| list.platform); // Stable: the oldest of a platform stays first.
        listing.count(waiting.len());
        for list in &waiting {
            let last = list.pages.last().map_or(0, Vec::len);
            listing.bytes(&list.platform.get().to_le_bytes());
            listing.bytes(&list.number.get().to_le_bytes());
            for count in [list.pages.len(), last] {
                listing.bytes(&u16::try_from(count).expect("few").to_le_bytes());
            }
            listing.count(list.members().len());
            for member in list.members() {
                listing.bytes(&member.meter.get().to_le_bytes());
                listing.bytes(&member.wh().to_le_bytes());
            }
        }
        listing.count(self.pools.len());
        for (&at, pool) in &self.pools {
            listing.bytes(&order_id(at).get().to_le_bytes());
            listing.bytes(&u16::try_from(pool.parts.len()).expect("few").to_le_bytes());
            listing.bytes(pool.hash.as_bytes());
            if self.slot(self.orders[at].sent.key).phase == Phase::Closed {
                continue;
            }
            for part in &pool.parts {
                listing.bytes(&part.meter.get().to_le_bytes());
                listing.bytes(&part.open.to_le_bytes());
                listing.bytes(&part.filled.to_le_bytes());
                listing.group(part.group);
            }
        }
    }

    fn list_orders(&self, listing: &mut Listing) {
        for order in &self.orders {
            listing.bytes(&order.platform.get().to_le_bytes());
            listing.bytes(&order.session.get().to_le_bytes());
            listing.sent(&order.sent);
            listing.bytes(&order.limit.micros().to_le_bytes());
            listing.bytes(&order.filled.to_le_bytes());
            listing.bytes(&order.open.to_le_bytes());
            listing.bytes(&order.last_replace.get().to_le_bytes());
            listing.group(order.group);
        }
    }
}
