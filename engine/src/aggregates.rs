//! Aggregate orders: one order in its book on behalf of many meters.
//!
//! The list of the members comes first, page by page; the order names their count, their sum and the hash
//! of the list. Capacity is each member's own. Beside its line in the log an aggregate order has the parts
//! of its members here, until its slot closes. What becomes of them in a trade is in `members`.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use types::{
    AggregateOrder, Digest, Event, Member, MemberList, MemberLists, MemberRefused, MembersListed,
    MembersPage, MeterId, NewAggregateOrder, OrderAccepted, OrderKind, Phase, PlatformId,
    RejectReason, Request, Terms, TimeInForce, Timestamp, members_listing,
};

use crate::{
    admission::{Admitted, Refusal, check_value},
    credit::{amount, exposure},
    engine::Engine,
    index::next_index,
    matching::rejected,
    orders::{Accepted, Extra, Order, Traits},
    registry::{MeterRow, group},
    slots::Slot,
};

/// A member's part in an aggregate order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) meter: MeterId,
    /// Open, in Wh.
    pub(crate) leaves: u32,
    /// Filled, in Wh.
    pub(crate) filled: u32,
    /// Its self-trade group; 0 for none.
    pub(crate) group: u32,
}

/// What an aggregate order has besides its line in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Aggregate {
    /// How many members.
    pub(crate) members: u16,
    /// SHA-256 of their list.
    pub(crate) list: Digest,
    /// Who they are, by meter. None once the slot has closed.
    pub(crate) parts: Vec<Part>,
}

/// Aggregate orders, and lists that wait for theirs.
#[derive(Debug, Default)]
pub(crate) struct Aggregates {
    /// By number of the order. Never forgotten: an order that comes again is compared with its hash.
    by_order: BTreeMap<u32, Aggregate>,
    /// Those of slots that are open, by slot.
    by_slot: BTreeMap<u32, Vec<u32>>,
    pub(crate) lists: MemberLists,
}

impl Aggregates {
    /// Whether nothing of it was ever there, or is now.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_order.is_empty() && self.lists.is_empty()
    }

    /// All of them, by number of the order.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (u32, &Aggregate)> {
        self.by_order.iter().map(|(&number, aggregate)| (number, aggregate))
    }

    /// The aggregate order of a number.
    ///
    /// # Panics
    /// When the order is none: only orders with their trait get here.
    #[expect(clippy::indexing_slicing, reason = "an order with the trait is entered here")]
    pub(crate) fn get(&self, number: u32) -> &Aggregate {
        &self.by_order[&number]
    }

    /// The parts of an aggregate order.
    pub(crate) fn parts_mut(&mut self, number: u32) -> &mut [Part] {
        self.by_order.get_mut(&number).map_or(&mut [], |aggregate| &mut aggregate.parts)
    }

    /// How many members of an aggregate order have something open.
    pub(crate) fn open_parts(&self, number: u32) -> u64 {
        let open = self.get(number).parts.iter().filter(|part| part.leaves > 0);
        u64::from(next_index(open.count()))
    }

    /// Enters an order of a slot that is open.
    pub(crate) fn put(&mut self, slot: u32, number: u32, aggregate: Aggregate) {
        if !aggregate.parts.is_empty() {
            self.by_slot.entry(slot).or_default().push(number);
        }
        self.by_order.insert(number, aggregate);
    }

    /// Forgets the parts of the orders of a slot that closes.
    pub(crate) fn close_slot(&mut self, slot: u32) {
        for number in self.by_slot.remove(&slot).unwrap_or_default() {
            if let Some(aggregate) = self.by_order.get_mut(&number) {
                aggregate.parts = Vec::new();
            }
        }
    }
}

/// An aggregate order that is accepted.
struct Entering {
    admitted: Admitted,
    parts: Vec<Part>,
}

/// Why an aggregate order is not accepted, and for which member if it is for one.
struct Refused {
    refusal: Refusal,
    member: Option<MeterId>,
}

