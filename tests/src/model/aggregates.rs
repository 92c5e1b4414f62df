//! Aggregate orders: lists of members, their parts, and how these share what the order fills.

use std::collections::VecDeque;

use engine::digest_of;
use types::{
    AggregateOrder, ClientOrderId, Conditions, Digest, Event, Member, MemberRefused, MembersListed,
    MembersPage, MeterId, NewAggregateOrder, NewOrder, OrderKind, OrderList, Phase, PlatformId,
    Price, RejectReason, Request, Side, SlotKey, TimeInForce, Timestamp, members_listing,
};

use super::{
    Group, Model, Order, Outcome, Stand,
    admission::{check_largest, check_price, check_quantity, check_smallest},
    auction::in_proportion,
    exposure, refuse_if,
    requests::reject,
};

/// What one member has of an aggregate order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) meter: MeterId,
    pub(super) open: u64,
    pub(super) filled: u64,
    pub(super) group: Option<Group>,
}

/// What an aggregate order has that no other order has.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    pub(super) hash: Digest,
    pub(super) parts: Vec<Part>,
}

/// A list without its order, page by page.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) platform: PlatformId,
    pub(super) number: ClientOrderId,
    pub(super) pages: Vec<Vec<Member>>,
}

impl Waiting {
    pub(super) fn members(&self) -> Vec<Member> {
        self.pages.concat()
    }
}

impl Model {
    pub(super) fn take_page(&mut self, page: &MembersPage, events: &mut Vec<Event>) {
        let MembersPage { origin, client_order, page: number, .. } = *page;
        events.push(match self.add_page(page) {
            Ok(members) => {
                Event::MembersListed(MembersListed { origin, client_order, page: number, members })
            }
            Err(reason) => reject(origin, client_order, Request::ListMembers, reason),
        });
    }

    fn add_page(&mut self, page: &MembersPage) -> Result<u16, RejectReason> {
        let (platform, number) = (page.origin.platform, page.client_order);
        let mut members = page.members.to_vec();
        while members.last().is_some_and(|last| last.meter.get() == 0 && last.wh() == 0) {
            members.pop();
        }
        let is_it = |list: &Waiting| list.platform == platform && list.number == number;
        let known = self.waiting.iter().position(is_it);
        let mut list = Waiting { platform, number, pages: Vec::new() };
        if page.page > 0 {
            let at = known.ok_or(RejectReason::MembersOutOfTurn)?;
            list = self.waiting[at].clone();
            let here = usize::from(page.page);
            let again = here + 1 == list.pages.len() && list.pages[here] == members;
            if !again {
                refuse_if(here != list.pages.len(), RejectReason::MembersOutOfTurn)?;
                list.pages.push(members.clone());
            }
        } else {
            list.pages.push(members.clone());
        }
        let all = list.members();
        let rising = all.windows(2).all(|pair| pair[0].meter < pair[1].meter);
        let real = all.iter().all(|member| member.meter.get() > 0 && member.wh() > 0);
        let fits = !members.is_empty() && all.len() <= 10_000;
        refuse_if(!rising || !real || !fits, RejectReason::MembersInvalid)?;
        if page.page > 0 {
            self.waiting[known.expect("it was found above")] = list;
        } else {
            self.waiting.retain(|list| !is_it(list));
            let own = |list: &Waiting| list.platform == platform;
            if self.waiting.iter().filter(|list| own(list)).count() == 2 {
                let oldest = self.waiting.iter().position(own).expect("there are two");
                self.waiting.remove(oldest);
            }
            self.waiting.push(list);
        }
        Ok(u16::try_from(all.len()).expect("at most 10,000"))
    }

    pub(super) fn new_aggregate(&mut self, new: &NewAggregateOrder, events: &mut Vec<Event>) {
        let NewAggregateOrder { origin, order, .. } = *new;
        let client_order = order.client_order;
        let known = self.orders.iter().position(|known| {
            known.platform == origin.platform && known.sent.client_order == client_order
        });
        let sent = as_sent(&order);
        if let Some(at) = known
            && self.orders[at].sent == sent
            && self.pools.get(&at).is_some_and(|pool| {
                pool.hash == order.list && pool.parts.len() == usize::from(order.members)
            })
        {
            return self.restate(at, origin, client_order, events);
        }
        match self.admit_aggregate(origin.platform, &order, known.is_some()) {
            Ok(parts) => {
                let at = self.orders.len();
                self.pools.insert(at, Pool { hash: order.list, parts });
                self.waiting
                    .retain(|list| list.platform != origin.platform || list.number != client_order);
                self.accept(at, origin, sent, events);
            }
            Err((reason, member)) => {
                if let Some(meter) = member {
                    let refused = MemberRefused { origin, client_order, meter };
                    events.push(Event::MemberRefused(refused));
                }
                events.push(reject(origin, client_order, Request::New, reason));
            }
        }
    }

