//! The day itself: virtual time advances by quarter hours, and at each everybody has a turn.
//!
//! At step `j` the book of slot `j` opens, the call of slot `j − 2` ends, the gate of slot `j − 3`
//! closes, and slot `j − 5` has been delivered. The exchange does the first three by its own
//! timetable; platforms, desks and settlement then act one after the other, each waiting for its
//! answers, so that the seed decides the order of everything. Then time runs on for the days that bills are due in.

mod agreements;
mod communities;
mod days_after;
mod grid;
mod papers;

use std::{collections::BTreeMap, error::Error, path::Path};

use gateway::client::Connector;
use hdrhistogram::Histogram;
use indicatif::ProgressBar;
use tokio::sync::oneshot;
use types::{
    AmendmentTerms, ContractTerms, DeliverySlot, Digest, MarketDefinition, MeterId, Money, Party,
    Role, Seq, ShardId, ShardMap, Side, SlotKey, Timestamp, TradeId, calendar,
};

pub(super) use self::{
    days_after::Story,
    papers::{Paper, Settled, month},
};
use super::{
    Options,
    changes::Contract,
    community,
    dice::Dice,
    household::{self, Day, QUARTERS},
    meter_desk::{Actuals, DeskCounts, Desks, FILE_SLOTS, Span},
    neighbours::Agreed,
    observer::{self, Observed},
    rail_desk::{Purses, RailCounts, RailDesk},
    setup::{self, Cast, PLATFORMS},
    strategy,
    trader::{Bundle, Counts, Intent, Record, Trader},
};
use crate::{
    clock::Clock,
    config::Config,
    node::{Layout, Node, NodeError, NodeOptions},
    shard::Shard,
};

/// Steps after the last slot opened, until it is delivered and reported.
pub(super) const STEPS_AFTER_LAST_SLOT: u64 = 9;
/// Collateral of each meter: 50.00.
const DEPOSIT: Money = Money::from_minor(5_000);
/// Steps from the opening of a slot until it is delivered.
const DELIVERED_STEPS: usize = 5;
/// Steps between verification cycles.
const VERIFY_STEPS: usize = 16;

/// What became of the day.
#[derive(Debug)]
pub(super) struct Played {
    /// Meters that took part.
    pub(super) meters: usize,
    /// Of these, with load and plant.
    pub(super) prosumers: usize,
    /// What the platforms did.
    pub(super) counts: Counts,
    /// Their orders for communities.
    pub(super) bundles: Vec<Bundle>,
    /// Changes of contracts that were declined.
    pub(super) declined: Vec<AmendmentTerms>,
    /// What the desks did.
    pub(super) desks: DeskCounts,
    /// From request to durable answer, all platforms.
    pub(super) latency: Histogram<u64>,
    /// What the market traded.
    pub(super) observed: Observed,
    /// What was settled.
    pub(super) settled: Settled,
    /// What became of who could not pay.
    pub(super) story: Option<Story>,
    /// What passed between exchange and rail.
    pub(super) rail: RailCounts,
    /// State of the day's engine at the end.
    pub(super) state_digest: Digest,
    /// Commands in the journals.
    pub(super) commands: u64,
    /// Orders of the call nearest to noon.
    pub(super) noon: Vec<Intent>,
    /// That slot.
    pub(super) noon_key: SlotKey,
    /// The slots that were traded, in order.
    pub(super) keys: Vec<SlotKey>,
    /// The market.
    pub(super) market: MarketDefinition,
}

/// Everything that takes part in the day.
struct Day96<'a> {
    node: &'a Node,
    /// The shard that has the day.
    shard: &'a Shard,
    clock: Clock,
    market: MarketDefinition,
    slots: &'a [DeliverySlot],
    first_quarter: usize,
    actuals: Actuals<'a>,
    cast: &'a Cast,
    traders: Vec<Trader>,
    desks: Desks,
    agreed: Agreed,
    /// Contracts that were agreed on in this step.
    contracts: Vec<Contract>,
    /// Changes that somebody asked for, and the other side did not want.
    declined: Vec<AmendmentTerms>,
    noon: Vec<Intent>,
    rail: RailDesk,
    /// What was agreed on directly, as at first.
    terms: BTreeMap<TradeId, ContractTerms>,
    /// Who is suspended, as the engine knows.
    suspended: BTreeMap<MeterId, bool>,
}

