//! The requests of an exchange's log, sent to a running exchange in the names of its platforms.
//!
//! The log is applied to an engine of its own first, which knows what its order numbers stand for; the
//! running exchange gives other numbers. A request about an order waits until the number is known, and
//! what the platform asked after it waits behind it: the order of its requests stays what it was.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ::replay::import::{CommandRows, Format, JournalRows, Row, RowError, Rows};
use ed25519_dalek::SigningKey;
use engine::Engine;
use gateway::{
    Identity, authority,
    client::{self, ClientError, Connector, TradingSession},
    identity,
};
use hdrhistogram::Histogram;
use tokio::{sync::mpsc, task::JoinSet, time::Instant};
use types::{
    ClientOrderId, Command, DelegatedOrder, DelegatedReplace, DeliverySlot, Energy, Event, MeterId,
    NewOrder, OrderId, OrderRequest, Party, PlatformId, RejectReason, ReplaceOrder, Role,
    SignedNewOrder, SignedReplaceOrder, SlotKey, Timestamp,
};
use wire::{Inbound, Outbound, inbound::Empty, outbound::ExecType};

use crate::exit::{Failure, Kind};

/// Longest silence a session promises; answers are waited for less long.
const HEARTBEAT_MS: u32 = 60_000;
/// Silence after which a session says that it is there.
const SILENCE: Duration = Duration::from_secs(20);
/// How long answers are waited for after the last request was sent.
const GRACE: Duration = Duration::from_secs(10);
/// Messages handed to the network at a time.
const BATCH_MESSAGES: usize = 256;
/// Longest latency that is told apart: a minute.
const LATENCY_US_MAX: u64 = 60_000_000;
/// Requests of a session without an answer: half of what may wait for a verifier.
const WAITING_MAX: usize = 1_024;
const DAY_NS: i64 = 86_400_000_000_000;
const DAY_MINUTES: i64 = 1_440;

/// Where requests go, and how.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) address: SocketAddr,
    pub(super) server_name: String,
    /// Certificates and keys of platforms, signing keys of meters, `ca.crt`.
    pub(super) keys: PathBuf,
    /// Delivery slots and validity are moved by so many days.
    pub(super) shift_days: i64,
    /// So many times as fast as it happened; `None` is as fast as the exchange takes them.
    pub(super) speed: Option<u32>,
    pub(super) from: Option<Timestamp>,
    pub(super) to: Option<Timestamp>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) rows: u64,
    pub(super) sessions: usize,
    pub(super) sent: u64,
    pub(super) accepted: u64,
    /// Refused requests by reason.
    pub(super) rejected: BTreeMap<&'static str, u64>,
    pub(super) unanswered: u64,
    /// Rows that were not sent, by reason.
    pub(super) left_out: BTreeMap<&'static str, u64>,
    /// From when a request was due to its first answer, in microseconds.
    pub(super) latencies: Histogram<u64>,
    pub(super) elapsed: Duration,
}

/// A request of the log.
#[derive(Debug)]
struct Request {
    /// Nanoseconds since 1970, in the log.
    time: i64,
    number: ClientOrderId,
    ask: Ask,
}

#[derive(Debug)]
enum Ask {
    /// As it is.
    Whole(Inbound),
    /// About the order that the platform sent under this number.
    About(ClientOrderId, About),
}

#[derive(Debug, Clone, Copy)]
enum About {
    Cancel,
    Reduce(Energy),
    Hibernate,
    Activate,
    Ask,
    Replace(ReplaceOrder),
}

type Keys = BTreeMap<MeterId, SigningKey>;

/// The requests of a log, by platform.
#[derive(Debug, Default)]
struct Plan {
    rows: u64,
    requests: BTreeMap<PlatformId, Vec<Request>>,
    left_out: BTreeMap<&'static str, u64>,
    /// Codes of meters, as they were registered.
    codes: BTreeMap<MeterId, String>,
    keys: Keys,
    /// What the platforms call the orders that the log's exchange numbered.
    orders: BTreeMap<OrderId, ClientOrderId>,
}

