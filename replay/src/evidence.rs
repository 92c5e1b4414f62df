//! Evidence: every signature of a journal, checked again with nothing but the journal.
//!
//! What a meter signed alone carries its signature. Orders that a platform signed together stand behind
//! their [`SignedFrame`], per session in order and without a gap: encoded again they are the bytes that were
//! signed.

use std::{collections::BTreeMap, ops::ControlFlow, path::Path};

use ed25519_dalek::VerifyingKey;
use journal::{Entry, JournalError};
use sha2::{Digest as _, Sha256};
use types::{
    Action, Command, ContractAmended, Digest, Energy, Event, FIRST_VERSION, KeyId,
    MarketDefinition, MeterId, NewAggregateOrder, Origin, PartyRegistration, PlatformId, Price,
    PublicKey, Role, Seq, Sequenced, Signature, SignedFrame, SignedOperation, SlotKey, TradeBusted,
    TradeId,
};
use wire::signing;

use crate::members::{self, Members};

/// Who vouches for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signer {
    /// A meter's owner.
    Meter(MeterId),
    /// A platform.
    Platform(PlatformId),
    /// The operator of this number.
    Operator(u16),
}

impl std::fmt::Display for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Meter(meter) => write!(f, "meter {meter}"),
            Self::Platform(platform) => write!(f, "platform {platform}"),
            Self::Operator(operator) => write!(f, "operator {operator}"),
        }
    }
}

/// Why a journal's evidence is not whole.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The journal cannot be read, or is damaged.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A signature is of nobody in the journal.
    #[error("sequence {seq} is signed by {signer}, whose registration is not in this journal")]
    UnknownKey {
        /// Where.
        seq: Seq,
        /// Who should have signed.
        signer: Signer,
    },
    /// A signature is no evidence.
    #[error("the signature at sequence {seq} does not verify under the key of {signer}")]
    Invalid {
        /// Where.
        seq: Seq,
        /// Who should have signed.
        signer: Signer,
    },
    /// A frame lacks orders: they come from the same session, right behind it. A process that died
    /// between two batches of one turn can leave one at the end of what it wrote.
    #[error("the frame at sequence {seq} lacks {missing} of the orders that it covers")]
    FrameCutShort {
        /// Where the frame's signature is.
        seq: Seq,
        /// How many orders are missing.
        missing: u16,
    },
    /// The members that were listed are not those that the platform signed for.
    #[error(
        "the members listed for the aggregate order at sequence {seq} are not those that it names"
    )]
    OtherMembers {
        /// Where the order is.
        seq: Seq,
    },
    /// A change is of a trade that is not as the change says.
    #[error("the change at sequence {seq} is not of trade {trade} as this journal has it")]
    OtherTrade {
        /// Where the change was agreed on.
        seq: Seq,
        /// Which trade.
        trade: TradeId,
    },
    /// An order that needs a signed frame stands in none.
    #[error("the order at sequence {seq} stands in no signed frame")]
    NoFrame {
        /// Where.
        seq: Seq,
    },
}

/// How much was checked. All of it is genuine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Orders, validated ones included, and replacements that a meter signed.
    pub orders: u64,
    /// Delegations, and their ends that a meter signed.
    pub delegations: u64,
    /// Offers and acceptances of contracts.
    pub contracts: u64,
    /// Aggregate orders that a platform signed.
    pub aggregates: u64,
    /// Members of those that were accepted, listed as they say.
    pub members: u64,
    /// Frames that a platform signed.
    pub frames: u64,
    /// Orders and replacements in them.
    pub frame_orders: u64,
    /// Orders of operators.
    pub operations: u64,
}

impl Evidence {
    /// How many signatures were checked.
    #[must_use]
    pub const fn signatures(&self) -> u64 {
        let of_meters = self.orders.saturating_add(self.delegations);
        let of_platforms = self.frames.saturating_add(self.aggregates);
        let of_others = of_platforms.saturating_add(self.operations);
        of_meters.saturating_add(self.contracts).saturating_add(of_others)
    }
}

/// Checks every signature in the journal in `dir`, up to its end.
///
/// # Errors
/// At the first that is not genuine, or at damage.
pub fn verify_signatures(dir: &Path) -> Result<Evidence, EvidenceError> {
    let mut checker = Checker::default();
    let mut found = None;
    journal::scan(dir, &mut |entry, _| match checker.take(entry) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            found = Some(error);
            ControlFlow::Break(())
        }
    })?;
    match found {
        Some(error) => Err(error),
        None => {
            check_changed_trades(dir, &checker.changes)?;
            checker.finish()
        }
    }
}

