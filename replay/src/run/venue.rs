//! Where the messages of other venues are traded: one market whose delivery slots are the books.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
};

use types::{
    ClientOrderId, Command, Conditions, DeliverySlot, Energy, Event, Lead, MarketControls, MeterId,
    NewOrder, OrderId, OrderKind, OrderList, OrderRequest, Party, PartyRegistration, Price,
    PublicKey, ReduceOrder, Role, SelfTradeAction, Sequenced, Side, Signature, SignedNewOrder,
    SlotKey, TimeInForce, Timestamp, Trade,
};

use crate::{
    import::{Action, Loss, Message, Stay},
    stage::{MARKET, ORIGIN, code, market, meter},
};

/// What its market, parties and meters are called.
const NAME: &str = "import";
/// Books are whole days.
const SLOT_MINUTES: u16 = 1_440;
/// From the first message to the first delivery: ten years, so that no gate closes on a log.
const LEAD_MINUTES: u32 = 5_256_000;
/// Slots that an engine holds, less a few.
const BOOKS_MAX: u32 = 1_000;
/// Who trades: orders go to them by account, or in turn. Each may trade 103,079,215,080 lots a book.
const METERS: u32 = 1_000;

/// How prices become levels of a ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Band {
    /// So many levels, the first price of each book in their middle.
    Around {
        /// How many; at most [`types::market::LEVELS_MAX`].
        levels: u32,
    },
    /// From one tick to so many, in every book.
    From1 {
        /// How many.
        levels: u32,
    },
}

impl Band {
    const fn levels(self) -> u32 {
        match self {
            Self::Around { levels } | Self::From1 { levels } => levels,
        }
    }
}

/// An order of the file that is open, or on its way to the engine.
#[derive(Debug, Clone, Copy)]
struct Open {
    /// Unknown until the engine has accepted it.
    order: Option<OrderId>,
    book: u32,
    side: Side,
    /// In ticks.
    price: i64,
}

/// What the file says an order of ours must meet.
#[derive(Debug, Clone, Copy)]
struct Expected {
    client_order: u64,
    maker: OrderId,
    quantity: u64,
}

/// Executions of the file, compared with the fills of the engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Executions {
    /// The same resting order, at the same price, as much.
    pub equal: u64,
    /// Anything else.
    pub different: u64,
}

/// Spreads numbers over a table; they are looked up and never listed.
#[derive(Debug, Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

type Table<V> = HashMap<u64, V, BuildHasherDefault<Spread>>;

/// See the module's description.
#[derive(Debug)]
pub(super) struct Venue {
    band: Band,
    /// Minute of the first slot.
    first_minute: u32,
    /// What is taken off the ticks of each open book to get its level.
    books: Vec<Option<i64>>,
    /// Orders by their number in the file.
    open: Table<Open>,
    /// Numbers in the file by the engine's.
    named: Table<u64>,
    /// The last own number given.
    client_order: u64,
    /// Own numbers and numbers in the file of orders whose acceptance has not been seen.
    fresh: VecDeque<(u64, u64)>,
    expected: VecDeque<Expected>,
    pub(super) executions: Executions,
}

impl Venue {
    /// A venue for messages from `first` on.
    pub(super) fn new(band: Band, first: i64) -> Self {
        const MINUTE_NS: i64 = 60_000_000_000;
        let minute = u32::try_from(first.div_euclid(MINUTE_NS)).unwrap_or(0);
        let day = minute.saturating_add(LEAD_MINUTES).div_ceil(u32::from(SLOT_MINUTES));
        Self {
            band,
            first_minute: day.saturating_mul(u32::from(SLOT_MINUTES)),
            books: Vec::new(),
            open: Table::default(),
            named: Table::default(),
            client_order: 0,
            fresh: VecDeque::new(),
            expected: VecDeque::new(),
            executions: Executions::default(),
        }
    }

    /// What makes the market.
    pub(super) fn opening(&self) -> Vec<Command> {
        let mut commands = vec![Command::DefineMarket(market(
            NAME,
            SLOT_MINUTES,
            Lead::from_minutes(2 * LEAD_MINUTES),
            self.band.levels(),
        ))];
        let self_trade = SelfTradeAction::Allow;
        let controls = MarketControls { self_trade, ..MarketControls::standard(MARKET) };
        commands.push(Command::SetControls(controls));
        commands.extend([Role::Platform, Role::Retailer, Role::Utility].map(|role| {
            let (party, key) = (Party { role, number: 1 }, PublicKey::new([0; 32]));
            Command::RegisterParty(PartyRegistration { party, code: code(NAME), key })
        }));
        commands.extend((1..=METERS).map(|number| Command::RegisterMeter(meter(NAME, number))));
        commands
    }