    fn admit_aggregate(
        &self,
        platform: PlatformId,
        order: &AggregateOrder,
        is_known: bool,
    ) -> Result<Vec<Part>, (RejectReason, Option<MeterId>)> {
        let members =
            self.check_order(platform, order, is_known).map_err(|reason| (reason, None))?;
        let mut parts = Vec::new();
        for member in members {
            let part = self.check_member(platform, order, member);
            parts.push(part.map_err(|reason| (reason, Some(member.meter)))?);
        }
        self.check_grid_of_members(&parts, order.side, order.key.slot)
            .map_err(|meter| (RejectReason::GridLimit, Some(meter)))?;
        self.check_whole(platform, order).map_err(|reason| (reason, None))?;
        Ok(parts)
    }

    fn check_order(
        &self,
        platform: PlatformId,
        order: &AggregateOrder,
        is_known: bool,
    ) -> Result<Vec<Member>, RejectReason> {
        refuse_if(self.last_time > order.valid_until, RejectReason::SignatureExpired)?;
        let whole = order.time_in_force == TimeInForce::FillOrKill;
        refuse_if(whole, RejectReason::NotForAggregates)?;
        let (market, phase) = self.check_slot(order.key)?;
        refuse_if(phase == Phase::Frozen, RejectReason::WrongPhase)?;
        let immediate = order.time_in_force == TimeInForce::ImmediateOrCancel;
        refuse_if(immediate && phase != Phase::Continuous, RejectReason::WrongPhase)?;
        check_price(&market, order.limit)?;
        refuse_if(is_known, RejectReason::DuplicateClientOrder)?;
        let list = self
            .waiting
            .iter()
            .find(|list| list.platform == platform && list.number == order.client_order);
        let members = list.map(Waiting::members).ok_or(RejectReason::MembersDiffer)?;
        let sum: u64 = members.iter().map(|member| u64::from(member.wh())).sum();
        let same = members.len() == usize::from(order.members)
            && sum == order.quantity.wh()
            && digest_of(&members_listing(&members)) == order.list;
        refuse_if(!same, RejectReason::MembersDiffer)?;
        refuse_if(sum > u64::from(u32::MAX), RejectReason::QuantityAboveMaximum)?;
        Ok(members)
    }

    fn check_member(
        &self,
        platform: PlatformId,
        order: &AggregateOrder,
        member: Member,
    ) -> Result<Part, RejectReason> {
        let AggregateOrder { key, side, limit, .. } = *order;
        let (meter, wh) = (member.meter, u64::from(member.wh()));
        let market = self.markets[&key.market];
        self.find_meter(meter).ok_or(RejectReason::UnknownMeter)?;
        self.check_trading(platform, meter, Some(key.market))?;
        self.check_delegation(platform, meter, Some((key.market, side, wh, Some(limit))))?;
        check_quantity(&market, wh, 0)?;
        self.check_capacity(meter, side, key, wh)?;
        let group = self.group_of(meter, &market.controls);
        let meets = |order: &Order| {
            order.is_open()
                && order.sent.key == key
                && order.sent.side != side
                && order.group == group
        };
        let alone = self.orders.iter().any(meets) || self.is_member(key, side.opposite(), group);
        refuse_if(group.is_some() && alone, RejectReason::AggregateSelfTrade)?;
        check_largest(&market, limit, wh)?;
        self.check_executions(&market, key, meter)?;
        Ok(Part { meter, open: wh, filled: 0, group })
    }

    fn check_whole(&self, platform: PlatformId, order: &AggregateOrder) -> Outcome {
        let market = self.markets[&order.key.market];
        let most = |limit: u32| usize::try_from(limit).expect("fits");
        let more = usize::from(order.members) + 1;
        let full = self.open_orders() >= most(self.limits.orders_max)
            || self.open_in(order.key) + more > most(self.limits.book_orders_max);
        refuse_if(full, RejectReason::OrderLimitReached)?;
        let wh = order.quantity.wh();
        check_smallest(&market, wh)?;
        self.check_credit(platform, &market, exposure(order.side, order.limit, wh))
    }

    /// Open orders of a slot, each member of an aggregate order counted as one more.
    pub(super) fn open_in(&self, key: SlotKey) -> usize {
        let here = |at: &usize| self.orders[*at].is_open() && self.orders[*at].sent.key == key;
        let open = (0..self.orders.len()).filter(here);
        open.map(|at| 1 + self.pools.get(&at).map_or(0, |pool| pool.parts.len())).sum()
    }