/// Plays the day in `dir`, which is empty.
pub(super) async fn play(
    options: &Options,
    dir: &Path,
    bar: &ProgressBar,
) -> Result<Played, Box<dyn Error>> {
    bar.set_message("preparing");
    let dice = Dice::new(options.seed);
    let day = Day::load(usize::try_from(options.meters)?)?;
    let cast = Cast::new(&day, options.seed)?;
    let layout = Layout::new(dir);
    let mut config = cast.write_directory(&layout, options.shards)?;
    // It is played here, at the clock of the day, and not called.
    let pace = config.rails.take().ok_or("the configuration has no rail")?.pace;
    let market = config.markets.first().ok_or("the configuration has no market")?.definition;
    let (slots, first_quarter) = traded_slots(&market, usize::try_from(options.slots)?)?;
    let first = slots.first().ok_or("no slot")?;
    let clock = Clock::starting_at(market.opens_at(*first).plus_ns(-60_000_000_000));
    let keys: Vec<_> = slots.iter().map(|&slot| market.key(slot)).collect();
    let later = later_slots(&config, &market, &slots, first_quarter)?;
    let open = [keys.as_slice(), &later.map(|later| market.key(later.slot))].concat();
    let node = start(&layout, &config, &cast, &clock, &open).await?;
    let shard = shard_of_day(&node, &config, market.key(*first))?;
    let operator = setup::connector(Party { role: Role::Operator, number: 1 }, &layout, &node)?;
    let (observe_through, observer) = start_observer(operator, shard.id);

    let files = u32::try_from(slots.len().div_ceil(FILE_SLOTS))?;
    let mut playing = Day96 {
        node: &node,
        shard,
        clock,
        market,
        slots: &slots,
        first_quarter,
        actuals: Actuals { day: &day, dice, caps: BTreeMap::new() },
        cast: &cast,
        traders: log_on(&layout, &node, shard.id).await?,
        desks: desks((&cast, &layout, &node), dice, files).await?,
        agreed: Agreed::default(),
        contracts: Vec::new(),
        declined: Vec::new(),
        noon: Vec::new(),
        rail: RailDesk::new(options.seed, &cast.rail_secret(), config.policy.currency, pace),
        terms: BTreeMap::new(),
        suspended: BTreeMap::new(),
    };
    let (story, settled) = playing.all(dir, bar, later).await?;
    observe_through.send(shard.durable()).map_err(|_| "the observer has stopped")?;
    let observed = observer.await??;
    let Day96 { traders, desks, noon, declined, rail, .. } = playing;
    let Record { counts, latency, bundles } = log_out(traders).await?;
    let desk_counts = desks.counts;
    drop(desks);
    let shard = usize::from(shard.id.index());
    let engines = node.shut_down().await?;
    let engine = engines.get(shard).ok_or("the shard did not stop")?;
    Ok(Played {
        meters: day.households.len(),
        prosumers: day.households.iter().filter(|h| h.load_w > 0 && h.plant_w > 0).count(),
        counts,
        bundles,
        declined,
        desks: desk_counts,
        latency,
        observed,
        settled,
        story,
        rail: rail.counts,
        state_digest: engine.digest(),
        commands: engines.iter().map(|engine| engine.last_seq().get()).sum(),
        noon,
        noon_key: market.key(middle(&slots).unwrap_or(*first)),
        keys,
        market,
    })
}

/// The exchange that everybody meets at.
async fn start(
    layout: &Layout,
    config: &Config,
    cast: &Cast,
    clock: &Clock,
    slots: &[SlotKey],
) -> Result<Node, NodeError> {
    Node::start(NodeOptions {
        layout: layout.clone(),
        config,
        registry: &cast.registry,
        clock: clock.clone(),
        slots,
        trades_every_day: false,
    })
    .await
}

fn middle(slots: &[DeliverySlot]) -> Option<DeliverySlot> {
    slots.get(slots.len().div_euclid(2)).copied()
}

/// All slots of a day have one shard.
fn shard_of_day<'a>(
    node: &'a Node,
    config: &Config,
    key: SlotKey,
) -> Result<&'a Shard, Box<dyn Error>> {
    let markets = config.markets.iter().map(|market| &market.definition);
    let shard = ShardMap::new(config.shards, markets)?.of(key);
    let found = node.shards.iter().find(|one| Some(one.id) == shard);
    Ok(found.ok_or("no shard has the day")?)
}

