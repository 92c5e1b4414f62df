//! The controls of a market and the credit of platforms, as they stand in the configuration.

use std::collections::BTreeSet;

use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde::Deserialize;
use types::{
    Allocation, CreditLimit, Currency, Energy, MarketControls, MarketId, Money, PlatformId, Price,
    SelfTradeAction, SelfTradeScope,
};

use super::{Refused, price};
use crate::schedule::ScheduledMarket;

/// Controls that are not stated are standard; see [`MarketControls`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ControlsTable {
    self_trade_scope: Option<String>,
    self_trade: Option<String>,
    allocation: Option<String>,
    quantity_min_wh: Option<u64>,
    value_max: Option<Decimal>,
    collar: Option<Decimal>,
    dynamic_band: Option<Decimal>,
    executions_max: Option<u32>,
    freeze_min_s: Option<u16>,
    freeze_max_s: Option<u16>,
}

/// What a platform may owe in a market.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreditTable {
    platform: u16,
    market: u16,
    limit: Decimal,
}

impl ControlsTable {
    /// The controls of a market.
    pub(super) fn check(&self, market: &ScheduledMarket) -> Result<MarketControls, Refused> {
        let currency = market.definition.currency;
        let standard = MarketControls::standard(market.definition.market);
        let value_max = "controls.value_max";
        let controls = MarketControls {
            market: standard.market,
            self_trade_scope: named(
                "controls.self_trade_scope",
                self.self_trade_scope.as_deref(),
                standard.self_trade_scope,
                SelfTradeScope::ALL,
                SelfTradeScope::name,
            )?,
            self_trade: named(
                "controls.self_trade",
                self.self_trade.as_deref(),
                standard.self_trade,
                SelfTradeAction::ALL,
                SelfTradeAction::name,
            )?,
            allocation: named(
                "controls.allocation",
                self.allocation.as_deref(),
                standard.allocation,
                Allocation::ALL,
                Allocation::name,
            )?,
            quantity_min: self.quantity_min_wh.map_or(standard.quantity_min, Energy::from_wh),
            value_max: self.value_max.map_or(Ok(standard.value_max), |value| {
                money(value, currency).map_err(|message| (value_max, message))
            })?,
            collar: distance("controls.collar", self.collar)?,
            dynamic_band: distance("controls.dynamic_band", self.dynamic_band)?,
            executions_max: self.executions_max.unwrap_or(standard.executions_max),
            freeze_min_s: self.freeze_min_s.unwrap_or(standard.freeze_min_s),
            freeze_max_s: self.freeze_max_s.unwrap_or(standard.freeze_max_s),
        };
        check_together(&controls, market)?;
        Ok(controls)
    }
}

/// What no control can say alone.
fn check_together(controls: &MarketControls, market: &ScheduledMarket) -> Result<(), Refused> {
    let definition = &market.definition;
    let (least, most) = (controls.quantity_min.wh(), definition.quantity_max.wh());
    if least > most {
        let message = format!("is {least}, possible are 0 to {most} (`quantity_max_wh`)");
        return Err(("controls.quantity_min_wh", message));
    }
    let (shortest, longest) = (controls.freeze_min_s, controls.freeze_max_s);
    if shortest > longest {
        let message = format!("is {shortest}, which is above `freeze_max_s` = {longest}");
        return Err(("controls.freeze_min_s", message));
    }
    // The auction must be over when the gate closes, with a second to spare.
    let minutes = market.uncross_lead.minutes().saturating_sub(definition.gate_lead.minutes());
    let most = minutes.saturating_mul(60).saturating_sub(2);
    if u32::from(longest) > most {
        let message = format!(
            "is {longest}, but the gate closes before: possible are 0 to {most} with these \
             `uncross_lead_minutes` and `gate_lead_minutes`"
        );
        return Err(("controls.freeze_max_s", message));
    }
    if !controls.is_sound() {
        return Err(("controls", "do not fit together".to_owned()));
    }
    Ok(())
}

/// A refused entry: its index, its key and why.
type RefusedEntry = (usize, &'static str, String);

/// Checks every credit limit.
pub(super) fn credit(
    tables: &[CreditTable],
    markets: &[ScheduledMarket],
) -> Result<Vec<CreditLimit>, RefusedEntry> {
    let mut known = BTreeSet::new();
    let mut limits = Vec::new();
    for (index, table) in tables.iter().enumerate() {
        let CreditTable { platform, market, limit } = *table;
        let Some(scheduled) = markets.iter().find(|m| m.definition.market.get() == market) else {
            let numbers: Vec<String> =
                markets.iter().map(|m| m.definition.market.to_string()).collect();
            let message = format!("is {market}, the markets are {}", numbers.join(", "));
            return Err((index, "market", message));
        };
        if !known.insert((platform, market)) {
            let message = format!("{platform} has a limit in market {market} twice; remove one");
            return Err((index, "platform", message));
        }
        let limit = money(limit, scheduled.definition.currency)
            .map_err(|message| (index, "limit", message))?;
        let (platform, market) = (PlatformId::new(platform), MarketId::new(market));
        limits.push(CreditLimit { platform, market, limit });
    }
    Ok(limits)
}

/// One of a closed set, or what is standard.
fn named<T: Copy>(
    key: &'static str,
    got: Option<&str>,
    standard: T,
    all: &[T],
    name: fn(T) -> &'static str,
) -> Result<T, Refused> {
    let Some(got) = got else { return Ok(standard) };
    all.iter().copied().find(|&variant| name(variant) == got).ok_or_else(|| {
        let names: Vec<String> =
            all.iter().map(|&variant| format!("`{}`", name(variant))).collect();
        (key, format!("is `{got}`, possible are {}", names.join(", ")))
    })
}

/// How far a price may be away from another; zero where nothing is stated.
fn distance(key: &'static str, decimal: Option<Decimal>) -> Result<Price, Refused> {
    let distance = price(key, decimal.unwrap_or_default())?;
    if distance.micros() < 0 {
        return Err((
            key,
            format!("is {}, it must be not below zero", decimal.unwrap_or_default()),
        ));
    }
    Ok(distance)
}

/// An amount of currency that is exact in minor units and not below zero.
fn money(decimal: Decimal, currency: Currency) -> Result<Money, String> {
    if decimal.is_sign_negative() && !decimal.is_zero() {
        return Err(format!("is {decimal}, it must be not below zero"));
    }
    let digits = currency.minor_digits();
    decimal
        .checked_mul(Decimal::from(10_u32.pow(digits.into())))
        .filter(Decimal::is_integer)
        .and_then(|minor| minor.to_i64())
        .map(Money::from_minor)
        .ok_or_else(|| {
            let code = currency.code();
            format!("is {decimal}, at most {digits} decimals are possible in {code}")
        })
}