/// Sends what the log at `path` asks.
pub(super) fn run(path: &Path, format: Format, target: &Target) -> Result<Outcome, Failure> {
    let plan = Plan::read(path, format, target)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(Failure::runtime)?;
    runtime.block_on(drive(plan, target))
}

fn count(counts: &mut BTreeMap<&'static str, u64>, reason: &'static str) {
    let count = counts.entry(reason).or_default();
    *count = count.saturating_add(1);
}

impl Plan {
    fn read(path: &Path, format: Format, target: &Target) -> Result<Self, Failure> {
        let mut rows: Box<dyn Rows> = match format {
            Format::Journal => {
                let shard = ::replay::shards(path).into_iter().next();
                let journal = shard.map_or_else(|| path.to_owned(), |shard| shard.journal);
                Box::new(JournalRows::open(&journal).map_err(read_failure)?)
            }
            Format::Commands => Box::new(CommandRows::open(path).map_err(read_failure)?),
            Format::Csv
            | Format::Ndjson
            | Format::Flow
            | Format::Lobster
            | Format::Itch
            | Format::Dbn => {
                return Err(Failure::usage(
                    "the log of another venue has none of the exchange's meters and slots; only an \
                     exchange's own log can be sent with --quic",
                ));
            }
        };
        let mut plan = Self::default();
        let mut engine = Engine::new(crate::shard::limits(types::ShardId::FIRST));
        let mut events = Vec::new();
        while let Some(row) = rows.next_row() {
            plan.rows = plan.rows.saturating_add(1);
            let Row::Command(mut command) = row.map_err(read_failure)? else { continue };
            let time = command.time;
            if target.to.is_some_and(|to| time > to) {
                break;
            }
            if target.from.is_none_or(|from| time >= from) {
                plan.add(&command.value, time, target)?;
            }
            command.seq = engine.last_seq().next();
            command.time = time.max(engine.last_time().plus_ns(1));
            events.clear();
            engine.apply(&command, &mut events);
            for event in &events {
                if let Event::OrderAccepted(accepted) = event {
                    plan.orders.insert(accepted.order, accepted.client_order);
                }
            }
        }
        Ok(plan)
    }

    /// Takes a command into the plan, if a platform sent it.
    fn add(&mut self, command: &Command, time: Timestamp, target: &Target) -> Result<(), Failure> {
        let Some((platform, number, ask)) = self.ask(command, target)? else {
            count(&mut self.left_out, "not_a_request");
            return Ok(());
        };
        let request = Request { time: time.ns(), number, ask };
        self.requests.entry(platform).or_default().push(request);
        Ok(())
    }

    /// Where an order stands: by the exchange's number, which is another one here, or by the platform's.
    fn question(&mut self, request: OrderRequest) -> (PlatformId, ClientOrderId, Ask) {
        let number = request.client_order;
        let ask = if request.order.get() == 0 {
            Ask::Whole(client::ask_status(number, request.order))
        } else {
            self.about(request.order, About::Ask)
        };
        (request.origin.platform, number, ask)
    }

