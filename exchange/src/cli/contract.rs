//! `gridcross contract`: contracts that two meters agree on between themselves, and the evidence of any
//! contract.

use std::{collections::BTreeMap, path::PathBuf};

use clap::{Args, Subcommand};
use gateway::client::{
    ClientError, Connector, TradingSession, accept_amendment, accept_contract, decline_contract,
    offer_amendment, offer_contract, withdraw_contract,
};
use serde::Serialize;
use types::{
    AmendmentTerms, ClientOrderId, ContractTerms, Energy, FIRST_VERSION, MarketId, MeterId,
    OfferId, Price, RejectReason, Seq, ShardId, Side, Timestamp, TradeId,
};
use wire::{
    Inbound, Outbound,
    inbound::{Logon, ResumePoint},
    outbound::{AmendmentInvitation, ContractInvitation, ContractReport, ContractState},
};

use super::{
    connect::{
        self, HEARTBEAT_MS, ServerOptions, block_on, client_failure, energy, instant, instant_text,
        market, price, price_text, refusal, shard_of_number, shard_of_slot, slot_key, slot_text,
    },
    contract_file,
    order::{SideOption, meter_key},
};
use crate::{
    clock::Clock,
    config::Config,
    exit::Failure,
    output::{self, Format},
};

/// How long an offer stands where nothing else is said: a day, in nanoseconds.
const OFFER_NS: i64 = 86_400_000_000_000;

/// What can be done with a contract.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Offer a contract to another meter, signed with the own meter's key
    ///
    /// Opens a session of the platform. Where the platform has one at this shard, it is taken over.
    Offer(OfferOptions),
    /// Ask to change a contract before its gate, signed with the own meter's key: its quantity, its slot,
    /// or to cancel it
    ///
    /// The contract is named as it is now, by its number and its terms. The requester pays a penalty.
    Modify(ModifyOptions),
    /// Agree to a contract or change that was offered, signed with the own meter's key
    Accept(AcceptOptions),
    /// Do not agree to a contract or change that was offered
    Decline(EndOptions),
    /// Take back an offer
    Withdraw(EndOptions),
    /// Offers that the platform made or is invited to, and what became of them
    List(ListOptions),
    /// A contract out of the journal on the exchange's machine, and its evidence as a file
    Show(contract_file::ShowOptions),
    /// Check a contract's evidence, with nothing but the file and the exchange's public key
    Verify(contract_file::VerifyOptions),
}

/// What all requests have.
#[derive(Debug, Args)]
struct RequestOptions {
    #[command(flatten)]
    server: ServerOptions,
    /// The platform's number of the request [default: the time in microseconds]
    #[arg(long)]
    client_order: Option<u64>,
    /// How it is printed
    #[arg(long, value_enum, default_value = "human")]
    output: Format,
}

/// Whose key signs.
#[derive(Debug, Args)]
struct MeterOptions {
    /// The number of the meter that signs
    #[arg(long)]
    meter: u32,
    /// File with the meter's signing key [default: CODE.signing.key among the keys]
    #[arg(long, value_name = "FILE")]
    meter_key: Option<PathBuf>,
}

/// Options of `contract offer`.
#[derive(Debug, Args)]
pub struct OfferOptions {
    #[command(flatten)]
    request: RequestOptions,
    #[command(flatten)]
    own: MeterOptions,
    /// The number of the other meter
    #[arg(long, value_name = "METER")]
    with: u32,
    /// The market's number
    #[arg(long, value_parser = market)]
    market: MarketId,
    /// Start of delivery, RFC 3339 with an offset, such as 2026-11-24T10:00+05:30
    #[arg(long, value_parser = instant, value_name = "TIME")]
    slot: Timestamp,
    /// Length of the slot in minutes [default: the market's, or 15 without --data-dir]
    #[arg(long)]
    minutes: Option<u16>,
    /// Whether the own meter takes energy or gives it
    #[arg(long, value_enum)]
    side: SideOption,
    /// Price per kWh, such as 4.50
    #[arg(long, value_parser = price, allow_hyphen_values = true)]
    price: Price,
    /// How much, with its unit, such as 2.5kWh
    #[arg(long, value_parser = energy)]
    quantity: Energy,
    /// Another number for every contract of the two meters in the slot [default: that of the request]
    #[arg(long)]
    reference: Option<u64>,
    /// Last instant at which it can be accepted, RFC 3339 [default: in a day]
    #[arg(long, value_parser = instant, value_name = "TIME")]
    expires: Option<Timestamp>,
    /// The shard of the slot, from 1 [default: found]
    #[arg(long)]
    shard: Option<u8>,
}