impl From<RejectReason> for Refused {
    fn from(reason: RejectReason) -> Self {
        Self { refusal: reason.into(), member: None }
    }
}

impl Engine {
    /// A page of the members of an order that is to come.
    pub(crate) fn list_members(&mut self, page: &MembersPage, events: &mut Vec<Event>) {
        let MembersPage { origin, client_order, page: number, .. } = *page;
        events.push(match self.aggregates.lists.take(page) {
            Ok(members) => {
                Event::MembersListed(MembersListed { origin, client_order, page: number, members })
            }
            Err(reason) => rejected(origin, client_order, Request::ListMembers, reason),
        });
    }

    /// A new aggregate order: a refusal, or accepted and then whatever follows from that.
    pub(crate) fn new_aggregate(
        &mut self,
        time: Timestamp,
        new: &NewAggregateOrder,
        events: &mut Vec<Event>,
    ) {
        let NewAggregateOrder { origin, order, .. } = new;
        let client_order = order.client_order;
        match self.admit_aggregate(time, new) {
            Ok(entering) => self.accept_aggregate(new, entering, events),
            Err(Refused { refusal: Refusal::Restate(number), .. }) => {
                events.push(self.restated(*origin, client_order, number));
            }
            Err(Refused { refusal: Refusal::Reject(reason), member }) => {
                if let Some(meter) = member {
                    let origin = *origin;
                    events.push(Event::MemberRefused(MemberRefused {
                        origin,
                        client_order,
                        meter,
                    }));
                }
                events.push(rejected(*origin, client_order, Request::New, reason));
            }
        }
    }

    /// Checks an aggregate order, in the order that `docs/matching.md` gives.
    fn admit_aggregate(
        &self,
        time: Timestamp,
        new: &NewAggregateOrder,
    ) -> Result<Entering, Refused> {
        let NewAggregateOrder { origin, order, .. } = new;
        let platform = origin.platform;
        let known = self.client_ids.find(&self.orders, platform, order.client_order);
        if let Ok(number) = known
            && self.is_same_aggregate(number, order)
        {
            return Err(Refused { refusal: Refusal::Restate(number), member: None });
        }
        if time > order.valid_until {
            return Err(RejectReason::SignatureExpired.into());
        }
        if order.time_in_force == TimeInForce::FillOrKill {
            return Err(RejectReason::NotForAggregates.into());
        }
        let index = self.trading_slot(order.key, time)?;
        let slot = self.slots.slot(index);
        if slot.phase == Phase::Frozen
            || (order.time_in_force.is_immediate() && slot.phase != Phase::Continuous)
        {
            return Err(RejectReason::WrongPhase.into());
        }
        let market = self.registry.market(slot.market);
        let level = market.level_of(order.limit)?;
        let vacancy = known.err().ok_or(RejectReason::DuplicateClientOrder)?;
        let list = self.matching_list(platform, order)?;
        let quantity =
            u32::try_from(order.quantity.wh()).map_err(|_| RejectReason::QuantityAboveMaximum)?;
        let parts = self.admit_members((time, platform), slot, (order, level), list.members())?;
        if slot.is_limited {
            let checked = self.check_grid_of_members(slot, order.side, &parts);
            checked.map_err(|meter| Refused {
                refusal: RejectReason::GridLimit.into(),
                member: Some(meter),
            })?;
        }
        let room = u64::from(self.slots.book(slot.book).orders()) + u64::from(order.members) + 1;
        if self.orders.open() >= self.limits.orders_max
            || room > u64::from(self.limits.book_orders_max)
        {
            return Err(RejectReason::OrderLimitReached.into());
        }
        if order.quantity < market.controls.quantity_min {
            return Err(RejectReason::QuantityBelowMinimum.into());
        }
        let price = market.worst_price(order.side, level);
        let reserve = amount(exposure(order.side, price), quantity);
        self.check_credit(slot.market, platform, reserve)?;
        let accepted = Accepted {
            client_order: order.client_order,
            valid_until: order.valid_until,
            quantity,
            meter: MeterId::new(0),
            level,
            slot: index,
            session: origin.session,
            group: 0,
            platform,
            side: order.side,
            kind: OrderKind::Limit,
            time_in_force: order.time_in_force,
        };
        let expires = match order.time_in_force {
            TimeInForce::UntilTime => order.valid_until,
            TimeInForce::UntilGate | TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill => {
                Timestamp::from_ns(0)
            }
        };
        let extra = Extra { expires, level_sent: level, ..Extra::NONE };
        let extra = Some((Traits::AGGREGATE, extra));
        Ok(Entering { admitted: Admitted { order: accepted, extra, reserve, vacancy }, parts })
    }

