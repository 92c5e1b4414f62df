//! `gridcross rail`: instructions to payment rails, the account at the rail, and a rail to try out.

use std::{net::SocketAddr, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::{Args, Subcommand, ValueEnum};
use gateway::identity;
use hyper::Method;
use rust_decimal::{Decimal, prelude::ToPrimitive as _};
use serde::Serialize;
use settlement::rails::{
    Answer, Instruction, InstructionId, InstructionState, PaymentRail as _, Signer, bill,
    message::MESSAGE_BYTES_MAX, simulated::Chances,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use types::{Currency, TradeId};

use super::{OutputOptions, books::BooksOptions, connect::block_on, reconcile::day};
use crate::{
    clock::Clock,
    exit::{Failure, Kind},
    output,
    rails::{
        self,
        http::Endpoint,
        simulator::{self, Simulation},
    },
};

/// Instructions read at once.
const PAGE: u32 = 10_000;

/// What can be done with payment rails.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// What was asked of the rail, and where it stands
    Instructions {
        /// Whose books
        #[command(flatten)]
        books: BooksOptions,
        /// Only under this contract
        #[arg(long)]
        contract: Option<u64>,
        /// Only what may still come to something
        #[arg(long)]
        open: bool,
        /// How it is printed
        #[command(flatten)]
        output: OutputOptions,
    },
    /// The exchange's account at the rail on a day, by its own books
    Statement {
        /// Whose books
        #[command(flatten)]
        books: BooksOptions,
        /// The day, in UTC, such as 2026-04-01
        #[arg(long, value_parser = day)]
        day: i64,
        /// The form
        #[arg(long, value_enum, default_value = "csv")]
        format: Form,
    },
    /// Ask the rail about instructions, and tell the running exchange what it says, event by event
    Replay {
        /// Whose books
        #[command(flatten)]
        books: BooksOptions,
        /// Only this instruction [default: every open one]
        #[arg(long, value_parser = instruction)]
        instruction: Option<InstructionId>,
        /// Where the exchange takes events [default: https://localhost and the port of `rails.listen`]
        #[arg(long)]
        exchange: Option<String>,
        /// How it is printed
        #[command(flatten)]
        output: OutputOptions,
    },
    /// A rail that misbehaves on purpose, in a process of its own
    Simulate(Box<SimulateOptions>),
}

/// The form of a statement.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Form {
    /// Comma-separated values.
    Csv,
    /// ISO 20022 camt.053, XML.
    Camt053,
}

/// How a simulated rail behaves. Chances are in percent.
#[derive(Debug, Args)]
pub struct SimulateOptions {
    /// Where it is called; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The secret shared with the exchange: 32 bytes or more
    #[arg(long)]
    secret_file: PathBuf,
    /// Signs events with this Ed25519 key (PEM) instead of the secret
    #[arg(long)]
    event_key_file: Option<PathBuf>,
    /// Where events go, such as https://localhost:9443
    #[arg(long)]
    exchange: Option<String>,
    /// Who vouches for the exchange, such as DATA_DIR/keys/ca.crt
    #[arg(long)]
    authority_file: Option<PathBuf>,
    /// Decides what happens to which instruction
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Longest time until something happens, in seconds
    #[arg(long, default_value_t = 2)]
    delay: u32,
    /// Events told three times
    #[arg(long, value_parser = percent, default_value = "0")]
    duplicate: u32,
    /// Events told after later ones
    #[arg(long, value_parser = percent, default_value = "0")]
    reorder: u32,
    /// Instructions declined
    #[arg(long, value_parser = percent, default_value = "0")]
    decline: u32,
    /// Instructions without an answer
    #[arg(long, value_parser = percent, default_value = "0")]
    timeout: u32,
    /// Of those, carried out all the same, late
    #[arg(long, value_parser = percent, default_value = "0")]
    late_success: u32,
    /// Days for which it keeps blocks
    #[arg(long, default_value_t = 7)]
    hold_days: u32,
    /// Seconds by which its clock is ahead
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    ahead: i64,
    /// The currency
    #[arg(long, default_value = "EUR")]
    currency: String,
}

