//! A line is a command, or sets the time of the next one.
//!
//! ```text
//! open | uncross | close [KEY]           the schedule
//! sell S1 5kWh @ 4.10 [OPTION…]          a new order; buy likewise
//! cancel #1 [OPTION…]
//! replace #1 S1 3kWh @ 4.20 [OPTION…]
//! market 2 [tick 0] [rule NAME] | party platform 3 [key 1] | meter 7 [key 1] [utility 9]
//! at gate | at gate+1 | at opening-1     in nanoseconds around the first slot's hours
//! depth | indicative                     queries
//!
//! OPTION: ioc | as N (the platform's number) | by N (the platform) | until gate | KEY
//! KEY: slot N (hours after the first) | misaligned | short | of N (the market)
//! ```
//! Meters are S1 B1 S2 B2 S3 B3, numbered 1 to 6. S meters trade through platform 1, B meters
//! through platform 2. Each may inject 20 kW and withdraw 10 kW. One slot is one hour; prices go
//! from -1.00 to 9.99 by 0.01, quantities by 0.01 kWh up to 12 kWh. The engine's limits are 5
//! open orders, 7 meters, 2 open slots, 2 markets, 6 parties.

use std::fmt::Write as _;

use types::{
    ClientOrderId, Code, Command, Conditions, Currency, DeliverySlot, Energy, Event, Lead,
    MarketDefinition, MarketId, MeterId, MeterRegistration, NewOrder, OrderId, OrderKind,
    OrderList, OrderRequest, Origin, OwnerId, Party, PartyRegistration, PlatformId, Power, Price,
    PriceRule, PublicKey, ReplaceOrder, RetailerId, Role, Seq, Sequenced, SessionId, Side,
    Signature, SignedNewOrder, SignedReplaceOrder, SlotKey, TimeInForce, Timestamp, TradeSide,
    UtilityId,
};

use crate::{Depth, DepthLevel, Engine, Limits};

const FIRST_SLOT_MINUTE: u32 = 29_000_040;

struct Stage {
    engine: Engine,
    seq: Seq,
    time: Timestamp,
    time_set: Option<Timestamp>,
    client_orders: u64,
    out: String,
}

/// The words of a line, as they are used up.
struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    fn next(&mut self) -> &'a str {
        assert!(!self.0.is_empty(), "the line ends too early");
        self.0.remove(0)
    }

    /// Whether the flag is among the words.
    fn flag(&mut self, name: &str) -> bool {
        let at = self.0.iter().position(|&word| word == name);
        at.map(|at| self.0.remove(at)).is_some()
    }

    /// The word after this one, if it is there.
    fn option(&mut self, name: &str) -> Option<&'a str> {
        let at = self.0.iter().position(|&word| word == name)?;
        self.0.remove(at);
        Some(self.0.remove(at))
    }

    fn number(&mut self, name: &str) -> Option<u16> {
        self.option(name).map(|word| word.parse().unwrap())
    }

    fn key(&mut self) -> SlotKey {
        let hours = u32::from(self.number("slot").unwrap_or(0));
        let off = if self.flag("misaligned") { 15 } else { 0 };
        let minutes = if self.flag("short") { 30 } else { 60 };
        let slot = DeliverySlot::new(FIRST_SLOT_MINUTE + 60 * hours + off, minutes).unwrap();
        SlotKey { market: MarketId::new(self.number("of").unwrap_or(1)), slot }
    }
}

