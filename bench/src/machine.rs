//! Where it was measured.

use std::{fs, path::Path, process::Command};

use serde::Serialize;

/// The machine, the program and what else ran.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Name of the processor.
    pub processor: String,
    /// Threads the program may use.
    pub cores: usize,
    /// Operating system.
    pub system: String,
    /// Version of the kernel.
    pub kernel: String,
    /// Compiler.
    pub rustc: String,
    /// Commit of the checkout, with `-dirty` when files were changed.
    pub commit: String,
    /// `/proc/loadavg` when the program began.
    pub load_at_start: String,
}

impl Machine {
    /// Looks around.
    #[must_use]
    pub fn observe() -> Self {
        Self {
            processor: field("/proc/cpuinfo", "model name", ':'),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            system: field("/etc/os-release", "PRETTY_NAME", '=').trim_matches('"').to_owned(),
            kernel: first_line("/proc/sys/kernel/osrelease"),
            rustc: says("rustc", &["--version"]),
            commit: says("git", &["describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"]),
            load_at_start: load(),
        }
    }
}

/// The load of the machine now.
#[must_use]
pub fn load() -> String {
    first_line("/proc/loadavg")
}

/// The most memory this process ever had resident, in KiB.
#[must_use]
pub fn memory_peak_kib() -> u64 {
    let text = field("/proc/self/status", "VmHWM", ':');
    text.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The type of the file system that holds `path`, such as `ext4`.
#[must_use]
pub fn file_system_of(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            let (point, kind) = (words.next()?, words.next()?);
            path.starts_with(point).then_some((point.len(), kind))
        })
        .max_by_key(|&(length, _)| length)
        .map_or_else(unknown, |(_, kind)| kind.to_owned())
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn first_line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().next().map_or_else(unknown, str::to_owned)
}

/// The value of the first line `name<separator>value`.
fn field(path: &str, name: &str, separator: char) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split_once(separator))
        .find(|(key, _)| key.trim() == name)
        .map_or_else(unknown, |(_, value)| value.trim().to_owned())
}

fn says(program: &str, arguments: &[&str]) -> String {
    Command::new(program)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .ok()
        .filter(|output| output.status.success())
        .map_or_else(unknown, |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
