//! What a client is told on a trading session.

use types::{
    AmendmentTerms, ClientOrderId, ContractTerms, Energy, MeterId, OfferId, OfferState, OrderId,
    Price, RejectReason, Scope, Seq, SessionId, ShardId, Side, Signature, Timestamp, TradeId,
};

use crate::{
    field::{DecodeError, Field},
    inbound::{DeadMan, Empty, Test},
};

/// The session is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionAccepted {
    /// Its number.
    pub session: SessionId,
    /// The platform the certificate names.
    pub platform: types::PlatformId,
    /// Most messages in a frame.
    pub frame_messages_max: u16,
    /// Longest silence either side may keep, in milliseconds.
    pub heartbeat_ms: u32,
    /// The shard whose slots it trades.
    pub shard: ShardId,
    /// The exchange's last shard: the first one where it has no other.
    pub last_shard: ShardId,
    /// Last durable position of the shard's journal.
    pub last_seq: Seq,
}
layout! {
    SessionAccepted {
        session: SessionId,
        platform: types::PlatformId,
        frame_messages_max: u16,
        heartbeat_ms: u32,
        shard: ShardId,
        last_shard: ShardId,
        zero 2,
        last_seq: Seq,
    }
}

/// The session is refused; the connection closes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionRejected {
    /// Why.
    pub reason: RejectReason,
}
layout! { SessionRejected { reason: RejectReason, zero 6, } }

/// A message was refused before it became a command. Nothing was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageRejected {
    /// Number of the frame it was in.
    pub frame: u64,
    /// The platform's number of the request, or 0 where none could be read.
    pub client_order: ClientOrderId,
    /// Index of the message in its frame.
    pub index: u16,
    /// Why.
    pub reason: RejectReason,
    /// The limit that was reached, where the reason is one; otherwise 0.
    pub limit: u32,
}
layout! {
    MessageRejected {
        frame: u64,
        client_order: ClientOrderId,
        index: u16,
        reason: RejectReason,
        limit: u32,
    }
}

/// Everything up to a position was told; what comes now is live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResumeComplete {
    /// The position.
    pub through: Seq,
}
layout! { ResumeComplete { through: Seq, } }

/// What was asked for is not kept any more. The open orders follow instead, as `Status` reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResumeTooOld {
    /// First position that the exchange still has.
    pub first_seq: Seq,
    /// As of which position the open orders are told.
    pub through: Seq,
}
layout! { ResumeTooOld { first_seq: Seq, through: Seq, } }

/// What a session may do, in force from its first message on. 0 is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionLimits {
    /// Orders, validated ones included, replacements and activations in a second, on average.
    pub orders_per_s: u32,
    /// So many of them at once.
    pub orders_burst: u32,
    /// Other requests in a second, on average.
    pub cancels_per_s: u32,
    /// So many of them at once.
    pub cancels_burst: u32,
    /// Requests without an answer.
    pub open_requests: u32,
    /// Messages in a frame.
    pub frame_messages: u16,
}
layout! {
    SessionLimits {
        orders_per_s: u32,
        orders_burst: u32,
        cancels_per_s: u32,
        cancels_burst: u32,
        open_requests: u32,
        frame_messages: u16,
        zero 2,
    }
}

/// What an execution report reports (FIX `ExecType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ExecType {
    /// The order is accepted and has its number.
    New = 0,
    /// A part or all of it filled.
    Trade = 1,
    /// It is cancelled; `leaves` did not fill.
    Cancelled = 2,
    /// Its limit or quantity changed.
    Replaced = 3,
    /// The gate closed or its last instant passed; `leaves` did not fill.
    Expired = 4,
    /// Where it stands; nothing happened.
    Status = 5,
    /// A new order was refused.
    Rejected = 6,
    /// A cancellation was refused.
    CancelRejected = 7,
    /// A replacement was refused.
    ReplaceRejected = 8,
    /// It hibernates: out of its book, `leaves` stay reserved.
    Hibernated = 9,
    /// It is back in its book with `leaves`.
    Activated = 10,
    /// A reduction was refused.
    ReduceRejected = 11,
    /// A hibernation was refused.
    HibernateRejected = 12,
    /// An activation was refused.
    ActivateRejected = 13,
    /// A mass cancellation was refused.
    MassCancelRejected = 14,
    /// A new order that was only to be validated would be accepted.
    Validated = 15,
    /// It would be refused.
    ValidateRejected = 16,
    /// A question about an order was refused.
    StatusRejected = 17,
}