    /// Whether a message names an order whose number the engine has not told yet.
    pub(super) fn must_wait_for(&self, action: &Action) -> bool {
        let id = match action {
            Action::New { .. } => return false,
            Action::Cancel { id }
            | Action::Reduce { id, .. }
            | Action::Replace { id, .. }
            | Action::Execute { id, .. } => id,
        };
        self.open.get(id).is_some_and(|open| open.order.is_none())
    }

    /// The commands that a message becomes; what opens its book comes before them.
    pub(super) fn commands(
        &mut self,
        message: &Message,
        load: &mut dyn FnMut(Command),
    ) -> Result<(), Loss> {
        let Message { book, action, .. } = *message;
        match action {
            Action::New { id, side, price, quantity, account, stay } => {
                if stay != Stay::Market {
                    self.open_book(book, price, load)?;
                }
                if stay == Stay::Rests && self.open.contains_key(&id) {
                    return Err(Loss::DuplicateOrder);
                }
                let order = self.order(book, side, price, quantity, stay)?;
                load(self.send(order, account));
                if stay == Stay::Rests {
                    self.follow(id, book, side, price);
                }
            }
            Action::Cancel { id } => {
                let (order, _) = self.known(id)?;
                load(self.cancel(order));
            }
            Action::Reduce { id, by } => {
                let (order, _) = self.known(id)?;
                let client_order = self.number();
                let by = Energy::from_wh(by);
                load(Command::ReduceOrder(ReduceOrder { origin: ORIGIN, client_order, order, by }));
            }
            Action::Replace { id, new_id, price, quantity } => {
                let (order, open) = self.known(id)?;
                load(self.cancel(order));
                // The new one may have the number of the old.
                self.forget(id);
                if self.open.contains_key(&new_id) {
                    return Err(Loss::DuplicateOrder);
                }
                let new = self.order(open.book, open.side, price, quantity, Stay::Rests)?;
                load(self.send(new, 0));
                self.follow(new_id, open.book, open.side, price);
            }
            Action::Execute { id, quantity } => {
                let (maker, open) = self.known(id)?;
                let side = open.side.opposite();
                let order = self.order(open.book, side, open.price, quantity, Stay::Immediate)?;
                load(self.send(order, 0));
                let client_order = self.client_order;
                self.expected.push_back(Expected { client_order, maker, quantity });
            }
        }
        Ok(())
    }

    /// Learns the numbers of orders that entered, and which ones are gone.
    pub(super) fn observe(&mut self, command: &Sequenced<Command>, events: &[Event]) {
        if let Command::NewOrder(signed) = &command.value {
            let sent = signed.order.client_order.get();
            if let Some(&(client_order, id)) = self.fresh.front()
                && client_order == sent
            {
                self.fresh.pop_front();
                self.entered(id, events);
            }
            if let Some(&expected) = self.expected.front()
                && expected.client_order == sent
            {
                self.expected.pop_front();
                self.compare(&expected, events);
            }
        }
        for event in events {
            if let Event::Trade(trade) = event {
                for side in [&trade.buy, &trade.sell] {
                    if side.leaves.is_zero() {
                        self.gone(side.order);
                    }
                }
            } else if let Event::OrderCancelled(cancelled) = event {
                self.gone(cancelled.order);
            }
        }
    }

    /// The price of a trade in ticks of the file.
    pub(super) fn ticks(&self, trade: &Trade) -> i64 {
        let minutes = trade.key.slot.start_minute().saturating_sub(self.first_minute);
        let book = minutes.div_euclid(u32::from(SLOT_MINUTES));
        trade.price.micros().saturating_add(self.base(book).unwrap_or(0))
    }

    /// Learns the engine's number of the order `id` of the file, or that it was refused.
    fn entered(&mut self, id: u64, events: &[Event]) {
        let accepted = events.iter().find_map(|event| {
            if let Event::OrderAccepted(accepted) = event { Some(accepted.order) } else { None }
        });
        match (accepted, self.open.get_mut(&id)) {
            (Some(order), Some(open)) => {
                open.order = Some(order);
                self.named.insert(order.get(), id);
            }
            (_, open) => {
                if open.is_some() {
                    self.open.remove(&id);
                }
            }
        }
    }

    fn compare(&mut self, expected: &Expected, events: &[Event]) {
        let mut fills = events.iter().filter_map(|event| {
            let Event::Trade(trade) = event else { return None };
            let maker = if trade.maker == Some(Side::Buy) { trade.buy } else { trade.sell };
            Some((maker.order, trade.quantity.wh()))
        });
        let is_equal = fills.next() == Some((expected.maker, expected.quantity));
        let count = if is_equal && fills.next().is_none() {
            &mut self.executions.equal
        } else {
            &mut self.executions.different
        };
        *count = count.saturating_add(1);
    }