    #[expect(clippy::too_many_lines, reason = "an arm for each kind")]
    fn ask(
        &mut self,
        command: &Command,
        target: &Target,
    ) -> Result<Option<(PlatformId, ClientOrderId, Ask)>, Failure> {
        let days = target.shift_days;
        Ok(Some(match *command {
            Command::NewOrder(SignedNewOrder { origin, order, .. })
            // There is a key for its meter; a frame of the same orders would need a delegation first.
            | Command::DelegatedOrder(DelegatedOrder { origin, order }) => {
                let order = shifted_order(order, days)?;
                let signed_again = client::sign_new(self.key(order.meter, &target.keys)?, order);
                (origin.platform, order.client_order, Ask::Whole(signed_again))
            }
            Command::ValidateOrder(SignedNewOrder { origin, order, .. }) => {
                let order = shifted_order(order, days)?;
                let key = self.key(order.meter, &target.keys)?;
                let ask = Ask::Whole(client::sign_validation(key, order));
                (origin.platform, order.client_order, ask)
            }
            Command::ReplaceOrder(SignedReplaceOrder { origin, replace, .. })
            | Command::DelegatedReplace(DelegatedReplace { origin, replace }) => {
                let mut replace = replace;
                replace.valid_until = shifted(replace.valid_until, days);
                self.key(replace.meter, &target.keys)?;
                let ask = self.about(replace.order, About::Replace(replace));
                (origin.platform, replace.client_order, ask)
            }
            Command::ReduceOrder(reduce) => {
                let ask = self.about(reduce.order, About::Reduce(reduce.by));
                (reduce.origin.platform, reduce.client_order, ask)
            }
            Command::CancelOrder(request) => {
                let ask = self.about(request.order, About::Cancel);
                (request.origin.platform, request.client_order, ask)
            }
            Command::HibernateOrder(request) => {
                let ask = self.about(request.order, About::Hibernate);
                (request.origin.platform, request.client_order, ask)
            }
            Command::ActivateOrder(request) => {
                let ask = self.about(request.order, About::Activate);
                (request.origin.platform, request.client_order, ask)
            }
            Command::AskOrder(request) => self.question(request),
            Command::MassCancel(request) => {
                let Some(origin) = request.origin else { return Ok(None) };
                let slot = request.slot.map(|key| shifted_key(key, days)).transpose()?;
                let ask = client::mass_cancel(request.client_order, request.scope, slot);
                (origin.platform, request.client_order, Ask::Whole(ask))
            }
            Command::RegisterMeter(meter) => {
                self.codes.insert(meter.meter, meter.code.as_str().to_owned());
                return Ok(None);
            }
            Command::DefineMarket(_)
            | Command::RegisterParty(_)
            | Command::SetControls(_)
            | Command::OpenSlot(_)
            | Command::FreezeSlot(_)
            | Command::UncrossSlot(_)
            | Command::CloseSlot(_)
            | Command::SetTrading(_)
            | Command::SetCredit(_)
            | Command::ReleaseCredit(_)
            | Command::NotePlace(_)
            | Command::SetGridLimit(_)
            | Command::Operate(_)
            | Command::BustTrade(_)
            | Command::DraftMarket(_)
            | Command::DelegateMeter(_)
            | Command::RevokeDelegation(_)
            | Command::SignedFrame(_)
            // An agreement names the number of an offer, which another exchange gives anew.
            | Command::OfferContract(_)
            | Command::AcceptContract(_)
            | Command::DeclineContract(_)
            | Command::WithdrawContract(_)
            | Command::OfferAmendment(_)
            | Command::AcceptAmendment(_)
            // Nor are platforms' keys at hand, and its members' delegations were not entered.
            | Command::AggregateMembers(_)
            | Command::NewAggregateOrder(_)
            | Command::PassTime => return Ok(None),
        }))
    }

    /// A request about an order; one that the log's exchange did not know keeps its number.
    fn about(&self, order: OrderId, about: About) -> Ask {
        let unknown = ClientOrderId::new(u64::MAX);
        Ask::About(self.orders.get(&order).copied().unwrap_or(unknown), about)
    }

    fn key(&mut self, meter: MeterId, keys: &Path) -> Result<&SigningKey, Failure> {
        let code = self.codes.get(&meter);
        match self.keys.entry(meter) {
            std::collections::btree_map::Entry::Occupied(known) => Ok(known.into_mut()),
            std::collections::btree_map::Entry::Vacant(unknown) => {
                let code = code.ok_or_else(|| {
                    Failure::usage(format!("the log does not register meter {meter}"))
                })?;
                let path = keys.join(format!("{code}.signing.key"));
                let key = identity::load_signing_key(&path).map_err(Failure::config)?;
                Ok(unknown.insert(key))
            }
        }
    }
}

fn shifted(time: Timestamp, days: i64) -> Timestamp {
    // What has no end keeps none, and what is not there stays so.
    if time.ns() == 0 { time } else { time.plus_ns(days.saturating_mul(DAY_NS)) }
}

