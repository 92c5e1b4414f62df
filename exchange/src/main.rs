//! The `gridcross` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    exchange::cli::main()
}
