//! `gridcross market` and `gridcross auction`: orders of operators, signed, with a reason, on the ledger.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand, ValueEnum};
use gateway::client::{
    MarketClient, MarketSubscription, MarketUpdate, sign_definition, sign_operation,
};
use serde::Serialize;
use types::{
    Action, MarketId, Operation, Remark, Role, Scope, ShardId, SignedOperation, SlotAction,
    Timestamp, TradeId, TradingControl, TradingState,
};
use wire::{field::Field as _, market::Selection};

use super::{
    OutputOptions,
    connect::{
        ServerOptions, block_on, client_failure, instant, instant_text, market, price_text,
        shard_of_slot, slot_text,
    },
    contract_file::{from_hex, hex},
    data_port::{Access, failure},
};
use crate::{clock::Clock, config, exit::Failure, output};

const EXAMPLES: &str = "\
Examples:
  gridcross market halt --as operator/1 --data-dir ex --scope market/1 --reason \"feed of the area is down\"
  gridcross market resume --as operator/1 --data-dir ex --scope market/1 --reason \"feed is back\"
  gridcross market kill --as operator/1 --data-dir ex --scope platform/2 --reason \"key has leaked\" --file kill.txt
  gridcross market second kill.txt --as operator/2 --data-dir ex
  gridcross market bust 1017 --as operator/1 --data-dir ex --reason \"price of the wrong unit\" --file bust.txt
  gridcross market define market-7.toml --as operator/1 --data-dir ex --reason \"second area opens\"
  gridcross auction run --as operator/1 --data-dir ex --market 1 --slot 2026-06-24T12:00Z --reason \"late start\"

A kill or a bust takes effect when a second operator has signed the same order.";

/// What operators order of a market.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// Refuse new orders of a scope; open ones stay, and can be cancelled
    Halt(ScopeOptions),
    /// Let a scope trade again
    Resume(ScopeOptions),
    /// Refuse new orders of a scope and cancel its open ones; takes two operators
    Kill(ScopeOptions),
    /// Close a slot's gate now
    Phase {
        /// Which slot, and the order
        #[command(flatten)]
        slot: SlotOptions,
        /// Where to
        #[arg(long, value_enum)]
        to: PhaseName,
    },
    /// Undo a trade before its gate, without penalty: nothing of it is delivered or paid; takes two operators
    Bust {
        /// The trade's number
        #[arg(value_name = "TRADE")]
        trade: TradeId,
        /// The order
        #[command(flatten)]
        order: OrderOptions,
    },
    /// Trade a new market from now on; of the file with its `[[markets]]` table, as in gridcross.toml
    Define {
        /// The file
        file: PathBuf,
        /// The order
        #[command(flatten)]
        order: OrderOptions,
    },
    /// Agree, as another operator, with an order that waits
    Second {
        /// What `--file` wrote
        file: PathBuf,
        /// As whom
        #[command(flatten)]
        access: Access,
        /// How it is printed
        #[command(flatten)]
        output: OutputOptions,
    },
}

/// What operators order of an auction.
#[derive(Debug, Subcommand)]
pub enum AuctionCommand {
    /// Hold the auction of a slot's call now, whenever it was due
    Run(SlotOptions),
    /// Let a call go on for the market's extension
    Extend(SlotOptions),
    /// End a call without its auction: its orders are cancelled, then it trades continuously
    Cancel(SlotOptions),
    /// Begin another call of a slot that trades continuously
    Call(SlotOptions),
    /// What the auction would do now, and how far that is from the last price
    Preview(PreviewOptions),
}

/// The phases to which an operator moves a slot; auctions have commands of their own.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum PhaseName {
    /// Its gate closes
    Closed,
}

/// What every order of an operator has.
#[derive(Debug, Args)]
pub struct OrderOptions {
    #[command(flatten)]
    access: Access,
    /// Why: at most 48 printable ASCII characters, for people and for the ledger
    #[arg(long, value_parser = remark)]
    reason: Remark,
    /// The operator's number of this order, above all before [default: nanoseconds since 1970]
    #[arg(long)]
    number: Option<u64>,
    /// Last instant at which it, or a second signature, counts, RFC 3339 [default: in five minutes]
    #[arg(long, value_parser = instant, value_name = "TIME")]
    valid_until: Option<Timestamp>,
    /// Write the signed order to this file, for a second operator
    #[arg(id = "order_file", long = "file", value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    output: OutputOptions,
}

/// An order about who may trade.
#[derive(Debug, Args)]
pub struct ScopeOptions {
    /// all, or platform, retailer, meter or market with `/` and a number
    #[arg(long, value_parser = scope)]
    scope: Scope,
    #[command(flatten)]
    order: OrderOptions,
}

/// An order about a slot.
#[derive(Debug, Args)]
pub struct SlotOptions {
    #[command(flatten)]
    place: SlotPlace,
    #[command(flatten)]
    order: OrderOptions,
}

