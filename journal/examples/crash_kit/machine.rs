//! A crash of the machine: ext4 on a loop device is shut down while an appender writes, so that
//! whatever was not synced is gone. Two canaries must lose what they acknowledged.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use journal::SyncMethod;

use crate::{
    Failure, Outcome,
    check::{Appender, Plan, Verdict, check},
    history::Dice,
};

/// Crashes of each canary, for each of the honest ones: one of so many; at least this many.
const CANARY_SHARE: u64 = 6;
const CANARIES_MIN: u64 = 10;
/// How often each canary must lose something.
const LOSSES_MIN: u64 = 5;
/// After so many crashes a journal is left and a new one begun.
const CRASHES_OF_ONE: u64 = 6;

/// Methods whose sync is a system call of its own.
const CALLING: [SyncMethod; 3] =
    [SyncMethod::Msync, SyncMethod::MappedFdatasync, SyncMethod::WriteFdatasync];

/// Who writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writes {
    Honestly,
    /// Its syncs return at once and do nothing.
    WithoutSync,
    /// Its sync fails, and it goes on as if it had not.
    IgnoringErrors,
}

pub(crate) fn run(count: u64, seed: u64) -> Result<Outcome, Failure> {
    for tool in ["mkfs.ext4", "mount", "umount", "xfs_io", "strace"] {
        if !has(tool) {
            return Ok(Outcome::Skipped(format!("machine crashes need `{tool}`")));
        }
    }
    let folder = tempfile::tempdir()?;
    let disk = match Disk::new(folder.path()) {
        Ok(disk) => disk,
        Err(error) => return Ok(Outcome::Skipped(format!("no loop device: {error}"))),
    };
    let mut dice = Dice(seed);
    let canaries = count.div_euclid(CANARY_SHARE).max(CANARIES_MIN);
    let honest = crashes(&disk, Writes::Honestly, count, &mut dice)?;
    if let Some(why) = &honest.why {
        return Err(format!("seed {seed}: {} of {count} crashes lost: {why}", honest.lost).into());
    }
    if honest.acked < count {
        return Err(format!(
            "{} entries in {count} crashes: too few to prove anything",
            honest.acked
        )
        .into());
    }
    let mut counts = format!(
        "machine: {count} crashes on ext4, seed {seed}: {} entries acknowledged before, 0 lost, 0 \
         twice; {} took the one batch whose sync was under way",
        honest.acked, honest.late
    );
    for (name, writes) in
        [("no sync", Writes::WithoutSync), ("error ignored", Writes::IgnoringErrors)]
    {
        let canary = crashes(&disk, writes, canaries, &mut dice)?;
        if canary.lost < LOSSES_MIN {
            return Err(format!(
                "the canary `{name}` lost in {} of {canaries} crashes: the rig notices nothing",
                canary.lost
            )
            .into());
        }
        counts.push_str(&format!("; canary `{name}` lost in {} of {canaries}", canary.lost));
    }
    Ok(Outcome::Passed(counts))
}

/// What was said before a crash.
struct Crashed {
    /// Acknowledged before the crash began.
    acked: u64,
    /// Acknowledged at all.
    late: u64,
    sent: u64,
}

#[derive(Default)]
struct Tally {
    acked: u64,
    /// Crashes that took something that was acknowledged while they were under way.
    late: u64,
    lost: u64,
    /// The first loss.
    why: Option<String>,
}

fn crashes(disk: &Disk, writes: Writes, count: u64, dice: &mut Dice) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    let mut last = 0;
    let mut name = String::new();
    for crash in 0..count {
        let fresh = crash.is_multiple_of(CRASHES_OF_ONE) || writes != Writes::Honestly;
        let mounted = disk.mount()?;
        if fresh {
            std::fs::remove_dir_all(mounted.0.join(&name)).ok();
            name = format!("{writes:?}-{crash}");
            last = 0;
        }
        let dir = mounted.0.join(&name);
        let said = crash_one(&mounted, &dir, writes, dice)?;
        drop(mounted);
        let mounted = disk.mount()?;
        let verdict = check(&mounted.0.join(&name), said.acked.max(last), said.sent.max(last))?;
        drop(mounted);
        match verdict {
            Verdict::Sound(found) => {
                tally.acked += said.acked.saturating_sub(last);
                tally.late += u64::from(found < said.late);
                last = found;
            }
            Verdict::Lost(why) => {
                tally.lost += 1;
                tally.why.get_or_insert(why);
                last = 0;
                name.push_str("-lost");
            }
        }
    }
    Ok(tally)
}

