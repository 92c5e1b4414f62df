//! The pages that tell people what to type: every command on them is run, in the order in which it stands there.
//!
//! A block that begins with ```` ```sh run ```` is run. One that cannot be run here, because it is about another
//! machine's services, begins with ```` ```sh elsewhere ````; how many there are is said. A line that ends with
//! `# exits 4` must. Blocks of a page are one script,
//! in a network of its own, so that the ports on the page are free, and with a home of its own.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::python::environment;
use super::{Outcome, Steps, announce, outcome_of};
use crate::repository::Repository;

/// Pages of commands, with the names of their steps.
const PAGES: [(&str, &str); 5] = [
    ("page operations", "docs/operations.md"),
    ("page platform", "docs/start/platform.md"),
    ("page operator", "docs/start/operator.md"),
    ("page retailer", "docs/start/retailer.md"),
    ("page benchmarker", "docs/start/benchmarker.md"),
];
/// Longest time for a page, in seconds: what hangs fails.
const PAGE_S_MAX: &str = "600";
/// Stands in the first line of a script, where the page has its title. What is still running at the end is stopped.
const PREAMBLE: &str = "set -euo pipefail; ip link set lo up; \
     trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT; \
     exits() { local want=$1 got=0; shift; \"$@\" || got=$?; test $got = $want; }; set -v";
/// Behind a command that must fail: with which code.
const EXITS: &str = "  # exits ";

/// Runs every page.
pub(super) fn run(repository: &Repository, steps: &mut Steps<'_>) {
    for (name, page) in PAGES {
        steps.run(name, || match prepare(repository, page) {
            Ok(Prepared::Command(mut command)) => outcome_of(&mut command),
            Ok(Prepared::Lacking(what)) => Outcome::Skipped(what),
            Err(reason) => Outcome::Failed(reason),
        });
    }
}

enum Prepared {
    Command(Box<Command>),
    /// What this machine lacks.
    Lacking(String),
}

fn prepare(repository: &Repository, page: &str) -> Result<Prepared, String> {
    let script = script(page, &repository.text(page)?)?;
    println!("{page}: {} lines are run, {} blocks are for elsewhere", script.run, script.elsewhere);
    let Some(isolated) = isolation() else {
        let what = "no network of its own can be had (unshare as root or with user namespaces, ip)";
        return Ok(Prepared::Lacking(what.to_owned()));
    };
    let python = match environment(repository) {
        Ok(python) => python,
        Err(reason) => return Ok(Prepared::Lacking(reason)),
    };
    let mut build = repository.cargo();
    build.args(["build", "--release", "--quiet", "--bin", "gridcross", "--example", "trade"]);
    announce(&build);
    if !build.status().is_ok_and(|status| status.success()) {
        return Err("the program does not build".to_owned());
    }
    let target = repository.target()?;
    let name = page.rsplit('/').next().unwrap_or(page);
    let home = target.join("pages").join(name.trim_end_matches(".md"));
    let text = |error: std::io::Error| format!("cannot prepare `{}`: {error}", home.display());
    if home.exists() {
        fs::remove_dir_all(&home).map_err(text)?;
    }
    fs::create_dir_all(&home).map_err(text)?;
    let file = home.join(name);
    fs::write(&file, script.text).map_err(text)?;
    let mut command = Command::new("timeout");
    command.args(["--kill-after=10", PAGE_S_MAX]).args(isolated).arg("bash").arg(file);
    command.current_dir(repository.root()).env("HOME", &home).env("PATH", path(&target, &python));
    command.env("CARGO_NET_OFFLINE", "true").env("CARGO_TARGET_DIR", &target);
    for (name, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        if std::env::var_os(name).is_none()
            && let Some(own) = std::env::var_os("HOME")
        {
            command.env(name, Path::new(&own).join(folder));
        }
    }
    Ok(Prepared::Command(Box::new(command)))
}

