//! Stop 2 of an order's life: bytes become a message, or a [`DecodeError`].

use types::{
    AggregateOrder, AmendmentTerms, ClientOrderId, Conditions, ContractTerms, Delegation,
    DeliverySlot, Digest, Energy, KeyId, ListKind, MarketId, Member, MeterId, NewOrder, OfferId,
    OrderId, OrderKind, OrderList, PAGE_MEMBERS_MAX, PlatformId, Price, ReplaceOrder, Scope, Seq,
    ShardId, Side, Sides, Signature, SlotKey, TimeInForce, Timestamp, TradeId,
};

use crate::field::{ConditionFlags, DecodeError, Field};

/// A new order as it stands in a message: its parts in falling order of alignment.
struct NewOrderFields {
    client_order: ClientOrderId,
    limit: Price,
    quantity: Energy,
    valid_until: Timestamp,
    display: Energy,
    minimum: Energy,
    expires: Timestamp,
    list_number: ClientOrderId,
    key: SlotKey,
    meter: MeterId,
    side: Side,
    order_kind: OrderKind,
    time_in_force: TimeInForce,
    conditions: ConditionFlags,
    list_kind: ListKind,
    list_orders: u8,
}
layout! {
    NewOrderFields {
        client_order: ClientOrderId,
        limit: Price,
        quantity: Energy,
        valid_until: Timestamp,
        display: Energy,
        minimum: Energy,
        expires: Timestamp,
        list_number: ClientOrderId,
        key: SlotKey,
        meter: MeterId,
        side: Side,
        order_kind: OrderKind,
        time_in_force: TimeInForce,
        conditions: ConditionFlags,
        list_kind: ListKind,
        list_orders: u8,
        zero 6,
    }
}

/// Whether its conditions and its list go together is the engine's question; unknown codes are not
/// a message.
impl Field for NewOrder {
    const SIZE: usize = NewOrderFields::SIZE;
    const NAME: &'static str = "NewOrder";
    fn parts(name: &'static str) -> Vec<(String, usize, &'static str)> {
        NewOrderFields::parts(name)
    }
    fn put(&self, out: &mut Vec<u8>) {
        let Conditions { post_only, all_or_none, display, minimum, expires } = self.conditions;
        let OrderList { kind: list_kind, orders: list_orders, number: list_number } = self.list;
        let fields = NewOrderFields {
            client_order: self.client_order,
            limit: self.limit,
            quantity: self.quantity,
            valid_until: self.valid_until,
            display,
            minimum,
            expires,
            list_number,
            key: self.key,
            meter: self.meter,
            side: self.side,
            order_kind: self.kind,
            time_in_force: self.time_in_force,
            conditions: ConditionFlags { post_only, all_or_none },
            list_kind,
            list_orders,
        };
        fields.put(out);
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let fields = NewOrderFields::take(bytes)?;
        let ConditionFlags { post_only, all_or_none } = fields.conditions;
        Ok(Self {
            client_order: fields.client_order,
            meter: fields.meter,
            key: fields.key,
            side: fields.side,
            kind: fields.order_kind,
            time_in_force: fields.time_in_force,
            limit: fields.limit,
            quantity: fields.quantity,
            valid_until: fields.valid_until,
            conditions: Conditions {
                post_only,
                all_or_none,
                display: fields.display,
                minimum: fields.minimum,
                expires: fields.expires,
            },
            list: OrderList {
                kind: fields.list_kind,
                orders: fields.list_orders,
                number: fields.list_number,
            },
        })
    }
}
const _: () = assert!(NewOrder::SIZE == 88);

layout! {
    ReplaceOrder {
        client_order: ClientOrderId,
        order: OrderId,
        limit: Price,
        quantity: Energy,
        valid_until: Timestamp,
        meter: MeterId,
        zero 4,
    }
}
const _: () = assert!(ReplaceOrder::SIZE == 48);

