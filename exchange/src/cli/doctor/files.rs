//! What lies in the directory: keys, certificates, the journal's last time, and whether somebody writes it.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use gateway::{
    Authority, ClientVerifier,
    authority::{self, Validity},
    identity,
};
use jiff::Timestamp as Instant;
use rustix::fs::{FlockOperation, flock};
use types::Timestamp;

use super::Finding;
use crate::{clock::Clock, config::Config, exit::Failure, node::Layout};

/// Certificates and lists that end within so many days are told.
const DAYS: u32 = 14;
/// Seconds of a day.
const DAY_SECONDS: i64 = 86_400;

/// Nobody else may read a private key or a secret.
pub(super) fn keys(dir: &Path) -> Finding {
    const CHECK: &str = "key files";
    let mut found = Vec::new();
    if let Err(error) = secrets(dir, &mut found) {
        let mend = "`gridcross init DIR` makes keys; they belong to who runs the exchange";
        return Finding::fail(CHECK, format!("`{}`: {error}", dir.display()), mend);
    }
    let open: Vec<_> = found.iter().filter(|(_, mode)| mode & 0o077 != 0).collect();
    match open.as_slice() {
        [] => Finding::ok(CHECK, format!("{} with mode 0600", found.len())),
        [(first, mode), ..] => Finding::fail(
            CHECK,
            format!("{} can be read by others, one has mode {mode:04o}", open.len()),
            format!("chmod 600 {}", first.display()),
        ),
    }
}

/// Files that hold a private key or a secret, with their modes.
fn secrets(dir: &Path, found: &mut Vec<(PathBuf, u32)>) -> io::Result<()> {
    let mut entries: Vec<_> = fs::read_dir(dir)?.collect::<io::Result<_>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            secrets(&path, found)?;
        } else if path.extension().is_some_and(|end| end == "key" || end == "secret") {
            found.push((path, entry.metadata()?.permissions().mode() & 0o7777));
        }
    }
    Ok(())
}

/// Whether anybody can connect, and until when.
pub(super) fn certificates(dir: &Path) -> Vec<Finding> {
    vec![lists(dir), issued(dir)]
}

fn lists(dir: &Path) -> Finding {
    const CHECK: &str = "revocation lists";
    const MEND: &str = "`gridcross ca crl --dir DIR/keys` writes new ones";
    let seconds = identity::load_certificates(&dir.join("ca.crt"))
        .map_err(|error| Failure::config(error).message().to_owned())
        .and_then(|roots| {
            ClientVerifier::load(&roots, &dir.join(authority::REVOCATION_FILE))
                .map(|verifier| verifier.seconds_left())
                .map_err(|error| Failure::config(error).message().to_owned())
        });
    match seconds {
        Err(why) => Finding::fail(CHECK, why, MEND),
        Ok(..0) => Finding::fail(CHECK, "they have expired: nobody can connect", MEND),
        Ok(left) => {
            let days = left.div_euclid(DAY_SECONDS);
            let found = format!("valid for {days} days");
            if days < DAYS.into() {
                Finding::warn(CHECK, found, MEND)
            } else {
                Finding::ok(CHECK, found)
            }
        }
    }
}

fn issued(dir: &Path) -> Finding {
    const CHECK: &str = "certificates";
    let authority = match Authority::open(dir) {
        Ok(authority) => authority,
        Err(error) => {
            let found = Failure::config(error).message().to_owned();
            return Finding::warn(
                CHECK,
                found,
                "where the authority is kept elsewhere, look there",
            );
        }
    };
    let now = Instant::from_nanosecond(Clock::System.now().ns().into()).unwrap_or_default();
    let soon = Validity::days(now, DAYS).until;
    let valid: Vec<_> =
        authority.certificates().iter().filter(|issued| issued.is_valid_at(now)).collect();
    let first = valid.iter().min_by_key(|issued| issued.not_after);
    match first {
        None => Finding::fail(CHECK, "none is valid", "`gridcross ca issue`"),
        Some(first) => {
            let (holder, until) = (first.holder, first.not_after);
            let found = format!("{} valid, the first, of {holder}, until {until}", valid.len());
            if until < soon {
                Finding::warn(CHECK, found, format!("`gridcross ca renew --dir DIR {holder}`"))
            } else {
                Finding::ok(CHECK, found)
            }
        }
    }
}

/// The clock must not be behind what a journal has: time would stand still until it is past that.
pub(super) fn journal_clock(layout: &Layout, config: &Config) -> Finding {
    const CHECK: &str = "clock and journal";
    let newest = config.shards.iter().filter_map(|shard| {
        let found = journal::snapshots::newest_valid(&layout.journal_of(shard)).ok()?;
        found.snapshot.map(|snapshot| snapshot.end.time)
    });
    let now = Clock::System.now();
    match newest.max() {
        None => Finding::ok(CHECK, "no snapshot yet"),
        Some(last) if last <= now => Finding::ok(CHECK, "the newest snapshot is of the past"),
        Some(last) => {
            let ahead = Timestamp::ns(last).saturating_sub(now.ns()).div_euclid(1_000_000_000);
            let found = format!("the newest snapshot is {ahead} s ahead of the clock");
            Finding::fail(CHECK, found, "set the clock; gates do not close by one that is behind")
        }
    }
}

/// Whether somebody writes the journal now: then its ports are in use by right.
pub(super) fn is_running(layout: &Layout) -> bool {
    let Ok(directory) = File::open(layout.journal()) else { return false };
    flock(&directory, FlockOperation::NonBlockingLockShared).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::doctor::Verdict, init};

    #[test]
    fn a_key_that_others_can_read_fails_with_the_command_that_mends_it() {
        let dir = tempfile::tempdir().unwrap();
        let layout = init::run(&dir.path().join("exchange")).unwrap();
        let sound = keys(&layout.keys());
        assert_eq!(sound.verdict, Verdict::Ok, "{sound:?}");
        for found in certificates(&layout.keys()) {
            assert_eq!(found.verdict, Verdict::Ok, "{found:?}");
        }
        let open = layout.keys().join("ledger.key");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o640)).unwrap();
        let found = keys(&layout.keys());
        assert_eq!(
            (found.verdict, found.mend),
            (Verdict::Fail, format!("chmod 600 {}", open.display()))
        );
        assert!(!is_running(&layout), "nothing was started");
        assert_eq!(keys(&dir.path().join("none")).verdict, Verdict::Fail);
    }
}
