//! Stop 3 of an order's life, second half: signature checks on their own threads, between the
//! session and the ring.
//!
//! A platform's sessions at a shard, one after the other, use the same thread. So requests keep their
//! order, and when a newer session takes over, nothing of the older one comes behind it.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
};

use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, oneshot};
use types::{
    About, AcceptAmendment, AcceptContract, Command, Digest, FIRST_VERSION, KnownTrade,
    MarketDefinition, MeterId, NewAggregateOrder, OfferAmendment, OfferContract, Origin,
    PlatformId, RejectReason, RevokeDelegation, ShardId, ShardMap, Signature, SignedOperation,
    TradeId,
};
use wire::signing;

use crate::{
    directory::{Directory, MeterIdentity, SignerKey},
    egress::{OutboundBatch, SessionHandle},
    ingress::Ingress,
    session::Request,
};

/// Frames that may wait for one verifier; beyond it the session stops reading. Far more than have to, unless they
/// hold nothing to verify.
const JOBS_MAX: usize = 1_024;

/// What a verifier is given.
#[derive(Debug)]
pub enum Job {
    /// The requests of one frame.
    Requests {
        /// The session's shard.
        shard: ShardId,
        /// Who asked, and who is told of refusals.
        session: SessionHandle,
        /// What is asked, in order.
        requests: Vec<Request>,
        /// Behind a `FrameSignature`: the bytes that it may cover.
        covered: Vec<u8>,
    },
    /// Answered once everything before it is in the ring or refused.
    Fence(oneshot::Sender<()>),
}

/// What the exchange recorded of its trades, for who asks to change one, and for operators who undo one.
pub trait KnownTrades: std::fmt::Debug + Send + Sync {
    /// A trade as it was made; `None` while none of this number is on record.
    fn trade(&self, trade: TradeId) -> Option<KnownTrade>;
}

/// What every verifier works with.
#[derive(Debug)]
pub struct Admission {
    /// Known meters.
    pub directory: Arc<Directory>,
    /// Known trades, asked for changes of them.
    pub trades: Arc<dyn KnownTrades>,
    /// Which shard a slot belongs to.
    pub map: Arc<ShardMap>,
    /// The ring of every shard.
    pub rings: Vec<Ingress>,
    /// Whether the disk is too full for more orders.
    pub storage_low: Arc<AtomicBool>,
    /// Most requests of a session without an answer.
    pub open_requests_max: u32,
    /// Most signatures that may wait for one verifier. What comes above it is refused as `busy` at once, so
    /// that who is accepted has not waited longer than they take: 25 µs each.
    pub unverified_max: u32,
}

/// Running verifier threads. They end when every sender is gone.
#[derive(Debug, Clone)]
pub struct Verifiers {
    lanes: Arc<[Lane]>,
    unverified_max: u32,
}

/// The way to one verifier.
#[derive(Debug)]
struct Lane {
    jobs: mpsc::Sender<Job>,
    /// Signatures on their way to it.
    unverified: Arc<AtomicU32>,
}

