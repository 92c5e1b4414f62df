//! What checks need beside Rust, from Debian's packages.

use std::process::{Command, Stdio};

use super::announce;

/// Installs packages unless what they bring is there already.
///
/// # Errors
///
/// What this machine lacks and cannot get, for the reason of a step that is skipped.
pub(super) fn install(is_there: impl Fn() -> bool, packages: &[&str]) -> Result<(), String> {
    if is_there() {
        return Ok(());
    }
    // A new machine may not know yet which packages there are.
    if apt(&[&INSTALL, packages].concat())
        || (apt(&["update"]) && apt(&[&INSTALL, packages].concat()))
    {
        return Ok(());
    }
    Err(format!("{} is not installed, nor can it be", packages.join(", ")))
}

const INSTALL: [&str; 3] = ["install", "--yes", "--no-install-recommends"];

fn apt(arguments: &[&str]) -> bool {
    let mut apt = Command::new("apt-get");
    apt.arg("--quiet").args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    announce(apt.stdin(Stdio::null()).stdout(Stdio::null()));
    apt.status().is_ok_and(|status| status.success())
}

/// Whether a program of this name can be started.
pub(super) fn has_program(name: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(name).is_file())
}
