//! Random histories: one seed decides everything. They stay where it hurts: few prices, few meters
//! with little capacity, few slots that open and close all the time, many repeated and bad requests.

use std::collections::BTreeMap;

use engine::Limits;
use types::{
    CancelOrder, ClientOrderId, Code, Command, Currency, DeliverySlot, Energy, Event, Lead,
    MarketDefinition, MarketId, MeterId, MeterRegistration, NewOrder, OrderId, Origin, Party,
    PartyRegistration, Phase, PlatformId, Power, Price, PriceRule, PublicKey, ReplaceOrder,
    RetailerId, Role, Seq, Sequenced, SessionId, Side, Signature, SignedNewOrder,
    SignedReplaceOrder, SlotKey, TimeInForce, Timestamp, UtilityId,
};

/// The limits that histories are meant for: small enough to be reached.
#[must_use]
pub const fn limits() -> Limits {
    Limits {
        orders_max: 48,
        book_orders_max: 20,
        meters_max: 8,
        slots_max: 7,
        markets_max: 2,
        parties_max: 9,
    }
}

/// Pseudo-random numbers by `SplitMix64` (Steele, Lea and Flood, 2014).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A stream of numbers for each seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`.
    pub const fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (bits ^ (bits >> 31)) % end
    }

    /// True once in `n` times.
    pub const fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of the values.
    pub fn pick<T: Copy>(&mut self, values: &[T]) -> Option<T> {
        let count = u64::try_from(values.len()).ok().filter(|&count| count > 0)?;
        values.get(usize::try_from(self.below(count)).ok()?).copied()
    }

    fn small(&mut self, end: u16) -> u16 {
        u16::try_from(self.below(u64::from(end))).unwrap_or(0)
    }
}

/// A history in the making.
#[derive(Debug)]
pub struct History {
    random: Random,
    seq: Seq,
    time: Timestamp,
    step: u64,
    client_orders: u64,
    /// The number of the last replacement sent for an order.
    replaced: BTreeMap<OrderId, u64>,
    sent: Vec<SignedNewOrder>,
    accepted: Vec<(OrderId, SignedNewOrder)>,
    open: Vec<SlotKey>,
}

const MINUTE_NS: u64 = 60_000_000_000;
const METERS: u32 = 8;