    /// The list that an order names: as many members, together as much, with this hash.
    /// Rule T-98.
    fn matching_list(
        &self,
        platform: PlatformId,
        order: &AggregateOrder,
    ) -> Result<&MemberList, RejectReason> {
        let list = self.aggregates.lists.get(platform, order.client_order);
        let list = list.filter(|list| list.count() == order.members);
        let list = list.ok_or(RejectReason::MembersDiffer)?;
        let sum: u64 = list.members().iter().map(|member| u64::from(member.wh())).sum();
        let hash = Digest::new(Sha256::digest(members_listing(list.members())).into());
        if sum == order.quantity.wh() && hash == order.list {
            Ok(list)
        } else {
            Err(RejectReason::MembersDiffer)
        }
    }

    /// Checks the members of an order, each as an order of its own would be. Of the first that does not
    /// pass, the refusal names the meter.
    /// Rule T-99.
    fn admit_members(
        &self,
        who: (Timestamp, PlatformId),
        slot: &Slot,
        (order, level): (&AggregateOrder, u32),
        members: &[Member],
    ) -> Result<Vec<Part>, Refused> {
        let mut parts = Vec::with_capacity(members.len());
        for member in members {
            let part = self.admit_member(who, slot, (order, level), *member);
            parts.push(part.map_err(|reason| Refused {
                refusal: reason.into(),
                member: Some(member.meter),
            })?);
        }
        Ok(parts)
    }

    fn admit_member(
        &self,
        (time, platform): (Timestamp, PlatformId),
        slot: &Slot,
        (order, level): (&AggregateOrder, u32),
        member: Member,
    ) -> Result<Part, RejectReason> {
        let meter = member.meter;
        let row: &MeterRow = self.registry.meter(meter).ok_or(RejectReason::UnknownMeter)?;
        if self.registry.is_stopped((meter, platform), row, Some(order.key.market)) {
            return Err(RejectReason::TradingSuspended);
        }
        let terms = Terms {
            market: order.key.market,
            side: order.side,
            quantity: member.quantity(),
            worst: order.limit,
        };
        self.delegations.check((meter, platform), time, &terms)?;
        let market = self.registry.market(slot.market);
        let quantity = market.check_quantity(u64::from(member.wh()))?;
        self.check_capacity(slot, row, meter, order.side, quantity)?;
        let group = group(&market.controls, meter, row.owner);
        let book = self.slots.book(slot.book);
        let other = order.side.opposite();
        if group != 0 && (book.open(group, other) > 0 || book.aggregated(group, other) > 0) {
            return Err(RejectReason::AggregateSelfTrade);
        }
        // The smallest quantity is for the order: its members may be smaller.
        check_value(market, order.side, level, quantity)?;
        if market.controls.executions_max != 0 {
            self.check_executions(slot, market, meter)?;
        }
        Ok(Part { meter, leaves: quantity, filled: 0, group })
    }

