//! What a platform missed, told again from the journal's files.
//!
//! A session names the last report it has. It is told everything after it from disk, at its own pace;
//! when it has caught up it joins the core loop's reports (`gateway::seam`). The core loop does not
//! know that it exists before.
//!
//! Where the journal no longer goes back so far, the open orders are told instead, as they are at one
//! position: the newest snapshot of the shard is restored beside the running engine and follows the
//! journal to there, as a start would. That is exact, costs the core loop nothing and needs no
//! command; it takes as long as a start does, so one such session is served at a time.

use std::{path::PathBuf, sync::Arc, time::Duration};

use gateway::{
    Resume, Sessions,
    egress::{OutboundBatch, open_offer, reports_to},
    quic::CloseCode,
};
use journal::{Entry, JournalError, Reader};
use tokio::sync::{
    Semaphore,
    mpsc::{self, error::SendTimeoutError},
};
use types::{PlatformId, Price, Seq, ShardId, ShardMap, TradeId};
use wire::{
    Outbound,
    inbound::ResumePoint,
    outbound::{ExecType, ExecutionReport, ResumeComplete, ResumeTooOld},
};

use crate::{
    exit::{Failure, Kind},
    snapshots::{self, State},
};

/// Batches made between two looks at how far the shard is: 64 × 20 KiB.
const BATCHES_MAX: usize = 64;
/// Entries read at once, if they concern others.
const ENTRIES_MAX: u32 = 100_000;
/// So few entries behind, a session has caught up: they are told while live reports already wait.
const NEAR_ENTRIES: u64 = 4_096;
/// How long a session may leave a batch unread.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a session could not be told what it missed.
#[derive(Debug, thiserror::Error)]
enum ResumeError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the journal does not replay")]
    Different(#[source] replay::VerifyError),
    #[error("the snapshots cannot be listed")]
    Snapshots(#[source] std::io::Error),
    #[error("a thread ended before its work")]
    Stopped,
    #[error("the session does not read")]
    Slow,
    #[error("the session is gone")]
    Gone,
}

/// Where a shard's history lies.
#[derive(Debug, Clone)]
pub(crate) struct ShardHistory {
    /// Which.
    pub(crate) shard: ShardId,
    /// Its journal, and the snapshots beside it.
    pub(crate) journal: PathBuf,
    /// What its state is restored with.
    pub(crate) map: Arc<ShardMap>,
}

/// Serves sessions as they come, until the sender is gone. `histories` are those of all shards, by
/// index.
pub(crate) async fn serve(histories: Vec<ShardHistory>, mut sessions: mpsc::Receiver<Resume>) {
    let snapshots = Arc::new(Semaphore::new(1));
    while let Some(session) = sessions.recv().await {
        let history = histories.get(usize::from(session.shard.index())).cloned();
        let (Some(history), snapshots) = (history, Arc::clone(&snapshots)) else { continue };
        tokio::spawn(async move {
            let platform = session.session.origin().platform;
            let handle = session.session.clone();
            // A session sees that it is closed before it sees an end of its history.
            let _history = session.history.clone();
            match tell(history, session, &snapshots).await {
                Ok(()) | Err(ResumeError::Gone) => {}
                Err(ResumeError::Slow) => handle.close(CloseCode::SlowReader),
                Err(error) => {
                    let cause = Failure::new(Kind::Runtime, &error);
                    tracing::error!(%platform, "a session cannot resume: {}", cause.message());
                    handle.close(CloseCode::Failed);
                }
            }
        });
    }
}

/// Tells a session everything up to where it joins.
async fn tell(
    history: ShardHistory,
    session: Resume,
    snapshots: &Semaphore,
) -> Result<(), ResumeError> {
    let Resume { after, session, sessions, history: told, .. } = session;
    let platform = session.origin().platform;
    let mut past = match Past::open(&history, platform, after) {
        Ok(past) => past,
        Err(JournalError::BeginsLater { first: first_seq, .. }) => {
            let _one = snapshots.acquire().await.map_err(|_| ResumeError::Stopped)?;
            let through = sessions.told().through();
            let (past, batches) =
                blocking(move || open_orders(&history, platform, first_seq, through)).await?;
            tracing::info!(%platform, %after.seq, %first_seq, "a session resumes too late");
            send(&told, batches).await?;
            past
        }
        Err(error) => return Err(error.into()),
    };
    loop {
        let through = sessions.told().through();
        past = tell_through(past, through, &told).await?;
        if is_near(past.reached, &sessions) {
            break;
        }
    }
    let joined = session.join(sessions.told());
    // Live reports wait for what is before them, which is little.
    past = tell_through(past, joined, &told).await?;
    let mut last = std::mem::take(&mut past.batch);
    last.push(&Outbound::ResumeComplete(ResumeComplete { through: joined }));
    send(&told, vec![last]).await
}

fn is_near(reached: Seq, sessions: &Sessions) -> bool {
    sessions.told().through().get().saturating_sub(reached.get()) <= NEAR_ENTRIES
}

/// Reads up to a position and sends what concerns the session.
async fn tell_through(
    mut past: Past,
    through: Seq,
    told: &mpsc::Sender<OutboundBatch>,
) -> Result<Past, ResumeError> {
    while past.reached < through {
        let (back, batches) = blocking(move || {
            let batches = past.read(through)?;
            Ok((past, batches))
        })
        .await?;
        past = back;
        send(told, batches).await?;
    }
    Ok(past)
}

/// Does work that waits for the disk on a thread that may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ResumeError> + Send + 'static,
) -> Result<T, ResumeError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| ResumeError::Stopped)?
}