fn shifted_key(key: SlotKey, days: i64) -> Result<SlotKey, Failure> {
    let start = i64::from(key.slot.start_minute()).saturating_add(days.saturating_mul(DAY_MINUTES));
    let slot = u32::try_from(start)
        .ok()
        .and_then(|start| DeliverySlot::new(start, key.slot.minutes()).ok());
    let slot = slot.ok_or_else(|| Failure::usage("--shift-days moves slots out of all time"))?;
    Ok(SlotKey { slot, ..key })
}

fn shifted_order(order: NewOrder, days: i64) -> Result<NewOrder, Failure> {
    let mut order = order;
    order.key = shifted_key(order.key, days)?;
    order.valid_until = shifted(order.valid_until, days);
    order.conditions.expires = shifted(order.conditions.expires, days);
    Ok(order)
}

fn read_failure(error: RowError) -> Failure {
    match error {
        RowError::Journal(error) => Failure::journal(&error),
        error @ (RowError::Bad(_) | RowError::Broken(_) | RowError::Read { .. }) => {
            Failure::new(Kind::Usage, &error)
        }
    }
}

async fn drive(plan: Plan, target: &Target) -> Result<Outcome, Failure> {
    let Plan { rows, requests, mut left_out, keys, .. } = plan;
    let keys = Arc::new(keys);
    let first = requests.values().filter_map(|requests| requests.first()).map(|one| one.time).min();
    let authority =
        identity::load_certificates(&target.keys.join("ca.crt")).map_err(Failure::config)?;
    let mut open = Vec::new();
    for (platform, requests) in requests {
        let party = Party { role: Role::Platform, number: platform.get() };
        let identity = Identity::load(&target.keys, &authority::file_name(party));
        let connector = Connector {
            address: target.address,
            server_name: target.server_name.clone(),
            identity: identity.map_err(Failure::config)?,
            authority: authority.clone(),
        };
        let session = TradingSession::open(&connector, HEARTBEAT_MS).await;
        open.push((session.map_err(Failure::runtime)?, requests));
    }
    let pace = Pace { began: Instant::now(), first: first.unwrap_or(0), speed: target.speed };
    let sessions = open.len();
    let mut running = JoinSet::new();
    for (session, requests) in open {
        let driven = Session::new(requests, pace, Arc::clone(&keys)).map_err(Failure::runtime)?;
        running.spawn(driven.run(session));
    }
    let latencies = Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).map_err(Failure::runtime)?;
    let mut tally = Tally::new(latencies);
    while let Some(ended) = running.join_next().await {
        tally.add(ended.map_err(Failure::runtime)?.map_err(Failure::runtime)?);
    }
    for (reason, more) in tally.left_out {
        let count = left_out.entry(reason).or_default();
        *count = more.saturating_add(*count);
    }
    Ok(Outcome {
        rows,
        sessions,
        sent: tally.sent,
        accepted: tally.accepted,
        rejected: tally.rejected,
        unanswered: tally.unanswered,
        left_out,
        latencies: tally.latencies,
        elapsed: pace.began.elapsed(),
    })
}

/// When requests are due.
#[derive(Debug, Clone, Copy)]
struct Pace {
    began: Instant,
    /// Time of the first request of all, in the log.
    first: i64,
    speed: Option<u32>,
}

impl Pace {
    fn due(&self, time: i64) -> Instant {
        let Some(speed) = self.speed else { return self.began };
        let since = u64::try_from(time.saturating_sub(self.first)).unwrap_or(0);
        let since = Duration::from_nanos(since.div_euclid(u64::from(speed.max(1))));
        self.began.checked_add(since).unwrap_or(self.began)
    }
}

#[derive(Debug)]
struct Tally {
    sent: u64,
    accepted: u64,
    rejected: BTreeMap<&'static str, u64>,
    unanswered: u64,
    left_out: BTreeMap<&'static str, u64>,
    latencies: Histogram<u64>,
}

