//! The `gridcross` program as its users run it.
#![expect(clippy::expect_used, reason = "a program that cannot be run fails the test")]

use std::{
    env,
    ffi::{OsStr, OsString},
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{
        OnceLock,
        mpsc::{self, Receiver},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::venue::PATIENCE;

/// Where this build's files go.
///
/// # Panics
/// When the tests are not run from where cargo builds them.
#[must_use]
pub fn target_dir() -> PathBuf {
    profile_dir().parent().expect("the target directory").to_owned()
}

fn profile_dir() -> PathBuf {
    let test = env::current_exe().expect("a test is an executable");
    let deps = test.parent().expect("the directory of test executables");
    deps.parent().expect("the directory of the profile").to_owned()
}

/// The program, built on first use with the profile of the tests, and together with the workspace: so it
/// shares every library that the tests of a whole check are built from.
fn binary() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let directory = profile_dir();
        let profile = match directory.file_name().and_then(OsStr::to_str) {
            Some("debug") | None => "dev",
            Some(name) => name,
        };
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        // What cargo tells a test about its package would make build scripts run again.
        let of_package = |name: &OsString| {
            let name = name.to_string_lossy();
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        };
        for (name, _) in env::vars_os().filter(|(name, _)| of_package(name)) {
            cargo.env_remove(name);
        }
        let status = cargo
            .args(["build", "--quiet", "--workspace", "--bin", "gridcross", "--test", "it"])
            .args(["--profile", profile, "--target-dir"])
            .arg(target_dir())
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .expect("cargo runs");
        assert!(status.success(), "the program does not build: {status}");
        directory.join("gridcross")
    })
}

/// The program with these arguments, not yet started. Nothing of the environment colours its words.
#[must_use]
pub fn gridcross<I: IntoIterator<Item: AsRef<OsStr>>>(arguments: I) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).env_remove("RUST_LOG").env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Run {
    /// Its exit code, or `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it told people.
    pub stderr: String,
}

/// Runs the program to its end.
///
/// # Panics
/// When it cannot be run.
pub fn run<I: IntoIterator<Item: AsRef<OsStr>>>(arguments: I) -> Run {
    finish(&mut gridcross(arguments))
}

/// Runs a prepared command to its end.
///
/// # Panics
/// When it cannot be run.
pub fn finish(command: &mut Command) -> Run {
    let Output { status, stdout, stderr } = command.output().expect("the program runs");
    Run {
        code: status.code(),
        stdout: String::from_utf8(stdout).expect("text"),
        stderr: String::from_utf8(stderr).expect("text"),
    }
}

/// The program while it runs. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    /// Starts the program.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start<I: IntoIterator<Item: AsRef<OsStr>>>(arguments: I) -> Self {
        let mut child = gridcross(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stderr = child.stderr.take().expect("a pipe");
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // Nobody may be interested any more.
                sender.send(line).ok();
            }
        });
        Self { child, lines }
    }

    /// Waits for a line on stderr with these words. Returns what follows them.
    ///
    /// # Panics
    /// When the program ends without it.
    pub fn says(&self, words: &str) -> String {
        let mut told = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => match line.split_once(words) {
                    Some((_, rest)) => return rest.to_owned(),
                    None => told.push(line),
                },
                Err(_) => panic!("no `{words}` in {told:#?}"),
            }
        }
    }

    /// Waits until `is_so`, looking now and then.
    ///
    /// # Panics
    /// When it never is.
    pub fn until(&mut self, mut is_so: impl FnMut() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < PATIENCE, "it never is so");
            let ended = self.child.try_wait().expect("a child");
            assert_eq!(ended, None, "the program ended before");
            thread::park_timeout(Duration::from_millis(1));
        }
    }

    /// Asks it to stop. What it still says can be waited for.
    ///
    /// # Panics
    /// When it has ended.
    pub fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it runs");
    }

    /// Waits for its end, which must come by itself. Returns the exit code.
    ///
    /// # Panics
    /// When it does not end.
    pub fn code(mut self) -> Option<i32> {
        // Its end of the pipe closes with it.
        while self.lines.recv_timeout(PATIENCE).is_ok() {}
        self.child.wait().expect("a child").code()
    }

    /// Kills it at once, as the system would.
    ///
    /// # Panics
    /// When it ended before.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        let status: ExitStatus = self.child.wait().expect("a child");
        assert_eq!(status.signal(), Some(9), "it ended before it was killed");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
