//! `gridcross order`: single orders of people, over the same protocol as every platform's, by QUIC or
//! HTTPS.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use ed25519_dalek::SigningKey;
use gateway::{
    authority,
    client::{
        AggregateTerms, ClientError, Connector, HttpsTrading, TradingSession, ask_status, cancel,
        reduce, sign_aggregate, sign_new, sign_replace, sign_validation,
    },
    identity,
};
use hyper::Uri;
use types::{
    ClientOrderId, Conditions, Energy, MarketId, MeterId, NewOrder, OrderId, OrderKind, OrderList,
    PlatformId, Price, RejectReason, ReplaceOrder, ShardId, Side, SlotKey, TimeInForce, Timestamp,
};
use wire::{
    Inbound, Outbound, frame::FRAME_MESSAGES_MAX, inbound::Logon, outbound::ExecutionReport,
};

use super::{
    connect::{
        self, HEARTBEAT_MS, ServerOptions, block_on, client_failure, energy, instant, market,
        price, refusal, refusal_for, shard_of_slot, slot_key,
    },
    order_members,
    order_report::{self, Printer},
    order_status,
};
use crate::{
    clock::Clock,
    config::Config,
    exit::{Failure, Kind},
    output::Format,
    registry::{self, Registry},
};

/// How long a signature counts where nothing else is said: five minutes, in nanoseconds.
const VALID_FOR_NS: i64 = 300_000_000_000;

/// What can be done with an order.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Place an order, signed with the meter's key
    ///
    /// Opens a session of the platform. Where the platform has one at this shard, it is taken over: use
    /// another platform's certificate beside a trading system.
    New(NewOptions),
    /// Cancel an order
    Cancel(CancelOptions),
    /// Give an order another price and open quantity, signed with the meter's key
    Replace(ReplaceOptions),
    /// Lower what is open of an order; it keeps its place in the queue
    Reduce(ReduceOptions),
    /// Where an order stands, asked of the exchange
    Ask(AskOptions),
    /// Where an order stands, from the journal on the exchange's machine
    Status(order_status::Options),
}

/// What all requests have.
#[derive(Debug, Args)]
struct RequestOptions {
    #[command(flatten)]
    server: ServerOptions,
    /// Send it over HTTPS to this address, such as https://exchange.example:7443, where no UDP gets
    /// through
    #[arg(long, value_name = "URL", conflicts_with = "server")]
    https: Option<Uri>,
    /// The platform's number of the request [default: the time in microseconds]
    #[arg(long)]
    client_order: Option<u64>,
    /// Stay and print what happens to the order, until it is done or interrupted
    #[arg(long)]
    follow: bool,
    /// How it is printed
    #[arg(long, value_enum, default_value = "human")]
    output: Format,
}

/// Whose key signs, and for how long.
#[derive(Debug, Args)]
struct SigningOptions {
    /// The meter's number
    #[arg(long)]
    meter: Option<u32>,
    /// File with the meter's signing key [default: CODE.signing.key among the keys]
    #[arg(long, value_name = "FILE")]
    meter_key: Option<PathBuf>,
    /// Last instant at which the signature counts, RFC 3339 [default: in five minutes]
    #[arg(long, value_parser = instant, value_name = "TIME")]
    valid_until: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SideOption {
    Buy,
    Sell,
}

impl From<SideOption> for Side {
    fn from(side: SideOption) -> Self {
        match side {
            SideOption::Buy => Self::Buy,
            SideOption::Sell => Self::Sell,
        }
    }
}

/// How long an order stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StayOption {
    /// Until the gate closes
    UntilGate,
    /// Fill what is possible at once, cancel the rest
    ImmediateOrCancel,
    /// Fill whole at once or not at all
    FillOrKill,
}

impl From<StayOption> for TimeInForce {
    fn from(stay: StayOption) -> Self {
        match stay {
            StayOption::UntilGate => Self::UntilGate,
            StayOption::ImmediateOrCancel => Self::ImmediateOrCancel,
            StayOption::FillOrKill => Self::FillOrKill,
        }
    }
}

