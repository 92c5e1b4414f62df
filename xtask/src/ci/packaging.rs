//! What is installed with the program: the service of systemd, and the container. Neither is started here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Outcome, Steps, announce, outcome_of};
use crate::repository::Repository;

const UNIT: &str = "packaging/gridcross.service";
const CONTAINER: &str = "Dockerfile";
const IGNORED: &str = ".dockerignore";
/// Where both have the program.
const INSTALLED: &str = "/usr/bin/gridcross";
/// Most exposure that systemd may find, in tenths.
const EXPOSURE_MAX: &str = "20";

/// Checks both.
pub(super) fn run(repository: &Repository, steps: &mut Steps<'_>) {
    steps.run("systemd unit", || match unit(repository) {
        Ok(outcome) => outcome,
        Err(reason) => Outcome::Failed(reason),
    });
    steps.run("container file", || Outcome::from(container(repository)));
}

/// With the program that is built here in place of the installed one, because systemd looks for it.
fn unit(repository: &Repository) -> Result<Outcome, String> {
    let text = repository.text(UNIT)?;
    let start = text.lines().find_map(|line| line.strip_prefix("ExecStart="));
    let start = start.ok_or("the unit starts nothing")?;
    understood(repository, &start.split_whitespace().skip(1).collect::<Vec<_>>())?;
    let folder = repository.target()?.join("packaging");
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let copy = folder.join("gridcross.service");
    let built = program(repository)?;
    let text = text.replace(INSTALLED, &built.to_string_lossy());
    fs::write(&copy, text).map_err(|error| error.to_string())?;
    let analyze = |arguments: &[&str]| {
        let mut command = Command::new("systemd-analyze");
        command.args(arguments).arg(&copy);
        command
    };
    let there = Command::new("systemd-analyze").arg("--version").stdout(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        return Ok(Outcome::Skipped("systemd-analyze is not installed (systemd)".to_owned()));
    }
    let verified = outcome_of(&mut analyze(&["verify"]));
    if !matches!(verified, Outcome::Passed) {
        return Ok(verified);
    }
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    let mut judged = analyze(&["security", "--offline=true", "--no-pager", &threshold]);
    announce(&judged);
    let output = judged.output().map_err(|error| format!("cannot run {judged:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{}", said.lines().last().unwrap_or_default());
    if output.status.success() {
        Ok(Outcome::Passed)
    } else {
        Ok(Outcome::Failed("systemd finds it too exposed".to_owned()))
    }
}

fn program(repository: &Repository) -> Result<PathBuf, String> {
    let mut build = repository.cargo();
    build.args(["build", "--release", "--quiet", "--bin", "gridcross"]);
    if build.status().is_ok_and(|status| status.success()) {
        return Ok(repository.target()?.join("release/gridcross"));
    }
    Err("the program does not build".to_owned())
}

/// The program knows this command line.
fn understood(repository: &Repository, arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new(program(repository)?);
    // What stands before `--help` is parsed first.
    command.args(arguments).arg("--help").stdout(Stdio::null());
    announce(&command);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(format!("`gridcross {}` is not understood", arguments.join(" "))),
        Err(error) => Err(format!("cannot run {command:?}: {error}")),
    }
}

/// The container file is read, and its commands are tried with the program; it is not built.
fn container(repository: &Repository) -> Result<(), String> {
    let text = repository.text(CONTAINER)?;
    let toolchain = repository.text("rust-toolchain.toml")?;
    let metadata = repository.metadata()?;
    let members: Vec<&str> = metadata
        .get("packages")
        .and_then(serde_json::Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|package| package.get("manifest_path")?.as_str())
        .filter_map(|manifest| Path::new(manifest).parent()?.file_name()?.to_str())
        .collect();
    let problems = problems(&text, &repository.text(IGNORED)?, &toolchain, &members);
    if !problems.is_empty() {
        return Err(problems.join("; "));
    }
    let instructions = instructions(&text);
    let words = |name: &str| {
        let line = instructions.iter().rev().find(|(found, _)| *found == name);
        line.map_or_else(Vec::new, |(_, rest)| words(rest))
    };
    let health = words("HEALTHCHECK");
    let started = [words("ENTRYPOINT"), words("CMD")].concat();
    for line in [health, started] {
        let arguments: Vec<&str> = line.iter().skip(1).map(String::as_str).collect();
        understood(repository, &arguments)?;
    }
    println!("{CONTAINER} was read and its commands are understood; it was not built");
    Ok(())
}

