//! Aggregate orders: pages of their members, the orders, and what is said of either.

use types::{
    AggregateOrder, ClientOrderId, Digest, Energy, Member, MemberRefused, MembersListed,
    MembersPage, MeterId, NewAggregateOrder, PAGE_MEMBERS_MAX, Price, Side, Signature, TimeInForce,
    Timestamp,
};

use super::{
    Archived, Stored,
    layout::{AggregateLayout, ListedLayout, MemberRefusedLayout, MembersPageLayout},
    origin, slot_key, zero,
};

/// Bytes of all members of a page.
const MEMBERS_BYTES: usize = 8 * PAGE_MEMBERS_MAX;

impl Stored for MembersPage {
    type Layout = MembersPageLayout;

    fn layout(&self) -> MembersPageLayout {
        let mut members = [0; MEMBERS_BYTES];
        for (place, member) in members.as_chunks_mut::<8>().0.iter_mut().zip(&self.members) {
            let both = u64::from(member.meter.get()) | u64::from(member.wh()) << 32;
            *place = both.to_le_bytes();
        }
        MembersPageLayout {
            client_order: self.client_order.get(),
            session: self.origin.session.get(),
            platform: self.origin.platform.get(),
            page: self.page,
            members,
        }
    }

    fn restore(layout: &Archived<MembersPageLayout>) -> Option<Self> {
        let mut members = [Member::default(); PAGE_MEMBERS_MAX];
        for (member, place) in members.iter_mut().zip(layout.members.as_chunks::<8>().0) {
            let (meter, wh) = place.split_first_chunk::<4>()?;
            let wh = u32::from_le_bytes(*wh.first_chunk()?);
            *member = Member::new(MeterId::new(u32::from_le_bytes(*meter)), wh);
        }
        Some(Self {
            origin: origin(layout.platform.to_native(), layout.session.to_native()),
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            page: layout.page.to_native(),
            members,
        })
    }
}

impl Stored for NewAggregateOrder {
    type Layout = AggregateLayout;

    fn layout(&self) -> AggregateLayout {
        let order = &self.order;
        AggregateLayout {
            signature: *self.signature.as_bytes(),
            list: *order.list.as_bytes(),
            client_order: order.client_order.get(),
            limit: order.limit.micros(),
            quantity: order.quantity.wh(),
            valid_until: order.valid_until.ns(),
            session: self.origin.session.get(),
            start_minute: order.key.slot.start_minute(),
            minutes: order.key.slot.minutes(),
            market: order.key.market.get(),
            platform: self.origin.platform.get(),
            members: order.members,
            side: order.side.code(),
            time_in_force: order.time_in_force.code(),
            zero: [0; 6],
        }
    }

    fn restore(layout: &Archived<AggregateLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            origin: origin(layout.platform.to_native(), layout.session.to_native()),
            order: AggregateOrder {
                client_order: ClientOrderId::new(layout.client_order.to_native()),
                key: slot_key(
                    layout.start_minute.to_native(),
                    layout.minutes.to_native(),
                    layout.market.to_native(),
                )?,
                side: Side::from_code(layout.side)?,
                time_in_force: TimeInForce::from_code(layout.time_in_force)?,
                limit: Price::from_micros(layout.limit.to_native()),
                quantity: Energy::from_wh(layout.quantity.to_native()),
                valid_until: Timestamp::from_ns(layout.valid_until.to_native()),
                members: layout.members.to_native(),
                list: Digest::new(layout.list),
            },
            signature: Signature::new(layout.signature),
        })
    }
}

impl Stored for MembersListed {
    type Layout = ListedLayout;

    fn layout(&self) -> ListedLayout {
        ListedLayout {
            client_order: self.client_order.get(),
            session: self.origin.session.get(),
            platform: self.origin.platform.get(),
            page: self.page,
            members: self.members,
            zero: [0; 6],
        }
    }

    fn restore(layout: &Archived<ListedLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            origin: origin(layout.platform.to_native(), layout.session.to_native()),
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            page: layout.page.to_native(),
            members: layout.members.to_native(),
        })
    }
}

impl Stored for MemberRefused {
    type Layout = MemberRefusedLayout;

    fn layout(&self) -> MemberRefusedLayout {
        MemberRefusedLayout {
            client_order: self.client_order.get(),
            session: self.origin.session.get(),
            meter: self.meter.get(),
            platform: self.origin.platform.get(),
            zero: [0; 6],
        }
    }

    fn restore(layout: &Archived<MemberRefusedLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            origin: origin(layout.platform.to_native(), layout.session.to_native()),
            client_order: ClientOrderId::new(layout.client_order.to_native()),
            meter: MeterId::new(layout.meter.to_native()),
        })
    }
}