/// Options of `order new`.
#[derive(Debug, Args)]
pub struct NewOptions {
    #[command(flatten)]
    request: RequestOptions,
    #[command(flatten)]
    signing: SigningOptions,
    /// The market's number
    #[arg(long, value_parser = market)]
    market: MarketId,
    /// Start of delivery, RFC 3339 with an offset, such as 2026-11-24T10:00+05:30
    #[arg(long, value_parser = instant, value_name = "TIME")]
    slot: Timestamp,
    /// Length of the slot in minutes [default: the market's, or 15 without --data-dir]
    #[arg(long)]
    minutes: Option<u16>,
    /// Whether the meter takes energy or gives it
    #[arg(long, value_enum)]
    side: SideOption,
    /// Worst acceptable price per kWh, such as 4.50
    #[arg(long, value_parser = price, allow_hyphen_values = true)]
    price: Price,
    /// How much, with its unit, such as 2.5kWh
    #[arg(long, value_parser = energy, required_unless_present = "members")]
    quantity: Option<Energy>,
    /// For many meters that delegated it to the platform: CSV file of `meter,wh`, with that header. The
    /// platform signs
    #[arg(long, value_name = "FILE", conflicts_with_all = ["meter", "meter_key", "quantity", "validate_only", "post_only"])]
    members: Option<PathBuf>,
    /// How long the order stays
    #[arg(long, value_enum, default_value = "until-gate")]
    stay: StayOption,
    /// Only ask whether the order would be accepted; nothing happens
    #[arg(long, conflicts_with = "follow")]
    validate_only: bool,
    /// Refuse the order rather than let it trade at once
    #[arg(long)]
    post_only: bool,
    /// The shard of the slot, from 1 [default: found]
    #[arg(long)]
    shard: Option<u8>,
}

/// Options of `order ask`.
#[derive(Debug, Args)]
pub struct AskOptions {
    /// The exchange's number of the order
    order: u64,
    #[command(flatten)]
    request: RequestOptions,
}

/// Options of `order cancel`.
#[derive(Debug, Args)]
pub struct CancelOptions {
    /// The exchange's number of the order
    order: u64,
    #[command(flatten)]
    request: RequestOptions,
}

/// Options of `order replace`.
#[derive(Debug, Args)]
pub struct ReplaceOptions {
    /// The exchange's number of the order
    order: u64,
    #[command(flatten)]
    request: RequestOptions,
    #[command(flatten)]
    signing: SigningOptions,
    /// Its limit from now on, per kWh
    #[arg(long, value_parser = price, allow_hyphen_values = true)]
    price: Price,
    /// Its open quantity from now on, with its unit
    #[arg(long, value_parser = energy)]
    quantity: Energy,
}

/// Options of `order reduce`.
#[derive(Debug, Args)]
pub struct ReduceOptions {
    /// The exchange's number of the order
    order: u64,
    #[command(flatten)]
    request: RequestOptions,
    /// How much less is open from now on, with its unit
    #[arg(long, value_parser = energy)]
    quantity: Energy,
}

/// Carries the command out.
///
/// # Errors
/// Code 1 where the exchange refuses, 2 for a wrong command line, 3 for keys and configuration, 6
/// where the exchange does not answer or does not take us for who we are.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::New(options) => new(options),
        Command::Cancel(CancelOptions { order, request }) => change(*order, request, cancel),
        Command::Ask(AskOptions { order, request }) => change(*order, request, ask_status),
        Command::Reduce(ReduceOptions { order, request, quantity }) => {
            change(*order, request, |client_order, order| reduce(client_order, order, *quantity))
        }
        Command::Replace(options) => {
            let ReplaceOptions { order, request, signing, price, quantity } = options;
            let (meter, key) = (signing.meter()?, signing.key(&request.server)?);
            change(*order, request, |client_order, order| {
                let replace = ReplaceOrder {
                    client_order,
                    order,
                    meter,
                    limit: *price,
                    quantity: *quantity,
                    valid_until: signing.valid_until(),
                };
                sign_replace(&key, replace)
            })
        }
        Command::Status(options) => order_status::run(options),
    }
}

impl RequestOptions {
    fn client_order(&self) -> Result<ClientOrderId, Failure> {
        connect::client_order(self.client_order)
    }