impl Verifiers {
    /// Starts `threads` verifiers that push into the shards' rings.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(threads: usize, admission: Admission) -> io::Result<Self> {
        let admission = Arc::new(admission);
        let unverified_max = admission.unverified_max;
        let mut lanes = Vec::new();
        for number in 0..threads.max(1) {
            let (sender, mut jobs) = mpsc::channel::<Job>(JOBS_MAX);
            let admission = Arc::clone(&admission);
            let unverified = Arc::new(AtomicU32::new(0));
            lanes.push(Lane { jobs: sender, unverified: Arc::clone(&unverified) });
            thread::Builder::new().name(format!("verifier-{number}")).spawn(move || {
                while let Some(job) = jobs.blocking_recv() {
                    match job {
                        Job::Requests { shard, session, requests, covered } => {
                            let signatures = signatures(&requests);
                            let requests = (&requests[..], &covered[..]);
                            handle_requests(shard, &session, requests, &admission);
                            unverified.fetch_sub(signatures, Ordering::Relaxed);
                        }
                        // Whoever waited may have gone.
                        Job::Fence(passed) => passed.send(()).unwrap_or_default(),
                    }
                }
            })?;
        }
        Ok(Self { lanes: lanes.into(), unverified_max })
    }

    /// Waits until a session's verifier has done what it was given so far.
    pub async fn fence_of(&self, origin: Origin, shard: ShardId) {
        let (passed, wait) = oneshot::channel();
        if let Some(lane) = self.lane_of(origin, shard)
            && lane.jobs.send(Job::Fence(passed)).await.is_ok()
        {
            wait.await.ok();
        }
    }

    /// Waits until every verifier has done what it was given so far.
    pub async fn fence(&self) {
        for lane in self.lanes.iter() {
            let (passed, wait) = oneshot::channel();
            if lane.jobs.send(Job::Fence(passed)).await.is_ok() {
                wait.await.ok();
            }
        }
    }

    /// Hands a frame's requests to the session's verifier. While it is too far behind, what has a signature is
    /// refused as `busy`, and the rest goes on.
    pub async fn submit(&self, mut job: Job) {
        let Job::Requests { session, shard, requests, .. } = &mut job else { return };
        let Some(lane) = self.lane_of(session.origin(), *shard) else { return };
        let wanted = signatures(requests);
        // A moment sooner or later makes no difference: it bounds a wait, and guards no memory.
        let waiting = lane.unverified.load(Ordering::Relaxed);
        if wanted > 0 && waiting.saturating_add(wanted) > self.unverified_max {
            refuse_signed(session, requests);
            if requests.is_empty() {
                return;
            }
        } else {
            lane.unverified.fetch_add(wanted, Ordering::Relaxed);
        }
        // A verifier ends only with the process; its requests are then unanswered, as after a crash.
        lane.jobs.send(job).await.ok();
    }
}

/// How many signatures a verifier checks for these: that of a frame stands for all its orders.
fn signatures(requests: &[Request]) -> u32 {
    let is_signed = |request: &&Request| has_signature(&request.command);
    u32::try_from(requests.iter().filter(is_signed).count()).unwrap_or(u32::MAX)
}

const fn has_signature(command: &Command) -> bool {
    matches!(
        command,
        Command::NewOrder(_)
            | Command::ValidateOrder(_)
            | Command::ReplaceOrder(_)
            | Command::OfferContract(_)
            | Command::AcceptContract(_)
            | Command::OfferAmendment(_)
            | Command::AcceptAmendment(_)
            | Command::NewAggregateOrder(_)
            | Command::DelegateMeter(_)
            | Command::SignedFrame(_)
            | Command::RevokeDelegation(RevokeDelegation { signature: Some(_), .. })
    )
}

/// Refuses everything that a signature would have to be checked for, and takes it out.
fn refuse_signed(session: &SessionHandle, requests: &mut Vec<Request>) {
    let mut refused = OutboundBatch::default();
    requests.retain(|request| {
        let stays = !has_signature(&request.command) && !request.command.is_of_signed_frame();
        if !stays {
            session.push(&mut refused, &request.rejected(RejectReason::Busy));
        }
        stays
    });
    session.send(refused);
}

impl Verifiers {
    /// The verifier of a platform at a shard.
    fn lane_of(&self, origin: Origin, shard: ShardId) -> Option<&Lane> {
        let number = usize::from(origin.platform.get()).wrapping_add(shard.index().into());
        self.lanes.get(number.checked_rem(self.lanes.len())?)
    }
}