/// Instructions with what follows them, continued lines joined.
fn instructions(text: &str) -> Vec<(&str, String)> {
    let mut found: Vec<(&str, String)> = Vec::new();
    let mut goes_on = false;
    for line in
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let part = line.trim_end_matches('\\').trim();
        match found.last_mut() {
            Some((_, rest)) if goes_on => rest.push_str(&format!(" {part}")),
            Some(_) | None => {
                let (name, rest) = part.split_once(' ').unwrap_or((part, ""));
                found.push((name, rest.to_owned()));
            }
        }
        goes_on = line.ends_with('\\');
    }
    found
}

/// The words of a command that is written as a list of strings; what stands before it is left out.
fn words(text: &str) -> Vec<String> {
    text.split_once('[')
        .and_then(|(_, list)| serde_json::from_str(&format!("[{list}")).ok())
        .unwrap_or_default()
}

/// What is wrong with a container file.
fn problems(text: &str, ignored: &str, toolchain: &str, members: &[&str]) -> Vec<String> {
    let mut problems = Vec::new();
    let instructions = instructions(text);
    let of = |name: &'static str| {
        instructions.iter().filter(move |(found, _)| *found == name).map(|(_, rest)| rest.as_str())
    };
    for image in of("FROM") {
        let name = image.split_whitespace().next().unwrap_or_default();
        if name.split_once(':').is_none_or(|(_, tag)| tag == "latest") {
            problems.push(format!("`{name}` names no version"));
        }
    }
    let channel = toolchain.lines().find_map(|line| line.strip_prefix("channel = "));
    let channel = channel.map_or("", |channel| channel.trim_matches('"'));
    if !of("FROM").any(|image| image.starts_with(&format!("rust:{channel}-"))) {
        problems.push(format!("it is not built with Rust {channel}"));
    }
    if of("USER").next_back().is_none_or(|user| ["root", "0"].contains(&user)) {
        problems.push("it runs as root".to_owned());
    }
    if of("HEALTHCHECK").next().is_none() {
        problems.push("nobody asks it how it is".to_owned());
    }
    for line in of("ARG").chain(of("ENV")) {
        let name = line.to_uppercase();
        if ["SECRET", "PASSWORD", "TOKEN", "_KEY"].iter().any(|word| name.contains(word)) {
            problems.push(format!("`{line}` would leave a secret in the image"));
        }
    }
    for member in members {
        if !ignored.lines().any(|line| line.strip_prefix('!') == Some(member)) {
            problems.push(format!("{IGNORED} leaves out `{member}`, which is built"));
        }
    }
    for pattern in ["**/keys", "**/*.key", "**/target"] {
        if !ignored.lines().any(|line| line == pattern) {
            problems.push(format!("{IGNORED} does not name `{pattern}`"));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = "# one\nFROM rust:1.95.0-slim AS build\nRUN a \\\n    && b\nFROM debian:trixie-slim\n\
                         USER gridcross\nHEALTHCHECK --retries=3 \\\n    CMD [\"gridcross\", \"status\"]\n";
    const LEFT_OUT: &str = "*\n!types\n**/keys\n**/*.key\n**/target\n";
    const TOOLCHAIN: &str = "[toolchain]\nchannel = \"1.95.0\"\n";

    #[test]
    fn what_is_wrong_with_a_container_is_named() {
        assert_eq!(problems(SOUND, LEFT_OUT, TOOLCHAIN, &["types"]), Vec::<String>::new());
        for (from, to, problem) in [
            ("USER gridcross", "USER root", "it runs as root"),
            ("debian:trixie-slim", "debian", "`debian` names no version"),
            ("rust:1.95.0", "rust:1.94.0", "it is not built with Rust 1.95.0"),
            ("HEALTHCHECK", "LABEL", "nobody asks it how it is"),
            ("USER", "ARG DEPLOY_TOKEN\nUSER", "`DEPLOY_TOKEN` would leave a secret in the image"),
        ] {
            let text = SOUND.replace(from, to);
            assert_eq!(problems(&text, LEFT_OUT, TOOLCHAIN, &["types"]), [problem]);
        }
        let missing = problems(SOUND, LEFT_OUT, TOOLCHAIN, &["types", "wire"]);
        assert_eq!(missing, [".dockerignore leaves out `wire`, which is built"]);
    }

    #[test]
    fn commands_are_read_over_continued_lines() {
        let found = instructions(SOUND);
        assert_eq!(found.get(1), Some(&("RUN", "a && b".to_owned())));
        let health = found.last().map(|(_, rest)| words(rest)).unwrap_or_default();
        assert_eq!(health, ["gridcross", "status"]);
    }
}
