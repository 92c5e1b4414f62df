//! Stop 3 of an order's life, second half: signature checks on their own threads, between the
//! session and the ring.
//!
//! A platform's sessions at a shard, one after the other, use the same thread. So requests keep their
//! order, and when a newer session takes over, nothing of the older one comes behind it.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use tokio::sync::{mpsc, oneshot};
use types::{
    Command, MeterId, OrderId, Origin, PlatformId, RejectReason, ShardId, ShardMap, Signature,
};
use wire::signing;

use crate::{
    directory::{Directory, MeterIdentity},
    egress::{OutboundBatch, SessionHandle},
    ingress::Ingress,
    session::Request,
};

/// Frames that may wait for one verifier; beyond it the session stops reading.
const JOBS_MAX: usize = 64;

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
    },
    /// Answered once everything before it is in the ring or refused.
    Fence(oneshot::Sender<()>),
}

/// What every verifier works with.
#[derive(Debug)]
pub struct Admission {
    /// Known meters.
    pub directory: Arc<Directory>,
    /// Which shard a slot belongs to.
    pub map: Arc<ShardMap>,
    /// The ring of every shard.
    pub rings: Vec<Ingress>,
    /// Whether the disk is too full for more orders.
    pub storage_low: Arc<AtomicBool>,
    /// Most requests of a session without an answer.
    pub open_requests_max: u32,
}

/// Running verifier threads. They end when every sender is gone.
#[derive(Debug, Clone)]
pub struct Verifiers {
    senders: Arc<[mpsc::Sender<Job>]>,
}

impl Verifiers {
    /// Starts `threads` verifiers that push into the shards' rings.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(threads: usize, admission: Admission) -> io::Result<Self> {
        let admission = Arc::new(admission);
        let mut senders = Vec::new();
        for number in 0..threads.max(1) {
            let (sender, mut jobs) = mpsc::channel::<Job>(JOBS_MAX);
            let admission = Arc::clone(&admission);
            thread::Builder::new().name(format!("verifier-{number}")).spawn(move || {
                while let Some(job) = jobs.blocking_recv() {
                    match job {
                        Job::Requests { shard, session, requests } => {
                            handle_requests(shard, &session, &requests, &admission);
                        }
                        // Whoever waited may have gone.
                        Job::Fence(passed) => passed.send(()).unwrap_or_default(),
                    }
                }
            })?;
            senders.push(sender);
        }
        Ok(Self { senders: senders.into() })
    }

    /// Waits until a session's verifier has done what it was given so far.
    pub async fn fence_of(&self, origin: Origin, shard: ShardId) {
        let (passed, wait) = oneshot::channel();
        if let Some(sender) = self.sender_of(origin, shard)
            && sender.send(Job::Fence(passed)).await.is_ok()
        {
            wait.await.ok();
        }
    }

    /// Waits until every verifier has done what it was given so far.
    pub async fn fence(&self) {
        for sender in self.senders.iter() {
            let (passed, wait) = oneshot::channel();
            if sender.send(Job::Fence(passed)).await.is_ok() {
                wait.await.ok();
            }
        }
    }

    /// Hands a frame's requests to the session's verifier; waits while it is behind.
    pub async fn submit(&self, job: Job) {
        let Job::Requests { session, shard, .. } = &job else { return };
        let sender = self.sender_of(session.origin(), *shard);
        if let Some(sender) = sender {
            // A verifier ends only with the process; its requests are then unanswered, as after a
            // crash.
            sender.send(job).await.ok();
        }
    }
}

impl Verifiers {
    /// The verifier of a platform at a shard.
    fn sender_of(&self, origin: Origin, shard: ShardId) -> Option<&mpsc::Sender<Job>> {
        let number = usize::from(origin.platform.get()).wrapping_add(shard.index().into());
        self.senders.get(number.checked_rem(self.senders.len())?)
    }
}

