//! A trading session from the platform's side.

use std::collections::VecDeque;

use ed25519_dalek::{Signer, SigningKey};
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use sha2::{Digest as _, Sha256};
use types::{
    AggregateOrder, AmendmentTerms, ClientOrderId, ContractTerms, Delegation, Digest, Energy,
    MarketDefinition, Member, MeterId, NewOrder, OfferId, Operation, OrderId, Origin, PlatformId,
    Price, PublicKey, ReplaceOrder, Scope, SessionId, ShardId, Side, Signature, SignedOperation,
    SlotKey, TimeInForce, Timestamp, members_listing,
};
use wire::{
    ALPN_ORDERS, FrameBuilder, FrameDecoder, Inbound, Outbound,
    frame::FRAME_MESSAGES_MAX,
    inbound::{
        Accept, Amendment, AmendmentAccept, DeadMan, Delegate, Empty, FrameSignature, Logon,
        MassCancel, MembersPage, Offer, OfferRequest, OrderRequest, Reduce, ResumePoint, Revoke,
        SignedAggregate, SignedNew, SignedReplace,
    },
    outbound::{AmendmentInvitation, ContractInvitation, SessionAccepted, SessionLimits},
    signing,
};

use super::{CONNECT_MAX, ClientError, Connector};

/// A new order with the meter's signature.
#[must_use]
pub fn sign_new(key: &SigningKey, order: NewOrder) -> Inbound {
    let mut bytes = Vec::with_capacity(signing::NEW_ORDER_SIGNED_BYTES);
    signing::new_order(&order, &mut bytes);
    let signature = Signature::new(key.sign(&bytes).to_bytes());
    Inbound::NewOrder(SignedNew { order, signature })
}

/// A question whether a new order would be accepted now, with the meter's signature of the question.
#[must_use]
pub fn sign_validation(key: &SigningKey, order: NewOrder) -> Inbound {
    let mut bytes = Vec::with_capacity(signing::NEW_ORDER_SIGNED_BYTES);
    signing::validation(&order, &mut bytes);
    let signature = Signature::new(key.sign(&bytes).to_bytes());
    Inbound::ValidateOrder(SignedNew { order, signature })
}

/// A replacement with the meter's signature.
#[must_use]
pub fn sign_replace(key: &SigningKey, replace: ReplaceOrder) -> Inbound {
    let mut bytes = Vec::with_capacity(signing::REPLACE_ORDER_SIGNED_BYTES);
    signing::replace_order(&replace, &mut bytes);
    let signature = Signature::new(key.sign(&bytes).to_bytes());
    Inbound::ReplaceOrder(SignedReplace { replace, signature })
}

/// A delegation with the meter's signature. `client_order` numbers the request.
#[must_use]
pub fn sign_delegation(
    key: &SigningKey,
    client_order: ClientOrderId,
    delegation: Delegation,
) -> Inbound {
    let mut bytes = Vec::with_capacity(signing::DELEGATION_SIGNED_BYTES);
    signing::delegation(&delegation, &mut bytes);
    let signature = Signature::new(key.sign(&bytes).to_bytes());
    Inbound::DelegateMeter(Delegate { client_order, delegation, signature })
}

/// The end of a meter's delegations up to `number`, with the meter's signature.
#[must_use]
pub fn sign_revocation(
    key: &SigningKey,
    client_order: ClientOrderId,
    meter: MeterId,
    number: u64,
) -> Inbound {
    let mut bytes = Vec::with_capacity(signing::REVOCATION_SIGNED_BYTES);
    signing::revocation(meter, number, &mut bytes);
    let signature = Some(Signature::new(key.sign(&bytes).to_bytes()));
    Inbound::RevokeDelegation(Revoke { client_order, number, meter, signature })
}

/// An aggregate order without its list: what [`sign_aggregate`] adds is its count, sum and hash.
#[derive(Debug, Clone, Copy)]
pub struct AggregateTerms {
    /// The platform's own number for it.
    pub client_order: ClientOrderId,
    /// What is traded.
    pub key: SlotKey,
    /// Buy or sell.
    pub side: Side,
    /// Worst acceptable price.
    pub limit: Price,
    /// How long it stays; not fill-or-kill.
    pub time_in_force: TimeInForce,
    /// The signature is void after this instant, and an order until a time ends.
    pub valid_until: Timestamp,
}

