//! `ledger`: leaves appended, synced and signed under load, and proofs from the log that this makes.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bench::{
    Failure,
    dice::Dice,
    latency::{Latencies, Percentiles},
    machine, rate,
    report::{CommonOptions, Report},
    stopwatch::{Stopwatch, Took},
};
use clap::Parser;
use ed25519_dalek::SigningKey;
use serde::Serialize;
use settlement::{
    Checkpoint,
    books::posting::Unlogged,
    store::{self, database::Connection, ledger},
    tlog::{
        Frontier, hash_leaf, inclusion_proof,
        note::{self, VerifierKey},
        proof::LeafProof,
        root_of,
        tiles::{TILE_WIDTH, TileDirectory},
        trust::TrustPolicy,
    },
};

/// Bytes of a leaf here: those of a contract.
const LEAF_BYTES: usize = 90;

/// Name of the log.
const ORIGIN: &str = "bench.example/ledger";

/// Appends leaves to a ledger on disk and has it signed while it grows, on one thread
///
/// Each batch is one transaction of `SQLite` with a full sync. A checkpoint reads the new leaves back,
/// hashes them a second time, writes and syncs tiles, reads the root from these, and signs: what
/// settlement does. Then proofs of leaves drawn by chance are made and verified.
#[derive(Debug, Parser, Serialize)]
struct Options {
    /// Leaves
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    leaves: u64,
    /// Leaves appended in one transaction
    #[arg(long, default_value_t = 8_192, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    batch: u64,
    /// From one checkpoint to the next, in milliseconds
    #[arg(long, default_value_t = 200)]
    checkpoint_ms: u64,
    /// Proofs made and verified
    #[arg(long, default_value_t = 2_000)]
    proofs: u64,
    /// Directory below which database and ledger are written [default: the system's for temporary
    /// files]
    #[arg(long)]
    dir: Option<PathBuf>,
    #[command(flatten)]
    #[serde(skip)]
    common: CommonOptions,
}

#[derive(Debug, Serialize)]
struct Figures {
    file_system: String,
    append_leaves_per_s: u64,
    append_leaves_per_cpu_s: u64,
    append_and_sign_leaves_per_s: u64,
    append_and_sign_leaves_per_cpu_s: u64,
    checkpoints: u64,
    checkpoint_us: Percentiles,
    between_checkpoints_us: Percentiles,
    proof_us: Percentiles,
    verify_us: Percentiles,
    memory_peak_mib: u64,
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let report = Report::begin("ledger", &options.common);
    let dir = options.dir.clone().unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::tempdir_in(&dir)?;
    let mut log = Log::new(folder.path())?;
    let mut dice = Dice::new(options.common.seed);
    let mut appending = Took::default();
    let (mut signing, mut between) = (Latencies::new()?, Latencies::new()?);
    let whole = Stopwatch::start();
    let mut due = Instant::now();
    let mut last = due;
    while log.frontier.size() < options.leaves {
        let left = options.leaves.saturating_sub(log.frontier.size());
        let leaves: Vec<[u8; LEAF_BYTES]> =
            (0..options.batch.min(left)).map(|_| leaf(&mut dice)).collect();
        let (start, watch) = (Instant::now(), Stopwatch::start());
        log.append(&leaves)?;
        appending += watch.took();
        if start >= due || log.frontier.size() == options.leaves {
            let start = Instant::now();
            log.sign()?;
            signing.record(start.elapsed());
            between.record(last.elapsed());
            last = Instant::now();
            due = start + Duration::from_millis(options.checkpoint_ms);
        }
    }
    let whole = whole.took();
    let (proof_us, verify_us) = log.prove(options.proofs, &mut dice)?;
    let figures = Figures {
        file_system: machine::file_system_of(&dir),
        append_leaves_per_s: rate::per_second(options.leaves, appending.wall),
        append_leaves_per_cpu_s: rate::per_second(options.leaves, appending.cpu),
        append_and_sign_leaves_per_s: rate::per_second(options.leaves, whole.wall),
        append_and_sign_leaves_per_cpu_s: rate::per_second(options.leaves, whole.cpu),
        checkpoints: signing.count(),
        checkpoint_us: signing.percentiles(),
        between_checkpoints_us: between.percentiles(),
        proof_us,
        verify_us,
        memory_peak_mib: machine::memory_peak_kib() / 1_024,
    };
    let digest = log.frontier.root().to_string();
    print!("{}", report.finish(&options, &figures, &digest)?);
    Ok(())
}

