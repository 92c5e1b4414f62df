//! `gridcross statement`: a retailer's month, signed, and checked away from the exchange.

use std::{fs, path::PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use settlement::{
    Month,
    rails::bill,
    statement::{self, ContractLine, RetailerStatement, StatementFault, Sums},
};
use types::{Currency, Energy, Party, RetailerId, Role};

use super::{
    OutputOptions,
    books::{self, StoreOptions},
    connect::energy_text,
    contract_file::KeyOptions,
};
use crate::{
    exit::Failure,
    output::{self, Format},
};

/// Largest file that is read: a million contracts have about 450 MB.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Whose statement, and of when.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    make: MakeOptions,
}

/// What else can be done.
#[derive(Debug, Subcommand)]
enum Command {
    /// Check a statement with nothing but the exchange's public key, and print it
    Verify {
        /// The file that `statement --file` wrote
        file: PathBuf,
        /// Whose signature
        #[command(flatten)]
        key: KeyOptions,
        /// What is printed
        #[command(flatten)]
        print: PrintOptions,
    },
}

#[derive(Debug, Args)]
struct MakeOptions {
    /// The retailer, such as retailer/1 or 1
    #[arg(value_parser = retailer, required = true)]
    retailer: Option<RetailerId>,
    /// The month of delivery, such as 2026-06
    #[arg(long, required = true)]
    month: Option<String>,
    /// How far the month's clock is ahead of UTC, such as +05:30
    #[arg(long, value_parser = offset, default_value = "+00:00", allow_hyphen_values = true)]
    utc_offset: i32,
    /// An earlier revision than the newest
    #[arg(long)]
    revision: Option<u32>,
    /// The directory of the exchange
    #[arg(long, required = true)]
    data_dir: Option<PathBuf>,
    /// Where its books are
    #[command(flatten)]
    store: StoreOptions,
    /// Write the statement to this file, signed with the exchange's key
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    print: PrintOptions,
}

/// What of a statement is printed.
#[derive(Debug, Args)]
struct PrintOptions {
    /// Which lines
    #[arg(long, value_enum, default_value = "total")]
    show: Show,
    /// How they are printed
    #[command(flatten)]
    output: OutputOptions,
}

/// A part of a statement.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Show {
    /// The whole month
    Total,
    /// Every side of every contract
    Contracts,
    /// By meter
    Meters,
    /// By market, area and charge
    Charges,
    /// By retailer on the other side
    Retailers,
}

/// The total with what it is the total of.
#[derive(Debug, Serialize)]
struct TotalRow {
    retailer: u16,
    month: String,
    revision: u32,
    leaves: u64,
    #[serde(flatten)]
    total: statement::Total,
    net: String,
    currency: String,
}

/// A line without lists.
#[derive(Debug, Serialize)]
struct ContractRow {
    contract: u64,
    area: String,
    start: String,
    minutes: u16,
    meter: u32,
    side: String,
    counterparty: u32,
    counterparty_retailer: u16,
    state: String,
    run: u16,
    provisional: bool,
    contracted_wh: u64,
    pending_wh: u64,
    settled_wh: u64,
    charges_minor: i64,
    excess_wh: u64,
    excess_minor: i64,
    to_minor: i64,
    from_minor: i64,
    fines_minor: i64,
}

fn retailer(text: &str) -> Result<RetailerId, String> {
    let number = text.strip_prefix("retailer/").unwrap_or(text);
    let known = number.parse().map(RetailerId::new);
    known.map_err(|_| format!("`{text}` is no retailer; it is written like retailer/1"))
}

/// Minutes ahead of UTC.
fn offset(text: &str) -> Result<i32, String> {
    let offset = statement::utc_offset(text);
    offset.ok_or_else(|| "a distance from UTC is written like +05:30".to_owned())
}

/// Carries the command out.
///
/// # Errors
/// Code 1 where the books cannot be read or there is no such revision, 4 where a file is not what
/// was signed.
pub fn run(options: &Options) -> Result<(), Failure> {
    match &options.command {
        None => make(&options.make),
        Some(Command::Verify { file, key, print }) => {
            let key = key.key()?;
            let unreadable = |error: std::io::Error| {
                Failure::usage(format!("cannot read `{}`: {error}", file.display()))
            };
            if fs::metadata(file).map_err(unreadable)?.len() > FILE_BYTES_MAX {
                return Err(Failure::refused("the file is too large for a statement"));
            }
            let bytes = fs::read(file).map_err(unreadable)?;
            let text = String::from_utf8(bytes)
                .map_err(|_| Failure::mismatch(StatementFault::Malformed.to_string()))?;
            let statement = statement::verify(&text, &key)
                .map_err(|fault| Failure::mismatch(fault.to_string()))?;
            show(&statement, print)
        }
    }
}

