//! Aggregate orders: one order on behalf of many meters, and the list of them.
//!
//! A platform lists the members first, page by page, then sends the order, which names how many they are,
//! how much they make together, and the SHA-256 of the list. The platform's key signs the order; each
//! member has delegated that to the platform. In the book it is one order. What it fills is shared among the
//! members, so that every trade is between two meters.

use crate::{
    command::Origin,
    identity::{Digest, Signature},
    ids::{ClientOrderId, MeterId},
    order::{Side, TimeInForce},
    slot::SlotKey,
    time::Timestamp,
    units::{Energy, Price},
};

/// Most members of an aggregate order: 625 full pages.
pub const AGGREGATE_MEMBERS_MAX: u16 = 10_000;

/// Members of a page: 16 × 8 bytes and the head of a page are below the longest command.
pub const PAGE_MEMBERS_MAX: usize = 16;

/// A meter's part in an aggregate order. 8 bytes, of which a list has ten thousand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Member {
    /// For whom.
    pub meter: MeterId,
    wh: u32,
}

const _: () = assert!(size_of::<Member>() == 8);

impl Member {
    /// A member with so many watt-hours.
    #[must_use]
    pub const fn new(meter: MeterId, wh: u32) -> Self {
        Self { meter, wh }
    }

    /// How much, in Wh.
    #[must_use]
    pub const fn wh(self) -> u32 {
        self.wh
    }

    /// How much.
    #[must_use]
    pub fn quantity(self) -> Energy {
        Energy::from_wh(u64::from(self.wh))
    }

    /// Whether it is the rest of a page that is not full.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.meter.get() == 0 && self.wh == 0
    }
}

/// A page of the members of an aggregate order that is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MembersPage {
    /// Who sent it.
    pub origin: Origin,
    /// The platform's number of the order that the list is for.
    pub client_order: ClientOrderId,
    /// Which page, from 0. The first begins the list anew.
    pub page: u16,
    /// The members in rising order of their meters; behind the last one, empty ones.
    pub members: [Member; PAGE_MEMBERS_MAX],
}

impl MembersPage {
    /// The pages of a list, none for an empty one.
    pub fn of(
        origin: Origin,
        client_order: ClientOrderId,
        members: &[Member],
    ) -> impl Iterator<Item = Self> + '_ {
        (0_u16..).zip(members.chunks(PAGE_MEMBERS_MAX)).map(move |(page, chunk)| {
            let mut members = [Member::default(); PAGE_MEMBERS_MAX];
            for (place, member) in members.iter_mut().zip(chunk) {
                *place = *member;
            }
            Self { origin, client_order, page, members }
        })
    }

    /// The members, without the empty ones at the end. One in between is still there.
    #[must_use]
    pub fn listed(&self) -> &[Member] {
        let last = self.members.iter().rposition(|member| !member.is_empty());
        self.members.get(..last.map_or(0, |last| last.saturating_add(1))).unwrap_or_default()
    }
}

/// Precedes a list of members where it is hashed. 24 bytes.
pub const MEMBERS_TAG: &[u8; 24] = b"gridcross members v1\0\0\0\0";

/// The bytes of a list of members whose SHA-256 an order names: the tag, then of each member its meter
/// (`u32`) and its quantity in Wh (`u32`), little-endian.
#[must_use]
pub fn members_listing(members: &[Member]) -> Vec<u8> {
    let mut listing = MEMBERS_TAG.to_vec();
    for member in members {
        listing.extend_from_slice(&member.meter.get().to_le_bytes());
        listing.extend_from_slice(&member.wh.to_le_bytes());
    }
    listing
}

/// An aggregate order as its platform states it. These fields and the platform's number are what its key
/// signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AggregateOrder {
    /// The platform's own number for it, and for the list of its members.
    pub client_order: ClientOrderId,
    /// What is traded.
    pub key: SlotKey,
    /// Buy or sell.
    pub side: Side,
    /// How long it stays; not [`TimeInForce::FillOrKill`].
    pub time_in_force: TimeInForce,
    /// Worst acceptable price.
    pub limit: Price,
    /// How much, all members together.
    pub quantity: Energy,
    /// The signature is void after this instant. It is also the last one of a [`TimeInForce::UntilTime`]
    /// order.
    pub valid_until: Timestamp,
    /// How many members.
    pub members: u16,
    /// SHA-256 of [`members_listing`].
    pub list: Digest,
}

/// An aggregate order with its evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewAggregateOrder {
    /// Who sent it.
    pub origin: Origin,
    /// What was signed.
    pub order: AggregateOrder,
    /// By the platform's key.
    pub signature: Signature,
}

/// A page of members was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MembersListed {
    /// Who sent it.
    pub origin: Origin,
    /// The platform's number of the order that the list is for.
    pub client_order: ClientOrderId,
    /// Which page.
    pub page: u16,
    /// How many members the list has with it.
    pub members: u16,
}

/// Which member the refusal that follows is about. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberRefused {
    /// Who sent the order.
    pub origin: Origin,
    /// The platform's number of the order.
    pub client_order: ClientOrderId,
    /// The first meter, by number, for which the order cannot be accepted.
    pub meter: MeterId,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{PlatformId, SessionId};

    #[test]
    fn pages_hold_a_list_and_nothing_else() {
        let members: Vec<Member> = (1..=33).map(|n| Member::new(MeterId::new(n), n * 10)).collect();
        let origin = Origin { platform: PlatformId::new(1), session: SessionId::new(2) };
        let pages: Vec<MembersPage> =
            MembersPage::of(origin, ClientOrderId::new(7), &members).collect();
        assert_eq!(pages.iter().map(|page| page.page).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(pages.iter().map(|page| page.listed().len()).collect::<Vec<_>>(), [16, 16, 1]);
        let all: Vec<Member> = pages.iter().flat_map(|page| page.listed().to_vec()).collect();
        assert_eq!(all, members);
    }

    #[test]
    fn a_listing_is_its_tag_and_eight_bytes_a_member() {
        let listing = members_listing(&[Member::new(MeterId::new(258), 3)]);
        assert_eq!(listing, [&MEMBERS_TAG[..], &[2, 1, 0, 0, 3, 0, 0, 0]].concat());
    }
}