/// Runs the lines of a script after the stage is set; the text of all events.
pub(super) fn run(script: &str) -> String {
    let limits = Limits {
        orders_max: 5,
        book_orders_max: 5,
        meters_max: 7,
        slots_max: 2,
        markets_max: 2,
        parties_max: 6,
    };
    let mut stage = Stage {
        engine: Engine::new(limits),
        seq: Seq::ZERO,
        time: market(1).opens_at(Words(Vec::new()).key().slot).plus_ns(1_000_000),
        time_set: None,
        client_orders: 100,
        out: String::new(),
    };
    stage.apply(Command::DefineMarket(market(1)));
    for (role, number) in
        [(Role::Platform, 1), (Role::Platform, 2), (Role::Retailer, 1), (Role::Utility, 1)]
    {
        stage.apply(Command::RegisterParty(party(role, number)));
    }
    for number in 1..=6 {
        stage.apply(Command::RegisterMeter(meter(number)));
    }
    stage.out.clear();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        stage.line(line);
        stage.engine.check_invariants();
    }
    stage.out
}

impl Stage {
    fn line(&mut self, line: &str) {
        let mut words = Words(line.split_whitespace().collect());
        let command = match words.next() {
            "open" => Command::OpenSlot(words.key()),
            "uncross" => Command::UncrossSlot(words.key()),
            "close" => Command::CloseSlot(words.key()),
            "buy" => self.order(Side::Buy, &mut words),
            "sell" => self.order(Side::Sell, &mut words),
            "cancel" => self.cancel(&mut words),
            "replace" => self.replace(&mut words),
            "market" => odd_market(&mut words),
            "party" => odd_party(&mut words),
            "meter" => odd_meter(&mut words),
            "at" => {
                self.time_set = Some(instant(words.next()));
                return;
            }
            "depth" => return self.depth(&mut words),
            "indicative" => return self.indicative(&mut words),
            other => panic!("`{other}` is not a command"),
        };
        assert!(words.0.is_empty(), "{line}: {:?} mean nothing", words.0);
        self.apply(command);
    }

    fn apply(&mut self, value: Command) {
        self.seq = self.seq.next();
        self.time = self.time_set.take().unwrap_or(self.time.plus_ns(1));
        let mut events = Vec::new();
        self.engine.apply(&Sequenced { seq: self.seq, time: self.time, value }, &mut events);
        for event in &events {
            self.say(event);
        }
    }

    fn client_order(&mut self, words: &mut Words<'_>) -> ClientOrderId {
        self.client_orders += 1;
        let given = words.option("as").map(|word| word.parse().unwrap());
        ClientOrderId::new(given.unwrap_or(self.client_orders))
    }

    fn origin(&self, words: &mut Words<'_>, meter: u32) -> Origin {
        let platform = words.number("by").unwrap_or(if meter % 2 == 1 { 1 } else { 2 });
        Origin { platform: PlatformId::new(platform), session: SessionId::new(1) }
    }

    fn order(&mut self, side: Side, words: &mut Words<'_>) -> Command {
        let client_order = self.client_order(words);
        let key = words.key();
        let valid_until = words.option("until").map_or(Timestamp::from_ns(i64::MAX), instant);
        let immediate = words.flag("ioc");
        let meter = meter_number(words.next());
        let origin = self.origin(words, meter);
        let (quantity, limit) = quantity_and_price(words);
        Command::NewOrder(SignedNewOrder {
            origin,
            order: NewOrder {
                client_order,
                meter: MeterId::new(meter),
                key,
                side,
                kind: OrderKind::Limit,
                time_in_force: if immediate {
                    TimeInForce::ImmediateOrCancel
                } else {
                    TimeInForce::UntilGate
                },
                limit,
                quantity,
                valid_until,
                conditions: Conditions::NONE,
                list: OrderList::NONE,
            },
            signature: Signature::new([0; 64]),
        })
    }

    fn cancel(&mut self, words: &mut Words<'_>) -> Command {
        let client_order = self.client_order(words);
        let platform = PlatformId::new(words.number("by").unwrap_or(1));
        let origin = Origin { platform, session: SessionId::new(1) };
        Command::CancelOrder(OrderRequest { origin, client_order, order: order(words.next()) })
    }