impl Tally {
    fn new(latencies: Histogram<u64>) -> Self {
        let (rejected, left_out) = (BTreeMap::new(), BTreeMap::new());
        Self { sent: 0, accepted: 0, rejected, unanswered: 0, left_out, latencies }
    }

    fn add(&mut self, other: Self) {
        self.sent = self.sent.saturating_add(other.sent);
        self.accepted = self.accepted.saturating_add(other.accepted);
        self.unanswered = self.unanswered.saturating_add(other.unanswered);
        for (mine, theirs) in
            [(&mut self.rejected, other.rejected), (&mut self.left_out, other.left_out)]
        {
            for (reason, more) in theirs {
                let count = mine.entry(reason).or_default();
                *count = count.saturating_add(more);
            }
        }
        // Both have the same bounds.
        self.latencies.add(other.latencies).ok();
    }
}

/// One platform's session while it runs.
#[derive(Debug)]
struct Session {
    requests: std::vec::IntoIter<Request>,
    next: Option<Request>,
    pace: Pace,
    keys: Arc<Keys>,
    /// Requests without an answer, and when they were due.
    waiting: BTreeMap<ClientOrderId, VecDeque<Instant>>,
    /// The exchange's numbers of orders.
    numbers: BTreeMap<ClientOrderId, OrderId>,
    outgoing: Vec<Inbound>,
    tally: Tally,
}

impl Session {
    fn new(
        requests: Vec<Request>,
        pace: Pace,
        keys: Arc<Keys>,
    ) -> Result<Self, hdrhistogram::CreationError> {
        let mut requests = requests.into_iter();
        let next = requests.next();
        Ok(Self {
            requests,
            next,
            pace,
            keys,
            waiting: BTreeMap::new(),
            numbers: BTreeMap::new(),
            outgoing: Vec::new(),
            tally: Tally::new(Histogram::new_with_bounds(1, LATENCY_US_MAX, 3)?),
        })
    }

    /// Sends what is due and takes what comes, until everything is answered or nothing came for long.
    async fn run(mut self, session: TradingSession) -> Result<Tally, ClientError> {
        let TradingSession { mut sender, mut receiver, .. } = session;
        let (batches, mut taken) = mpsc::channel::<Vec<Inbound>>(4);
        // Sending waits while the exchange reads no more; its answers must be read meanwhile.
        let sending = tokio::spawn(async move {
            while let Some(batch) = taken.recv().await {
                sender.send(&batch).await?;
            }
            Ok::<_, ClientError>(sender)
        });
        let mut last_sent = Instant::now();
        loop {
            self.take_due(Instant::now());
            let is_sent = self.next.is_none() && self.outgoing.is_empty();
            if is_sent && self.waiting.is_empty() {
                break;
            }
            let is_held = self.is_held();
            let wake = match &self.next {
                Some(request) if !is_held => self.pace.due(request.time).min(last_sent + SILENCE),
                Some(_) | None => last_sent + GRACE,
            };
            tokio::select! {
                message = receiver.next() => self.observe(&message?),
                permit = batches.reserve(), if !self.outgoing.is_empty() => {
                    // Without a receiver the sending half has failed, and says why below.
                    let Ok(permit) = permit else { break };
                    permit.send(std::mem::take(&mut self.outgoing));
                    last_sent = Instant::now();
                }
                () = tokio::time::sleep_until(wake), if self.outgoing.is_empty() => {
                    if self.next.is_none() || is_held {
                        break;
                    }
                    if last_sent.elapsed() >= SILENCE {
                        self.outgoing.push(Inbound::Heartbeat(Empty));
                    }
                }
            }
        }
        drop(batches);
        // A panic of the other half is a bug there; a lost connection is its answer.
        if let Ok(sent) = sending.await {
            drop(sent?);
        }
        let unanswered: usize = self.waiting.values().map(VecDeque::len).sum();
        self.tally.unanswered = u64::try_from(unanswered).unwrap_or(u64::MAX);
        for _ in self.next.into_iter().chain(self.requests) {
            count(&mut self.tally.left_out, "not_reached");
        }
        Ok(self.tally)
    }

