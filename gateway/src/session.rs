//! Stop 3 of an order's life: messages of one session become requests, numbered and in order.
//!
//! A session is a value: frames in, replies and requests out. It reads no clock and no socket;
//! `crate::trading` carries its bytes and closes its line.

use types::{
    AcceptAmendment, AcceptContract, ClientOrderId, Command, DelegateMeter, DelegatedOrder,
    DelegatedReplace, MassCancel, MembersPage, NewAggregateOrder, NewOrder, OfferAmendment,
    OfferContract, OfferRequest, OrderRequest, Origin, PlatformId, ReduceOrder, RejectReason,
    ReplaceOrder, RevokeDelegation, Seq, SessionId, ShardId, Shards, Signature, SignedFrame,
    SignedNewOrder, SignedReplaceOrder,
};
use wire::{
    Frame, FrameError, Inbound, Outbound,
    field::Field,
    frame::{FRAME_MESSAGES_MAX, MESSAGE_HEAD_BYTES},
    inbound::{self, Empty, InboundMessages, Logon, ResumePoint},
    outbound::{MessageRejected, SessionAccepted, SessionRejected},
};

use crate::throttle::{Limits, Throttle, Verdict};

/// Shortest heartbeat interval a client may ask for, in milliseconds.
pub const HEARTBEAT_MS_MIN: u32 = 100;
/// Longest heartbeat interval a client may ask for, in milliseconds.
pub const HEARTBEAT_MS_MAX: u32 = 60_000;

/// Bytes of the message before those that it signs.
const FRAME_SIGNATURE_BYTES: usize = MESSAGE_HEAD_BYTES + inbound::FrameSignature::SIZE;

/// A message that asks for something, and where it stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Number of the frame it was in.
    pub frame: u64,
    /// Index of the message in its frame.
    pub index: u16,
    /// What is asked.
    pub command: Command,
}

impl Request {
    /// The refusal of this request.
    #[must_use]
    pub const fn rejected(&self, reason: RejectReason) -> Outbound {
        self.rejected_at(reason, 0)
    }

    /// The refusal of this request at a limit.
    #[must_use]
    pub const fn rejected_at(&self, reason: RejectReason, limit: u32) -> Outbound {
        Outbound::MessageRejected(MessageRejected {
            frame: self.frame,
            client_order: self.command.client_order(),
            index: self.index,
            reason,
            limit,
        })
    }

    /// Whether it is limited as orders are, and refused first when there is little room.
    #[must_use]
    pub const fn counts_as_order(&self) -> bool {
        self.command.counts_as_order()
    }
}

/// What a frame led to.
#[derive(Debug, Default)]
pub struct Handled {
    /// To be sent at once, in order.
    pub replies: Vec<Outbound>,
    /// To be verified and put into the ring, in order.
    pub requests: Vec<Request>,
    /// Behind a `FrameSignature`: the bytes of the rest of its frame.
    pub covered: Vec<u8>,
    /// How many orders the signature in front of them covers, as it says.
    signed_orders: u16,
    /// The signature in front of this frame's orders asks for more than the limit, which is so many in
    /// a second: none of them goes on.
    throttled: Option<u32>,
    /// The session is open: `SessionAccepted` is the first reply.
    pub opened: Option<Opened>,
    /// The dead-man switch is set to so many milliseconds from now; 0 takes it away.
    pub dead_man_ms: Option<u32>,
    /// The session ended; the connection closes after the replies.
    pub ended: Option<Ended>,
}

/// What a logon asked for besides a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// To be told everything after this.
    pub resume: Option<ResumePoint>,
    /// That its orders are cancelled so many milliseconds after the session ended; 0 for never.
    pub cancel_after_ms: u32,
    /// That it is told what is applied and not durable yet.
    pub tell_applied: bool,
}

/// Why a session ended from its own messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The client logged out.
    LoggedOut,
    /// The client was refused at logon.
    Refused,
    /// The client broke the protocol.
    ProtocolError,
    /// The client went on sending too much.
    Throttled,
}