/// A trade as it was, and what it became.
#[derive(Debug, Clone, Copy)]
struct Change {
    trade: TradeId,
    /// Its version, where it is delivered, and how much.
    before: (u32, SlotKey, Energy),
    after: (u32, SlotKey, Energy),
    /// Buyer, seller, price.
    parties: (MeterId, MeterId, Price),
}

impl Change {
    /// What both sides agreed to change, or the exchange undid.
    fn of(event: &Event) -> Option<Self> {
        if let Event::ContractAmended(ContractAmended { terms, .. }) = event {
            return Some(Self {
                trade: terms.trade,
                before: (terms.version, terms.key, terms.quantity),
                after: (terms.new_version(), terms.new_key(), terms.new_quantity),
                parties: (terms.buyer, terms.seller, terms.price),
            });
        }
        let Event::TradeBusted(busted) = event else { return None };
        let TradeBusted { trade, version, key, buyer, seller, price, quantity, .. } = *busted;
        Some(Self {
            trade,
            before: (version, key, quantity),
            after: (version.saturating_add(1), key, Energy::ZERO),
            parties: (buyer, seller, price),
        })
    }
}

/// Compares what became of trades with the trades of the journal. Without any change, nothing is read again.
fn check_changed_trades(
    dir: &Path,
    changes: &BTreeMap<TradeId, Vec<(Seq, Change)>>,
) -> Result<(), EvidenceError> {
    let mut made = BTreeMap::new();
    if !changes.is_empty() {
        journal::scan(dir, &mut |entry, _| {
            for event in &entry.events {
                if let Event::Trade(trade) = event
                    && changes.contains_key(&trade.trade)
                {
                    made.insert(trade.trade, *trade);
                }
            }
            ControlFlow::Continue(())
        })?;
    }
    for (&trade, changes) in changes {
        let made = made.get(&trade);
        let mut now = made.map(|made| (FIRST_VERSION, made.key, made.quantity));
        for (seq, change) in changes {
            let of_trade = made.map(|made| (made.buy.meter, made.sell.meter, made.price));
            if Some(change.before) != now || Some(change.parties) != of_trade {
                return Err(EvidenceError::OtherTrade { seq: *seq, trade });
            }
            now = Some(change.after);
        }
    }
    Ok(())
}

/// Checks entry after entry.
#[derive(Debug, Default)]
struct Checker {
    keys: Keys,
    frames: Frames,
    members: Members,
    evidence: Evidence,
    bytes: Vec<u8>,
    /// The market of the operation that the next command is, and where it stands.
    draft: Option<(Seq, MarketDefinition)>,
    /// What was changed of each trade, or undone, in order.
    changes: BTreeMap<TradeId, Vec<(Seq, Change)>>,
}

impl Checker {
    fn take(&mut self, entry: &Entry) -> Result<(), EvidenceError> {
        let command = &entry.command;
        let seq = command.seq;
        if let Some(frame) = self.frames.take(command)? {
            let signer = Signer::Platform(frame.signed.origin.platform);
            genuine(frame.verify(&self.keys, &mut self.bytes), frame.seq, signer)?;
            self.evidence.frames = self.evidence.frames.saturating_add(1);
            let orders = frame.signed.orders.into();
            self.evidence.frame_orders = self.evidence.frame_orders.saturating_add(orders);
        }
        if let Some((meter, signature)) = meters_own(&command.value, &mut self.bytes) {
            let verdict = self.keys.verify_meter(meter, &self.bytes, &signature);
            genuine(verdict, seq, Signer::Meter(meter))?;
            let Evidence { orders, delegations, contracts, .. } = &mut self.evidence;
            let count = if let Command::NewOrder(_)
            | Command::ValidateOrder(_)
            | Command::ReplaceOrder(_) = command.value
            {
                orders
            } else if let Command::OfferContract(_)
            | Command::AcceptContract(_)
            | Command::OfferAmendment(_)
            | Command::AcceptAmendment(_) = command.value
            {
                contracts
            } else {
                delegations
            };
            *count = count.saturating_add(1);
        }
        if let Command::NewAggregateOrder(new) = &command.value {
            let signer = Signer::Platform(new.origin.platform);
            genuine(self.keys.verify_aggregate(new, &mut self.bytes), seq, signer)?;
            self.evidence.aggregates = self.evidence.aggregates.saturating_add(1);
        }
        if let Some(signed) = operation(&command.value) {
            let signer = Signer::Operator(signed.signer);
            let draft = self.draft.filter(|(at, _)| at.next() == seq).map(|(_, market)| market);
            let verdict = self.keys.verify_operation((&signed, draft.as_ref()), &mut self.bytes);
            genuine(verdict, seq, signer)?;
            self.evidence.operations = self.evidence.operations.saturating_add(1);
        }
        if let Command::DraftMarket(market) = command.value {
            self.draft = Some((seq, market));
        }
        self.check_members(entry)?;
        self.keys.learn(entry);
        for event in &entry.events {
            if let Some(change) = Change::of(event) {
                self.changes.entry(change.trade).or_default().push((seq, change));
            }
        }
        Ok(())
    }

