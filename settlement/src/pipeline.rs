//! The service: pure stages composed around one transaction.
//!
//! Each call of [`Pipeline`] is one transaction (a verification cycle one per few thousand
//! contracts): input cursor, effects, ledger leaves and balances commit together or not at all.
//! That is why redelivery and restarts change nothing. The pipeline has no clock and no thread;
//! time is an argument.

mod agreement;
mod amending;
mod audit;
mod blocking;
mod capturing;
mod checkpointing;
mod collecting;
mod comparing;
mod deposits;
mod disconnecting;
mod enforcing;
mod explaining;
pub(crate) mod grid;
mod grid_limits;
mod ingesting;
mod instructing;
mod missing;
mod outbox;
mod paying;
mod paying_out;
mod rail_events;
mod reconciling;
mod serving;
mod stating;
mod verification;

use core::time::Duration;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use ed25519_dalek::SigningKey;
use types::{Digest, Party, Seq, ShardId, ShardMap, Timestamp, shard::SHARDS_MAX};

pub use amending::{Amendment, AmendmentOutcome, Answer};
pub use audit::{AccountTotal, Audit, MechanismTotal, Summary, TransferLine};
pub use blocking::{BlockOutcome, BlockRequest};
pub use capturing::Captured;
pub use comparing::Books;
pub use deposits::DepositOutcome;
pub use enforcing::{EnforcementSummary, Standing, level_name};
pub use explaining::{ExplainedLeg, Explanation};
pub use grid::{
    LimitNotice, Notice, NoticeKind, ScheduleAnswer, ScheduleFilter, ScheduleLimit, ScheduleLine,
};
pub use instructing::{Errand, Pace, Task};
pub use missing::{CycleLine, DocumentLine, MarketStatus, MissingReadings};
pub use paying::PaymentOutcome;
pub use paying_out::PayOutSummary;
pub use reconciling::{Break, BreakKind, Reconciliation};
pub use verification::{CYCLE_CONTRACTS_MAX, VerificationSummary};

use crate::{
    books::posting::{Posting, Unlogged},
    error::{Doing as _, SettlementError, fit},
    outcome::State,
    policy::Policy,
    registry::Registry,
    store::database::{Connection, Store, params},
    store::{
        self,
        grid::{ScheduleChange, ScheduleKey},
        ledger::Appender,
    },
    tlog::{Frontier, note},
};

/// Minutes since 1970 at an instant.
const fn minute_of(now: Timestamp) -> i64 {
    now.ns().div_euclid(60_000_000_000)
}

/// Minutes of a day.
const DAY_MINUTES: i64 = 1_440;

/// Cursor of the first shard; of the others with their number after it: `cursor-2`.
const CURSOR: &str = "cursor";
const LEDGER: &str = "ledger";

/// What a pipeline is told when it is opened.
#[derive(Clone)]
pub struct Settings {
    /// The rules of settlement.
    pub policy: Policy,
    /// The name of the ledger: first line of its checkpoints.
    pub ledger_origin: String,
    /// Seed of the Ed25519 key that signs checkpoints.
    pub ledger_key_seed: [u8; 32],
}

impl core::fmt::Debug for Settings {
    /// Without the seed.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Settings")
            .field("policy", &self.policy)
            .field("ledger_origin", &self.ledger_origin)
            .finish_non_exhaustive()
    }
}

/// Verification, settlement and the ledger on one database.
pub struct Pipeline {
    connection: Connection,
    /// Where the connection is opened again once it is lost.
    store: Option<Store>,
    ledger_dir: Option<PathBuf>,
    policy: Policy,
    origin: String,
    key: SigningKey,
    registry: Registry,
    /// Until when signatures of parties count.
    signing_until: BTreeMap<Party, Timestamp>,
    shards: Arc<ShardMap>,
    cursors: Cursors,
    frontier: Frontier,
    /// Where salts of documents come from; never stored.
    salts: [u8; 32],
    stopped: bool,
}