fn handle_requests(
    shard: ShardId,
    session: &SessionHandle,
    (requests, covered): (&[Request], &[u8]),
    admission: &Admission,
) {
    if session.is_fenced() {
        return; // Closed, and its successor may have asked for something already.
    }
    let most = admission.open_requests_max;
    let room = most.saturating_sub(session.open_requests());
    // Before the first is in the ring: its answer may come at once.
    session.requested(answers(requests));
    let mut refused = OutboundBatch::default();
    let mut refused_count = 0_u32;
    admit(shard, (requests, covered), room, admission, &mut |request, reason| {
        let limit = if reason == RejectReason::TooManyOpenRequests { most } else { 0 };
        session.push(&mut refused, &request.rejected_at(reason, limit));
        refused_count = refused_count.saturating_add(answers(std::slice::from_ref(request)));
    });
    session.send(refused);
    session.answered(refused_count);
}

/// Checks the requests of one frame and puts them into the ring of their shard, in order. `covered` are
/// the bytes behind a `FrameSignature`, `room` is how many more of the session may wait for an answer.
/// Everything that is refused is told to `refuse`.
///
/// A signed frame stands first, and goes in whole or not at all.
pub fn admit(
    shard: ShardId,
    (requests, covered): (&[Request], &[u8]),
    mut room: u32,
    admission: &Admission,
    refuse: &mut dyn FnMut(&Request, RejectReason),
) {
    // The shard of a session that logged on exists.
    let Some(ring) = admission.rings.get(usize::from(shard.index())) else { return };
    let mut signed_bytes = Vec::with_capacity(signing::SIGNED_BYTES_MAX);
    let (frame, single) = split_frame(requests);
    if let Some(frame) = frame {
        let orders = answers(frame);
        let admitted = if orders > room {
            Err(RejectReason::TooManyOpenRequests)
        } else {
            admit_frame(shard, frame, covered, (admission, ring), &mut signed_bytes)
        };
        match admitted {
            Ok(()) => room = room.saturating_sub(orders),
            Err(reason) => frame.iter().for_each(|request| refuse(request, reason)),
        }
    }
    for request in single {
        let Some(left) = room.checked_sub(1) else {
            refuse(request, RejectReason::TooManyOpenRequests);
            continue;
        };
        let outcome = check_shard(&request.command, shard, &admission.map)
            .and_then(|()| check_storage(&request.command, &admission.storage_low))
            .and_then(|()| check(&request.command, &admission.directory, &mut signed_bytes))
            .and_then(|()| check_trade(&request.command, &*admission.trades))
            .and_then(|()| push(request, ring));
        match outcome {
            Ok(()) => room = left,
            Err(reason) => refuse(request, reason),
        }
    }
}

/// How many of these will be answered: the signature of an admitted frame is not.
fn answers(requests: &[Request]) -> u32 {
    let signatures = usize::from(matches!(
        requests.first(),
        Some(Request { command: Command::SignedFrame(_), .. })
    ));
    u32::try_from(requests.len().saturating_sub(signatures)).unwrap_or(u32::MAX)
}

/// A signature with as many of the requests behind it as it covers or there are, and the others.
#[must_use]
pub fn split_frame(requests: &[Request]) -> (Option<&[Request]>, &[Request]) {
    if let Some(Request { command: Command::SignedFrame(signed), .. }) = requests.first() {
        let covered = usize::from(signed.orders).saturating_add(1).min(requests.len());
        let (frame, others) = requests.split_at(covered);
        return (Some(frame), others);
    }
    (None, requests)
}

/// Admits a signed frame: its signature, then its orders.
fn admit_frame(
    shard: ShardId,
    frame: &[Request],
    covered: &[u8],
    (admission, ring): (&Admission, &Ingress),
    signed_bytes: &mut Vec<u8>,
) -> Result<(), RejectReason> {
    verify_frame(frame, covered, &admission.directory, signed_bytes)?;
    for request in frame {
        check_shard(&request.command, shard, &admission.map)?;
        check_storage(&request.command, &admission.storage_low)?;
    }
    if ring.is_crowded(frame.len()) {
        return Err(RejectReason::Busy);
    }
    let commands = frame.iter().map(|request| request.command).collect();
    ring.push_frame(commands).map_err(|_| RejectReason::Busy)
}

