//! The command line: what each command takes, and which module carries it out.

pub mod accounts;
pub mod backup;
pub mod bench;
pub mod book;
pub mod books;
pub mod ca;
pub mod completions;
mod connect;
pub mod contract;
mod contract_file;
mod data_port;
pub mod declare;
pub mod doctor;
pub mod dry_run;
mod dry_run_book;
pub mod enforce;
pub mod grid;
pub mod ledger;
pub mod market;
pub mod meter;
pub mod order;
mod order_members;
mod order_report;
mod order_status;
pub mod rail;
pub mod reconcile;
pub mod replay;
pub mod settle;
pub mod statement;
pub mod status;
pub mod verify;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use self::books::StoreOptions;
use crate::{
    config, demo,
    exit::Failure,
    init,
    logging::{self, LogFormat},
    output::{self, Format},
    serve,
};

const EXAMPLES: &str = "\
Examples:
  gridcross demo                                  a whole day, from orders to settled money
  gridcross demo --meters 200 --slots 8 --keep --data-dir day
  gridcross replay verify day                     prove that the journal replays
  gridcross init exchange && gridcross doctor --data-dir exchange && gridcross serve --data-dir exchange
  gridcross status --data-dir exchange --watch    ready or why not, how far everything is
  gridcross backup --data-dir exchange --to copy  while it runs
  gridcross bench book --workload 2               the engine on a canonical flow of orders
  gridcross book watch --data-dir exchange --market 1
  gridcross order new --data-dir exchange --meter 1 --market 1 --slot 2026-11-24T10:00+05:30 \
    --side buy --price 4.50 --quantity 2.5kWh
  gridcross contract show 1 --data-dir exchange --file contract-1.json
  gridcross ledger prove trade/1 day --file one.tlog-proof     for `gridcross ledger verify`
  gridcross meter inspect may.csv feed.xml        what meter files say, and whether they can be read
  gridcross declare query --data-dir day --meter 17 --output csv
  gridcross settle explain 1 --data-dir day       every leg of a contract, with the rule behind it
  gridcross enforce status --data-dir day         who has not paid, and what comes next
  gridcross statement retailer/1 --month 2026-06 --data-dir day --file june.jsonl

Exit codes: 0 ok, 1 runtime, 2 usage, 3 configuration, 4 verification mismatch,
5 objective missed, 6 unreachable or unauthenticated.";

const VERSION_AND_COMMIT: &str =
    concat!(env!("CARGO_PKG_VERSION"), " (", env!("GRIDCROSS_COMMIT"), ")");

/// A trade exchange for peer-to-peer energy between prosumers of different retailers.
#[derive(Debug, Parser)]
#[command(name = "gridcross", version = VERSION_AND_COMMIT, before_help = EXAMPLES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How events are written to stderr; RUST_LOG says which, such as debug or warn,gateway=info
    #[arg(long, global = true, value_enum, default_value = "text", help_heading = "Logs")]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play one summer day: load and sunshine become orders, trades, verified deliveries and money
    Demo(demo::Options),
    /// Write a commented configuration and a development authority into an empty directory
    Init {
        /// The directory; made if it is not there
        dir: PathBuf,
    },
    /// Run exchange and settlement until SIGTERM
    Serve(ServeOptions),
    /// Whether this machine and a directory are fit to run an exchange, and how to mend what is not
    Doctor(doctor::Options),
    /// How a running exchange is: ready or why not, how far everything is, rates, disk
    Status(status::Options),
    /// Copy everything that an exchange has, while it runs, so that another start goes on from it
    Backup(backup::Options),
    /// Run the certificate authority: who may connect and sign
    #[command(subcommand)]
    Ca(ca::Command),
    /// Work with journals
    #[command(subcommand)]
    Replay(replay::Command),
    /// Run written cases through the real code, one JSON line per case
    #[command(subcommand)]
    DryRun(dry_run::Command),
    /// Measure the engine, or a whole exchange, on this machine
    #[command(subcommand)]
    Bench(bench::Command),
    /// Read meter files, sign them and send them
    #[command(subcommand)]
    Meter(meter::Command),
    /// What is contracted on the wires, limits and curtailments
    #[command(subcommand)]
    Grid(grid::Command),
    /// Verification of what was delivered
    #[command(subcommand)]
    Verify(verify::Command),
    /// Place, change and cancel orders, and ask where they stand
    #[command(subcommand)]
    Order(order::Command),
    /// Agree on contracts with other meters, and show and verify the evidence of any contract
    #[command(subcommand)]
    Contract(contract::Command),
    /// Look at books
    #[command(subcommand)]
    Book(book::Command),
    /// Halt, resume and kill, move a slot on, define markets and undo trades, as an operator
    #[command(subcommand)]
    Market(market::Command),
    /// Preview, hold, extend and cancel auctions, as an operator
    #[command(subcommand)]
    Auction(market::AuctionCommand),
    /// Balances of the books, party by party
    Accounts(accounts::Options),
    /// Settlement: where it stands, a cycle now, and how a contract's money came about
    #[command(subcommand)]
    Settle(settle::Command),
    /// Who has not paid, what was done about it, and what comes next
    #[command(subcommand)]
    Enforce(enforce::Command),
    /// What a retailer bills and is owed for a month: signed, and checked away from the exchange
    Statement(statement::Options),
    /// Payment rails: instructions, what the books say of a day, and a rail to try out
    #[command(subcommand)]
    Rail(rail::Command),
    /// Compare the books, the instructions and the rail's statement of a day
    Reconcile(reconcile::Options),
    /// Prove, verify, witness and audit the ledger
    #[command(subcommand)]
    Ledger(ledger::Command),
    /// Which energy of a meter was traded between peers, and must not be billed again
    #[command(subcommand)]
    Declare(declare::Command),
    /// Print what completes this program's commands in a shell
    Completions(completions::Options),
    /// Write manual pages: one for this program, one for each command
    Man(completions::ManOptions),
}