async fn send(
    told: &mpsc::Sender<OutboundBatch>,
    batches: Vec<OutboundBatch>,
) -> Result<(), ResumeError> {
    for batch in batches {
        match told.send_timeout(batch, PATIENCE).await {
            Ok(()) => {}
            Err(SendTimeoutError::Timeout(_)) => return Err(ResumeError::Slow),
            Err(SendTimeoutError::Closed(_)) => return Err(ResumeError::Gone),
        }
    }
    Ok(())
}

/// A platform's reports, read from the journal.
struct Past {
    platform: PlatformId,
    reader: Reader,
    entry: Entry,
    /// Everything up to here is in batches that were given away, or in `batch`.
    reached: Seq,
    /// Reports of the first position that the session has.
    known: ResumePoint,
    batch: OutboundBatch,
}

impl Past {
    fn open(
        history: &ShardHistory,
        platform: PlatformId,
        after: ResumePoint,
    ) -> Result<Self, JournalError> {
        let whole = if after.reports == 0 {
            after.seq
        } else {
            // Some of its reports may be missing: it is read again.
            Seq::new(after.seq.get().saturating_sub(1))
        };
        Ok(Self {
            platform,
            reader: Reader::open(&history.journal, whole)?,
            entry: Entry::default(),
            reached: whole,
            known: after,
            batch: OutboundBatch::default(),
        })
    }

    /// Reads on towards a position that is durable, as much as is sent at once. Gives back full
    /// batches, and what is begun once the position is reached.
    fn read(&mut self, through: Seq) -> Result<Vec<OutboundBatch>, ResumeError> {
        let mut batches = Vec::new();
        let mut entries = 0_u32;
        while batches.len() < BATCHES_MAX && entries < ENTRIES_MAX {
            if !self.reader.next(through, &mut self.entry)? {
                self.reached = through;
                break;
            }
            entries = entries.saturating_add(1);
            let command = &self.entry.command;
            let seq = command.seq;
            let events = self.entry.events.iter();
            let reports = events.flat_map(|event| reports_to(self.platform, command, event));
            let known = if seq == self.known.seq { self.known.reports } else { 0 };
            for report in reports.skip(usize::try_from(known).unwrap_or(usize::MAX)) {
                batches.extend(self.batch.push(&report));
            }
            self.reached = seq;
        }
        if self.batch.messages > 0 {
            batches.push(std::mem::take(&mut self.batch));
        }
        Ok(batches)
    }
}

