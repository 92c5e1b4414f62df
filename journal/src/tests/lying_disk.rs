//! A disk that loses what was not synced, in any order and in part: recovery must live with every
//! image it can leave. Two canaries show that the rig notices a writer that does not sync.

use std::{
    collections::BTreeSet,
    env, fs,
    fs::{File, OpenOptions},
    io,
    ops::Range,
    os::unix::fs::FileExt,
    path::Path,
    sync::{Arc, Mutex},
};

use types::Seq;

use super::{
    SMALL, read, segments,
    values::{Source, entries, orders},
};
use crate::{
    Entry, Writer,
    storage::{Opened, Storage},
};

const SECTOR: usize = 512;
/// Size of the segments.
const SEGMENT: usize = 8_192;
const _: () = assert!(SMALL.segment_bytes == 8_192);

/// What the disk does wrong, besides losing what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lie {
    /// Nothing.
    None,
    /// It says that it has synced, and has not.
    NoSync,
    /// A sync fails now and then, drops what it should have written, and nobody is told.
    ErrorIgnored,
}

/// The disk, as the test holds it.
#[derive(Debug, Clone)]
pub(super) struct LyingDisk(Arc<Mutex<Disk>>);

/// Draws numbers below a bound.
#[derive(Debug)]
struct Dice(Source);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.0.below(u64::try_from(bound).unwrap())).unwrap()
    }
}

#[derive(Debug)]
struct Disk {
    /// Holds what is durable, and nothing else before a crash.
    file: File,
    batch: Vec<u8>,
    begin: usize,
    /// Written and not synced, in order.
    pending: Vec<(usize, Vec<u8>)>,
    lie: Lie,
    fails_next: bool,
    dice: Dice,
}

impl LyingDisk {
    /// Puts the disk beneath a writer that has just been opened and has one segment or more.
    pub(super) fn beneath(writer: &mut Writer, dir: &Path, lie: Lie, seed: u64) -> Self {
        let last = segments(dir).pop().unwrap();
        let file = OpenOptions::new().read(true).write(true).open(last).unwrap();
        let begin = writer.open_batch_at();
        // The area ends with the segment.
        let batch = vec![0; SEGMENT - begin];
        let disk = Disk {
            file,
            batch,
            begin,
            pending: Vec::new(),
            lie,
            fails_next: false,
            dice: Dice(Source(seed)),
        };
        let disk = Self(Arc::new(Mutex::new(disk)));
        writer.storage =
            Box::new(Handle { disk: disk.clone(), area: vec![0; SEGMENT - begin], begin });
        disk
    }

    pub(super) fn fail_next_sync(&self) {
        self.0.lock().unwrap().fails_next = true;
    }

    /// The power goes: of every sector that was written and not synced, the disk has the old or the
    /// new bytes.
    fn crash(&self) {
        let mut disk = self.0.lock().unwrap();
        let open = (disk.begin, disk.batch.clone());
        disk.pending.push(open);
        // Everything, nothing, or a part: which part is drawn for each sector.
        let share = disk.dice.below(5);
        for (at, bytes) in std::mem::take(&mut disk.pending) {
            let mut from = 0;
            while from < bytes.len() {
                let end = ((at + from) / SECTOR + 1) * SECTOR - at;
                let end = end.min(bytes.len());
                if disk.dice.below(4) < share {
                    let offset = u64::try_from(at + from).unwrap();
                    disk.file.write_all_at(&bytes[from..end], offset).unwrap();
                }
                from = end;
            }
        }
    }
}

impl Disk {
    fn sync(&mut self, at: usize, bytes: &[u8]) -> io::Result<()> {
        self.pending.push((at, bytes.to_vec()));
        if std::mem::take(&mut self.fails_next) {
            return Err(io::Error::other("injected"));
        }
        match self.lie {
            Lie::NoSync => return Ok(()),
            Lie::ErrorIgnored if self.dice.below(4) == 0 => {
                self.pending.clear();
                return Ok(());
            }
            Lie::None | Lie::ErrorIgnored => {}
        }
        for (at, bytes) in std::mem::take(&mut self.pending) {
            self.file.write_all_at(&bytes, u64::try_from(at).unwrap())?;
        }
        Ok(())
    }
}

/// The disk, as the writer holds it.
#[derive(Debug)]
struct Handle {
    disk: LyingDisk,
    area: Vec<u8>,
    begin: usize,
}

impl Handle {
    /// What was appended is on its way to the disk before it is asked for.
    fn share(&self) {
        let mut disk = self.disk.0.lock().unwrap();
        disk.begin = self.begin;
        disk.batch.clone_from(&self.area);
    }
}

impl Storage for Handle {
    fn begin(&mut self, offset: usize) {
        self.begin = offset;
        self.area.fill(0);
        self.area.resize(SEGMENT - offset, 0);
        self.share();
    }

    fn area(&mut self, range: Range<usize>) -> &mut [u8] {
        self.share();
        &mut self.area[range.start - self.begin..range.end - self.begin]
    }

    fn sync(&mut self, range: Range<usize>) -> io::Result<()> {
        let bytes = &self.area[range.start - self.begin..range.end - self.begin];
        self.disk.0.lock().unwrap().sync(range.start, bytes)
    }

