//! The members of aggregate orders, found again on the way through a journal.

use journal::Entry;
use sha2::{Digest as _, Sha256};
use types::{Command, Digest, Event, Member, MemberList, MemberLists, members_listing};

/// Lists that wait for their orders.
#[derive(Debug, Default)]
pub(crate) struct Members(MemberLists);

impl Members {
    /// Takes the next entry: of an aggregate order that was accepted, its list.
    pub(crate) fn take(&mut self, entry: &Entry) -> Option<MemberList> {
        if let Command::AggregateMembers(page) = &entry.command.value {
            // What is refused changes nothing, here as in the engine.
            self.0.take(page).ok();
        } else if let Command::NewAggregateOrder(new) = &entry.command.value
            && entry.events.iter().any(|event| matches!(event, Event::OrderAccepted(_)))
        {
            return self.0.remove(new.origin.platform, new.order.client_order);
        }
        None
    }
}

/// SHA-256 of a list of members, as an order names it.
pub(crate) fn hash(members: &[Member]) -> Digest {
    Digest::new(Sha256::digest(members_listing(members)).into())
}