/// The state of one session.
#[derive(Debug)]
pub struct Session {
    origin: Origin,
    /// Every shard it can choose from, and the one it has chosen.
    shards: Shards,
    shard: ShardId,
    last_frame: u64,
    heartbeat_ms: u32,
    logged_on: bool,
    limits: Limits,
    throttle: Throttle,
}

impl Session {
    /// Before its logon, at an exchange with so many shards.
    #[must_use]
    pub const fn new(
        platform: PlatformId,
        session: SessionId,
        shards: Shards,
        limits: Limits,
    ) -> Self {
        Self {
            origin: Origin { platform, session },
            shards,
            shard: ShardId::FIRST,
            last_frame: 0,
            heartbeat_ms: HEARTBEAT_MS_MAX,
            logged_on: false,
            limits,
            throttle: Throttle::new(),
        }
    }

    /// What the platform has used of its limits at the shard; to go on from there, set it.
    pub const fn throttle(&mut self) -> &mut Throttle {
        &mut self.throttle
    }

    /// Whose messages these are.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// The shard whose slots it trades: what its logon asked for.
    #[must_use]
    pub const fn shard(&self) -> ShardId {
        self.shard
    }

    /// Agreed heartbeat interval, in milliseconds.
    #[must_use]
    pub const fn heartbeat_ms(&self) -> u32 {
        self.heartbeat_ms
    }

    /// Whether the session is open.
    #[must_use]
    pub const fn is_logged_on(&self) -> bool {
        self.logged_on
    }

    /// Takes one frame, at an instant in nanoseconds from whenever. `last_seq` gives the last durable
    /// position of a shard, told at logon.
    pub fn handle_frame(
        &mut self,
        frame: &Frame,
        now_ns: u64,
        last_seq: impl Fn(ShardId) -> Seq,
    ) -> Handled {
        let mut handled = Handled::default();
        if self.last_frame.checked_add(1) != Some(frame.header.number) {
            self.refuse(frame, 0, RejectReason::SequenceGap, &mut handled);
            return handled;
        }
        self.last_frame = frame.header.number;
        let messages = InboundMessages::new(&frame.payload, frame.header.messages);
        for (index, message) in (0_u16..).zip(messages) {
            match message {
                Ok(Inbound::Logon(logon)) if !self.logged_on => {
                    self.log_on(frame, index, &logon, &last_seq, &mut handled);
                }
                Ok(message) => self.handle_message((frame, index), message, now_ns, &mut handled),
                Err(_) if self.logged_on => {
                    // One answer for every message: none after the damage can be read.
                    let unread = index..frame.header.messages.max(index.saturating_add(1));
                    handled.replies.extend(
                        unread.map(|index| rejected(frame, index, RejectReason::MalformedMessage)),
                    );
                }
                Err(_) => self.refuse(frame, index, RejectReason::MalformedMessage, &mut handled),
            }
            if handled.ended.is_some() {
                // One answer for every message, also behind the one that ended the session.
                let behind = index.saturating_add(1)..frame.header.messages;
                let answer = |index| rejected(frame, index, RejectReason::UnexpectedMessage);
                if handled.ended != Some(Ended::Refused) {
                    handled.replies.extend(behind.map(answer));
                }
                break;
            }
        }
        handled
    }

    /// Takes bytes that are not a frame.
    pub fn handle_frame_error(&mut self, _: FrameError) -> Handled {
        let mut handled = Handled { ended: Some(Ended::ProtocolError), ..Handled::default() };
        let reason = RejectReason::MalformedMessage;
        handled.replies.push(if self.logged_on {
            Outbound::MessageRejected(MessageRejected {
                frame: self.last_frame.saturating_add(1),
                client_order: ClientOrderId::new(0),
                index: 0,
                reason,
                limit: 0,
            })
        } else {
            Outbound::SessionRejected(SessionRejected { reason })
        });
        self.logged_on = false;
        handled
    }

