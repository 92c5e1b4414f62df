//! Digests of books and of the whole state: SHA-256 over listings that any implementation can make.
//!
//! Every number is little-endian at its full width: identifiers, counts (`u32` unless said
//! otherwise), energy in Wh (`u64`), prices in micro-currency per kWh (`i64`), instants in
//! nanoseconds (`i64`), leads in minutes (`u32`), power in W (`u32`), codes of enumerations as in
//! messages, text zero-padded. A slot key is market, start minute, minutes.
//!
//! **Book**, in the result of an auction: the bytes `gridcross book 1\n`; the slot key; then for
//! buys and for sells the count of levels that hold orders and, best first, price, quantity and
//! count of orders of each.
//!
//! **State**: the bytes `gridcross state 1\n`; then
//! 1. last sequence number, last time, count of orders accepted (`u64`), count of trades (`u64`);
//! 2. count of markets and, by number, each definition field by field, then one byte for whether
//!    there is a last auction price and that price or 0;
//! 3. count of parties and, by role and number: role, number, code, key;
//! 4. count of meters and each registration, field by field;
//! 5. count of slots ever opened and, by key: key, phase; unless closed, for buys and for sells the
//!    count of open orders and, in priority order, order number (`u64`), limit, open quantity;
//! 6. each order ever accepted, by number: platform, the fields of the new order as sent, then the
//!    limit now, filled and open quantity, the platform's number of the last replacement or 0.

use sha2::{Digest as _, Sha256};
use types::{
    Digest, MarketDefinition, MeterRegistration, PartyRegistration, Phase, Price, Side, SlotKey,
};

use crate::{
    book::Book, engine::Engine, index::next_index, ladder::queue, orders::OrderRecord,
    registry::Market, slots::Slot,
};

/// SHA-256 of a listing.
#[must_use]
pub fn digest_of(listing: &[u8]) -> Digest {
    Digest::new(Sha256::digest(listing).into())
}

/// Digest of a book's levels. See the module's description.
pub(crate) fn book_digest(book: &Book, market: &Market, key: SlotKey) -> Digest {
    let mut listing = Listing::new(b"gridcross book 1\n");
    listing.key(key);
    let depth = book.depth(market);
    for levels in [&depth.buy, &depth.sell] {
        listing.u32(next_index(levels.len()));
        for level in levels {
            listing.price(level.price);
            listing.u64(level.quantity.wh());
            listing.u32(level.orders);
        }
    }
    listing.finish()
}

/// Digest of everything. See the module's description.
pub(crate) fn state_digest(engine: &Engine) -> Digest {
    let mut listing = Listing::new(b"gridcross state 1\n");
    listing.u64(engine.last_seq.get());
    listing.i64(engine.last_time.ns());
    listing.u64(u64::from(engine.orders.len()));
    listing.u64(engine.trades);
    let registry = &engine.registry;
    listing.u32(next_index(registry.markets().count()));
    for market in registry.markets() {
        listing.market(&market.definition);
        listing.u8(u8::from(market.last_auction_price.is_some()));
        listing.price(market.last_auction_price.unwrap_or_default());
    }
    listing.u32(next_index(registry.parties().len()));
    for party in registry.parties() {
        listing.party(party);
    }
    listing.u32(next_index(registry.meters().len()));
    for meter in registry.meters() {
        listing.meter(meter);
    }
    let mut slots: Vec<&Slot> = engine.slots.iter().collect();
    slots.sort_unstable_by_key(|slot| slot.key);
    listing.u32(next_index(slots.len()));
    for slot in slots {
        listing.key(slot.key);
        listing.u8(slot.phase.code());
        if slot.phase != Phase::Closed {
            listing.open_orders(engine, slot, Side::Buy);
            listing.open_orders(engine, slot, Side::Sell);
        }
    }
    for (number, record) in engine.orders.iter() {
        listing.order(engine, number, record);
    }
    listing.finish()
}

/// A listing on its way into the hash.
struct Listing(Sha256);

impl Listing {
    fn new(title: &[u8]) -> Self {
        Self(Sha256::new_with_prefix(title))
    }

    fn finish(self) -> Digest {
        Digest::new(self.0.finalize().into())
    }

    fn u8(&mut self, value: u8) {
        self.0.update([value]);
    }

    fn u16(&mut self, value: u16) {
        self.0.update(value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.0.update(value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.update(value.to_le_bytes());
    }

    fn i64(&mut self, value: i64) {
        self.0.update(value.to_le_bytes());
    }

    fn price(&mut self, price: Price) {
        self.i64(price.micros());
    }

    fn key(&mut self, key: SlotKey) {
        self.u16(key.market.get());
        self.u32(key.slot.start_minute());
        self.u16(key.slot.minutes());
    }

    fn market(&mut self, market: &MarketDefinition) {
        self.u16(market.market.get());
        self.0.update(market.area.padded());
        self.0.update(market.time_zone.padded());
        self.0.update(market.currency.code());
        self.u8(market.currency.minor_digits());
        self.u16(market.slot_minutes);
        self.price(market.price_min);
        self.price(market.price_max);
        self.price(market.tick);
        self.u64(market.lot.wh());
        self.u64(market.quantity_max.wh());
        self.u32(market.opening_lead.minutes());
        self.u32(market.gate_lead.minutes());
        self.u8(market.price_rule.code());
    }

    fn party(&mut self, party: &PartyRegistration) {
        self.u8(party.party.role.code());
        self.u16(party.party.number);
        self.0.update(party.code.padded());
        self.0.update(party.key.as_bytes());
    }

    fn meter(&mut self, meter: &MeterRegistration) {
        self.u32(meter.meter.get());
        self.0.update(meter.code.padded());
        self.u16(meter.platform.get());
        self.u16(meter.retailer.get());
        self.u16(meter.utility.get());
        self.0.update(meter.key.as_bytes());
        self.u32(meter.injection_max.w());
        self.u32(meter.withdrawal_max.w());
    }

    fn open_orders(&mut self, engine: &Engine, slot: &Slot, side: Side) {
        let book = engine.slots.book(slot.book);
        let market = engine.registry.market(slot.market);
        let ladder = book.ladder(side);
        self.u32(ladder.ranks().map(|rank| ladder.level(rank).orders).sum());
        for rank in ladder.ranks() {
            for index in queue(&engine.slab, ladder.level(rank)) {
                let order = engine.slab.get(index);
                self.u64(u64::from(order.number));
                self.price(market.price_of(book.rank(side, rank)));
                self.u64(order.leaves);
            }
        }
    }

    fn order(&mut self, engine: &Engine, number: u32, record: &OrderRecord) {
        let slot = engine.slots.slot(record.slot);
        let market = engine.registry.market(slot.market);
        let leaves = record.leaves(number, &engine.slab);
        self.u16(record.platform.get());
        self.u64(record.client_order.get());
        self.u32(record.meter.get());
        self.key(slot.key);
        self.u8(record.side.code());
        self.u8(record.time_in_force.code());
        self.price(market.price_of(record.level_sent));
        self.u64(record.quantity.wh());
        self.i64(record.valid_until.ns());
        self.price(market.price_of(record.level));
        self.u64(record.total - leaves);
        self.u64(leaves);
        self.u64(record.last_replace.get());
    }
}