/// Options of `contract modify`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("change").required(true).multiple(true)
    .args(["cancel", "quantity", "slot"])))]
pub struct ModifyOptions {
    /// The number of the contract, which is that of its trade
    contract: u64,
    #[command(flatten)]
    request: RequestOptions,
    #[command(flatten)]
    own: MeterOptions,
    /// The number of the other meter
    #[arg(long, value_name = "METER")]
    with: u32,
    /// The market's number
    #[arg(long, value_parser = market)]
    market: MarketId,
    /// Start of delivery as it is now, RFC 3339 with an offset
    #[arg(long, value_parser = instant, value_name = "TIME")]
    at: Timestamp,
    /// Length of the slot in minutes [default: the market's, or 15 without --data-dir]
    #[arg(long)]
    minutes: Option<u16>,
    /// Whether the own meter takes energy or gives it
    #[arg(long, value_enum)]
    side: SideOption,
    /// Price per kWh, which stays
    #[arg(long, value_parser = price, allow_hyphen_values = true)]
    price: Price,
    /// How much it is now, with its unit, such as 2.5kWh
    #[arg(long, value_parser = energy, value_name = "QUANTITY")]
    of: Energy,
    /// The version of the contract that is changed, as `contract show` says
    #[arg(long, default_value_t = FIRST_VERSION)]
    version: u32,
    /// Cancel the contract
    #[arg(long, conflicts_with_all = ["quantity", "slot"])]
    cancel: bool,
    /// How much it is to be [default: as much as now]
    #[arg(long, value_parser = energy)]
    quantity: Option<Energy>,
    /// When delivery is to start [default: when it does now]
    #[arg(long, value_parser = instant, value_name = "TIME")]
    slot: Option<Timestamp>,
    /// Another number for every change of the contract [default: that of the request]
    #[arg(long)]
    reference: Option<u64>,
    /// Last instant at which it can be accepted, RFC 3339 [default: in a day]
    #[arg(long, value_parser = instant, value_name = "TIME")]
    expires: Option<Timestamp>,
}

/// Options of `contract accept`.
#[derive(Debug, Args)]
pub struct AcceptOptions {
    /// The exchange's number of the offer
    offer: u64,
    #[command(flatten)]
    request: RequestOptions,
    #[command(flatten)]
    own: MeterOptions,
}

/// Options of `contract decline` and `contract withdraw`.
#[derive(Debug, Args)]
pub struct EndOptions {
    /// The exchange's number of the offer
    offer: u64,
    #[command(flatten)]
    request: RequestOptions,
}

/// Options of `contract list`.
#[derive(Debug, Args)]
pub struct ListOptions {
    #[command(flatten)]
    server: ServerOptions,
    /// The shard to ask, from 1
    #[arg(long, default_value_t = 1)]
    shard: u8,
    /// Those that are no longer open, too
    #[arg(long)]
    all: bool,
    /// How it is printed
    #[arg(long, value_enum, default_value = "human")]
    output: Format,
}

/// What became of a request.
#[derive(Debug, Serialize)]
struct AnswerRow {
    offer: u64,
    state: &'static str,
    contract: Option<u64>,
    client_order: u64,
    seq: u64,
    time: String,
}

/// An offer as a platform is told of it. Of its own, the exchange does not repeat the terms.
#[derive(Debug, Default, Serialize)]
struct OfferRow {
    offer: u64,
    /// `contract` or `change`; of an own offer that was not agreed on it is not known.
    what: Option<&'static str>,
    role: &'static str,
    state: &'static str,
    contract: Option<u64>,
    /// The contract that is to be changed.
    changes: Option<u64>,
    client_order: Option<u64>,
    market: Option<u16>,
    slot_start: Option<String>,
    buyer: Option<u32>,
    seller: Option<u32>,
    price: Option<String>,
    quantity_wh: Option<u64>,
    new_slot_start: Option<String>,
    new_quantity_wh: Option<u64>,
    version: Option<u32>,
    expires: Option<String>,
}

/// Carries the command out.
///
/// # Errors
/// Code 1 where the exchange refuses, 2 for a wrong command line, 3 for keys and configuration, 4 for
/// evidence that does not hold, 6 where the exchange does not answer or does not take us for who we
/// are.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Offer(options) => offer(options),
        Command::Modify(options) => modify(options),
        Command::Accept(options) => accept(options),
        Command::Decline(options) => end(options, decline_contract),
        Command::Withdraw(options) => end(options, withdraw_contract),
        Command::List(options) => list(options),
        Command::Show(options) => contract_file::show(options),
        Command::Verify(options) => contract_file::verify(options),
    }
}

