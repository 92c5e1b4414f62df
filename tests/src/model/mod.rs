//! The slow, obvious engine: one list of orders, searched from the beginning for every question.
//!
//! It shares nothing with the real one but the types, the limits and the SHA-256 function. Where
//! the two disagree on an event or a digest, one of them is wrong.
#![expect(clippy::indexing_slicing, clippy::expect_used, reason = "a model may panic")]

mod auction;
mod digest;
pub mod history;

use std::collections::BTreeMap;

pub use auction::{Priced, price_by_brute_force};
use engine::Limits;
use types::{
    CancelOrder, CancelReason, ClientOrderId, Command, CommandRejected, Energy, Event,
    MarketDefinition, MarketId, MeterRegistration, NewOrder, OrderAccepted, OrderCancelled,
    OrderId, OrderRejected, OrderReplaced, OrderRestated, Origin, Party, PartyRegistration, Phase,
    PlatformId, Price, RejectReason, Request, Role, Seq, Sequenced, Side, SignedNewOrder,
    SignedReplaceOrder, SlotKey, SlotPhaseChanged, TimeInForce, Timestamp, Trade, TradeId,
    TradeSide,
};

/// An order, open or done.
#[derive(Debug, Clone, Copy)]
struct Order {
    platform: PlatformId,
    sent: NewOrder,
    limit: Price,
    last_replace: ClientOrderId,
    filled: u64,
    leaves: u64,
    /// Who came first: smaller is earlier. Given anew when an order goes to the tail.
    place: u64,
    /// Whether it can be found in its book.
    rests: bool,
}

/// A market and the price of its last auction.
#[derive(Debug, Clone, Copy)]
struct Market {
    definition: MarketDefinition,
    last_auction_price: Option<Price>,
}

/// The model. See [`Model::apply`].
#[derive(Debug)]
pub struct Model {
    limits: Limits,
    last_seq: Seq,
    last_time: Timestamp,
    markets: BTreeMap<MarketId, Market>,
    parties: BTreeMap<Party, PartyRegistration>,
    meters: Vec<MeterRegistration>,
    slots: BTreeMap<SlotKey, Phase>,
    orders: Vec<Order>,
    trades: u64,
    places: u64,
}

type Outcome = Result<(), RejectReason>;