    fn log_on(
        &mut self,
        frame: &Frame,
        index: u16,
        logon: &Logon,
        last_seq: &impl Fn(ShardId) -> Seq,
        handled: &mut Handled,
    ) {
        if !self.shards.contains(logon.shard) {
            return self.refuse(frame, index, RejectReason::WrongShard, handled);
        }
        let last_seq = last_seq(logon.shard);
        if logon.resume.is_some_and(|point| point.seq > last_seq) {
            return self.refuse(frame, index, RejectReason::UnknownPosition, handled);
        }
        self.logged_on = true;
        self.shard = logon.shard;
        self.heartbeat_ms = logon.heartbeat_ms.clamp(HEARTBEAT_MS_MIN, HEARTBEAT_MS_MAX);
        let Logon { resume, cancel_after_ms, tell_applied, .. } = *logon;
        handled.opened = Some(Opened { resume, cancel_after_ms, tell_applied });
        handled.replies.push(Outbound::SessionAccepted(SessionAccepted {
            session: self.origin.session,
            platform: self.origin.platform,
            frame_messages_max: FRAME_MESSAGES_MAX,
            heartbeat_ms: self.heartbeat_ms,
            shard: self.shard,
            last_shard: self.shards.last(),
            last_seq,
        }));
        handled.replies.push(Outbound::SessionLimits(self.limits.told()));
    }

    fn handle_message(
        &mut self,
        (frame, index): (&Frame, u16),
        message: Inbound,
        now_ns: u64,
        handled: &mut Handled,
    ) {
        if !self.logged_on {
            return self.refuse(frame, index, RejectReason::UnexpectedMessage, handled);
        }
        let origin = self.origin;
        let command = match message {
            Inbound::Logon(_) => {
                return self.refuse(frame, index, RejectReason::UnexpectedMessage, handled);
            }
            Inbound::Logout(_) => return self.end(Ended::LoggedOut, handled),
            Inbound::Heartbeat(_) => return,
            Inbound::TestRequest(test) => {
                if self.may_ask((frame, index), now_ns, handled) {
                    handled.replies.push(Outbound::TestReply(test));
                }
                return;
            }
            Inbound::SetDeadMan(switch) => {
                if self.may_ask((frame, index), now_ns, handled) {
                    handled.dead_man_ms = Some(switch.after_ms);
                    handled.replies.push(Outbound::DeadManSet(switch));
                }
                return;
            }
            Inbound::NewOrder(signed) => new_order(origin, signed.order, signed.signature),
            Inbound::ValidateOrder(signed) => validate_order(origin, signed),
            Inbound::StatusRequest(request) => Command::AskOrder(about(origin, request)),
            Inbound::ReplaceOrder(signed) => {
                replace_order(origin, signed.replace, signed.signature)
            }
            Inbound::CancelOrder(request) => Command::CancelOrder(about(origin, request)),
            Inbound::HibernateOrder(request) => Command::HibernateOrder(about(origin, request)),
            Inbound::ActivateOrder(request) => Command::ActivateOrder(about(origin, request)),
            Inbound::ReduceOrder(reduce) => reduce_order(origin, reduce),
            Inbound::MassCancel(cancel) => Command::MassCancel(MassCancel {
                origin: Some(origin),
                client_order: cancel.client_order,
                scope: cancel.scope,
                slot: cancel.slot,
            }),
            Inbound::DelegateMeter(delegate) => delegate_meter(origin, delegate),
            Inbound::RevokeDelegation(revoke) => revoke_delegation(origin, revoke),
            Inbound::FrameSignature(signed) => {
                match frame_signature(origin, (frame, index), signed, handled) {
                    Some(command) => command,
                    None => return,
                }
            }
            Inbound::DelegatedOrder(order) => delegated_order(origin, order),
            Inbound::DelegatedReplace(replace) => delegated_replace(origin, replace),
            Inbound::OfferContract(offer) => offer_contract(origin, offer),
            Inbound::AcceptContract(accept) => accept_contract(origin, accept),
            Inbound::DeclineContract(request) => {
                Command::DeclineContract(about_offer(origin, request))
            }
            Inbound::WithdrawContract(request) => {
                Command::WithdrawContract(about_offer(origin, request))
            }
            Inbound::OfferAmendment(offer) => offer_amendment(origin, offer),
            Inbound::AcceptAmendment(accept) => accept_amendment(origin, accept),
            Inbound::AggregateMembers(page) => members_page(origin, page),
            Inbound::NewAggregateOrder(signed) => new_aggregate(origin, signed),
        };
        self.request(Request { frame: frame.header.number, index, command }, now_ns, handled);
    }