/// The first message of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logon {
    /// Longest silence the client promises and expects, in milliseconds.
    pub heartbeat_ms: u32,
    /// The shard whose slots the session trades.
    pub shard: ShardId,
    /// What the client has already been told, if it asks for the rest.
    pub resume: Option<ResumePoint>,
    /// How long after the end of the session the platform's open orders at the shard are cancelled
    /// if no other session was opened, in milliseconds; 0 for never.
    pub cancel_after_ms: u32,
    /// Whether the session is also told what is applied and not durable yet, by `Applied`.
    pub tell_applied: bool,
}

impl Logon {
    /// To trade at a shard, with nothing told again, nothing told early and nothing cancelled at the end.
    #[must_use]
    pub const fn new(heartbeat_ms: u32, shard: ShardId) -> Self {
        Self { heartbeat_ms, shard, resume: None, cancel_after_ms: 0, tell_applied: false }
    }
}

/// The last report a client has. Reports of one command have an order, so this is exact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResumePoint {
    /// Position of the last report, or 0 before the first.
    pub seq: Seq,
    /// How many reports of that position the client has; 0 where it has all of them.
    pub reports: u32,
}

/// A logon as it stands in a message.
struct LogonFields {
    heartbeat_ms: u32,
    shard: ShardId,
    resume: bool,
    tell_applied: bool,
    resume_seq: Seq,
    resume_reports: u32,
    cancel_after_ms: u32,
}
layout! {
    LogonFields {
        heartbeat_ms: u32,
        shard: ShardId,
        resume: bool,
        tell_applied: bool,
        zero 1,
        resume_seq: Seq,
        resume_reports: u32,
        cancel_after_ms: u32,
    }
}

/// A point without `resume` is refused: it says two things.
impl Field for Logon {
    const SIZE: usize = LogonFields::SIZE;
    const NAME: &'static str = "Logon";
    fn parts(name: &'static str) -> Vec<(String, usize, &'static str)> {
        LogonFields::parts(name)
    }
    fn put(&self, out: &mut Vec<u8>) {
        let ResumePoint { seq, reports } = self.resume.unwrap_or_default();
        let fields = LogonFields {
            heartbeat_ms: self.heartbeat_ms,
            shard: self.shard,
            resume: self.resume.is_some(),
            tell_applied: self.tell_applied,
            resume_seq: seq,
            resume_reports: reports,
            cancel_after_ms: self.cancel_after_ms,
        };
        fields.put(out);
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let fields = LogonFields::take(bytes)?;
        let point = ResumePoint { seq: fields.resume_seq, reports: fields.resume_reports };
        if !fields.resume && point != ResumePoint::default() {
            return Err(DecodeError::BadField("resume"));
        }
        Ok(Self {
            heartbeat_ms: fields.heartbeat_ms,
            shard: fields.shard,
            resume: fields.resume.then_some(point),
            cancel_after_ms: fields.cancel_after_ms,
            tell_applied: fields.tell_applied,
        })
    }
}

/// A dead-man switch: cancels what the platform has open unless it is set again in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadMan {
    /// In how many milliseconds, counted from its arrival; 0 takes the switch away.
    pub after_ms: u32,
}
layout! { DeadMan { after_ms: u32, zero 4, } }

/// A message without content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Empty;
impl Field for Empty {
    const SIZE: usize = 0;
    const NAME: &'static str = "empty";
    fn parts(_: &'static str) -> Vec<(String, usize, &'static str)> {
        Vec::new()
    }
    fn put(&self, _: &mut Vec<u8>) {}
    fn take(_: &mut &[u8]) -> Result<Self, DecodeError> {
        Ok(Self)
    }
}

/// A new order and the meter's signature over [`crate::signing::new_order`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedNew {
    /// What is signed.
    pub order: NewOrder,
    /// By the meter's key.
    pub signature: Signature,
}
layout! { SignedNew { order: NewOrder, signature: Signature, } }