impl Model {
    /// A model before its first command.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            last_seq: Seq::ZERO,
            last_time: Timestamp::from_ns(i64::MIN),
            markets: BTreeMap::new(),
            parties: BTreeMap::new(),
            meters: Vec::new(),
            slots: BTreeMap::new(),
            orders: Vec::new(),
            trades: 0,
            places: 0,
        }
    }

    /// The same contract as `engine::Engine::apply`.
    pub fn apply(&mut self, command: &Sequenced<Command>, events: &mut Vec<Event>) {
        self.last_seq = command.seq;
        self.last_time = command.time;
        let mut caused = Vec::new();
        let outcome = match &command.value {
            Command::DefineMarket(market) => self.define_market(market, &mut caused),
            Command::RegisterParty(party) => self.register_party(party, &mut caused),
            Command::RegisterMeter(meter) => self.register_meter(meter, &mut caused),
            Command::OpenSlot(key) => self.open_slot(*key, &mut caused),
            Command::UncrossSlot(key) => self.uncross_slot(*key, &mut caused),
            Command::CloseSlot(key) => self.close_slot(*key, &mut caused),
            Command::NewOrder(signed) => {
                self.new_order(signed, &mut caused);
                Ok(())
            }
            Command::CancelOrder(cancel) => {
                self.cancel(cancel, &mut caused);
                Ok(())
            }
            Command::ReplaceOrder(signed) => {
                self.replace(signed, &mut caused);
                Ok(())
            }
        };
        match outcome {
            Ok(()) => events.append(&mut caused),
            Err(reason) => events.push(Event::CommandRejected(CommandRejected { reason })),
        }
    }

    /// How many orders rest.
    #[must_use]
    pub fn open_orders(&self) -> usize {
        self.orders.iter().filter(|order| order.rests).count()
    }

    fn define_market(&mut self, new: &MarketDefinition, events: &mut Vec<Event>) -> Outcome {
        refuse_if(new.check().is_err(), RejectReason::InvalidMarket)?;
        if let Some(known) = self.markets.get(&new.market) {
            refuse_if(known.definition != *new, RejectReason::AlreadyRegistered)?;
        } else {
            let full = self.markets.len() == usize::from(self.limits.markets_max);
            refuse_if(full, RejectReason::RegistryFull)?;
            let market = Market { definition: *new, last_auction_price: None };
            self.markets.insert(new.market, market);
        }
        events.push(Event::MarketDefined(*new));
        Ok(())
    }

    fn register_party(&mut self, new: &PartyRegistration, events: &mut Vec<Event>) -> Outcome {
        if let Some(known) = self.parties.get(&new.party) {
            refuse_if(known != new, RejectReason::AlreadyRegistered)?;
        } else {
            let full = self.parties.len() == usize::from(self.limits.parties_max);
            refuse_if(full, RejectReason::RegistryFull)?;
            self.parties.insert(new.party, *new);
        }
        events.push(Event::PartyRegistered(*new));
        Ok(())
    }

    fn register_meter(&mut self, new: &MeterRegistration, events: &mut Vec<Event>) -> Outcome {
        if let Some(known) = self.meters.iter().find(|known| known.meter == new.meter) {
            refuse_if(known != new, RejectReason::AlreadyRegistered)?;
        } else {
            let count = u32::try_from(self.meters.len()).expect("few meters");
            refuse_if(new.meter.get() != count + 1, RejectReason::MeterNotNext)?;
            refuse_if(count == self.limits.meters_max, RejectReason::RegistryFull)?;
            for (role, number) in [
                (Role::Platform, new.platform.get()),
                (Role::Retailer, new.retailer.get()),
                (Role::Utility, new.utility.get()),
            ] {
                let known = self.parties.contains_key(&Party { role, number });
                refuse_if(!known, RejectReason::UnknownParty)?;
            }
            self.meters.push(*new);
        }
        events.push(Event::MeterRegistered(*new));
        Ok(())
    }

    /// The market of a slot that fits it.
    fn market_of(&self, key: SlotKey) -> Result<Market, RejectReason> {
        let market = *self.markets.get(&key.market).ok_or(RejectReason::UnknownMarket)?;
        let minutes = market.definition.slot_minutes;
        let grid = if minutes > 30 { 30 } else { u32::from(minutes) };
        let fits = key.slot.minutes() == minutes && key.slot.start_minute().is_multiple_of(grid);
        refuse_if(!fits, RejectReason::SlotMisaligned)?;
        Ok(market)
    }

    fn open_slot(&mut self, key: SlotKey, events: &mut Vec<Event>) -> Outcome {
        let market = self.market_of(key)?;
        let gate = market.definition.gate_closes_after(key.slot);
        refuse_if(self.last_time > gate, RejectReason::GateClosed)?;
        refuse_if(self.slots.contains_key(&key), RejectReason::AlreadyRegistered)?;
        let open = self.slots.values().filter(|&&phase| phase != Phase::Closed).count();
        let slots_max = usize::try_from(self.limits.slots_max).expect("fits");
        refuse_if(open == slots_max, RejectReason::RegistryFull)?;
        self.enter_phase(key, Phase::Call, events);
        Ok(())
    }

    fn uncross_slot(&mut self, key: SlotKey, events: &mut Vec<Event>) -> Outcome {
        let market = self.market_of(key)?;
        let phase = *self.slots.get(&key).ok_or(RejectReason::SlotNotOpen)?;
        let gate = market.definition.gate_closes_after(key.slot);
        refuse_if(self.last_time > gate, RejectReason::GateClosed)?;
        refuse_if(phase != Phase::Call, RejectReason::WrongPhase)?;
        let result = self.auction(key, &market);
        events.push(Event::AuctionUncrossed(result));
        if let Some(price) = result.price {
            let buys = self.queue(key, Side::Buy);
            let sells = self.queue(key, Side::Sell);
            let mut left = result.volume.wh();
            let (mut buy, mut sell) = (0, 0);
            while left > 0 {
                let (b, s) = (buys[buy], sells[sell]);
                let quantity = self.orders[b].leaves.min(self.orders[s].leaves);
                self.trade(key, price, quantity, (b, s), None, events);
                left -= quantity;
                buy += usize::from(self.orders[b].leaves == 0);
                sell += usize::from(self.orders[s].leaves == 0);
            }
            let market = self.markets.get_mut(&key.market).expect("it was found above");
            market.last_auction_price = Some(price);
        }
        self.enter_phase(key, Phase::Continuous, events);
        Ok(())
    }

    fn close_slot(&mut self, key: SlotKey, events: &mut Vec<Event>) -> Outcome {
        self.market_of(key)?;
        let phase = *self.slots.get(&key).ok_or(RejectReason::SlotNotOpen)?;
        refuse_if(phase == Phase::Closed, RejectReason::WrongPhase)?;
        for at in 0..self.orders.len() {
            let order = self.orders[at];
            if order.rests && order.sent.key == key {
                self.cancel_leaves(at, order.sent.client_order, CancelReason::GateClosed, events);
            }
        }
        self.enter_phase(key, Phase::Closed, events);
        Ok(())
    }

    fn enter_phase(&mut self, key: SlotKey, phase: Phase, events: &mut Vec<Event>) {
        self.slots.insert(key, phase);
        events.push(Event::SlotPhaseChanged(SlotPhaseChanged { key, phase }));
    }

    fn new_order(&mut self, signed: &SignedNewOrder, events: &mut Vec<Event>) {
        let origin = signed.origin;
        let sent = signed.order;
        let client_order = sent.client_order;
        let authority = self.check_authority(origin, sent.meter, sent.valid_until);
        let known = self.orders.iter().position(|order| {
            order.platform == origin.platform && order.sent.client_order == client_order
        });
        // What was accepted once is answered, whatever has expired since.
        if let Some(at) = known
            && self.orders[at].sent == sent
        {
            return events.push(Event::OrderRestated(OrderRestated {
                origin,
                client_order,
                order: order_id(at),
                filled: Energy::from_wh(self.orders[at].filled),
                leaves: Energy::from_wh(self.orders[at].leaves),
            }));
        }
        let checked = authority.and_then(|()| self.check_new(&sent, known.is_some()));
        if let Err(reason) = checked {
            let request = Request::New;
            let rejected = OrderRejected { origin, client_order, request, reason };
            return events.push(Event::OrderRejected(rejected));
        }
        let at = self.orders.len();
        self.orders.push(Order {
            platform: origin.platform,
            sent,
            limit: sent.limit,
            last_replace: ClientOrderId::new(0),
            filled: 0,
            leaves: sent.quantity.wh(),
            place: 0,
            rests: false,
        });
        events.push(Event::OrderAccepted(OrderAccepted {
            origin,
            client_order,
            order: order_id(at),
            meter: sent.meter,
            key: sent.key,
            side: sent.side,
            limit: sent.limit,
            quantity: sent.quantity,
        }));
        self.enter(at, client_order, events);
    }

    fn check_authority(
        &self,
        origin: Origin,
        meter: types::MeterId,
        valid_until: Timestamp,
    ) -> Outcome {
        let meter = self.meters.iter().find(|known| known.meter == meter);
        let meter = meter.ok_or(RejectReason::UnknownMeter)?;
        refuse_if(meter.platform != origin.platform, RejectReason::NotAuthorised)?;
        refuse_if(self.last_time > valid_until, RejectReason::SignatureExpired)
    }

    fn check_new(&self, sent: &NewOrder, name_is_taken: bool) -> Outcome {
        let key = sent.key;
        let market = self.market_of(key)?.definition;
        let phase = self.slots.get(&key).copied();
        let past = self.last_time > market.gate_closes_after(key.slot);
        let early = self.last_time < market.opens_at(key.slot);
        refuse_if(!past && (early || phase.is_none()), RejectReason::SlotNotOpen)?;
        refuse_if(past || phase == Some(Phase::Closed), RejectReason::GateClosed)?;
        let in_call = phase == Some(Phase::Call);
        let immediate = sent.time_in_force == TimeInForce::ImmediateOrCancel;
        refuse_if(in_call && immediate, RejectReason::WrongPhase)?;
        check_quantity_and_price(&market, sent.quantity.wh(), sent.limit)?;
        refuse_if(name_is_taken, RejectReason::DuplicateClientOrder)?;
        self.check_capacity(sent, sent.quantity.wh())?;
        let against = self.orders.iter().any(|order| {
            order.rests
                && order.sent.key == key
                && order.sent.meter == sent.meter
                && order.sent.side != sent.side
        });
        refuse_if(in_call && against, RejectReason::SelfTrade)?;
        let orders_max = usize::try_from(self.limits.orders_max).expect("fits");
        let book_orders_max = usize::try_from(self.limits.book_orders_max).expect("fits");
        let in_book = self.orders.iter().filter(|order| order.rests && order.sent.key == key);
        let full = self.open_orders() >= orders_max || in_book.count() >= book_orders_max;
        refuse_if(full, RejectReason::OrderLimitReached)
    }

    fn check_capacity(&self, sent: &NewOrder, more: u64) -> Outcome {
        let same = self.orders.iter().filter(|order| {
            order.sent.key == sent.key
                && order.sent.meter == sent.meter
                && order.sent.side == sent.side
        });
        let used: u128 =
            same.map(|order| u128::from(order.filled) + u128::from(order.leaves)).sum();
        let meter = self.meters.iter().find(|meter| meter.meter == sent.meter);
        let meter = meter.expect("authority was checked");
        let power = match sent.side {
            Side::Buy => meter.withdrawal_max,
            Side::Sell => meter.injection_max,
        };
        let capacity = u128::from(power.w()) * u128::from(sent.key.slot.minutes()) / 60;
        refuse_if(used + u128::from(more) > capacity, RejectReason::CapacityExceeded)
    }

    fn cancel(&mut self, cancel: &CancelOrder, events: &mut Vec<Event>) {
        let (origin, client_order) = (cancel.origin, cancel.client_order);
        match self.check_cancel(cancel) {
            Ok(at) => self.cancel_leaves(at, client_order, CancelReason::Requested, events),
            Err(reason) => {
                let request = Request::Cancel;
                let rejected = OrderRejected { origin, client_order, request, reason };
                events.push(Event::OrderRejected(rejected));
            }
        }
    }

    fn check_cancel(&self, cancel: &CancelOrder) -> Result<usize, RejectReason> {
        let at = self.position(cancel.order).ok_or(RejectReason::UnknownOrder)?;
        let order = self.orders[at];
        refuse_if(order.platform != cancel.origin.platform, RejectReason::NotAuthorised)?;
        self.check_can_change(&order)?;
        Ok(at)
    }

    fn check_can_change(&self, order: &Order) -> Outcome {
        let key = order.sent.key;
        let market = self.markets[&key.market].definition;
        let past = self.last_time > market.gate_closes_after(key.slot);
        refuse_if(past || self.slots[&key] == Phase::Closed, RejectReason::GateClosed)?;
        refuse_if(!order.rests, RejectReason::UnknownOrder)
    }

    fn replace(&mut self, signed: &SignedReplaceOrder, events: &mut Vec<Event>) {
        let (origin, replace) = (signed.origin, signed.replace);
        if let Some(at) = self.repeated_replace(signed) {
            return events.push(Event::OrderRestated(OrderRestated {
                origin,
                client_order: replace.client_order,
                order: replace.order,
                filled: Energy::from_wh(self.orders[at].filled),
                leaves: Energy::from_wh(self.orders[at].leaves),
            }));
        }
        let at = match self.check_replace(signed) {
            Ok(at) => at,
            Err(reason) => {
                let client_order = replace.client_order;
                let request = Request::Replace;
                let rejected = OrderRejected { origin, client_order, request, reason };
                return events.push(Event::OrderRejected(rejected));
            }
        };
        let quantity = replace.quantity.wh();
        let order = &mut self.orders[at];
        let kept_place = order.limit == replace.limit && quantity <= order.leaves;
        order.limit = replace.limit;
        order.last_replace = replace.client_order;
        order.leaves = quantity;
        order.rests = kept_place;
        events.push(Event::OrderReplaced(OrderReplaced {
            origin,
            client_order: replace.client_order,
            order: replace.order,
            limit: replace.limit,
            leaves: replace.quantity,
            kept_place,
        }));
        if !kept_place {
            self.enter(at, replace.client_order, events);
        }
    }

    /// The order whose last replacement this is, sent once more by someone who may.
    fn repeated_replace(&self, signed: &SignedReplaceOrder) -> Option<usize> {
        let replace = signed.replace;
        let at = self.position(replace.order)?;
        let order = self.orders[at];
        let meter = self.meters.iter().find(|known| known.meter == replace.meter)?;
        let own = meter.platform == signed.origin.platform && order.sent.meter == replace.meter;
        let again = replace.client_order == order.last_replace && order.last_replace.get() != 0;
        (own && again).then_some(at)
    }

    fn check_replace(&self, signed: &SignedReplaceOrder) -> Result<usize, RejectReason> {
        let replace = signed.replace;
        let authority = self.check_authority(signed.origin, replace.meter, replace.valid_until);
        let at = self.position(replace.order);
        let other = at.is_some_and(|at| self.orders[at].sent.meter != replace.meter);
        if authority != Err(RejectReason::UnknownMeter) {
            refuse_if(other, RejectReason::NotAuthorised)?;
        }
        authority?;
        let at = at.ok_or(RejectReason::UnknownOrder)?;
        let order = self.orders[at];
        self.check_can_change(&order)?;
        let market = self.markets[&order.sent.key.market].definition;
        let quantity = replace.quantity.wh();
        check_quantity_and_price(&market, quantity, replace.limit)?;
        refuse_if(replace.client_order <= order.last_replace, RejectReason::DuplicateClientOrder)?;
        if quantity > order.leaves {
            self.check_capacity(&order.sent, quantity - order.leaves)?;
        }
        Ok(at)
    }

    /// Matches order `at` if its slot is in the continuous phase; rests or cancels what is left.
    fn enter(&mut self, at: usize, request: ClientOrderId, events: &mut Vec<Event>) {
        let order = self.orders[at];
        let key = order.sent.key;
        let side = order.sent.side;
        if self.slots[&key] == Phase::Continuous {
            for maker in self.queue(key, side.opposite()) {
                let resting = self.orders[maker];
                let reaches = match side {
                    Side::Buy => resting.limit <= order.limit,
                    Side::Sell => resting.limit >= order.limit,
                };
                if !reaches || self.orders[at].leaves == 0 {
                    break;
                }
                if resting.sent.meter == order.sent.meter {
                    return self.cancel_leaves(at, request, CancelReason::SelfTrade, events);
                }
                let quantity = resting.leaves.min(self.orders[at].leaves);
                let pair = match side {
                    Side::Buy => (at, maker),
                    Side::Sell => (maker, at),
                };
                self.trade(key, resting.limit, quantity, pair, Some(side.opposite()), events);
            }
        }
        if self.orders[at].leaves == 0 {
            return;
        }
        match order.sent.time_in_force {
            TimeInForce::UntilGate => {
                self.places += 1;
                self.orders[at].place = self.places;
                self.orders[at].rests = true;
            }
            TimeInForce::ImmediateOrCancel => {
                self.cancel_leaves(at, request, CancelReason::ImmediateOrCancel, events);
            }
        }
    }

    fn trade(
        &mut self,
        key: SlotKey,
        price: Price,
        quantity: u64,
        (buy, sell): (usize, usize),
        maker: Option<Side>,
        events: &mut Vec<Event>,
    ) {
        for at in [buy, sell] {
            let order = &mut self.orders[at];
            order.filled += quantity;
            order.leaves -= quantity;
            order.rests = order.rests && order.leaves > 0;
        }
        self.trades += 1;
        events.push(Event::Trade(Trade {
            trade: TradeId::new(self.trades),
            key,
            price,
            quantity: Energy::from_wh(quantity),
            buy: self.trade_side(buy),
            sell: self.trade_side(sell),
            maker,
        }));
    }

    fn trade_side(&self, at: usize) -> TradeSide {
        let order = &self.orders[at];
        TradeSide {
            order: order_id(at),
            client_order: order.sent.client_order,
            meter: order.sent.meter,
            platform: order.platform,
            leaves: Energy::from_wh(order.leaves),
        }
    }

    fn cancel_leaves(
        &mut self,
        at: usize,
        client_order: ClientOrderId,
        reason: CancelReason,
        events: &mut Vec<Event>,
    ) {
        let order = &mut self.orders[at];
        events.push(Event::OrderCancelled(OrderCancelled {
            platform: order.platform,
            client_order,
            order: order_id(at),
            leaves: Energy::from_wh(order.leaves),
            reason,
        }));
        order.leaves = 0;
        order.rests = false;
    }

    /// Positions of the resting orders of one side, in priority order.
    fn queue(&self, key: SlotKey, side: Side) -> Vec<usize> {
        let mut queue: Vec<usize> = (0..self.orders.len())
            .filter(|&at| {
                let order = &self.orders[at];
                order.rests && order.sent.key == key && order.sent.side == side
            })
            .collect();
        queue.sort_by_key(|&at| {
            let order = &self.orders[at];
            let worse = match side {
                Side::Buy => -i128::from(order.limit.micros()),
                Side::Sell => i128::from(order.limit.micros()),
            };
            (worse, order.place)
        });
        queue
    }

    fn position(&self, order: OrderId) -> Option<usize> {
        let at = usize::try_from(order.get()).ok()?.checked_sub(1)?;
        (at < self.orders.len()).then_some(at)
    }
}

fn check_quantity_and_price(market: &MarketDefinition, wh: u64, limit: Price) -> Outcome {
    let off_lot = wh == 0 || !wh.is_multiple_of(market.lot.wh());
    refuse_if(off_lot, RejectReason::QuantityNotOnLot)?;
    refuse_if(wh > market.quantity_max.wh(), RejectReason::QuantityAboveMaximum)?;
    let outside = limit < market.price_min || limit > market.price_max;
    refuse_if(outside, RejectReason::PriceOutsideBand)?;
    let above = i128::from(limit.micros()) - i128::from(market.price_min.micros());
    refuse_if(above % i128::from(market.tick.micros()) != 0, RejectReason::PriceNotOnTick)
}

fn refuse_if(broken: bool, reason: RejectReason) -> Outcome {
    if broken { Err(reason) } else { Ok(()) }
}

fn order_id(at: usize) -> OrderId {
    OrderId::new(u64::try_from(at + 1).expect("few orders"))
}