impl ExecType {
    pub(crate) const ALL: [Self; 18] = [
        Self::New,
        Self::Trade,
        Self::Cancelled,
        Self::Replaced,
        Self::Expired,
        Self::Status,
        Self::Rejected,
        Self::CancelRejected,
        Self::ReplaceRejected,
        Self::Hibernated,
        Self::Activated,
        Self::ReduceRejected,
        Self::HibernateRejected,
        Self::ActivateRejected,
        Self::MassCancelRejected,
        Self::Validated,
        Self::ValidateRejected,
        Self::StatusRejected,
    ];

    /// Whether a request was refused. Such a report changes no order.
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        match self {
            Self::Rejected
            | Self::CancelRejected
            | Self::ReplaceRejected
            | Self::ReduceRejected
            | Self::HibernateRejected
            | Self::ActivateRejected
            | Self::MassCancelRejected
            | Self::ValidateRejected
            | Self::StatusRejected => true,
            Self::New
            | Self::Trade
            | Self::Cancelled
            | Self::Replaced
            | Self::Expired
            | Self::Status
            | Self::Hibernated
            | Self::Activated
            | Self::Validated => false,
        }
    }

    /// The code in messages.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the enum is repr(u8)")]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl Field for ExecType {
    const SIZE: usize = 1;
    const NAME: &'static str = "u8";
    fn put(&self, out: &mut Vec<u8>) {
        self.code().put(out);
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let code = u8::take(bytes)?;
        Self::ALL
            .into_iter()
            .find(|kind| kind.code() == code)
            .ok_or(DecodeError::BadField("ExecType"))
    }
}

/// What happened to an order. Sent only after it is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecutionReport {
    /// Position in the journal of the command that caused it.
    pub seq: Seq,
    /// When that command was sequenced.
    pub time: Timestamp,
    /// The platform's number of the request, or of the order where there was no request.
    pub client_order: ClientOrderId,
    /// The exchange's number of the order, or 0 where it has none.
    pub order: OrderId,
    /// The trade, or 0.
    pub trade: TradeId,
    /// Price of this fill (`Trade`), or the order's limit (`New`, `Replaced`), or 0.
    pub price: Price,
    /// Quantity of this fill (`Trade`), filled so far (`Status`), accepted (`New`), or 0.
    pub quantity: Energy,
    /// Still open afterwards; what did not fill for `Cancelled` and `Expired`.
    pub leaves: Energy,
    /// The meter, or 0 where the request did not name one.
    pub meter: MeterId,
    /// Why it was refused or cancelled: a reject reason's or cancel reason's code, or 0.
    pub reason: u16,
    /// What is reported.
    pub exec_type: ExecType,
    /// Buy or sell, where known.
    pub side: Option<Side>,
}
layout! {
    ExecutionReport {
        seq: Seq,
        time: Timestamp,
        client_order: ClientOrderId,
        order: OrderId,
        trade: TradeId,
        price: Price,
        quantity: Energy,
        leaves: Energy,
        meter: MeterId,
        reason: u16,
        exec_type: ExecType,
        side: Option<Side>,
    }
}

impl ExecutionReport {
    /// What it says of the request that has its number: carried out, or refused and why. `None`
    /// where nobody asked: a trade, an expiry.
    ///
    /// # Errors
    /// The reason of a refusal; [`RejectReason::UnexpectedMessage`] for one that this version does
    /// not know.
    #[must_use]
    pub fn answer(&self) -> Option<Result<(), RejectReason>> {
        if self.exec_type.is_refusal() {
            let reason = RejectReason::from_code(self.reason);
            return Some(Err(reason.unwrap_or(RejectReason::UnexpectedMessage)));
        }
        let is_news = matches!(self.exec_type, ExecType::Trade | ExecType::Expired);
        (!is_news).then_some(Ok(()))
    }
}

