//! What each way of making a batch durable costs in the journal's own directory, measured when a
//! journal is opened, and which one is taken.

use std::{
    fs, io,
    path::Path,
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use crate::{
    ahead,
    format::{SEGMENT_HEADER_BYTES, wide},
    storage::{self, Opened, Storage, SyncMethod},
};

/// Sizes of the batches that are timed: a few orders, and a few hundred.
const BATCH_BYTES: [usize; 2] = [2_048, 65_536];
/// Batches of each size and method at most.
const ROUNDS: usize = 8;
/// No new round begins later than this, so that a slow disk does not hold up the start.
const TIME_MAX: Duration = Duration::from_millis(100);
/// Room for all rounds of both sizes, each at a place of its own: 8 × 66 KiB and the header.
const FILE_BYTES: u64 = 1 << 20;

/// How batches are made durable, and how that was decided.
#[derive(Debug)]
pub struct SyncChoice {
    /// The method in use.
    pub method: SyncMethod,
    /// What was measured; empty where the method was given.
    pub measured: Vec<MethodFigures>,
    /// Methods that the system or the file system refused.
    pub refused: Vec<(SyncMethod, io::Error)>,
}

/// What a method costs: the time to write a batch and make it durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MethodFigures {
    /// Which.
    pub method: SyncMethod,
    /// Batches of each size that were timed.
    pub rounds: usize,
    /// The middle one of the batches of 2 KiB.
    pub small: Duration,
    /// The middle one of the batches of 64 KiB.
    pub large: Duration,
    /// The slowest batch.
    pub worst: Duration,
}

impl SyncChoice {
    pub(crate) fn given(method: SyncMethod) -> Self {
        Self { method, measured: Vec::new(), refused: Vec::new() }
    }
}

/// A method on its way.
struct Candidate {
    method: SyncMethod,
    storage: Box<dyn Storage>,
    /// Of each size.
    times: [Vec<Duration>; 2],
    end: usize,
}

/// Measures every method in `directory`, which the caller holds under its exclusive lock. Rounds
/// take turns, so that what else happens on the machine meets all methods alike.
pub(crate) fn measure(directory: &Path) -> SyncChoice {
    let mut refused = Vec::new();
    let mut candidates = Vec::new();
    for method in SyncMethod::ALL {
        match begin(directory, method) {
            Ok(candidate) => candidates.push(candidate),
            Err(error) => refused.push((method, error)),
        }
    }
    let began = Instant::now();
    for _ in 0..ROUNDS {
        candidates = round(candidates, &mut refused);
        if began.elapsed() > TIME_MAX {
            break;
        }
    }
    let measured: Vec<_> = candidates.into_iter().map(figures).collect();
    let fastest = measured.iter().min_by_key(|figures| figures.small + figures.large);
    let method = fastest.map_or_else(SyncMethod::default, |figures| figures.method);
    SyncChoice { method, measured, refused }
}

fn begin(directory: &Path, method: SyncMethod) -> io::Result<Candidate> {
    // A leftover of it is removed by the next writer.
    let path = directory.join(format!("probe-{method}.seg.new"));
    let file = ahead::create(&path)?;
    let opened = Opened::populated(file, FILE_BYTES, method, &AtomicBool::new(false));
    fs::remove_file(&path)?;
    let storage = storage::open(method, opened?, 1 << 20)?;
    Ok(Candidate { method, storage, times: Default::default(), end: SEGMENT_HEADER_BYTES })
}

/// One batch of each size with every method. A method that fails is out.
fn round(candidates: Vec<Candidate>, refused: &mut Vec<(SyncMethod, io::Error)>) -> Vec<Candidate> {
    let mut left = Vec::with_capacity(candidates.len());
    for mut candidate in candidates {
        match candidate.batches() {
            Ok(()) => left.push(candidate),
            Err(error) => refused.push((candidate.method, error)),
        }
    }
    left
}

impl Candidate {
    fn batches(&mut self) -> io::Result<()> {
        for (bytes, times) in BATCH_BYTES.into_iter().zip(&mut self.times) {
            let began = Instant::now();
            let range = self.end..self.end + bytes;
            self.storage.begin(range.start);
            self.storage.area(range.clone()).fill(0xA5);
            self.storage.sync(range.clone())?;
            times.push(began.elapsed());
            self.end = range.end;
        }
        Ok(())
    }
}

fn figures(candidate: Candidate) -> MethodFigures {
    let worst = candidate.times.iter().flatten().max().copied().unwrap_or_default();
    let rounds = candidate.times.iter().map(Vec::len).min().unwrap_or_default();
    let [small, large] = candidate.times.map(|mut times| {
        times.sort_unstable();
        times.get(times.len().div_euclid(2)).copied().unwrap_or(Duration::MAX)
    });
    MethodFigures { method: candidate.method, rounds, small, large, worst }
}

const _: () = assert!(
    wide(SEGMENT_HEADER_BYTES + ROUNDS * 67_584) <= FILE_BYTES,
    "every round has a place of its own"
);
