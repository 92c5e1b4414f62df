//! Proofs of the ledger, checked by programs that have nothing of ours: Go's `x/mod/sumdb`, and Python.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::debian::{has_program, install};
use super::python::environment;
use super::{Outcome, Steps, announce};
use crate::repository::Repository;

/// Where Debian's package `golang-golang-x-mod-dev` puts its sources.
const GO_PATH: &str = "/usr/share/gocode";
/// What it must have there.
const GO_SUMDB: &str = "src/golang.org/x/mod/sumdb/tlog";
/// The exit code of a proof that does not hold.
const EXIT_NOT_PROVEN: i32 = 4;

/// Proofs of trades of the demo: each program must take them, and none with a bit flipped.
pub(super) fn run(repository: &Repository, steps: &mut Steps<'_>) {
    let folder = repository.root().join("target/ledger-proofs");
    let mut made = Err("no proofs were made".to_owned());
    steps.run("ledger proofs", || {
        made = prove(repository, &folder);
        match &made {
            Ok(_) => Outcome::Passed,
            Err(reason) => Outcome::Failed(reason.clone()),
        }
    });
    steps.run("ledger proofs, go", || check(&made, || go(repository, &folder)));
    steps.run("ledger proofs, python", || check(&made, || python(repository)));
}

/// Files with proofs, and the key of the log.
struct Proofs {
    files: Vec<PathBuf>,
    key: String,
}

/// A program and its first arguments; or what this machine lacks.
type Program = Result<Vec<String>, String>;

fn check(proofs: &Result<Proofs, String>, program: impl FnOnce() -> Program) -> Outcome {
    let Ok(proofs) = proofs else { return Outcome::Skipped("needs the proofs".to_owned()) };
    match program() {
        Err(reason) => Outcome::Skipped(reason),
        Ok(program) => Outcome::from(take_and_refuse(&program, proofs)),
    }
}

/// Plays a small day and proves some of its entries.
fn prove(repository: &Repository, folder: &Path) -> Result<Proofs, String> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|error| error.to_string())?;
    }
    fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    let day = folder.join("day");
    let gridcross = |arguments: &[&str]| {
        let mut command = repository.cargo();
        command.args(["run", "--release", "--quiet", "--"]).args(arguments);
        output(&mut command)
    };
    let place = day.to_string_lossy();
    gridcross(&["demo", "--meters", "60", "--slots", "4", "--keep", "--data-dir", &place])?;
    let shown = gridcross(&["ledger", "checkpoint", &place, "--output", "json"])?;
    let rows: serde_json::Value =
        serde_json::from_str(&shown).map_err(|error| error.to_string())?;
    let row = rows.get(0).ok_or("no checkpoint is shown")?;
    let key = row.get("key").and_then(serde_json::Value::as_str).ok_or("no key is shown")?;
    let mut files = Vec::new();
    for (entry, name) in [("trade/1", "trade"), ("newest/1", "newest"), ("0", "first")] {
        let file = folder.join(format!("{name}.tlog-proof"));
        gridcross(&["ledger", "prove", entry, &place, "--file", &file.to_string_lossy()])?;
        files.push(file);
    }
    Ok(Proofs { files, key: key.to_owned() })
}

fn go(repository: &Repository, folder: &Path) -> Program {
    let is_there = || Path::new(GO_PATH).join(GO_SUMDB).exists() && has_program("go");
    install(is_there, &["golang-go", "golang-golang-x-mod-dev"])?;
    let program = folder.join("go-ledger");
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&program).arg(repository.root().join("clients/go/ledger.go"));
    build.env("GO111MODULE", "off").env("GOPATH", GO_PATH);
    build.env("GOCACHE", repository.root().join("target/go"));
    output(&mut build).map_err(|reason| format!("Go cannot build it: {reason}"))?;
    Ok(vec![program.to_string_lossy().into_owned()])
}

fn python(repository: &Repository) -> Program {
    let python = environment(repository)?.to_string_lossy().into_owned();
    Ok(vec![python, "-m".to_owned(), "gridcross.ledger".to_owned()])
}

/// Every file is taken, and none with one bit flipped: of each line, in its first, middle and last
/// byte.
fn take_and_refuse(program: &[String], proofs: &Proofs) -> Result<(), String> {
    let mut flipped = 0_usize;
    for file in &proofs.files {
        let name = file.display();
        if code(program, file, &proofs.key)? != Some(0) {
            return Err(format!("{name} is refused"));
        }
        let honest = fs::read(file).map_err(|error| error.to_string())?;
        let other = file.with_extension("flipped");
        for place in places(&honest) {
            let mut bytes = honest.clone();
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= 1;
            }
            fs::write(&other, bytes).map_err(|error| error.to_string())?;
            if code(program, &other, &proofs.key)? != Some(EXIT_NOT_PROVEN) {
                return Err(format!("{name} with a bit flipped at byte {place} is not refused"));
            }
            flipped = flipped.saturating_add(1);
        }
    }
    println!("{} proofs taken, {flipped} with a bit flipped refused", proofs.files.len());
    Ok(())
}

fn places(bytes: &[u8]) -> Vec<usize> {
    let mut places = Vec::new();
    let mut start = 0_usize;
    for line in bytes.split(|&byte| byte == b'\n') {
        let end = start.saturating_add(line.len());
        if !line.is_empty() {
            places.extend([start, start.midpoint(end), end.saturating_sub(1)]);
        }
        start = end.saturating_add(1);
    }
    places
}

fn code(program: &[String], file: &Path, key: &str) -> Result<Option<i32>, String> {
    let (first, rest) = program.split_first().ok_or("no program")?;
    let mut command = Command::new(first);
    command.args(rest).arg(file).arg(key).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    Ok(status.code())
}

fn output(command: &mut Command) -> Result<String, String> {
    announce(command);
    let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(stderr.lines().last().map_or_else(|| output.status.to_string(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_flipped_in_three_places() {
        assert_eq!(places(b"abc\n\nd\n"), [0, 1, 2, 5, 5, 5]);
    }
}