impl History {
    /// The history of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            seq: Seq::ZERO,
            time: Timestamp::from_minutes(29_000_010),
            step: 0,
            client_orders: 0,
            replaced: BTreeMap::new(),
            sent: Vec::new(),
            accepted: Vec::new(),
            open: Vec::new(),
        }
    }

    /// The next command. The first ones set the stage.
    pub fn next_command(&mut self) -> Sequenced<Command> {
        let setup = setup();
        let at = usize::try_from(self.step).unwrap_or(usize::MAX);
        let value = setup.get(at).copied().unwrap_or_else(|| self.draw());
        self.step += 1;
        self.seq = self.seq.next();
        let pause = if self.random.once_in(12) { 2 * MINUTE_NS } else { 1 };
        let ns = i64::try_from(1 + self.random.below(pause)).unwrap_or(1);
        self.time = self.time.plus_ns(ns);
        if self.random.once_in(40) {
            self.time = Timestamp::from_minutes(self.minute() + 1);
        }
        Sequenced { seq: self.seq, time: self.time, value }
    }

    /// Learns from the events of the last command which slots are open, and which orders there are
    /// to cancel and replace.
    pub fn observe(&mut self, events: &[Event]) {
        for event in events {
            if let (Event::OrderAccepted(accepted), Some(&sent)) = (event, self.sent.last()) {
                self.accepted.push((accepted.order, sent));
            }
            if let Event::SlotPhaseChanged(changed) = event {
                self.open.retain(|&key| key != changed.key);
                if changed.phase != Phase::Closed {
                    self.open.push(changed.key);
                }
            }
        }
    }

    fn minute(&self) -> u32 {
        u32::try_from(self.time.ns().div_euclid(60_000_000_000)).unwrap_or(0)
    }

    fn draw(&mut self) -> Command {
        match self.random.below(100) {
            0..62 => self.new_order(),
            62..73 => self.cancel(),
            73..84 => self.replace(),
            84..90 => Command::OpenSlot(self.key()),
            90..93 => Command::UncrossSlot(self.open_key()),
            93..96 => self.close(),
            96..97 => self.odd_market(),
            97..98 => self.odd_party(),
            _ => self.odd_meter(),
        }
    }

    /// A slot that is open and before its gate, mostly.
    fn open_key(&mut self) -> SlotKey {
        if self.random.once_in(12) {
            return self.key();
        }
        let gate = self.minute() + 30;
        let ahead = |key: &SlotKey| key.slot.start_minute() > gate;
        let open: Vec<SlotKey> = self.open.iter().copied().filter(ahead).collect();
        self.random.pick(&open).unwrap_or_else(|| self.key())
    }

    /// Closes a slot whose gate is past; any slot now and then.
    fn close(&mut self) -> Command {
        let gate = self.minute() + 30;
        let past = self.open.iter().copied().find(|key| key.slot.start_minute() < gate);
        match past {
            Some(key) => Command::CloseSlot(key),
            None if self.random.once_in(8) => Command::CloseSlot(self.open_key()),
            None => self.new_order(),
        }
    }

    /// A slot around now; most of them of the first market and in its trading hours.
    fn key(&mut self) -> SlotKey {
        if self.random.once_in(60) {
            let slot = slot(self.minute() / 30 * 30 + 210 + 5, 60);
            return SlotKey { market: MarketId::new(2), slot };
        }
        if self.random.once_in(60) {
            return SlotKey { market: MarketId::new(9), slot: slot(0, 15) };
        }
        if self.random.once_in(6) {
            let ahead = u32::from(self.random.small(3)) * 30;
            let slot = slot(self.minute() / 30 * 30 + 180 + ahead, 60);
            return SlotKey { market: MarketId::new(2), slot };
        }
        let wide = self.random.once_in(12);
        let quarters = if wide { self.random.small(12) } else { 3 + self.random.small(6) };
        let start = self.minute() / 15 * 15 + 15 * u32::from(quarters);
        SlotKey { market: MarketId::new(1), slot: slot(start, 15) }
    }

    fn price(&mut self) -> Price {
        match self.random.below(60) {
            4..9 => Price::from_micros(-40 + 10 * i64::from(self.random.small(20_000))),
            0 => Price::from_micros(61),
            1 => Price::from_micros(-41),
            2 => Price::from_micros(i64::MAX),
            3 => Price::from_micros(13),
            _ => Price::from_micros(-40 + 10 * i64::from(self.random.small(11))),
        }
    }

    fn quantity(&mut self) -> Energy {
        Energy::from_wh(match self.random.below(80) {
            0 => 0,
            1 => 15,
            2 => 510,
            3 => u64::MAX - 5,
            4 => 500,
            _ => 10 * (1 + self.random.below(15)),
        })
    }

    fn valid_until(&mut self) -> Timestamp {
        if self.random.once_in(60) { self.time } else { self.time.plus_ns(i64::MAX / 4) }
    }

    fn origin(&mut self, meter: MeterId) -> Origin {
        let serves = u16::try_from(meter.get() % 2 + 1).unwrap_or(1);
        let platform = if self.random.once_in(60) { 3 - serves } else { serves };
        let session = SessionId::new(u32::from(self.random.small(3)));
        Origin { platform: PlatformId::new(platform), session }
    }

    fn new_order(&mut self) -> Command {
        if self.random.once_in(12) {
            let sent = self.sent.clone();
            if let Some(mut again) = self.random.pick(&sent) {
                again.origin.session = SessionId::new(7);
                match self.random.below(8) {
                    0 => again.order.limit = self.price(),
                    1 => again.order.quantity = self.quantity(),
                    2 => again.order.key = self.key(),
                    3 => again.order.side = again.order.side.opposite(),
                    _ => {}
                }
                self.sent.push(again);
                return Command::NewOrder(again);
            }
        }
        let known = 1 + u32::from(self.random.small(7));
        let meter = MeterId::new(match self.random.below(120) {
            0 => 0,
            1 => METERS + 1,
            2 => METERS,
            _ => known,
        });
        self.client_orders += 1 + self.random.below(3);
        let signed = SignedNewOrder {
            origin: self.origin(meter),
            order: NewOrder {
                client_order: ClientOrderId::new(self.client_orders),
                meter,
                key: self.open_key(),
                side: if self.random.once_in(2) { Side::Buy } else { Side::Sell },
                time_in_force: if self.random.once_in(6) {
                    TimeInForce::ImmediateOrCancel
                } else {
                    TimeInForce::UntilGate
                },
                limit: self.price(),
                quantity: self.quantity(),
                valid_until: self.valid_until(),
            },
            signature: Signature::new([0; 64]),
        };
        self.sent.push(signed);
        Command::NewOrder(signed)
    }

    /// An order accepted earlier, mostly one of the last.
    fn target(&mut self) -> Option<(OrderId, SignedNewOrder)> {
        let recent = self.accepted.len().saturating_sub(12);
        let recent = if self.random.once_in(10) { 0 } else { recent };
        let choices = self.accepted.get(recent..)?.to_vec();
        self.random.pick(&choices)
    }

    fn cancel(&mut self) -> Command {
        let Some((mut order, signed)) = self.target() else { return self.new_order() };
        if self.random.once_in(30) {
            order = OrderId::new(self.random.pick(&[0, u64::MAX, 1 << 32, 5_000]).unwrap_or(0));
        }
        self.client_orders += 1;
        let client_order = ClientOrderId::new(self.client_orders);
        let origin = self.origin(signed.order.meter);
        Command::CancelOrder(CancelOrder { origin, client_order, order })
    }

    fn replace(&mut self) -> Command {
        let Some((mut order, signed)) = self.target() else { return self.new_order() };
        if self.random.once_in(30) {
            order = OrderId::new(self.random.pick(&[0, u64::MAX, 1 << 32, 5_000]).unwrap_or(0));
        }
        let meter = match self.random.below(60) {
            0 => MeterId::new(99),
            1 => MeterId::new(signed.order.meter.get() + 2),
            _ => signed.order.meter,
        };
        let limit = if self.random.once_in(2) { signed.order.limit } else { self.price() };
        self.client_orders += 1;
        // Now and then a number that an earlier replacement of this order had, or an older one.
        let client_order = match self.random.below(6) {
            0 => self.replaced.get(&order).copied().unwrap_or(0),
            1 => self.replaced.get(&order).map_or(0, |last| last.saturating_sub(1)),
            _ => self.client_orders,
        };
        self.replaced.insert(order, client_order);
        Command::ReplaceOrder(SignedReplaceOrder {
            origin: self.origin(signed.order.meter),
            replace: ReplaceOrder {
                client_order: ClientOrderId::new(client_order),
                order,
                meter,
                limit,
                quantity: self.quantity(),
                valid_until: self.valid_until(),
            },
            signature: Signature::new([0; 64]),
        })
    }

    fn odd_market(&mut self) -> Command {
        let market = market(1 + self.random.small(3), 15);
        Command::DefineMarket(match self.random.below(4) {
            0 => MarketDefinition { tick: Price::from_micros(0), ..market },
            1 => MarketDefinition { lot: Energy::from_wh(5), ..market },
            _ => market,
        })
    }

    fn odd_party(&mut self) -> Command {
        let role = self.random.pick(&[Role::Platform, Role::Retailer, Role::Settlement]);
        let mut party = party(role.unwrap_or(Role::Platform), 1 + self.random.small(4));
        if self.random.once_in(3) {
            party.key = PublicKey::new([1; 32]);
        }
        Command::RegisterParty(party)
    }

    fn odd_meter(&mut self) -> Command {
        let mut meter = meter(u32::from(self.random.small(12)));
        if self.random.once_in(3) {
            meter.utility = UtilityId::new(77);
        }
        Command::RegisterMeter(meter)
    }
}

