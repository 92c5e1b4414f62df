//! Who and what there is before the first line of a script, and what a script can add.
//!
//! S meters trade through platform 1, B meters through platform 2. Each may inject 20 kW and
//! withdraw 10 kW. One slot is one hour; prices go from -1.00 to 9.99 by 0.01, quantities by
//! 0.01 kWh up to 12 kWh.
//!
//! The small stage has the meters S1 B1 S2 B2 S3 B3 and is full with 5 open orders, 7 meters, 2
//! open slots, 2 markets, 6 parties and 4 offers of contracts, 3 of a platform; its time is a
//! millisecond after the first slot's opening.
//!
//! The large one has 16 meters and room for more. S4 and B4 belong to owner 1, S5 and B5 to owner
//! 2; the retailer of S6 and B6 is the second; S8 and B8 may inject and withdraw as much as there
//! is. Operators are 1 and 2. Its time is six hours later, so that orders for the slots up to the sixth are accepted.

use types::{
    Allocation, AmendmentTerms, Code, Command, Currency, DeliverySlot, Energy, Lead,
    MarketControls, MarketDefinition, MarketId, MeterId, MeterRegistration, Money, OfferTerms,
    OwnerId, Party, PartyRegistration, PlatformId, Power, Price, PriceRule, PublicKey, RetailerId,
    Role, SelfTradeAction, SelfTradeScope, Seq, Side, Timestamp, UtilityId,
};

use super::words::{self, Words};
use crate::{Engine, Limits};

pub(super) const FIRST_SLOT_MINUTE: u32 = 29_000_040;

/// An engine with all that a script needs around it.
pub(super) struct Stage {
    pub(super) engine: Engine,
    /// See the module `script`.
    pub(super) twin: Engine,
    pub(super) limits: Limits,
    pub(super) seq: Seq,
    pub(super) time: Timestamp,
    pub(super) time_set: Option<Timestamp>,
    pub(super) client_orders: u64,
    /// Whose each accepted order is.
    pub(super) platforms: Vec<PlatformId>,
    /// Every offer, in order.
    pub(super) offered: Vec<Offered>,
    /// Every trade as it stands: what an offer of a change would say of it.
    pub(super) traded: Vec<AmendmentTerms>,
    pub(super) out: String,
}

/// An offer of a contract or of a change.
#[derive(Clone, Copy)]
pub(super) struct Offered {
    pub(super) terms: OfferTerms,
    pub(super) offered_by: Side,
    pub(super) offerer: PlatformId,
    pub(super) invited: PlatformId,
}

impl Stage {
    fn new(limits: Limits, time: Timestamp, setup: Vec<Command>) -> Self {
        let mut stage = Self {
            engine: Engine::new(limits),
            twin: Engine::new(limits),
            limits,
            seq: Seq::ZERO,
            time,
            time_set: None,
            client_orders: 100,
            platforms: Vec::new(),
            offered: Vec::new(),
            traded: Vec::new(),
            out: String::new(),
        };
        stage.twin.general_only = true;
        for command in setup {
            stage.apply(command);
        }
        stage.out.clear();
        stage
    }

    pub(super) fn small() -> Self {
        let limits = Limits {
            orders_max: 5,
            book_orders_max: 5,
            meters_max: 7,
            slots_max: 2,
            markets_max: 2,
            parties_max: 6,
            offers_max: 4,
            platform_offers_max: 3,
            shard: 0,
        };
        let mut setup = market_and_parties();
        setup.extend((1..=6).map(|number| Command::RegisterMeter(meter(number))));
        Self::new(limits, opening().plus_ns(1_000_000), setup)
    }

    pub(super) fn large() -> Self {
        Self::with_limits(Limits {
            orders_max: 20,
            book_orders_max: 12,
            meters_max: 20,
            slots_max: 6,
            markets_max: 4,
            parties_max: 11,
            offers_max: 12,
            platform_offers_max: 8,
            shard: 0,
        })
    }

    /// The large stage with other limits.
    pub(super) fn with_limits(limits: Limits) -> Self {
        let mut setup = market_and_parties();
        let others = [(Role::Retailer, 2), (Role::Operator, 1), (Role::Operator, 2)];
        setup.extend(others.map(|(role, number)| Command::RegisterParty(party(role, number))));
        setup.extend((1..=16).map(|number| Command::RegisterMeter(meter_of_many(number))));
        Self::new(limits, opening().plus_ns(6 * 3_600 * 1_000_000_000), setup)
    }

    pub(super) fn put(&mut self, line: &str) {
        self.out.push_str(line);
        self.out.push('\n');
    }
}