/// A transaction that loses its connection is done again this often.
const REDONE_MAX: u32 = 3;
/// Before the second attempt to connect again.
const RECONNECT_PAUSE_MIN: Duration = Duration::from_millis(50);
/// Before the last one: nine pauses, each twice the one before, are 26 s together.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_millis(12_800);

/// How far each shard's feed is captured; a shard that is not in it, not at all.
type Cursors = BTreeMap<ShardId, Seq>;

fn cursor_key(shard: ShardId) -> String {
    if shard == ShardId::FIRST { CURSOR.to_owned() } else { format!("{CURSOR}-{shard}") }
}

impl core::fmt::Debug for Pipeline {
    /// Without the key.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Pipeline")
            .field("origin", &self.origin)
            .field("cursors", &self.cursors)
            .field("leaves", &self.frontier.size())
            .finish_non_exhaustive()
    }
}

/// What one transaction works on.
struct Work<'c> {
    connection: &'c Connection,
    policy: &'c Policy,
    registry: &'c mut Registry,
    shards: &'c ShardMap,
    posting: Posting<'c>,
    ledger: Appender<'c>,
    totals: BTreeMap<State, Total>,
    schedule: BTreeMap<ScheduleKey, ScheduleChange>,
    /// Where something new is known of a limit.
    limited: BTreeSet<ScheduleKey>,
    cursors: Cursors,
    salts: &'c [u8; 32],
}

/// Changes of the number and energy of contracts in one state.
#[derive(Debug, Clone, Copy, Default)]
struct Total {
    contracts: i64,
    settled_wh: i64,
}

impl Pipeline {
    /// Opens or creates the database at `db` and continues where it stopped. `ledger_dir` receives
    /// tiles and checkpoints.
    ///
    /// # Errors
    /// When either cannot be opened, they do not belong together or to these settings, or stored
    /// data is damaged.
    pub fn open(
        db: impl Into<Store>,
        ledger_dir: &Path,
        settings: Settings,
    ) -> Result<Self, SettlementError> {
        let db = db.into();
        let opened = store::open(&db)?;
        let mut pipeline = Self::over(opened, Some(ledger_dir.to_owned()), settings)?;
        pipeline.store = Some(db);
        pipeline.check_ledger_dir()?;
        Ok(pipeline)
    }

    /// Opens the database at `db` to answer questions, beside a process that writes it. Everything
    /// that would change something is refused.
    ///
    /// # Errors
    /// When there is no database of this version, or stored data is damaged.
    pub fn open_for_questions(
        db: impl Into<Store>,
        settings: Settings,
    ) -> Result<Self, SettlementError> {
        let opened = store::open_read_only(&db.into())?;
        let mut pipeline = Self::unclaimed(opened, None, settings)?;
        pipeline.reload()?;
        pipeline.stopped = true;
        Ok(pipeline)
    }

    /// A pipeline that keeps nothing and touches no file. It signs no checkpoints.
    ///
    /// # Errors
    /// When the settings cannot be used.
    pub fn in_memory(settings: Settings) -> Result<Self, SettlementError> {
        Self::over(store::open_in_memory()?, None, settings)
    }

    fn over(
        connection: Connection,
        ledger_dir: Option<PathBuf>,
        settings: Settings,
    ) -> Result<Self, SettlementError> {
        let mut pipeline = Self::unclaimed(connection, ledger_dir, settings)?;
        pipeline.claim()?;
        pipeline.reload()?;
        Ok(pipeline)
    }

    fn unclaimed(
        connection: Connection,
        ledger_dir: Option<PathBuf>,
        settings: Settings,
    ) -> Result<Self, SettlementError> {
        let Settings { policy, ledger_origin: origin, ledger_key_seed } = settings;
        if !note::is_origin(&origin) {
            return Err(SettlementError::BadOrigin(origin));
        }
        let key = SigningKey::from_bytes(&ledger_key_seed);
        Ok(Self {
            connection,
            store: None,
            ledger_dir,
            policy,
            origin,
            key,
            registry: Registry::default(),
            shards: Arc::new(ShardMap::one()),
            signing_until: BTreeMap::new(),
            cursors: Cursors::new(),
            frontier: Frontier::default(),
            salts: [0; 32],
            stopped: false,
        })
    }