/// An operator's order with the signature of the operator whose it is, or of another.
#[must_use]
pub fn sign_operation(key: &SigningKey, operation: Operation, signer: u16) -> SignedOperation {
    let mut bytes = Vec::with_capacity(signing::OPERATION_SIGNED_BYTES);
    signing::operation(&operation, &mut bytes);
    let signature = Signature::new(key.sign(&bytes).to_bytes());
    SignedOperation { operation, signer, signature }
}

/// An operator's order that defines a market, with its definition, signed by the operator whose it is.
#[must_use]
pub fn sign_definition(
    key: &SigningKey,
    operation: Operation,
    market: &MarketDefinition,
) -> SignedOperation {
    let mut bytes = Vec::new();
    signing::definition(&operation, market, &mut bytes);
    let signature = Signature::new(key.sign(&bytes).to_bytes());
    SignedOperation { operation, signer: operation.operator, signature }
}

/// An aggregate order with the platform's signature, behind the pages of its members: to be sent in this
/// order. The members are in rising order of their meters; what is above 65,535 of them is left out, and
/// above 10,000 refused.
#[must_use]
pub fn sign_aggregate(
    (platform, key): (PlatformId, &SigningKey),
    terms: &AggregateTerms,
    members: &[Member],
) -> Vec<Inbound> {
    let AggregateTerms { client_order, key: slot, side, limit, time_in_force, valid_until } =
        *terms;
    let sum = members.iter().map(|member| u64::from(member.wh())).sum();
    let order = AggregateOrder {
        client_order,
        key: slot,
        side,
        time_in_force,
        limit,
        quantity: Energy::from_wh(sum),
        valid_until,
        members: u16::try_from(members.len()).unwrap_or(u16::MAX),
        list: Digest::new(Sha256::digest(members_listing(members)).into()),
    };
    let mut bytes = Vec::with_capacity(signing::AGGREGATE_SIGNED_BYTES);
    signing::aggregate(platform, &order, &mut bytes);
    let signature = Signature::new(key.sign(&bytes).to_bytes());
    // Who sends is the session's to say.
    let nobody = Origin { platform, session: SessionId::new(0) };
    let pages = types::MembersPage::of(nobody, client_order, members).map(|page| {
        let types::MembersPage { client_order, page, members, .. } = page;
        Inbound::AggregateMembers(MembersPage { client_order, page, members })
    });
    let order = Inbound::NewAggregateOrder(SignedAggregate { order, signature });
    pages.chain([order]).collect()
}

/// The signature of a meter under the terms of a contract.
fn sign_contract(key: &SigningKey, terms: &ContractTerms) -> Signature {
    let mut bytes = Vec::with_capacity(signing::CONTRACT_SIGNED_BYTES);
    signing::contract(terms, &mut bytes);
    Signature::new(key.sign(&bytes).to_bytes())
}

/// An offer of a contract by the meter of a side, with its signature.
#[must_use]
pub fn offer_contract(
    key: &SigningKey,
    client_order: ClientOrderId,
    offered_by: Side,
    terms: ContractTerms,
) -> Inbound {
    let signature = sign_contract(key, &terms);
    Inbound::OfferContract(Offer { client_order, terms, signature, offered_by })
}

/// The agreement of the invited side's meter, with its signature. Look at the terms of the invitation
/// before.
#[must_use]
pub fn accept_contract(
    key: &SigningKey,
    client_order: ClientOrderId,
    invitation: &ContractInvitation,
) -> Inbound {
    let ContractInvitation { offer, terms, offered_by, .. } = *invitation;
    let signature = sign_contract(key, &terms);
    let accepted_by = offered_by.opposite();
    Inbound::AcceptContract(Accept { client_order, offer, terms, signature, accepted_by })
}

/// The signature of a meter under the terms of a change.
fn sign_amendment(key: &SigningKey, terms: &AmendmentTerms) -> Signature {
    let mut bytes = Vec::with_capacity(signing::AMENDMENT_SIGNED_BYTES);
    signing::amendment(terms, &mut bytes);
    Signature::new(key.sign(&bytes).to_bytes())
}

/// An offer to change a trade by the meter of a side, with its signature.
#[must_use]
pub fn offer_amendment(
    key: &SigningKey,
    client_order: ClientOrderId,
    offered_by: Side,
    terms: AmendmentTerms,
) -> Inbound {
    let signature = sign_amendment(key, &terms);
    Inbound::OfferAmendment(Amendment { client_order, terms, signature, offered_by })
}

