//! `gridcross completions` and `gridcross man`: what shells and `man` know of the command line.

use std::{io, path::PathBuf};

use clap::Args;
use clap_complete::Shell;

use crate::{exit::Failure, init, output};

const EXAMPLES: &str = "\
Examples:
  gridcross completions bash > ~/.local/share/bash-completion/completions/gridcross
  gridcross completions zsh > ~/.zfunc/_gridcross
  gridcross completions fish > ~/.config/fish/completions/gridcross.fish";

/// For which shell.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The shell
    shell: Shell,
}

/// Where to.
#[derive(Debug, Args)]
pub struct ManOptions {
    /// A new or empty directory, such as for MANPATH below `man1`
    dir: PathBuf,
}

/// Prints a shell's script.
///
/// # Errors
/// When stdout fails otherwise than by being closed.
pub fn run(options: &Options) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut super::command(), "gridcross", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}

/// Writes a page for the program and for each command.
///
/// # Errors
/// When a page cannot be written.
pub fn run_man(options: &ManOptions) -> Result<(), Failure> {
    init::claim_directory(&options.dir).map_err(Failure::runtime)?;
    let failed = |error: io::Error| {
        Failure::refused(format!("cannot write in `{}`: {error}", options.dir.display()))
    };
    clap_mangen::generate_to(super::command(), &options.dir).map_err(failed)
}
