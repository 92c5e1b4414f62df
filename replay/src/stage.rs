//! A stage: an engine with one market, open books and registered meters, for work that has no
//! exchange around it: benchmarks and rehearsed cases. Everything on it goes through
//! [`Engine::apply`] like on an exchange; only signatures are left out, since the edge checks those.

use engine::{Engine, Limits};
use types::{
    ClientOrderId, Code, Command, Conditions, Currency, DeliverySlot, Energy, Event, Lead,
    MarketControls, MarketDefinition, MarketId, MeterId, MeterRegistration, NewOrder, OrderKind,
    OrderList, Origin, OwnerId, Party, PartyRegistration, PlatformId, Power, Price, PriceRule,
    PublicKey, RetailerId, Role, SelfTradeAction, Seq, Sequenced, SessionId, Side, Signature,
    SignedNewOrder, SlotKey, TimeInForce, Timestamp, UtilityId,
};

/// What a stage needs to know beforehand.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// Prices are whole numbers from 1 to this one, at most 1,048,576.
    pub price_max: u32,
    /// How many books there are, at most 1,000.
    pub books: u32,
    /// How many meters there are, numbered from 1.
    pub meters: u32,
    /// Most orders that are open at once.
    pub orders_max: u32,
    /// What happens when a meter meets itself.
    pub self_trade: SelfTradeAction,
}

/// See the module's description.
#[derive(Debug)]
pub struct Stage {
    /// The engine itself.
    pub engine: Engine,
    seq: Seq,
    time: Timestamp,
}

/// What its market, parties and meters are called.
const NAME: &str = "stage";
/// The one market.
pub(crate) const MARKET: MarketId = MarketId::new(1);
/// Starts of slots: quarter hours from here, a Friday in 2026.
const FIRST_MINUTE: u32 = 29_500_560;
const SLOT_MINUTES: u16 = 15;
/// The platform and session of every order.
pub const ORIGIN: Origin = Origin { platform: PlatformId::new(1), session: SessionId::new(1) };

impl Stage {
    /// An engine whose books are all in continuous trading, and empty.
    #[must_use]
    pub fn new(setup: &Setup) -> Self {
        let mut stage = Self::in_call(setup);
        for book in 0..setup.books {
            stage.tell(Command::UncrossSlot(key(book)));
        }
        stage
    }

    /// An engine whose books are all in their call, and empty.
    #[must_use]
    pub fn in_call(setup: &Setup) -> Self {
        let limits = Limits {
            orders_max: setup.orders_max,
            book_orders_max: setup.orders_max,
            meters_max: setup.meters.max(1),
            slots_max: setup.books,
            ..Limits::default()
        };
        let market = market(NAME, SLOT_MINUTES, Lead::from_minutes(100_000), setup.price_max);
        let time = market.opens_at(slot(setup.books));
        let mut stage = Self { engine: Engine::new(limits), seq: Seq::ZERO, time };
        stage.tell(Command::DefineMarket(market));
        let controls = MarketControls::standard(MARKET);
        let self_trade = setup.self_trade;
        stage.tell(Command::SetControls(MarketControls { self_trade, ..controls }));
        for role in [Role::Platform, Role::Retailer, Role::Utility] {
            stage.tell(Command::RegisterParty(PartyRegistration {
                party: Party { role, number: 1 },
                code: code(NAME),
                key: PublicKey::new([0; 32]),
            }));
        }
        for number in 1..=setup.meters {
            stage.tell(Command::RegisterMeter(meter(NAME, number)));
        }
        for book in 0..setup.books {
            stage.tell(Command::OpenSlot(key(book)));
        }
        stage
    }

    /// The next place in the order of everything.
    #[inline]
    pub fn stamp(&mut self, value: Command) -> Sequenced<Command> {
        self.seq = self.seq.next();
        self.time = self.time.plus_ns(1);
        Sequenced { seq: self.seq, time: self.time, value }
    }

    /// Applies one command; what it caused.
    pub fn tell(&mut self, command: Command) -> Vec<Event> {
        let sequenced = self.stamp(command);
        let mut events = Vec::new();
        self.engine.apply(&sequenced, &mut events);
        events
    }
}

/// The key of a book, from 0.
#[must_use]
pub fn key(book: u32) -> SlotKey {
    SlotKey { market: MARKET, slot: slot(book) }
}

/// A limit order without conditions that rests until the gate.
#[inline]
#[must_use]
pub fn order(id: u64, meter: u32, key: SlotKey, side: Side) -> SignedNewOrder {
    SignedNewOrder {
        origin: ORIGIN,
        order: NewOrder {
            client_order: ClientOrderId::new(id),
            meter: MeterId::new(meter),
            key,
            side,
            kind: OrderKind::Limit,
            time_in_force: TimeInForce::UntilGate,
            limit: Price::default(),
            quantity: Energy::ZERO,
            valid_until: Timestamp::from_ns(i64::MAX),
            conditions: Conditions::NONE,
            list: OrderList::NONE,
        },
        signature: Signature::new([0; 64]),
    }
}

#[expect(clippy::expect_used, reason = "fifteen minutes from a quarter hour are a slot")]
fn slot(book: u32) -> DeliverySlot {
    let start = FIRST_MINUTE + book * u32::from(SLOT_MINUTES);
    DeliverySlot::new(start, SLOT_MINUTES).expect("a slot")
}

#[expect(clippy::expect_used, reason = "names here fit")]
pub(crate) fn code<const N: usize>(name: &str) -> Code<N> {
    Code::new(name).expect("a code")
}

/// A market of single ticks and watt-hours, with prices from 1 to `price_max` and gates that close when
/// delivery begins.
#[expect(clippy::expect_used, reason = "a currency there is")]
pub(crate) fn market(
    name: &str,
    slot_minutes: u16,
    opening_lead: Lead,
    price_max: u32,
) -> MarketDefinition {
    MarketDefinition {
        market: MARKET,
        area: code(name),
        time_zone: code(name),
        currency: Currency::from_iso("EUR").expect("a currency"),
        slot_minutes,
        price_min: Price::from_micros(1),
        price_max: Price::from_micros(i64::from(price_max)),
        tick: Price::from_micros(1),
        lot: Energy::from_wh(1),
        quantity_max: Energy::from_wh(u64::from(u32::MAX)),
        opening_lead,
        gate_lead: Lead::from_minutes(0),
        price_rule: PriceRule::T7Clamp,
    }
}

/// A meter of the one platform that may trade as much as can be written.
pub(crate) fn meter(name: &str, number: u32) -> MeterRegistration {
    MeterRegistration {
        meter: MeterId::new(number),
        code: code(name),
        platform: ORIGIN.platform,
        retailer: RetailerId::new(1),
        utility: UtilityId::new(1),
        owner: OwnerId::new(0),
        key: PublicKey::new([0; 32]),
        injection_max: Power::from_w(u32::MAX),
        withdrawal_max: Power::from_w(u32::MAX),
    }
}