/// A replacement and the meter's signature over [`crate::signing::replace_order`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedReplace {
    /// What is signed.
    pub replace: ReplaceOrder,
    /// By the meter's key.
    pub signature: Signature,
}
layout! { SignedReplace { replace: ReplaceOrder, signature: Signature, } }

layout! {
    Delegation {
        number: u64,
        quantity_max: Energy,
        buy_limit: Price,
        sell_limit: Price,
        valid_from: Timestamp,
        valid_until: Timestamp,
        key: KeyId,
        meter: MeterId,
        market: MarketId,
        platform: PlatformId,
        sides: Sides,
        zero 7,
    }
}
const _: () = assert!(Delegation::SIZE == 72);

/// A delegation and the meter's signature over [`crate::signing::delegation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delegate {
    /// The platform's own number for the request.
    pub client_order: ClientOrderId,
    /// What is signed.
    pub delegation: Delegation,
    /// By the meter's key.
    pub signature: Signature,
}
layout! { Delegate { client_order: ClientOrderId, delegation: Delegation, signature: Signature, } }

/// The end of a delegation and, unless its platform gives it back, the meter's signature over
/// [`crate::signing::revocation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoke {
    /// The platform's own number for the request.
    pub client_order: ClientOrderId,
    /// Up to which number the meter's delegations end.
    pub number: u64,
    /// Whose.
    pub meter: MeterId,
    /// By the meter's key; `None` from the platform that holds the delegation.
    pub signature: Option<Signature>,
}
layout! {
    Revoke {
        client_order: ClientOrderId,
        number: u64,
        meter: MeterId,
        zero 4,
        signature: Option<Signature>,
    }
}

/// The platform's signature over [`crate::signing::frame`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameSignature {
    /// By the platform's key.
    pub signature: Signature,
    /// Which key that is.
    pub key: KeyId,
    /// How many messages behind this one it covers, at least one.
    pub orders: u16,
}
layout! { FrameSignature { signature: Signature, key: KeyId, orders: u16, zero 6, } }

layout! {
    ContractTerms {
        price: Price,
        quantity: Energy,
        reference: u64,
        expires: Timestamp,
        key: SlotKey,
        buyer: MeterId,
        seller: MeterId,
    }
}
const _: () = assert!(ContractTerms::SIZE == 48);

/// A contract that one side offers, and its meter's signature over [`crate::signing::contract`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// The platform's own number for the request.
    pub client_order: ClientOrderId,
    /// What is signed.
    pub terms: ContractTerms,
    /// By the key of the meter that offers.
    pub signature: Signature,
    /// Which side that meter is.
    pub offered_by: Side,
}
layout! {
    Offer {
        client_order: ClientOrderId,
        terms: ContractTerms,
        signature: Signature,
        offered_by: Side,
        zero 7,
    }
}

/// The agreement of the other side, and its meter's signature over [`crate::signing::contract`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accept {
    /// The platform's own number for the request.
    pub client_order: ClientOrderId,
    /// The offer.
    pub offer: OfferId,
    /// What is signed: the terms of the offer.
    pub terms: ContractTerms,
    /// By the key of the meter that agrees.
    pub signature: Signature,
    /// Which side that meter is.
    pub accepted_by: Side,
}
layout! {
    Accept {
        client_order: ClientOrderId,
        offer: OfferId,
        terms: ContractTerms,
        signature: Signature,
        accepted_by: Side,
        zero 7,
    }
}

layout! {
    AmendmentTerms {
        trade: TradeId,
        price: Price,
        quantity: Energy,
        new_quantity: Energy,
        reference: u64,
        expires: Timestamp,
        key: SlotKey,
        new_slot: DeliverySlot,
        buyer: MeterId,
        seller: MeterId,
        version: u32,
        zero 4,
    }
}
const _: () = assert!(AmendmentTerms::SIZE == 80);