/// Two slots of later days.
fn later_slots(
    config: &Config,
    market: &MarketDefinition,
    slots: &[DeliverySlot],
    first_quarter: usize,
) -> Result<[days_after::Later; 2], Box<dyn Error>> {
    let markets = config.markets.iter().map(|market| &market.definition);
    let map = ShardMap::new(config.shards, markets)?;
    let day = middle(slots).ok_or("no slot")?;
    let quarter = first_quarter.saturating_add(slots.len().div_euclid(2));
    days_after::slots(market, &map, (day, quarter))
}

/// The middle of the day, as many slots as asked for, and the quarter hour of the first.
fn traded_slots(
    market: &MarketDefinition,
    count: usize,
) -> Result<(Vec<DeliverySlot>, usize), Box<dyn Error>> {
    let zone = market.time_zone.as_str();
    let day = calendar::local_day(household::DATE, zone, market.slot_minutes)?;
    let first = QUARTERS.saturating_sub(count).div_euclid(2);
    let slots = day
        .get(first..first.saturating_add(count))
        .ok_or("the day has fewer slots than asked for")?;
    Ok((slots.to_vec(), first))
}

type Observer = tokio::task::JoinHandle<Result<Observed, gateway::client::ClientError>>;

fn start_observer(connector: Connector, shard: ShardId) -> (oneshot::Sender<Seq>, Observer) {
    let (through, goal) = oneshot::channel();
    (through, tokio::spawn(async move { observer::observe(&connector, shard, goal).await }))
}

/// The desks of retailers and utilities.
async fn desks(
    (cast, layout, node): (&Cast, &Layout, &Node),
    dice: Dice,
    files: u32,
) -> Result<Desks, Box<dyn Error>> {
    let retailers = cast.desks(Role::Retailer, layout, node).await?;
    let utilities = cast.desks(Role::Utility, layout, node).await?;
    Ok(Desks::new(retailers, utilities, dice, files))
}

async fn log_on(
    layout: &Layout,
    node: &Node,
    shard: ShardId,
) -> Result<Vec<Trader>, Box<dyn Error>> {
    let mut traders = Vec::new();
    for number in 1..=PLATFORMS {
        let party = Party { role: Role::Platform, number };
        let connector = setup::connector(party, layout, node)?;
        let blotter = setup::blotter(layout.root(), number)?;
        traders.push(Trader::log_on(&connector, shard, blotter).await?);
    }
    Ok(traders)
}

/// Everything that the platforms did.
async fn log_out(traders: Vec<Trader>) -> Result<Record, Box<dyn Error>> {
    let latency = Histogram::new_with_bounds(1_000, 60_000_000_000, 3)?;
    let mut total = Record { counts: Counts::default(), latency, bundles: Vec::new() };
    for trader in traders {
        let Record { counts, latency, bundles } = trader.log_out().await?;
        total.counts.orders = total.counts.orders.saturating_add(counts.orders);
        total.counts.changes = total.counts.changes.saturating_add(counts.changes);
        total.counts.rejected = total.counts.rejected.saturating_add(counts.rejected);
        total.counts.stopped = total.counts.stopped.saturating_add(counts.stopped);
        total.counts.suspended = total.counts.suspended.saturating_add(counts.suspended);
        total.latency.add(latency)?;
        total.bundles.extend(bundles);
    }
    Ok(total)
}

/// The index of a meter's platform.
fn platform_of(meter: MeterId) -> usize {
    let platform = meter.get().saturating_sub(1).rem_euclid(u32::from(PLATFORMS));
    usize::try_from(platform).unwrap_or(0)
}

