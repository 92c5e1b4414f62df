//! Notices leave the exchange: what parties are told, page by page, and webhooks that tell them.
//!
//! The outbox of settlement is the one numbered source. [`pages`] reads it once for everybody who follows,
//! [`body`] makes of a notice what one party is told of it, [`plan`] decides without a clock when a webhook
//! is tried again, [`signature`] signs, [`target`] reaches the party's server and no other, and `sender` has
//! one task for each webhook: a server that fails delays nobody else.

pub mod body;
pub mod pages;
pub mod plan;
mod sender;
pub mod signature;
pub mod target;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use rustls_pki_types::CertificateDer;
use settlement::{
    SettlementError,
    store::{database::Store, queries::Queries},
};
use tokio::sync::{Notify, watch};
use types::{Currency, Party, Role};

use self::{signature::NoticeKey, target::Target};
use crate::{clock::Clock, priority, settlement_worker::Settlement};

/// Which header has the number of the last notice in a body.
pub const NUMBER: &str = "gridcross-notice";

/// How webhooks are called: the table `[webhooks]`, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookOptions {
    /// Calls at once, of all parties.
    pub parallel: usize,
    /// Notices in one body.
    pub batch: usize,
    /// Longest time of a call and its answer.
    pub request_max: Duration,
    /// Pause before the second attempt; doubles.
    pub retry_min: Duration,
    /// The longest pause.
    pub retry_max: Duration,
    /// Whether a name may stand for an address in a private network.
    pub private_networks: bool,
}

/// A party's webhook, as the registry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Who is told.
    pub party: Party,
    /// `https://host[:port][/path]`, or `http` on this machine.
    pub url: target::WebhookUrl,
    /// PEM file in the data directory with the certificate that the server shows, or the authority that
    /// issued it; without one, the exchange's own authority did.
    pub trust: Option<PathBuf>,
}

/// Why webhooks cannot be called.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// An address or what its server is known by.
    #[error("the webhook of {party}")]
    Target {
        /// Whose.
        party: Party,
        /// Cause.
        source: target::TargetError,
    },
    /// The database.
    #[error("webhooks cannot read the settlement database")]
    Database(#[from] SettlementError),
    /// The thread.
    #[error("cannot start the thread of webhooks")]
    Thread(#[source] std::io::Error),
}

/// What webhooks are made from.
#[derive(Debug)]
pub struct Parts<'a> {
    /// How.
    pub options: WebhookOptions,
    /// Whose; files are in the folder.
    pub webhooks: (&'a Path, &'a [Webhook]),
    /// Who issued the certificates of servers without a file.
    pub authority: &'a [CertificateDer<'static>],
    /// Signs.
    pub key: NoticeKey,
    /// The clock of signatures.
    pub clock: Clock,
    /// What money is in.
    pub currency: Currency,
    /// The desk, which keeps what was acknowledged and says when there is news.
    pub settlement: Settlement,
    /// Where notices are read.
    pub database: Store,
    /// What pauses are drawn from.
    pub seed: u64,
    /// Turns true when the exchange stops.
    pub stop: watch::Receiver<bool>,
}

/// How a webhook is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// All notices up to this number are acknowledged.
    pub through: u64,
    /// Calls that were acknowledged, and that were not, since the start.
    pub calls: (u64, u64),
    /// Notices that were acknowledged since the start.
    pub delivered: u64,
    /// Calls in a row that failed.
    pub failures: u32,
    /// Why the last one did.
    pub last_error: Option<String>,
    /// Counts how often it was set back: what is on its way then does not count.
    rewound: u64,
    /// Not durable yet.
    unsaved: bool,
}

/// A webhook and how it is doing.
#[derive(Debug)]
struct Line {
    webhook: Webhook,
    target: Target,
    standing: Mutex<Standing>,
    /// Rung when it is set back: whoever waits begins anew.
    rewound: Notify,
}

impl Line {
    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Figures of a role.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Notices acknowledged.
    pub delivered: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Numbers of the outbox that are not acknowledged yet, of all webhooks of the role.
    pub backlog: u64,
}

