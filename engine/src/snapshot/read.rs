//! Bytes to state. Every value is checked before it is used: a damaged snapshot is refused, it does
//! not stop the process.

use types::{
    Action, Allocation, AmendmentTerms, ClientOrderId, Code, ContractTerms, Currency, Delegation,
    DeliverySlot, Digest, Energy, GridLimit, GridPlace, KeyId, Lead, ListKind, MarketControls,
    MarketDefinition, MarketId, Member, MemberList, MeterId, MeterRegistration, Money, NewMarket,
    OfferState, OfferTerms, Operation, OrderList, OwnerId, Party, PartyRegistration, Phase,
    PlaceName, PlatformId, Power, Price, PriceRule, PublicKey, Remark, RetailerId, Role, Scope,
    SelfTradeAction, SelfTradeScope, Seq, SessionId, Side, Sides, Signature, SlotKey, Timestamp,
    TradeId, TradingControl, TradingState, UtilityId,
};

use super::{SnapshotError, Tables};
use crate::{
    aggregates::{Aggregate, Part},
    amendments::{Amended, Holding},
    contracts::Offer,
    engine::Engine,
    grid::Point,
    index::NONE,
    limits::Limits,
    lists::{List, ListState},
    orders::{Extra, MARKET, NOBODY, Order, Place, Traits},
    registry::OWNERS_FROM,
};

type Outcome<T> = Result<T, SnapshotError>;

/// Bytes that are used up.
struct Bytes<'a> {
    all: &'a [u8],
    at: usize,
}

pub(super) fn engine(limits: Limits, snapshot: &[u8]) -> Outcome<Engine> {
    let (tables, at) = Tables::read(snapshot).ok_or(SnapshotError::UnknownFormat)?;
    let mut bytes = Bytes { all: snapshot, at };
    let mut engine = Engine::new(limits);
    engine.last_seq = Seq::new(bytes.u64()?);
    engine.last_time = Timestamp::from_ns(bytes.i64()?);
    engine.trades = bytes.u64()?;
    bytes.registry(&mut engine)?;
    bytes.delegations(&mut engine)?;
    bytes.slots(&mut engine)?;
    bytes.orders(&mut engine)?;
    for slot in 0..engine.slots.len() {
        if engine.slots.slot(slot).book != NONE {
            bytes.book(&mut engine, slot)?;
        }
    }
    bytes.credit(&mut engine)?;
    bytes.lists(&mut engine)?;
    if tables.has(Tables::AGGREGATES) {
        bytes.aggregates(&mut engine)?;
    }
    bytes.check_aggregates(&engine)?;
    if tables.has(Tables::OFFERS) {
        bytes.contracts(&mut engine)?;
    }
    if tables.has(Tables::CHANGES) {
        bytes.changes(&mut engine)?;
        bytes.amended(&mut engine)?;
    }
    if tables.has(Tables::GRID) {
        bytes.grid(&mut engine)?;
    }
    if tables.has(Tables::OPERATIONS) {
        bytes.operations(&mut engine)?;
    }
    if tables.has(Tables::DRAFT) {
        let draft = bytes.market()?;
        engine.operations.put_draft(engine.last_seq, draft);
    }
    let expected = Digest::new(bytes.array()?);
    if bytes.at != snapshot.len() {
        return Err(SnapshotError::TrailingBytes(bytes.at));
    }
    let got = engine.digest();
    if got != expected {
        return Err(SnapshotError::DifferentState { expected, got });
    }
    Ok(engine)
}