/// A change of a trade that one side offers, and its meter's signature over [`crate::signing::amendment`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amendment {
    /// The platform's own number for the request.
    pub client_order: ClientOrderId,
    /// What is signed.
    pub terms: AmendmentTerms,
    /// By the key of the meter that asks.
    pub signature: Signature,
    /// Which side that meter is.
    pub offered_by: Side,
}
layout! {
    Amendment {
        client_order: ClientOrderId,
        terms: AmendmentTerms,
        signature: Signature,
        offered_by: Side,
        zero 7,
    }
}

/// The agreement of the other side to a change, and its meter's signature over
/// [`crate::signing::amendment`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmendmentAccept {
    /// The platform's own number for the request.
    pub client_order: ClientOrderId,
    /// The offer.
    pub offer: OfferId,
    /// What is signed: the terms of the offer.
    pub terms: AmendmentTerms,
    /// By the key of the meter that agrees.
    pub signature: Signature,
    /// Which side that meter is.
    pub accepted_by: Side,
}
layout! {
    AmendmentAccept {
        client_order: ClientOrderId,
        offer: OfferId,
        terms: AmendmentTerms,
        signature: Signature,
        accepted_by: Side,
        zero 7,
    }
}

/// What is asked of an offer, where no more words are needed: to decline or to withdraw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfferRequest {
    /// The platform's own number for the request.
    pub client_order: ClientOrderId,
    /// The offer.
    pub offer: OfferId,
}
layout! { OfferRequest { client_order: ClientOrderId, offer: OfferId, } }

layout! {
    AggregateOrder {
        client_order: ClientOrderId,
        limit: Price,
        quantity: Energy,
        valid_until: Timestamp,
        list: Digest,
        key: SlotKey,
        members: u16,
        side: Side,
        time_in_force: TimeInForce,
        zero 4,
    }
}
const _: () = assert!(AggregateOrder::SIZE == 80);

/// A page of the members of an aggregate order that is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MembersPage {
    /// The platform's number of the order.
    pub client_order: ClientOrderId,
    /// Which page, from 0.
    pub page: u16,
    /// In rising order of their meters; the rest of the last page is zero.
    pub members: [Member; PAGE_MEMBERS_MAX],
}
layout! {
    MembersPage {
        client_order: ClientOrderId,
        page: u16,
        zero 6,
        members: [Member; PAGE_MEMBERS_MAX],
    }
}

/// An aggregate order and the platform's signature over [`crate::signing::aggregate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedAggregate {
    /// What is signed.
    pub order: AggregateOrder,
    /// By the platform's key.
    pub signature: Signature,
}
layout! { SignedAggregate { order: AggregateOrder, signature: Signature, } }

/// What is asked of an order, where no more words are needed: to cancel, hibernate or activate it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderRequest {
    /// The platform's own number for the request.
    pub client_order: ClientOrderId,
    /// The order.
    pub order: OrderId,
}
layout! { OrderRequest { client_order: ClientOrderId, order: OrderId, } }

/// A reduction of what is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reduce {
    /// The platform's own number for the request.
    pub client_order: ClientOrderId,
    /// The order to make smaller.
    pub order: OrderId,
    /// By how much. All that is open, or more, cancels it.
    pub quantity: Energy,
}
layout! { Reduce { client_order: ClientOrderId, order: OrderId, quantity: Energy, } }

/// A cancellation of all orders of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MassCancel {
    /// The platform's own number for the request.
    pub client_order: ClientOrderId,
    /// Of which slot; `None` for all.
    pub slot: Option<SlotKey>,
    /// Whose orders; of these, the platform's own.
    pub scope: Scope,
}
layout! {
    MassCancel { client_order: ClientOrderId, slot: Option<SlotKey>, scope: Scope, zero 3, }
}

/// Asks for an immediate answer: whatever the exchange sent before it has then arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Test {
    /// Comes back in the answer.
    pub token: u64,
}
layout! { Test { token: u64, } }

