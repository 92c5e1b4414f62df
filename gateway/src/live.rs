//! Connections that live, and whether their certificates still may.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use quinn::Connection;
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio::sync::watch;
use types::Party;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::{edge::CloseCode, quic, revocation::ClientVerifier};

/// How often the revocation lists' file is looked at: with the check after it, a revoked
/// certificate's connections end well within five seconds.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After so many looks every connection is checked again, so that what expires ends too: a minute.
const CHECK_ALL_AFTER: u32 = 60;
/// After so many looks what expires soon is warned of again: a day.
const WARN_AFTER: u32 = 86_400;
/// From how many seconds before its end on a certificate or list is warned of: 14 days.
const WARN_SECONDS: i64 = 14 * DAY_SECONDS;
const DAY_SECONDS: i64 = 86_400;

/// Every open connection and the chain it showed.
#[derive(Debug)]
pub(crate) struct Live {
    verifier: Arc<ClientVerifier>,
    next: AtomicU64,
    open: Mutex<BTreeMap<u64, Open>>,
}

#[derive(Debug)]
struct Open {
    party: Party,
    chain: Vec<CertificateDer<'static>>,
    /// When the party's own certificate ends, in seconds since 1970.
    ends: Option<i64>,
    line: Line,
}

/// How long what lets parties in is still valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Open connections.
    pub connections: usize,
    /// Whole days until the first certificate of an open connection ends; `None` without connections.
    pub certificate_days: Option<i64>,
    /// Whole days until the first revocation list ends, below zero when it has: then nobody connects.
    pub lists_days: i64,
}

/// What is ended when a certificate is not valid any more.
#[derive(Debug)]
pub(crate) enum Line {
    /// A QUIC connection.
    Quic(Connection),
    /// An HTTPS connection, which ends when this turns true.
    Https(watch::Sender<bool>),
}

/// One connection in it; leaves by being dropped.
pub(crate) struct Entered<'a> {
    live: &'a Live,
    id: u64,
}

impl Live {
    pub(crate) const fn new(verifier: Arc<ClientVerifier>) -> Self {
        Self { verifier, next: AtomicU64::new(0), open: Mutex::new(BTreeMap::new()) }
    }

    /// Enters a connection, unless its certificate was revoked since its handshake began.
    pub(crate) fn enter(
        &self,
        party: Party,
        chain: Vec<CertificateDer<'static>>,
        line: Line,
    ) -> Option<Entered<'_>> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let ends = end_of(&chain);
        self.open.lock().ok()?.insert(id, Open { party, chain: chain.clone(), ends, line });
        let entered = Entered { live: self, id };
        self.verifier.check(&chain).ok()?;
        warn_of_expiry(party, ends);
        Some(entered)
    }

    /// How long certificates and lists are still valid.
    pub(crate) fn validity(&self) -> Validity {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let first = open.values().filter_map(|open| open.ends).min();
        Validity {
            connections: open.len(),
            certificate_days: first.map(|end| seconds_until(end).div_euclid(DAY_SECONDS)),
            lists_days: self.verifier.seconds_left().div_euclid(DAY_SECONDS),
        }
    }

    /// Takes up new lists, and ends what they or the time do not allow any more, until the exchange
    /// goes away.
    pub(crate) async fn watch(self: Arc<Self>, mut going_away: watch::Receiver<bool>) {
        let mut looks = 0_u32;
        self.warn_of_lists();
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = going_away.wait_for(|&away| away) => return,
            }
            looks = looks.wrapping_add(1);
            if looks.is_multiple_of(WARN_AFTER) {
                self.warn_of_lists();
                self.warn_of_certificates();
            }
            match self.verifier.reload() {
                Ok(true) => {
                    tracing::info!("new revocation lists are in force");
                    self.warn_of_lists();
                    self.check_all();
                }
                Ok(false) if looks.is_multiple_of(CHECK_ALL_AFTER) => self.check_all(),
                Ok(false) => {}
                Err(error) if looks.is_multiple_of(CHECK_ALL_AFTER) => {
                    tracing::error!(%error, "the revocation lists cannot be read; the old ones go on");
                    self.check_all();
                }
                Err(_) => {}
            }
        }
    }

    fn check_all(&self) {
        let Ok(open) = self.open.lock() else { return };
        for Open { party, chain, line, .. } in open.values() {
            if let Err(error) = self.verifier.check(chain) {
                tracing::info!(%party, %error, "a connection's certificate is not valid any more");
                match line {
                    Line::Quic(connection) => quic::close(connection, CloseCode::Revoked),
                    Line::Https(revoked) => {
                        revoked.send_replace(true);
                    }
                }
            }
        }
    }

    fn warn_of_certificates(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let parties: BTreeMap<_, _> = open.values().map(|open| (open.party, open.ends)).collect();
        parties.into_iter().for_each(|(party, ends)| warn_of_expiry(party, ends));
    }

    fn warn_of_lists(&self) {
        let left = self.verifier.seconds_left();
        if left < 0 {
            tracing::error!(
                "the revocation lists have expired: nobody can connect; `gridcross ca crl` renews them"
            );
        } else if left < WARN_SECONDS {
            let days = left.div_euclid(DAY_SECONDS);
            tracing::warn!(
                days,
                "the revocation lists expire soon; `gridcross ca crl` renews them"
            );
        }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if let Ok(mut open) = self.live.open.lock() {
            open.remove(&self.id);
        }
    }
}

/// When the first certificate of a chain ends, in seconds since 1970.
fn end_of(chain: &[CertificateDer<'_>]) -> Option<i64> {
    let (_, own) = X509Certificate::from_der(chain.first()?).ok()?;
    Some(own.validity().not_after.timestamp())
}

fn seconds_until(end: i64) -> i64 {
    let now = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
    end.saturating_sub(now)
}

fn warn_of_expiry(party: Party, ends: Option<i64>) {
    if let Some(left) = ends.map(seconds_until).filter(|&left| left < WARN_SECONDS) {
        let days = left.div_euclid(DAY_SECONDS);
        tracing::warn!(%party, days, "the party's certificate expires soon; `gridcross ca renew` renews it");
    }
}