impl RequestOptions {
    fn client_order(&self) -> Result<ClientOrderId, Failure> {
        connect::client_order(self.client_order)
    }
}

impl MeterOptions {
    fn key(&self, server: &ServerOptions) -> Result<ed25519_dalek::SigningKey, Failure> {
        meter_key(server, self.meter, self.meter_key.as_deref())
    }
}

fn offer(options: &OfferOptions) -> Result<(), Failure> {
    let OfferOptions { request, own, market, .. } = options;
    let config = request.server.config()?;
    let minutes = request.server.slot_minutes(config.as_ref(), *market, options.minutes)?;
    let key = slot_key(*market, options.slot, minutes)?;
    let client_order = request.client_order()?;
    let (meter, other) = (MeterId::new(own.meter), MeterId::new(options.with));
    let side = Side::from(options.side);
    let (buyer, seller) = match side {
        Side::Buy => (meter, other),
        Side::Sell => (other, meter),
    };
    let terms = ContractTerms {
        key,
        buyer,
        seller,
        price: options.price,
        quantity: options.quantity,
        reference: options.reference.unwrap_or_else(|| client_order.get()),
        expires: options.expires.unwrap_or_else(|| Clock::System.now().plus_ns(OFFER_NS)),
    };
    let message = offer_contract(&own.key(&request.server)?, client_order, side, terms);
    let shard = shard_of_slot(options.shard, config.as_ref(), key)?;
    let shards = match shard {
        Some(shard) => vec![shard],
        // One that the slot is not of does nothing.
        None => (0..).map_while(ShardId::new).collect(),
    };
    let request = (request, config.as_ref(), client_order);
    send(request, &shards, None, async |_| Ok(Some(message)))
}

fn modify(options: &ModifyOptions) -> Result<(), Failure> {
    let ModifyOptions { request, own, market, .. } = options;
    let config = request.server.config()?;
    let minutes = request.server.slot_minutes(config.as_ref(), *market, options.minutes)?;
    let key = slot_key(*market, options.at, minutes)?;
    let new_key = options.slot.map(|start| slot_key(*market, start, minutes)).transpose()?;
    let client_order = request.client_order()?;
    let (meter, other) = (MeterId::new(own.meter), MeterId::new(options.with));
    let side = Side::from(options.side);
    let (buyer, seller) = match side {
        Side::Buy => (meter, other),
        Side::Sell => (other, meter),
    };
    let quantity = options.quantity.unwrap_or(options.of);
    let terms = AmendmentTerms {
        trade: TradeId::new(options.contract),
        version: options.version,
        key,
        buyer,
        seller,
        price: options.price,
        quantity: options.of,
        new_slot: new_key.unwrap_or(key).slot,
        new_quantity: if options.cancel { Energy::ZERO } else { quantity },
        reference: options.reference.unwrap_or_else(|| client_order.get()),
        expires: options.expires.unwrap_or_else(|| Clock::System.now().plus_ns(OFFER_NS)),
    };
    let message = offer_amendment(&own.key(&request.server)?, client_order, side, terms);
    // A trade's number carries its shard.
    let shard = ShardId::of_number(options.contract).filter(|_| options.contract > 0);
    let contract = options.contract;
    let none = || Failure::usage(format!("{contract} is no number of a contract"));
    let shards = [shard.ok_or_else(none)?];
    let request = (request, config.as_ref(), client_order);
    send(request, &shards, None, async |_| Ok(Some(message)))
}

fn accept(options: &AcceptOptions) -> Result<(), Failure> {
    let AcceptOptions { offer, request, own } = options;
    let config = request.server.config()?;
    let key = own.key(&request.server)?;
    let client_order = request.client_order()?;
    let shards = [shard_of_offer(*offer)?];
    let request = (request, config.as_ref(), client_order);
    // What is signed is what the platform was invited to.
    send(request, &shards, FROM_THE_BEGINNING, async |session| {
        let known = told_of(session).await?;
        let invitation = known.get(&OfferId::new(*offer)).and_then(|known| known.invitation);
        Ok(invitation.map(|invitation| invitation.accepted(&key, client_order)))
    })
}

