//! Steps on the release build: the demo, its repetition, replay of its journal, a damaged journal, and formats that
//! only other builds have.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::demo::Figures;
use super::{Outcome, Steps, announce, outcome_of, settle_disk};
use crate::repository::Repository;

/// Exit codes of `replay verify` that mean the journal is damaged.
const EXIT_DAMAGED: [i32; 2] = [1, 4];

/// The exit code of what cannot be asked of this program.
const EXIT_USAGE: i32 = 2;

/// Runs the steps in a folder of their own, which stays for inspection if one of them fails.
pub(super) fn run(repository: &Repository, steps: &mut Steps<'_>) {
    let folder = match Scratch::new(repository) {
        Ok(folder) => folder,
        Err(error) => return steps.run("demo", || Outcome::Failed(error)),
    };
    steps.run("release build", || {
        let mut build = repository.cargo();
        let built = outcome_of(build.args(["build", "--release", "--bin", "gridcross"]));
        settle_disk();
        built
    });
    steps.run("demo, small", || {
        let arguments = ["--meters", "200", "--slots", "8"];
        Outcome::from(demo(repository, &folder.0.join("small"), &arguments).map(drop))
    });

    let first_folder = folder.0.join("first");
    let mut first = None;
    steps.run("demo", || match demo(repository, &first_folder, &[]) {
        Ok(figures) => {
            first = Some(figures);
            Outcome::Passed
        }
        Err(reason) => Outcome::Failed(reason),
    });
    let after_demo = |work: &dyn Fn(&Figures) -> Outcome| match &first {
        Some(figures) => work(figures),
        None => Outcome::Skipped("needs the demo".to_owned()),
    };
    steps.run("demo, same seed", || {
        after_demo(&|first| Outcome::from(repeat(repository, first, &folder.0.join("second"))))
    });
    steps.run("replay", || {
        after_demo(&|_| outcome_of(&mut replay_verify(repository, &first_folder)))
    });
    steps.run("damaged journal", || {
        let copy = folder.0.join("damaged");
        after_demo(&|_| Outcome::from(refuse_damage(repository, &first_folder, &copy)))
    });
    steps.run("formats left out", || Outcome::from(formats_left_out(repository, &folder.0)));
    folder.finish(steps);
    for (name, workload) in FLOWS {
        steps.run(name, || outcome_of(&mut flow(repository, workload)));
    }
}

/// The canonical order flows at their default size. Fills other than the published ones end the
/// command with an error.
const FLOWS: [(&str, &str); 3] = [("flow 1", "1"), ("flow 2", "2"), ("flow 3", "3")];

fn flow(repository: &Repository, workload: &str) -> Command {
    let mut command = repository.cargo();
    command.args(["run", "--release", "--quiet", "--", "bench", "book", "--workload", workload]);
    command.args(["--rounds", "1"]);
    command
}

/// Runs the demo and checks its figures.
fn demo(repository: &Repository, data: &Path, arguments: &[&str]) -> Result<Figures, String> {
    let mut command = repository.cargo();
    command.args(["run", "--release", "--", "demo", "--output", "json", "--keep", "--data-dir"]);
    command.arg(data).args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit());
    announce(&command);
    let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    println!("{}", stdout.trim_end());
    if !output.status.success() {
        return Err(output.status.to_string());
    }
    let figures = Figures::parse(&stdout)?;
    figures.check()?;
    Ok(figures)
}

fn repeat(repository: &Repository, first: &Figures, data: &Path) -> Result<(), String> {
    let second = demo(repository, data, &["--seed", &first.seed()])?;
    first.check_same(&second)
}

/// The program as it is built by default says which features it lacks.
fn formats_left_out(repository: &Repository, folder: &Path) -> Result<(), String> {
    let file = folder.join("mbo.dbn");
    fs::write(&file, b"DBN\x03").map_err(|error| error.to_string())?;
    let (file, journal) = (file.to_string_lossy(), "journal/golden/v1");
    let commands: [(&[&str], &str); 2] = [
        (&["run", &file], "this build does not read DBN; build it with `--features dbn`"),
        (
            &["export", journal, "--format", "parquet"],
            "this build does not write Parquet; build it with `--features parquet`",
        ),
    ];
    for (arguments, said) in commands {
        let mut command = repository.cargo();
        command.args(["run", "--release", "--quiet", "--", "replay"]).args(arguments);
        announce(&command);
        let output = command.output().map_err(|error| error.to_string())?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        if output.status.code() != Some(EXIT_USAGE) || !stderr.contains(said) {
            return Err(format!(
                "{}, not exit status {EXIT_USAGE} and `{said}`: {stderr}",
                output.status
            ));
        }
    }
    Ok(())
}