/// Which slot.
#[derive(Debug, Args)]
struct SlotPlace {
    /// The market's number
    #[arg(long, value_parser = market)]
    market: MarketId,
    /// Start of delivery, RFC 3339 with an offset
    #[arg(long, value_parser = instant, value_name = "TIME")]
    slot: Timestamp,
    /// Length of the slot in minutes [default: the market's, or 15 without --data-dir]
    #[arg(long)]
    minutes: Option<u16>,
}

/// Options of `auction preview`.
#[derive(Debug, Args)]
pub struct PreviewOptions {
    #[command(flatten)]
    server: ServerOptions,
    #[command(flatten)]
    place: SlotPlace,
    /// The shard, from 1 [default: the slot's, or 1 without --data-dir]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..))]
    shard: Option<u8>,
    #[command(flatten)]
    output: OutputOptions,
}

fn remark(text: &str) -> Result<Remark, String> {
    Remark::new(text).ok_or_else(|| "1 to 48 printable ASCII characters".to_owned())
}

/// A scope that can be suspended.
fn scope(text: &str) -> Result<Scope, String> {
    match text.parse() {
        Ok(Scope::Session(_)) => {
            Err("a session is closed, not halted: name its platform".to_owned())
        }
        Ok(scope) => Ok(scope),
        Err(error) => Err(error.to_string()),
    }
}

/// Carries an order about a market out.
///
/// # Errors
/// Code 2 for a wrong command line, 3 for keys and configuration, 6 where the exchange does not answer, 1 where it
/// refuses.
pub fn run(command: &Command) -> Result<(), Failure> {
    let trading = |options: &ScopeOptions, state| {
        let action = Action::SetTrading(TradingControl { scope: options.scope, state });
        order(&options.order, action)
    };
    match command {
        Command::Halt(options) => trading(options, TradingState::Suspended),
        Command::Resume(options) => trading(options, TradingState::Active),
        Command::Kill(options) => trading(options, TradingState::Killed),
        Command::Phase { slot, to: PhaseName::Closed } => on_slot(slot, SlotAction::Close),
        Command::Bust { trade, order: options } => order(options, Action::Bust(*trade)),
        Command::Define { file, order } => define(file, order),
        Command::Second { file, access, output } => second(file, access, *output),
    }
}

/// Carries an order about an auction out, or shows it.
///
/// # Errors
/// As [`run`].
pub fn run_auction(command: &AuctionCommand) -> Result<(), Failure> {
    match command {
        AuctionCommand::Run(slot) => on_slot(slot, SlotAction::RunAuction),
        AuctionCommand::Extend(slot) => on_slot(slot, SlotAction::ExtendCall),
        AuctionCommand::Call(slot) => on_slot(slot, SlotAction::Call),
        AuctionCommand::Cancel(slot) => on_slot(slot, SlotAction::CancelAuction),
        AuctionCommand::Preview(options) => preview(options),
    }
}

fn on_slot(options: &SlotOptions, action: SlotAction) -> Result<(), Failure> {
    let SlotPlace { market, slot, minutes } = options.place;
    let key = options.order.access.server().slot(market, slot, minutes)?;
    order(&options.order, Action::Slot(action, key))
}

/// Five minutes.
const VALID_FOR_NS: i64 = 300_000_000_000;

fn order(options: &OrderOptions, action: Action) -> Result<(), Failure> {
    let operation = operation(options, action)?;
    let signed = sign_operation(&options.access.signing_key()?, operation, operation.operator);
    if let Some(path) = &options.file {
        fs::write(path, file_text(&signed)).map_err(|error| {
            Failure::refused(format!("cannot write `{}`: {error}", path.display()))
        })?;
    }
    send(&options.access, &signed, options.output)
}

/// Signs a market with the order that defines it. One operator is enough.
fn define(file: &Path, options: &OrderOptions) -> Result<(), Failure> {
    if options.file.is_some() {
        return Err(Failure::usage("--file: a market needs no second operator"));
    }
    let (new, market) = config::load_market(file).map_err(Failure::config)?;
    let operation = operation(options, Action::Define(new))?;
    let signed = sign_definition(&options.access.signing_key()?, operation, &market);
    let access = &options.access;
    access.run(async |client| client.define(&signed, &market).await.map_err(failure))?;
    output::print_rows(&[Row::of(&signed)], options.output.output)
}

/// What is ordered, with who orders it, why, and until when.
fn operation(options: &OrderOptions, action: Action) -> Result<Operation, Failure> {
    let operator = operator(&options.access)?;
    let now = Clock::System.now();
    let number =
        options.number.map_or_else(|| u64::try_from(now.ns()).map_err(Failure::runtime), Ok)?;
    let valid_until = options.valid_until.unwrap_or(now.plus_ns(VALID_FOR_NS));
    Ok(Operation { operator, number, action, valid_until, reason: options.reason })
}