    /// Passes a request on unless there are too many.
    fn request(&mut self, request: Request, now_ns: u64, handled: &mut Handled) {
        let command = &request.command;
        let verdict = if let Command::SignedFrame(signed) = command {
            let verdict = self.throttle.orders(signed.orders, now_ns, &self.limits);
            handled.signed_orders = signed.orders;
            handled.throttled =
                if let Verdict::Refused(limit) = verdict { Some(limit) } else { None };
            verdict
        } else if command.is_of_signed_frame() && request.index <= handled.signed_orders {
            // Counted with the signature in front of it.
            handled.throttled.map_or(Verdict::Passed, Verdict::Refused)
        } else if request.counts_as_order() {
            self.throttle.order(now_ns, &self.limits)
        } else {
            self.throttle.cancel(now_ns, &self.limits)
        };
        let throttled = |limit| request.rejected_at(RejectReason::Throttled, limit);
        match verdict {
            Verdict::Passed => handled.requests.push(request),
            Verdict::Refused(limit) => handled.replies.push(throttled(limit)),
            Verdict::Ended(limit) => {
                handled.replies.push(throttled(limit));
                self.end(Ended::Throttled, handled);
            }
        }
    }

    /// Whether a question that is no request may be asked, which counts as a cancellation does.
    fn may_ask(&mut self, at: (&Frame, u16), now_ns: u64, handled: &mut Handled) -> bool {
        let (frame, index) = at;
        let throttled = |limit| {
            let (frame, client_order) = (frame.header.number, ClientOrderId::new(0));
            let reason = RejectReason::Throttled;
            let rejected = MessageRejected { frame, client_order, index, reason, limit };
            Outbound::MessageRejected(rejected)
        };
        match self.throttle.cancel(now_ns, &self.limits) {
            Verdict::Passed => return true,
            Verdict::Refused(limit) => handled.replies.push(throttled(limit)),
            Verdict::Ended(limit) => {
                handled.replies.push(throttled(limit));
                self.end(Ended::Throttled, handled);
            }
        }
        false
    }

    const fn end(&mut self, why: Ended, handled: &mut Handled) {
        self.logged_on = false;
        handled.ended = Some(why);
    }

    /// Ends the session with a reason the client is told.
    fn refuse(&mut self, frame: &Frame, index: u16, reason: RejectReason, handled: &mut Handled) {
        if self.logged_on {
            handled.replies.push(rejected(frame, index, reason));
            handled.ended = Some(Ended::ProtocolError);
        } else {
            handled.replies.push(Outbound::SessionRejected(SessionRejected { reason }));
            handled.ended = Some(Ended::Refused);
        }
        self.logged_on = false;
    }
}

/// The last message of a session that the client ended.
pub(crate) const LOGGED_OUT: Outbound = Outbound::LoggedOut(Empty);

const fn new_order(origin: Origin, order: NewOrder, signature: Signature) -> Command {
    Command::NewOrder(SignedNewOrder { origin, order, signature })
}

const fn validate_order(origin: Origin, signed: inbound::SignedNew) -> Command {
    let inbound::SignedNew { order, signature } = signed;
    Command::ValidateOrder(SignedNewOrder { origin, order, signature })
}

const fn replace_order(origin: Origin, replace: ReplaceOrder, signature: Signature) -> Command {
    Command::ReplaceOrder(SignedReplaceOrder { origin, replace, signature })
}

const fn delegate_meter(origin: Origin, delegate: inbound::Delegate) -> Command {
    let inbound::Delegate { client_order, delegation, signature } = delegate;
    Command::DelegateMeter(DelegateMeter { origin, client_order, delegation, signature })
}

