//! A file system without room for another segment: the writer stops with a sentence, nothing
//! acknowledged is lost, and with more room it goes on.

use std::process::Command;

use journal::SyncMethod;

use crate::{
    Failure, Outcome,
    check::{Appender, Plan, Verdict, check},
    machine::tool,
};

pub(crate) fn run() -> Result<Outcome, Failure> {
    let folder = tempfile::tempdir()?;
    let point = folder.path().join("full");
    std::fs::create_dir(&point)?;
    let mount = ["-t", "tmpfs", "-o", "size=256k", "tmpfs"];
    if let Err(error) = tool(Command::new("mount").args(mount).arg(&point)) {
        return Ok(Outcome::Skipped(format!("no small file system: {error}")));
    }
    let filled = fill(&point);
    tool(Command::new("umount").arg(&point))?;
    filled.map(Outcome::Passed)
}

fn fill(point: &std::path::Path) -> Result<String, Failure> {
    let mut acked = 0;
    for method in SyncMethod::ALL {
        let dir = point.join(method.name());
        let plan = Plan {
            dir: &dir,
            method: Some(method),
            seed: 1,
            until: u64::MAX,
            manner: "honest",
            under: &[],
        };
        let (said, _) = Appender::start(&plan)?.finish()?;
        let failed = said.failed.unwrap_or_default();
        if !failed.contains("cannot create segment") || !failed.contains("No space left") {
            return Err(format!("{method}: a full disk is told as `{failed}`").into());
        }
        let Verdict::Sound(found) = check(&dir, said.acked, said.sent)? else {
            return Err(format!("{method}: a full disk lost entries").into());
        };
        tool(Command::new("mount").args(["-o", "remount,size=512k"]).arg(point))?;
        let more = found.saturating_add(200);
        let (after, status) = Appender::start(&Plan { until: more, ..plan })?.finish()?;
        if !status.success() || !matches!(check(&dir, more, after.sent)?, Verdict::Sound(_)) {
            return Err(format!("{method}: with room again: {:?}", after.failed).into());
        }
        acked += after.acked;
        std::fs::remove_dir_all(&dir)?;
        tool(Command::new("mount").args(["-o", "remount,size=256k"]).arg(point))?;
    }
    Ok(format!(
        "full disk: {} journals filled to the last block: {acked} entries acknowledged, 0 lost; each \
         went on with more room",
        SyncMethod::ALL.len()
    ))
}