/// The program of this build and the Python that has what its client needs come first.
fn path(target: &Path, python: &Path) -> std::ffi::OsString {
    let mut folders = vec![target.join("release")];
    folders.extend(python.parent().map(Path::to_owned));
    if let Some(others) = std::env::var_os("PATH") {
        folders.extend(std::env::split_paths(&others));
    }
    std::env::join_paths(folders).unwrap_or_default()
}

/// What gives a command a network of its own: as root, or as root of a user namespace.
fn isolation() -> Option<&'static [&'static str]> {
    const WAYS: [&[&str]; 2] = [&["unshare", "--net"], &["unshare", "--map-root-user", "--net"]];
    WAYS.into_iter().find(|way| {
        let Some((program, arguments)) = way.split_first() else { return false };
        let mut command = Command::new(program);
        command.args(arguments).args(["ip", "link", "set", "lo", "up"]);
        command.output().is_ok_and(|output| output.status.success())
    })
}

/// The commands of a page, each in the line of the page in which it stands.
#[derive(Debug, PartialEq, Eq)]
struct Script {
    text: String,
    /// Lines that are run.
    run: usize,
    /// Blocks that are not.
    elsewhere: usize,
}

/// Whose lines these are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Prose,
    /// A block that is run.
    Run,
    /// Any other block.
    Other,
}

fn script(page: &str, markdown: &str) -> Result<Script, String> {
    let mut script = Script { text: String::new(), run: 0, elsewhere: 0 };
    let mut place = Place::Prose;
    for (number, line) in (1_usize..).zip(markdown.lines()) {
        let mut command = String::new();
        match (place, line.trim_start().strip_prefix("```")) {
            (Place::Prose, Some("sh run")) => place = Place::Run,
            (Place::Prose, Some("sh elsewhere")) => {
                place = Place::Other;
                script.elsewhere = script.elsewhere.saturating_add(1);
            }
            (Place::Prose, Some(info)) if is_of_shell(info) => {
                return Err(format!(
                    "{page}:{number}: a block of commands says neither `run` nor `elsewhere`"
                ));
            }
            (Place::Prose, Some(_)) => place = Place::Other,
            (Place::Run | Place::Other, Some(_)) => place = Place::Prose,
            (Place::Run, None) => {
                command = match line.split_once(EXITS) {
                    Some((failing, code)) => format!("exits {code} {failing}"),
                    None => line.to_owned(),
                };
                script.run = script.run.saturating_add(1);
            }
            (Place::Prose | Place::Other, None) => {}
        }
        script.text.push_str(if number == 1 { PREAMBLE } else { &command });
        script.text.push('\n');
    }
    if script.run == 0 {
        return Err(format!("{page} has nothing to run"));
    }
    Ok(script)
}

fn is_of_shell(info: &str) -> bool {
    let language = info.split_whitespace().next().unwrap_or_default();
    ["sh", "bash", "shell", "console", ""].contains(&language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_keep_their_lines() {
        let page = "# Title\ntext\n```sh run\nls -l\n  cat x\nfalse  # exits 1\n```\n```toml\na = 1\n```\n```sh elsewhere\nrm\n```\n";
        let script = script("p.md", page).unwrap();
        let lines: Vec<_> = script.text.lines().collect();
        assert_eq!(
            lines,
            [PREAMBLE, "", "", "ls -l", "  cat x", "exits 1 false", "", "", "", "", "", "", ""]
        );
        assert_eq!((script.run, script.elsewhere), (3, 1));
    }

    #[test]
    fn a_block_that_is_not_marked_and_a_page_without_commands_fail() {
        for info in ["sh", "bash", "", "console", "sh later"] {
            let error = script("p.md", &format!("# T\n\n```{info}\nls\n```\n")).unwrap_err();
            assert!(error.starts_with("p.md:3: "), "{error}");
        }
        assert!(script("p.md", "# T\n").is_err());
    }
}