/// Markets, parties and all but one of the meters.
fn setup() -> Vec<Command> {
    let mut commands = vec![
        Command::DefineMarket(market(1, 15)),
        Command::RegisterParty(party(Role::Platform, 1)),
        Command::RegisterParty(party(Role::Platform, 2)),
        Command::RegisterParty(party(Role::Retailer, 1)),
        Command::RegisterParty(party(Role::Utility, 1)),
        Command::DefineMarket(market(2, 60)),
    ];
    commands.extend((1..METERS).map(|number| Command::RegisterMeter(meter(number))));
    commands
}

/// Eleven levels from -40 to 60, or 20,000 of them for hours; lots of 10 Wh; trading ends half an
/// hour before.
fn market(number: u16, slot_minutes: u16) -> MarketDefinition {
    MarketDefinition {
        market: MarketId::new(number),
        area: code("AREA"),
        time_zone: code("Asia/Kolkata"),
        currency: Currency::from_iso("INR").unwrap_or_else(|_| unreachable!("rupees are known")),
        slot_minutes,
        price_min: Price::from_micros(-40),
        price_max: Price::from_micros(if slot_minutes == 60 { 199_950 } else { 60 }),
        tick: Price::from_micros(10),
        lot: Energy::from_wh(10),
        quantity_max: Energy::from_wh(500),
        opening_lead: Lead::from_minutes(if slot_minutes == 60 { 240 } else { 120 }),
        gate_lead: Lead::from_minutes(30),
        price_rule: PriceRule::T7Clamp,
    }
}

fn party(role: Role, number: u16) -> PartyRegistration {
    let party = Party { role, number };
    PartyRegistration { party, code: code("party"), key: PublicKey::new([0; 32]) }
}

/// Meters differ in capacity: from 1.2 to 4.4 kW of injection, twice that of withdrawal.
fn meter(number: u32) -> MeterRegistration {
    let power = 400 * (number % 9 + 3);
    MeterRegistration {
        meter: MeterId::new(number),
        code: code("meter"),
        platform: PlatformId::new(u16::try_from(number % 2 + 1).unwrap_or(1)),
        retailer: RetailerId::new(1),
        utility: UtilityId::new(1),
        key: PublicKey::new([0; 32]),
        injection_max: Power::from_w(power),
        withdrawal_max: Power::from_w(2 * power),
    }
}

fn code<const N: usize>(text: &str) -> Code<N> {
    Code::new(text).unwrap_or_else(|_| unreachable!("the text fits"))
}

fn slot(start_minute: u32, minutes: u16) -> DeliverySlot {
    DeliverySlot::new(start_minute, minutes).unwrap_or_else(|_| unreachable!("the slot fits"))
}