/// One appender, cut off after a few words.
fn crash_one(
    mounted: &Mounted<'_>,
    dir: &Path,
    writes: Writes,
    dice: &mut Dice,
) -> Result<Crashed, Failure> {
    let calls = match writes {
        Writes::Honestly => None,
        Writes::WithoutSync => Some("fdatasync,fsync,msync:retval=0".to_owned()),
        // The first syncs work, so that there is something to lose from.
        Writes::IgnoringErrors => {
            let first = 3 + dice.below(9);
            Some(format!("fdatasync,msync,io_uring_enter:error=EIO:when={first}+"))
        }
    };
    let under = calls.map_or_else(Vec::new, |calls| {
        let trace = format!("trace={}", calls.split(':').next().unwrap_or_default());
        let options = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e"];
        let inject = format!("inject={calls}");
        options.into_iter().map(str::to_owned).chain([inject]).collect()
    });
    // A ring's answers do not come from a system call, so that one without sync cannot be pretended.
    let method = match writes {
        Writes::WithoutSync => dice.pick(&CALLING),
        Writes::Honestly | Writes::IgnoringErrors => dice.pick(&SyncMethod::ALL),
    };
    let manner = if writes == Writes::IgnoringErrors { "ignores-errors" } else { "honest" };
    let plan = Plan { dir, method, seed: dice.next(), until: u64::MAX, manner, under: &under };
    let mut appender = Appender::start(&plan)?;
    for _ in 0..4 + dice.below(60) {
        if !appender.listen()? {
            break;
        }
    }
    // What is said from here on was said by a machine that has crashed. The system may answer a sync
    // that it was in the middle of, which no machine without power does.
    let heard = appender.said.acked;
    mounted.shut_down()?;
    // It ends by itself when the disk is gone; without syncs it may never notice.
    if writes == Writes::WithoutSync {
        appender.kill()?;
    }
    let (said, _) = appender.finish()?;
    Ok(Crashed { acked: heard, late: said.acked, sent: said.sent })
}

/// A file system in a file.
struct Disk {
    image: PathBuf,
    point: PathBuf,
}

/// The file system while it is mounted. Dropping it unmounts.
struct Mounted<'a>(&'a Path);

impl Disk {
    fn new(folder: &Path) -> Result<Self, Failure> {
        let disk = Self { image: folder.join("disk.img"), point: folder.join("disk") };
        std::fs::create_dir(&disk.point)?;
        std::fs::File::create(&disk.image)?.set_len(64 << 20)?;
        tool(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&disk.image))?;
        drop(disk.mount()?);
        Ok(disk)
    }

    fn mount(&self) -> Result<Mounted<'_>, Failure> {
        tool(Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.point))?;
        Ok(Mounted(&self.point))
    }
}

impl Mounted<'_> {
    /// Nothing more reaches the disk, the file system's own log included.
    fn shut_down(&self) -> Result<(), Failure> {
        tool(Command::new("xfs_io").args(["-x", "-c", "shutdown"]).arg(self.0))
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        if let Err(error) = tool(Command::new("umount").arg(self.0)) {
            eprintln!("error: {error}");
        }
    }
}

/// Whether a tool can be run.
pub(crate) fn has(name: &str) -> bool {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("command -v {name}")).stdout(Stdio::null());
    shell.status().is_ok_and(|status| status.success())
}

/// Runs a tool that must succeed.
pub(crate) fn tool(command: &mut Command) -> Result<(), Failure> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
}