const fn revoke_delegation(origin: Origin, revoke: inbound::Revoke) -> Command {
    let inbound::Revoke { client_order, number, meter, signature } = revoke;
    Command::RevokeDelegation(RevokeDelegation { origin, client_order, meter, number, signature })
}

/// The signature of a frame, whose first message it must be. What it may cover is kept for its check.
fn frame_signature(
    origin: Origin,
    (frame, index): (&Frame, u16),
    signed: inbound::FrameSignature,
    handled: &mut Handled,
) -> Option<Command> {
    if index != 0 {
        handled.replies.push(rejected(frame, index, RejectReason::UnexpectedMessage));
        return None;
    }
    let covered = frame.payload.get(FRAME_SIGNATURE_BYTES..).unwrap_or_default();
    handled.covered.extend_from_slice(covered);
    let inbound::FrameSignature { signature, key, orders } = signed;
    let frame = frame.header.number;
    Some(Command::SignedFrame(SignedFrame { origin, frame, orders, key, signature }))
}

const fn delegated_order(origin: Origin, order: NewOrder) -> Command {
    Command::DelegatedOrder(DelegatedOrder { origin, order })
}

const fn delegated_replace(origin: Origin, replace: ReplaceOrder) -> Command {
    Command::DelegatedReplace(DelegatedReplace { origin, replace })
}

const fn reduce_order(origin: Origin, reduce: inbound::Reduce) -> Command {
    let inbound::Reduce { client_order, order, quantity } = reduce;
    Command::ReduceOrder(ReduceOrder { origin, client_order, order, by: quantity })
}

const fn about(origin: Origin, request: inbound::OrderRequest) -> OrderRequest {
    OrderRequest { origin, client_order: request.client_order, order: request.order }
}

const fn offer_contract(origin: Origin, offer: inbound::Offer) -> Command {
    let inbound::Offer { client_order, terms, signature, offered_by } = offer;
    Command::OfferContract(OfferContract { origin, client_order, terms, offered_by, signature })
}

const fn accept_contract(origin: Origin, accept: inbound::Accept) -> Command {
    let inbound::Accept { client_order, offer, terms, signature, accepted_by } = accept;
    Command::AcceptContract(AcceptContract {
        origin,
        client_order,
        offer,
        terms,
        accepted_by,
        signature,
    })
}

const fn offer_amendment(origin: Origin, offer: inbound::Amendment) -> Command {
    let inbound::Amendment { client_order, terms, signature, offered_by } = offer;
    Command::OfferAmendment(OfferAmendment { origin, client_order, terms, offered_by, signature })
}

const fn accept_amendment(origin: Origin, accept: inbound::AmendmentAccept) -> Command {
    let inbound::AmendmentAccept { client_order, offer, terms, signature, accepted_by } = accept;
    Command::AcceptAmendment(AcceptAmendment {
        origin,
        client_order,
        offer,
        terms,
        accepted_by,
        signature,
    })
}

const fn members_page(origin: Origin, page: inbound::MembersPage) -> Command {
    let inbound::MembersPage { client_order, page, members } = page;
    Command::AggregateMembers(MembersPage { origin, client_order, page, members })
}

const fn new_aggregate(origin: Origin, signed: inbound::SignedAggregate) -> Command {
    let inbound::SignedAggregate { order, signature } = signed;
    Command::NewAggregateOrder(NewAggregateOrder { origin, order, signature })
}

const fn about_offer(origin: Origin, request: inbound::OfferRequest) -> OfferRequest {
    OfferRequest { origin, client_order: request.client_order, offer: request.offer }
}

const fn rejected(frame: &Frame, index: u16, reason: RejectReason) -> Outbound {
    Outbound::MessageRejected(MessageRejected {
        frame: frame.header.number,
        client_order: ClientOrderId::new(0),
        index,
        reason,
        limit: 0,
    })
}

#[cfg(test)]
mod tests {
    use types::{Energy, OrderId, Scope};
    use wire::{FrameBuilder, FrameDecoder};