    /// Makes messages of the requests that are due.
    fn take_due(&mut self, now: Instant) {
        while self.outgoing.len() < BATCH_MESSAGES && !self.is_held() {
            let is_due =
                self.next.as_ref().is_some_and(|request| self.pace.due(request.time) <= now);
            let Some(Request { time, number, ask }) = self.next.take_if(|_| is_due) else { return };
            self.next = self.requests.next();
            let due = self.pace.due(time);
            match ask {
                Ask::Whole(message) => self.send(number, message, due),
                Ask::About(order, about) => self.send_about(order, number, about, due),
            }
        }
    }

    /// Whether the next request has to wait: for the number of the order it is about, since none overtakes
    /// it, or for answers, since the exchange would have no time for it.
    fn is_held(&self) -> bool {
        if self.waiting.len() >= WAITING_MAX {
            return true;
        }
        let Some(Request { ask: Ask::About(order, _), .. }) = &self.next else { return false };
        self.waiting.contains_key(order)
    }

    fn send_about(
        &mut self,
        order: ClientOrderId,
        number: ClientOrderId,
        about: About,
        due: Instant,
    ) {
        let known = self.numbers.get(&order).copied();
        match known.and_then(|order| self.message(order, number, about)) {
            Some(message) => self.send(number, message, due),
            None => count(&mut self.tally.left_out, "order_has_no_number"),
        }
    }

    fn message(&self, order: OrderId, number: ClientOrderId, about: About) -> Option<Inbound> {
        Some(match about {
            About::Cancel => client::cancel(number, order),
            About::Reduce(by) => client::reduce(number, order, by),
            About::Hibernate => client::hibernate(number, order),
            About::Activate => client::activate(number, order),
            About::Ask => client::ask_status(number, order),
            About::Replace(replace) => {
                let key = self.keys.get(&replace.meter)?;
                client::sign_replace(key, ReplaceOrder { order, ..replace })
            }
        })
    }

    fn send(&mut self, number: ClientOrderId, message: Inbound, due: Instant) {
        self.outgoing.push(message);
        self.waiting.entry(number).or_default().push_back(due);
        self.tally.sent = self.tally.sent.saturating_add(1);
    }

    /// Takes note of what the exchange says.
    fn observe(&mut self, message: &Outbound) {
        let (number, order, refused) = match message {
            Outbound::ExecutionReport(report) => {
                let Some(answer) = report.answer() else { return };
                let refused = answer.err().map(RejectReason::name);
                let is_new = matches!(report.exec_type, ExecType::New | ExecType::Status);
                (report.client_order, is_new.then_some(report.order), refused)
            }
            Outbound::MessageRejected(rejected) => {
                (rejected.client_order, None, Some(rejected.reason.name()))
            }
            Outbound::MassCancelled(done) => (done.client_order, None, None),
            Outbound::SessionAccepted(_)
            | Outbound::SessionRejected(_)
            | Outbound::Heartbeat(_)
            | Outbound::LoggedOut(_)
            | Outbound::GoingAway(_)
            | Outbound::TestReply(_)
            | Outbound::ContractReport(_)
            | Outbound::ContractInvitation(_)
            | Outbound::AmendmentInvitation(_)
            | Outbound::MembersReport(_)
            | Outbound::DelegationReport(_)
            | Outbound::ResumeComplete(_)
            | Outbound::ResumeTooOld(_)
            | Outbound::SessionLimits(_)
            | Outbound::Applied(_)
            | Outbound::DeadManSet(_) => return,
        };
        let Some(waiting) = self.waiting.get_mut(&number) else { return };
        let Some(due) = waiting.pop_front() else { return };
        if waiting.is_empty() {
            self.waiting.remove(&number);
        }
        let latency = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.tally.latencies.saturating_record(latency.max(1));
        match refused {
            None => self.tally.accepted = self.tally.accepted.saturating_add(1),
            Some(reason) => count(&mut self.tally.rejected, reason),
        }
        if let Some(order) = order {
            self.numbers.insert(number, order);
        }
    }
}