impl Bytes<'_> {
    fn operations(&mut self, engine: &mut Engine) -> Outcome<()> {
        for _ in 0..self.u32()? {
            let (operator, number) = (self.u16()?, self.u64()?);
            engine.operations.put_used(operator, number);
        }
        for _ in 0..self.u32()? {
            let (operator, number) = (self.u16()?, self.u64()?);
            let valid_until = Timestamp::from_ns(self.i64()?);
            let reason = self.array()?;
            let reason = self.known(Remark::from_padded(reason))?;
            let action = self.action()?;
            let operation = Operation { operator, number, action, valid_until, reason };
            engine.operations.put_waiting(operation);
        }
        Ok(())
    }

    fn action(&mut self) -> Outcome<Action> {
        let code = self.u8()?;
        let action = if code == Action::SET_TRADING {
            let (kind, number) = (self.u8()?, self.u32()?);
            let scope = self.known(Scope::from_parts(kind, number))?;
            let state = self.u8()?;
            let state = self.known(TradingState::from_code(state))?;
            Some(Action::SetTrading(TradingControl { scope, state }))
        } else if code == Action::BUST {
            Some(Action::Bust(TradeId::new(self.u64()?)))
        } else if code == Action::DEFINE {
            Some(Action::Define(NewMarket {
                market: MarketId::new(self.u16()?),
                uncross_lead: Lead::from_minutes(self.u32()?),
                call_extension_minutes: self.u16()?,
            }))
        } else {
            let (market, start, minutes) = (self.u16()?, self.u32()?, self.u16()?);
            let slot = self.fine(DeliverySlot::new(start, minutes))?;
            Action::of_slot(code, SlotKey { market: MarketId::new(market), slot })
        };
        self.known(action)
    }

    fn grid(&mut self, engine: &mut Engine) -> Outcome<()> {
        for _ in 0..self.u32()? {
            let meter = MeterId::new(self.u32()?);
            let utility = engine.registry.registered(meter).map(|known| known.utility);
            let utility = self.known(utility)?;
            for _ in 0..self.u32()? {
                let point = Point {
                    from_minute: self.u32()?,
                    revision: self.u32()?,
                    zone: self.name()?,
                    feeder: self.name()?,
                };
                engine.grid.put_point(meter, utility, point);
            }
        }
        for _ in 0..self.u32()? {
            let (start, minutes) = (self.u32()?, self.u16()?);
            let slot = self.fine(DeliverySlot::new(start, minutes))?;
            let place = GridPlace {
                utility: UtilityId::new(self.u16()?),
                zone: self.code()?,
                feeder: self.name()?,
            };
            let side = self.u8()?;
            let side = self.known(Side::from_code(side))?;
            let (revision, limit) = (self.u32()?, Energy::from_wh(self.u64()?));
            let number = 0; // Only its event says it.
            engine.enter_limit(&GridLimit { number, place, side, slot, limit, revision });
        }
        Ok(())
    }

    /// A name, or zero bytes.
    fn name(&mut self) -> Outcome<Option<PlaceName>> {
        let padded = self.array()?;
        if padded == [0; 16] { Ok(None) } else { self.fine(Code::from_padded(padded)).map(Some) }
    }

    fn array<const N: usize>(&mut self) -> Outcome<[u8; N]> {
        let rest = self.all.get(self.at..).unwrap_or_default();
        let array = rest.first_chunk().ok_or(SnapshotError::Truncated(self.at))?;
        self.at += N;
        Ok(*array)
    }

    fn u8(&mut self) -> Outcome<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn u16(&mut self) -> Outcome<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Outcome<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Outcome<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn i64(&mut self) -> Outcome<i64> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    fn optional(&mut self) -> Outcome<Option<i64>> {
        let there = self.u8()? != 0;
        let value = self.i64()?;
        Ok(there.then_some(value))
    }

    /// What is not there, or refused, is not a value of a state.
    const fn impossible(&self) -> SnapshotError {
        SnapshotError::Impossible(self.at)
    }

    fn known<T>(&self, value: Option<T>) -> Outcome<T> {
        value.ok_or_else(|| self.impossible())
    }

    fn fine<T, E>(&self, value: Result<T, E>) -> Outcome<T> {
        value.map_err(|_| self.impossible())
    }

    fn code<const N: usize>(&mut self) -> Outcome<Code<N>> {
        let padded = self.array()?;
        self.fine(Code::from_padded(padded))
    }

    fn registry(&mut self, engine: &mut Engine) -> Outcome<()> {
        for _ in 0..self.u32()? {
            let market = self.market()?;
            self.fine(engine.registry.define_market(&market))?;
            let controls = self.controls(market.market)?;
            self.fine(engine.registry.set_controls(&controls))?;
            let last = self.optional()?.map(Price::from_micros);
            let index = engine.registry.market_index(market.market);
            let index = self.known(index)?;
            engine.registry.market_mut(index).last_auction_price = last;
        }
        for _ in 0..self.u32()? {
            let party = self.party()?;
            self.fine(engine.registry.register_party(&party))?;
        }
        for _ in 0..self.u32()? {
            let meter = self.meter()?;
            self.fine(engine.registry.register_meter(&meter))?;
        }
        for _ in 0..self.u32()? {
            let (kind, number, state) = (self.u8()?, self.u32()?, self.u8()?);
            let scope = self.known(Scope::from_parts(kind, number))?;
            let state = self.known(TradingState::from_code(state))?;
            self.fine(engine.registry.set_trading(TradingControl { scope, state }))?;
        }
        Ok(())
    }

    fn delegations(&mut self, engine: &mut Engine) -> Outcome<()> {
        for _ in 0..self.u32()? {
            let (meter, number) = (MeterId::new(self.u32()?), self.u64()?);
            self.known(engine.registry.meter(meter))?;
            if self.u8()? == 0 {
                engine.delegations.end(meter, number);
            } else {
                let delegation = self.delegation(meter, number)?;
                engine.delegations.enter(&delegation);
            }
        }
        Ok(())
    }

    fn delegation(&mut self, meter: MeterId, number: u64) -> Outcome<Delegation> {
        Ok(Delegation {
            number,
            meter,
            platform: PlatformId::new(self.u16()?),
            market: MarketId::new(self.u16()?),
            sides: {
                let code = self.u8()?;
                self.known(Sides::from_code(code))?
            },
            quantity_max: Energy::from_wh(self.u64()?),
            buy_limit: Price::from_micros(self.i64()?),
            sell_limit: Price::from_micros(self.i64()?),
            valid_from: Timestamp::from_ns(self.i64()?),
            valid_until: Timestamp::from_ns(self.i64()?),
            key: KeyId::new(self.u64()?),
        })
    }

    fn market(&mut self) -> Outcome<MarketDefinition> {
        Ok(MarketDefinition {
            market: MarketId::new(self.u16()?),
            area: self.code()?,
            time_zone: self.code()?,
            currency: {
                let (code, digits) = (self.array()?, self.u8()?);
                self.fine(Currency::new(code, digits))?
            },
            slot_minutes: self.u16()?,
            price_min: Price::from_micros(self.i64()?),
            price_max: Price::from_micros(self.i64()?),
            tick: Price::from_micros(self.i64()?),
            lot: Energy::from_wh(self.u64()?),
            quantity_max: Energy::from_wh(self.u64()?),
            opening_lead: Lead::from_minutes(self.u32()?),
            gate_lead: Lead::from_minutes(self.u32()?),
            price_rule: {
                let code = self.u8()?;
                self.known(PriceRule::from_code(code))?
            },
        })
    }

    fn controls(&mut self, market: MarketId) -> Outcome<MarketControls> {
        let codes: [u8; 3] = self.array()?;
        let [scope, action, allocation] = codes;
        Ok(MarketControls {
            market,
            self_trade_scope: self.known(SelfTradeScope::from_code(scope))?,
            self_trade: self.known(SelfTradeAction::from_code(action))?,
            allocation: self.known(Allocation::from_code(allocation))?,
            quantity_min: Energy::from_wh(self.u64()?),
            value_max: Money::from_minor(self.i64()?),
            collar: Price::from_micros(self.i64()?),
            dynamic_band: Price::from_micros(self.i64()?),
            executions_max: self.u32()?,
            freeze_min_s: self.u16()?,
            freeze_max_s: self.u16()?,
        })
    }

    fn party(&mut self) -> Outcome<PartyRegistration> {
        let role = self.u8()?;
        let role = self.known(Role::from_code(role))?;
        Ok(PartyRegistration {
            party: Party { role, number: self.u16()? },
            code: self.code()?,
            key: PublicKey::new(self.array()?),
        })
    }

    fn meter(&mut self) -> Outcome<MeterRegistration> {
        Ok(MeterRegistration {
            meter: MeterId::new(self.u32()?),
            code: self.code()?,
            platform: PlatformId::new(self.u16()?),
            retailer: RetailerId::new(self.u16()?),
            utility: UtilityId::new(self.u16()?),
            owner: OwnerId::new(self.u32()?),
            key: PublicKey::new(self.array()?),
            injection_max: Power::from_w(self.u32()?),
            withdrawal_max: Power::from_w(self.u32()?),
        })
    }

    fn slots(&mut self, engine: &mut Engine) -> Outcome<()> {
        for index in 0..self.u32()? {
            let market_index = self.u16()?;
            let (start, minutes) = (self.u32()?, self.u16()?);
            let slot = self.fine(DeliverySlot::new(start, minutes))?;
            let known = usize::from(market_index) < engine.registry.markets_in_order().len();
            let market = self.known(known.then(|| engine.registry.market(market_index)))?;
            let key = SlotKey { market: market.definition.market, slot };
            self.known(market.fits(slot).then_some(()))?;
            self.fine(engine.slots.open(key, market_index, market))?;
            let phase = self.u8()?;
            let phase = self.known(Phase::from_code(phase))?;
            let uncross_at = Timestamp::from_ns(self.i64()?);
            let last_price = self.optional()?.map(Price::from_micros);
            let extended = self.u8()? != 0;
            let slot = engine.slots.slot_mut(index);
            slot.phase = phase;
            slot.uncross_at = uncross_at;
            slot.last_price = last_price;
            slot.extended = extended;
            if phase == Phase::Closed {
                engine.slots.close(index);
            }
        }
        Ok(())
    }

    fn orders(&mut self, engine: &mut Engine) -> Outcome<()> {
        for _ in 0..self.u32()? {
            let (order, extra) = self.order(engine)?;
            let platform = order.platform;
            let known = engine.client_ids.find(&engine.orders, platform, order.client_order);
            let vacancy = self.known(known.err())?;
            let number = engine.orders.put(order, extra);
            engine.client_ids.insert(&engine.orders, vacancy);
            if extra.expires.ns() != 0 && !order.is_done() {
                engine.expiries.push(extra.expires, number);
            }
            let slot = engine.slots.slot(order.slot);
            if slot.book == NONE {
                continue;
            }
            let side = order.side();
            let book = engine.slots.book_mut(slot.book);
            let more = self.known(order.leaves.checked_add(order.filled))?;
            if !order.traits.has(Traits::AGGREGATE) {
                let used = book.used_mut(order.meter, side);
                *used = self.known(used.checked_add(more))?;
            }
            if !order.is_done() {
                book.rare.add(order.traits);
            }
            if matches!(order.place(), Place::Asleep | Place::Waiting) {
                book.outside.insert(number);
            }
            if order.group != 0 && !order.is_done() {
                *book.open_mut(order.group, side) += 1;
            }
        }
        Ok(())
    }

    fn order(&mut self, engine: &Engine) -> Outcome<(Order, Extra)> {
        let mut order = Order {
            client_order: ClientOrderId::new(self.u64()?),
            valid_until: Timestamp::from_ns(self.i64()?),
            quantity: self.u32()?,
            leaves: self.u32()?,
            filled: self.u32()?,
            meter: MeterId::new(self.u32()?),
            level: self.u32()?,
            slot: self.u32()?,
            session: SessionId::new(self.u32()?),
            group: self.u32()?,
            platform: PlatformId::new(self.u16()?),
            ..Order::UNUSED
        };
        order.set_state_bits(self.u8()?);
        order.traits = Traits::from_bits(self.u8()?);
        let extra = self.extra()?;
        let known_slot = order.slot < engine.slots.len();
        let slot = self.known(known_slot.then(|| engine.slots.slot(order.slot)))?;
        let levels = engine.registry.market(slot.market).levels;
        let fits = |level| level == MARKET || level < levels;
        let is_aggregate = order.traits.has(Traits::AGGREGATE) && order.meter.get() == 0;
        let is_sound = (is_aggregate || engine.registry.meter(order.meter).is_some())
            && fits(order.level)
            && fits(extra.level_sent)
            && order.is_done() == (order.leaves == 0)
            && (order.is_done() || slot.book != NONE);
        if is_sound { Ok((order, extra)) } else { Err(self.impossible()) }
    }

    fn extra(&mut self) -> Outcome<Extra> {
        let has_more = self.u8()? != 0;
        let extra = Extra { level_sent: self.u32()?, ..Extra::NONE };
        if !has_more {
            return Ok(extra);
        }
        Ok(Extra {
            last_replace: ClientOrderId::new(self.u64()?),
            expires: Timestamp::from_ns(self.i64()?),
            display: self.u32()?,
            shown: self.u32()?,
            minimum: self.u32()?,
            list: self.u32()?,
            ..extra
        })
    }

    fn book(&mut self, engine: &mut Engine, slot: u32) -> Outcome<()> {
        let book = engine.slots.slot(slot).book;
        for side in [Side::Buy, Side::Sell] {
            for _ in 0..self.u32()? {
                let number = self.queued(engine, slot)?;
                let order = engine.orders.get(number);
                // An order that is linked already would close a ring.
                if order.side() != side || order.next != NOBODY || order.prev != NOBODY {
                    return Err(self.impossible());
                }
                let rank = engine.slots.book(book).rank(side, order.level);
                let ladder = engine.slots.book_mut(book).ladder_mut(side);
                if ladder.level(rank).head == number {
                    return Err(self.impossible());
                }
                ladder.push(&mut engine.orders, rank, number);
            }
        }
        for _ in 0..self.u32()? {
            let (meter, count) = (MeterId::new(self.u32()?), self.u32()?);
            self.known(engine.registry.meter(meter))?;
            *engine.slots.book_mut(book).executions_mut(meter) = count;
        }
        Ok(())
    }

    /// The number of an order of this slot that is in a queue.
    fn queued(&mut self, engine: &Engine, slot: u32) -> Outcome<u32> {
        let number = self.u32()?;
        let known = (1..=engine.orders.len()).contains(&number);
        let order = self.known(known.then(|| engine.orders.get(number)))?;
        let fits = order.slot == slot && order.place() == Place::Queue;
        if fits { Ok(number) } else { Err(self.impossible()) }
    }

    fn credit(&mut self, engine: &mut Engine) -> Outcome<()> {
        for _ in 0..self.u32()? {
            let (market, platform) = (self.u16()?, PlatformId::new(self.u16()?));
            let limit = self.optional()?.map(Money::from_minor);
            let owed = i128::from_le_bytes(self.array()?);
            let known = usize::from(market) < engine.registry.markets_in_order().len();
            let definition = self.known(known.then(|| engine.registry.market(market)))?.definition;
            if let Some(limit) = limit {
                let set = types::CreditLimit { platform, market: definition.market, limit };
                let per_minor = definition.currency.nanos_per_minor();
                self.fine(engine.credit.set_limit(market, &set, per_minor, 0))?;
            }
            engine.credit.account_mut(market, platform).owed = owed;
        }
        for number in 1..=engine.orders.len() {
            let order = *engine.orders.get(number);
            if !order.is_done() {
                let reserves = engine.reserves(&order);
                let market = engine.slots.slot(order.slot).market;
                if let Some(reserved) = engine.credit.reserved_mut(market, order.platform) {
                    *reserved += reserves;
                }
            }
        }
        Ok(())
    }

    fn contracts(&mut self, engine: &mut Engine) -> Outcome<()> {
        engine.contracts.made = self.u64()?;
        for _ in 0..self.u32()? {
            let number = self.u64()?;
            let offer = self.offer(engine, Self::contract_terms)?;
            self.put_offer(engine, number, offer)?;
            if offer.state == OfferState::Agreed
                && let OfferTerms::Contract(terms) = offer.terms
            {
                let wh = self.fine(u32::try_from(terms.quantity.wh()))?;
                let parties = [terms.buyer, terms.seller];
                self.hold(engine, parties, offer.slots[0], |used| used.checked_add(wh))?;
            }
        }
        Ok(())
    }

    fn changes(&mut self, engine: &mut Engine) -> Outcome<()> {
        for _ in 0..self.u32()? {
            let number = self.u64()?;
            let offer = self.offer(engine, Self::amendment_terms)?;
            self.put_offer(engine, number, offer)?;
        }
        Ok(())
    }

    fn put_offer(&self, engine: &mut Engine, number: u64, offer: Offer) -> Outcome<()> {
        let is_given = number >= 1 && number <= engine.contracts.made;
        self.known(is_given.then_some(()))?;
        for side in [Side::Buy, Side::Sell] {
            self.known(engine.registry.meter(offer.terms.meter(side)))?;
        }
        self.known(engine.contracts.put(number, offer).then_some(()))
    }

    /// An offer with its terms, which are read with the first slot at hand.
    fn offer(
        &mut self,
        engine: &Engine,
        terms: impl Fn(&mut Self, &Engine, u32) -> Outcome<(OfferTerms, u32)>,
    ) -> Outcome<Offer> {
        let slot = self.u32()?;
        let [offered_by, state] = self.array()?;
        let offered_by = self.known(Side::from_code(offered_by))?;
        let state = self.known(OfferState::from_code(state))?;
        let (offerer, invited) = (PlatformId::new(self.u16()?), PlatformId::new(self.u16()?));
        let offered_as = ClientOrderId::new(self.u64()?);
        let trade = TradeId::new(self.u64()?);
        let signature = Signature::new(self.array()?);
        let (terms, other) = terms(self, engine, slot)?;
        let slots = [slot, other];
        Ok(Offer {
            terms,
            slots,
            offered_by,
            offerer,
            offered_as,
            invited,
            signature,
            state,
            trade,
        })
    }

    fn contract_terms(&mut self, engine: &Engine, slot: u32) -> Outcome<(OfferTerms, u32)> {
        let terms = ContractTerms {
            key: self.open_slot(engine, slot)?,
            buyer: MeterId::new(self.u32()?),
            seller: MeterId::new(self.u32()?),
            price: Price::from_micros(self.i64()?),
            quantity: Energy::from_wh(self.u64()?),
            reference: self.u64()?,
            expires: Timestamp::from_ns(self.i64()?),
        };
        Ok((OfferTerms::Contract(terms), slot))
    }

    fn amendment_terms(&mut self, engine: &Engine, slot: u32) -> Outcome<(OfferTerms, u32)> {
        let other = self.u32()?;
        let terms = AmendmentTerms {
            key: self.open_slot(engine, slot)?,
            new_slot: self.open_slot(engine, other)?.slot,
            trade: TradeId::new(self.u64()?),
            version: self.u32()?,
            buyer: MeterId::new(self.u32()?),
            seller: MeterId::new(self.u32()?),
            price: Price::from_micros(self.i64()?),
            quantity: Energy::from_wh(self.u64()?),
            new_quantity: Energy::from_wh(self.u64()?),
            reference: self.u64()?,
            expires: Timestamp::from_ns(self.i64()?),
        };
        Ok((OfferTerms::Amendment(terms), other))
    }

    fn open_slot(&self, engine: &Engine, slot: u32) -> Outcome<SlotKey> {
        let is_open = slot < engine.slots.len() && engine.slots.slot(slot).book != NONE;
        self.known(is_open.then(|| engine.slots.slot(slot).key))
    }

    fn amended(&mut self, engine: &mut Engine) -> Outcome<()> {
        for _ in 0..self.u32()? {
            let trade = TradeId::new(self.u64()?);
            let version = self.u32()?;
            let (buyer, seller) = (MeterId::new(self.u32()?), MeterId::new(self.u32()?));
            let price = Price::from_micros(self.i64()?);
            let (made, now) = (self.holding(engine)?, self.holding(engine)?);
            for meter in [buyer, seller] {
                self.known(engine.registry.meter(meter))?;
            }
            self.hold(engine, [buyer, seller], now.slot, |used| used.checked_add(now.wh))?;
            self.hold(engine, [buyer, seller], made.slot, |used| used.checked_sub(made.wh))?;
            let amended = Amended { version, buyer, seller, price, made, now };
            engine.amended.put(trade, amended);
        }
        Ok(())
    }

    fn holding(&mut self, engine: &Engine) -> Outcome<Holding> {
        let (slot, wh) = (self.u32()?, self.u32()?);
        self.known((slot < engine.slots.len()).then_some(Holding { slot, wh }))
    }

    /// Changes what both parties of a trade hold in a slot, if it is open.
    fn hold(
        &self,
        engine: &mut Engine,
        [buyer, seller]: [MeterId; 2],
        slot: u32,
        change: impl Fn(u32) -> Option<u32>,
    ) -> Outcome<()> {
        let book = engine.slots.slot(slot).book;
        if book == NONE {
            return Ok(());
        }
        for (meter, side) in [(buyer, Side::Buy), (seller, Side::Sell)] {
            let used = engine.slots.book_mut(book).used_mut(meter, side);
            *used = self.known(change(*used))?;
        }
        Ok(())
    }

    fn lists(&mut self, engine: &mut Engine) -> Outcome<()> {
        for _ in 0..self.u32()? {
            let platform = PlatformId::new(self.u16()?);
            let (kind, orders) = (self.u8()?, self.u8()?);
            let kind = self.known(ListKind::from_code(kind))?;
            let sent = OrderList { kind, orders, number: ClientOrderId::new(self.u64()?) };
            let state = match self.u8()? {
                0 => ListState::Collecting,
                1 => ListState::Waiting,
                2 => ListState::Over,
                _ => return Err(self.impossible()),
            };
            let mut orders = Vec::new();
            for _ in 0..self.u32()? {
                let number = self.u32()?;
                let known = (1..=engine.orders.len()).contains(&number);
                orders.push(self.known(known.then_some(number))?);
            }
            // What waits is open, and so has a book.
            let is_open = |&number: &u32| !engine.orders.get(number).is_done();
            let waits = state == ListState::Waiting;
            self.known((!waits || orders.iter().all(is_open)).then_some(()))?;
            let index = engine.lists.put(List { platform, sent, state, orders });
            if waits {
                engine.wait(index);
            }
        }
        let count = crate::index::next_index(engine.lists.in_order().len());
        let names = |engine: &Engine, order: &Order| {
            !order.traits.has(Traits::LISTED) || engine.orders.extra(order).list < count
        };
        let all_named = engine.orders.iter().all(|(_, order)| names(engine, order));
        if all_named { Ok(()) } else { Err(self.impossible()) }
    }

    fn aggregates(&mut self, engine: &mut Engine) -> Outcome<()> {
        for _ in 0..self.u32()? {
            let platform = PlatformId::new(self.u16()?);
            let list = self.member_list()?;
            engine.aggregates.lists.push(platform, list);
        }
        for _ in 0..self.u32()? {
            let number = self.u32()?;
            let known = (1..=engine.orders.len()).contains(&number);
            let order = *self.known(known.then(|| engine.orders.get(number)))?;
            self.known(order.traits.has(Traits::AGGREGATE).then_some(()))?;
            let aggregate = self.aggregate(engine)?;
            let is_open = engine.slots.slot(order.slot).book != NONE;
            self.known((is_open != aggregate.parts.is_empty()).then_some(()))?;
            if is_open {
                self.hold_members(engine, &order, &aggregate)?;
            }
            engine.aggregates.put(order.slot, number, aggregate);
            if !order.is_done() {
                engine.desk(order.slot).enlist(number, order.side());
            }
        }
        Ok(())
    }

    fn member_list(&mut self) -> Outcome<MemberList> {
        let client_order = ClientOrderId::new(self.u64()?);
        let (pages, last_page) = (self.u16()?, self.u16()?);
        let mut list = MemberList::new(client_order);
        for _ in 0..self.u32()? {
            let member = Member::new(MeterId::new(self.u32()?), self.u32()?);
            self.fine(list.append(&[member]))?;
        }
        list.pages = pages;
        list.last_page = last_page;
        Ok(list)
    }

    fn aggregate(&mut self, engine: &Engine) -> Outcome<Aggregate> {
        let (members, list) = (self.u16()?, Digest::new(self.array()?));
        let mut parts = Vec::new();
        for _ in 0..self.u32()? {
            let meter = MeterId::new(self.u32()?);
            self.known(engine.registry.meter(meter))?;
            let (leaves, filled, group) = (self.u32()?, self.u32()?, self.u32()?);
            parts.push(Part { meter, leaves, filled, group });
        }
        Ok(Aggregate { members, list, parts })
    }

    /// The members of an order of an open slot hold what it has open and filled.
    fn hold_members(
        &self,
        engine: &mut Engine,
        order: &Order,
        aggregate: &Aggregate,
    ) -> Outcome<()> {
        let sum =
            |of: fn(&Part) -> u32| aggregate.parts.iter().map(|part| u64::from(of(part))).sum();
        let sums: [u64; 2] = [sum(|part| part.leaves), sum(|part| part.filled)];
        let agrees = sums == [u64::from(order.leaves), u64::from(order.filled)];
        self.known(agrees.then_some(()))?;
        let book = engine.slots.book_mut(engine.slots.slot(order.slot).book);
        for part in &aggregate.parts {
            let group = part.group.checked_sub(OWNERS_FROM).unwrap_or(part.group);
            self.known((group <= engine.limits.meters_max).then_some(()))?;
            let used = book.used_mut(part.meter, order.side());
            let more = part.leaves.checked_add(part.filled);
            *used = self.known(more.and_then(|more| used.checked_add(more)))?;
        }
        Ok(())
    }

    /// Every aggregate order has its members.
    fn check_aggregates(&self, engine: &Engine) -> Outcome<()> {
        let orders = engine.orders.iter().filter(|(_, o)| o.traits.has(Traits::AGGREGATE));
        let fits = orders.count() == engine.aggregates.iter().len();
        if fits { Ok(()) } else { Err(self.impossible()) }
    }
}
