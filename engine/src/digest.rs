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
//! **State**: the bytes `gridcross state 2\n`; then
//! 1. last sequence number, last time, number of the last order accepted (`u64`), number of the
//!    last trade (`u64`), each the shard's zero before the first;
//! 2. count of markets and, by number: each definition field by field; one byte for whether there
//!    is a last auction price and that price or 0; the controls field by field;
//! 3. count of parties and, by role and number: role, number, code, key;
//! 4. count of meters and each registration, field by field;
//! 5. count of scopes that may not trade and, by kind and number: kind, number (`u32`), state;
//! 6. count of slots ever opened and, by key: key, phase; unless closed: whether the present call
//!    was extended, one byte for whether there is a last price and that price or 0, the instant of
//!    the auction of a frozen slot or 0; for buys and for sells the count of orders in queues and,
//!    in priority order, number (`u64`), limit, open quantity, quantity in view; the count of
//!    orders outside and, by number, number (`u64`) and open quantity; the count of meters with
//!    counted trades and, by number, number and count;
//! 7. count of credit accounts with a limit or anything in use and, by platform and market:
//!    platform, market, one byte for whether there is a limit and that limit or 0 in minor units
//!    (`i64`), reserved and owed in nano-currency (`i128`);
//! 8. count of lists ever begun and, by platform and number: platform, number, kind, how many orders
//!    it has (`u8`), how many arrived (`u8`), state (0 collecting, 1 waiting, 2 over);
//! 9. each order ever accepted, by number: platform, session, the fields of the new order as sent,
//!    then the limit now, filled and open quantity, the platform's number of the last replacement
//!    or 0, the self-trade group (kind: 0 none, 1 meter, 2 owner; number or 0);
//! 10. only where any meter ever had a delegation or revocation: their count and, by number: number,
//!     number of the last of them (`u64`), one byte for whether there is a delegation, and it, field
//!     by field;
//! 11. only where a contract was ever offered: how many there were (`u64`), the count of offers that are
//!     remembered and, by number: number (`u64`), state, side that offers, platform that offers, its
//!     number of the request, platform that is invited, trade or 0 (`u64`), the signature, the terms: slot
//!     key, buyer, seller, price, quantity, reference (`u64`), last instant. Remembered are contracts of
//!     slots that are not closed and, of the same, other offers whose last instant has not passed;
//! 12. only where an offer of a change is remembered or a changed trade known: the count of such offers and,
//!     by number: as in 11 up to the signature, the terms: trade (`u64`), version (`u32`), slot key, buyer,
//!     seller, price, quantity, new slot key, new quantity, reference (`u64`), last instant; the count of
//!     changed trades and, by number: number (`u64`), version (`u32`), buyer, seller, price, slot key and
//!     quantity as it was made, slot key and quantity as it is. An offer is remembered as in 11 while
//!     neither of its slots is closed, a trade until the slots are in which it was made and is;
//! 13. only where an aggregate order was ever accepted or a list of members waits for its order: the count of
//!     those lists and, by platform, the oldest first: platform, number of the order to come, count of pages
//!     (`u16`), members of the last page (`u16`), count of members and of each meter and quantity (`u32`); the
//!     count of aggregate orders and, by number: number (`u64`), how many members (`u16`), hash of the list,
//!     and, unless the slot is closed, of each member meter, open and filled quantity and self-trade group;
//! 14. only where a utility ever said where a meter hangs, or a limit of the grid is in force: the count of
//!     such meters and, by number: number, the count of moments and, by time: minute (`u32`), revision
//!     (`u32`), zone and feeder (text, or zero); the count of limits in force, those of slots that have not
//!     begun, and, by slot, place and side: start minute, minutes, utility, zone, feeder (or zero), side,
//!     revision (`u32`), limit;
//! 15. only where an operator ever ordered something: the count of operators and, by operator: number, highest
//!     number of an operation (`u64`); the count of operations that wait for a second operator, with those that
//!     lapsed since the last one that was taken, and, by operator and number: operator, number (`u64`), last instant, reason
//!     (48 bytes), code of the action (`u8`), and scope kind (`u8`), scope number (`u32`), state (`u8`), or slot key;
//! 16. only directly after a command that brings the definition of a market for the operation to come: that, as in 2.
//!
//! The meter of an aggregate order is 0. The limit of a market order is 0. Numbers of orders and trades are those that events name.

use sha2::{Digest as _, Sha256};
use types::{
    Action, Conditions, Delegation, Digest, MarketControls, MarketDefinition, MeterRegistration,
    OfferId, OrderList, PartyRegistration, Phase, PlaceName, PlatformId, Price, Side, SlotKey,
    TradingControl,
};