#[derive(Debug, Args)]
struct ServeOptions {
    /// The directory that `init` or `demo --keep` made
    #[arg(long)]
    data_dir: PathBuf,
    /// Another configuration than DATA_DIR/gridcross.toml
    #[arg(long)]
    config: Option<PathBuf>,
    /// Where its books are
    #[command(flatten)]
    store: StoreOptions,
}

/// Where data is printed and how.
#[derive(Debug, Clone, Copy, Args)]
pub struct OutputOptions {
    /// Format of what is printed
    #[arg(long, value_enum, default_value = "human")]
    pub output: Format,
}

/// The command line as clap has it.
fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Parses the command line and carries it out.
#[must_use]
pub fn main() -> ExitCode {
    // Errors of the command line end the process with code 2 here.
    let cli = Cli::parse();
    logging::start(cli.log_format);
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Demo(options) => demo::run(&options),
        Command::Init { dir } => {
            let layout = init::run(&dir).map_err(Failure::config)?;
            let dir = layout.root().display();
            output::print(&format!(
                "{dir} is ready: gridcross.toml, registry.toml, keys/\n\
                 start it with: gridcross serve --data-dir {dir}\n"
            ))
        }
        Command::Serve(options) => {
            let default_file = options.data_dir.join(config::FILE_NAME);
            let file = options.config.as_deref().unwrap_or(&default_file);
            serve::run(&options.data_dir, &options.store.load(file)?)
        }
        Command::Doctor(options) => doctor::run(&options),
        Command::Status(options) => status::run(&options),
        Command::Backup(options) => backup::run(&options),
        Command::Ca(command) => ca::run(&command),
        Command::Replay(command) => replay::run(&command),
        Command::Accounts(options) => accounts::run(&options),
        Command::Settle(command) => settle::run(&command),
        Command::Enforce(command) => enforce::run(&command),
        Command::Statement(options) => statement::run(&options),
        Command::Rail(command) => rail::run(&command),
        Command::Reconcile(options) => reconcile::run(&options),
        Command::Declare(command) => declare::run(&command),
        Command::Order(command) => order::run(&command),
        Command::Contract(command) => contract::run(&command),
        Command::Book(command) => book::run(&command),
        Command::Market(command) => market::run(&command),
        Command::Auction(command) => market::run_auction(&command),
        Command::Meter(command) => meter::run(&command),
        Command::Grid(command) => grid::run(&command),
        Command::Verify(command) => verify::run(&command),
        Command::Ledger(command) => ledger::run(&command),
        Command::DryRun(command) => dry_run::run(&command),
        Command::Completions(options) => completions::run(&options),
        Command::Man(options) => completions::run_man(&options),
        Command::Bench(command) => bench::run(&command),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
