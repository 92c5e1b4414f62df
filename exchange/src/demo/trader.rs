//! A simulated trade platform: signs orders for its meters, sends them over QUIC, and believes only
//! what the exchange reports.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Write},
    time::Instant,
};

use ed25519_dalek::SigningKey;
use gateway::client::{
    self, AggregateTerms, ClientError, Connector, TradingSession, sign_aggregate, sign_new,
    sign_replace,
};
use hdrhistogram::Histogram;
use types::{
    AmendmentTerms, ClientOrderId, Conditions, ContractTerms, Delegation, Energy, Member, MeterId,
    NewOrder, OfferId, OrderId, OrderKind, OrderList, PlatformId, Price, RejectReason,
    ReplaceOrder, Seq, ShardId, Side, SlotKey, TimeInForce, Timestamp, TradeId,
};
use wire::{
    Inbound, Outbound,
    inbound::Test,
    outbound::{
        AmendmentInvitation, ContractInvitation, ContractReport, ContractState, ExecType,
        ExecutionReport,
    },
};

/// Orders in one frame.
const FRAME_ORDERS: usize = 32;
/// Frames that may be unanswered: bounded, so that the exchange never has to say BUSY.
const FRAMES_UNANSWERED_MAX: usize = 4;
/// Heartbeat interval, the longest there is: a platform says nothing while settlement works, which steps back
/// for everything else on the machine.
const HEARTBEAT_MS: u32 = 60_000;

/// What a trader wants done.
#[derive(Debug, Clone, Copy)]
pub enum Intent {
    /// A new order.
    New {
        /// For whom.
        meter: MeterId,
        /// What.
        key: SlotKey,
        /// Which way.
        side: Side,
        /// How long.
        time_in_force: TimeInForce,
        /// Worst price.
        limit: Price,
        /// How much.
        quantity: Energy,
    },
    /// Another limit for a resting order.
    Replace {
        /// Which.
        order: OrderId,
        /// For whom.
        meter: MeterId,
        /// Its new limit.
        limit: Price,
        /// Its open quantity, as before.
        quantity: Energy,
    },
    /// No longer.
    Cancel {
        /// Which.
        order: OrderId,
    },
    /// A contract with another meter.
    Offer {
        /// Who offers, and signs.
        by: Side,
        /// What.
        terms: ContractTerms,
    },
    /// Agrees to a contract that was offered.
    Accept {
        /// Who agrees, and signs.
        meter: MeterId,
        /// To what.
        invitation: ContractInvitation,
    },
    /// A change of a contract with another meter.
    OfferChange {
        /// Who asks, and signs.
        by: Side,
        /// For what.
        terms: AmendmentTerms,
    },
    /// Agrees to a change that was asked for.
    AcceptChange {
        /// Who agrees, and signs.
        meter: MeterId,
        /// To what.
        invitation: AmendmentInvitation,
    },
    /// What a meter lets its platform do.
    Delegate {
        /// Signed by the meter.
        delegation: Delegation,
    },
    /// Does not agree to an offer of a contract or change.
    Decline {
        /// To which.
        offer: OfferId,
    },
}

/// A resting order as the platform knows it.
#[derive(Debug, Clone, Copy)]
pub struct Resting {
    /// For whom.
    pub meter: MeterId,
    /// What.
    pub key: SlotKey,
    /// Which way.
    pub side: Side,
    /// Its limit.
    pub limit: Price,
    /// Still open.
    pub leaves: Energy,
}

/// What a platform did and was told.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    /// New orders sent.
    pub orders: u64,
    /// Replacements and cancellations sent.
    pub changes: u64,
    /// Requests refused, but for those below.
    pub rejected: u64,
    /// Orders that a limit of the grid stopped.
    pub stopped: u64,
    /// Orders of meters that settlement suspended.
    pub suspended: u64,
}

/// An order for members of a community, with what became of it.
#[derive(Debug, Clone, Copy)]
pub struct Bundle {
    /// Its number.
    pub order: OrderId,
    /// Buy or sell.
    pub side: Side,
    /// What it is for.
    pub key: SlotKey,
    /// How many members it has.
    pub members: u64,
    /// How much, all members together.
    pub quantity: Energy,
    /// Trades of its members.
    pub fills: u64,
    /// How much they traded.
    pub filled: Energy,
}

/// What became of an answered offer, change or answer to one.
#[derive(Debug, Clone, Copy)]
pub struct Answered {
    /// Its number.
    pub offer: OfferId,
    /// What the exchange says.
    pub state: ContractState,
    /// The trade of an agreement.
    pub trade: TradeId,
}

