//! The stage of a history: three markets that differ from seed to seed, parties, meters.

use std::collections::VecDeque;

use types::{
    Allocation, Code, Command, Currency, DeliverySlot, Energy, Lead, MarketControls,
    MarketDefinition, MarketId, MeterId, MeterRegistration, Money, OwnerId, Party,
    PartyRegistration, PlatformId, Power, Price, PriceRule, PublicKey, RetailerId, Role,
    SelfTradeAction, SelfTradeScope, UtilityId,
};

use super::Random;

/// Meters of a full register; one is left for later.
pub(super) const METERS: u32 = 8;

/// Three markets, each with a rule for its auctions.
pub(super) fn markets(random: &mut Random) -> Vec<MarketDefinition> {
    (1..=3)
        .map(|number| {
            let price_rule = random.one_of(&PriceRule::ALL);
            MarketDefinition { price_rule, ..market(number) }
        })
        .collect()
}

/// Markets, parties and all but one of the meters.
pub(super) fn commands(random: &mut Random, markets: &[MarketDefinition]) -> VecDeque<Command> {
    let mut commands = VecDeque::new();
    for market in markets {
        commands.push_back(Command::DefineMarket(*market));
        if !random.once_in(4) {
            commands.push_back(Command::SetControls(controls(random, market)));
        }
    }
    for (role, number) in [
        (Role::Platform, 1),
        (Role::Platform, 2),
        (Role::Retailer, 1),
        (Role::Retailer, 2),
        (Role::Utility, 1),
        (Role::Operator, 1),
        (Role::Operator, 2),
    ] {
        commands.push_back(Command::RegisterParty(party(role, number)));
    }
    commands.extend((1..METERS).map(|number| Command::RegisterMeter(meter(number))));
    commands
}

/// Quarter hours with eleven levels around zero; hours with 20,000 levels; two hours with six
/// levels below zero and quantities without a bound of their own.
pub(super) fn market(number: u16) -> MarketDefinition {
    let (minutes, lowest, highest, tick) = match number {
        2 => (60, -4_000_000, 15_999_000, 1_000),
        3 => (120, -5_000_000, 0, 1_000_000),
        _ => (15, -4_000_000, 6_000_000, 1_000_000),
    };
    MarketDefinition {
        market: MarketId::new(number),
        area: code("AREA"),
        time_zone: code("Asia/Kolkata"),
        currency: Currency::from_iso("INR").unwrap_or_else(|_| unreachable!("rupees are known")),
        slot_minutes: minutes,
        price_min: Price::from_micros(lowest),
        price_max: Price::from_micros(highest),
        tick: Price::from_micros(tick),
        lot: Energy::from_wh(if number == 3 { 5 } else { 10 }),
        quantity_max: Energy::from_wh(if number == 3 { 10_000_000_000 } else { 500 }),
        opening_lead: Lead::from_minutes(if number == 3 { 200 } else { 100 }),
        gate_lead: Lead::from_minutes(if number == 3 { 60 } else { 30 }),
        price_rule: PriceRule::T7Clamp,
    }
}

/// Controls of which each is off as often as not.
pub(super) fn controls(random: &mut Random, market: &MarketDefinition) -> MarketControls {
    let ticks = |random: &mut Random| {
        let width = if random.once_in(2) { 0 } else { random.below(4) * 1_000_000 };
        Price::from_micros(i64::try_from(width).unwrap_or(0))
    };
    let lots = if random.once_in(2) { 0 } else { random.below(4) };
    let value = if random.once_in(2) { 0 } else { 40 + random.below(60) };
    let freeze_min_s = if random.once_in(2) { 0 } else { random.small(40) };
    let freeze_max_s = if random.once_in(2) { 0 } else { freeze_min_s + random.small(90) };
    MarketControls {
        market: market.market,
        self_trade_scope: random.one_of(SelfTradeScope::ALL),
        self_trade: random.one_of(SelfTradeAction::ALL),
        allocation: random.one_of(Allocation::ALL),
        quantity_min: Energy::from_wh(market.lot.wh() * lots),
        value_max: Money::from_minor(i64::try_from(value).unwrap_or(0)),
        collar: ticks(random),
        dynamic_band: ticks(random),
        executions_max: if random.once_in(2) { 0 } else { 3 + u32::from(random.small(12)) },
        freeze_min_s: freeze_min_s.min(freeze_max_s),
        freeze_max_s,
    }
}

pub(super) fn party(role: Role, number: u16) -> PartyRegistration {
    let party = Party { role, number };
    PartyRegistration { party, code: code("party"), key: PublicKey::new([0; 32]) }
}

/// Meters differ in capacity: from 1.2 to 4.4 kW of injection, twice that of withdrawal; one has no
/// bound. Three have one owner, two another, the others none.
pub(super) fn meter(number: u32) -> MeterRegistration {
    let power = 400 * (number % 9 + 3);
    let (injection, withdrawal) =
        if number == 7 { (u32::MAX, u32::MAX) } else { (power, 2 * power) };
    MeterRegistration {
        meter: MeterId::new(number),
        code: code("meter"),
        platform: PlatformId::new(u16::try_from(number % 2 + 1).unwrap_or(1)),
        retailer: RetailerId::new(u16::try_from(number / 2 % 2 + 1).unwrap_or(1)),
        utility: UtilityId::new(1),
        owner: OwnerId::new(match number {
            1..4 => 2,
            4..6 => 1,
            _ => 0,
        }),
        key: PublicKey::new([0; 32]),
        injection_max: Power::from_w(injection),
        withdrawal_max: Power::from_w(withdrawal),
    }
}

fn code<const N: usize>(text: &str) -> Code<N> {
    Code::new(text).unwrap_or_else(|_| unreachable!("the text fits"))
}

pub(super) fn slot(start_minute: u32, minutes: u16) -> DeliverySlot {
    DeliverySlot::new(start_minute, minutes).unwrap_or_else(|_| unreachable!("the slot fits"))
}