    /// Says until when signatures of parties count, their last instants included. Of a party that is not
    /// named they always do.
    pub fn set_signing_until(&mut self, until: BTreeMap<Party, Timestamp>) {
        self.signing_until = until;
    }

    /// Says which shard of the exchange has which slots: without it there is one, and it has all.
    pub fn set_shards(&mut self, shards: Arc<ShardMap>) {
        self.shards = shards;
    }

    /// Draws salts of documents from this secret from now on. The caller draws it at random and keeps
    /// it nowhere: then a document's hash in the ledger leads nowhere once its own salt is erased.
    pub const fn salt_with(&mut self, secret: [u8; 32]) {
        self.salts = secret;
    }

    /// Everything of the first shard up to here is captured.
    #[must_use]
    pub fn cursor(&self) -> Seq {
        self.cursor_of(ShardId::FIRST)
    }

    /// Everything of a shard up to here is captured.
    #[must_use]
    pub fn cursor_of(&self, shard: ShardId) -> Seq {
        self.cursors.get(&shard).copied().unwrap_or_default()
    }

    /// The rules in force.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The ledger's key in the form verifiers are given it.
    #[must_use]
    pub fn ledger_verifier(&self) -> String {
        note::verifier_key(&self.origin, &self.key.verifying_key())
    }

