//! What the machine offers: limits, clock, disk, ports.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    net::{SocketAddr, TcpListener, UdpSocket},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Resource, getrlimit};

use super::Finding;
use crate::config::Config;

/// Open files that everything at its bounds needs: 1,024 connections over HTTPS, 4,096 to the API, files of
/// journals and books.
const DESCRIPTORS: u64 = 8_192;
/// Below this the bounds of a small configuration do not fit.
const DESCRIPTORS_MIN: u64 = 1_024;
/// Writes that are timed.
const ROUNDS: usize = 16;
/// Bytes of each: a small batch.
const ROUND_BYTES: usize = 4_096;
/// A sync that takes longer is what every answer waits for.
const SYNC_SLOW: Duration = Duration::from_millis(10);

pub(super) fn descriptors() -> Finding {
    const CHECK: &str = "open files";
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let mend = format!("LimitNOFILE={DESCRIPTORS} in the unit, or `ulimit -n {DESCRIPTORS}`");
    match limit {
        DESCRIPTORS.. => Finding::ok(CHECK, limit.to_string()),
        DESCRIPTORS_MIN.. => Finding::warn(CHECK, limit.to_string(), mend),
        _ => Finding::fail(CHECK, limit.to_string(), mend),
    }
}

/// Gates close by this clock, and everybody else's orders carry instants of theirs.
pub(super) fn clock() -> Finding {
    const CHECK: &str = "clock";
    const MEND: &str = "run a time service, such as chrony or systemd-timesyncd";
    let asked = Command::new("timedatectl")
        .args(["show", "--property=NTPSynchronized", "--value"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    match asked.ok().and_then(|output| String::from_utf8(output.stdout).ok()) {
        Some(text) if text.trim() == "yes" => Finding::ok(CHECK, "synchronised"),
        Some(text) if text.trim() == "no" => Finding::warn(CHECK, "not synchronised", MEND),
        Some(_) | None => {
            Finding::warn(CHECK, "nothing here says whether it is synchronised", MEND)
        }
    }
}

/// How long the disk takes to make a small batch durable.
pub(super) fn sync(dir: &Path) -> Finding {
    const CHECK: &str = "disk sync";
    const MEND: &str =
        "a disk with a write cache that survives a power cut; see docs/performance.md";
    match sync_times(dir) {
        Ok(times) => {
            let middle = times.get(times.len().div_euclid(2)).copied().unwrap_or_default();
            let worst = times.last().copied().unwrap_or_default();
            let found = format!("{middle:.1?} for 4 KiB, at worst {worst:.1?} of {ROUNDS}");
            if middle < SYNC_SLOW {
                Finding::ok(CHECK, found)
            } else {
                Finding::warn(CHECK, found, MEND)
            }
        }
        Err(error) => {
            let mend = "the directory must be writable for who runs the exchange";
            Finding::fail(CHECK, error.to_string(), mend)
        }
    }
}

/// Sorted.
fn sync_times(dir: &Path) -> io::Result<Vec<Duration>> {
    let path = dir.join(format!(".doctor-{}", std::process::id()));
    let mut file = File::create_new(&path)?;
    let timed = (0..ROUNDS).map(|_| {
        let began = Instant::now();
        file.write_all(&[0xA5; ROUND_BYTES])?;
        file.sync_data()?;
        Ok(began.elapsed())
    });
    let timed: io::Result<Vec<_>> = timed.collect();
    fs::remove_file(&path)?;
    let mut times = timed?;
    times.sort_unstable();
    Ok(times)
}

/// Room for what is kept free, and for the segments that are made ahead.
pub(super) fn space(dir: &Path, config: &Config) -> Finding {
    const CHECK: &str = "disk space";
    let free = match journal::space(dir) {
        Ok(free) => free,
        Err(error) => return Finding::warn(CHECK, error.to_string(), "is the directory there?"),
    };
    let segments =
        config.segment_bytes.saturating_mul(2).saturating_mul(config.shards.count().into());
    let wanted = config.reserve_bytes.saturating_add(segments);
    let mib = |bytes: u64| bytes.div_euclid(1 << 20);
    let found = format!("{} MiB free", mib(free));
    let mend = format!(
        "{} MiB are needed: `journal.reserve_mib`, and two segments for each shard",
        mib(wanted)
    );
    if free < config.reserve_bytes {
        Finding::fail(CHECK, format!("{found}: no orders would be taken"), mend)
    } else if free < wanted {
        Finding::warn(CHECK, found, mend)
    } else {
        Finding::ok(CHECK, found)
    }
}

/// Every address that the configuration wants to listen on.
pub(super) fn ports(config: &Config, is_running: bool) -> Vec<Finding> {
    let tcp = |address: SocketAddr| TcpListener::bind(address).map(drop);
    let https = config.https.as_ref().map(|https| https.listen);
    let api = config.api.as_ref().map(|api| api.listen);
    let rails = config.rails.as_ref().map(|rails| rails.listen);
    let mut findings = vec![port(
        "port, QUIC",
        config.listen,
        UdpSocket::bind(config.listen).map(drop),
        is_running,
    )];
    let others = [
        ("port, HTTPS", https),
        ("port, API", api),
        ("port, rails", rails),
        ("port, operations", config.operations),
    ];
    for (check, address) in others {
        findings.extend(address.map(|address| port(check, address, tcp(address), is_running)));
    }
    if config.operations.is_none() {
        let found = "nobody is told how the exchange is";
        let mend = "`[operations]` with `listen` in the configuration";
        findings.push(Finding::warn("port, operations", found, mend));
    }
    findings
}

fn port(
    check: &'static str,
    address: SocketAddr,
    bound: io::Result<()>,
    is_running: bool,
) -> Finding {
    match bound {
        Ok(()) => Finding::ok(check, format!("{address} is free")),
        Err(error) if is_running && error.kind() == io::ErrorKind::AddrInUse => {
            Finding::ok(check, format!("{address} is in use, and an exchange runs here"))
        }
        Err(error) => {
            let mend = "another `listen`, or stop what uses it (`ss -lnp`)";
            Finding::fail(check, format!("{address}: {error}"), mend)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::doctor::Verdict, config, init};

    #[test]
    fn a_port_in_use_fails_unless_an_exchange_runs_here() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let text = init::CONFIG_TEMPLATE.replace("127.0.0.1:7400", &address);
        let config = config::parse(Path::new("g.toml"), &text).unwrap();
        let verdicts = |is_running| {
            let found = ports(&config, is_running);
            found.into_iter().map(|one| one.verdict).collect::<Vec<_>>()
        };
        assert_eq!(verdicts(false), [Verdict::Fail, Verdict::Warn]);
        assert_eq!(verdicts(true), [Verdict::Ok, Verdict::Warn]);
    }

    #[test]
    fn a_disk_without_the_reserve_fails() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config::parse(Path::new("g.toml"), init::CONFIG_TEMPLATE).unwrap();
        config.reserve_bytes = 1 << 60;
        let found = space(dir.path(), &config);
        assert_eq!(found.verdict, Verdict::Fail);
        assert!(found.mend.contains("reserve_mib"), "{found:?}");
        assert_ne!(sync(dir.path()).verdict, Verdict::Fail);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
        assert_eq!(sync(&dir.path().join("none")).verdict, Verdict::Fail);
    }
}