use crate::{
    book::Book,
    contracts::Offer,
    credit::Account,
    engine::Engine,
    index::next_index,
    ladder::queue,
    lists::{List, ListState},
    orders::Order,
    registry::{Market, OWNERS_FROM},
    slots::Slot,
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
    for side in [Side::Buy, Side::Sell] {
        let ladder = book.ladder(side);
        listing.u32(next_index(ladder.ranks().count()));
        for rank in ladder.ranks() {
            let level = ladder.level(rank);
            listing.price(market.limit_of(book.level(side, rank)));
            listing.u64(level.quantity);
            listing.u32(level.orders);
        }
    }
    listing.finish()
}

/// Digest of everything. See the module's description.
pub(crate) fn state_digest(engine: &Engine) -> Digest {
    let mut listing = Listing::new(b"gridcross state 2\n");
    listing.u64(engine.last_seq.get());
    listing.i64(engine.last_time.ns());
    let numbers_from = engine.limits.numbers_from();
    listing.u64(numbers_from + u64::from(engine.orders.len()));
    listing.u64(numbers_from + engine.trades);
    listing.registry(engine);
    let mut slots: Vec<&Slot> = engine.slots.iter().collect();
    slots.sort_unstable_by_key(|slot| slot.key);
    listing.u32(next_index(slots.len()));
    for slot in slots {
        listing.slot(engine, slot);
    }
    listing.credit(engine);
    listing.u32(next_index(engine.lists.iter().count()));
    for list in engine.lists.iter() {
        listing.list(list);
    }
    for (_, order) in engine.orders.iter() {
        listing.order(engine, order);
    }
    // A state without delegations says the same as before there were any.
    let delegations = next_index(engine.delegations.iter().count());
    if delegations > 0 {
        listing.u32(delegations);
    }
    for (meter, number, delegation) in engine.delegations.iter() {
        listing.u32(meter.get());
        listing.u64(number);
        listing.u8(u8::from(delegation.is_some()));
        if let Some(delegation) = delegation {
            listing.delegation(delegation);
        }
    }
    // Nor does one without contracts, and one of which no change is known.
    if engine.contracts.made > 0 {
        listing.offers(engine);
    }
    if engine.knows_changes() {
        listing.amendments(engine);
    }
    // Nor does one without aggregate orders.
    if !engine.aggregates.is_empty() {
        listing.aggregates(engine);
    }
    // Nor one without a grid.
    if !engine.grid.is_empty(engine.last_time) {
        listing.grid(engine);
    }
    if !engine.operations.is_empty() {
        listing.operations(engine);
    }
    if let Some(draft) = engine.operations.draft_at(engine.last_seq) {
        listing.market(draft);
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

    fn i128(&mut self, value: i128) {
        self.0.update(value.to_le_bytes());
    }

    /// One byte for whether there is a value, and the value or 0.
    fn optional(&mut self, value: Option<i64>) {
        self.u8(u8::from(value.is_some()));
        self.i64(value.unwrap_or_default());
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

    fn registry(&mut self, engine: &Engine) {
        let registry = &engine.registry;
        self.u32(next_index(registry.markets().count()));
        for market in registry.markets() {
            self.market(&market.definition);
            self.optional(market.last_auction_price.map(Price::micros));
            self.controls(&market.controls);
        }
        self.u32(next_index(registry.parties().len()));
        for party in registry.parties() {
            self.party(party);
        }
        self.u32(next_index(registry.meters().len()));
        for meter in registry.meters() {
            self.meter(meter);
        }
        self.u32(next_index(registry.stopped().count()));
        for control in registry.stopped() {
            let (kind, number) = control.scope.parts();
            self.u8(kind);
            self.u32(number);
            self.u8(control.state.code());
        }
    }

    fn controls(&mut self, controls: &MarketControls) {
        self.u8(controls.self_trade_scope.code());
        self.u8(controls.self_trade.code());
        self.u8(controls.allocation.code());
        self.u64(controls.quantity_min.wh());
        self.i64(controls.value_max.minor());
        self.price(controls.collar);
        self.price(controls.dynamic_band);
        self.u32(controls.executions_max);
        self.u16(controls.freeze_min_s);
        self.u16(controls.freeze_max_s);
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
        self.u32(meter.owner.get());
        self.0.update(meter.key.as_bytes());
        self.u32(meter.injection_max.w());
        self.u32(meter.withdrawal_max.w());
    }

    fn slot(&mut self, engine: &Engine, slot: &Slot) {
        self.key(slot.key);
        self.u8(slot.phase.code());
        if slot.phase == Phase::Closed {
            return;
        }
        self.u8(u8::from(slot.extended));
        self.optional(slot.last_price.map(Price::micros));
        self.i64(if slot.phase == Phase::Frozen { slot.uncross_at.ns() } else { 0 });
        let book = engine.slots.book(slot.book);
        let market = engine.registry.market(slot.market);
        for side in [Side::Buy, Side::Sell] {
            self.u32(book.ladder(side).orders());
            for rank in book.ladder(side).ranks() {
                for (number, order) in queue(&engine.orders, book.ladder(side).level(rank)) {
                    self.u64(engine.orders.id(number).get());
                    self.price(market.limit_of(book.level(side, rank)));
                    self.u64(u64::from(order.leaves));
                    self.u64(u64::from(engine.orders.in_view(order)));
                }
            }
        }
        self.u32(next_index(book.outside.len()));
        for &number in &book.outside {
            self.u64(engine.orders.id(number).get());
            self.u64(u64::from(engine.orders.get(number).leaves));
        }
        self.u32(next_index(book.all_executions().count()));
        for (meter, count) in book.all_executions() {
            self.u32(meter);
            self.u32(count);
        }
    }

    fn credit(&mut self, engine: &Engine) {
        let number_of = |index| engine.registry.market(index).definition.market.get();
        let mut accounts: Vec<(PlatformId, u16, Account)> = engine
            .accounts()
            .into_iter()
            .map(|((market, platform), account)| (platform, number_of(market), account))
            .collect();
        accounts.sort_unstable_by_key(|&(platform, market, _)| (platform, market));
        self.u32(next_index(accounts.len()));
        for (platform, market, account) in accounts {
            self.u16(platform.get());
            self.u16(market);
            self.optional(account.limit.map(types::Money::minor));
            self.i128(account.reserved);
            self.i128(account.owed);
        }
    }

    fn list(&mut self, list: &List) {
        self.u16(list.platform.get());
        self.u64(list.sent.number.get());
        self.u8(list.sent.kind.code());
        self.u8(list.sent.orders);
        self.u8(list.orders.iter().fold(0, |count, _| count + 1));
        self.u8(match list.state {
            ListState::Collecting => 0,
            ListState::Waiting => 1,
            ListState::Over => 2,
        });
    }

    fn order(&mut self, engine: &Engine, order: &Order) {
        let slot = engine.slots.slot(order.slot);
        let market = engine.registry.market(slot.market);
        let extra = engine.orders.extra(order);
        self.u16(order.platform.get());
        self.u32(order.session.get());
        self.u64(order.client_order.get());
        self.u32(order.meter.get());
        self.key(slot.key);
        self.u8(order.side().code());
        self.u8(order.kind().code());
        self.u8(order.time_in_force().code());
        self.price(market.limit_of(extra.level_sent));
        self.u64(u64::from(order.quantity));
        self.i64(order.valid_until.ns());
        self.conditions(&engine.conditions(order));
        self.sent_list(&engine.list_of(order));
        self.price(market.limit_of(order.level));
        self.u64(u64::from(order.filled));
        self.u64(u64::from(order.leaves));
        self.u64(extra.last_replace.get());
        self.group(order.group);
    }

    fn group(&mut self, group: u32) {
        let (kind, number) = match (group, group.checked_sub(OWNERS_FROM)) {
            (0, _) => (0, 0),
            (_, Some(owner)) => (2, owner),
            (meter, None) => (1, meter),
        };
        self.u8(kind);
        self.u32(number);
    }

    fn aggregates(&mut self, engine: &Engine) {
        self.u32(next_index(engine.aggregates.lists.iter().count()));
        for (platform, list) in engine.aggregates.lists.iter() {
            self.u16(platform.get());
            self.u64(list.client_order.get());
            self.u16(list.pages);
            self.u16(list.last_page);
            self.u32(next_index(list.members().len()));
            for member in list.members() {
                self.u32(member.meter.get());
                self.u32(member.wh());
            }
        }
        self.u32(next_index(engine.aggregates.iter().len()));
        for (number, aggregate) in engine.aggregates.iter() {
            self.u64(engine.orders.id(number).get());
            self.u16(aggregate.members);
            self.0.update(aggregate.list.as_bytes());
            for part in &aggregate.parts {
                self.u32(part.meter.get());
                self.u64(u64::from(part.leaves));
                self.u64(u64::from(part.filled));
                self.group(part.group);
            }
        }
    }

    fn conditions(&mut self, conditions: &Conditions) {
        self.u8(conditions.flags());
        self.u64(conditions.display.wh());
        self.u64(conditions.minimum.wh());
        self.i64(conditions.expires.ns());
    }

    fn delegation(&mut self, delegation: &Delegation) {
        self.u64(delegation.number);
        self.u32(delegation.meter.get());
        self.u16(delegation.platform.get());
        self.u16(delegation.market.get());
        self.u8(delegation.sides.code());
        self.u64(delegation.quantity_max.wh());
        self.price(delegation.buy_limit);
        self.price(delegation.sell_limit);
        self.i64(delegation.valid_from.ns());
        self.i64(delegation.valid_until.ns());
        self.u64(delegation.key.get());
    }

    fn grid(&mut self, engine: &Engine) {
        self.u32(next_index(engine.grid.places().len()));
        for (meter, points) in engine.grid.places() {
            self.u32(meter.get());
            self.u32(next_index(points.len()));
            for point in points {
                self.u32(point.from_minute);
                self.u32(point.revision);
                self.name(point.zone);
                self.name(point.feeder);
            }
        }
        self.u32(next_index(engine.grid.limits(engine.last_time).count()));
        for (slot, place, side, (revision, limit)) in engine.grid.limits(engine.last_time) {
            self.u32(slot.start_minute());
            self.u16(slot.minutes());
            self.u16(place.utility.get());
            self.name(Some(place.zone));
            self.name(place.feeder);
            self.u8(side.code());
            self.u32(revision);
            self.u64(limit);
        }
    }

    fn operations(&mut self, engine: &Engine) {
        let operations = &engine.operations;
        self.u32(next_index(operations.used().count()));
        for (operator, number) in operations.used() {
            self.u16(operator);
            self.u64(number);
        }
        self.u32(next_index(operations.waiting().count()));
        for operation in operations.waiting() {
            self.u16(operation.operator);
            self.u64(operation.number);
            self.i64(operation.valid_until.ns());
            self.0.update(operation.reason.padded());
            self.u8(operation.action.code());
            match operation.action {
                Action::SetTrading(TradingControl { scope, state }) => {
                    let (kind, number) = scope.parts();
                    self.u8(kind);
                    self.u32(number);
                    self.u8(state.code());
                }
                Action::Bust(trade) => self.u64(trade.get()),
                Action::Slot(_, key) => self.key(key),
                Action::Define(new) => {
                    self.u16(new.market.get());
                    self.u32(new.uncross_lead.minutes());
                    self.u16(new.call_extension_minutes);
                }
            }
        }
    }

    fn name(&mut self, name: Option<PlaceName>) {
        self.0.update(name.map_or([0; 16], |name| *name.padded()));
    }

    fn offers(&mut self, engine: &Engine) {
        self.u64(engine.contracts.made);
        let offers: Vec<_> = engine.offered_contracts().collect();
        self.u32(next_index(offers.len()));
        for (number, offer, terms) in offers {
            self.offer(engine.offer_id(number), offer);
            self.key(terms.key);
            self.u32(terms.buyer.get());
            self.u32(terms.seller.get());
            self.price(terms.price);
            self.u64(terms.quantity.wh());
            self.u64(terms.reference);
            self.i64(terms.expires.ns());
        }
    }

    /// An offer without its terms.
    fn offer(&mut self, number: OfferId, offer: &Offer) {
        self.u64(number.get());
        self.u8(offer.state.code());
        self.u8(offer.offered_by.code());
        self.u16(offer.offerer.get());
        self.u64(offer.offered_as.get());
        self.u16(offer.invited.get());
        self.u64(offer.trade.get());
        self.0.update(offer.signature.as_bytes());
    }

    fn amendments(&mut self, engine: &Engine) {
        let offers: Vec<_> = engine.offered_changes().collect();
        self.u32(next_index(offers.len()));
        for (number, offer, terms) in offers {
            self.offer(engine.offer_id(number), offer);
            self.u64(terms.trade.get());
            self.u32(terms.version);
            self.key(terms.key);
            self.u32(terms.buyer.get());
            self.u32(terms.seller.get());
            self.price(terms.price);
            self.u64(terms.quantity.wh());
            self.key(terms.new_key());
            self.u64(terms.new_quantity.wh());
            self.u64(terms.reference);
            self.i64(terms.expires.ns());
        }
        self.u32(next_index(engine.amended.iter().count()));
        for (trade, amended) in engine.amended.iter() {
            self.u64(trade.get());
            self.u32(amended.version);
            self.u32(amended.buyer.get());
            self.u32(amended.seller.get());
            self.price(amended.price);
            for holding in [amended.made, amended.now] {
                self.key(engine.slots.slot(holding.slot).key);
                self.u64(u64::from(holding.wh));
            }
        }
    }

    fn sent_list(&mut self, list: &OrderList) {
        self.u8(list.kind.code());
        self.u8(list.orders);
        self.u64(list.number.get());
    }
}