/// The agreement of the invited side's meter to a change, with its signature. Look at the terms of the
/// invitation before.
#[must_use]
pub fn accept_amendment(
    key: &SigningKey,
    client_order: ClientOrderId,
    invitation: &AmendmentInvitation,
) -> Inbound {
    let AmendmentInvitation { offer, terms, offered_by, .. } = *invitation;
    let signature = sign_amendment(key, &terms);
    let accepted_by = offered_by.opposite();
    let accept = AmendmentAccept { client_order, offer, terms, signature, accepted_by };
    Inbound::AcceptAmendment(accept)
}

/// Does not agree to an offer.
#[must_use]
pub const fn decline_contract(client_order: ClientOrderId, offer: OfferId) -> Inbound {
    Inbound::DeclineContract(OfferRequest { client_order, offer })
}

/// Takes back an offer of the platform.
#[must_use]
pub const fn withdraw_contract(client_order: ClientOrderId, offer: OfferId) -> Inbound {
    Inbound::WithdrawContract(OfferRequest { client_order, offer })
}

/// Gives back the delegation of a meter that the platform holds.
#[must_use]
pub const fn end_delegation(client_order: ClientOrderId, meter: MeterId, number: u64) -> Inbound {
    Inbound::RevokeDelegation(Revoke { client_order, number, meter, signature: None })
}

/// Most orders of a signed frame: the signature is a message of it too.
#[expect(clippy::as_conversions, reason = "u16 to usize loses nothing")]
const SIGNED_ORDERS_MAX: usize = FRAME_MESSAGES_MAX as usize - 1;

/// Orders under delegations, until the platform signs them together.
#[derive(Debug, Default)]
pub struct FrameToSign {
    messages: Vec<Inbound>,
}

impl FrameToSign {
    /// Adds a new order.
    ///
    /// # Panics
    /// When 255 are in it: ask [`FrameToSign::is_full`] first.
    pub fn push(&mut self, order: NewOrder) {
        assert!(!self.is_full(), "the frame is full");
        self.messages.push(Inbound::DelegatedOrder(order));
    }

    /// Adds a replacement.
    ///
    /// # Panics
    /// As [`FrameToSign::push`].
    pub fn push_replace(&mut self, replace: ReplaceOrder) {
        assert!(!self.is_full(), "the frame is full");
        self.messages.push(Inbound::DelegatedReplace(replace));
    }

    /// Whether no further order fits.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.messages.len() >= SIGNED_ORDERS_MAX
    }

    /// The messages of the frame, its signature first: give them to [`TradingSender::send`] alone, so
    /// that they are a frame.
    #[must_use]
    pub fn sign(self, key: &SigningKey, platform: PlatformId) -> Vec<Inbound> {
        let mut covered = Vec::new();
        self.messages.iter().for_each(|message| message.encode(&mut covered));
        let digest = Digest::new(Sha256::digest(&covered).into());
        let id = PublicKey::new(key.verifying_key().to_bytes()).id();
        let orders = u16::try_from(self.messages.len()).unwrap_or(u16::MAX);
        let mut bytes = Vec::with_capacity(signing::FRAME_SIGNED_BYTES);
        signing::frame(platform, id, orders, &digest, &mut bytes);
        let signature = Signature::new(key.sign(&bytes).to_bytes());
        let first = Inbound::FrameSignature(FrameSignature { signature, key: id, orders });
        std::iter::once(first).chain(self.messages).collect()
    }
}

/// A cancellation of an order. `client_order` numbers the request.
#[must_use]
pub const fn cancel(client_order: ClientOrderId, order: OrderId) -> Inbound {
    Inbound::CancelOrder(OrderRequest { client_order, order })
}

/// A question where an order of the platform stands, by its number; with number 0, where the order is
/// that the platform calls `client_order`.
#[must_use]
pub const fn ask_status(client_order: ClientOrderId, order: OrderId) -> Inbound {
    Inbound::StatusRequest(OrderRequest { client_order, order })
}

/// A reduction of what is open of an order by `quantity`, which keeps its place in the queue.
#[must_use]
pub const fn reduce(client_order: ClientOrderId, order: OrderId, quantity: Energy) -> Inbound {
    Inbound::ReduceOrder(Reduce { client_order, order, quantity })
}

/// Takes an order out of its book until it is activated.
#[must_use]
pub const fn hibernate(client_order: ClientOrderId, order: OrderId) -> Inbound {
    Inbound::HibernateOrder(OrderRequest { client_order, order })
}

/// Puts a hibernating order back into its book.
#[must_use]
pub const fn activate(client_order: ClientOrderId, order: OrderId) -> Inbound {
    Inbound::ActivateOrder(OrderRequest { client_order, order })
}