/// What a platform has when the day is over.
#[derive(Debug)]
pub struct Record {
    /// What it did.
    pub counts: Counts,
    /// From sending a request to its durable answer, in nanoseconds.
    pub latency: Histogram<u64>,
    /// Its orders for communities, by number.
    pub bundles: Vec<Bundle>,
}

/// A request that waits for its answer.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    sent: Instant,
    /// Where a new order goes when it is accepted.
    key: Option<SlotKey>,
    /// How many members an order for a community has; 0 of other requests.
    members: u64,
}

/// Keys of meters, by meter number.
pub type MeterKeys = BTreeMap<MeterId, SigningKey>;

/// One platform with its session.
#[derive(Debug)]
pub struct Trader {
    /// Its orders that rest.
    pub resting: BTreeMap<OrderId, Resting>,
    /// What it did.
    pub counts: Counts,
    /// Position of the last command it was told of.
    pub last_seq: Seq,
    /// From sending a request to its durable answer, in nanoseconds.
    pub latency: Histogram<u64>,
    /// Contracts it is invited to, in the order they came.
    pub invitations: Vec<ContractInvitation>,
    /// Changes of contracts that it is asked for, in the order they came.
    pub change_invitations: Vec<AmendmentInvitation>,
    /// What became of its own requests about contracts, in the order of the answers.
    pub answered: Vec<Answered>,
    bundles: BTreeMap<OrderId, Bundle>,
    session: TradingSession,
    next_client_order: u64,
    waiting: BTreeMap<ClientOrderId, Waiting>,
    blotter: BufWriter<File>,
}