    /// # Errors
    /// When reports that come one by one cannot be printed so.
    fn check(&self) -> Result<(), Failure> {
        let by_line = matches!(self.output, Format::Human | Format::Ndjson);
        if self.follow && !by_line {
            return Err(Failure::usage("--follow prints line by line: human or ndjson"));
        }
        if self.follow && self.https.is_some() {
            return Err(Failure::usage("--follow needs a session that stays: leave --https away"));
        }
        self.client_order().map(|_| ())
    }
}

impl SigningOptions {
    fn valid_until(&self) -> Timestamp {
        self.valid_until.unwrap_or_else(|| Clock::System.now().plus_ns(VALID_FOR_NS))
    }

    fn meter(&self) -> Result<MeterId, Failure> {
        let meter = self.meter.map(MeterId::new);
        meter.ok_or_else(|| Failure::usage("--meter says for whom it is"))
    }

    fn key(&self, server: &ServerOptions) -> Result<SigningKey, Failure> {
        meter_key(server, self.meter()?.get(), self.meter_key.as_deref())
    }
}

/// The key of a meter: in the file that is named, or among the keys.
pub(super) fn meter_key(
    server: &ServerOptions,
    meter: u32,
    file: Option<&Path>,
) -> Result<SigningKey, Failure> {
    let path = match file {
        Some(path) => path.to_owned(),
        None => {
            let code = match server.data_dir() {
                Some(dir) => meter_code(dir, meter)?,
                None => format!("METER-{meter}"),
            };
            server.keys().join(format!("{code}.signing.key"))
        }
    };
    identity::load_signing_key(&path).map_err(|error| {
        Failure::new(Kind::Config, &error).hint("--meter-key names the meter's key file")
    })
}

/// The code of a meter in the registry of the exchange.
fn meter_code(dir: &Path, meter: u32) -> Result<String, Failure> {
    let path = dir.join(registry::FILE_NAME);
    let registry = Registry::load(&path).map_err(Failure::config)?;
    let known = registry.meters.iter().find(|known| known.meter == MeterId::new(meter));
    known
        .map(|known| known.code.as_str().to_owned())
        .ok_or_else(|| Failure::usage(format!("there is no meter {meter} in `{}`", path.display())))
}

fn new(options: &NewOptions) -> Result<(), Failure> {
    let NewOptions { request, signing, market, .. } = options;
    request.check()?;
    let config = request.server.config()?;
    let minutes = request.server.slot_minutes(config.as_ref(), *market, options.minutes)?;
    let key = slot_key(*market, options.slot, minutes)?;
    if let Some(file) = &options.members {
        return aggregate(options, config.as_ref(), key, file);
    }
    let quantity = options.quantity.ok_or_else(|| Failure::usage("--quantity says how much"))?;
    let order = NewOrder {
        client_order: request.client_order()?,
        limit: options.price,
        quantity,
        valid_until: signing.valid_until(),
        key,
        meter: signing.meter()?,
        side: options.side.into(),
        kind: OrderKind::Limit,
        time_in_force: options.stay.into(),
        conditions: Conditions { post_only: options.post_only, ..Conditions::NONE },
        list: OrderList::NONE,
    };
    let signer = signing.key(&request.server)?;
    let sign = if options.validate_only { sign_validation } else { sign_new };
    let message = sign(&signer, order);
    let shard = shard_of_slot(options.shard, config.as_ref(), key)?;
    send(request, config.as_ref(), shard, order.client_order, &[message])
}

/// An order for the members of a file, which the platform signs.
fn aggregate(
    options: &NewOptions,
    config: Option<&Config>,
    key: SlotKey,
    file: &Path,
) -> Result<(), Failure> {
    let NewOptions { request, signing, .. } = options;
    let terms = AggregateTerms {
        client_order: request.client_order()?,
        key,
        side: options.side.into(),
        limit: options.price,
        time_in_force: options.stay.into(),
        valid_until: signing.valid_until(),
    };
    let members = order_members::load(file)?;
    let party = request.server.party();
    let name = format!("{}.signing.key", authority::file_name(party));
    let signer =
        identity::load_signing_key(&request.server.keys().join(name)).map_err(Failure::config)?;
    let platform = PlatformId::new(party.number);
    let messages = sign_aggregate((platform, &signer), &terms, &members);
    let shard = shard_of_slot(options.shard, config, key)?;
    send(request, config, shard, terms.client_order, &messages)
}

