//! Who may write. A lease is a row with a holder, a time it ends at by the server's clock, and a fence: a
//! number that grows whenever the lease changes hands. Every transaction of the holder checks its fence
//! and renews the lease as its last statement before the commit, so whoever slept while another took the
//! lease writes nothing. That statement locks the row: nobody takes the lease between it and the commit.

use core::time::Duration;

use tokio_postgres::{Client, Error};

/// Now, in milliseconds since 1970, by the server.
macro_rules! now {
    () => {
        "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    };
}

/// The session of this connection: its process, and when it began.
macro_rules! session {
    () => {
        "pg_backend_pid(), (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())"
    };
}

const TAKE: &str = concat!(
    "INSERT INTO leases (name, holder, fence, until, session, session_started)
     VALUES ($1, $2, 1, ",
    now!(),
    " + $3::bigint, ",
    session!(),
    ")
     ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, fence = leases.fence + 1,
     until = excluded.until, session = excluded.session, session_started = excluded.session_started
     WHERE leases.until <= ",
    now!(),
    " OR NOT EXISTS (SELECT 1 FROM pg_stat_activity
         WHERE pid = leases.session AND backend_start = leases.session_started)
     RETURNING fence"
);

const RENEW: &str =
    concat!("UPDATE leases SET until = ", now!(), " + $3::bigint WHERE name = $1 AND fence = $2");

/// A lease to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Of what: `ledger` for all that is written to the ledger, or an area and a delivery day.
    pub name: String,
    /// Who asks, for people.
    pub holder: String,
    /// How long it lasts without a transaction. It ends at once where the holder's session ends.
    pub lasts: Duration,
}

/// A lease that was taken.
#[derive(Debug)]
pub(super) struct Held {
    lease: Lease,
    fence: i64,
}

impl Lease {
    /// Takes it, or says who has it.
    pub(super) async fn take(&self, client: &Client) -> Result<Result<Held, String>, Error> {
        let row = client.query_opt(TAKE, &[&self.name, &self.holder, &self.lasts_ms()]).await?;
        if let Some(row) = row {
            return Ok(Ok(Held { lease: self.clone(), fence: row.try_get(0)? }));
        }
        let row =
            client.query_opt("SELECT holder FROM leases WHERE name = $1", &[&self.name]).await?;
        Ok(Err(row.map(|row| row.try_get(0)).transpose()?.unwrap_or_default()))
    }

    fn lasts_ms(&self) -> i64 {
        i64::try_from(self.lasts.as_millis()).unwrap_or(i64::MAX)
    }
}

impl Held {
    pub(super) fn fence(&self) -> u64 {
        self.fence.unsigned_abs()
    }

    /// Whether nobody has taken it since.
    pub(super) async fn is_ours(&self, client: &Client) -> Result<bool, Error> {
        const CHECK: &str = "SELECT 1 FROM leases WHERE name = $1 AND fence = $2";
        Ok(client.query_opt(CHECK, &[&self.lease.name, &self.fence]).await?.is_some())
    }

    /// Makes it last longer, if nobody has taken it since, and keeps others from taking it until the
    /// transaction ends.
    pub(super) async fn renew(&self, client: &Client) -> Result<bool, Error> {
        let lasts = self.lease.lasts_ms();
        Ok(client.execute(RENEW, &[&self.lease.name, &self.fence, &lasts]).await? == 1)
    }

    /// Lets others take it at once.
    pub(super) async fn give_back(&self, client: &Client) -> Result<(), Error> {
        const END: &str = "UPDATE leases SET until = 0 WHERE name = $1 AND fence = $2";
        client.execute(END, &[&self.lease.name, &self.fence]).await.map(drop)
    }
}