    fn gone(&mut self, order: OrderId) {
        if let Some(id) = self.named.remove(&order.get()) {
            self.open.remove(&id);
        }
    }

    fn forget(&mut self, id: u64) {
        if let Some(order) = self.open.remove(&id).and_then(|open| open.order) {
            self.named.remove(&order.get());
        }
    }

    /// Follows an order that was just sent, and can rest.
    fn follow(&mut self, id: u64, book: u32, side: Side, price: i64) {
        self.open.insert(id, Open { order: None, book, side, price });
        self.fresh.push_back((self.client_order, id));
    }

    fn known(&self, id: u64) -> Result<(OrderId, Open), Loss> {
        let open = self.open.get(&id).ok_or(Loss::UnknownOrder)?;
        Ok((open.order.ok_or(Loss::UnknownOrder)?, *open))
    }

    /// What is taken off the ticks of a book that is open.
    fn base(&self, book: u32) -> Option<i64> {
        let at = usize::try_from(book).ok()?;
        self.books.get(at).copied().flatten()
    }

    /// Opens a book at its first price.
    fn open_book(
        &mut self,
        book: u32,
        first: i64,
        load: &mut dyn FnMut(Command),
    ) -> Result<(), Loss> {
        if self.base(book).is_some() {
            return Ok(());
        }
        let at = usize::try_from(book).unwrap_or(usize::MAX);
        let key = self.key(book).filter(|_| book < BOOKS_MAX).ok_or(Loss::TooManyBooks)?;
        if self.books.len() <= at {
            self.books.resize(at.saturating_add(1), None);
        }
        let base = match self.band {
            Band::Around { levels } => first.saturating_sub(i64::from(levels / 2)),
            Band::From1 { .. } => 0,
        };
        if let Some(place) = self.books.get_mut(at) {
            *place = Some(base);
        }
        load(Command::OpenSlot(key));
        load(Command::UncrossSlot(key));
        Ok(())
    }

    fn key(&self, book: u32) -> Option<SlotKey> {
        let start = book
            .checked_mul(u32::from(SLOT_MINUTES))
            .and_then(|minutes| minutes.checked_add(self.first_minute))?;
        let slot = DeliverySlot::new(start, SLOT_MINUTES).ok()?;
        Some(SlotKey { market: MARKET, slot })
    }

    fn order(
        &mut self,
        book: u32,
        side: Side,
        price: i64,
        quantity: u64,
        stay: Stay,
    ) -> Result<NewOrder, Loss> {
        let base = self.base(book).ok_or(Loss::EmptyBook)?;
        let (kind, level) = match stay {
            Stay::Market => (OrderKind::Market, 0),
            Stay::Rests | Stay::Immediate => (OrderKind::Limit, price.saturating_sub(base)),
        };
        if kind == OrderKind::Limit && !(1..=i64::from(self.band.levels())).contains(&level) {
            return Err(Loss::OutOfBand);
        }
        let time_in_force = match stay {
            Stay::Rests => TimeInForce::UntilGate,
            Stay::Immediate | Stay::Market => TimeInForce::ImmediateOrCancel,
        };
        Ok(NewOrder {
            client_order: self.number(),
            meter: MeterId::new(0),
            key: self.key(book).ok_or(Loss::TooManyBooks)?,
            side,
            kind,
            time_in_force,
            limit: Price::from_micros(level),
            quantity: Energy::from_wh(quantity),
            valid_until: Timestamp::from_ns(i64::MAX),
            conditions: Conditions::NONE,
            list: OrderList::NONE,
        })
    }

    /// An order on its way: for the meter of its account, or the next one in turn.
    fn send(&self, order: NewOrder, account: u64) -> Command {
        let turn = if account == 0 { self.client_order } else { account };
        let meter = u32::try_from(turn.rem_euclid(u64::from(METERS))).unwrap_or(0);
        let order = NewOrder { meter: MeterId::new(meter.saturating_add(1)), ..order };
        let signature = Signature::new([0; 64]);
        Command::NewOrder(SignedNewOrder { origin: ORIGIN, order, signature })
    }

    fn cancel(&mut self, order: OrderId) -> Command {
        let client_order = self.number();
        Command::CancelOrder(OrderRequest { origin: ORIGIN, client_order, order })
    }

    fn number(&mut self) -> ClientOrderId {
        self.client_order = self.client_order.saturating_add(1);
        ClientOrderId::new(self.client_order)
    }
}
