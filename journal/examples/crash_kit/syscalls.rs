//! Each of the first calls of each kind fails, or is the last the process makes.

use journal::SyncMethod;

use crate::{
    Failure, Outcome,
    check::{Appender, Plan, Verdict, check},
    machine::has,
};

/// Calls that a journal makes, and that can fail.
const CALLS: [&str; 10] = [
    "fallocate",
    "pwrite64",
    "fdatasync",
    "fsync",
    "msync",
    "rename",
    "mkdir",
    "flock",
    "io_uring_setup",
    "io_uring_enter",
];
/// What happens instead of the call, or in it.
const FAULTS: [&str; 3] = ["error=EIO", "error=ENOSPC", "signal=KILL"];
/// Entries of a run: enough for several segments.
const UNTIL: u64 = 300;

pub(crate) fn run(count: u64, seed: u64) -> Result<Outcome, Failure> {
    if !has("strace") {
        return Ok(Outcome::Skipped("failing system calls need `strace`".to_owned()));
    }
    let (mut runs, mut stopped, mut acked) = (0_u64, 0_u64, 0_u64);
    for method in SyncMethod::ALL {
        for call in CALLS {
            for fault in FAULTS {
                for nth in 1..=count {
                    let inject = format!("inject={call}:{fault}:when={nth}");
                    let (was_stopped, entries) = fail(Some(method), call, &inject, seed)
                        .map_err(|error| format!("{method}, {inject}: {error}"))?;
                    runs += 1;
                    acked += entries;
                    stopped += u64::from(was_stopped);
                    if !was_stopped {
                        // There are no more calls of this kind.
                        break;
                    }
                }
            }
        }
    }
    // Where the system lets nobody have a ring, the fastest method is one of the others.
    let (was_stopped, entries) =
        fail(None, "io_uring_setup", "inject=io_uring_setup:error=EPERM", seed)?;
    if was_stopped {
        return Err("without a ring no method is measured".into());
    }
    runs += 1;
    acked += entries;
    Ok(Outcome::Passed(format!(
        "syscalls: {runs} runs with a failed or last call, {stopped} of them stopped by it: {acked} \
         entries acknowledged, 0 lost, 0 twice; every journal took more afterwards"
    )))
}

/// Whether the appender was stopped by the fault, and what it acknowledged.
fn fail(
    method: Option<SyncMethod>,
    call: &str,
    inject: &str,
    seed: u64,
) -> Result<(bool, u64), Failure> {
    let folder = tempfile::tempdir_in("/dev/shm")?;
    let dir = folder.path().join("journal");
    let trace = format!("trace={call}");
    let under: Vec<String> = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", inject]
        .into_iter()
        .map(str::to_owned)
        .collect();
    let plan = Plan { dir: &dir, method, seed, until: UNTIL, manner: "honest", under: &under };
    let (said, status) = Appender::start(&plan)?.finish()?;
    let was_stopped = !status.success();
    if was_stopped && said.failed.is_none() && !inject.contains("KILL") {
        return Err(format!("the appender ended without a word: {status}").into());
    }
    if !was_stopped && said.acked < UNTIL {
        return Err("the appender ended well before its end".into());
    }
    sound(check(&dir, said.acked, said.sent)?)?;
    let again = Plan { under: &[], until: UNTIL + 100, ..plan };
    let (after, status) = Appender::start(&again)?.finish()?;
    if !status.success() {
        return Err(format!("afterwards: {}", after.failed.unwrap_or_default()).into());
    }
    sound(check(&dir, after.acked.max(UNTIL + 100), after.sent)?)?;
    Ok((was_stopped, said.acked))
}

fn sound(verdict: Verdict) -> Result<(), Failure> {
    match verdict {
        Verdict::Sound(_) => Ok(()),
        Verdict::Lost(why) => Err(why.into()),
    }
}
