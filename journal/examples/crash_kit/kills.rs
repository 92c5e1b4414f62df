//! `kill -9` at any moment: the page cache survives, so this proves recovery and the order of
//! writing and telling, not that anything was synced.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use journal::SyncMethod;

use crate::{
    Failure, Outcome,
    check::{Appender, Plan, Verdict, check},
    history::Dice,
};

/// After so many kills a journal is left and a new one begun.
const KILLS_OF_ONE: u64 = 25;
/// Most lines that are heard before the kill.
const LINES: u64 = 60;

pub(crate) fn run(count: u64, seed: u64) -> Result<Outcome, Failure> {
    let root = memory()?;
    let mut dice = Dice(seed);
    let (mut acked, mut unacked, mut early) = (0_u64, 0_u64, 0_u64);
    let mut last = 0;
    let mut dir = root.path().join("0");
    for kill in 0..count {
        if kill.is_multiple_of(KILLS_OF_ONE) {
            fs::remove_dir_all(&dir).ok();
            dir = root.path().join(kill.to_string());
            last = 0;
        }
        let method = dice.pick(&SyncMethod::ALL);
        let plan = Plan {
            dir: &dir,
            method,
            seed: dice.next(),
            until: u64::MAX,
            manner: "honest",
            under: &[],
        };
        let said = kill_one(&plan, &mut dice)?;
        early += u64::from(said.recovered.is_none());
        let (at_least, at_most) = (said.acked.max(last), said.sent.max(last));
        match check(&dir, at_least, at_most)? {
            Verdict::Sound(found) => {
                acked += at_least - last;
                unacked += found - at_least;
                last = found;
            }
            Verdict::Lost(why) => return Err(format!("kill {kill}, seed {seed}: {why}").into()),
        }
    }
    if acked < count {
        return Err(format!("{acked} entries in {count} kills: too few to prove anything").into());
    }
    two_writers(&root.path().join("two"))?;
    Ok(Outcome::Passed(format!(
        "kills: {count} kill points ({early} before the first word), seed {seed}: {acked} entries \
         acknowledged, 0 lost, 0 twice; {unacked} more survived unacknowledged; a second writer is \
         refused"
    )))
}

/// A directory in memory where there is one: a kill does not care.
pub(crate) fn memory() -> Result<tempfile::TempDir, Failure> {
    let memory = PathBuf::from("/dev/shm");
    Ok(if memory.is_dir() { tempfile::tempdir_in(memory)? } else { tempfile::tempdir()? })
}

fn kill_one(plan: &Plan<'_>, dice: &mut Dice) -> Result<crate::check::Said, Failure> {
    let mut appender = Appender::start(plan)?;
    for _ in 0..dice.below(LINES) {
        if !appender.listen()? {
            break;
        }
    }
    let pause = Duration::from_nanos(dice.below(400_000));
    let began = Instant::now();
    while began.elapsed() < pause {
        std::hint::spin_loop();
    }
    appender.kill()?;
    let (said, _) = appender.finish()?;
    if let Some(failed) = &said.failed {
        return Err(format!("an appender failed by itself: {failed}").into());
    }
    if let (Some(recovered), true) = (said.recovered, said.acked < said.recovered.unwrap_or(0)) {
        return Err(format!("{recovered} recovered, then {} acknowledged", said.acked).into());
    }
    Ok(said)
}

/// While one process writes, another is told so and changes nothing.
fn two_writers(dir: &std::path::Path) -> Result<(), Failure> {
    let method = SyncMethod::default();
    let plan =
        Plan { dir, method: Some(method), seed: 1, until: u64::MAX, manner: "honest", under: &[] };
    let mut first = Appender::start(&plan)?;
    while first.said.acked == 0 && first.listen()? {}
    let (second, _) = Appender::start(&plan)?.finish()?;
    first.kill()?;
    let (said, _) = first.finish()?;
    let refused = second.failed.unwrap_or_default();
    if !refused.contains("is locked by another writer") {
        return Err(format!("a second writer was told `{refused}`").into());
    }
    match check(dir, said.acked, said.sent)? {
        Verdict::Sound(_) => Ok(()),
        Verdict::Lost(why) => Err(why.into()),
    }
}