impl Day96<'_> {
    /// The day, the days after it, and what is written about both.
    async fn all(
        &mut self,
        dir: &Path,
        bar: &ProgressBar,
        later: [days_after::Later; 2],
    ) -> Result<(Option<Story>, Settled), Box<dyn Error>> {
        let began = self.clock.now();
        self.prepare(*self.slots.first().ok_or("no slot")?).await?;
        self.run(bar).await?;
        bar.set_message("the days after");
        let story = self.days_after(later).await?;
        Ok((story, self.settled(dir, began).await?))
    }

    /// Before the first trade, collateral for everyone and a place in the grid for every meter.
    async fn prepare(&mut self, first: DeliverySlot) -> Result<(), Box<dyn Error>> {
        self.settle_up().await?;
        let now = self.clock.now();
        for line in &self.cast.registry.meters {
            self.rail.deposit(now, line.meter, DEPOSIT);
        }
        self.rail_turn(Purses::AsTheyAre).await?;
        let households = &self.actuals.day.households;
        let placed = self.shard.durable().get().saturating_add(u64::try_from(households.len())?);
        self.desks.place(first.start_minute(), households).await?;
        // Each place is a command of its own, and has its position before the first order's.
        let mut progress = self.shard.progress();
        progress.wait_for(|progress| progress.durable.get() >= placed).await?;
        self.delegate(first).await
    }

    async fn run(&mut self, bar: &ProgressBar) -> Result<(), Box<dyn Error>> {
        let after = usize::try_from(STEPS_AFTER_LAST_SLOT)?;
        let last = self.slots.len().saturating_add(after);
        let noon = self.slots.len().div_euclid(2);
        let mut step = 0;
        while step < last || self.desks.last_step().is_some() {
            bar.set_message(match self.slots.get(step) {
                Some(slot) => format!("trading {}", slot.start()),
                None => "verifying and settling".to_owned(),
            });
            self.advance(step).await?;
            self.change(step).await?;
            self.negotiate(step).await?;
            self.limit(step).await?;
            self.trade(step).await?;
            self.deliver(step).await?;
            // Who cannot pay for noon is found out when its bills are sent.
            let is_after_noon = step > noon.saturating_add(DELIVERED_STEPS);
            let purses = if is_after_noon { Purses::OneIsEmpty } else { Purses::AsTheyAre };
            self.rail_turn(purses).await?;
            step = step.saturating_add(1);
            bar.set_position(u64::try_from(step)?);
        }
        self.verify().await?;
        self.rail_turn(Purses::OneIsEmpty).await
    }

    /// What the rail has to do by now: it is sent what is due, and tells what has happened.
    async fn rail_turn(&mut self, purses: Purses) -> Result<(), Box<dyn Error>> {
        let now = self.clock.now();
        self.rail.turn(&self.node.settlement, now, purses).await
    }

    /// Moves the clock to one second past the step's quarter hour, and waits until the exchange has
    /// done what was due.
    async fn advance(&self, step: usize) -> Result<(), Box<dyn Error>> {
        let first = self.slots.first().ok_or("no slot")?;
        let minutes = i64::try_from(step)?.saturating_mul(i64::from(first.minutes()));
        let now = self
            .market
            .opens_at(*first)
            .plus_ns(minutes.saturating_mul(60_000_000_000))
            .plus_ns(1_000_000_000);
        self.clock_to(now).await
    }

    /// Sets the clock, and waits until the exchange has done what was due.
    async fn clock_to(&self, now: Timestamp) -> Result<(), Box<dyn Error>> {
        self.clock.set(now);
        self.node.wake();
        Ok(self.node.scheduled_through(now).await?)
    }

    /// Every platform in turn: orders for the slot that opened, then second thoughts for the slot
    /// whose call ended. Buyers move first and sellers see what is left, so that no request meets an
    /// order that another request of the same turn has filled.
    async fn trade(&mut self, step: usize) -> Result<(), Box<dyn Error>> {
        for index in 0..self.traders.len() {
            let mut buyers = self.first_orders(step, index);
            if step == self.slots.len().div_euclid(2) {
                self.noon.extend_from_slice(&buyers);
            }
            self.catch_up(index).await?;
            self.bundle(step, index, &mut buyers).await?;
            buyers.extend(self.after_call(step, index, Side::Buy));
            buyers.extend(self.second_thoughts(step, index));
            self.carry_out(index, &buyers).await?;
            self.catch_up(index).await?;
            let sellers = self.after_call(step, index, Side::Sell);
            self.carry_out(index, &sellers).await?;
        }
        Ok(())
    }

    async fn catch_up(&mut self, index: usize) -> Result<(), Box<dyn Error>> {
        match self.traders.get_mut(index) {
            Some(trader) => Ok(trader.catch_up().await?),
            None => Ok(()),
        }
    }

    async fn carry_out(&mut self, index: usize, intents: &[Intent]) -> Result<(), Box<dyn Error>> {
        let valid_until = self.clock.now().plus_ns(3_600_000_000_000);
        let Some(trader) = self.traders.get_mut(index) else { return Ok(()) };
        trader.carry_out(intents, &self.cast.meter_keys, valid_until).await?;
        self.told(index).await
    }

    /// Waits until everybody is told what a platform was told last.
    async fn told(&self, index: usize) -> Result<(), Box<dyn Error>> {
        let Some(trader) = self.traders.get(index) else { return Ok(()) };
        // Its own answers may arrive before the other side of a trade is told: wait for both.
        let told = trader.last_seq;
        let mut progress = self.shard.progress();
        progress.wait_for(|progress| progress.durable >= told).await?;
        Ok(())
    }

    /// Meters of a platform, each with its household.
    fn meters_of(&self, index: usize) -> impl Iterator<Item = (MeterId, &household::Household)> {
        (1_u32..)
            .map(MeterId::new)
            .zip(&self.actuals.day.households)
            .skip(index)
            .step_by(usize::from(PLATFORMS))
    }

    /// The community's order in place of those that it is made of.
    async fn bundle(
        &mut self,
        step: usize,
        index: usize,
        orders: &mut Vec<Intent>,
    ) -> Result<(), Box<dyn Error>> {
        let Some(&slot) = self.slots.get(step) else { return Ok(()) };
        let key = self.market.key(slot);
        let Some(side) = community::side(index, key) else { return Ok(()) };
        let members = community::bundle(self.actuals.dice, side, orders);
        if members.is_empty() {
            return Ok(());
        }
        self.trade_for(index, (key, side), &members, slot.start()).await
    }

    fn first_orders(&self, step: usize, index: usize) -> Vec<Intent> {
        let Some(&slot) = self.slots.get(step) else { return Vec::new() };
        let quarter = self.first_quarter.saturating_add(step);
        self.meters_of(index)
            .filter_map(|(meter, household)| {
                let metered = self.actuals.day.metered(household, quarter);
                let key = self.market.key(slot);
                let metered = self.agreed.left(meter, key, metered);
                strategy::first_order(self.actuals.dice, &self.market, meter, key, metered)
            })
            .collect()
    }

    /// The slot whose call has just ended, with its quarter hour.
    fn called(&self, step: usize) -> Option<(SlotKey, usize)> {
        let called = step.checked_sub(2)?;
        let slot = self.slots.get(called)?;
        Some((self.market.key(*slot), self.first_quarter.saturating_add(called)))
    }

    fn after_call(&self, step: usize, index: usize, side: Side) -> Vec<Intent> {
        let (Some((key, _)), Some(trader)) = (self.called(step), self.traders.get(index)) else {
            return Vec::new();
        };
        trader
            .resting
            .iter()
            .filter(|(_, resting)| resting.key == key && resting.side == side)
            .filter_map(|(&order, resting)| {
                strategy::after_call(self.actuals.dice, &self.market, order, resting)
            })
            .collect()
    }

    fn second_thoughts(&self, step: usize, index: usize) -> Vec<Intent> {
        let Some((key, quarter)) = self.called(step) else { return Vec::new() };
        self.meters_of(index)
            .filter_map(|(meter, household)| {
                let metered = self.actuals.day.metered(household, quarter);
                strategy::second_thought(self.actuals.dice, &self.market, meter, key, metered)
            })
            .collect()
    }

    /// What was delivered is curtailed, metered, reported and verified.
    async fn deliver(&mut self, step: usize) -> Result<(), Box<dyn Error>> {
        // Settlement sees everything traded before it sees any document: one order for all runs.
        self.settle_up().await?;
        if let Some(delivered) = step.checked_sub(DELIVERED_STEPS) {
            self.curtail(delivered).await?;
            let slots_done = delivered.saturating_add(1).min(self.slots.len());
            let whole = slots_done.is_multiple_of(FILE_SLOTS) || slots_done == self.slots.len();
            if delivered < self.slots.len() && whole {
                let first = delivered.saturating_sub(delivered.rem_euclid(FILE_SLOTS));
                let span = Span {
                    slots: self.slots.get(first..slots_done).unwrap_or_default(),
                    first_quarter: self.first_quarter.saturating_add(first),
                    file: u32::try_from(first.div_euclid(FILE_SLOTS))?,
                };
                self.desks.report(step, span, self.market.market, &self.actuals).await?;
            }
        }
        self.desks.send_due(step).await?;
        if step.rem_euclid(VERIFY_STEPS) == VERIFY_STEPS.saturating_sub(1) {
            self.verify().await?;
        }
        Ok(())
    }

    async fn verify(&self) -> Result<(), Box<dyn Error>> {
        self.settle_up().await?;
        self.node.settlement.verify(self.clock.now()).await?;
        Ok(())
    }

    /// Waits until settlement has captured everything that is durable.
    async fn settle_up(&self) -> Result<(), Box<dyn Error>> {
        Ok(self.node.captured().await?)
    }
}