/// The webhooks, to look at and to set back.
#[derive(Debug, Clone)]
pub struct Webhooks {
    lines: Arc<BTreeMap<Party, Arc<Line>>>,
    /// The newest notice that anybody looked at.
    newest: watch::Receiver<u64>,
    key: Arc<NoticeKey>,
}

impl Webhooks {
    /// The key that signs.
    #[must_use]
    pub fn key(&self) -> &NoticeKey {
        &self.key
    }

    /// Where a party's webhook is and how it is doing, if there is one.
    #[must_use]
    pub fn of(&self, party: Party) -> Option<(String, Standing)> {
        let line = self.lines.get(&party)?;
        Some((line.webhook.url.to_string(), line.standing().clone()))
    }

    /// Tells a party everything after a number again. Nothing where there is no webhook, or where that
    /// number is not acknowledged yet.
    #[must_use]
    pub fn rewind(&self, party: Party, after: u64) -> Option<()> {
        let line = self.lines.get(&party)?;
        let mut standing = line.standing();
        if after > standing.through {
            return None;
        }
        standing.through = after;
        standing.rewound = standing.rewound.saturating_add(1);
        standing.failures = 0;
        standing.unsaved = true;
        drop(standing);
        line.rewound.notify_one();
        Some(())
    }

    /// Figures of the webhooks of each role that has some.
    #[must_use]
    pub fn figures(&self) -> BTreeMap<Role, Figures> {
        let newest = *self.newest.borrow();
        let mut figures = BTreeMap::<Role, Figures>::new();
        for (party, line) in self.lines.iter() {
            let standing = line.standing();
            let of = figures.entry(party.role).or_default();
            of.delivered = of.delivered.saturating_add(standing.delivered);
            of.failed = of.failed.saturating_add(standing.calls.1);
            of.backlog = of.backlog.saturating_add(newest.saturating_sub(standing.through));
        }
        figures
    }
}

/// Webhooks while they run.
#[derive(Debug)]
pub struct Running {
    /// The way to them.
    pub webhooks: Webhooks,
    thread: thread::JoinHandle<()>,
}

impl Running {
    /// Waits until their thread has ended. It does when the exchange stops.
    pub fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("the thread of webhooks panicked");
        }
    }
}

/// Begins to call webhooks, on a thread of their own, each behind what it has acknowledged. One that is
/// new is told what happens from now on.
///
/// # Errors
/// When a certificate or the database cannot be used.
pub fn start(parts: Parts<'_>) -> Result<Running, WebhookError> {
    let Parts { options, webhooks: (folder, webhooks), authority, key, stop, .. } = parts;
    let queries = Queries::open(&parts.database)?;
    let newest = queries.newest_notice()?;
    let mut lines = BTreeMap::new();
    for webhook in webhooks {
        let party = webhook.party;
        let target = Target::load(webhook, folder, authority, options.private_networks)
            .map_err(|source| WebhookError::Target { party, source })?;
        let acknowledged = queries.acknowledged(party)?;
        let standing = Standing {
            through: acknowledged.unwrap_or(newest),
            unsaved: acknowledged.is_none(),
            ..Standing::default()
        };
        let line = Line {
            webhook: webhook.clone(),
            target,
            standing: Mutex::new(standing),
            rewound: Notify::new(),
        };
        lines.insert(party, Arc::new(line));
    }
    let (seen, newest) = watch::channel(newest);
    let webhooks = Webhooks { lines: Arc::new(lines), newest, key: Arc::new(key) };
    let office = sender::Office {
        options,
        key: Arc::clone(&webhooks.key),
        clock: parts.clock,
        currency: parts.currency,
        settlement: parts.settlement,
        database: parts.database,
        seed: parts.seed,
        seen,
    };
    let lines = webhooks.lines.values().cloned().collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(WebhookError::Thread)?;
    let run = move || {
        priority::SETTLEMENT.apply();
        runtime.block_on(office.run(queries, lines, stop));
    };
    let thread = thread::Builder::new().name("webhooks".to_owned()).spawn(run);
    Ok(Running { webhooks, thread: thread.map_err(WebhookError::Thread)? })
}