    fn go_on(&mut self, next: Opened) {
        let mut disk = self.disk.0.lock().unwrap();
        disk.pending.clear();
        disk.file = next.file;
    }
}

/// What became of a history that was cut off by a crash.
#[derive(Debug)]
struct Outcome {
    acked: u64,
    sent: u64,
    recovered: Vec<Entry>,
    refused: Option<String>,
}

/// Appends a seeded history until a seeded moment, crashes, and opens again.
fn run(dir: &Path, all: &[Entry], lie: Lie, seed: u64) -> Outcome {
    let mut dice = Dice(Source(seed));
    let (mut writer, _) = Writer::open(dir, SMALL, &mut |_| {}).unwrap();
    let disk = LyingDisk::beneath(&mut writer, dir, lie, seed ^ 0x5A5A);
    let (mut acked, mut sent) = (0, 0);
    let until = 1 + dice.below(all.len());
    let mut entries = all[..until].iter();
    // A crash during a sync is one that is not answered.
    let crashes_in_sync = dice.below(2) == 0;
    'history: while entries.len() > 0 {
        for entry in entries.by_ref().take(1 + dice.below(6)) {
            sent = entry.command.seq.get();
            if writer.append(&entry.command, &entry.events).is_err() {
                break 'history;
            }
        }
        // The last batch stays open, or its sync is not answered.
        if entries.len() == 0 {
            if !crashes_in_sync {
                break;
            }
            disk.fail_next_sync();
        }
        match writer.commit() {
            Ok(seq) => acked = seq.get(),
            Err(_) => break,
        }
    }
    acked = acked.max(writer.last_durable().get());
    disk.crash();
    drop(writer);
    let mut recovered = Vec::new();
    let opened = Writer::open(dir, SMALL, &mut |entry| recovered.push(entry));
    Outcome { acked, sent, recovered, refused: opened.err().map(|error| format!("{error}")) }
}

fn count(name: &str, short: u64) -> u64 {
    env::var(name).map_or(short, |count| count.parse().unwrap())
}

/// How many of the runs lost something that was acknowledged.
fn losses(lie: Lie, runs: u64, seed: u64) -> u64 {
    let all = entries(seed, 1, 60);
    let mut losses = 0;
    let mut torn = BTreeSet::new();
    // The disk is ours; what is beneath it may as well be memory.
    let memory = Path::new("/dev/shm");
    let memory = if memory.is_dir() { memory.to_owned() } else { env::temp_dir() };
    for run_seed in seed..seed + runs {
        let dir = tempfile::tempdir_in(&memory).unwrap();
        let outcome = run(dir.path(), &all, lie, run_seed);
        let recovered = u64::try_from(outcome.recovered.len()).unwrap();
        torn.insert(outcome.sent - recovered.min(outcome.sent));
        if outcome.refused.is_some() || recovered < outcome.acked {
            losses += 1;
            assert!(
                lie != Lie::None,
                "seed {run_seed}: {} acked, {recovered} recovered, {:?}",
                outcome.acked,
                outcome.refused
            );
            continue;
        }
        assert!(recovered <= outcome.sent, "seed {run_seed}: more than was sent");
        assert!(outcome.recovered == all[..outcome.recovered.len()], "seed {run_seed}");
        if lie == Lie::None {
            goes_on(dir.path(), recovered, run_seed);
        }
    }
    if lie == Lie::None {
        assert!(torn.len() > 3, "crashes lost different parts of what was not acknowledged");
    }
    losses
}

/// What was recovered takes new entries, and a second recovery finds the same.
fn goes_on(dir: &Path, recovered: u64, seed: u64) {
    let more = orders(recovered + 1, 2);
    let recovery = super::write(dir, SMALL, &more, 1);
    assert_eq!(recovery.last_seq, Seq::new(recovered), "seed {seed}: found again");
    assert_eq!(recovery.torn_bytes, 0, "seed {seed}: the torn tail is gone");
    let (found, result) = read(dir);
    assert_eq!(result.unwrap().last_seq, Seq::new(recovered + 2), "seed {seed}");
    assert!(found[found.len() - 2..] == more, "seed {seed}");
    fs::remove_dir_all(dir).unwrap();
    fs::create_dir(dir).unwrap();
}

const SEED: u64 = 20_260_725;

#[test]
fn what_was_acknowledged_survives_any_part_of_what_was_not() {
    let runs = count("GRIDCROSS_LYING_DISKS", 2_000);
    assert_eq!(losses(Lie::None, runs, SEED), 0);
    println!("lying disk: {runs} crashes, seeds from {SEED}: 0 lost, 0 not sent");
}

#[test]
fn canaries_lose_what_was_acknowledged() {
    let runs = count("GRIDCROSS_LYING_DISKS", 2_000).div_euclid(10);
    for lie in [Lie::NoSync, Lie::ErrorIgnored] {
        let losses = losses(lie, runs, SEED);
        println!("lying disk, canary {lie:?}: {losses} of {runs} runs lost something");
        assert!(losses > runs / 4, "{lie:?} lost {losses} of {runs}: the rig notices nothing");
    }
}