/// The platform's open orders as of a durable position, and its reports from there on.
fn open_orders(
    history: &ShardHistory,
    platform: PlatformId,
    first_seq: Seq,
    through: Seq,
) -> Result<(Past, Vec<OutboundBatch>), ResumeError> {
    let ShardHistory { shard, journal, map } = history;
    let newest = snapshots::states(journal, *shard, map).map_err(ResumeError::Snapshots)?;
    let begun = { newest }.find(|state| state.end.seq <= through);
    let mut state = begun.unwrap_or_else(|| State::beginning(*shard, map));
    let mut reader = Reader::open(journal, state.end.seq)?;
    let mut entry = Entry::default();
    let mut time = state.end.time;
    while reader.next(through, &mut entry)? {
        state.follow(&entry).map_err(ResumeError::Different)?;
        time = entry.command.time;
    }
    let mut batches = Vec::new();
    let mut batch = OutboundBatch::default();
    batches.extend(batch.push(&Outbound::ResumeTooOld(ResumeTooOld { first_seq, through })));
    for order in state.engine.open_orders_of(platform) {
        let report = ExecutionReport {
            seq: through,
            time,
            client_order: order.client_order,
            order: order.order,
            trade: TradeId::new(0),
            price: Price::default(),
            quantity: order.filled,
            leaves: order.leaves,
            meter: order.meter,
            reason: 0,
            exec_type: ExecType::Status,
            side: Some(order.side),
        };
        batches.extend(batch.push(&Outbound::ExecutionReport(report)));
    }
    for offer in state.engine.open_offers_of(platform) {
        for report in open_offer(platform, (through, time), &offer) {
            batches.extend(batch.push(&report));
        }
    }
    batches.push(batch);
    let after = ResumePoint { seq: through, reports: 0 };
    Ok((Past::open(history, platform, after)?, batches))
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroUsize, path::Path};

    use gateway::egress::SessionHandle;
    use journal::{Options, SyncMethod, Writer};
    use types::{
        ClientOrderId, Code, Command, Conditions, Energy, MeterId, MeterRegistration, NewOrder,
        OrderId, OrderKind, OrderList, OrderRequest, Origin, OwnerId, Party, PartyRegistration,
        Power, PublicKey, RetailerId, Role, Sequenced, SessionId, Shards, Side, Signature,
        SignedNewOrder, SlotKey, TimeInForce, UtilityId, calendar,
    };

    use super::*;
    use crate::{config, init};

    const LAST: Seq = Seq::new(30_000);
    const PLATFORM: PlatformId = PlatformId::new(1);
    const ORIGIN: Origin = Origin { platform: PLATFORM, session: SessionId::new(1) };

    fn party(role: Role) -> Command {
        let (party, code) = (Party { role, number: 1 }, Code::new("P").unwrap());
        Command::RegisterParty(PartyRegistration { party, code, key: PublicKey::new([9; 32]) })
    }

    fn order(client_order: u64, key: SlotKey) -> Command {
        let order = NewOrder {
            client_order: ClientOrderId::new(client_order),
            meter: MeterId::new(1),
            key,
            side: Side::Sell,
            kind: OrderKind::Limit,
            time_in_force: TimeInForce::UntilGate,
            limit: Price::from_micros(100_000),
            quantity: Energy::from_wh(500),
            valid_until: key.slot.start(),
            conditions: Conditions::NONE,
            list: OrderList::NONE,
        };
        let signature = Signature::new([0; 64]);
        Command::NewOrder(SignedNewOrder { origin: ORIGIN, order, signature })
    }

    /// A journal in which platform 1 enters three orders and cancels the second; then time passes, with
    /// a snapshot on the way, after which the old segments go.
    fn write(dir: &Path) -> ShardHistory {
        let config = config::parse(Path::new("g.toml"), init::CONFIG_TEMPLATE).unwrap();
        let market = config.markets.first().unwrap().definition;
        let day = calendar::local_day("2026-06-24", "Europe/Berlin", 15).unwrap();
        let key = market.key(day[48]);
        let map = Arc::new(ShardMap::new(Shards::ONE, [&market]).unwrap());
        let meter = MeterRegistration {
            meter: MeterId::new(1),
            code: Code::new("M").unwrap(),
            platform: PLATFORM,
            retailer: RetailerId::new(1),
            utility: UtilityId::new(1),
            owner: OwnerId::new(0),
            key: PublicKey::new([9; 32]),
            injection_max: Power::from_w(10_000),
            withdrawal_max: Power::from_w(10_000),
        };
        let second = OrderRequest {
            origin: ORIGIN,
            client_order: ClientOrderId::new(9),
            order: OrderId::new(2),
        };
        let mut commands = vec![Command::DefineMarket(market)];
        commands.extend([Role::Platform, Role::Retailer, Role::Utility].map(party));
        commands.extend([Command::RegisterMeter(meter), Command::OpenSlot(key)]);
        commands.extend([order(1, key), order(2, key), order(3, key)]);
        commands.push(Command::CancelOrder(second));
        let idle = std::iter::repeat(Command::PassTime);

        let sync = Some(SyncMethod::default());
        let options = Options { segment_bytes: 64 << 10, batch_bytes_max: 40_000, sync };
        let (mut writer, _) = Writer::open(dir, options, &mut |_| {}).unwrap();
        let mut state = State::beginning(ShardId::FIRST, &map);
        let mut events = Vec::new();
        let opened = key.slot.start().plus_ns(-50 * 60_000_000_000);
        for (seq, value) in (1..=LAST.get()).zip(commands.into_iter().chain(idle)) {
            let time = opened.plus_ns(i64::try_from(seq).unwrap());
            let command = Sequenced { seq: Seq::new(seq), time, value };
            events.clear();
            state.engine.apply(&command, &mut events);
            writer.append(&command, &events).unwrap();
            if seq % 100 == 0 {
                writer.commit().unwrap();
            }
        }
        let mut state = State::beginning(ShardId::FIRST, &map);
        let mut reader = Reader::open(dir, Seq::ZERO).unwrap();
        let mut entry = Entry::default();
        while reader.next(Seq::new(28_000), &mut entry).unwrap() {
            state.follow(&entry).unwrap();
        }
        let end = reader.batch_end().unwrap();
        journal::snapshots::write(dir, end, state.engine.digest(), &state.payload()).unwrap();
        assert!(journal::retain(dir, LAST, NonZeroUsize::MIN).unwrap() > 0, "segments went");
        ShardHistory { shard: ShardId::FIRST, journal: dir.to_owned(), map }
    }

    /// What a session of platform 1 is told that has everything up to a position.
    async fn told(history: &ShardHistory, seq: u64) -> Vec<Outbound> {
        let (outbound, _live) = mpsc::channel(1);
        let (told, mut batches) = mpsc::channel(1_000);
        let session = Resume {
            shard: ShardId::FIRST,
            after: ResumePoint { seq: Seq::new(seq), reports: 0 },
            session: SessionHandle::new(ORIGIN, outbound),
            sessions: Arc::new(Sessions::after(LAST)),
            history: told,
        };
        tell(history.clone(), session, &Semaphore::new(1)).await.unwrap();
        let mut messages = Vec::new();
        while let Some(batch) = batches.recv().await {
            let mut payload = batch.payload.as_slice();
            while !payload.is_empty() {
                messages.push(Outbound::decode(&mut payload).unwrap());
            }
        }
        messages
    }

    #[tokio::test]
    async fn who_comes_too_late_is_told_what_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let history = write(dir.path());
        let messages = told(&history, 0).await;
        let [too_old, first, third, complete] = messages[..] else { panic!("{messages:?}") };
        let Outbound::ResumeTooOld(too_old) = too_old else { panic!("{too_old:?}") };
        assert_eq!(too_old.through, LAST);
        let open = [first, third].map(|message| {
            let Outbound::ExecutionReport(report) = message else { panic!("{message:?}") };
            assert_eq!((report.exec_type, report.seq), (ExecType::Status, LAST));
            assert_eq!((report.quantity, report.leaves), (Energy::ZERO, Energy::from_wh(500)));
            (report.order.get(), report.client_order.get(), report.side)
        });
        assert_eq!(open, [(1, 1, Some(Side::Sell)), (3, 3, Some(Side::Sell))]);
        let through = ResumeComplete { through: LAST };
        assert_eq!(complete, Outbound::ResumeComplete(through));
        // The first position that it has, less one, is not too late; one before that is.
        let first = too_old.first_seq.get();
        assert!(first > 10, "{first}");
        assert_eq!(told(&history, first - 1).await, [complete]);
        assert_eq!(told(&history, first - 2).await.len(), 4);
    }
}