/// A leaf that no other is like.
fn leaf(dice: &mut Dice) -> [u8; LEAF_BYTES] {
    let mut bytes = [0; LEAF_BYTES];
    let (words, _) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = dice.roll().to_le_bytes();
    }
    bytes
}

/// A ledger as settlement keeps it.
struct Log {
    connection: Connection,
    folder: PathBuf,
    key: SigningKey,
    /// Of the leaves as they were appended.
    frontier: Frontier,
    /// Of the leaves that are signed, as they were read back.
    signed: Frontier,
    checkpoint: Option<Checkpoint>,
}

impl Log {
    fn new(folder: &Path) -> Result<Self, Failure> {
        Ok(Self {
            connection: store::open(&(&folder.join("settlement.db")).into())?,
            folder: folder.join("ledger"),
            key: SigningKey::from_bytes(&[7; 32]),
            frontier: Frontier::default(),
            signed: Frontier::default(),
            checkpoint: None,
        })
    }

    fn append(&mut self, leaves: &[[u8; LEAF_BYTES]]) -> Result<(), Failure> {
        let transaction = self.connection.begin()?;
        let unlogged = Unlogged::default();
        let mut appender = ledger::Appender::new(&transaction, self.frontier.clone(), unlogged);
        for bytes in leaves {
            appender.append(bytes)?;
        }
        let frontier = appender.finish()?;
        transaction.commit()?;
        self.frontier = frontier;
        Ok(())
    }

    fn sign(&mut self) -> Result<(), Failure> {
        const CHUNK: u64 = TILE_WIDTH * TILE_WIDTH;
        let size = self.frontier.size();
        let mut tiles = TileDirectory::new(&self.folder, self.signed.size());
        while self.signed.size() < size {
            let from = self.signed.size();
            let first = from.saturating_sub(from % TILE_WIDTH);
            let end = size.min((from / CHUNK).saturating_add(1).saturating_mul(CHUNK));
            let leaves = ledger::leaves(&self.connection, first, end)?;
            let known = usize::try_from(from.saturating_sub(first))?;
            leaves.iter().skip(known).for_each(|bytes| self.signed.push(hash_leaf(bytes)));
            tiles.write(first, leaves.iter().map(Vec::as_slice))?;
        }
        let root = self.frontier.root();
        if self.signed.root() != root || root_of(&mut tiles, size)? != root {
            return Err("the roots differ".into());
        }
        let checkpoint = note::sign(ORIGIN, &self.key, size, root);
        let note = checkpoint.note.clone();
        let frontier = self.signed.clone();
        let row = ledger::SignedCheckpoint { frontier, root, note };
        ledger::put_checkpoint(&self.connection, &row)?;
        tiles.write_checkpoint(&checkpoint.note)?;
        self.checkpoint = Some(checkpoint);
        Ok(())
    }

    /// Makes proofs of leaves drawn by chance, as files, and verifies them.
    fn prove(&self, count: u64, dice: &mut Dice) -> Result<(Percentiles, Percentiles), Failure> {
        let checkpoint = self.checkpoint.clone().ok_or("nothing is signed")?;
        let log = VerifierKey::of_log(ORIGIN, self.key.verifying_key());
        let trust = TrustPolicy::of_log(log);
        let (mut making, mut checking) = (Latencies::new()?, Latencies::new()?);
        for _ in 0..count {
            let index = dice.roll() % checkpoint.size;
            let start = Instant::now();
            let mut tiles = TileDirectory::new(&self.folder, checkpoint.size);
            let path = inclusion_proof(&mut tiles, index, checkpoint.size)?;
            let bytes = tiles.leaf(index)?;
            let text = LeafProof { index, bytes, path, checkpoint: checkpoint.clone() }.to_text();
            making.record(start.elapsed());
            let start = Instant::now();
            LeafProof::parse(&text)?.verify(&trust)?;
            checking.record(start.elapsed());
        }
        Ok((making.percentiles(), checking.percentiles()))
    }
}
