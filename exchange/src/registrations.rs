//! What a shard is told before anything else: markets, parties, meters, controls and credit that its
//! journal does not hold yet. Every shard is told of everybody, and of its part of the credit.

use std::collections::BTreeMap;

use engine::Engine;
use types::{Command, CreditLimit, MarketControls, Money, Party, Role, Shards};

use crate::{config::Config, node::NodeError, registry::Registry, schedule::ScheduledMarket};

/// What the configuration and the registry name and the journal does not hold yet, and what an operator defined
/// and only the journals of other shards hold, because the process died between them. What it holds
/// must be the same: rules and participants never change under a number.
pub(crate) fn missing(
    engine: &Engine,
    (config, defined): (&Config, &[ScheduledMarket]),
    registry: &Registry,
) -> Result<Vec<Command>, NodeError> {
    let contradiction = |what| Err(NodeError::Contradiction { what });
    let mut commands = Vec::new();
    for market in config.markets.iter().chain(defined) {
        let definition = market.definition;
        match engine.market(definition.market) {
            None => commands.push(Command::DefineMarket(definition)),
            Some(known) if *known == definition => {}
            Some(_) => return contradiction(format!("market {}", definition.market)),
        }
    }
    let parties: BTreeMap<_, _> = engine.parties().map(|known| (known.party, known)).collect();
    for line in &registry.parties {
        match parties.get(&line.party) {
            None => commands.push(Command::RegisterParty(*line)),
            Some(known) if *known == line => {}
            Some(_) => return contradiction(format!("party {}", line.party)),
        }
    }
    let meters: BTreeMap<_, _> = engine.registrations().map(|m| (m.meter, m)).collect();
    let mut lines: Vec<_> = registry.meters.iter().collect();
    lines.sort_by_key(|line| line.meter);
    for line in lines {
        match meters.get(&line.meter) {
            None => commands.push(Command::RegisterMeter(*line)),
            Some(known) if *known == line => {}
            Some(_) => return contradiction(format!("meter {}", line.meter)),
        }
    }
    commands.extend(changed_settings(engine, config, registry)?);
    Ok(commands)
}

/// Controls and credit limits of the configuration that are not what the journal left. What the
/// configuration does not name stays as it is.
fn changed_settings(
    engine: &Engine,
    config: &Config,
    registry: &Registry,
) -> Result<Vec<Command>, NodeError> {
    let mut commands = Vec::new();
    for controls in &config.controls {
        let standard = MarketControls::standard(controls.market);
        if *controls != engine.controls(controls.market).copied().unwrap_or(standard) {
            commands.push(Command::SetControls(*controls));
        }
    }
    for limit in &config.credit {
        let party = Party { role: Role::Platform, number: limit.platform.get() };
        let mut parties = engine.parties().chain(&registry.parties);
        if !parties.any(|known| known.party == party) {
            return Err(NodeError::UnknownPlatform { platform: limit.platform });
        }
        let part = part_of(*limit, config.shards);
        if engine.credit(limit.platform, limit.market) != Some(part) {
            commands.push(Command::SetCredit(part));
        }
    }
    Ok(commands)
}

/// A shard's part of a credit limit. Shards know nothing of each other: what each may let a platform
/// owe is together never more than the limit.
fn part_of(limit: CreditLimit, shards: Shards) -> CreditLimit {
    let part = limit.limit.minor().div_euclid(i64::from(shards.count()));
    CreditLimit { limit: Money::from_minor(part), ..limit }
}
