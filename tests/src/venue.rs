//! An exchange in a temporary directory, with a clock that the test moves.
//!
//! One slot of the day is called noon; others are so many quarter hours away from it. Books open
//! 60 minutes before delivery, calls end 30 and gates close 15 minutes before it. So 29 minutes
//! before noon the slot at noon is in its continuous phase, the next one in its call, the one
//! before is closed, and the fourth after it is not open.
#![expect(clippy::expect_used, reason = "a venue that cannot be made fails the test")]

use std::{future::Future, time::Duration};

use exchange::{
    clock::Clock,
    config::{self, Config},
    exit::Failure,
    init,
    node::{self, Layout, Node, NodeError, NodeOptions},
    notices::Webhook,
    pull::Endpoint,
    registry::Registry,
    shard::{self, Shard},
};
use gateway::{
    Identity,
    authority::{self, Holder, KeySource, Purpose, Validity},
    client::{Connector, DataClient, FeedBatch, FeedClient},
    identity,
};
use settlement::Pipeline;
use tempfile::TempDir;
use types::{
    DeliverySlot, Digest, Party, Role, Seq, ShardId, ShardMap, SlotKey, Timestamp, calendar,
};
use wire::FeedItem;

use crate::cast;

/// Longest wait for anything: a bound for what went wrong, never a pause.
pub const PATIENCE: Duration = Duration::from_secs(30);

const DATE: &str = "2026-06-24";
const NEXT_DATE: &str = "2026-06-25";
const NOON: usize = 48;
const SECOND_NS: i64 = 1_000_000_000;
const MINUTE_NS: i64 = 60 * SECOND_NS;
const QUARTER_NS: i64 = 15 * MINUTE_NS;

/// Waits for something that must happen.
///
/// # Panics
/// When it does not happen.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("this happens before patience ends")
}

/// The configuration of every venue: the template, on any free port.
#[must_use]
pub fn config_text() -> String {
    init::CONFIG_TEMPLATE.replace("127.0.0.1:7400", "127.0.0.1:0")
}

/// The configuration of a venue whose market has these controls.
#[must_use]
pub fn config_with_controls(lines: &str) -> String {
    let table = format!("[markets.controls]\n{lines}\n\n[settlement]\n");
    config_text().replacen("[settlement]\n", &table, 1)
}

/// A running exchange.
#[derive(Debug)]
pub struct Venue {
    /// Where its files lie.
    pub layout: Layout,
    /// It runs.
    pub node: Node,
    clock: Clock,
    config: Config,
    registry: Registry,
    slots: Vec<DeliverySlot>,
    dir: TempDir,
}

/// An exchange that stopped and can be started again.
#[derive(Debug)]
pub struct Stopped {
    /// Digest of the state of its first shard.
    pub digest: Digest,
    layout: Layout,
    clock: Clock,
    config: Config,
    registry: Registry,
    slots: Vec<DeliverySlot>,
    dir: TempDir,
}

impl Stopped {
    /// Where parties are asked for readings from the next start on, as the registry would say.
    pub fn set_endpoints(&mut self, endpoints: Vec<Endpoint>) {
        self.registry.endpoints = endpoints;
    }

    /// Its configuration from the next start on.
    ///
    /// # Panics
    /// When it is none.
    pub fn set_config(&mut self, text: &str) {
        let path = self.layout.root().join(config::FILE_NAME);
        self.config = with_small_segments(config::parse(&path, text).expect("a configuration"));
    }

    /// Where parties are told what happens from the next start on, as the registry would say.
    pub fn set_webhooks(&mut self, webhooks: Vec<Webhook>) {
        self.registry.webhooks = webhooks;
    }

    /// Starts it again over the same files.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(self) -> Venue {
        self.try_start().await.expect("the exchange starts")
    }

    /// Its settlement, which nobody else has open.
    ///
    /// # Panics
    /// When it does not open.
    #[must_use]
    pub fn pipeline(&self) -> Pipeline {
        let settings = node::settlement_settings(&self.layout, &self.config).expect("a ledger key");
        let (database, ledger) = (self.layout.settlement(), self.layout.ledger());
        Pipeline::open(&database, &ledger, settings).expect("a database")
    }

    /// Starts it again over the same files, or says why it does not start.
    ///
    /// # Errors
    /// What it says.
    pub async fn try_start(self) -> Result<Venue, String> {
        let Self { layout, clock, config, registry, slots, dir, .. } = self;
        let started = start(&layout, &config, &registry, &clock, &slots).await;
        let node = started.map_err(|error| Failure::node(error).message().to_owned())?;
        Ok(Venue { layout, node, clock, config, registry, slots, dir })
    }
}

