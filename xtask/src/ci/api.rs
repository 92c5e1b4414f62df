//! The HTTP API of the release build, called at random by a program that reads its description.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::python::succeed;
use super::{Outcome, Steps, announce, outcome_of};
use crate::repository::Repository;

/// What `serve` says when the API is there.
const SAID: &str = "HTTP API on https://";
/// Calls of each endpoint in each phase.
const EXAMPLES: &str = "100";

/// Starts an exchange and lets Schemathesis call it. Without Python or its packages the step is skipped
/// and says so.
pub(super) fn run(repository: &Repository, steps: &mut Steps) {
    steps.run("api, schemathesis", || match environment(repository) {
        Ok(program) => call(repository, &program),
        Err(reason) => Outcome::Skipped(reason),
    });
}

/// An environment of its own: its packages are many, and nobody else needs them.
fn environment(repository: &Repository) -> Result<PathBuf, String> {
    let folder = repository.root().join("target/schemathesis");
    let python = folder.join("bin/python");
    if !python.exists() {
        succeed(Command::new("python3").args(["-m", "venv"]).arg(&folder))
            .map_err(|reason| format!("no environment for Python: {reason}"))?;
    }
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    succeed(Command::new(&python).args(install).arg("schemathesis>=4,<5"))
        .map_err(|reason| format!("schemathesis cannot be installed: {reason}"))?;
    Ok(folder.join("bin/schemathesis"))
}

/// A running exchange; it is ended with the value.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing to do.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn call(repository: &Repository, program: &Path) -> Outcome {
    let folder = repository.root().join("target/api-day");
    let (serving, address) = match serve(repository, &folder) {
        Ok(serving) => serving,
        Err(reason) => return Outcome::Failed(reason),
    };
    let keys = folder.join("keys");
    let (_, port) = address.rsplit_once(':').unwrap_or_default();
    for party in ["platform-1", "retailer-1", "utility-1", "operator-1"] {
        let mut command = Command::new(program);
        command.args(["run", "--max-examples", EXAMPLES, "--checks", "all"]);
        // Any certificate of the authority may call, whatever other credentials are left out.
        command.args(["--exclude-checks", "ignored_auth"]);
        // Bodies that the description allows are refused for what it cannot say: signatures, names.
        command.args(["--exclude-checks", "positive_data_acceptance"]);
        command.args([
            "--suppress-health-check",
            "all",
            "--no-color",
            "--generation-deterministic",
        ]);
        command.arg("--tls-verify").arg(keys.join("ca.crt"));
        command.arg("--request-cert").arg(keys.join(format!("{party}.crt")));
        command.arg("--request-cert-key").arg(keys.join(format!("{party}.key")));
        command.args(["--exclude-path", "/v1/events"]);
        command.arg(format!("https://localhost:{port}/openapi.json"));
        match outcome_of(&mut command) {
            Outcome::Passed => {}
            other @ (Outcome::Failed(_) | Outcome::Skipped(_)) => return other,
        }
    }
    drop(serving);
    Outcome::Passed
}

/// A new data directory and an exchange on free ports, once it says where its API is.
fn serve(repository: &Repository, folder: &Path) -> Result<(Serving, String), String> {
    let text = |error: std::io::Error| error.to_string();
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(text)?;
    }
    succeed(repository.cargo().args(["build", "--release", "--quiet", "--bin", "gridcross"]))?;
    let gridcross = repository.root().join("target/release/gridcross");
    succeed(Command::new(&gridcross).arg("init").arg(folder))?;
    let config = folder.join("gridcross.toml");
    let lines = fs::read_to_string(&config).map_err(text)?;
    let lines = lines.replace("127.0.0.1:7400", "127.0.0.1:0");
    let api = "\n[api]\nlisten = \"127.0.0.1:0\"\nrequests_per_s = 0\n";
    fs::write(&config, lines + api).map_err(text)?;
    let mut command = Command::new(&gridcross);
    command.args(["serve", "--data-dir"]).arg(folder).env("RUST_LOG", "info");
    announce(&command);
    let mut child = command.stderr(Stdio::piped()).spawn().map_err(text)?;
    let stderr = child.stderr.take().ok_or("no stderr")?;
    let serving = Serving(child);
    let mut lines = BufReader::new(stderr).lines();
    let found = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| line.split_once(SAID).map(|(_, address)| address.trim().to_owned()));
    // Read on, so that the exchange never waits for somebody to read what it logs.
    std::thread::spawn(move || lines.for_each(drop));
    found.map(|address| (serving, address)).ok_or_else(|| "it did not start".to_owned())
}