/// A mass cancellation is done. The orders it cancelled were reported before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MassCancelReport {
    /// Position in the journal of the command that caused it.
    pub seq: Seq,
    /// When that command was sequenced.
    pub time: Timestamp,
    /// The platform's number of the request.
    pub client_order: ClientOrderId,
    /// How many orders were cancelled.
    pub cancelled: u32,
    /// Whose orders.
    pub scope: Scope,
    /// Whether none are left. If some are, the same request again goes on.
    pub complete: bool,
}
layout! {
    MassCancelReport {
        seq: Seq,
        time: Timestamp,
        client_order: ClientOrderId,
        cancelled: u32,
        scope: Scope,
        complete: bool,
        zero 6,
    }
}

/// What became of a delegation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum DelegationState {
    /// It is entered.
    Entered = 0,
    /// The meter's delegations up to `number` have ended.
    Ended = 1,
    /// A delegation was refused.
    Refused = 2,
    /// The end of a delegation was refused.
    EndRefused = 3,
}

impl DelegationState {
    pub(crate) const ALL: [Self; 4] = [Self::Entered, Self::Ended, Self::Refused, Self::EndRefused];

    /// The code in messages.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the enum is repr(u8)")]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl Field for DelegationState {
    const SIZE: usize = 1;
    const NAME: &'static str = "u8";
    fn put(&self, out: &mut Vec<u8>) {
        self.code().put(out);
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let code = u8::take(bytes)?;
        Self::ALL
            .into_iter()
            .find(|state| state.code() == code)
            .ok_or(DecodeError::BadField("DelegationState"))
    }
}

/// What became of a delegation. Sent only after it is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DelegationReport {
    /// Position in the journal of the command that caused it.
    pub seq: Seq,
    /// When that command was sequenced.
    pub time: Timestamp,
    /// The platform's number of the request; 0 for a platform that did not ask.
    pub client_order: ClientOrderId,
    /// The delegation, or up to which one they have ended; 0 where refused.
    pub number: u64,
    /// Whose; 0 where refused.
    pub meter: MeterId,
    /// Why it was refused, or 0.
    pub reason: u16,
    /// What is reported.
    pub state: DelegationState,
}
layout! {
    DelegationReport {
        seq: Seq,
        time: Timestamp,
        client_order: ClientOrderId,
        number: u64,
        meter: MeterId,
        reason: u16,
        state: DelegationState,
        zero 1,
    }
}

/// Requests are applied in memory, and their reports follow once they are durable. Sent only to a session that
/// asked for it; not a promise: after a crash of the exchange what it told of may not have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// Position of the last of them.
    pub seq: Seq,
    /// The platform's number of that request. All requests of the session up to it are applied or refused.
    pub client_order: ClientOrderId,
}
layout! { Applied { seq: Seq, client_order: ClientOrderId, } }
/// What is reported of an offer of a contract: where it stands, or which request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ContractState {
    /// It waits for the other side.
    Open = 0,
    /// Both sides have signed: there is a trade.
    Agreed = 1,
    /// The other side does not want it.
    Declined = 2,
    /// Who offered it took it back.
    Withdrawn = 3,
    /// Its last instant has passed.
    Expired = 4,
    /// The gate of its slot closed.
    GateClosed = 5,
    /// The scope of one of its meters was killed, or the trade that it was to change is undone.
    Killed = 6,
    /// The exchange undid the trade: neither side delivers or pays.
    Busted = 7,
    /// An offer was refused.
    OfferRefused = 16,
    /// An acceptance was refused.
    AcceptRefused = 17,
    /// The request to decline an offer was refused.
    DeclineRefused = 18,
    /// The request to withdraw an offer was refused.
    WithdrawRefused = 19,
}