/// Millionths of a percentage from 0 to 100.
fn percent(text: &str) -> Result<u32, String> {
    let decimal = Decimal::from_str_exact(text).map_err(|error| error.to_string())?;
    decimal
        .checked_mul(Decimal::from(10_000))
        .filter(|ppm| ppm.is_integer())
        .and_then(|ppm| ppm.to_u32())
        .filter(|&ppm| ppm <= 1_000_000)
        .ok_or_else(|| "a percentage is 0 to 100, with at most four decimals".to_owned())
}

/// An instruction.
#[derive(Debug, Serialize)]
struct Line {
    instruction: String,
    kind: &'static str,
    state: &'static str,
    contract: Option<u64>,
    party: String,
    amount_minor: i64,
    amount: String,
    attempts: u32,
    next: Option<String>,
    of: Option<String>,
}

impl Line {
    fn new(one: &Instruction, currency: Currency) -> Self {
        Self {
            instruction: one.id.to_string(),
            kind: one.kind.name(),
            state: one.state.name(),
            contract: one.contract.map(TradeId::get),
            party: one.owner.to_string(),
            amount_minor: one.amount.minor(),
            amount: bill::decimal(one.amount.minor(), currency),
            attempts: one.attempts,
            next: one.state.is_open().then(|| one.next.to_string()),
            of: one.of.map(|of| of.to_string()),
        }
    }
}

/// Carries the command out.
///
/// # Errors
/// When something cannot be read, or the address is taken.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Instructions { books, contract, open, output } => {
            let (_, config, pipeline) = books.open()?;
            let currency = config.policy.currency;
            let last = if *open { InstructionState::Unknown } else { InstructionState::Dropped };
            let found = match contract {
                Some(contract) => pipeline.rail_instructions_of(TradeId::new(*contract)),
                None => pages(|after| pipeline.rail_instructions(after, last, PAGE)),
            };
            let found = found.map_err(Failure::runtime)?;
            let asked = found.iter().filter(|one| one.state <= last);
            let lines: Vec<_> = asked.map(|one| Line::new(one, currency)).collect();
            output::print_rows(&lines, output.output)
        }
        Command::Statement { books, day, format } => {
            let (_, config, pipeline) = books.open()?;
            let currency = config.policy.currency;
            let statement = pipeline.rail_statement(*day).map_err(Failure::runtime)?;
            match format {
                Form::Csv => output::print(&statement.to_csv(currency)),
                Form::Camt053 => {
                    let text = statement.to_camt053(&config.ledger_origin, currency);
                    output::print(&(text.map_err(Failure::runtime)? + "\n"))
                }
            }
        }
        Command::Replay { books, instruction, exchange, output } => {
            replay(books, *instruction, exchange.as_deref(), output.output)
        }
        Command::Simulate(options) => simulate(options),
    }
}

/// What became of an event that was told again.
#[derive(Debug, Serialize)]
struct ReplayLine {
    instruction: String,
    event: String,
    answer: String,
}

