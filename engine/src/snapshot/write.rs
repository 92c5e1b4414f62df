//! State to bytes: little-endian, lists with their length (`u32`) before them.

use types::{
    Action, AmendmentTerms, ContractTerms, Delegation, MarketControls, MarketDefinition,
    MemberList, MeterRegistration, Operation, PartyRegistration, PlaceName, PlatformId, Price,
    Side, TradeId, TradingControl,
};

use super::Tables;
use crate::{
    aggregates::Aggregate,
    amendments::Amended,
    contracts::Offer,
    engine::Engine,
    index::NONE,
    ladder::queue,
    lists::{List, ListState},
    orders::{Extra, Order},
    slots::Slot,
};

/// Bytes that grow.
pub(super) struct Bytes(Vec<u8>);

pub(super) fn engine(engine: &Engine) -> Vec<u8> {
    let tables = Tables::of(engine);
    let mut bytes = Bytes(tables.head());
    bytes.u64(engine.last_seq.get());
    bytes.i64(engine.last_time.ns());
    bytes.u64(engine.trades);
    bytes.registry(engine);
    bytes.list(engine.delegations.iter(), |bytes, (meter, number, delegation)| {
        bytes.u32(meter.get());
        bytes.u64(number);
        bytes.u8(u8::from(delegation.is_some()));
        if let Some(delegation) = delegation {
            bytes.delegation(delegation);
        }
    });
    bytes.list(engine.slots.iter(), Bytes::slot);
    bytes.list(engine.orders.iter(), |bytes, (_, order)| {
        bytes.order(order);
        bytes.extra(&engine.orders.extra(order));
    });
    for slot in engine.slots.iter().filter(|slot| slot.book != NONE) {
        bytes.book(engine, slot);
    }
    bytes.list(engine.accounts().into_iter(), |bytes, ((market, platform), account)| {
        bytes.u16(market);
        bytes.u16(platform.get());
        bytes.optional(account.limit.map(types::Money::minor));
        bytes.i128(account.owed);
    });
    bytes.list(engine.lists.in_order().iter(), Bytes::order_list);
    if tables.has(Tables::AGGREGATES) {
        bytes.list(engine.aggregates.lists.iter(), Bytes::member_list);
        bytes.list(engine.aggregates.iter(), Bytes::aggregate);
    }
    if tables.has(Tables::OFFERS) {
        bytes.u64(engine.contracts.made);
        bytes.list(engine.offered_contracts(), Bytes::contract);
    }
    if tables.has(Tables::CHANGES) {
        bytes.list(engine.offered_changes(), Bytes::change);
        bytes.list(engine.amended.iter(), Bytes::amended);
    }
    if tables.has(Tables::GRID) {
        bytes.grid(engine);
    }
    if tables.has(Tables::OPERATIONS) {
        bytes.list(engine.operations.used(), |bytes, (operator, number)| {
            bytes.u16(operator);
            bytes.u64(number);
        });
        bytes.list(engine.operations.waiting(), Bytes::operation);
    }
    if let Some(draft) = engine.operations.draft_at(engine.last_seq) {
        bytes.market(draft);
    }
    bytes.0.extend_from_slice(engine.digest().as_bytes());
    bytes.0
}