impl Venue {
    /// Starts an exchange 140 minutes before noon, before any slot is open.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn open() -> Self {
        Self::open_with(&config_text()).await
    }

    /// As [`Venue::open`], with another configuration.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn open_with(config_text: &str) -> Self {
        Self::open_days(config_text, &[DATE]).await
    }

    /// As [`Venue::open_with`], with the slots of the day and the next one.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn open_for_two_days(config_text: &str) -> Self {
        Self::open_days(config_text, &[DATE, NEXT_DATE]).await
    }

    /// As [`Venue::open_with`], with the slots of so many days from a date (`YYYY-MM-DD`) on, whose
    /// first noon is the venue's.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn open_from(config_text: &str, date: &str, days: usize) -> Self {
        let next = |date: &String| calendar::next_date(date).ok();
        let dates: Vec<_> = std::iter::successors(Some(date.to_owned()), next).take(days).collect();
        let dates: Vec<_> = dates.iter().map(String::as_str).collect();
        Self::open_days(config_text, &dates).await
    }

    async fn open_days(config_text: &str, dates: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let layout = Layout::new(dir.path());
        let registry = cast::registry();
        init::write_directory(&layout, &registry, config_text, &cast::ledger_key())
            .expect("the directory is written");
        let config = config::load(&dir.path().join(config::FILE_NAME)).expect("a configuration");
        let config = with_small_segments(config);
        let day = |date| calendar::local_day(date, "Europe/Berlin", 15).expect("a day");
        let slots: Vec<_> = dates.iter().copied().flat_map(day).collect();
        let clock = Clock::starting_at(minutes_from(&slots, -140));
        let started = start(&layout, &config, &registry, &clock, &slots).await;
        let node = started.expect("the exchange starts");
        Self { layout, node, clock, config, registry, slots, dir }
    }

    /// A slot, so many quarter hours after noon.
    ///
    /// # Panics
    /// When it is not on a day of the venue.
    #[must_use]
    pub fn slot(&self, quarters: isize) -> SlotKey {
        let index = NOON.checked_add_signed(quarters).expect("a slot of the day");
        let slot = self.slots.get(index).expect("a slot of the day");
        self.config.markets.first().expect("a market").definition.key(*slot)
    }

    /// The shard of a slot.
    ///
    /// # Panics
    /// When its market is none of the venue's.
    #[must_use]
    pub fn shard_of(&self, key: SlotKey) -> ShardId {
        self.shard_map().of(key).expect("a slot of the market")
    }

    /// Which shard a slot belongs to.
    ///
    /// # Panics
    /// When the configuration has an unknown time zone.
    #[must_use]
    pub fn shard_map(&self) -> ShardMap {
        let markets = self.config.markets.iter().map(|market| &market.definition);
        ShardMap::new(self.config.shards, markets).expect("known time zones")
    }

    /// Waits until a position of a shard is durable and everyone knows.
    ///
    /// # Panics
    /// When it never is.
    pub async fn durable_through(&self, shard: ShardId, seq: Seq) {
        let shard = self.node.shards.iter().find(|one| one.id == shard).expect("a shard");
        let mut progress = shard.progress();
        soon(progress.wait_for(|progress| progress.durable >= seq)).await.expect("it runs");
    }

    /// Waits until settlement has seen everything that is durable.
    ///
    /// # Panics
    /// When it does not.
    pub async fn settled(&self) {
        soon(self.node.captured()).await.expect("it runs");
    }

    /// What the clock shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Moves the clock to so many minutes from noon, and one second. Stops at every quarter hour on
    /// the way, where timers are due, and waits until what was due is durable.
    ///
    /// # Panics
    /// When the exchange does not do what is due.
    pub async fn clock_to(&self, minute: i64) {
        let goal = minutes_from(&self.slots, minute).plus_ns(SECOND_NS);
        while self.clock.now() < goal {
            let passed = self.clock.now().ns().rem_euclid(QUARTER_NS);
            let quarter = self.clock.now().plus_ns(QUARTER_NS.saturating_sub(passed));
            self.set_clock(quarter.plus_ns(SECOND_NS).min(goal)).await;
        }
    }

    /// Sets the clock to an instant and waits until what was due is durable.
    ///
    /// # Panics
    /// When the exchange does not do what is due.
    pub async fn set_clock(&self, now: Timestamp) {
        self.clock.set(now);
        self.node.wake();
        soon(self.node.scheduled_through(now)).await.expect("it runs");
    }

    /// An instant so many minutes from noon.
    #[must_use]
    pub fn minutes_from_noon(&self, minute: i64) -> Timestamp {
        minutes_from(&self.slots, minute)
    }

    /// The first shard, which is the only one unless the configuration says otherwise.
    ///
    /// # Panics
    /// Never: an exchange has one.
    #[must_use]
    pub fn first(&self) -> &Shard {
        self.node.shards.first().expect("an exchange has a shard")
    }

    /// The last durable position.
    #[must_use]
    pub fn durable(&self) -> Seq {
        self.first().durable()
    }

    /// Waits until settlement has seen everything up to a position.
    ///
    /// # Panics
    /// When it does not.
    pub async fn settled_through(&self, seq: Seq) {
        soon(self.node.settlement.captured_through(ShardId::FIRST, seq)).await.expect("it runs");
    }

    /// How a party reaches the exchange. Its certificate is issued when it has none yet.
    ///
    /// # Panics
    /// When a file is missing.
    #[must_use]
    pub fn connector(&self, party: Party) -> Connector {
        let keys = self.layout.keys();
        let name = authority::file_name(party);
        if !keys.join(format!("{name}.crt")).exists() {
            let mut authority = gateway::Authority::open(&keys).expect("the authority");
            let holder = Holder::Party(party);
            let validity = Validity::development();
            authority
                .issue(holder, Purpose::Transport, KeySource::New, validity)
                .expect("a certificate");
        }
        Connector {
            address: self.node.address,
            server_name: "localhost".to_owned(),
            identity: Identity::load(&keys, &name).expect("an identity"),
            authority: identity::load_certificates(&keys.join("ca.crt")).expect("the authority"),
        }
    }

    /// The data connection of a party.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn desk(&self, party: Party) -> DataClient {
        soon(DataClient::connect(&self.connector(party))).await.expect("a connection")
    }

    /// An operator's subscription to the feed.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn subscribe(&self, after: Seq) -> FeedClient {
        let operator = self.connector(cast::party(Role::Operator, 1));
        soon(FeedClient::subscribe(&operator, after)).await.expect("a subscription")
    }

    /// Everything the feed says after one position up to another.
    ///
    /// # Panics
    /// When the feed ends before.
    pub async fn feed(&self, after: Seq, through: Seq) -> Vec<FeedItem> {
        follow(&mut self.subscribe(after).await, through).await
    }

    /// Stops the exchange and starts it again over the same files. Returns the digest of the state
    /// at which its first shard stopped.
    ///
    /// # Panics
    /// When it does not stop or start.
    pub async fn restart(self) -> (Self, Digest) {
        let stopped = self.closed_for_repair().await;
        let digest = stopped.digest;
        (stopped.start().await, digest)
    }

    /// Stops the exchange, so that its files can be changed before it is started again.
    ///
    /// # Panics
    /// When it does not stop.
    pub async fn closed_for_repair(self) -> Stopped {
        let Self { layout, node, clock, config, registry, slots, dir } = self;
        let engines = soon(node.shut_down()).await.expect("it stops");
        let digest = engines.first().expect("an exchange has a shard").digest();
        Stopped { digest, layout, clock, config, registry, slots, dir }
    }

    /// Stops the exchange; its journals must replay to the states at which it stopped.
    ///
    /// # Panics
    /// When it does not stop, or a journal says something else.
    pub async fn close(self) {
        self.stop().await.close().expect("the directory can be removed");
    }

    /// As [`Venue::close`]. Gives the directory back.
    ///
    /// # Panics
    /// As [`Venue::close`].
    pub async fn stop(self) -> TempDir {
        let engines = soon(self.node.shut_down()).await.expect("it stops");
        for (shard, engine) in self.config.shards.iter().zip(&engines) {
            let journal = self.layout.journal_of(shard);
            let verified = replay::verify(&journal, shard::limits(shard), &mut |_| {})
                .expect("the journal replays");
            assert_eq!(verified.state_digest, engine.digest(), "replay reaches the same state");
        }
        self.dir
    }
}

