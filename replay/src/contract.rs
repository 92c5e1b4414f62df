//! A contract's evidence: what proves, away from the exchange, that both sides signed for a trade.
//!
//! It is a list of messages as the protocol has them, one behind the other: the trade with its place,
//! the registrations of both meters, and what was signed. A negotiated trade has its offer and its
//! acceptance. A trade of a book has, for each side, the order and its last replacement before the
//! trade; where a platform signed them, the whole frame, the delegation and the platform's
//! registration. Of an aggregate order it has the pages of all members before the order. The exchange signs [`signed_bytes`] of the list: with that the trade, and whose the
//! keys are.

use std::{collections::BTreeMap, ops::ControlFlow, path::Path};

use ed25519_dalek::VerifyingKey;
use journal::{Entry, JournalError};
use sha2::{Digest as _, Sha256};
use types::{
    AggregateOrder, Command, Conditions, ContractTerms, Delegation, Digest, Energy, Event, KeyId,
    Member, MemberList, MembersPage, MeterId, MeterRegistration, NewOrder, OfferId, OrderId,
    OrderKind, OrderList, Party, PartyRegistration, PlatformId, Price, PublicKey, ReplaceOrder,
    Role, Seq, SessionId, Side, Signature, Trade, TradeId, TradeSide,
};
use wire::{
    FeedMessage, Inbound,
    feed::{At, Place},
    inbound::{
        self, Accept, Amendment, AmendmentAccept, Delegate, FrameSignature, Offer, SignedAggregate,
        SignedNew, SignedReplace,
    },
    signing,
};

use crate::{
    evidence::{Frame, Frames, verifies},
    members::{self, Members},
};

mod versions;

pub use versions::Version;

/// The version of a list without changes, and of what is signed of it.
pub const VERSION: u8 = 1;
/// The version of a list with changes of the contract behind it.
pub const VERSION_CHANGED: u8 = 2;
/// Precedes what the exchange signs. 24 bytes.
pub const MATCH_TAG: &[u8; 24] = b"gridcross match v1\0\0\0\0\0\0";
/// Longest list that is read: two frames of 65,536 bytes for each side, 256 changes of 496 bytes, and 8 KiB
/// for the rest. The members of an aggregate order are less, 625 pages × 152 bytes.
pub const LIST_BYTES_MAX: usize = (4 << 16) + versions::CHANGES_MAX * 496 + (8 << 10);

/// Where a contract comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Two orders met in a book.
    Book,
    /// Its sides agreed on it between themselves.
    Negotiated,
}

impl Origin {
    /// In machine-readable output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Book => "book",
            Self::Negotiated => "negotiated",
        }
    }
}

/// Why there is no evidence of a contract.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// The journal cannot be read, or is damaged.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// No trade has this number.
    #[error("there is no contract {0} in the journal")]
    NoContract(TradeId),
    /// Something of it is gone with older segments.
    #[error("the journal no longer holds {0}")]
    Incomplete(&'static str),
}

/// Why a list is no evidence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContractError {
    /// It does not decode.
    #[error("the messages are malformed")]
    Malformed,
    /// A message that has no place there, or is missing.
    #[error("{0} is missing or stands in the wrong place")]
    Missing(&'static str),
    /// A signature is no evidence.
    #[error("the signature of {0} does not verify")]
    Signature(String),
    /// What was signed is not what was traded.
    #[error("the {0} is not what {1} signed")]
    Differs(&'static str, String),
}

/// A contract whose evidence is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Where it comes from.
    pub origin: Origin,
    /// Where its trade stands in the journal.
    pub place: Place,
    /// It.
    pub trade: Trade,
    /// How many signatures of meters and platforms were checked.
    pub signatures: usize,
    /// Every version there was, the first one first.
    pub versions: Vec<Version>,
}

impl Verified {
    /// The version of its list.
    #[must_use]
    pub const fn list_version(&self) -> u8 {
        if self.versions.len() > 1 { VERSION_CHANGED } else { VERSION }
    }
}