    /// Whether a group has a member of an open aggregate order.
    pub(super) fn is_member(&self, key: SlotKey, side: Side, group: Option<Group>) -> bool {
        self.pools.iter().any(|(&at, pool)| {
            let order = &self.orders[at];
            order.is_open()
                && order.sent.key == key
                && order.sent.side == side
                && pool.parts.iter().any(|part| part.group == group)
        })
    }

    /// What a meter has of all aggregate orders of a slot and side.
    pub(super) fn pooled(&self, meter: MeterId, side: Side, key: SlotKey) -> u64 {
        let here = self.pools.iter().filter(|&(&at, _)| {
            self.orders[at].sent.side == side && self.orders[at].sent.key == key
        });
        let own = here.flat_map(|(_, pool)| &pool.parts).filter(|part| part.meter == meter);
        own.map(|part| part.open + part.filled).sum()
    }

    /// The meters that an order is for.
    pub(super) fn meters_of(&self, at: usize) -> Vec<MeterId> {
        match self.pools.get(&at) {
            Some(pool) => pool.parts.iter().map(|part| part.meter).collect(),
            None => vec![self.orders[at].sent.meter],
        }
    }

    /// The meters for which an order has anything open.
    pub(super) fn open_meters(&self, at: usize) -> Vec<MeterId> {
        match self.pools.get(&at) {
            Some(pool) => {
                pool.parts.iter().filter(|part| part.open > 0).map(|part| part.meter).collect()
            }
            None => vec![self.orders[at].sent.meter],
        }
    }

    /// Who fills how much of what an order fills.
    pub(super) fn split(&mut self, at: usize, wh: u64) -> VecDeque<(MeterId, u64)> {
        let order = self.orders[at];
        let lot = self.markets[&order.sent.key.market].definition.lot.wh();
        let Some(pool) = self.pools.get_mut(&at) else {
            return VecDeque::from([(order.sent.meter, wh)]);
        };
        let open: Vec<u64> = pool.parts.iter().map(|part| part.open).collect();
        let shares = in_proportion(&open, wh, lot);
        let mut split = VecDeque::new();
        for (part, share) in pool.parts.iter_mut().zip(shares) {
            part.open -= share;
            part.filled += share;
            if share > 0 {
                split.push_back((part.meter, share));
            }
        }
        split
    }

    /// An order trades at a price with several others, one after the other.
    pub(super) fn trade_with_all(
        &mut self,
        taker: usize,
        makers: &[(usize, u64)],
        price: Price,
        events: &mut Vec<Event>,
    ) {
        let mut own = self.split(taker, makers.iter().map(|(_, wh)| wh).sum());
        for &(maker, filled) in makers {
            let side = self.orders[maker].sent.side;
            for (meter, mut wh) in self.split(maker, filled) {
                while wh > 0 {
                    let (own_meter, left) = own.pop_front().expect("both sides are as much");
                    let traded = left.min(wh);
                    let (this, that) = ((maker, meter), (taker, own_meter));
                    let pair = if side == Side::Buy { (this, that) } else { (that, this) };
                    self.trade_between(price, traded, pair, Some(side), events);
                    wh -= traded;
                    if left > traded {
                        own.push_front((own_meter, left - traded));
                    }
                }
            }
            self.take_from_view(maker, filled);
        }
    }

    /// What an aggregate order holds ends with it.
    pub(super) fn end_parts(&mut self, at: usize) {
        if let Some(pool) = self.pools.get_mut(&at) {
            pool.parts.iter_mut().for_each(|part| part.open = 0);
        }
    }

    pub(super) fn check_pools(&self) {
        for (&at, pool) in &self.pools {
            let order = &self.orders[at];
            assert!(matches!(order.stand, Stand::Resting | Stand::Done), "{order:?}");
            let open: u64 = pool.parts.iter().map(|part| part.open).sum();
            let filled: u64 = pool.parts.iter().map(|part| part.filled).sum();
            assert_eq!((open, filled), (order.open, order.filled), "{order:?} {pool:?}");
        }
    }
}

/// An aggregate order as other orders stand in the list: of no meter.
fn as_sent(order: &AggregateOrder) -> NewOrder {
    let expires = match order.time_in_force {
        TimeInForce::UntilTime => order.valid_until,
        TimeInForce::UntilGate | TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill => {
            Timestamp::from_ns(0)
        }
    };
    NewOrder {
        client_order: order.client_order,
        meter: MeterId::new(0),
        key: order.key,
        side: order.side,
        kind: OrderKind::Limit,
        time_in_force: order.time_in_force,
        limit: order.limit,
        quantity: order.quantity,
        valid_until: order.valid_until,
        conditions: Conditions { expires, ..Conditions::NONE },
        list: OrderList::NONE,
    }
}