    /// Whether the members of an aggregate order that was accepted are those that its platform signed for.
    fn check_members(&mut self, entry: &Entry) -> Result<(), EvidenceError> {
        let list = self.members.take(entry);
        let Command::NewAggregateOrder(new) = &entry.command.value else { return Ok(()) };
        // What was refused needs none. Without one, its pages are gone with older segments.
        let Some(list) = list else { return Ok(()) };
        if members::hash(list.members()) != new.order.list {
            return Err(EvidenceError::OtherMembers { seq: entry.command.seq });
        }
        self.evidence.members = self.evidence.members.saturating_add(list.count().into());
        Ok(())
    }

    fn finish(self) -> Result<Evidence, EvidenceError> {
        match self.frames.open.into_values().next() {
            Some(frame) => Err(frame.cut_short()),
            None => Ok(self.evidence),
        }
    }
}

fn genuine(verdict: Option<bool>, seq: Seq, signer: Signer) -> Result<(), EvidenceError> {
    match verdict {
        Some(true) => Ok(()),
        Some(false) => Err(EvidenceError::Invalid { seq, signer }),
        None => Err(EvidenceError::UnknownKey { seq, signer }),
    }
}

/// What an operator signed of a command.
fn operation(command: &Command) -> Option<SignedOperation> {
    if let Command::Operate(signed) = command {
        return Some(*signed);
    }
    if let Command::BustTrade(bust) = command { Some(bust.signed()) } else { None }
}

/// What a meter signed alone of a command, into an emptied `bytes`, and its signature.
pub(crate) fn meters_own(command: &Command, bytes: &mut Vec<u8>) -> Option<(MeterId, Signature)> {
    if let Command::NewOrder(signed) = command {
        signing::new_order(&signed.order, bytes);
        Some((signed.order.meter, signed.signature))
    } else if let Command::ValidateOrder(signed) = command {
        signing::validation(&signed.order, bytes);
        Some((signed.order.meter, signed.signature))
    } else if let Command::ReplaceOrder(signed) = command {
        signing::replace_order(&signed.replace, bytes);
        Some((signed.replace.meter, signed.signature))
    } else if let Command::DelegateMeter(request) = command {
        signing::delegation(&request.delegation, bytes);
        Some((request.delegation.meter, request.signature))
    } else if let Command::RevokeDelegation(request) = command {
        signing::revocation(request.meter, request.number, bytes);
        request.signature.map(|signature| (request.meter, signature))
    } else if let Command::OfferContract(request) = command {
        signing::contract(&request.terms, bytes);
        Some((request.terms.meter(request.offered_by), request.signature))
    } else if let Command::AcceptContract(request) = command {
        signing::contract(&request.terms, bytes);
        Some((request.terms.meter(request.accepted_by), request.signature))
    } else if let Command::OfferAmendment(request) = command {
        signing::amendment(&request.terms, bytes);
        Some((request.terms.meter(request.offered_by), request.signature))
    } else if let Command::AcceptAmendment(request) = command {
        signing::amendment(&request.terms, bytes);
        Some((request.terms.meter(request.accepted_by), request.signature))
    } else {
        None
    }
}

/// Keys as the journal's registrations say, and where those stand.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    meters: BTreeMap<MeterId, (PublicKey, Seq)>,
    platforms: BTreeMap<PlatformId, (PublicKey, Seq)>,
    operators: BTreeMap<u16, PublicKey>,
}

impl Keys {
    /// Takes the registrations of an entry.
    pub(crate) fn learn(&mut self, entry: &Entry) {
        let seq = entry.command.seq;
        for event in &entry.events {
            if let Event::MeterRegistered(meter) = event {
                self.meters.insert(meter.meter, (meter.key, seq));
            } else if let Event::PartyRegistered(PartyRegistration { party, key, .. }) = event {
                if party.role == Role::Platform {
                    self.platforms.insert(PlatformId::new(party.number), (*key, seq));
                } else if party.role == Role::Operator {
                    self.operators.insert(party.number, *key);
                }
            }
        }
    }

    /// The key of a meter, and where it was registered.
    pub(crate) fn meter(&self, meter: MeterId) -> Option<&(PublicKey, Seq)> {
        self.meters.get(&meter)
    }

    /// The key of a platform, and where it was registered.
    pub(crate) fn platform(&self, platform: PlatformId) -> Option<&(PublicKey, Seq)> {
        self.platforms.get(&platform)
    }