/// Whether the signature of a frame is one of the session's platform over exactly the messages that
/// follow it. `covered` are the bytes behind its first message, `signed_bytes` is room to work in.
///
/// # Errors
/// [`RejectReason::SignatureInvalid`].
pub fn verify_frame(
    frame: &[Request],
    covered: &[u8],
    directory: &Directory,
    signed_bytes: &mut Vec<u8>,
) -> Result<(), RejectReason> {
    let invalid = RejectReason::SignatureInvalid;
    let Some((Request { command: Command::SignedFrame(signed), .. }, orders)) = frame.split_first()
    else {
        return Err(invalid);
    };
    if orders.is_empty() || orders.len() != usize::from(signed.orders) {
        return Err(invalid);
    }
    let mut bytes = 0_usize;
    for (index, request) in (1..).zip(orders) {
        // Another message between them would have taken an index.
        if request.index != index {
            return Err(invalid);
        }
        bytes = bytes.saturating_add(if let Command::DelegatedOrder(_) = &request.command {
            signing::DELEGATED_ORDER_BYTES
        } else if let Command::DelegatedReplace(_) = &request.command {
            signing::DELEGATED_REPLACE_BYTES
        } else {
            return Err(invalid);
        });
    }
    let covered = covered.get(..bytes).ok_or(invalid)?;
    let platform = signed.origin.platform;
    let key = directory.platform(platform).filter(|key| key.id == signed.key).ok_or(invalid)?;
    let digest = Digest::new(Sha256::digest(covered).into());
    signing::frame(platform, signed.key, signed.orders, &digest, signed_bytes);
    verify(key, signed_bytes, &signed.signature)
}

/// Puts a request into the ring. What makes orders leaves the last places to what takes them away.
fn push(request: &Request, ring: &Ingress) -> Result<(), RejectReason> {
    if request.counts_as_order() && ring.is_crowded(1) {
        return Err(RejectReason::Busy);
    }
    ring.push(request.command).map_err(|_| RejectReason::Busy)
}

/// Whether the session's shard is the one that knows the slot or the order. What no shard knows is
/// the engine's to refuse.
fn check_shard(command: &Command, shard: ShardId, map: &ShardMap) -> Result<(), RejectReason> {
    let of_number =
        |number| ShardId::of_number(number).filter(|&shard| map.shards().contains(shard));
    let belongs_to = match command.about() {
        About::Slot(key) => [map.of(key), None],
        About::Slots(left, entered) => [map.of(left), map.of(entered)],
        About::Order(order) => [of_number(order.get()), None],
        About::Offer(offer) => [of_number(offer.get()), None],
        About::Everything => [None, None],
    };
    if belongs_to.into_iter().flatten().any(|other| other != shard) {
        return Err(RejectReason::WrongShard);
    }
    Ok(())
}

/// Whether there is room for what the command makes. What takes orders away always has some: it is
/// what the reserve is for.
/// Rule T-41.
fn check_storage(command: &Command, storage_low: &AtomicBool) -> Result<(), RejectReason> {
    // A moment sooner or later makes no difference: the flag guards no other memory.
    if command.makes_orders() && storage_low.load(Ordering::Relaxed) {
        return Err(RejectReason::StorageLow);
    }
    Ok(())
}

