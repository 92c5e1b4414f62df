//! The process that appends: it says what it is about to write before it does, and what is durable
//! after it is. It knows nothing of its end.

use std::{
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use journal::{JournalError, Options, SyncMethod, Writer};
use types::Seq;

use crate::{
    Failure,
    history::{self, Dice},
};

/// Small, so that a few hundred entries fill one.
const SEGMENT_BYTES: u64 = 16_384;

/// In the place of a method: what is fastest.
pub(crate) const MEASURED: &str = "measured";

/// What a line says, by its first letter.
pub(crate) const RECOVERED: char = 'r';
pub(crate) const SENDING: char = 's';
pub(crate) const ACKNOWLEDGED: char = 'a';
pub(crate) const FAILED: char = 'e';

/// `append DIR METHOD SEED UNTIL honest|ignores-errors`.
pub(crate) fn run(arguments: &[&str]) -> ExitCode {
    let &[dir, method, seed, until, manner] = arguments else {
        eprintln!("usage: append DIR METHOD SEED UNTIL honest|ignores-errors");
        return ExitCode::from(2);
    };
    let ended = (|| {
        let method = match method {
            MEASURED => None,
            name => Some(SyncMethod::from_name(name).ok_or("no such method")?),
        };
        append(Path::new(dir), method, Dice(seed.parse()?), Seq::new(until.parse()?), manner)
    })();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let source = failure.source().map(ToString::to_string).unwrap_or_default();
            // Whoever reads may be gone.
            say(FAILED, &format!("{failure}: {source}")).ok();
            ExitCode::FAILURE
        }
    }
}

fn append(
    dir: &Path,
    method: Option<SyncMethod>,
    mut dice: Dice,
    until: Seq,
    manner: &str,
) -> Result<(), Failure> {
    let options = Options { segment_bytes: SEGMENT_BYTES, batch_bytes_max: 12_000, sync: method };
    let (mut writer, recovery) = Writer::open(dir, options, &mut |_| {})?;
    say(RECOVERED, &recovery.last_seq)?;
    let mut seq = recovery.last_seq;
    while seq < until {
        let batch = 1 + dice.below(12);
        let last = Seq::new(seq.get().saturating_add(batch));
        say(SENDING, &last)?;
        while seq < last {
            seq = seq.next();
            let entry = history::entry(seq);
            writer.append(&entry.command, &entry.events)?;
        }
        match writer.commit() {
            Ok(durable) => say(ACKNOWLEDGED, &durable)?,
            // The canary: it was told that nothing is known about the batch, and says it is there.
            Err(JournalError::Sync { .. }) if manner == "ignores-errors" => {
                say(ACKNOWLEDGED, &last)?;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn say(what: char, value: &dyn std::fmt::Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{what} {value}")?;
    out.flush()
}