fn end(
    options: &EndOptions,
    message: impl Fn(ClientOrderId, OfferId) -> Inbound,
) -> Result<(), Failure> {
    let EndOptions { offer, request } = options;
    let config = request.server.config()?;
    let client_order = request.client_order()?;
    let message = message(client_order, OfferId::new(*offer));
    let shards = [shard_of_offer(*offer)?];
    let request = (request, config.as_ref(), client_order);
    send(request, &shards, None, async |_| Ok(Some(message)))
}

fn list(options: &ListOptions) -> Result<(), Failure> {
    let config = options.server.config()?;
    let connector = options.server.connector(config.as_ref())?;
    let shard = shard_of_number(options.shard)?;
    let known = block_on(async {
        let failed = |error: ClientError| client_failure(&error, connector.address);
        let mut session = open(&connector, shard, FROM_THE_BEGINNING).await.map_err(failed)?;
        let known = told_of(&mut session).await.map_err(failed)?;
        session.log_out().await.map_err(failed)?;
        Ok(known)
    })?;
    let wanted = |row: &OfferRow| options.all || row.state == state_name(ContractState::Open);
    let rows: Vec<_> = known.iter().flat_map(rows).filter(wanted).collect();
    output::print_rows(&rows, options.output)
}

/// What a platform was told of an offer.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    invitation: Option<Invitation>,
    /// The last report, as the one who offered and as the other side.
    reports: [Option<ContractReport>; 2],
    /// Which side offered, where the platform knows it.
    offered_by: Option<Side>,
}

/// What a platform is invited to.
#[derive(Debug, Clone, Copy)]
enum Invitation {
    Contract(ContractInvitation),
    Change(AmendmentInvitation),
}

impl Invitation {
    fn accepted(&self, key: &ed25519_dalek::SigningKey, client_order: ClientOrderId) -> Inbound {
        match self {
            Self::Contract(invitation) => accept_contract(key, client_order, invitation),
            Self::Change(invitation) => accept_amendment(key, client_order, invitation),
        }
    }

    /// What is offered, in a row.
    fn row(&self) -> OfferRow {
        match self {
            Self::Contract(ContractInvitation { terms, .. }) => OfferRow {
                what: Some("contract"),
                market: Some(terms.key.market.get()),
                slot_start: Some(slot_text(terms.key)),
                buyer: Some(terms.buyer.get()),
                seller: Some(terms.seller.get()),
                price: Some(price_text(terms.price)),
                quantity_wh: Some(terms.quantity.wh()),
                expires: Some(instant_text(terms.expires)),
                ..OfferRow::default()
            },
            Self::Change(AmendmentInvitation { terms, .. }) => OfferRow {
                what: Some("change"),
                changes: Some(terms.trade.get()),
                market: Some(terms.key.market.get()),
                slot_start: Some(slot_text(terms.key)),
                buyer: Some(terms.buyer.get()),
                seller: Some(terms.seller.get()),
                price: Some(price_text(terms.price)),
                quantity_wh: Some(terms.quantity.wh()),
                new_slot_start: Some(slot_text(terms.new_key())),
                new_quantity_wh: Some(terms.new_quantity.wh()),
                version: Some(terms.version),
                expires: Some(instant_text(terms.expires)),
                ..OfferRow::default()
            },
        }
    }
}

/// A session that resumes here is told everything again.
const FROM_THE_BEGINNING: Option<ResumePoint> = Some(ResumePoint { seq: Seq::ZERO, reports: 0 });

async fn open(
    connector: &Connector,
    shard: ShardId,
    resume: Option<ResumePoint>,
) -> Result<TradingSession, ClientError> {
    let logon = Logon { resume, ..Logon::new(HEARTBEAT_MS, shard) };
    TradingSession::log_on(connector, logon).await
}

/// Reads what a session is told again, as far as it is of contracts.
async fn told_of(session: &mut TradingSession) -> Result<BTreeMap<OfferId, Known>, ClientError> {
    let mut known: BTreeMap<OfferId, Known> = BTreeMap::new();
    loop {
        let message = session.receiver.next().await?;
        if let Outbound::ContractInvitation(invitation) = message {
            let known = known.entry(invitation.offer).or_default();
            known.invitation = Some(Invitation::Contract(invitation));
            known.offered_by = Some(invitation.offered_by);
        } else if let Outbound::AmendmentInvitation(invitation) = message {
            let known = known.entry(invitation.offer).or_default();
            known.invitation = Some(Invitation::Change(invitation));
            known.offered_by = Some(invitation.offered_by);
        } else if let Outbound::ContractReport(report) = message {
            if report.offer.get() == 0 {
                continue; // A refusal.
            }
            let known = known.entry(report.offer).or_default();
            if report.state == ContractState::Open && known.offered_by.is_none() {
                known.offered_by = report.side;
            }
            let is_other = report.side != known.offered_by;
            if let Some(place) = known.reports.get_mut(usize::from(is_other)) {
                *place = Some(report);
            }
        } else if let Outbound::ResumeComplete(_) = message {
            return Ok(known);
        } else if let Outbound::GoingAway(_) = message {
            return Err(ClientError::Ended);
        }
    }
}

