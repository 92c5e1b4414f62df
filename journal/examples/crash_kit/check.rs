//! A running appender as its starter sees it, and whether what it left agrees with what it said.

use std::{
    io::{BufRead, BufReader, Lines, Read as _},
    ops::ControlFlow,
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
};

use journal::{JournalError, SyncMethod, scan};
use types::Seq;

use crate::{
    Failure,
    appender::{ACKNOWLEDGED, FAILED, MEASURED, RECOVERED, SENDING},
    history,
};

/// What an appender has said.
#[derive(Debug, Default, Clone)]
pub(crate) struct Said {
    /// What it found when it began.
    pub(crate) recovered: Option<u64>,
    /// The last sequence that it can have written.
    pub(crate) sent: u64,
    /// The last sequence that it called durable.
    pub(crate) acked: u64,
    /// Why it ended.
    pub(crate) failed: Option<String>,
    /// What it wrote to stderr; known once it has ended.
    pub(crate) errors: String,
}

/// An appender.
pub(crate) struct Appender {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pub(crate) said: Said,
}

/// How an appender is started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) dir: &'a Path,
    /// `None` for what is fastest.
    pub(crate) method: Option<SyncMethod>,
    pub(crate) seed: u64,
    pub(crate) until: u64,
    pub(crate) manner: &'static str,
    /// What is put before it, such as `strace` and its options.
    pub(crate) under: &'a [String],
}

impl Appender {
    pub(crate) fn start(plan: &Plan<'_>) -> Result<Self, Failure> {
        let own = std::env::current_exe()?;
        let mut command = match plan.under.split_first() {
            Some((program, options)) => {
                let mut command = Command::new(program);
                command.args(options).arg(own);
                command
            }
            None => Command::new(own),
        };
        let mut process = command
            .arg("append")
            .arg(plan.dir)
            .args([
                plan.method.map_or(MEASURED, SyncMethod::name),
                &plan.seed.to_string(),
                &plan.until.to_string(),
            ])
            .arg(plan.manner)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let stdout = process.stdout.take().ok_or("no pipe")?;
        Ok(Self { process, lines: BufReader::new(stdout).lines(), said: Said::default() })
    }

    /// Reads a line; `false` when there are no more.
    pub(crate) fn listen(&mut self) -> Result<bool, Failure> {
        let Some(line) = self.lines.next().transpose()? else {
            return Ok(false);
        };
        let (what, value) = line.split_once(' ').unwrap_or((line.as_str(), ""));
        let number = || value.parse::<u64>();
        match what.chars().next() {
            Some(RECOVERED) => {
                let recovered = number()?;
                self.said.recovered = Some(recovered);
                self.said.sent = self.said.sent.max(recovered);
                self.said.acked = self.said.acked.max(recovered);
            }
            Some(SENDING) => self.said.sent = number()?,
            Some(ACKNOWLEDGED) => self.said.acked = number()?,
            Some(FAILED) => self.said.failed = Some(value.to_owned()),
            _ => return Err(format!("the appender says `{line}`").into()),
        }
        Ok(true)
    }

    pub(crate) fn kill(&mut self) -> Result<(), Failure> {
        Ok(self.process.kill()?)
    }

    /// Hears it out and waits for its end.
    pub(crate) fn finish(mut self) -> Result<(Said, ExitStatus), Failure> {
        while self.listen()? {}
        // At most a few lines, which the pipe has held until now.
        if let Some(mut stderr) = self.process.stderr.take() {
            stderr.read_to_string(&mut self.said.errors)?;
        }
        let status = self.process.wait()?;
        Ok((self.said, status))
    }
}

/// What a check found: the last sequence, or what is wrong.
pub(crate) enum Verdict {
    Sound(u64),
    Lost(String),
}

/// Whether the journal in `dir` holds what was acknowledged, nothing that was not sent, and every
/// entry once. `acked` is what earlier appenders were known to have left, where this one said
/// nothing.
pub(crate) fn check(dir: &Path, acked: u64, sent: u64) -> Result<Verdict, Failure> {
    let mut different = None;
    let scanned = scan(dir, &mut |entry, _| {
        if *entry != history::entry(entry.command.seq) {
            different = Some(entry.command.seq);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    if let Some(seq) = different {
        return Err(format!("sequence {seq} is not what was sent").into());
    }
    let last = match scanned {
        Ok(recovery) if recovery.entries != recovery.last_seq.get() => {
            return Err("entries are missing or twice".into());
        }
        Ok(recovery) => recovery.last_seq,
        // An appender that ended before there was a segment, or a machine that lost all of it.
        Err(JournalError::NotAJournal { .. } | JournalError::OpenDirectory { .. }) => Seq::ZERO,
        Err(error @ JournalError::Damaged { .. }) => return Ok(Verdict::Lost(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    if last.get() < acked {
        return Ok(Verdict::Lost(format!("{acked} acknowledged, {last} recovered")));
    }
    if last.get() > sent {
        return Err(format!("{last} recovered, {sent} sent").into());
    }
    Ok(Verdict::Sound(last.get()))
}