fn change(
    order: u64,
    request: &RequestOptions,
    message: impl FnOnce(ClientOrderId, OrderId) -> Inbound,
) -> Result<(), Failure> {
    request.check()?;
    let shard = ShardId::of_number(order)
        .filter(|_| order > 0)
        .ok_or_else(|| Failure::usage(format!("{order} is no number of an order")))?;
    let config = request.server.config()?;
    let client_order = request.client_order()?;
    let message = message(client_order, OrderId::new(order));
    send(request, config.as_ref(), Some(shard), client_order, &[message])
}

fn send(
    request: &RequestOptions,
    config: Option<&Config>,
    shard: Option<ShardId>,
    client_order: ClientOrderId,
    messages: &[Inbound],
) -> Result<(), Failure> {
    let asked = Asked { shard, client_order, messages };
    if let Some(url) = &request.https {
        let connector = request.server.https_connector(url)?;
        let failed = |error: ClientError| client_failure(&error, connector.address);
        let reports = block_on(async { asked.over_https(&connector).await.map_err(failed)? })?;
        let mut printer = Printer::new(request.output, client_order);
        printer.print(&reports).map(|_| ())?;
        return printer.finish();
    }
    let connector = request.server.connector(config)?;
    block_on(async {
        let failed = |error: ClientError| client_failure(&error, connector.address);
        let (session, reports) = asked.over_quic(&connector).await.map_err(failed)??;
        let mut printer = Printer::new(request.output, client_order);
        let read_on = printer.print(&reports)?.is_continue();
        if request.follow && read_on {
            return follow(session, printer, &reports, &connector).await;
        }
        let late = session.log_out().await.map_err(failed)?;
        let late: Vec<_> = late.iter().filter_map(report).collect();
        printer.print(&late).map(|_| ())?;
        printer.finish()
    })
}

/// The meter that an aggregate order is refused for, where a message says so.
fn refused_for(message: &Outbound) -> Option<MeterId> {
    if let Outbound::MembersReport(report) = message {
        return Some(report.meter).filter(|meter| meter.get() > 0);
    }
    None
}

fn refused(reason: RejectReason, member: Option<MeterId>) -> Failure {
    match member {
        Some(meter) => refusal_for(&format!("the order for its member, meter {meter}"), reason),
        None => refusal(reason),
    }
}

/// A request and what is known of where it goes. Where the shard is not known, every shard is asked:
/// one that a slot is not of does nothing.
struct Asked<'a> {
    shard: Option<ShardId>,
    client_order: ClientOrderId,
    /// The last of them is answered by what becomes of the order.
    messages: &'a [Inbound],
}

/// What became of a request at one shard.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Done,
    Refused(RejectReason),
}