impl Bytes {
    fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn i64(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn i128(&mut self, value: i128) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn optional(&mut self, value: Option<i64>) {
        self.u8(u8::from(value.is_some()));
        self.i64(value.unwrap_or_default());
    }

    fn list<T>(&mut self, items: impl Iterator<Item = T>, each: impl Fn(&mut Self, T)) {
        let start = self.0.len();
        self.u32(0);
        let mut count: u32 = 0;
        for item in items {
            each(self, item);
            count += 1;
        }
        if let Some(place) = self.0.get_mut(start..start + 4) {
            place.copy_from_slice(&count.to_le_bytes());
        }
    }

    /// Without the meter, which stands before it.
    fn delegation(&mut self, delegation: &Delegation) {
        self.u16(delegation.platform.get());
        self.u16(delegation.market.get());
        self.u8(delegation.sides.code());
        self.u64(delegation.quantity_max.wh());
        self.i64(delegation.buy_limit.micros());
        self.i64(delegation.sell_limit.micros());
        self.i64(delegation.valid_from.ns());
        self.i64(delegation.valid_until.ns());
        self.u64(delegation.key.get());
    }

    fn registry(&mut self, engine: &Engine) {
        let registry = &engine.registry;
        // In the order of their indices, which slots and accounts name.
        self.list(registry.markets_in_order().iter(), |bytes, market| {
            bytes.market(&market.definition);
            bytes.controls(&market.controls);
            bytes.optional(market.last_auction_price.map(Price::micros));
        });
        self.list(registry.parties().iter(), Self::party);
        self.list(registry.meters().iter(), Self::meter);
        self.list(registry.stopped(), |bytes, control| {
            let (kind, number) = control.scope.parts();
            bytes.u8(kind);
            bytes.u32(number);
            bytes.u8(control.state.code());
        });
    }

    fn market(&mut self, market: &MarketDefinition) {
        self.u16(market.market.get());
        self.0.extend_from_slice(market.area.padded());
        self.0.extend_from_slice(market.time_zone.padded());
        self.0.extend_from_slice(market.currency.code().as_bytes());
        self.u8(market.currency.minor_digits());
        self.u16(market.slot_minutes);
        self.i64(market.price_min.micros());
        self.i64(market.price_max.micros());
        self.i64(market.tick.micros());
        self.u64(market.lot.wh());
        self.u64(market.quantity_max.wh());
        self.u32(market.opening_lead.minutes());
        self.u32(market.gate_lead.minutes());
        self.u8(market.price_rule.code());
    }

    fn controls(&mut self, controls: &MarketControls) {
        self.u8(controls.self_trade_scope.code());
        self.u8(controls.self_trade.code());
        self.u8(controls.allocation.code());
        self.u64(controls.quantity_min.wh());
        self.i64(controls.value_max.minor());
        self.i64(controls.collar.micros());
        self.i64(controls.dynamic_band.micros());
        self.u32(controls.executions_max);
        self.u16(controls.freeze_min_s);
        self.u16(controls.freeze_max_s);
    }

    fn party(&mut self, party: &PartyRegistration) {
        self.u8(party.party.role.code());
        self.u16(party.party.number);
        self.0.extend_from_slice(party.code.padded());
        self.0.extend_from_slice(party.key.as_bytes());
    }

    fn meter(&mut self, meter: &MeterRegistration) {
        self.u32(meter.meter.get());
        self.0.extend_from_slice(meter.code.padded());
        self.u16(meter.platform.get());
        self.u16(meter.retailer.get());
        self.u16(meter.utility.get());
        self.u32(meter.owner.get());
        self.0.extend_from_slice(meter.key.as_bytes());
        self.u32(meter.injection_max.w());
        self.u32(meter.withdrawal_max.w());
    }

    fn slot(&mut self, slot: &Slot) {
        self.u16(slot.market);
        self.u32(slot.key.slot.start_minute());
        self.u16(slot.key.slot.minutes());
        self.u8(slot.phase.code());
        self.i64(slot.uncross_at.ns());
        self.optional(slot.last_price.map(Price::micros));
        self.u8(u8::from(slot.extended));
    }

    fn order(&mut self, order: &Order) {
        self.u64(order.client_order.get());
        self.i64(order.valid_until.ns());
        self.u32(order.quantity);
        self.u32(order.leaves);
        self.u32(order.filled);
        self.u32(order.meter.get());
        self.u32(order.level);
        self.u32(order.slot);
        self.u32(order.session.get());
        self.u32(order.group);
        self.u16(order.platform.get());
        self.u8(order.state_bits());
        self.u8(order.traits.bits());
    }

    /// 9 bytes of every order, 40 of those that have one: most have none.
    fn extra(&mut self, extra: &Extra) {
        let has_more = *extra != Extra { level_sent: extra.level_sent, ..Extra::NONE };
        self.u8(u8::from(has_more));
        self.u32(extra.level_sent);
        if has_more {
            self.u64(extra.last_replace.get());
            self.i64(extra.expires.ns());
            self.u32(extra.display);
            self.u32(extra.shown);
            self.u32(extra.minimum);
            self.u32(extra.list);
        }
    }

    /// Queues from the best level on, and counted trades.
    fn book(&mut self, engine: &Engine, slot: &Slot) {
        let book = engine.slots.book(slot.book);
        for side in [Side::Buy, Side::Sell] {
            let ladder = book.ladder(side);
            let lines = ladder.ranks().flat_map(|rank| queue(&engine.orders, ladder.level(rank)));
            self.list(lines, |bytes, (number, _)| bytes.u32(number));
        }
        self.list(book.all_executions(), |bytes, (meter, count)| {
            bytes.u32(meter);
            bytes.u32(count);
        });
    }

    /// An offer without its terms.
    fn offer(&mut self, number: u64, offer: &Offer) {
        self.u64(number);
        self.u32(offer.slots[0]);
        self.u8(offer.offered_by.code());
        self.u8(offer.state.code());
        self.u16(offer.offerer.get());
        self.u16(offer.invited.get());
        self.u64(offer.offered_as.get());
        self.u64(offer.trade.get());
        self.0.extend_from_slice(offer.signature.as_bytes());
    }

    fn contract(&mut self, (number, offer, terms): (u64, &Offer, &ContractTerms)) {
        self.offer(number, offer);
        self.u32(terms.buyer.get());
        self.u32(terms.seller.get());
        self.i64(terms.price.micros());
        self.u64(terms.quantity.wh());
        self.u64(terms.reference);
        self.i64(terms.expires.ns());
    }

    fn change(&mut self, (number, offer, terms): (u64, &Offer, &AmendmentTerms)) {
        self.offer(number, offer);
        self.u32(offer.slots[1]);
        self.u64(terms.trade.get());
        self.u32(terms.version);
        self.u32(terms.buyer.get());
        self.u32(terms.seller.get());
        self.i64(terms.price.micros());
        self.u64(terms.quantity.wh());
        self.u64(terms.new_quantity.wh());
        self.u64(terms.reference);
        self.i64(terms.expires.ns());
    }

    fn amended(&mut self, (trade, amended): (TradeId, &Amended)) {
        self.u64(trade.get());
        self.u32(amended.version);
        self.u32(amended.buyer.get());
        self.u32(amended.seller.get());
        self.i64(amended.price.micros());
        for holding in [amended.made, amended.now] {
            self.u32(holding.slot);
            self.u32(holding.wh);
        }
    }

    fn member_list(&mut self, (platform, list): (PlatformId, &MemberList)) {
        self.u16(platform.get());
        self.u64(list.client_order.get());
        self.u16(list.pages);
        self.u16(list.last_page);
        self.list(list.members().iter(), |bytes, member| {
            bytes.u32(member.meter.get());
            bytes.u32(member.wh());
        });
    }

    fn aggregate(&mut self, (number, aggregate): (u32, &Aggregate)) {
        self.u32(number);
        self.u16(aggregate.members);
        self.0.extend_from_slice(aggregate.list.as_bytes());
        self.list(aggregate.parts.iter(), |bytes, part| {
            bytes.u32(part.meter.get());
            bytes.u32(part.leaves);
            bytes.u32(part.filled);
            bytes.u32(part.group);
        });
    }

    fn operation(&mut self, operation: &Operation) {
        self.u16(operation.operator);
        self.u64(operation.number);
        self.i64(operation.valid_until.ns());
        self.0.extend_from_slice(operation.reason.padded());
        self.action(&operation.action);
    }

    fn action(&mut self, action: &Action) {
        self.u8(action.code());
        match action {
            Action::SetTrading(TradingControl { scope, state }) => {
                let (kind, number) = scope.parts();
                self.u8(kind);
                self.u32(number);
                self.u8(state.code());
            }
            Action::Bust(trade) => self.u64(trade.get()),
            Action::Slot(_, key) => {
                self.u16(key.market.get());
                self.u32(key.slot.start_minute());
                self.u16(key.slot.minutes());
            }
            Action::Define(new) => {
                self.u16(new.market.get());
                self.u32(new.uncross_lead.minutes());
                self.u16(new.call_extension_minutes);
            }
        }
    }

    /// What places have is counted anew.
    fn grid(&mut self, engine: &Engine) {
        self.list(engine.grid.places(), |bytes, (meter, points)| {
            bytes.u32(meter.get());
            bytes.list(points.iter(), |bytes, point| {
                bytes.u32(point.from_minute);
                bytes.u32(point.revision);
                bytes.name(point.zone);
                bytes.name(point.feeder);
            });
        });
        let limits = engine.grid.limits(engine.last_time);
        self.list(limits, |bytes, (slot, place, side, (revision, limit))| {
            bytes.u32(slot.start_minute());
            bytes.u16(slot.minutes());
            bytes.u16(place.utility.get());
            bytes.name(Some(place.zone));
            bytes.name(place.feeder);
            bytes.u8(side.code());
            bytes.u32(revision);
            bytes.u64(limit);
        });
    }

    fn name(&mut self, name: Option<PlaceName>) {
        self.0.extend_from_slice(&name.map_or([0; 16], |name| *name.padded()));
    }

    fn order_list(&mut self, list: &List) {
        self.u16(list.platform.get());
        self.u8(list.sent.kind.code());
        self.u8(list.sent.orders);
        self.u64(list.sent.number.get());
        self.u8(match list.state {
            ListState::Collecting => 0,
            ListState::Waiting => 1,
            ListState::Over => 2,
        });
        self.list(list.orders.iter(), |bytes, &number| bytes.u32(number));
    }
}
