//! Snapshots of a shard, so that a start re-executes only what came after the newest.
//!
//! They are made beside the core loop and never by it: a thread restores the newest snapshot into an
//! engine of its own, follows the journal as a replay does, comparing every event, and writes the
//! state it arrives at. So a snapshot is a replay that was done early. The journal stays what
//! decides: a snapshot that cannot be used is passed over. It stays whole too, unless the configuration
//! lets segments go that no snapshot and no consumer needs.

use std::{
    fs, io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use engine::Engine;
use journal::{BatchEnd, Entry, JournalError, Reader, snapshots};
use tokio::{
    runtime::Handle,
    sync::{oneshot, watch},
};
use types::{Event, Seq, ShardId, ShardMap};
use wire::{DecodeError, field::Field};

use crate::{
    exit::{Failure, Kind},
    priority,
    progress::Progress,
    schedule::Schedule,
    settlement_worker::Captures,
    shard::limits,
};

/// First bytes of a snapshot's payload: then the length of the timetable's part, that, and the
/// engine's.
const TITLE: [u8; 16] = *b"gridcross shard1";
/// Snapshots that stay: the newest, and one to fall back to.
const KEPT: NonZeroUsize = NonZeroUsize::new(2).expect("two is not zero");

/// What a shard's journal makes of its shard, as far as it was followed.
#[derive(Debug)]
pub(crate) struct State {
    /// Decides.
    pub(crate) engine: Engine,
    /// Knows what happened to slots.
    pub(crate) schedule: Schedule,
    /// The batch that was followed last.
    pub(crate) end: BatchEnd,
    events: Vec<Event>,
}

/// Why a sound snapshot is not of this shard and program.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoreError {
    #[error("it is not a snapshot of a shard of this version")]
    Title,
    #[error("its timetable cannot be: {0}")]
    Schedule(#[from] DecodeError),
    #[error(transparent)]
    Engine(#[from] engine::snapshot::SnapshotError),
    #[error("it is of another state than its header says")]
    OtherState,
}

/// Why no snapshot could be made.
#[derive(Debug, thiserror::Error)]
enum TakeError {
    #[error("the journal cannot be followed")]
    Journal(#[from] JournalError),
    #[error("the journal does not replay")]
    Different(#[source] replay::VerifyError),
    #[error(transparent)]
    Store(#[from] snapshots::SnapshotError),
    #[error("sequence {0} is not the end of a batch")]
    InsideBatch(Seq),
}

impl State {
    /// Before the first command.
    pub(crate) fn beginning(shard: ShardId, map: &Arc<ShardMap>) -> Self {
        let schedule = Schedule::of_shard(shard, Arc::clone(map));
        let engine = Engine::new(limits(shard));
        Self { engine, schedule, end: BatchEnd::START, events: Vec::new() }
    }

    /// As a snapshot has it.
    fn restore(
        shard: ShardId,
        map: &Arc<ShardMap>,
        snapshot: &snapshots::Snapshot,
    ) -> Result<Self, RestoreError> {
        let mut rest = snapshot.payload.strip_prefix(&TITLE).ok_or(RestoreError::Title)?;
        let kept_bytes = usize::try_from(u64::take(&mut rest)?).unwrap_or(usize::MAX);
        let (mut kept, rest) = rest.split_at_checked(kept_bytes).ok_or(DecodeError::Truncated)?;
        let mut schedule = Schedule::of_shard(shard, Arc::clone(map));
        schedule.learn(&mut kept)?;
        if !kept.is_empty() {
            return Err(DecodeError::TrailingBytes.into());
        }
        let engine = Engine::restore(limits(shard), rest)?;
        // The engine's part ends with its digest, to which it was compared.
        let is_stated = rest.ends_with(snapshot.state.as_bytes());
        if !is_stated || engine.last_seq() != snapshot.end.seq {
            return Err(RestoreError::OtherState);
        }
        Ok(Self { engine, schedule, end: snapshot.end, events: Vec::new() })
    }

    /// Does what an entry did, and compares. An entry that does something else is the error.
    pub(crate) fn follow(&mut self, entry: &Entry) -> Result<(), replay::VerifyError> {
        self.events.clear();
        self.engine.apply(&entry.command, &mut self.events);
        if let Some(difference) = replay::compare(entry, &self.events) {
            return Err(difference);
        }
        for event in &self.events {
            self.schedule.observe(&entry.command, event);
        }
        Ok(())
    }

    pub(crate) fn payload(&self) -> Vec<u8> {
        let mut kept = Vec::new();
        self.schedule.keep(&mut kept);
        let mut payload = TITLE.to_vec();
        u64::try_from(kept.len()).unwrap_or(u64::MAX).put(&mut payload);
        payload.extend_from_slice(&kept);
        payload.extend_from_slice(&self.engine.snapshot());
        payload
    }
}

/// The states that the snapshots of a journal hold, newest first. What cannot be used is passed over
/// with a warning.
pub(crate) fn states<'a>(
    journal: &Path,
    shard: ShardId,
    map: &'a Arc<ShardMap>,
) -> io::Result<impl Iterator<Item = State> + use<'a>> {
    let mut paths = Vec::new();
    match fs::read_dir(journal) {
        Ok(files) => {
            for file in files {
                let path = file?.path();
                let name = path.file_name().and_then(|name| name.to_str());
                // Those that were not finished have an extension.
                if name.is_some_and(|name| name.starts_with("snapshot-") && !name.contains('.')) {
                    paths.push(path);
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // Names end with the sequence, in as many digits each.
    paths.sort_unstable();
    Ok(paths.into_iter().rev().filter_map(move |path| {
        let fault = match snapshots::read(&path) {
            Ok(snapshot) => match State::restore(shard, map, &snapshot) {
                Ok(state) => return Some(state),
                Err(error) => Failure::new(Kind::Runtime, &error),
            },
            Err(fault) => Failure::new(Kind::Runtime, &fault),
        };
        let (path, why) = (path.display(), fault.message());
        tracing::warn!("snapshot `{path}` is passed over: {why}");
        None
    }))
}

/// The thread that makes a shard's snapshots.
#[derive(Debug)]
pub(crate) struct Snapshotter {
    finish: oneshot::Sender<Seq>,
    newest: Newest,
    thread: thread::JoinHandle<()>,
}

/// Where the newest snapshot stands; zero without one.
#[derive(Debug, Clone)]
pub(crate) struct Newest(Arc<AtomicU64>);

impl Newest {
    fn at(seq: Seq) -> Self {
        Self(Arc::new(AtomicU64::new(seq.get())))
    }

    fn moves(&self, seq: Seq) {
        self.0.store(seq.get(), Ordering::Relaxed);
    }

    /// As of now.
    pub(crate) fn seq(&self) -> Seq {
        Seq::new(self.0.load(Ordering::Relaxed))
    }
}

/// How many segments stay, and what is captured, where segments may go.
type Retention = Option<(NonZeroUsize, watch::Receiver<Captures>)>;

/// What the thread works with.
struct Worker {
    shard: ShardId,
    journal: PathBuf,
    map: Arc<ShardMap>,
    /// Commands between snapshots.
    every: u64,
    progress: watch::Receiver<Progress>,
    finish: oneshot::Receiver<Seq>,
    newest: Newest,
    retention: Retention,
}

impl Snapshotter {
    /// Starts it, on the current tokio runtime. `last` is where the newest snapshot stands.
    pub(crate) fn start(
        shard: ShardId,
        journal: PathBuf,
        map: &Arc<ShardMap>,
        every: u64,
        last: Seq,
        progress: watch::Receiver<Progress>,
        retention: Retention,
    ) -> io::Result<Self> {
        let (finish, finishing) = oneshot::channel();
        let map = Arc::clone(map);
        let newest = Newest::at(last);
        let told = newest.clone();
        let mut worker = Worker {
            shard,
            journal,
            map,
            every,
            progress,
            finish: finishing,
            newest: told,
            retention,
        };
        let runtime = Handle::current();
        let thread =
            thread::Builder::new().name(format!("snapshots-{shard}")).spawn(move || {
                priority::SNAPSHOTS.apply();
                worker.run(&runtime, last);
            })?;
        Ok(Self { finish, newest, thread })
    }

    /// Where its newest snapshot stands, to look at.
    pub(crate) fn newest(&self) -> Newest {
        self.newest.clone()
    }

    /// Makes a last snapshot, of everything up to `last`, and ends.
    pub(crate) async fn finish(self, last: Seq) {
        // If it has ended, it has said why.
        self.finish.send(last).ok();
        let thread = self.thread;
        let ended = tokio::task::spawn_blocking(move || thread.join()).await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::error!("a thread that makes snapshots panicked");
        }
    }
}

impl Worker {
    fn run(&mut self, runtime: &Handle, mut last: Seq) {
        while let Some((through, is_final)) = runtime.block_on(self.goal(last)) {
            match self.take(through) {
                Ok(()) => {
                    self.newest.moves(through);
                    self.retain();
                }
                Err(error @ TakeError::Different(_)) => {
                    let cause = Failure::new(Kind::Mismatch, &error);
                    tracing::error!(shard = %self.shard, "no more snapshots: {}", cause.message());
                    return;
                }
                Err(error) => {
                    let cause = Failure::new(Kind::Runtime, &error);
                    tracing::warn!(shard = %self.shard, "no snapshot: {}", cause.message());
                }
            }
            if is_final {
                return;
            }
            // After a failure the next one is tried as late as after a success.
            last = through;
        }
    }

    /// Waits until there is enough for a snapshot, or the last one is asked for. `None` when the
    /// exchange failed or is gone.
    async fn goal(&mut self, last: Seq) -> Option<(Seq, bool)> {
        let enough = last.get().saturating_add(self.every);
        tokio::select! {
            biased;
            asked = &mut self.finish => asked.ok().map(|last| (last, true)),
            Ok(progress) = self.progress.wait_for(|progress| progress.durable.get() >= enough) => {
                Some((progress.durable, false))
            }
        }
    }

    /// Makes a snapshot of everything up to a durable position.
    fn take(&self, through: Seq) -> Result<(), TakeError> {
        let newest = states(&self.journal, self.shard, &self.map);
        let newest = newest.map_err(|source| snapshots::SnapshotError::List {
            path: self.journal.clone(),
            source,
        })?;
        let begun = { newest }.next();
        let mut state = begun.unwrap_or_else(|| State::beginning(self.shard, &self.map));
        if state.end.seq >= through {
            return Ok(());
        }
        let mut reader = Reader::open(&self.journal, state.end.seq)?;
        let mut entry = Entry::default();
        while reader.next(through, &mut entry)? {
            state.follow(&entry).map_err(TakeError::Different)?;
        }
        let end = reader.batch_end().ok_or(TakeError::InsideBatch(through))?;
        snapshots::write(&self.journal, end, state.engine.digest(), &state.payload())?;
        snapshots::retain(&self.journal, KEPT)?;
        Ok(())
    }
    /// Removes the segments that nothing needs any more. What cannot be removed stays until the next
    /// snapshot.
    fn retain(&self) {
        let Some((keep, captured)) = &self.retention else { return };
        let captured = captured.borrow().get(&self.shard).copied().unwrap_or_default();
        match journal::retain(&self.journal, captured, *keep) {
            Ok(0) => {}
            Ok(count) => {
                tracing::info!(shard = %self.shard, "{count} segments of the journal are removed");
            }
            Err(error) => {
                let cause = Failure::new(Kind::Runtime, &error);
                tracing::warn!(shard = %self.shard, "segments stay: {}", cause.message());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use journal::{Options, SyncMethod, Writer};
    use types::{Command, Sequenced, Shards, Timestamp};

    use super::*;
    use crate::{
        config::{self, Config},
        init,
        node::NodeError,
        shard::{Files, Recovered},
    };

    const SEGMENT_BYTES: u64 = 64 << 10;
    const ENTRIES: u64 = 30_000;
    const LAST: Seq = Seq::new(ENTRIES);

    fn map() -> Arc<ShardMap> {
        Arc::new(ShardMap::new(Shards::ONE, std::iter::empty()).unwrap())
    }

    /// A journal in which time passes; its writer goes on.
    fn write(dir: &Path) -> Writer {
        let sync = Some(SyncMethod::default());
        let options = Options { segment_bytes: SEGMENT_BYTES, batch_bytes_max: 40_000, sync };
        let (mut writer, _) = Writer::open(dir, options, &mut |_| {}).unwrap();
        let mut state = State::beginning(ShardId::FIRST, &map());
        for seq in 1..=ENTRIES {
            let time = Timestamp::from_ns(i64::try_from(seq).unwrap());
            let command = Sequenced { seq: Seq::new(seq), time, value: Command::PassTime };
            state.events.clear();
            state.engine.apply(&command, &mut state.events);
            writer.append(&command, &state.events).unwrap();
            if seq % 100 == 0 {
                writer.commit().unwrap();
            }
        }
        writer
    }

    fn segments(dir: &Path) -> usize {
        let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|end| end == "seg")).count()
    }

    fn worker(dir: &Path, keep: usize, captured: Seq) -> Worker {
        let captures = Captures::from([(ShardId::FIRST, captured)]);
        Worker {
            shard: ShardId::FIRST,
            journal: dir.to_owned(),
            map: map(),
            every: 1,
            progress: watch::channel(Progress::default()).1,
            finish: oneshot::channel().1,
            newest: Newest::at(Seq::ZERO),
            retention: NonZeroUsize::new(keep).map(|keep| (keep, watch::channel(captures).1)),
        }
    }

    fn config() -> Config {
        let config = config::parse(Path::new("g.toml"), init::CONFIG_TEMPLATE).unwrap();
        Config { segment_bytes: SEGMENT_BYTES, sync: Some(SyncMethod::default()), ..config }
    }

    /// Where the snapshot stands from which a start goes on.
    fn start(dir: &Path, captured: Seq) -> Result<Seq, NodeError> {
        recovered(dir, captured).map(|recovered| recovered.snapshot)
    }

    /// What a start finds, of an exchange that lets no segment go.
    fn recovered(dir: &Path, captured: Seq) -> Result<Recovered, NodeError> {
        let (config, map, journal) = (config(), map(), dir.to_owned());
        let files = Files { shard: ShardId::FIRST, journal, config: &config, captured, map: &map };
        files.open(&gateway::Directory::default()).map(|opened| opened.recovered)
    }

    #[test]
    fn segments_go_when_snapshots_and_settlement_are_past_them() {
        let dir = tempfile::tempdir().unwrap();
        let writer = write(dir.path());
        let whole = segments(dir.path());
        assert!(whole > 5, "{whole} segments");
        let begins_at = || journal::first_seq(dir.path()).unwrap().get();
        assert_eq!(begins_at(), 1);
        let (older, newer) = (Seq::new(20_000), Seq::new(28_000));
        let all = worker(dir.path(), 0, LAST);
        all.take(older).unwrap();
        all.retain();
        assert_eq!(segments(dir.path()), whole, "unless the configuration says so");
        let behind = worker(dir.path(), 1, Seq::ZERO);
        behind.take(newer).unwrap();
        behind.retain();
        assert_eq!(segments(dir.path()), whole, "settlement needs them");
        worker(dir.path(), whole - 1, LAST).retain();
        assert_eq!(segments(dir.path()), whole - 1, "as many stay");
        worker(dir.path(), 1, LAST).retain();
        let left = segments(dir.path());
        assert!((2..whole - 1).contains(&left), "{left} of {whole}");
        drop(writer);

        let found = recovered(dir.path(), LAST).unwrap();
        assert_eq!((found.snapshot, found.begins_at.get()), (newer, begins_at()));
        assert!(begins_at() > 1, "its beginning is missing, and a start says so");
        let verified = replay::verify(dir.path(), limits(ShardId::FIRST), &mut |_| {});
        let error = verified.unwrap_err().to_string();
        assert!(error.contains("begins at sequence"), "replay from the beginning: {error}");
        let error = start(dir.path(), Seq::new(1)).unwrap_err().to_string();
        assert!(error.contains("begins at sequence"), "settlement is behind: {error}");
        let newest = dir.path().join(format!("snapshot-{:020}", newer.get()));
        fs::write(newest, b"damaged").unwrap();
        assert_eq!(start(dir.path(), LAST).unwrap(), older, "the one to fall back to");
        let older = dir.path().join(format!("snapshot-{:020}", older.get()));
        fs::write(older, b"damaged").unwrap();
        let error = start(dir.path(), LAST).unwrap_err().to_string();
        assert!(error.contains("begins at sequence"), "no snapshot: {error}");
    }
}
