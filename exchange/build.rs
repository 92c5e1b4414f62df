//! Tells the program which commit it is built from.

use std::{env, path::Path, process::Command};

fn main() {
    println!("cargo::rerun-if-env-changed=GRIDCROSS_COMMIT");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=GRIDCROSS_COMMIT={}", commit());
}

fn commit() -> String {
    if let Ok(given) = env::var("GRIDCROSS_COMMIT") {
        return given;
    }
    // Others are built after every change, and not again after every commit.
    if env::var("PROFILE").as_deref() != Ok("release") {
        return "development".to_owned();
    }
    // A commit, a merge and a checkout each add a line to this.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"])
        && Path::new(&log).exists()
    {
        println!("cargo::rerun-if-changed={log}");
    }
    git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned())
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