impl ContractState {
    pub(crate) const ALL: [Self; 12] = [
        Self::Open,
        Self::Agreed,
        Self::Declined,
        Self::Withdrawn,
        Self::Expired,
        Self::GateClosed,
        Self::Killed,
        Self::Busted,
        Self::OfferRefused,
        Self::AcceptRefused,
        Self::DeclineRefused,
        Self::WithdrawRefused,
    ];

    /// The code in messages.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the enum is repr(u8)")]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<OfferState> for ContractState {
    fn from(state: OfferState) -> Self {
        match state {
            OfferState::Open => Self::Open,
            OfferState::Agreed => Self::Agreed,
            OfferState::Declined => Self::Declined,
            OfferState::Withdrawn => Self::Withdrawn,
            OfferState::Expired => Self::Expired,
            OfferState::GateClosed => Self::GateClosed,
            OfferState::Killed => Self::Killed,
        }
    }
}

impl Field for ContractState {
    const SIZE: usize = 1;
    const NAME: &'static str = "u8";
    fn put(&self, out: &mut Vec<u8>) {
        self.code().put(out);
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let code = u8::take(bytes)?;
        Self::ALL
            .into_iter()
            .find(|state| state.code() == code)
            .ok_or(DecodeError::BadField("ContractState"))
    }
}

/// What became of an offer of a contract or of a change: told to both sides' platforms. Sent only after it is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContractReport {
    /// Position in the journal of the command that caused it.
    pub seq: Seq,
    /// When that command was sequenced.
    pub time: Timestamp,
    /// The platform's number of the request; of its offer where it did not ask; 0 where it did neither.
    pub client_order: ClientOrderId,
    /// The offer, or 0 where it was refused.
    pub offer: OfferId,
    /// The trade of an agreement, or 0. There is no `ExecutionReport` of it. Of a change, the trade that has
    /// its next version, as the terms say.
    pub trade: TradeId,
    /// Why it was refused, or 0.
    pub reason: u16,
    /// What is reported.
    pub state: ContractState,
    /// Which side of the contract the platform is told for; none where it was refused.
    pub side: Option<Side>,
}
layout! {
    ContractReport {
        seq: Seq,
        time: Timestamp,
        client_order: ClientOrderId,
        offer: OfferId,
        trade: TradeId,
        reason: u16,
        state: ContractState,
        side: Option<Side>,
        zero 4,
    }
}

/// A contract is offered to a meter of the platform. Sent only after it is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContractInvitation {
    /// Position in the journal of the offer.
    pub seq: Seq,
    /// When it was sequenced.
    pub time: Timestamp,
    /// The offer.
    pub offer: OfferId,
    /// What is offered.
    pub terms: ContractTerms,
    /// By the meter that offers, over [`crate::signing::contract`].
    pub signature: Signature,
    /// Which side that meter is; the platform's is the other one.
    pub offered_by: Side,
}
layout! {
    ContractInvitation {
        seq: Seq,
        time: Timestamp,
        offer: OfferId,
        terms: ContractTerms,
        signature: Signature,
        offered_by: Side,
        zero 7,
    }
}

/// A change of a trade is offered to a meter of the platform. Sent only after it is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmendmentInvitation {
    /// Position in the journal of the offer.
    pub seq: Seq,
    /// When it was sequenced.
    pub time: Timestamp,
    /// The offer.
    pub offer: OfferId,
    /// What is offered.
    pub terms: AmendmentTerms,
    /// By the meter that asks, over [`crate::signing::amendment`].
    pub signature: Signature,
    /// Which side that meter is; the platform's is the other one.
    pub offered_by: Side,
}
layout! {
    AmendmentInvitation {
        seq: Seq,
        time: Timestamp,
        offer: OfferId,
        terms: AmendmentTerms,
        signature: Signature,
        offered_by: Side,
        zero 7,
    }
}