/// Why a platform cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TraderError {
    /// Its session.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Its own record.
    #[error("cannot write the blotter")]
    Blotter(#[from] io::Error),
    /// A meter of another platform: a mistake of the demo.
    #[error("the platform has no key of meter {0}")]
    UnknownMeter(MeterId),
    /// A histogram of impossible size.
    #[error("cannot measure latency: {0}")]
    Histogram(#[from] hdrhistogram::CreationError),
}

impl Trader {
    /// Connects and logs on at the shard it trades at. `blotter` takes a line for every report.
    ///
    /// # Errors
    /// When the exchange cannot be reached.
    pub async fn log_on(
        connector: &Connector,
        shard: ShardId,
        blotter: File,
    ) -> Result<Self, TraderError> {
        let session = TradingSession::open_at(connector, shard, HEARTBEAT_MS).await?;
        let mut blotter = BufWriter::new(blotter);
        writeln!(blotter, "report,client_order,order,trade,price,quantity,leaves")?;
        Ok(Self {
            resting: BTreeMap::new(),
            counts: Counts::default(),
            last_seq: Seq::ZERO,
            latency: Histogram::new_with_bounds(1_000, 60_000_000_000, 3)?,
            invitations: Vec::new(),
            change_invitations: Vec::new(),
            answered: Vec::new(),
            bundles: BTreeMap::new(),
            session,
            next_client_order: 1,
            waiting: BTreeMap::new(),
            blotter,
        })
    }

    /// Carries out intents and waits until each is answered.
    ///
    /// # Errors
    /// When the session is lost.
    pub async fn carry_out(
        &mut self,
        intents: &[Intent],
        keys: &MeterKeys,
        valid_until: Timestamp,
    ) -> Result<(), TraderError> {
        let unanswered_max = FRAME_ORDERS.saturating_mul(FRAMES_UNANSWERED_MAX);
        for chunk in intents.chunks(FRAME_ORDERS) {
            let mut frame = Vec::with_capacity(chunk.len());
            let mut asked = Vec::with_capacity(chunk.len());
            for intent in chunk {
                let client_order = ClientOrderId::new(self.next_client_order);
                self.next_client_order = self.next_client_order.saturating_add(1);
                frame.push(self.request(client_order, intent, keys, valid_until)?);
                let key = if let Intent::New { key, .. } = intent { Some(*key) } else { None };
                asked.push((client_order, key));
            }
            // Latency counts from here: signing is the meters' work, not the exchange's.
            let sent = Instant::now();
            self.waiting
                .extend(asked.into_iter().map(|(id, key)| (id, Waiting { sent, key, members: 0 })));
            self.session.sender.send(&frame).await?;
            while self.waiting.len() > unanswered_max {
                self.receive().await?;
            }
        }
        while !self.waiting.is_empty() {
            self.receive().await?;
        }
        Ok(())
    }

    /// Sends one order for members of the platform's community, and waits until it is answered.
    ///
    /// # Errors
    /// When the session is lost.
    pub async fn trade_for(
        &mut self,
        (platform, signer): (PlatformId, &SigningKey),
        terms: AggregateTerms,
        members: &[Member],
    ) -> Result<(), TraderError> {
        let client_order = ClientOrderId::new(self.next_client_order);
        self.next_client_order = self.next_client_order.saturating_add(1);
        self.counts.orders = self.counts.orders.saturating_add(1);
        let terms = AggregateTerms { client_order, ..terms };
        let messages = sign_aggregate((platform, signer), &terms, members);
        let members = u64::try_from(members.len()).unwrap_or(u64::MAX);
        let sent = Instant::now();
        self.waiting.insert(client_order, Waiting { sent, key: Some(terms.key), members });
        self.session.sender.send(&messages).await?;
        while !self.waiting.is_empty() {
            self.receive().await?;
        }
        Ok(())
    }

    /// Learns of everything the exchange has said so far.
    ///
    /// # Errors
    /// When the session is lost.
    pub async fn catch_up(&mut self) -> Result<(), TraderError> {
        let token = self.next_client_order;
        self.session.sender.send(&[Inbound::TestRequest(Test { token })]).await?;
        while !self.receive().await? {}
        self.blotter.flush()?;
        Ok(())
    }

    /// Logs out; late reports are written down.
    ///
    /// # Errors
    /// When the session is lost before the exchange's answer.
    pub async fn log_out(mut self) -> Result<Record, TraderError> {
        self.blotter.flush()?;
        self.session.log_out().await?;
        let Self { counts, latency, bundles, .. } = self;
        Ok(Record { counts, latency, bundles: bundles.into_values().collect() })
    }

    fn request(
        &mut self,
        client_order: ClientOrderId,
        intent: &Intent,
        keys: &MeterKeys,
        valid_until: Timestamp,
    ) -> Result<Inbound, TraderError> {
        let key_of = |meter: &MeterId| keys.get(meter).ok_or(TraderError::UnknownMeter(*meter));
        Ok(match *intent {
            Intent::New { meter, key, side, time_in_force, limit, quantity } => {
                self.counts.orders = self.counts.orders.saturating_add(1);
                let order = NewOrder {
                    client_order,
                    meter,
                    key,
                    side,
                    kind: OrderKind::Limit,
                    time_in_force,
                    limit,
                    quantity,
                    valid_until,
                    conditions: Conditions::NONE,
                    list: OrderList::NONE,
                };
                sign_new(key_of(&meter)?, order)
            }
            Intent::Replace { order, meter, limit, quantity } => {
                self.counts.changes = self.counts.changes.saturating_add(1);
                let replace =
                    ReplaceOrder { client_order, order, meter, limit, quantity, valid_until };
                sign_replace(key_of(&meter)?, replace)
            }
            Intent::Cancel { order } => {
                self.counts.changes = self.counts.changes.saturating_add(1);
                client::cancel(client_order, order)
            }
            Intent::Offer { by, ref terms } => {
                let key = key_of(&terms.meter(by))?;
                client::offer_contract(key, client_order, by, *terms)
            }
            Intent::Accept { meter, ref invitation } => {
                client::accept_contract(key_of(&meter)?, client_order, invitation)
            }
            Intent::OfferChange { by, ref terms } => {
                let key = key_of(&terms.meter(by))?;
                client::offer_amendment(key, client_order, by, *terms)
            }
            Intent::AcceptChange { meter, ref invitation } => {
                client::accept_amendment(key_of(&meter)?, client_order, invitation)
            }
            Intent::Delegate { delegation } => {
                client::sign_delegation(key_of(&delegation.meter)?, client_order, delegation)
            }
            Intent::Decline { offer } => client::decline_contract(client_order, offer),
        })
    }

    /// Takes one message. Returns whether it was the answer to a test request.
    async fn receive(&mut self) -> Result<bool, TraderError> {
        match self.session.receiver.next().await? {
            Outbound::ExecutionReport(report) => self.learn(&report)?,
            Outbound::ContractInvitation(invitation) => {
                self.last_seq = self.last_seq.max(invitation.seq);
                self.invitations.push(invitation);
            }
            Outbound::AmendmentInvitation(invitation) => {
                self.last_seq = self.last_seq.max(invitation.seq);
                self.change_invitations.push(invitation);
            }
            Outbound::ContractReport(report) => self.learn_of_contract(&report)?,
            Outbound::DelegationReport(report) => {
                self.answered(report.client_order);
                self.last_seq = self.last_seq.max(report.seq);
                self.refused(report.reason);
            }
            Outbound::MembersReport(report) => {
                // Of a page: what becomes of the order comes behind the last one.
                self.last_seq = self.last_seq.max(report.seq);
            }
            Outbound::MessageRejected(rejected) => {
                self.answered(rejected.client_order);
                self.refused(rejected.reason.code());
            }
            Outbound::TestReply(_) => return Ok(true),
            Outbound::GoingAway(_) | Outbound::LoggedOut(_) => {
                return Err(ClientError::Ended.into());
            }
            Outbound::Heartbeat(_) => {}
            // None of these is an answer to what a platform of the demo asks.
            Outbound::SessionAccepted(_)
            | Outbound::SessionRejected(_)
            | Outbound::SessionLimits(_)
            | Outbound::ResumeComplete(_)
            | Outbound::ResumeTooOld(_)
            | Outbound::Applied(_)
            | Outbound::DeadManSet(_)
            | Outbound::MassCancelled(_) => {
                return Err(ClientError::Unexpected.into());
            }
        }
        Ok(false)
    }

    /// Notes that a request is answered. Returns what was known of it.
    fn answered(&mut self, client_order: ClientOrderId) -> Option<Waiting> {
        let waiting = self.waiting.remove(&client_order)?;
        let ns = u64::try_from(waiting.sent.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.latency.saturating_record(ns);
        Some(waiting)
    }

    /// Counts a refusal; 0 is none.
    fn refused(&mut self, reason: u16) {
        let count = match RejectReason::from_code(reason) {
            None if reason == 0 => return,
            Some(RejectReason::GridLimit) => &mut self.counts.stopped,
            Some(RejectReason::TradingSuspended) => &mut self.counts.suspended,
            _ => &mut self.counts.rejected,
        };
        *count = count.saturating_add(1);
    }

    fn learn(&mut self, report: &ExecutionReport) -> Result<(), TraderError> {
        let waiting = self.answered(report.client_order);
        self.last_seq = self.last_seq.max(report.seq);
        let name = match report.exec_type {
            ExecType::New => {
                if let Some(waiting) = waiting {
                    self.accepted(&waiting, report);
                }
                "new"
            }
            ExecType::Trade => {
                self.set_leaves(report);
                if let Some(bundle) = self.bundles.get_mut(&report.order) {
                    bundle.fills = bundle.fills.saturating_add(1);
                    let filled = bundle.filled.checked_add(report.quantity);
                    bundle.filled = filled.unwrap_or(bundle.filled);
                }
                "trade"
            }
            ExecType::Replaced => {
                if let Some(resting) = self.resting.get_mut(&report.order) {
                    resting.limit = report.price;
                    resting.leaves = report.leaves;
                }
                "replaced"
            }
            ExecType::Cancelled | ExecType::Expired => {
                self.resting.remove(&report.order);
                "cancelled"
            }
            ExecType::Status | ExecType::Hibernated | ExecType::Activated => {
                self.set_leaves(report);
                "status"
            }
            ExecType::Validated => "validated",
            ExecType::Rejected
            | ExecType::ValidateRejected
            | ExecType::StatusRejected
            | ExecType::CancelRejected
            | ExecType::ReplaceRejected
            | ExecType::ReduceRejected
            | ExecType::HibernateRejected
            | ExecType::ActivateRejected
            | ExecType::MassCancelRejected => {
                self.refused(report.reason);
                "rejected"
            }
        };
        writeln!(
            self.blotter,
            "{name},{},{},{},{},{},{}",
            report.client_order,
            report.order,
            report.trade,
            report.price.micros(),
            report.quantity.wh(),
            report.leaves.wh()
        )?;
        Ok(())
    }

    /// A new order rests until its fills are told.
    fn accepted(&mut self, waiting: &Waiting, report: &ExecutionReport) {
        let (Some(key), Some(side)) = (waiting.key, report.side) else { return };
        let ExecutionReport { order, meter, price: limit, leaves, quantity, .. } = *report;
        if waiting.members == 0 {
            self.resting.insert(order, Resting { meter, key, side, limit, leaves });
        } else {
            let members = waiting.members;
            let (fills, filled) = (0, Energy::ZERO);
            let bundle = Bundle { order, side, key, members, quantity, fills, filled };
            self.bundles.insert(order, bundle);
        }
    }

    fn learn_of_contract(&mut self, report: &ContractReport) -> Result<(), TraderError> {
        let waiting = self.answered(report.client_order);
        self.last_seq = self.last_seq.max(report.seq);
        self.refused(report.reason);
        let ContractReport { client_order, offer, trade, state, .. } = *report;
        if waiting.is_some() {
            self.answered.push(Answered { offer, state, trade });
        }
        let name = match (report.reason, trade.get()) {
            (0, 0) => "contract",
            (0, _) => "contract_agreed",
            _ => "contract_refused",
        };
        writeln!(self.blotter, "{name},{client_order},{offer},{trade},,,")?;
        Ok(())
    }

    fn set_leaves(&mut self, report: &ExecutionReport) {
        if report.leaves.is_zero() {
            self.resting.remove(&report.order);
        } else if let Some(resting) = self.resting.get_mut(&report.order) {
            resting.leaves = report.leaves;
        }
    }
}
