//! The versions of a contract: behind the evidence of its trade, for each change its event with its place,
//! the offer and the acceptance.

use std::{collections::BTreeMap, ops::ControlFlow, path::Path};

use sha2::{Digest as _, Sha256};
use types::{
    AmendmentTerms, ContractAmended, Digest, Energy, Event, FIRST_VERSION, Side, SlotKey, Trade,
    TradeId,
};
use wire::{
    FeedMessage, Inbound,
    feed::{At, Place},
    signing,
};

use super::{ContractError, GatherError, Reading, encoded};

/// Most changes of a contract in a list.
pub(super) const CHANGES_MAX: usize = 256;

/// A contract as it was from a position on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Counted from 1.
    pub number: u32,
    /// Where the trade or the change stands in the journal.
    pub place: Place,
    /// Which side asked for it; nobody for the first.
    pub asked_by: Option<Side>,
    /// What is delivered, and when.
    pub key: SlotKey,
    /// How much; nothing where it is cancelled.
    pub quantity: Energy,
    /// SHA-256 of the messages of the first version; of any other, of the hash of the version before it and
    /// the messages of the change.
    pub hash: Digest,
}

impl Version {
    /// The first, of the messages in the evidence of its trade.
    pub(super) fn first(at: &At<Trade>, messages: &[u8]) -> Self {
        Self {
            number: FIRST_VERSION,
            place: at.place,
            asked_by: None,
            key: at.body.key,
            quantity: at.body.quantity,
            hash: Digest::new(Sha256::digest(messages).into()),
        }
    }
}

/// The messages of every change of a contract in a journal.
pub(super) fn gather(journal: &Path, contract: TradeId) -> Result<Vec<u8>, GatherError> {
    let (mut offered, mut list) = (BTreeMap::new(), Vec::new());
    let mut missing = false;
    journal::scan(journal, &mut |entry, _| {
        let (seq, time) = (entry.command.seq, entry.command.time);
        for (index, event) in (0..).zip(&entry.events) {
            if let Event::AmendmentOffered(one) = event
                && one.terms.trade == contract
            {
                offered.insert(one.offer, encoded(&entry.command.value));
            } else if let Event::ContractAmended(amended) = *event
                && amended.terms.trade == contract
            {
                let place = Place { seq, time, index };
                FeedMessage::ContractAmended(At { place, body: amended }).encode(&mut list);
                match offered.get(&amended.offer) {
                    Some(offer) => list.extend_from_slice(offer),
                    None => missing = true,
                }
                list.extend_from_slice(&encoded(&entry.command.value));
            }
        }
        ControlFlow::Continue(())
    })?;
    if missing { Err(GatherError::Incomplete("an offer of a change")) } else { Ok(list) }
}

impl Reading<'_> {
    /// The next change: of the newest version, signed by both meters, in time.
    pub(super) fn change(
        &mut self,
        trade: &Trade,
        now: &Version,
    ) -> Result<Version, ContractError> {
        let begin = self.rest;
        let Some(FeedMessage::ContractAmended(At { place, body })) = self.feed()? else {
            return Err(ContractError::Malformed);
        };
        let ContractAmended { terms, offered_by, offer, .. } = body;
        check_base(trade, now, &terms)?;
        let Inbound::OfferAmendment(asked) = self.sent()? else {
            return Err(ContractError::Missing("the offer of a change"));
        };
        let Inbound::AcceptAmendment(agreed) = self.sent()? else {
            return Err(ContractError::Missing("the acceptance of a change"));
        };
        let sides = (asked.offered_by, agreed.accepted_by);
        if sides != (offered_by, offered_by.opposite()) || agreed.offer != offer {
            return Err(ContractError::Missing("the signature of the other side"));
        }
        let whom = || "both sides".to_owned();
        if asked.terms != terms || agreed.terms != terms {
            return Err(ContractError::Differs("change", whom()));
        }
        if place.time > terms.expires || place.seq <= now.place.seq {
            return Err(ContractError::Differs("time", whom()));
        }
        let mut bytes = Vec::new();
        signing::amendment(&terms, &mut bytes);
        self.check_meter(terms.meter(offered_by), &bytes, &asked.signature)?;
        self.check_meter(terms.meter(offered_by.opposite()), &bytes, &agreed.signature)?;
        let messages = begin.get(..begin.len().saturating_sub(self.rest.len()));
        let mut hash = Sha256::new_with_prefix(now.hash.as_bytes());
        hash.update(messages.unwrap_or_default());
        Ok(Version {
            number: terms.new_version(),
            place,
            asked_by: Some(offered_by),
            key: terms.new_key(),
            quantity: terms.new_quantity,
            hash: Digest::new(hash.finalize().into()),
        })
    }
}

/// Whether a change is of the contract as it is.
fn check_base(trade: &Trade, now: &Version, terms: &AmendmentTerms) -> Result<(), ContractError> {
    let is_differing = [
        (terms.trade != trade.trade, "contract"),
        (terms.version != now.number, "version"),
        ((terms.buyer, terms.seller) != (trade.buy.meter, trade.sell.meter), "meter"),
        (terms.price != trade.price, "price"),
        (terms.key != now.key, "slot"),
        (terms.quantity != now.quantity, "quantity"),
    ];
    match is_differing.into_iter().find(|(differs, _)| *differs) {
        Some((_, what)) => Err(ContractError::Differs(what, "both sides".to_owned())),
        None => Ok(()),
    }
}