/// The edge's part of admission: is the meter known, may the platform speak for it, and did its key
/// sign this? Expiry is judged by the engine, by journaled time. `signed_bytes` is room to work in.
/// Rule T-03.
///
/// # Errors
/// The first rule that is broken.
#[expect(clippy::too_many_lines, reason = "an arm for each kind")]
pub fn check(
    command: &Command,
    directory: &Directory,
    signed_bytes: &mut Vec<u8>,
) -> Result<(), RejectReason> {
    match command {
        Command::NewOrder(signed) => {
            let meter = authorised(directory, signed.order.meter, signed.origin.platform)?;
            signing::new_order(&signed.order, signed_bytes);
            verify(&meter.key, signed_bytes, &signed.signature)
        }
        Command::ValidateOrder(signed) => {
            let meter = authorised(directory, signed.order.meter, signed.origin.platform)?;
            signing::validation(&signed.order, signed_bytes);
            verify(&meter.key, signed_bytes, &signed.signature)
        }
        Command::ReplaceOrder(signed) => {
            let meter = authorised(directory, signed.replace.meter, signed.origin.platform)?;
            signing::replace_order(&signed.replace, signed_bytes);
            verify(&meter.key, signed_bytes, &signed.signature)
        }
        Command::DelegateMeter(request) => {
            let delegation = &request.delegation;
            let meter = directory.meter(delegation.meter).ok_or(RejectReason::UnknownMeter)?;
            if delegation.platform != request.origin.platform {
                return Err(RejectReason::NotAuthorised);
            }
            if delegation.key != meter.key.id {
                return Err(RejectReason::SignatureInvalid);
            }
            signing::delegation(delegation, signed_bytes);
            verify(&meter.key, signed_bytes, &request.signature)
        }
        Command::RevokeDelegation(request) => {
            let meter = directory.meter(request.meter).ok_or(RejectReason::UnknownMeter)?;
            // Without a signature it takes back what the platform holds, as the engine knows.
            let Some(signature) = &request.signature else { return Ok(()) };
            signing::revocation(request.meter, request.number, signed_bytes);
            verify(&meter.key, signed_bytes, signature)
        }
        Command::OfferContract(request) => {
            let OfferContract { origin, terms, offered_by, signature, .. } = request;
            signing::contract(terms, signed_bytes);
            let parties = (terms.meter(*offered_by), terms.meter(offered_by.opposite()));
            check_contract(directory, origin.platform, parties, (signed_bytes, signature))
        }
        // Whether these are the terms of the offer, and this its other side, is the engine's to say.
        Command::AcceptContract(request) => {
            let AcceptContract { origin, terms, accepted_by, signature, .. } = request;
            signing::contract(terms, signed_bytes);
            let parties = (terms.meter(*accepted_by), terms.meter(accepted_by.opposite()));
            check_contract(directory, origin.platform, parties, (signed_bytes, signature))
        }
        Command::OfferAmendment(request) => {
            let OfferAmendment { origin, terms, offered_by, signature, .. } = request;
            signing::amendment(terms, signed_bytes);
            let parties = (terms.meter(*offered_by), terms.meter(offered_by.opposite()));
            check_contract(directory, origin.platform, parties, (signed_bytes, signature))
        }
        Command::AcceptAmendment(request) => {
            let AcceptAmendment { origin, terms, accepted_by, signature, .. } = request;
            signing::amendment(terms, signed_bytes);
            let parties = (terms.meter(*accepted_by), terms.meter(accepted_by.opposite()));
            check_contract(directory, origin.platform, parties, (signed_bytes, signature))
        }
        Command::NewAggregateOrder(new) => check_aggregate(new, directory, signed_bytes),
        Command::Operate(signed) => check_operation((signed, None), directory, signed_bytes),
        Command::BustTrade(bust) => {
            check_operation((&bust.signed(), None), directory, signed_bytes)
        }
        // Outside of a frame whose signature covers them, or a signature without its frame.
        Command::DelegatedOrder(_) | Command::DelegatedReplace(_) | Command::SignedFrame(_) => {
            Err(RejectReason::SignatureInvalid)
        }
        // What takes back needs no more authority than the session's certificate; the engine
        // compares platforms. Pages of members are committed by the order that follows. The others never come from a session.
        Command::CancelOrder(_)
        | Command::AskOrder(_)
        | Command::AggregateMembers(_)
        | Command::DeclineContract(_)
        | Command::WithdrawContract(_)
        | Command::ReduceOrder(_)
        | Command::HibernateOrder(_)
        | Command::ActivateOrder(_)
        | Command::MassCancel(_)
        | Command::DefineMarket(_)
        | Command::DraftMarket(_)
        | Command::RegisterParty(_)
        | Command::RegisterMeter(_)
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
        | Command::PassTime => Ok(()),
    }
}