fn replay(
    books: &BooksOptions,
    instruction: Option<InstructionId>,
    exchange: Option<&str>,
    format: output::Format,
) -> Result<(), Failure> {
    let (layout, config, pipeline) = books.open()?;
    let Some(options) = &config.rails else {
        return Err(Failure::usage("there is no `[rails]` in the configuration"));
    };
    let ids = match instruction {
        Some(id) => vec![id],
        None => {
            let open = InstructionState::Unknown;
            let found = pages(|after| pipeline.rail_instructions(after, open, PAGE));
            found.map_err(Failure::runtime)?.iter().map(|one| one.id).collect()
        }
    };
    let currency = config.policy.currency;
    let rail = rails::rail(&layout, options, Clock::System, currency).map_err(Failure::config)?;
    let authority = identity::load_certificates(&layout.keys().join("ca.crt"));
    let authority = authority.map_err(Failure::config)?;
    let own = format!("https://localhost:{}", options.listen.port());
    let exchange = Endpoint::parse(exchange.unwrap_or(&own), Some(&authority));
    let exchange = exchange.map_err(Failure::config)?;
    let limits = (MESSAGE_BYTES_MAX, options.deadline);
    let lines = block_on(async {
        let mut lines = Vec::new();
        for id in ids {
            let (answer, events) = rail.query(id).await;
            if answer == Answer::Unknown {
                return Err(Failure::unreachable(format!("the rail does not answer about {id}")));
            }
            for sealed in events {
                let told = exchange.call((Method::POST, rails::EVENTS), &sealed, limits).await;
                let (_, body) = told.map_err(|error| Failure::new(Kind::Unreachable, &error))?;
                let said: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
                let answer = said.get("answer").and_then(serde_json::Value::as_str);
                lines.push(ReplayLine {
                    instruction: id.to_string(),
                    event: sealed.number,
                    answer: answer.unwrap_or("unreadable").to_owned(),
                });
            }
        }
        Ok(lines)
    })?;
    output::print_rows(&lines, format)
}

/// An instruction's number on the command line.
fn instruction(text: &str) -> Result<InstructionId, String> {
    InstructionId::parse(text).ok_or_else(|| "a number has 16 hexadecimal digits".to_owned())
}

/// All pages, one behind the other.
fn pages<E>(
    mut page: impl FnMut(Option<InstructionId>) -> Result<Vec<Instruction>, E>,
) -> Result<Vec<Instruction>, E> {
    let mut all: Vec<Instruction> = Vec::new();
    loop {
        let next = page(all.last().map(|one| one.id))?;
        if next.is_empty() {
            return Ok(all);
        }
        all.extend(next);
    }
}

fn simulate(options: &SimulateOptions) -> Result<(), Failure> {
    let secret = rails::read_secret(&options.secret_file).map_err(Failure::config)?;
    let events = match &options.event_key_file {
        None => Signer::Hmac(secret.clone()),
        Some(path) => {
            let key = identity::load_signing_key(path).map_err(Failure::config)?;
            tracing::info!("event_key = \"{}\"", STANDARD.encode(key.verifying_key().to_bytes()));
            Signer::Ed25519(Box::new(key))
        }
    };
    let authority = match &options.authority_file {
        None => None,
        Some(path) => Some(identity::load_certificates(path).map_err(Failure::config)?),
    };
    let endpoint = |url: &String| Endpoint::parse(url, authority.as_deref());
    let exchange = options.exchange.as_ref().map(endpoint).transpose();
    let simulation = Simulation {
        chances: Chances {
            seed: options.seed,
            delay_s: options.delay,
            duplicate_ppm: options.duplicate,
            reorder_ppm: options.reorder,
            decline_ppm: options.decline,
            timeout_ppm: options.timeout,
            late_ppm: options.late_success,
        },
        currency: Currency::from_iso(&options.currency)
            .map_err(|error| Failure::usage(error.to_string()))?,
        hold_days: options.hold_days,
        secret,
        events,
        exchange: exchange.map_err(Failure::config)?,
        clock: Clock::System,
        ahead_s: options.ahead,
    };
    let listen = options.listen;
    block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(Failure::runtime)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::runtime)?;
        let (stop, stopped) = watch::channel(false);
        let listener = TcpListener::bind(listen).await.map_err(Failure::runtime)?;
        let address = listener.local_addr().map_err(Failure::runtime)?;
        tracing::info!("the simulated rail is called on http://{address}");
        let mut running = Box::pin(simulator::run(listener, simulation, stopped));
        tokio::select! {
            () = &mut running => return Ok(()),
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.send_replace(true);
        running.await;
        Ok(())
    })
}