/// Reads a subscription up to a position.
///
/// # Panics
/// When it ends before.
pub async fn follow(feed: &mut FeedClient, through: Seq) -> Vec<FeedItem> {
    let mut items = Vec::new();
    let mut reached = Seq::ZERO;
    while reached < through {
        let FeedBatch { items: more, through: reached_now } =
            soon(feed.next_batch()).await.expect("a batch");
        items.extend(more);
        reached = reached_now;
    }
    // A batch ends where it ends: what lies behind the position does not count.
    items.retain(|item| item.seq <= through);
    items
}

async fn start(
    layout: &Layout,
    config: &Config,
    registry: &Registry,
    clock: &Clock,
    slots: &[DeliverySlot],
) -> Result<Node, NodeError> {
    let market = config.markets.first().expect("a market").definition;
    let slots: Vec<_> = slots.iter().map(|&slot| market.key(slot)).collect();
    let layout = layout.clone();
    let clock = clock.clone();
    let options =
        NodeOptions { layout, config, registry, clock, trades_every_day: false, slots: &slots };
    soon(Node::start(options)).await
}

fn minutes_from(slots: &[DeliverySlot], minute: i64) -> Timestamp {
    let noon = slots.get(NOON).expect("a day has a noon");
    noon.start().plus_ns(minute.saturating_mul(MINUTE_NS))
}

/// An exchange allocates two segments at once. In the hundreds of a test run those of 64 MiB come to tens of
/// gigabytes, and a disk that is told of every deletion stands still for minutes. A batch of 4 MiB fits.
fn with_small_segments(config: Config) -> Config {
    Config { segment_bytes: 8 << 20, ..config }
}