/// A cancellation of all of the platform's open orders of a scope, in one slot or, with `None`, in
/// all.
#[must_use]
pub const fn mass_cancel(
    client_order: ClientOrderId,
    scope: Scope,
    slot: Option<SlotKey>,
) -> Inbound {
    Inbound::MassCancel(MassCancel { client_order, slot, scope })
}

/// Has everything of the platform at the session's shard cancelled, unless it is sent again within
/// so many milliseconds. 0 takes the switch away.
#[must_use]
pub const fn set_dead_man(after_ms: u32) -> Inbound {
    Inbound::SetDeadMan(DeadMan { after_ms })
}

/// An open session. Sending and receiving can be split over two tasks.
#[derive(Debug)]
pub struct TradingSession {
    /// What the exchange said at logon.
    pub accepted: SessionAccepted,
    /// What the session may send.
    pub limits: SessionLimits,
    /// Sends messages.
    pub sender: TradingSender,
    /// Receives answers.
    pub receiver: TradingReceiver,
}

/// The sending half of a session.
#[derive(Debug)]
pub struct TradingSender {
    stream: SendStream,
    frames: FrameWriter,
    bytes: Vec<u8>,
}

/// The receiving half of a session. Dropping it closes the connection.
#[derive(Debug)]
pub struct TradingReceiver {
    stream: RecvStream,
    frames: FrameReader,
    connection: Connection,
    _endpoint: Endpoint,
}

/// Puts the messages of a session into frames and numbers these.
#[derive(Debug, Default)]
pub(super) struct FrameWriter {
    sealed: u64,
    builder: FrameBuilder,
}

impl FrameWriter {
    /// Appends messages in as few frames as possible.
    pub(super) fn write(&mut self, messages: &[Inbound], bytes: &mut Vec<u8>) {
        for message in messages {
            self.builder.push(|out| message.encode(out));
            if self.builder.is_full() {
                self.seal(bytes);
            }
        }
        if !self.builder.is_empty() {
            self.seal(bytes);
        }
    }

    fn seal(&mut self, bytes: &mut Vec<u8>) {
        self.sealed = self.sealed.saturating_add(1);
        self.builder.seal(self.sealed, bytes);
    }
}

/// Cuts what a session is told into messages, and knows how far that goes.
#[derive(Debug)]
pub(super) struct FrameReader {
    decoder: FrameDecoder,
    read: u64,
    waiting: VecDeque<Outbound>,
    reached: ResumePoint,
}

impl FrameReader {
    /// Of a session that begins after a report.
    pub(super) fn after(reached: ResumePoint) -> Self {
        Self { decoder: FrameDecoder::default(), read: 0, waiting: VecDeque::new(), reached }
    }

    /// Takes bytes as they come.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.decoder.extend(bytes);
    }

    /// The next message, if it is whole.
    ///
    /// # Errors
    /// When the bytes are something else than numbered frames.
    pub(super) fn next(&mut self) -> Result<Option<Outbound>, ClientError> {
        loop {
            if let Some(message) = self.try_next() {
                return Ok(Some(message));
            }
            let Some(frame) = self.decoder.next_frame()? else { return Ok(None) };
            self.read = self.read.saturating_add(1);
            if frame.header.number != self.read {
                return Err(ClientError::Unexpected);
            }
            let mut payload = frame.payload.as_slice();
            while !payload.is_empty() {
                self.waiting.push_back(Outbound::decode(&mut payload)?);
            }
        }
    }

    /// The next message of a frame that was read before.
    fn try_next(&mut self) -> Option<Outbound> {
        let message = self.waiting.pop_front()?;
        self.note(&message);
        Some(message)
    }

    /// The last report.
    pub(super) const fn reached(&self) -> ResumePoint {
        self.reached
    }

    /// Counts reports by position.
    const fn note(&mut self, message: &Outbound) {
        if let Outbound::ResumeComplete(complete) = message {
            // Everything up to here is told, the open orders of a snapshot included.
            self.reached = ResumePoint { seq: complete.through, reports: 0 };
            return;
        }
        let Some(seq) = message.seq() else { return };
        let ResumePoint { seq: before, reports } = self.reached;
        self.reached = if before.get() == seq.get() && reports > 0 {
            ResumePoint { seq, reports: reports.saturating_add(1) }
        } else {
            ResumePoint { seq, reports: 1 }
        };
    }
}