fn handle_requests(
    shard: ShardId,
    session: &SessionHandle,
    requests: &[Request],
    admission: &Admission,
) {
    // The shard of a session that logged on exists.
    let Some(ring) = admission.rings.get(usize::from(shard.index())) else { return };
    if session.is_fenced() {
        return; // Closed, and its successor may have asked for something already.
    }
    let open = session.open_requests();
    let count = u32::try_from(requests.len()).unwrap_or(u32::MAX);
    session.requested(count);
    let mut refused_count = 0_u32;
    let mut refused = OutboundBatch::default();
    let mut signed_bytes = Vec::with_capacity(signing::SIGNED_BYTES_MAX);
    for (before, request) in (0_u32..).zip(requests) {
        let waiting = open.saturating_add(before).saturating_sub(refused_count);
        if waiting >= admission.open_requests_max {
            let reason = RejectReason::TooManyOpenRequests;
            let answer = request.rejected_at(reason, admission.open_requests_max);
            refused_count = refused_count.saturating_add(1);
            session.push(&mut refused, &answer);
            continue;
        }
        let outcome = check_shard(&request.command, shard, &admission.map)
            .and_then(|()| check_storage(&request.command, &admission.storage_low))
            .and_then(|()| check(&request.command, &admission.directory, &mut signed_bytes))
            .and_then(|()| push(request, ring));
        if let Err(reason) = outcome {
            refused_count = refused_count.saturating_add(1);
            session.push(&mut refused, &request.rejected(reason));
        }
    }
    session.send(refused);
    session.answered(refused_count);
}

/// Puts a request into the ring. What makes orders leaves the last places to what takes them away.
fn push(request: &Request, ring: &Ingress) -> Result<(), RejectReason> {
    if request.makes_orders() && ring.is_crowded() {
        return Err(RejectReason::Busy);
    }
    ring.push(request.command).map_err(|_| RejectReason::Busy)
}

/// Whether the session's shard is the one that knows the slot or the order. What no shard knows is
/// the engine's to refuse.
fn check_shard(command: &Command, shard: ShardId, map: &ShardMap) -> Result<(), RejectReason> {
    let of_order =
        |order: OrderId| ShardId::of_number(order.get()).filter(|&of| map.shards().contains(of));
    let belongs_to = match command {
        Command::NewOrder(signed) => map.of(signed.order.key),
        Command::ReplaceOrder(signed) => of_order(signed.replace.order),
        Command::CancelOrder(request)
        | Command::HibernateOrder(request)
        | Command::ActivateOrder(request) => of_order(request.order),
        Command::ReduceOrder(reduce) => of_order(reduce.order),
        Command::MassCancel(cancel) => cancel.slot.and_then(|key| map.of(key)),
        Command::DefineMarket(_)
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
        | Command::PassTime => None,
    };
    match belongs_to {
        Some(other) if other != shard => Err(RejectReason::WrongShard),
        Some(_) | None => Ok(()),
    }
}

/// Whether there is room for what the command makes. What takes orders away always has some: it is
/// what the reserve is for.
fn check_storage(command: &Command, storage_low: &AtomicBool) -> Result<(), RejectReason> {
    let makes_orders = matches!(
        command,
        Command::NewOrder(_) | Command::ReplaceOrder(_) | Command::ActivateOrder(_)
    );
    // A moment sooner or later makes no difference: the flag guards no other memory.
    if makes_orders && storage_low.load(Ordering::Relaxed) {
        return Err(RejectReason::StorageLow);
    }
    Ok(())
}

/// The edge's part of admission: is the meter known, may the platform speak for it, and did its key
/// sign this? Expiry is judged by the engine, by journaled time. `signed_bytes` is room to work in.
///
/// # Errors
/// The first rule that is broken.
pub fn check(
    command: &Command,
    directory: &Directory,
    signed_bytes: &mut Vec<u8>,
) -> Result<(), RejectReason> {
    match command {
        Command::NewOrder(signed) => {
            let meter = authorised(directory, signed.order.meter, signed.origin.platform)?;
            signing::new_order(&signed.order, signed_bytes);
            verify(meter, signed_bytes, &signed.signature)
        }
        Command::ReplaceOrder(signed) => {
            let meter = authorised(directory, signed.replace.meter, signed.origin.platform)?;
            signing::replace_order(&signed.replace, signed_bytes);
            verify(meter, signed_bytes, &signed.signature)
        }
        // What takes back needs no more authority than the session's certificate; the engine
        // compares platforms. The others never come from a session.
        Command::CancelOrder(_)
        | Command::ReduceOrder(_)
        | Command::HibernateOrder(_)
        | Command::ActivateOrder(_)
        | Command::MassCancel(_)
        | Command::DefineMarket(_)
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
        | Command::PassTime => Ok(()),
    }
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

fn verify(meter: &MeterIdentity, bytes: &[u8], signature: &Signature) -> Result<(), RejectReason> {
    let key = meter.key.as_ref().ok_or(RejectReason::SignatureInvalid)?;
    let signature = ed25519_dalek::Signature::from_bytes(signature.as_bytes());
    // Plain `verify` accepts signatures that are no evidence; see RFC 8032 §8.9.
    key.verify_strict(bytes, &signature).map_err(|_| RejectReason::SignatureInvalid)
}