fn make(options: &MakeOptions) -> Result<(), Failure> {
    let (Some(retailer), Some(month), Some(data_dir)) =
        (options.retailer, &options.month, &options.data_dir)
    else {
        return Err(Failure::usage("RETAILER, --month and --data-dir say which statement"));
    };
    let month = Month::new(month, options.utc_offset)
        .ok_or_else(|| Failure::usage("a month is written like 2026-06"))?;
    let (_, _, pipeline) = books::open(data_dir, &options.store)?;
    if !pipeline.knows_party(Party { role: Role::Retailer, number: retailer.get() }) {
        return Err(Failure::refused(format!("there is no retailer/{retailer} in the books")));
    }
    let statement =
        pipeline.statement(retailer, &month, options.revision).map_err(Failure::runtime)?;
    let statement =
        statement.ok_or_else(|| Failure::refused("there is no such revision of the statement"))?;
    if let Some(path) = &options.file {
        let text = pipeline.seal_statement(&statement);
        fs::write(path, text).map_err(|error| {
            Failure::refused(format!("cannot write `{}`: {error}", path.display()))
        })?;
    }
    show(&statement, &options.print)
}

fn show(statement: &RetailerStatement, print: &PrintOptions) -> Result<(), Failure> {
    let format = print.output.output;
    let Sums { meters, charges, retailers, total } = statement.sums();
    match print.show {
        Show::Contracts => {
            let rows: Vec<_> = statement.lines.iter().map(row).collect();
            output::print_rows(&rows, format)
        }
        Show::Meters => output::print_rows(&meters, format),
        Show::Charges => output::print_rows(&charges, format),
        Show::Retailers => output::print_rows(&retailers, format),
        Show::Total => {
            let head = &statement.head;
            let net = Currency::from_iso(&head.currency).map_or_else(
                |_| total.net_minor.to_string(),
                |of| bill::decimal(total.net_minor, of),
            );
            let row = TotalRow {
                retailer: head.retailer,
                month: head.month.clone(),
                revision: head.revision,
                leaves: head.leaves,
                total,
                net,
                currency: head.currency.clone(),
            };
            if format == Format::Human {
                return output::print(&sentences(&row));
            }
            output::print_rows(&[row], format)
        }
    }
}

/// The total for people.
fn sentences(row: &TotalRow) -> String {
    let TotalRow { retailer, month, revision, leaves, total, net, currency } = row;
    let statement::Total { contracts, pending, bought_wh, sold_wh, .. } = total;
    let statement::Total { pending_wh, charges_minor, to_minor, from_minor, .. } = total;
    let statement::Total { fines_minor, fines_paid_minor, .. } = total;
    let of = Currency::from_iso(currency);
    let money = |minor: &i64| of.map_or_else(|_| minor.to_string(), |of| bill::decimal(*minor, of));
    let [charges, to, from, fines, paid] =
        [charges_minor, to_minor, from_minor, fines_minor, fines_paid_minor].map(money);
    let [bought, sold, waiting] =
        [bought_wh, sold_wh, pending_wh].map(|wh| energy_text(Energy::from_wh(*wh)));
    let due = if total.net_minor < 0 { "due from the retailer" } else { "due to the retailer" };
    format!(
        "retailer/{retailer}, {month}, revision {revision}, under the checkpoint of {leaves} leaves\n\
         sides of contracts   {contracts}, of them pending {pending}\n\
         declared             bought {bought} kWh, sold {sold} kWh, pending {waiting} kWh\n\
         charges to bill      {charges} {currency}\n\
         other retailers      to them {to} {currency}, from them {from} {currency}\n\
         fines                {fines} {currency}, of them paid {paid} {currency}\n\
         {due}  {net} {currency}\n"
    )
}

fn row(line: &ContractLine) -> ContractRow {
    ContractRow {
        contract: line.contract,
        area: line.area.clone(),
        start: line.start.clone(),
        minutes: line.minutes,
        meter: line.meter,
        side: line.side.clone(),
        counterparty: line.counterparty,
        counterparty_retailer: line.counterparty_retailer,
        state: line.state.clone(),
        run: line.run,
        provisional: line.provisional,
        contracted_wh: line.contracted_wh,
        pending_wh: line.pending_wh,
        settled_wh: line.settled_wh,
        charges_minor: line.charges_minor(),
        excess_wh: line.excess_wh,
        excess_minor: line.excess_minor,
        to_minor: line.to_minor,
        from_minor: line.from_minor,
        fines_minor: line.fines_minor,
    }
}