fn replay_verify(repository: &Repository, data: &Path) -> Command {
    let mut command = repository.cargo();
    command.args(["run", "--release", "--quiet", "--", "replay", "verify"]).arg(data);
    command
}

/// Flips one byte in a copy of the journal; replay must refuse it and say where.
fn refuse_damage(repository: &Repository, data: &Path, copy: &Path) -> Result<(), String> {
    copy_folder(data, copy)?;
    let (file, offset) = flip_byte(&copy.join("journal"))?;
    println!("flipped byte {offset} of {}", file.display());
    let mut command = replay_verify(repository, copy);
    announce(&command);
    let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    print!("{}", String::from_utf8_lossy(&output.stdout));
    eprint!("{stderr}");
    if !output.status.code().is_some_and(|code| EXIT_DAMAGED.contains(&code)) {
        return Err(format!("{}, not exit status 1 or 4", output.status));
    }
    match ["segment", "offset"].into_iter().find(|word| !stderr.contains(word)) {
        Some(word) => Err(format!("the error does not name the {word}")),
        None => Ok(()),
    }
}

/// Flips a byte in the middle of the used part of the first file that has one. Segments are preallocated,
/// so the used part ends at the last byte that is not zero.
fn flip_byte(journal: &Path) -> Result<(PathBuf, usize), String> {
    for file in files(journal)? {
        let explain = |error| format!("cannot damage `{}`: {error}", file.display());
        let mut bytes = fs::read(&file).map_err(explain)?;
        let Some(last) = bytes.iter().rposition(|byte| *byte != 0) else { continue };
        let offset = last.div_euclid(2);
        if let Some(byte) = bytes.get_mut(offset) {
            *byte ^= 1;
        }
        fs::write(&file, bytes).map_err(explain)?;
        return Ok((file, offset));
    }
    Err(format!("nothing is written under `{}`", journal.display()))
}

/// Files of a folder and the folders in it, in path order.
fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let explain = |error| format!("cannot list `{}`: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(explain)? {
        let path = entry.map_err(explain)?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), String> {
    for file in files(from)? {
        let explain = |error| format!("cannot copy `{}`: {error}", file.display());
        let relative = file.strip_prefix(from).map_err(|error| error.to_string())?;
        let target = to.join(relative);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(explain)?;
        }
        fs::copy(&file, &target).map_err(explain)?;
    }
    Ok(())
}

/// A folder below the build output, on the same disk as the checkout rather than in memory. What an
/// earlier run left there is gone.
struct Scratch(PathBuf);

impl Scratch {
    fn new(repository: &Repository) -> Result<Self, String> {
        let folder = repository.target()?.join("ci");
        let explain = |error| format!("cannot prepare `{}`: {error}", folder.display());
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(explain)?;
        }
        fs::create_dir_all(&folder).map_err(explain)?;
        Ok(Self(folder))
    }

    fn finish(self, steps: &Steps) {
        if steps.finished.iter().any(|step| matches!(step.outcome, Outcome::Failed(_))) {
            println!("data of the runs stays in {}", self.0.display());
        } else if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("cannot remove `{}`: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_of_the_first_written_file_is_flipped_in_the_copy() {
        let root = std::env::temp_dir().join(format!("xtask-flip-{}", std::process::id()));
        let journal = root.join("data/journal");
        fs::create_dir_all(&journal).unwrap();
        fs::write(journal.join("0-empty"), [0; 16]).unwrap();
        fs::write(journal.join("1-used"), [1, 2, 3, 4, 5, 0, 0, 0]).unwrap();
        fs::write(journal.join("2-more"), [9]).unwrap();

        copy_folder(&root.join("data"), &root.join("copy")).unwrap();
        let (file, offset) = flip_byte(&root.join("copy/journal")).unwrap();

        assert_eq!((file.as_path(), offset), (root.join("copy/journal/1-used").as_path(), 2));
        assert_eq!(fs::read(&file).unwrap(), [1, 2, 2, 4, 5, 0, 0, 0]);
        assert_eq!(fs::read(journal.join("1-used")).unwrap(), [1, 2, 3, 4, 5, 0, 0, 0]);
        assert_eq!(fs::read(root.join("copy/journal/2-more")).unwrap(), [9]);
        fs::remove_dir_all(root).unwrap();
    }
}
