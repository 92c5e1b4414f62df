//! Lists of members that wait for their aggregate orders: page after page, a few for each platform.
//!
//! Who replays a journal keeps them as the engine does, and has the list of each order that is accepted.

use std::collections::BTreeMap;

use crate::{
    aggregate::{AGGREGATE_MEMBERS_MAX, Member, MembersPage},
    ids::{ClientOrderId, PlatformId},
    reject::RejectReason,
};

/// Most lists of a platform that wait for their orders; the next one takes the place of the oldest.
/// 2 × 10,000 × 8 bytes = 160 kB of a platform, 160 MiB if 1,024 parties did nothing else.
pub const PLATFORM_LISTS_MAX: usize = 2;

/// A list of members without its order yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberList {
    /// Number of the order that is to come.
    pub client_order: ClientOrderId,
    /// How many pages it has.
    pub pages: u16,
    /// How many members the last page brought.
    pub last_page: u16,
    members: Vec<Member>,
}

impl MemberList {
    /// Without a page yet.
    #[must_use]
    pub const fn new(client_order: ClientOrderId) -> Self {
        Self { client_order, pages: 0, last_page: 0, members: Vec::new() }
    }

    /// In rising order of their meters.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// How many members it has: at most [`AGGREGATE_MEMBERS_MAX`].
    #[must_use]
    pub fn count(&self) -> u16 {
        u16::try_from(self.members.len()).unwrap_or(u16::MAX)
    }

    /// Whether its last page is this one.
    fn ends_with(&self, page: &[Member]) -> bool {
        usize::from(self.last_page) == page.len() && self.members.ends_with(page)
    }

    /// Adds a page: how many members there are now.
    ///
    /// # Errors
    /// [`RejectReason::MembersInvalid`]; the list is then as before.
    pub fn append(&mut self, page: &[Member]) -> Result<u16, RejectReason> {
        let mut before = self.members.last().map_or(0, |member| member.meter.get());
        for member in page {
            if member.meter.get() <= before || member.wh() == 0 {
                return Err(RejectReason::MembersInvalid);
            }
            before = member.meter.get();
        }
        let count = self.members.len().saturating_add(page.len());
        if page.is_empty() || count > usize::from(AGGREGATE_MEMBERS_MAX) {
            return Err(RejectReason::MembersInvalid);
        }
        self.members.extend_from_slice(page);
        self.pages = self.pages.saturating_add(1);
        self.last_page = u16::try_from(page.len()).unwrap_or(u16::MAX);
        Ok(self.count())
    }
}

/// Every list that waits.
#[derive(Debug, Default)]
pub struct MemberLists {
    /// Of a platform the oldest first.
    lists: BTreeMap<PlatformId, Vec<MemberList>>,
}

impl MemberLists {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// All of them by platform, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (PlatformId, &MemberList)> {
        self.lists.iter().flat_map(|(&platform, lists)| lists.iter().map(move |l| (platform, l)))
    }

    /// The list for an order of a platform.
    #[must_use]
    pub fn get(&self, platform: PlatformId, client_order: ClientOrderId) -> Option<&MemberList> {
        let lists = self.lists.get(&platform)?;
        lists.iter().find(|list| list.client_order == client_order)
    }

    /// Takes out the list for an order of a platform.
    pub fn remove(
        &mut self,
        platform: PlatformId,
        client_order: ClientOrderId,
    ) -> Option<MemberList> {
        let lists = self.lists.get_mut(&platform)?;
        let place = lists.iter().position(|list| list.client_order == client_order)?;
        let list = lists.remove(place);
        if lists.is_empty() {
            self.lists.remove(&platform);
        }
        Some(list)
    }

    /// Puts a list behind those of its platform.
    pub fn push(&mut self, platform: PlatformId, list: MemberList) {
        self.lists.entry(platform).or_default().push(list);
    }

    /// Adds a page to its list: how many members that has now. The same page once more changes nothing.
    ///
    /// # Errors
    /// Why not; nothing has changed then.
    pub fn take(&mut self, page: &MembersPage) -> Result<u16, RejectReason> {
        let (platform, client_order) = (page.origin.platform, page.client_order);
        let listed = page.listed();
        if page.page == 0 {
            let mut list = MemberList::new(client_order);
            let members = list.append(listed)?;
            self.remove(platform, client_order);
            let lists = self.lists.entry(platform).or_default();
            if lists.len() >= PLATFORM_LISTS_MAX {
                lists.remove(0);
            }
            lists.push(list);
            return Ok(members);
        }
        let lists = self.lists.get_mut(&platform);
        let list = lists.and_then(|l| l.iter_mut().find(|l| l.client_order == client_order));
        let list = list.ok_or(RejectReason::MembersOutOfTurn)?;
        if list.pages == page.page {
            list.append(listed)
        } else if list.pages.checked_sub(1) == Some(page.page) && list.ends_with(listed) {
            Ok(list.count())
        } else {
            Err(RejectReason::MembersOutOfTurn)
        }
    }
}