    use super::*;

    fn session() -> Session {
        Session::new(PlatformId::new(7), SessionId::new(1), Shards::ONE, Limits::default())
    }

    fn nothing_yet(_: ShardId) -> Seq {
        Seq::ZERO
    }

    const fn logon(shard: ShardId) -> Inbound {
        Inbound::Logon(Logon::new(1_000, shard))
    }

    fn frame(number: u64, messages: &[Inbound]) -> Frame {
        let mut builder = FrameBuilder::default();
        for message in messages {
            builder.push(|out| message.encode(out));
        }
        let mut bytes = Vec::new();
        builder.seal(number, &mut bytes);
        let mut decoder = FrameDecoder::default();
        decoder.extend(&bytes);
        decoder.next_frame().unwrap().unwrap()
    }

    const LOGON: Inbound = logon(ShardId::FIRST);
    const ABOUT: inbound::OrderRequest =
        inbound::OrderRequest { client_order: ClientOrderId::new(5), order: OrderId::new(9) };
    const CANCEL: Inbound = Inbound::CancelOrder(ABOUT);

    #[test]
    fn logon_comes_first_and_once() {
        let mut first = session();
        let handled = first.handle_frame(&frame(1, &[CANCEL]), 0, nothing_yet);
        assert_eq!(
            handled.replies,
            [Outbound::SessionRejected(SessionRejected {
                reason: RejectReason::UnexpectedMessage
            })]
        );
        assert_eq!(handled.ended, Some(Ended::Refused));

        let mut twice = session();
        let handled = twice.handle_frame(&frame(1, &[LOGON, LOGON]), 0, nothing_yet);
        assert!(matches!(handled.replies[0], Outbound::SessionAccepted(_)));
        assert!(matches!(handled.replies[1], Outbound::SessionLimits(_)));
        assert!(matches!(
            handled.replies[2],
            Outbound::MessageRejected(MessageRejected {
                reason: RejectReason::UnexpectedMessage,
                index: 1,
                ..
            })
        ));
        assert_eq!(handled.ended, Some(Ended::ProtocolError));
    }

    #[test]
    fn a_session_is_of_the_shard_it_asks_for_if_there_is_one() {
        let shards = Shards::new(3).unwrap();
        let at = |index| {
            let mut session =
                Session::new(PlatformId::new(7), SessionId::new(1), shards, Limits::default());
            let logon = logon(ShardId::new(index).unwrap());
            let last = |shard: ShardId| Seq::new(100 + u64::from(shard.index()));
            (session.handle_frame(&frame(1, &[logon]), 0, last), session.shard().index())
        };
        let (handled, shard) = at(2);
        let Outbound::SessionAccepted(accepted) = handled.replies[0] else { panic!("{handled:?}") };
        assert_eq!((shard, accepted.shard.index(), accepted.last_shard.index()), (2, 2, 2));
        assert_eq!(accepted.last_seq, Seq::new(102), "of its shard");
        let (handled, _) = at(3);
        let reason = RejectReason::WrongShard;
        let refused = Outbound::SessionRejected(SessionRejected { reason });
        assert_eq!((&handled.replies[..], handled.ended), (&[refused][..], Some(Ended::Refused)));
    }

    #[test]
    fn a_logon_says_where_it_resumes_and_how_long_its_orders_stay() {
        let resuming = |seq| {
            let mut session = session();
            let resume = Some(ResumePoint { seq: Seq::new(seq), reports: 2 });
            let logon = Logon { resume, cancel_after_ms: 50, ..Logon::new(1_000, ShardId::FIRST) };
            let frame = frame(1, &[Inbound::Logon(logon)]);
            (session.handle_frame(&frame, 0, |_| Seq::new(9)), resume)
        };
        let (handled, resume) = resuming(9);
        assert_eq!(
            handled.opened,
            Some(Opened { resume, cancel_after_ms: 50, tell_applied: false })
        );
        let (handled, _) = resuming(10);
        let reason = RejectReason::UnknownPosition;
        let refused = Outbound::SessionRejected(SessionRejected { reason });
        assert_eq!((&handled.replies[..], handled.ended), (&[refused][..], Some(Ended::Refused)));
        assert_eq!(handled.opened, None);
    }