/// Whether a platform signed an aggregate order. Whether its members are known and let the platform do this is
/// the engine's to say.
fn check_aggregate(
    new: &NewAggregateOrder,
    directory: &Directory,
    signed_bytes: &mut Vec<u8>,
) -> Result<(), RejectReason> {
    let platform = new.origin.platform;
    let key = directory.platform(platform).ok_or(RejectReason::SignatureInvalid)?;
    signing::aggregate(platform, &new.order, signed_bytes);
    verify(key, signed_bytes, &new.signature)
}

/// Whether an operator signed an order, with the market that it defines, if it defines one.
///
/// # Errors
/// When the operator is not registered, or its key did not sign this.
pub(crate) fn check_operation(
    (signed, market): (&SignedOperation, Option<&MarketDefinition>),
    directory: &Directory,
    signed_bytes: &mut Vec<u8>,
) -> Result<(), RejectReason> {
    let key = directory.operator(signed.signer).ok_or(RejectReason::UnknownParty)?;
    match market {
        Some(market) => signing::definition(&signed.operation, market, signed_bytes),
        None => signing::operation(&signed.operation, signed_bytes),
    }
    verify(key, signed_bytes, &signed.signature)
}

/// Whether the first of both parties of a contract or change signed it, and the platform may speak for it.
fn check_contract(
    directory: &Directory,
    platform: PlatformId,
    (own, other): (MeterId, MeterId),
    (signed_bytes, signature): (&[u8], &Signature),
) -> Result<(), RejectReason> {
    directory.meter(other).ok_or(RejectReason::UnknownMeter)?;
    let meter = authorised(directory, own, platform)?;
    verify(&meter.key, signed_bytes, signature)
}

/// Whether a change is of a trade as the exchange recorded it. What changed since then is the engine's to
/// know: of the first version this is all, of a later one slot and quantity are not looked at.
fn check_trade(command: &Command, trades: &dyn KnownTrades) -> Result<(), RejectReason> {
    let Command::OfferAmendment(OfferAmendment { terms, .. }) = command else { return Ok(()) };
    let known = trades.trade(terms.trade).ok_or(RejectReason::UnknownTrade)?;
    let is_first = terms.version == FIRST_VERSION;
    let parties = (known.buyer, known.seller, known.price);
    let is_as_made = (known.key, known.quantity) == (terms.key, terms.quantity);
    if parties != (terms.buyer, terms.seller, terms.price) || (is_first && !is_as_made) {
        return Err(RejectReason::TermsDiffer);
    }
    Ok(())
}

fn authorised(
    directory: &Directory,
    meter: MeterId,
    platform: PlatformId,
) -> Result<&MeterIdentity, RejectReason> {
    let identity = directory.meter(meter).ok_or(RejectReason::UnknownMeter)?;
    if identity.platform != platform {
        return Err(RejectReason::NotAuthorised);
    }
    Ok(identity)
}

fn verify(key: &SignerKey, bytes: &[u8], signature: &Signature) -> Result<(), RejectReason> {
    let key = key.verifying.as_ref().ok_or(RejectReason::SignatureInvalid)?;
    let signature = ed25519_dalek::Signature::from_bytes(signature.as_bytes());
    // Plain `verify` accepts signatures that are no evidence; see RFC 8032 §8.9.
    key.verify_strict(bytes, &signature).map_err(|_| RejectReason::SignatureInvalid)
}