fn market_and_parties() -> Vec<Command> {
    let parties =
        [(Role::Platform, 1), (Role::Platform, 2), (Role::Retailer, 1), (Role::Utility, 1)];
    let parties = parties.map(|(role, number)| Command::RegisterParty(party(role, number)));
    [Command::DefineMarket(market(1))].into_iter().chain(parties).collect()
}

pub(super) fn first_slot() -> DeliverySlot {
    DeliverySlot::new(FIRST_SLOT_MINUTE, 60).unwrap()
}

fn opening() -> Timestamp {
    market(1).opens_at(first_slot())
}

pub(super) fn market(number: u16) -> MarketDefinition {
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

pub(super) fn odd_market(words: &mut Words<'_>) -> Command {
    Command::DefineMarket(definition(words))
}

/// A market for the operation that follows.
pub(super) fn draft(words: &mut Words<'_>) -> Command {
    Command::DraftMarket(definition(words))
}

fn definition(words: &mut Words<'_>) -> MarketDefinition {
    let mut market = market(words.next().parse().unwrap());
    if let Some(tick) = words.number("tick") {
        market.tick = Price::from_micros(i64::from(tick));
    }
    if let Some(name) = words.option("rule") {
        market.price_rule = PriceRule::from_name(name).unwrap();
    }
    if let Some(lot) = words.option("lot") {
        market.lot = words::energy(lot);
    }
    if let Some(largest) = words.option("largest") {
        market.quantity_max = words::energy(largest);
    }
    if let Some(minutes) = words.number("minutes") {
        market.slot_minutes = minutes;
    }
    market
}

/// Those that are not named are as in a market without controls.
pub(super) fn controls(words: &mut Words<'_>) -> Command {
    let market = MarketId::new(words.number("of").unwrap_or(1));
    let mut controls = MarketControls::standard(market);
    if let Some(name) = words.option("scope") {
        controls.self_trade_scope = SelfTradeScope::from_name(name).unwrap();
    }
    if let Some(name) = words.option("self-trade") {
        controls.self_trade = SelfTradeAction::from_name(name).unwrap();
    }
    if let Some(name) = words.option("allocation") {
        controls.allocation = Allocation::from_name(name).unwrap();
    }
    if let Some(smallest) = words.option("smallest") {
        controls.quantity_min = words::energy(smallest);
    }
    if let Some(value) = words.option("value") {
        controls.value_max = Money::from_minor(words::decimal(value, 2));
    }
    if let Some(collar) = words.option("collar") {
        controls.collar = words::price(collar);
    }
    if let Some(band) = words.option("band") {
        controls.dynamic_band = words::price(band);
    }
    if let Some(executions) = words.option("executions") {
        controls.executions_max = executions.parse().unwrap();
    }
    if let Some((shortest, longest)) = words.pair("freeze") {
        controls.freeze_min_s = shortest.parse().unwrap();
        controls.freeze_max_s = longest.parse().unwrap();
    }
    Command::SetControls(controls)
}

fn party(role: Role, number: u16) -> PartyRegistration {
    let party = Party { role, number };
    PartyRegistration { party, code: Code::new("party").unwrap(), key: PublicKey::new([0; 32]) }
}

fn key(words: &mut Words<'_>) -> PublicKey {
    PublicKey::new([u8::try_from(words.number("key").unwrap_or(0)).unwrap(); 32])
}

pub(super) fn odd_party(words: &mut Words<'_>) -> Command {
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

/// A meter of the large stage.
fn meter_of_many(number: u32) -> MeterRegistration {
    let owner = OwnerId::new(match number {
        7 | 8 => 1,
        9 | 10 => 2,
        _ => 0,
    });
    let retailer = RetailerId::new(if number == 11 || number == 12 { 2 } else { 1 });
    let meter = MeterRegistration { owner, retailer, ..meter(number) };
    if number < 15 {
        return meter;
    }
    let power = Power::from_w(u32::MAX);
    MeterRegistration { injection_max: power, withdrawal_max: power, ..meter }
}

pub(super) fn odd_meter(words: &mut Words<'_>) -> Command {
    let meter = meter(words.next().parse().unwrap());
    let utility = UtilityId::new(words.number("utility").unwrap_or(1));
    let platform = words.number("platform").map_or(meter.platform, PlatformId::new);
    let owner = OwnerId::new(words.option("owner").map_or(0, |word| word.parse().unwrap()));
    Command::RegisterMeter(MeterRegistration { key: key(words), utility, platform, owner, ..meter })
}