messages! {
    /// What a client may send on a trading session.
    Inbound {
        /// Begins the session; the first message, once.
        Logon(Logon) = 1, 32;
        /// Ends the session; answered by `LoggedOut`.
        Logout(Empty) = 2, 8;
        /// Nothing to say, still there.
        Heartbeat(Empty) = 3, 8;
        /// A new order.
        NewOrder(SignedNew) = 4, 160;
        /// A cancellation.
        CancelOrder(OrderRequest) = 5, 24;
        /// A replacement.
        ReplaceOrder(SignedReplace) = 6, 120;
        /// Asks for a `TestReply`.
        TestRequest(Test) = 7, 16;
        /// Makes a resting order smaller by `quantity`, where it stands.
        ReduceOrder(Reduce) = 8, 32;
        /// Takes an order out of its book; it keeps its number, capacity and credit.
        HibernateOrder(OrderRequest) = 9, 24;
        /// Puts a hibernating order back into its book.
        ActivateOrder(OrderRequest) = 10, 24;
        /// A cancellation of all orders of a scope, in one slot or, if the slot is zero, in all.
        MassCancel(MassCancel) = 11, 32;
        /// Brings what a meter delegates to the platform.
        DelegateMeter(Delegate) = 12, 152;
        /// Ends the delegations of a meter up to a number.
        RevokeDelegation(Revoke) = 13, 96;
        /// The platform's signature over the orders that follow it; the first message of its frame.
        FrameSignature(FrameSignature) = 14, 88;
        /// A new order under a delegation, covered by the signature of its frame.
        DelegatedOrder(NewOrder) = 15, 96;
        /// A replacement under a delegation, covered by the signature of its frame.
        DelegatedReplace(ReplaceOrder) = 16, 56;
        /// Asks whether a new order would be accepted; answered by `Validated` or why not. Nothing happens.
        ValidateOrder(SignedNew) = 17, 160;
        /// Asks where an order of the platform stands, by the exchange's number or, if `order` is 0, by
        /// `client_order`; answered by `Status`.
        StatusRequest(OrderRequest) = 18, 24;
        /// Sets the platform's dead-man switch at the shard; answered by `DeadManSet`.
        SetDeadMan(DeadMan) = 20, 16;
        /// Offers a contract to another meter, whose platform is invited.
        OfferContract(Offer) = 24, 136;
        /// Agrees to a contract that was offered: it is a trade.
        AcceptContract(Accept) = 25, 144;
        /// Does not agree to a contract or change that was offered.
        DeclineContract(OfferRequest) = 26, 24;
        /// Takes an offer of the platform back.
        WithdrawContract(OfferRequest) = 27, 24;
        /// Offers to change a trade, as it is at a version; the other meter's platform is invited. No new
        /// quantity cancels the trade.
        OfferAmendment(Amendment) = 28, 168;
        /// Agrees to a change that was offered: the trade has another version.
        AcceptAmendment(AmendmentAccept) = 29, 176;
        /// A page of the members of an aggregate order that is to come; answered by `MembersReport`.
        AggregateMembers(MembersPage) = 30, 152;
        /// A new order for the members that were listed before it under its number.
        NewAggregateOrder(SignedAggregate) = 31, 152;
    }
}

/// The messages of a frame, one by one.
#[derive(Debug)]
pub struct InboundMessages<'a> {
    rest: &'a [u8],
    left: u16,
}

impl<'a> InboundMessages<'a> {
    /// Over the payload of a frame with `count` messages.
    #[must_use]
    pub const fn new(payload: &'a [u8], count: u16) -> Self {
        Self { rest: payload, left: count }
    }
}

impl Iterator for InboundMessages<'_> {
    type Item = Result<Inbound, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            if self.rest.is_empty() {
                return None;
            }
            self.rest = &[];
            return Some(Err(DecodeError::TrailingBytes));
        }
        self.left = self.left.saturating_sub(1);
        let message = Inbound::decode(&mut self.rest);
        if message.is_err() {
            // Lengths can no longer be trusted: the rest of the frame is one error.
            self.left = 0;
            self.rest = &[];
        }
        Some(message)
    }
}