    /// Whether a platform signed an aggregate order; `None` when its key is not known.
    pub(crate) fn verify_aggregate(
        &self,
        new: &NewAggregateOrder,
        bytes: &mut Vec<u8>,
    ) -> Option<bool> {
        let platform = new.origin.platform;
        signing::aggregate(platform, &new.order, bytes);
        self.platform(platform).map(|(key, _)| verifies(key, bytes, &new.signature))
    }

    /// Whether an operator signed an order; `None` when its key is not known.
    /// Whether an operator signed an operation; with the market that it defines, if it defines one.
    fn verify_operation(
        &self,
        (signed, draft): (&SignedOperation, Option<&MarketDefinition>),
        bytes: &mut Vec<u8>,
    ) -> Option<bool> {
        match (signed.operation.action, draft) {
            (Action::Define(_), None) => return Some(false),
            (Action::Define(_), Some(draft)) => {
                signing::definition(&signed.operation, draft, bytes)
            }
            (Action::SetTrading(_) | Action::Slot(..) | Action::Bust(_), _) => {
                signing::operation(&signed.operation, bytes);
            }
        }
        self.operators.get(&signed.signer).map(|key| verifies(key, bytes, &signed.signature))
    }

    fn verify_meter(&self, meter: MeterId, bytes: &[u8], signature: &Signature) -> Option<bool> {
        self.meter(meter).map(|(key, _)| verifies(key, bytes, signature))
    }
}

/// Whether a signature is evidence under a key.
pub(crate) fn verifies(key: &PublicKey, bytes: &[u8], signature: &Signature) -> bool {
    let signature = ed25519_dalek::Signature::from_bytes(signature.as_bytes());
    VerifyingKey::from_bytes(key.as_bytes())
        .is_ok_and(|key| key.verify_strict(bytes, &signature).is_ok())
}

/// A frame's signature with what it covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Where the signature is.
    pub(crate) seq: Seq,
    /// It.
    pub(crate) signed: SignedFrame,
    /// Where its orders are.
    pub(crate) orders: Vec<Seq>,
    covered: Vec<u8>,
}

impl Frame {
    /// The messages that it covers, heads included.
    pub(crate) fn messages(&self) -> &[u8] {
        &self.covered
    }

    fn missing(&self) -> u16 {
        let here = u16::try_from(self.orders.len()).unwrap_or(u16::MAX);
        self.signed.orders.saturating_sub(here)
    }

    fn cut_short(&self) -> EvidenceError {
        EvidenceError::FrameCutShort { seq: self.seq, missing: self.missing() }
    }

    /// Whether it is genuine; `None` when its platform's key is not known.
    pub(crate) fn verify(&self, keys: &Keys, bytes: &mut Vec<u8>) -> Option<bool> {
        let SignedFrame { origin: Origin { platform, .. }, key, orders, signature, .. } =
            self.signed;
        let (registered, _) = keys.platform(platform)?;
        let named: KeyId = registered.id();
        let digest = Digest::new(Sha256::digest(&self.covered).into());
        signing::frame(platform, key, orders, &digest, bytes);
        Some(named == key && verifies(registered, bytes, &signature))
    }
}

/// Puts frames together again.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// Frames whose orders are still to come, by their session.
    open: BTreeMap<(PlatformId, u32), Frame>,
}

impl Frames {
    /// Takes the next command. Gives the frame whose last order it is.
    ///
    /// # Errors
    /// When a frame is cut short, or an order stands in none.
    pub(crate) fn take(
        &mut self,
        command: &Sequenced<Command>,
    ) -> Result<Option<Frame>, EvidenceError> {
        let Some(Origin { platform, session }) = command.value.origin() else { return Ok(None) };
        let session = (platform, session.get());
        if let Some(mut frame) = self.open.remove(&session) {
            if let Command::DelegatedOrder(delegated) = &command.value {
                signing::delegated_order(&delegated.order, &mut frame.covered);
            } else if let Command::DelegatedReplace(delegated) = &command.value {
                signing::delegated_replace(&delegated.replace, &mut frame.covered);
            } else {
                return Err(frame.cut_short());
            }
            frame.orders.push(command.seq);
            if frame.missing() == 0 {
                return Ok(Some(frame));
            }
            self.open.insert(session, frame);
            return Ok(None);
        }
        if let Command::SignedFrame(signed) = command.value {
            let frame = Frame { seq: command.seq, signed, orders: Vec::new(), covered: Vec::new() };
            self.open.insert(session, frame);
        } else if command.value.is_of_signed_frame() {
            return Err(EvidenceError::NoFrame { seq: command.seq });
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