    fn replace(&mut self, words: &mut Words<'_>) -> Command {
        let client_order = self.client_order(words);
        let valid_until = words.option("until").map_or(Timestamp::from_ns(i64::MAX), instant);
        let order = order(words.next());
        let meter = meter_number(words.next());
        let origin = self.origin(words, meter);
        let (quantity, limit) = quantity_and_price(words);
        let meter = MeterId::new(meter);
        let replace = ReplaceOrder { client_order, order, meter, limit, quantity, valid_until };
        let signature = Signature::new([0; 64]);
        Command::ReplaceOrder(SignedReplaceOrder { origin, replace, signature })
    }

    fn depth(&mut self, words: &mut Words<'_>) {
        let Some(Depth { buy, sell }) = self.engine.depth(words.key()) else {
            return self.put("no book");
        };
        let text = |level: &DepthLevel| {
            format!(" {}x{} @ {}", level.orders, energy(level.quantity), level.price)
        };
        let buy: String = buy.iter().map(text).collect();
        let sell: String = sell.iter().map(text).collect();
        self.put(&format!("buy{buy} | sell{sell}"));
    }

    fn indicative(&mut self, words: &mut Words<'_>) {
        let text = match self.engine.indicative(words.key()) {
            None => "not in a call".to_owned(),
            Some(now) => format!(
                "indicative {} {} surplus {}",
                now.price.map_or("none".to_owned(), |price| price.to_string()),
                energy(now.volume),
                now.surplus_wh
            ),
        };
        self.put(&text);
    }

    fn say(&mut self, event: &Event) {
        let text = match event {
            Event::MarketDefined(market) => format!("market {} defined", market.market),
            Event::PartyRegistered(party) => format!("{} registered", party.party),
            Event::MeterRegistered(meter) => format!("meter {} registered", meter.meter),
            Event::SlotPhaseChanged(changed) => format!("{:?}", changed.phase).to_lowercase(),
            Event::AuctionUncrossed(result) => format!(
                "uncrossed {} {} surplus {} of {}{}",
                result.price.map_or("none".to_owned(), |price| price.to_string()),
                energy(result.volume),
                result.surplus_wh,
                result.candidates,
                if result.clamped { " clamped" } else { "" }
            ),
            Event::OrderAccepted(accepted) => format!("accepted #{}", accepted.order),
            Event::OrderRestated(restated) => format!(
                "restated #{} filled {} leaves {}",
                restated.order,
                energy(restated.filled),
                energy(restated.leaves)
            ),
            Event::OrderReplaced(replaced) => format!(
                "replaced #{} {} @ {}{}",
                replaced.order,
                energy(replaced.leaves),
                replaced.limit,
                if replaced.kept_place { " in place" } else { "" }
            ),
            Event::OrderCancelled(cancelled) => format!(
                "cancelled #{} {} {:?} {}",
                cancelled.order,
                energy(cancelled.leaves),
                cancelled.reason,
                cancelled.client_order
            ),
            Event::OrderRejected(rejected) => {
                format!("rejected {:?} {}", rejected.request, rejected.reason.name())
            }
            Event::Trade(trade) => format!(
                "trade {} {} {} @ {}{}",
                side(&trade.sell),
                side(&trade.buy),
                energy(trade.quantity),
                trade.price,
                trade.maker.map_or(String::new(), |maker| format!(" maker {}", maker.name()))
            ),
            Event::CommandRejected(rejected) => format!("refused {}", rejected.reason.name()),
            other => format!("{other:?}"),
        };
        self.put(&text);
    }

    fn put(&mut self, line: &str) {
        writeln!(self.out, "{line}").unwrap();
    }
}

fn quantity_and_price(words: &mut Words<'_>) -> (Energy, Price) {
    let text = words.next().strip_suffix("kWh").unwrap();
    let quantity = decimal(text, 3);
    assert_eq!(words.next(), "@");
    let limit = Price::from_micros(decimal(words.next(), 6));
    (Energy::from_wh(u64::try_from(quantity).unwrap()), limit)
}

/// A decimal as a whole number of its last allowed digit.
fn decimal(text: &str, digits: usize) -> i64 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<digits$}").parse().unwrap()
}