/// The number of the operator who orders.
fn operator(access: &Access) -> Result<u16, Failure> {
    let party = access.party()?;
    if party.role == Role::Operator {
        Ok(party.number)
    } else {
        Err(Failure::usage(format!("--as {party}: only operators order, such as operator/1")))
    }
}

/// What is said of an order.
#[derive(Debug, Serialize)]
struct Row {
    operator: u16,
    number: u64,
    action: &'static str,
    about: String,
    reason: String,
    valid_until: String,
    signer: u16,
    state: &'static str,
}

impl Row {
    fn of(signed: &SignedOperation) -> Self {
        let Operation { operator, number, action, valid_until, reason } = &signed.operation;
        let waits = action.needs_two() && signed.signer == *operator;
        Self {
            operator: *operator,
            number: *number,
            action: action.name(),
            about: about(action),
            reason: reason.to_string(),
            valid_until: instant_text(*valid_until),
            signer: signed.signer,
            state: if waits { "waits for a second operator" } else { "in force" },
        }
    }
}

fn about(action: &Action) -> String {
    match action {
        Action::SetTrading(control) => control.scope.to_string(),
        Action::Bust(trade) => format!("trade/{trade}"),
        Action::Define(new) => format!("market/{}", new.market),
        Action::Slot(_, key) => format!("market/{} {}", key.market, slot_text(*key)),
    }
}

fn send(access: &Access, signed: &SignedOperation, output: OutputOptions) -> Result<(), Failure> {
    access.run(async |client| client.operate(signed).await.map_err(failure))?;
    output::print_rows(&[Row::of(signed)], output.output)
}

/// A signed order as a file: for people, then for the program.
fn file_text(signed: &SignedOperation) -> String {
    let Row { operator, number, action, about, reason, valid_until, .. } = Row::of(signed);
    let mut bytes = Vec::new();
    signed.put(&mut bytes);
    format!(
        "# {action} {about}: {reason}\n# operator {operator}, number {number}, until {valid_until}\n{}\n",
        hex(&bytes)
    )
}

/// Signs the order in a file as another operator.
fn second(path: &PathBuf, access: &Access, output: OutputOptions) -> Result<(), Failure> {
    let signer = operator(access)?;
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("cannot read `{}`: {error}", path.display())))?;
    let operation = text.lines().find(|line| !line.starts_with('#')).and_then(|line| {
        let bytes = from_hex(line.trim())?;
        let mut rest = bytes.as_slice();
        let signed = SignedOperation::take(&mut rest).ok()?;
        rest.is_empty().then_some(signed.operation)
    });
    let Some(operation) = operation else {
        return Err(Failure::usage(format!(
            "{}: no order of an operator; `--file FILE` of a kill or bust writes one",
            path.display()
        )));
    };
    if operation.operator == signer {
        return Err(Failure::usage(format!("operator {signer} has signed it; another one has to")));
    }
    let signed = sign_operation(&access.signing_key()?, operation, signer);
    send(access, &signed, output)
}

/// What the auction of a slot would do now.
#[derive(Debug, Serialize)]
struct PreviewRow {
    market: u16,
    slot_start: String,
    phase: &'static str,
    price: Option<String>,
    volume_wh: u64,
    surplus_wh: i64,
    last_price: Option<String>,
    difference: Option<String>,
}

fn preview(options: &PreviewOptions) -> Result<(), Failure> {
    let SlotPlace { market, slot, minutes } = options.place;
    let key = options.server.slot(market, slot, minutes)?;
    let config = options.server.config()?;
    let connector = options.server.connector(config.as_ref())?;
    let shard = shard_of_slot(options.shard, config.as_ref(), key)?.unwrap_or(ShardId::FIRST);
    let row = block_on(async {
        let failed = |error| client_failure(&error, connector.address);
        let selection = MarketSubscription::of([Selection::Slot(key)]);
        let subscription = MarketSubscription { shard, ..selection };
        let mut client = MarketClient::subscribe(&connector, subscription).await.map_err(failed)?;
        // The first position comes behind every book.
        while !matches!(client.next().await.map_err(failed)?, MarketUpdate::Position(_)) {}
        let Some(book) = client.books().book(key) else {
            return Err(Failure::refused(format!("the slot at {} is not open", slot_text(key))));
        };
        let Some(indicative) = book.head.indicative else {
            let phase = book.head.phase.name();
            return Err(Failure::refused(format!(
                "the slot at {} is {phase}: only a call has an auction to come",
                slot_text(key)
            )));
        };
        let difference = indicative.price.zip(book.head.last).map(|(price, last)| {
            types::Price::from_micros(price.micros().saturating_sub(last.micros()))
        });
        Ok(PreviewRow {
            market: key.market.get(),
            slot_start: slot_text(key),
            phase: book.head.phase.name(),
            price: indicative.price.map(price_text),
            volume_wh: indicative.volume.wh(),
            surplus_wh: indicative.surplus_wh,
            last_price: book.head.last.map(price_text),
            difference: difference.map(price_text),
        })
    })?;
    output::print_rows(&[row], options.output.output)
}