    fn accept_aggregate(
        &mut self,
        new: &NewAggregateOrder,
        Entering { admitted, parts }: Entering,
        events: &mut Vec<Event>,
    ) {
        let NewAggregateOrder { origin, order, .. } = *new;
        let number = self.orders.push(&admitted.order, admitted.extra);
        self.client_ids.insert(&self.orders, admitted.vacancy);
        self.aggregates.lists.remove(origin.platform, order.client_order);
        let slot = admitted.order.slot;
        let aggregate = Aggregate { members: order.members, list: order.list, parts };
        self.aggregates.put(slot, number, aggregate);
        let mut desk = self.desk(slot);
        let taker = desk.taker(number);
        desk.reserve_members(number, admitted.reserve);
        events.push(Event::OrderAccepted(OrderAccepted {
            origin,
            client_order: order.client_order,
            order: self.orders.id(number),
            meter: MeterId::new(0),
            key: order.key,
            side: order.side,
            limit: order.limit,
            quantity: order.quantity,
        }));
        if order.time_in_force == TimeInForce::UntilTime {
            self.expiries.push(order.valid_until, number);
        }
        self.enter(slot, taker, order.client_order, events);
    }

    /// Whether an accepted order is the aggregate order that is sent again.
    fn is_same_aggregate(&self, number: u32, order: &AggregateOrder) -> bool {
        let known = self.orders.get(number);
        if !known.traits.has(Traits::AGGREGATE) {
            return false;
        }
        let (slot, extra) = (self.slots.slot(known.slot), self.orders.extra(known));
        let aggregate = self.aggregates.get(number);
        slot.key == order.key
            && known.side() == order.side
            && known.time_in_force() == order.time_in_force
            && self.registry.market(slot.market).limit_of(extra.level_sent) == order.limit
            && u64::from(known.quantity) == order.quantity.wh()
            && known.valid_until == order.valid_until
            && aggregate.members == order.members
            && aggregate.list == order.list
    }

    /// The meters that an order is for.
    /// Rule T-102.
    pub(crate) fn meters_of(&self, number: u32, order: &Order) -> impl Iterator<Item = MeterId> {
        let parts = if order.traits.has(Traits::AGGREGATE) {
            &self.aggregates.get(number).parts[..]
        } else {
            &[]
        };
        let single = (!order.traits.has(Traits::AGGREGATE)).then_some(order.meter);
        single.into_iter().chain(parts.iter().map(|part| part.meter))
    }

    /// Whether the tables of aggregate orders agree with the orders and books.
    ///
    /// # Panics
    /// When they do not.
    pub(crate) fn check_aggregates(&self) {
        let mut books = BTreeMap::new();
        for (number, aggregate) in self.aggregates.iter() {
            let order = self.orders.get(number);
            assert!(order.traits.has(Traits::AGGREGATE), "an order of one meter has members");
            assert!(
                aggregate.parts.is_sorted_by_key(|part| part.meter),
                "members are not in order"
            );
            let is_closed = self.slots.slot(order.slot).phase == Phase::Closed;
            assert!(aggregate.parts.is_empty() == is_closed, "members outlive their slot");
            let sum =
                |of: fn(&Part) -> u32| aggregate.parts.iter().map(of).map(u64::from).sum::<u64>();
            assert!(is_closed || sum(|part| part.filled) == order.filled.into(), "shares of fills");
            if order.is_done() {
                continue;
            }
            assert!(sum(|part| part.leaves) == order.leaves.into(), "open parts differ");
            for part in &aggregate.parts {
                *books.entry((order.slot, part.group, order.side())).or_insert(0) += 1;
            }
        }
        for (index, slot) in
            (0..).zip(self.slots.iter()).filter(|(_, slot)| slot.phase != Phase::Closed)
        {
            let book = self.slots.book(slot.book);
            for side in [types::Side::Buy, types::Side::Sell] {
                let open = books.iter().filter(|((s, _, of), _)| (*s, *of) == (index, side));
                let sum: u32 = open.map(|(_, count)| count).sum();
                assert!(book.members(side) == sum, "the count of members is wrong");
            }
        }
        for (&(slot, group, side), &count) in &books {
            let book = self.slots.book(self.slots.slot(slot).book);
            assert!(group == 0 || book.aggregated(group, side) == count, "members of a group");
        }
    }
}