/// What became of a page of members, or which member an aggregate order is refused for. Sent only after it is
/// durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MembersReport {
    /// Position in the journal of the command that caused it.
    pub seq: Seq,
    /// When that command was sequenced.
    pub time: Timestamp,
    /// The platform's number of the aggregate order.
    pub client_order: ClientOrderId,
    /// The meter of the first member that an order is refused for; the `ExecutionReport` behind it says why.
    /// 0 of a page.
    pub meter: MeterId,
    /// Which page; 0 of an order.
    pub page: u16,
    /// How many members the list has with the page; 0 where it was refused, and of an order.
    pub members: u16,
    /// Why a page was refused, or 0.
    pub reason: u16,
}
layout! {
    MembersReport {
        seq: Seq,
        time: Timestamp,
        client_order: ClientOrderId,
        meter: MeterId,
        page: u16,
        members: u16,
        reason: u16,
        zero 6,
    }
}

messages! {
    /// What the exchange sends on a trading session.
    Outbound {
        /// First message of an open session.
        SessionAccepted(SessionAccepted) = 64, 32;
        /// First and only message of a refused session.
        SessionRejected(SessionRejected) = 65, 16;
        /// Nothing to say, still there.
        Heartbeat(Empty) = 66, 8;
        /// Answer to `Logout`; the last message.
        LoggedOut(Empty) = 67, 8;
        /// What happened to an order.
        ExecutionReport(ExecutionReport) = 68, 80;
        /// A message was refused before it became a command.
        MessageRejected(MessageRejected) = 69, 32;
        /// The exchange is shutting down. What was sent and not answered may or may not be done.
        GoingAway(Empty) = 70, 8;
        /// Answer to `TestRequest`, behind everything that was sent before it.
        TestReply(Test) = 71, 16;
        /// A mass cancellation is done.
        MassCancelled(MassCancelReport) = 72, 48;
        /// Requests are applied in memory and not durable yet.
        Applied(Applied) = 75, 24;
        /// What became of a delegation.
        DelegationReport(DelegationReport) = 76, 48;
        /// What was missed is told; live reports follow.
        ResumeComplete(ResumeComplete) = 77, 16;
        /// What was missed is not kept any more; `Status` of every open order follows.
        ResumeTooOld(ResumeTooOld) = 78, 24;
        /// What the session may do; after `SessionAccepted`.
        SessionLimits(SessionLimits) = 79, 32;
        /// Answer to `SetDeadMan`.
        DeadManSet(DeadMan) = 80, 16;
        /// What became of an offer of a contract or of a change.
        ContractReport(ContractReport) = 81, 56;
        /// A contract is offered to a meter of the platform: to accept or to decline.
        ContractInvitation(ContractInvitation) = 82, 152;
        /// A change of a trade is offered to a meter of the platform: to accept or to decline.
        AmendmentInvitation(AmendmentInvitation) = 83, 184;
        /// What became of a page of members, or for which member an aggregate order is refused.
        MembersReport(MembersReport) = 85, 48;
    }
}

impl Outbound {
    /// The position that a report tells of; `None` for what is no report.
    #[must_use]
    pub const fn seq(&self) -> Option<Seq> {
        match self {
            Self::ExecutionReport(report) => Some(report.seq),
            Self::MassCancelled(report) => Some(report.seq),
            Self::DelegationReport(report) => Some(report.seq),
            Self::ContractReport(report) => Some(report.seq),
            Self::ContractInvitation(invitation) => Some(invitation.seq),
            Self::AmendmentInvitation(invitation) => Some(invitation.seq),
            Self::MembersReport(report) => Some(report.seq),
            Self::SessionAccepted(_)
            | Self::SessionRejected(_)
            | Self::Heartbeat(_)
            | Self::LoggedOut(_)
            | Self::MessageRejected(_)
            | Self::GoingAway(_)
            | Self::TestReply(_)
            | Self::ResumeComplete(_)
            | Self::ResumeTooOld(_)
            | Self::SessionLimits(_)
            | Self::Applied(_)
            | Self::DeadManSet(_) => None,
        }
    }
}