    #[test]
    fn requests_become_commands_of_their_session() {
        let mut session = session();
        let origin = session.origin();
        let client_order = ClientOrderId::new(5);
        let order = OrderId::new(9);
        let by = Energy::from_wh(20);
        let messages = [
            LOGON,
            CANCEL,
            Inbound::ReduceOrder(inbound::Reduce { client_order, order, quantity: by }),
            Inbound::HibernateOrder(ABOUT),
            Inbound::ActivateOrder(ABOUT),
            Inbound::MassCancel(inbound::MassCancel {
                client_order,
                slot: None,
                scope: Scope::All,
            }),
        ];
        let handled = session.handle_frame(&frame(1, &messages), 0, nothing_yet);
        let request = OrderRequest { origin, client_order, order };
        let expected = [
            Command::CancelOrder(request),
            Command::ReduceOrder(ReduceOrder { origin, client_order, order, by }),
            Command::HibernateOrder(request),
            Command::ActivateOrder(request),
            Command::MassCancel(MassCancel {
                origin: Some(origin),
                client_order,
                scope: Scope::All,
                slot: None,
            }),
        ];
        for (request, (index, command)) in handled.requests.iter().zip((1..).zip(expected)) {
            assert_eq!(*request, Request { frame: 1, index, command });
            let refused = request.rejected(RejectReason::Busy);
            let Outbound::MessageRejected(refused) = refused else { panic!("{refused:?}") };
            assert_eq!(refused.client_order, client_order, "a refusal names its request");
        }
        assert_eq!(handled.requests.len(), 5);
    }

    #[test]
    fn what_stands_behind_the_end_is_answered() {
        let mut session = session();
        session.handle_frame(&frame(1, &[logon(ShardId::FIRST)]), 0, nothing_yet);
        let handled =
            session.handle_frame(&frame(2, &[Inbound::Logout(Empty), CANCEL]), 0, nothing_yet);
        assert_eq!(handled.ended, Some(Ended::LoggedOut));
        let [Outbound::MessageRejected(behind)] = handled.replies[..] else {
            panic!("{:?}", handled.replies)
        };
        assert_eq!((behind.index, behind.reason), (1, RejectReason::UnexpectedMessage));
    }

    #[test]
    fn a_gap_in_numbers_ends_the_session() {
        let mut session = session();
        session.handle_frame(&frame(1, &[LOGON]), 0, nothing_yet);
        let handled = session.handle_frame(&frame(3, &[CANCEL]), 0, nothing_yet);
        assert!(handled.requests.is_empty());
        assert!(matches!(
            handled.replies[..],
            [Outbound::MessageRejected(MessageRejected { reason: RejectReason::SequenceGap, .. })]
        ));
    }

    #[test]
    fn every_message_of_a_damaged_frame_is_answered() {
        let mut session = session();
        session.handle_frame(&frame(1, &[LOGON]), 0, nothing_yet);
        let mut damaged = frame(2, &[CANCEL, CANCEL, CANCEL, CANCEL]);
        damaged.payload[24] = 99;
        let handled = session.handle_frame(&damaged, 0, nothing_yet);
        assert_eq!(handled.requests.len(), 1);
        assert_eq!(handled.replies.len(), 3);
        assert_eq!(handled.ended, None);
        let handled = session.handle_frame(&frame(3, &[CANCEL]), 0, nothing_yet);
        assert_eq!(handled.requests.len(), 1, "the session goes on");
    }

    #[test]
    fn trailing_bytes_are_answered_too() {
        let mut session = session();
        session.handle_frame(&frame(1, &[LOGON]), 0, nothing_yet);
        let mut longer = frame(2, &[CANCEL]);
        longer.payload.push(0);
        let handled = session.handle_frame(&longer, 0, nothing_yet);
        assert_eq!((handled.requests.len(), handled.replies.len()), (1, 1));
    }
}
