//! The canonical listing of the state, as the engine's documentation describes it.

use engine::digest_of;
use types::{Digest, Phase, Side, SlotKey};

use super::{Market, Model};

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

    fn market(&mut self, market: &Market) {
        let definition = &market.definition;
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
        self.bytes(&[u8::from(market.last_auction_price.is_some())]);
        let last = market.last_auction_price.map_or(0, |price| price.micros());
        self.bytes(&last.to_le_bytes());
    }
}

impl Model {
    /// The same as `engine::Engine::digest`.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut listing = Listing::new("gridcross state 1\n");
        listing.bytes(&self.last_seq.get().to_le_bytes());
        listing.bytes(&self.last_time.ns().to_le_bytes());
        listing.bytes(&u64::try_from(self.orders.len()).expect("few").to_le_bytes());
        listing.bytes(&self.trades.to_le_bytes());
        listing.count(self.markets.len());
        for market in self.markets.values() {
            listing.market(market);
        }
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
            listing.bytes(meter.key.as_bytes());
            listing.bytes(&meter.injection_max.w().to_le_bytes());
            listing.bytes(&meter.withdrawal_max.w().to_le_bytes());
        }
        self.list_slots(&mut listing);
        self.list_orders(&mut listing);
        digest_of(&listing.0)
    }

    fn list_slots(&self, listing: &mut Listing) {
        listing.count(self.slots.len());
        for (&key, &phase) in &self.slots {
            listing.key(key);
            listing.bytes(&[phase.code()]);
            if phase == Phase::Closed {
                continue;
            }
            for side in [Side::Buy, Side::Sell] {
                let queue = self.queue(key, side);
                listing.count(queue.len());
                for at in queue {
                    listing.bytes(&super::order_id(at).get().to_le_bytes());
                    listing.bytes(&self.orders[at].limit.micros().to_le_bytes());
                    listing.bytes(&self.orders[at].leaves.to_le_bytes());
                }
            }
        }
    }

    fn list_orders(&self, listing: &mut Listing) {
        for order in &self.orders {
            listing.bytes(&order.platform.get().to_le_bytes());
            listing.bytes(&order.sent.client_order.get().to_le_bytes());
            listing.bytes(&order.sent.meter.get().to_le_bytes());
            listing.key(order.sent.key);
            listing.bytes(&[order.sent.side.code(), order.sent.time_in_force.code()]);
            listing.bytes(&order.sent.limit.micros().to_le_bytes());
            listing.bytes(&order.sent.quantity.wh().to_le_bytes());
            listing.bytes(&order.sent.valid_until.ns().to_le_bytes());
            listing.bytes(&order.limit.micros().to_le_bytes());
            listing.bytes(&order.filled.to_le_bytes());
            listing.bytes(&order.leaves.to_le_bytes());
            listing.bytes(&order.last_replace.get().to_le_bytes());
        }
    }
}