/// What the exchange says first, if it accepts the session.
///
/// # Errors
/// When it does not.
pub(super) fn opening(
    logon: &Logon,
    (first, second): (Outbound, Outbound),
    frames: &mut FrameReader,
) -> Result<(SessionAccepted, SessionLimits), ClientError> {
    let (Outbound::SessionAccepted(accepted), Outbound::SessionLimits(limits)) = (first, second)
    else {
        return Err(ClientError::Unexpected);
    };
    if logon.resume.is_none() {
        frames.reached = ResumePoint { seq: accepted.last_seq, reports: 0 };
    }
    Ok((accepted, limits))
}

impl TradingSession {
    /// Connects and logs on at the first shard, which is the only one of most exchanges.
    ///
    /// # Errors
    /// When the exchange cannot be reached, or refuses the session.
    pub async fn open(connector: &Connector, heartbeat_ms: u32) -> Result<Self, ClientError> {
        Self::open_at(connector, ShardId::FIRST, heartbeat_ms).await
    }

    /// Connects and logs on at a shard.
    ///
    /// # Errors
    /// When the exchange cannot be reached, or refuses the session.
    pub async fn open_at(
        connector: &Connector,
        shard: ShardId,
        heartbeat_ms: u32,
    ) -> Result<Self, ClientError> {
        Self::log_on(connector, Logon::new(heartbeat_ms, shard)).await
    }

    /// Connects and logs on as stated. Of a logon that resumes, the receiver gives what was missed,
    /// then `ResumeComplete`, and then what is live.
    ///
    /// # Errors
    /// When the exchange cannot be reached, or refuses the session.
    pub async fn log_on(connector: &Connector, logon: Logon) -> Result<Self, ClientError> {
        let (endpoint, connection) = connector.connect(ALPN_ORDERS).await?;
        let (send, recv) = connection.open_bi().await?;
        let frames = FrameWriter::default();
        let mut sender = TradingSender { stream: send, frames, bytes: Vec::new() };
        let frames = FrameReader::after(logon.resume.unwrap_or_default());
        let mut receiver =
            TradingReceiver { stream: recv, frames, connection, _endpoint: endpoint };
        sender.send(&[Inbound::Logon(logon)]).await?;
        let said = async {
            let first = receiver.next().await?;
            if let Outbound::SessionRejected(rejected) = first {
                return Err(ClientError::Refused(rejected.reason));
            }
            Ok((first, receiver.next().await?))
        };
        let said =
            tokio::time::timeout(CONNECT_MAX, said).await.map_err(|_| ClientError::Timeout)??;
        let (accepted, limits) = opening(&logon, said, &mut receiver.frames)?;
        Ok(Self { accepted, limits, sender, receiver })
    }

    /// Logs out and waits for the exchange's answer. Messages still on the way are given back.
    ///
    /// # Errors
    /// When the connection is lost before the answer.
    pub async fn log_out(mut self) -> Result<Vec<Outbound>, ClientError> {
        self.sender.send(&[Inbound::Logout(Empty)]).await?;
        let mut late = Vec::new();
        loop {
            let message = self.receiver.next().await?;
            if let Outbound::LoggedOut(_) = message {
                return Ok(late);
            }
            late.push(message);
        }
    }
}

impl TradingSender {
    /// Sends messages in as few frames as possible.
    ///
    /// # Errors
    /// When the connection is lost; which messages arrived is then unknown.
    pub async fn send(&mut self, messages: &[Inbound]) -> Result<(), ClientError> {
        self.bytes.clear();
        self.frames.write(messages, &mut self.bytes);
        self.stream.write_all(&self.bytes).await?;
        Ok(())
    }

    /// Sends bytes as they are, for tests of what the exchange does with them.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.stream.write_all(bytes).await?;
        Ok(())
    }
}

impl TradingReceiver {
    /// The last report received: where a next session resumes, without gap or repetition.
    #[must_use]
    pub const fn resume_point(&self) -> ResumePoint {
        self.frames.reached()
    }

    /// Why the exchange closed the connection, once it has.
    #[must_use]
    pub fn close_reason(&self) -> Option<quinn::ConnectionError> {
        self.connection.close_reason()
    }

    /// The next message.
    ///
    /// # Errors
    /// When the stream ends or carries something else than numbered frames.
    pub async fn next(&mut self) -> Result<Outbound, ClientError> {
        loop {
            if let Some(message) = self.frames.next()? {
                return Ok(message);
            }
            let chunk = self.stream.read_chunk(64 << 10, true).await?.ok_or(ClientError::Ended)?;
            self.frames.extend(&chunk.bytes);
        }
    }

    /// A message that already arrived, if there is one.
    pub fn try_next(&mut self) -> Option<Outbound> {
        self.frames.try_next()
    }
}