fn energy(energy: Energy) -> String {
    let text = format!("{}.{:03}", energy.wh() / 1_000, energy.wh() % 1_000);
    format!("{}kWh", text.trim_end_matches('0').trim_end_matches('.'))
}

/// `S1#4` is the fourth order, of meter S1.
fn side(side: &TradeSide) -> String {
    let meter = side.meter.get();
    format!("{}{}#{}", if meter % 2 == 1 { "S" } else { "B" }, meter.div_ceil(2), side.order)
}

fn meter_number(name: &str) -> u32 {
    let pair: u32 = name[1..].parse().unwrap();
    if name.starts_with('S') { 2 * pair - 1 } else { 2 * pair }
}

fn order(name: &str) -> OrderId {
    name.strip_prefix('#').unwrap().parse().unwrap()
}

fn instant(text: &str) -> Timestamp {
    let slot = Words(Vec::new()).key().slot;
    let at = text.find(['+', '-']).unwrap_or(text.len());
    let (name, offset) = text.split_at(at);
    let base = match name {
        "gate" => market(1).gate_closes_after(slot),
        "opening" => market(1).opens_at(slot),
        other => panic!("`{other}` is not an instant"),
    };
    base.plus_ns(if offset.is_empty() { 0 } else { offset.parse().unwrap() })
}

fn market(number: u16) -> MarketDefinition {
    MarketDefinition {
        market: MarketId::new(number),
        area: Code::new("IN-DL").unwrap(),
        time_zone: Code::new("Asia/Kolkata").unwrap(),
        currency: Currency::from_iso("INR").unwrap(),
        slot_minutes: 60,
        price_min: Price::from_micros(-1_000_000),
        price_max: Price::from_micros(9_990_000),
        tick: Price::from_micros(10_000),
        lot: Energy::from_wh(10),
        quantity_max: Energy::from_wh(12_000),
        opening_lead: Lead::from_minutes(1_440),
        gate_lead: Lead::from_minutes(240),
        price_rule: PriceRule::T7Clamp,
    }
}

fn odd_market(words: &mut Words<'_>) -> Command {
    let mut market = market(words.next().parse().unwrap());
    if let Some(tick) = words.number("tick") {
        market.tick = Price::from_micros(i64::from(tick));
    }
    if let Some(name) = words.option("rule") {
        market.price_rule = PriceRule::from_name(name).unwrap();
    }
    Command::DefineMarket(market)
}

fn party(role: Role, number: u16) -> PartyRegistration {
    let party = Party { role, number };
    PartyRegistration { party, code: Code::new("party").unwrap(), key: PublicKey::new([0; 32]) }
}

fn key(words: &mut Words<'_>) -> PublicKey {
    PublicKey::new([u8::try_from(words.number("key").unwrap_or(0)).unwrap(); 32])
}

fn odd_party(words: &mut Words<'_>) -> Command {
    let role = Role::from_name(words.next()).unwrap();
    let party = party(role, words.next().parse().unwrap());
    Command::RegisterParty(PartyRegistration { key: key(words), ..party })
}

fn meter(number: u32) -> MeterRegistration {
    MeterRegistration {
        meter: MeterId::new(number),
        code: Code::new("meter").unwrap(),
        platform: PlatformId::new(if number % 2 == 1 { 1 } else { 2 }),
        retailer: RetailerId::new(1),
        utility: UtilityId::new(1),
        owner: OwnerId::new(0),
        key: PublicKey::new([0; 32]),
        injection_max: Power::from_w(20_000),
        withdrawal_max: Power::from_w(10_000),
    }
}

fn odd_meter(words: &mut Words<'_>) -> Command {
    let meter = meter(words.next().parse().unwrap());
    let utility = UtilityId::new(words.number("utility").unwrap_or(1));
    Command::RegisterMeter(MeterRegistration { key: key(words), utility, ..meter })
}