/// A row for each part that the platform has in an offer.
fn rows((offer, known): (&OfferId, &Known)) -> Vec<OfferRow> {
    let row = |role, report: Option<ContractReport>| OfferRow {
        offer: offer.get(),
        role,
        state: state_name(report.map_or(ContractState::Open, |report| report.state)),
        contract: report.map(|report| report.trade.get()).filter(|&trade| trade > 0),
        client_order: report.map(|report| report.client_order.get()).filter(|&number| number > 0),
        ..known.invitation.map_or_else(OfferRow::default, |invitation| invitation.row())
    };
    let [own, other] = known.reports;
    let offered = own.map(|report| row("offered", Some(report)));
    let invited = known.invitation.map(|_| row("invited", other));
    offered.into_iter().chain(invited).collect()
}

/// Opens a session at the shard, makes the request there, and prints its answer. Of several shards,
/// each is asked until one is that of the slot.
fn send(
    (request, config, client_order): (&RequestOptions, Option<&Config>, ClientOrderId),
    shards: &[ShardId],
    resume: Option<ResumePoint>,
    make: impl AsyncFn(&mut TradingSession) -> Result<Option<Inbound>, ClientError>,
) -> Result<(), Failure> {
    let connector = request.server.connector(config)?;
    block_on(async {
        let failed = |error: ClientError| client_failure(&error, connector.address);
        for &shard in shards {
            let mut session = open(&connector, shard, resume).await.map_err(failed)?;
            let last = session.accepted.last_shard;
            let message = make(&mut session).await.map_err(failed)?;
            let message = message.ok_or_else(|| refusal(RejectReason::UnknownOffer))?;
            session.sender.send(&[message]).await.map_err(failed)?;
            match answer(&mut session, client_order).await.map_err(failed)? {
                Ok(report) => {
                    session.log_out().await.map_err(failed)?;
                    return output::print_rows(&[answer_row(&report)], request.output);
                }
                Err(RejectReason::WrongShard) if shards.len() > 1 && shard < last => {}
                Err(reason) => return Err(refusal(reason)),
            }
        }
        Err(refusal(RejectReason::WrongShard))
    })
}

/// The report that answers a request, or why it was refused.
async fn answer(
    session: &mut TradingSession,
    client_order: ClientOrderId,
) -> Result<Result<ContractReport, RejectReason>, ClientError> {
    loop {
        let message = session.receiver.next().await?;
        if let Outbound::ContractReport(report) = message
            && report.client_order == client_order
        {
            return Ok(match RejectReason::from_code(report.reason) {
                Some(reason) => Err(reason),
                None => Ok(report),
            });
        }
        if let Outbound::MessageRejected(rejected) = message {
            return Ok(Err(rejected.reason));
        }
        if let Outbound::GoingAway(_) = message {
            return Ok(Err(RejectReason::GoingAway));
        }
    }
}

fn answer_row(report: &ContractReport) -> AnswerRow {
    AnswerRow {
        offer: report.offer.get(),
        state: state_name(report.state),
        contract: Some(report.trade.get()).filter(|&trade| trade > 0),
        client_order: report.client_order.get(),
        seq: report.seq.get(),
        time: instant_text(report.time),
    }
}

const fn state_name(state: ContractState) -> &'static str {
    match state {
        ContractState::Open => "open",
        ContractState::Agreed => "agreed",
        ContractState::Declined => "declined",
        ContractState::Withdrawn => "withdrawn",
        ContractState::Expired => "expired",
        ContractState::GateClosed => "gate_closed",
        ContractState::Killed => "killed",
        ContractState::Busted => "busted",
        ContractState::OfferRefused
        | ContractState::AcceptRefused
        | ContractState::DeclineRefused
        | ContractState::WithdrawRefused => "refused",
    }
}

fn shard_of_offer(offer: u64) -> Result<ShardId, Failure> {
    ShardId::of_number(offer)
        .filter(|_| offer > 0)
        .ok_or_else(|| Failure::usage(format!("{offer} is no number of an offer")))
}