    /// How many leaves the ledger has, and their root; signed or not.
    #[must_use]
    pub fn ledger_head(&self) -> (u64, Digest) {
        (self.frontier.size(), self.frontier.root())
    }

    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    #[cfg(test)]
    pub(crate) const fn connection_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }

    pub(crate) const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Binds a new database to this ledger; refuses another's.
    fn claim(&mut self) -> Result<(), SettlementError> {
        let given = self.ledger_verifier();
        match store::meta(&self.connection, LEDGER)? {
            None => store::set_meta(&self.connection, LEDGER, given.as_bytes()),
            Some(stored) if stored == given.as_bytes() => Ok(()),
            Some(stored) => Err(SettlementError::OtherLedger {
                stored: String::from_utf8_lossy(&stored).into_owned(),
                given,
            }),
        }
    }

    /// Reads what is kept in memory from the database.
    fn reload(&mut self) -> Result<(), SettlementError> {
        self.registry = store::registry(&self.connection)?;
        self.cursors.clear();
        for shard in (0..SHARDS_MAX).filter_map(ShardId::new) {
            if let Some(bytes) = store::meta(&self.connection, &cursor_key(shard))? {
                let bytes: [u8; 8] = fit(bytes, "the cursor")?;
                self.cursors.insert(shard, Seq::new(u64::from_le_bytes(bytes)));
            }
        }
        self.frontier = match store::meta(&self.connection, store::ledger::FRONTIER)? {
            None => Frontier::default(),
            Some(bytes) => Frontier::from_bytes(&bytes)
                .ok_or_else(|| SettlementError::Damaged("the frontier".to_owned()))?,
        };
        let stored = store::ledger::leaf_count(&self.connection)?;
        if stored != self.frontier.size() {
            let text = format!("{stored} leaves under a frontier of {}", self.frontier.size());
            return Err(SettlementError::Damaged(text));
        }
        Ok(())
    }

    /// Runs `work` in one transaction and commits it; after a failure nothing of it is left. Where the
    /// connection was lost before the commit, it is opened again and all is done again.
    fn transact<R>(
        &mut self,
        mut work: impl FnMut(&mut Work<'_>) -> Result<R, SettlementError>,
    ) -> Result<R, SettlementError> {
        if self.stopped {
            return Err(SettlementError::Stopped);
        }
        for _ in 0..REDONE_MAX {
            if self.connection.is_lost() {
                self.reconnect()?;
            }
            match self.attempt(&mut work) {
                Err(_) if !self.stopped && self.connection.is_lost() => {}
                Err(error) => {
                    if !self.stopped && self.reload().is_err() {
                        self.stopped = !self.connection.is_lost();
                    }
                    return Err(error);
                }
                Ok(done) => return Ok(done),
            }
        }
        self.attempt(&mut work)
    }

    /// Connects to the server again, which takes a while to start.
    fn reconnect(&mut self) -> Result<(), SettlementError> {
        let Some(store) = self.store.clone() else { return Ok(()) };
        let mut pause = RECONNECT_PAUSE_MIN;
        loop {
            match store::open(&store) {
                Ok(connection) => {
                    self.connection = connection;
                    return self.reload();
                }
                Err(error) if !error.is_unreachable() || pause > RECONNECT_PAUSE_MAX => {
                    return Err(error);
                }
                Err(_) => {
                    store::pause(pause);
                    pause = pause.saturating_mul(2);
                }
            }
        }
    }

    fn attempt<R>(
        &mut self,
        work: &mut impl FnMut(&mut Work<'_>) -> Result<R, SettlementError>,
    ) -> Result<R, SettlementError> {
        let transaction = self.connection.begin().doing("begin a transaction")?;
        let unlogged = Unlogged::default();
        let mut desk = Work {
            connection: &transaction,
            policy: &self.policy,
            registry: &mut self.registry,
            shards: &self.shards,
            posting: Posting::new(&transaction, unlogged.clone()),
            ledger: Appender::new(&transaction, self.frontier.clone(), unlogged),
            salts: &self.salts,
            totals: BTreeMap::new(),
            schedule: BTreeMap::new(),
            limited: BTreeSet::new(),
            cursors: self.cursors.clone(),
        };
        let result = work(&mut desk)?;
        let (frontier, cursors) = desk.finish(&self.cursors, self.frontier.size())?;
        if let Err(source) = transaction.commit() {
            // What is durable is unknown now; a sync that failed is never retried.
            self.stopped = true;
            return Err(SettlementError::Store { doing: "commit", source });
        }
        self.frontier = frontier;
        self.cursors = cursors;
        Ok(result)
    }
}

impl Work<'_> {
    fn count(&mut self, state: State, contracts: i64, settled_wh: i64) {
        let total = self.totals.entry(state).or_default();
        total.contracts = total.contracts.saturating_add(contracts);
        total.settled_wh = total.settled_wh.saturating_add(settled_wh);
    }

    /// Writes what was gathered: balances, totals, schedule, frontier, cursors, and that there are leaves
    /// after so many.
    fn finish(self, before: &Cursors, leaves: u64) -> Result<(Frontier, Cursors), SettlementError> {
        self.posting.finish()?;
        let mut put = self
            .connection
            .prepare_cached(
                "INSERT INTO state_totals (state, contracts, settled_wh) VALUES (?1, ?2, ?3)
                 ON CONFLICT (state) DO UPDATE
                 SET contracts = state_totals.contracts + excluded.contracts,
                 settled_wh = state_totals.settled_wh + excluded.settled_wh",
            )
            .doing("write totals")?;
        for (state, total) in self.totals {
            put.write(params![state.code(), total.contracts, total.settled_wh])
                .doing("write totals")?;
        }
        let changes = self.schedule.iter().filter(|(_, of)| **of != ScheduleChange::default());
        let changes: Vec<_> = changes.collect();
        if !changes.is_empty() || !self.limited.is_empty() {
            let serial = store::grid::schedule_serial(self.connection)?.saturating_add(1);
            for (key, change) in changes {
                store::grid::add_to_schedule(self.connection, key, *change, serial)?;
            }
            for key in &self.limited {
                store::grid::touch_schedule(self.connection, key, serial)?;
            }
            store::grid::set_schedule_serial(self.connection, serial)?;
        }
        for (shard, cursor) in &self.cursors {
            if before.get(shard) != Some(cursor) {
                let bytes = cursor.get().to_le_bytes();
                store::set_meta(self.connection, &cursor_key(*shard), &bytes)?;
            }
        }
        let frontier = self.ledger.finish()?;
        store::outbox::put_leaves(self.connection, leaves, frontier.size())?;
        Ok((frontier, self.cursors))
    }
}