impl Asked<'_> {
    /// Sends the request in a session and waits for its answer.
    async fn over_quic(
        &self,
        connector: &Connector,
    ) -> Result<Result<(TradingSession, Vec<ExecutionReport>), Failure>, ClientError> {
        let mut next = self.shard.unwrap_or(ShardId::FIRST);
        loop {
            let mut session = TradingSession::open_at(connector, next, HEARTBEAT_MS).await?;
            session.sender.send(self.messages).await?;
            let mut reports = Vec::new();
            let mut member = None;
            let answer = loop {
                let message = session.receiver.next().await?;
                reports.extend(report(&message));
                member = member.or(refused_for(&message));
                if let Some(answer) = self.answer_in(&message)? {
                    break answer;
                }
            };
            let last = session.accepted.last_shard;
            match (answer, self.shard_after(&answer, next, last)) {
                (_, Some(shard)) => next = shard,
                (Answer::Refused(reason), None) => return Ok(Err(refused(reason, member))),
                (Answer::Done, None) => {
                    while let Some(message) = session.receiver.try_next() {
                        reports.extend(report(&message));
                    }
                    return Ok(Ok((session, reports)));
                }
            }
        }
    }

    /// Sends the request over HTTPS and waits for its answer.
    async fn over_https(
        &self,
        connector: &Connector,
    ) -> Result<Result<Vec<ExecutionReport>, Failure>, ClientError> {
        let mut trading = HttpsTrading::connect(connector).await?;
        let frames: Vec<&[Inbound]> = self.messages.chunks(FRAME_MESSAGES_MAX.into()).collect();
        let mut next = self.shard.unwrap_or(ShardId::FIRST);
        loop {
            let logon = Logon::new(HEARTBEAT_MS, next);
            let exchanged = trading.exchange(logon, &frames).await?;
            let mut answer = None;
            for message in &exchanged.told {
                answer = answer.or(self.answer_in(message)?);
            }
            let member = exchanged.told.iter().find_map(refused_for);
            let answer = answer.ok_or(ClientError::Ended)?;
            let last = exchanged.accepted.last_shard;
            match (answer, self.shard_after(&answer, next, last)) {
                (_, Some(shard)) => next = shard,
                (Answer::Refused(reason), None) => return Ok(Err(refused(reason, member))),
                (Answer::Done, None) => {
                    return Ok(Ok(exchanged.told.iter().filter_map(report).collect()));
                }
            }
        }
    }

    /// The answer to the request, if the message is that.
    fn answer_in(&self, message: &Outbound) -> Result<Option<Answer>, ClientError> {
        let answer = match message {
            Outbound::ExecutionReport(report) if report.client_order == self.client_order => {
                report.answer().map(|done| done.map_or_else(Answer::Refused, |()| Answer::Done))
            }
            Outbound::MessageRejected(rejected) => Some(Answer::Refused(rejected.reason)),
            Outbound::MembersReport(report) if report.client_order == self.client_order => {
                RejectReason::from_code(report.reason).map(Answer::Refused)
            }
            Outbound::GoingAway(_) => Some(Answer::Refused(RejectReason::GoingAway)),
            Outbound::ExecutionReport(_)
            | Outbound::Heartbeat(_)
            | Outbound::TestReply(_)
            | Outbound::MassCancelled(_)
            | Outbound::DelegationReport(_)
            | Outbound::ResumeComplete(_)
            | Outbound::ResumeTooOld(_)
            | Outbound::SessionLimits(_)
            | Outbound::ContractReport(_)
            | Outbound::ContractInvitation(_)
            | Outbound::AmendmentInvitation(_)
            | Outbound::MembersReport(_)
            | Outbound::Applied(_)
            | Outbound::DeadManSet(_) => None,
            Outbound::SessionAccepted(_)
            | Outbound::SessionRejected(_)
            | Outbound::LoggedOut(_) => return Err(ClientError::Unexpected),
        };
        Ok(answer)
    }

    /// The shard to ask next, where the answer is that the slot is of another one.
    fn shard_after(&self, answer: &Answer, asked: ShardId, last: ShardId) -> Option<ShardId> {
        let is_elsewhere = matches!(answer, Answer::Refused(RejectReason::WrongShard));
        let next = ShardId::new(asked.index().saturating_add(1));
        next.filter(|_| is_elsewhere && self.shard.is_none() && asked < last)
    }
}

const fn report(message: &Outbound) -> Option<ExecutionReport> {
    if let Outbound::ExecutionReport(report) = message { Some(*report) } else { None }
}

/// Prints what happens to the order until it is done, or until SIGINT.
async fn follow(
    mut session: TradingSession,
    mut printer: Printer,
    answer: &[ExecutionReport],
    connector: &Connector,
) -> Result<(), Failure> {
    let failed = |error: ClientError| client_failure(&error, connector.address);
    let order = answer.iter().map(|report| report.order).find(|order| order.get() > 0);
    let mut done = answer.iter().any(order_report::is_last);
    let mut beat = tokio::time::interval(std::time::Duration::from_millis(
        u64::from(HEARTBEAT_MS).div_euclid(2),
    ));
    while !done {
        tokio::select! {
            message = session.receiver.next() => {
                let message = message.map_err(failed)?;
                let Some(report) = report(&message).filter(|report| Some(report.order) == order)
                else {
                    continue;
                };
                if printer.print(&[report])?.is_break() {
                    break;
                }
                done = order_report::is_last(&report);
            }
            _ = beat.tick() => {
                let heartbeat = Inbound::Heartbeat(wire::inbound::Empty);
                session.sender.send(&[heartbeat]).await.map_err(failed)?;
            }
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    session.log_out().await.map_err(failed)?;
    printer.finish()
}