/// The bytes that the exchange signs of a list of messages of a version.
#[must_use]
pub fn signed_bytes(version: u8, messages: &[u8]) -> Vec<u8> {
    let mut bytes = MATCH_TAG.to_vec();
    bytes.extend_from_slice(&[version, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend_from_slice(&Sha256::digest(messages));
    bytes
}

/// Whether the exchange's key signed a list.
#[must_use]
pub fn is_signed(key: &VerifyingKey, version: u8, messages: &[u8], signature: &Signature) -> bool {
    let key = PublicKey::new(key.to_bytes());
    verifies(&key, &signed_bytes(version, messages), signature)
}

/// Collects the evidence of a contract from the journal of its shard.
///
/// # Errors
/// When the journal cannot be read, or does not hold all of it.
pub fn gather(journal: &Path, contract: TradeId) -> Result<Vec<u8>, GatherError> {
    let mut found = None;
    journal::scan(journal, &mut |entry, _| {
        for (index, event) in (0..).zip(&entry.events) {
            if let Event::Trade(trade) = event
                && trade.trade == contract
            {
                let (seq, time) = (entry.command.seq, entry.command.time);
                let offer = entry.events.iter().find_map(|event| {
                    if let Event::ContractAgreed(agreed) = event {
                        Some(agreed.offer)
                    } else {
                        None
                    }
                });
                found = Some((At { place: Place { seq, time, index }, body: *trade }, offer));
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    })?;
    let (at, offer) = found.ok_or(GatherError::NoContract(contract))?;
    let mut gathering = Gathering::new(at, offer);
    journal::scan(journal, &mut |entry, _| {
        gathering.take(entry);
        if entry.command.seq < at.place.seq {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    let mut list = gathering.list()?;
    list.extend_from_slice(&versions::gather(journal, contract)?);
    Ok(list)
}

/// A signed statement about an order, in the bytes of its messages.
#[derive(Debug, Clone, Default)]
struct Statement {
    bytes: Vec<u8>,
    /// The order stands in a frame: where it is, until the frame is whole.
    in_frame: Option<Seq>,
    /// The delegation that the meter had then, if it had one.
    delegation: Vec<u8>,
}

/// What is found of a contract on the way to its trade.
struct Gathering {
    at: At<Trade>,
    /// The offer that was agreed on.
    offer: Option<OfferId>,
    /// Its message and that of its acceptance, empty until they are found.
    offered: Vec<u8>,
    accepted: Vec<u8>,
    meters: BTreeMap<MeterId, At<MeterRegistration>>,
    platforms: BTreeMap<PlatformId, At<PartyRegistration>>,
    delegations: BTreeMap<(MeterId, PlatformId), Vec<u8>>,
    entries: BTreeMap<OrderId, Statement>,
    replacements: BTreeMap<OrderId, Statement>,
    frames: Frames,
    members: Members,
}

impl Gathering {
    fn new(at: At<Trade>, offer: Option<OfferId>) -> Self {
        Self {
            at,
            offer,
            offered: Vec::new(),
            accepted: Vec::new(),
            meters: BTreeMap::new(),
            platforms: BTreeMap::new(),
            delegations: BTreeMap::new(),
            entries: BTreeMap::new(),
            replacements: BTreeMap::new(),
            frames: Frames::default(),
            members: Members::default(),
        }
    }

    fn take(&mut self, entry: &Entry) {
        let (seq, time) = (entry.command.seq, entry.command.time);
        let command = &entry.command.value;
        let orders = [self.at.body.buy.order, self.at.body.sell.order];
        let list = self.members.take(entry);
        for (index, event) in (0..).zip(&entry.events) {
            let place = Place { seq, time, index };
            if let Event::MeterRegistered(body) = *event {
                self.meters.insert(body.meter, At { place, body });
            } else if let Event::PartyRegistered(body) = *event
                && body.party.role == Role::Platform
            {
                self.platforms.insert(PlatformId::new(body.party.number), At { place, body });
            } else if let Event::MeterDelegated(delegated) = event {
                let of = (delegated.delegation.meter, delegated.delegation.platform);
                self.delegations.insert(of, encoded(command));
            } else if let Event::ContractOffered(offered) = event
                && Some(offered.offer) == self.offer
            {
                self.offered = encoded(command);
            } else if let Event::ContractAgreed(agreed) = event
                && agreed.trade == self.at.body.trade
            {
                self.accepted = encoded(command);
            } else if let Event::OrderAccepted(accepted) = event
                && orders.contains(&accepted.order)
            {
                let statement = match &list {
                    Some(list) => self.aggregate(command, accepted.order, list),
                    None => self.statement(entry, accepted.meter),
                };
                self.entries.insert(accepted.order, statement);
            } else if let Event::OrderReplaced(replaced) = event
                && orders.contains(&replaced.order)
                && let Command::ReplaceOrder(_) | Command::DelegatedReplace(_) = command
            {
                let statement = self.statement(entry, self.meter_of(replaced.order));
                self.replacements.insert(replaced.order, statement);
            }
        }
        // A frame that is not whole proves nothing, and its order is then missing.
        if let Ok(Some(frame)) = self.frames.take(&entry.command) {
            self.complete(&frame);
        }
    }

    /// The meter of the trade that an order is for.
    fn meter_of(&self, order: OrderId) -> MeterId {
        let sides = [&self.at.body.buy, &self.at.body.sell];
        let own = sides.into_iter().find(|side| side.order == order);
        own.map_or(MeterId::new(0), |own| own.meter)
    }

    /// What an aggregate order states that was just accepted: its members, then itself.
    fn aggregate(&self, command: &Command, order: OrderId, list: &MemberList) -> Statement {
        let Some(origin) = command.origin() else { return Statement::default() };
        let pages = MembersPage::of(origin, command.client_order(), list.members());
        let mut bytes: Vec<u8> =
            pages.flat_map(|page| encoded(&Command::AggregateMembers(page))).collect();
        bytes.extend_from_slice(&encoded(command));
        let held = self.delegations.get(&(self.meter_of(order), origin.platform));
        let delegation = held.cloned().unwrap_or_default();
        Statement { bytes, in_frame: None, delegation }
    }

    /// What a command that was just applied states about an order of a meter.
    fn statement(&self, entry: &Entry, meter: MeterId) -> Statement {
        let command = &entry.command.value;
        if !command.is_of_signed_frame() {
            return Statement { bytes: encoded(command), ..Statement::default() };
        }
        let platform = command.origin().map(|origin| origin.platform);
        let held = platform.and_then(|platform| self.delegations.get(&(meter, platform)));
        Statement {
            bytes: Vec::new(),
            in_frame: Some(entry.command.seq),
            delegation: held.cloned().unwrap_or_default(),
        }
    }

    /// Puts a frame's bytes where one of its orders was waiting for them.
    fn complete(&mut self, frame: &Frame) {
        for statement in self.entries.values_mut().chain(self.replacements.values_mut()) {
            if statement.in_frame.is_some_and(|seq| frame.orders.contains(&seq)) {
                statement.in_frame = None;
                statement.bytes = encoded(&Command::SignedFrame(frame.signed));
                statement.bytes.extend_from_slice(frame.messages());
            }
        }
    }

    fn list(&self) -> Result<Vec<u8>, GatherError> {
        let trade = &self.at.body;
        let mut list = Vec::new();
        FeedMessage::Trade(self.at).encode(&mut list);
        for side in [&trade.buy, &trade.sell] {
            let meter = self.meters.get(&side.meter);
            let meter = meter.ok_or(GatherError::Incomplete("a meter's registration"))?;
            FeedMessage::MeterRegistered(*meter).encode(&mut list);
        }
        if trade.is_negotiated() {
            if self.offered.is_empty() {
                return Err(GatherError::Incomplete("the offer"));
            }
            list.extend_from_slice(&self.offered);
            list.extend_from_slice(&self.accepted);
            return Ok(list);
        }
        for side in [&trade.buy, &trade.sell] {
            self.list_order(side, &mut list)?;
        }
        Ok(list)
    }

    fn list_order(&self, side: &TradeSide, list: &mut Vec<u8>) -> Result<(), GatherError> {
        let entry = self.entries.get(&side.order).ok_or(GatherError::Incomplete("an order"))?;
        let replaced = self.replacements.get(&side.order);
        let statements = [Some(entry), replaced];
        let delegations = statements.into_iter().flatten().map(|one| &one.delegation);
        if let Some(delegation) = delegations.into_iter().find(|bytes| !bytes.is_empty()) {
            let platform = self.platforms.get(&side.platform);
            let platform = platform.ok_or(GatherError::Incomplete("a platform's registration"))?;
            FeedMessage::PartyRegistered(*platform).encode(list);
            list.extend_from_slice(delegation);
        }
        for statement in statements.into_iter().flatten() {
            if statement.bytes.is_empty() {
                return Err(GatherError::Incomplete("a whole frame"));
            }
            list.extend_from_slice(&statement.bytes);
        }
        Ok(())
    }
}

/// The message that a signed command was.
fn encoded(command: &Command) -> Vec<u8> {
    let mut bytes = Vec::new();
    let message = if let Command::NewOrder(signed) = *command {
        Inbound::NewOrder(SignedNew { order: signed.order, signature: signed.signature })
    } else if let Command::ReplaceOrder(signed) = *command {
        let types::SignedReplaceOrder { replace, signature, .. } = signed;
        Inbound::ReplaceOrder(SignedReplace { replace, signature })
    } else if let Command::DelegateMeter(request) = *command {
        let types::DelegateMeter { client_order, delegation, signature, .. } = request;
        Inbound::DelegateMeter(Delegate { client_order, delegation, signature })
    } else if let Command::SignedFrame(signed) = *command {
        let types::SignedFrame { signature, key, orders, .. } = signed;
        Inbound::FrameSignature(FrameSignature { signature, key, orders })
    } else if let Command::AggregateMembers(page) = *command {
        let types::MembersPage { client_order, page, members, .. } = page;
        Inbound::AggregateMembers(inbound::MembersPage { client_order, page, members })
    } else if let Command::NewAggregateOrder(new) = *command {
        let types::NewAggregateOrder { order, signature, .. } = new;
        Inbound::NewAggregateOrder(SignedAggregate { order, signature })
    } else if let Command::OfferContract(request) = *command {
        let types::OfferContract { client_order, terms, offered_by, signature, .. } = request;
        Inbound::OfferContract(Offer { client_order, terms, signature, offered_by })
    } else if let Command::AcceptContract(request) = *command {
        let types::AcceptContract { client_order, offer, terms, accepted_by, signature, .. } =
            request;
        Inbound::AcceptContract(Accept { client_order, offer, terms, signature, accepted_by })
    } else if let Command::OfferAmendment(request) = *command {
        let types::OfferAmendment { client_order, terms, offered_by, signature, .. } = request;
        Inbound::OfferAmendment(Amendment { client_order, terms, signature, offered_by })
    } else if let Command::AcceptAmendment(request) = *command {
        let types::AcceptAmendment { client_order, offer, terms, accepted_by, signature, .. } =
            request;
        let accept = AmendmentAccept { client_order, offer, terms, signature, accepted_by };
        Inbound::AcceptAmendment(accept)
    } else {
        return bytes; // Nothing else is signed.
    };
    message.encode(&mut bytes);
    bytes
}

/// Checks a list of messages, with nothing but itself: that the meters and platforms that it names
/// signed for its trade with the keys that it names. Whether those are their keys is what the
/// exchange's signature says, see [`is_signed`].
///
/// # Errors
/// At the first thing that does not hold.
pub fn verify(messages: &[u8]) -> Result<Verified, ContractError> {
    let mut reading = Reading { rest: messages, keys: Keys::default(), signatures: 0 };
    let Some(FeedMessage::Trade(at)) = reading.feed()? else {
        return Err(ContractError::Missing("the trade"));
    };
    let trade = at.body;
    for side in [&trade.buy, &trade.sell] {
        reading.meter(side.meter)?;
    }
    if trade.is_negotiated() {
        reading.negotiated(&at)?;
    } else {
        reading.order(&at, Side::Buy)?;
        reading.order(&at, Side::Sell)?;
    }
    let first = messages.get(..messages.len().saturating_sub(reading.rest.len()));
    let mut versions = vec![Version::first(&at, first.unwrap_or_default())];
    while let Some(now) = versions.last()
        && !reading.rest.is_empty()
    {
        let next = reading.change(&trade, now)?;
        versions.push(next);
    }
    let origin = if trade.is_negotiated() { Origin::Negotiated } else { Origin::Book };
    let signatures = reading.signatures;
    Ok(Verified { origin, place: at.place, trade, signatures, versions })
}

/// Keys that the list names.
#[derive(Default)]
struct Keys {
    meters: BTreeMap<MeterId, MeterRegistration>,
    platforms: BTreeMap<PlatformId, PublicKey>,
}

/// A list that is read from its front.
struct Reading<'a> {
    rest: &'a [u8],
    keys: Keys,
    signatures: usize,
}

/// What is known of an order: its entry, or what replaced it.
struct Signed {
    order: NewOrder,
    /// Of the frame with its last replacement, every one that is the order's.
    replaced: Vec<ReplaceOrder>,
}

impl Reading<'_> {
    /// The next message, if it is one of the feed.
    fn feed(&mut self) -> Result<Option<FeedMessage>, ContractError> {
        if self.rest.first().is_some_and(|&kind| kind < FEED_FROM) {
            return Ok(None);
        }
        let message = FeedMessage::decode(&mut self.rest);
        message.map(Some).map_err(|_| ContractError::Malformed)
    }

    /// The next message, which a session sent.
    fn sent(&mut self) -> Result<Inbound, ContractError> {
        Inbound::decode(&mut self.rest).map_err(|_| ContractError::Malformed)
    }

    fn meter(&mut self, meter: MeterId) -> Result<(), ContractError> {
        match self.feed()? {
            Some(FeedMessage::MeterRegistered(at)) if at.body.meter == meter => {
                self.keys.meters.insert(meter, at.body);
                Ok(())
            }
            _ => Err(ContractError::Missing("a meter's registration")),
        }
    }

    /// A meter's signature over bytes.
    fn check_meter(
        &mut self,
        meter: MeterId,
        bytes: &[u8],
        signature: &Signature,
    ) -> Result<(), ContractError> {
        let known = self.keys.meters.get(&meter);
        let known = known.ok_or(ContractError::Missing("a meter's registration"))?;
        if !verifies(&known.key, bytes, signature) {
            return Err(ContractError::Signature(format!("meter {meter}")));
        }
        self.signatures = self.signatures.saturating_add(1);
        Ok(())
    }

    /// The offer and its acceptance: the same terms, one signature by each meter, in time.
    fn negotiated(&mut self, at: &At<Trade>) -> Result<(), ContractError> {
        let Inbound::OfferContract(offer) = self.sent()? else {
            return Err(ContractError::Missing("the offer"));
        };
        let Inbound::AcceptContract(accept) = self.sent()? else {
            return Err(ContractError::Missing("the acceptance"));
        };
        if accept.accepted_by == offer.offered_by || accept.terms != offer.terms {
            return Err(ContractError::Missing("the signature of the other side"));
        }
        let mut bytes = Vec::new();
        signing::contract(&offer.terms, &mut bytes);
        self.check_meter(offer.terms.meter(offer.offered_by), &bytes, &offer.signature)?;
        self.check_meter(accept.terms.meter(accept.accepted_by), &bytes, &accept.signature)?;
        let ContractTerms { key, buyer, seller, price, quantity, expires, .. } = offer.terms;
        let trade = &at.body;
        let whom = || "both sides".to_owned();
        let is_differing = [
            (trade.key != key, "slot"),
            ((trade.buy.meter, trade.sell.meter) != (buyer, seller), "meter"),
            (trade.price != price, "price"),
            (trade.quantity != quantity, "quantity"),
            (at.place.time > expires, "time"),
        ];
        match is_differing.into_iter().find(|(differs, _)| *differs) {
            Some((_, what)) => Err(ContractError::Differs(what, whom())),
            None => Ok(()),
        }
    }

    /// The evidence of a side that met the other in a book.
    fn order(&mut self, at: &At<Trade>, side: Side) -> Result<(), ContractError> {
        let own = match side {
            Side::Buy => &at.body.buy,
            Side::Sell => &at.body.sell,
        };
        let delegation = self.delegation(own)?;
        let mut signed = None;
        // The entry, and one replacement at most.
        for _ in 0..2 {
            if signed.is_some() && !self.goes_on() {
                break;
            }
            self.statement(own, delegation.as_ref(), &mut signed)?;
        }
        let signed = signed.ok_or(ContractError::Missing("an order"))?;
        check_order(&at.body, own, side, &signed)
    }

    /// Whether the next message is a replacement, or a frame that may hold one.
    fn goes_on(&self) -> bool {
        matches!(
            Inbound::decode(&mut { self.rest }),
            Ok(Inbound::ReplaceOrder(_) | Inbound::FrameSignature(_))
        )
    }

    /// Where a platform signed for a meter: its registration and the meter's delegation.
    fn delegation(&mut self, own: &TradeSide) -> Result<Option<Delegation>, ContractError> {
        let Some(message) = self.feed()? else { return Ok(None) };
        let platform = Party { role: Role::Platform, number: own.platform.get() };
        let FeedMessage::PartyRegistered(At { body, .. }) = message else {
            return Err(ContractError::Missing("a platform's registration"));
        };
        if body.party != platform {
            return Err(ContractError::Missing("a platform's registration"));
        }
        self.keys.platforms.insert(own.platform, body.key);
        let Inbound::DelegateMeter(Delegate { delegation, signature, .. }) = self.sent()? else {
            return Err(ContractError::Missing("a delegation"));
        };
        if (delegation.meter, delegation.platform) != (own.meter, own.platform) {
            return Err(ContractError::Missing("a delegation"));
        }
        let mut bytes = Vec::new();
        signing::delegation(&delegation, &mut bytes);
        self.check_meter(own.meter, &bytes, &signature)?;
        Ok(Some(delegation))
    }

    /// One signed statement about the order of a side.
    fn statement(
        &mut self,
        own: &TradeSide,
        delegation: Option<&Delegation>,
        signed: &mut Option<Signed>,
    ) -> Result<(), ContractError> {
        let mut bytes = Vec::new();
        let message = self.sent()?;
        if let Inbound::NewOrder(SignedNew { order, signature }) = message {
            signing::new_order(&order, &mut bytes);
            self.check_meter(order.meter, &bytes, &signature)?;
            *signed = Some(Signed { order, replaced: Vec::new() });
            return Ok(());
        }
        if let Inbound::ReplaceOrder(SignedReplace { replace, signature }) = message {
            signing::replace_order(&replace, &mut bytes);
            self.check_meter(replace.meter, &bytes, &signature)?;
            return replaced_by(signed, replace);
        }
        if let Inbound::AggregateMembers(first) = message {
            delegation.ok_or(ContractError::Missing("a delegation"))?;
            *signed = Some(self.part_of_aggregate(own, first)?);
            return Ok(());
        }
        let Inbound::FrameSignature(frame) = message else {
            return Err(ContractError::Missing("an order"));
        };
        delegation.ok_or(ContractError::Missing("a delegation"))?;
        self.frame(own, &frame, signed)
    }

    /// The pages of an aggregate order's members, then the order that a platform signed: what of it is the
    /// meter's, as an order of its own.
    fn part_of_aggregate(
        &mut self,
        own: &TradeSide,
        first: inbound::MembersPage,
    ) -> Result<Signed, ContractError> {
        let other_members = || ContractError::Differs("list", format!("platform {}", own.platform));
        let mut list = MemberList::new(first.client_order);
        let mut message = Inbound::AggregateMembers(first);
        while let Inbound::AggregateMembers(page) = message {
            let inbound::MembersPage { client_order, page, members } = page;
            let origin = types::Origin { platform: own.platform, session: SessionId::new(0) };
            let page = MembersPage { origin, client_order, page, members };
            if client_order != list.client_order || page.page != list.pages {
                return Err(ContractError::Missing("a page of members"));
            }
            list.append(page.listed()).map_err(|_| other_members())?;
            message = self.sent()?;
        }
        let Inbound::NewAggregateOrder(SignedAggregate { order, signature }) = message else {
            return Err(ContractError::Missing("an order"));
        };
        let key = self.keys.platforms.get(&own.platform).copied();
        let key = key.ok_or(ContractError::Missing("a platform's registration"))?;
        let mut bytes = Vec::new();
        signing::aggregate(own.platform, &order, &mut bytes);
        if !verifies(&key, &bytes, &signature) {
            return Err(ContractError::Signature(format!("platform {}", own.platform)));
        }
        self.signatures = self.signatures.saturating_add(1);
        let sum = list.members().iter().map(|member| u64::from(member.wh())).sum();
        if members::hash(list.members()) != order.list
            || (list.count(), list.client_order) != (order.members, order.client_order)
            || order.quantity != Energy::from_wh(sum)
        {
            return Err(other_members());
        }
        let part = list.members().iter().find(|member| member.meter == own.meter);
        let part = part.ok_or(ContractError::Missing("the meter among the members"))?;
        Ok(Signed { order: own_order(&order, *part), replaced: Vec::new() })
    }

    /// A frame that a platform signed: it holds the order, or its replacement.
    fn frame(
        &mut self,
        own: &TradeSide,
        frame: &FrameSignature,
        signed: &mut Option<Signed>,
    ) -> Result<(), ContractError> {
        let key = self.keys.platforms.get(&own.platform).copied();
        let key = key.ok_or(ContractError::Missing("a platform's registration"))?;
        let begin = self.rest;
        let is_entry = signed.is_none();
        let mut is_found = false;
        for _ in 0..frame.orders {
            let message = self.sent()?;
            if let Inbound::DelegatedOrder(order) = message {
                let is_it = order.meter == own.meter && order.client_order == own.client_order;
                if is_entry && is_it {
                    *signed = Some(Signed { order, replaced: Vec::new() });
                    is_found = true;
                }
            } else if let Inbound::DelegatedReplace(replace) = message {
                if !is_entry && replace.order == own.order {
                    replaced_by(signed, replace)?;
                    is_found = true;
                }
            } else {
                return Err(ContractError::Missing("an order of a frame"));
            }
        }
        let covered = begin.get(..begin.len().saturating_sub(self.rest.len()));
        let digest = Digest::new(Sha256::digest(covered.unwrap_or_default()).into());
        let mut bytes = Vec::new();
        let id: KeyId = key.id();
        signing::frame(own.platform, id, frame.orders, &digest, &mut bytes);
        if id != frame.key || !verifies(&key, &bytes, &frame.signature) {
            return Err(ContractError::Signature(format!("platform {}", own.platform)));
        }
        self.signatures = self.signatures.saturating_add(1);
        if is_found { Ok(()) } else { Err(ContractError::Missing("an order")) }
    }
}

/// What an aggregate order asks for one of its members, as an order of its own.
fn own_order(order: &AggregateOrder, part: Member) -> NewOrder {
    NewOrder {
        client_order: order.client_order,
        meter: part.meter,
        key: order.key,
        side: order.side,
        kind: OrderKind::Limit,
        time_in_force: order.time_in_force,
        limit: order.limit,
        quantity: part.quantity(),
        valid_until: order.valid_until,
        conditions: Conditions::NONE,
        list: OrderList::NONE,
    }
}

/// Kinds of the feed's messages begin here; those of sessions are below.
const FEED_FROM: u8 = 128;

fn replaced_by(signed: &mut Option<Signed>, replace: ReplaceOrder) -> Result<(), ContractError> {
    let Some(signed) = signed else { return Err(ContractError::Missing("an order")) };
    signed.replaced.push(replace);
    Ok(())
}

/// Whether what a side signed allows its part of the trade.
fn check_order(
    trade: &Trade,
    own: &TradeSide,
    side: Side,
    signed: &Signed,
) -> Result<(), ContractError> {
    let Signed { order, replaced } = signed;
    // In a frame with several replacements of the order, each was in force for a while.
    let allows = |limit: Price, most: Energy| {
        let is_market = order.kind == OrderKind::Market;
        let is_fair = match side {
            Side::Buy => trade.price <= limit,
            Side::Sell => trade.price >= limit,
        };
        (is_fair || is_market) && trade.quantity <= most
    };
    let is_allowed = if replaced.is_empty() {
        allows(order.limit, order.quantity)
    } else {
        replaced.iter().any(|replace| allows(replace.limit, replace.quantity))
    };
    let is_others =
        replaced.iter().any(|replace| (replace.order, replace.meter) != (own.order, own.meter));
    let is_differing = [
        (order.meter != own.meter, "meter"),
        (order.client_order != own.client_order, "number"),
        (is_others, "replaced order"),
        (order.key != trade.key, "slot"),
        (order.side != side, "side"),
        (!is_allowed, "price or quantity"),
    ];
    match is_differing.into_iter().find(|(differs, _)| *differs) {
        Some((_, what)) => Err(ContractError::Differs(what, format!("meter {}", own.meter))),
        None => Ok(()),
    }
}
