//! Aggregate orders: pages of members, good and bad, and the orders behind them.

use engine::digest_of;
use types::{
    AggregateOrder, ClientOrderId, Command, Conditions, Digest, Energy, Member, MembersPage,
    MeterId, NewAggregateOrder, NewOrder, OrderKind, OrderList, Origin, PAGE_MEMBERS_MAX, Phase,
    PlatformId, SessionId, Side, Signature, SignedNewOrder, TimeInForce, members_listing,
};

use super::History;

impl History {
    /// The first page of a list, or an order that was sent before.
    pub(super) fn aggregate(&mut self) -> Command {
        if self.random.once_in(8)
            && let Some(new) = self.random.pick(&self.aggregates.clone())
        {
            return self.aggregate_again(new);
        }
        let platform = PlatformId::new(1 + self.random.small(2));
        let session = SessionId::new(u32::from(self.random.small(3)));
        let origin = Origin { platform, session };
        let new = self.fresh_aggregate(origin);
        self.pool.push_back(Command::NewAggregateOrder(new));
        self.next_of_pool().expect("it was filled")
    }

    /// The next page, or the order behind the pages.
    pub(super) fn next_of_pool(&mut self) -> Option<Command> {
        let command = self.pool.pop_front()?;
        if let Command::NewAggregateOrder(new) = command {
            self.aggregates.push(new);
            self.sent.push(as_single(&new));
        }
        Some(command)
    }

    fn aggregate_again(&mut self, mut new: NewAggregateOrder) -> Command {
        if self.random.once_in(3) {
            new.order.members += 1;
        }
        self.sent.push(as_single(&new));
        Command::NewAggregateOrder(new)
    }

    /// Puts the pages on their way.
    fn fresh_aggregate(&mut self, origin: Origin) -> NewAggregateOrder {
        let mut key = self.open_key_where(|slot| slot.phase != Phase::Frozen);
        let mut side = self.side();
        // Often against the one before it.
        let last = self.aggregates.last().map(|last| last.order);
        if let Some(last) = last.filter(|last| self.is_tradable(last.key))
            && self.random.once_in(2)
        {
            (key, side) = (last.key, last.side.opposite());
        } else {
            self.listed.clear();
        }
        let market = self.definition(key.market);
        let mut members = self.members(origin.platform, side, &market);
        let client_order = self.next_number();
        let list = Digest::new(match self.random.below(30) {
            0 => [9; 32],
            _ => *digest_of(&members_listing(&members)).as_bytes(),
        });
        let time_in_force = match (self.random.below(12), self.phase(key)) {
            (0, _) => TimeInForce::FillOrKill,
            (1 | 2, _) => TimeInForce::UntilTime,
            (3..5, _) | (5..8, Phase::Continuous) => TimeInForce::ImmediateOrCancel,
            _ => TimeInForce::UntilGate,
        };
        let is_short = time_in_force == TimeInForce::UntilTime && self.random.once_in(2);
        let minute = i64::try_from(super::MINUTE_NS).unwrap_or(0);
        let valid_until = if is_short { self.time.plus_ns(minute) } else { self.valid_until() };
        let wrong = u64::from(self.random.once_in(40));
        let sum: u64 = members.iter().map(|member| u64::from(member.wh())).sum();
        let order = AggregateOrder {
            client_order,
            key,
            side,
            time_in_force,
            limit: self.price(&market),
            quantity: Energy::from_wh(sum + wrong),
            valid_until,
            members: u16::try_from(members.len()).expect("few"),
            list,
        };
        if self.random.once_in(12) {
            self.spoil_members(&mut members);
        }
        self.put_pages(origin, client_order, &members);
        NewAggregateOrder { origin, order, signature: Signature::new([3; 64]) }
    }

    /// Some meters, most of which have delegated this.
    fn members(
        &mut self,
        platform: PlatformId,
        side: Side,
        market: &types::MarketDefinition,
    ) -> Vec<Member> {
        let anybody = self.random.once_in(12);
        let left_out = 2 + self.random.below(4);
        let mut members: Vec<Member> = Vec::new();
        // Who is in the order that it goes against would have it refused.
        let others = std::mem::take(&mut self.listed);
        for meter in (1..=8).map(MeterId::new).filter(|meter| !others.contains(meter)) {
            let known = self.delegations.get(&meter);
            let may =
                known.is_some_and(|known| known.platform == platform && known.sides.has(side));
            if (may || anybody) && self.random.below(6) >= left_out {
                let wh = self.quantity(market).wh();
                members.push(Member::new(meter, u32::try_from(wh).unwrap_or(u32::MAX)));
                self.listed.push(meter);
            }
        }
        members
    }

    fn spoil_members(&mut self, members: &mut Vec<Member>) {
        match self.random.below(5) {
            0 => members.reverse(),
            1 => members.extend(members.first().copied()),
            2 => drop(members.pop()),
            3 => members.insert(0, Member::default()),
            _ => members.extend([Member::new(MeterId::new(99), 10)]),
        }
    }

    /// In pages of one to three members, now and then one of them twice, or not at all.
    fn put_pages(&mut self, origin: Origin, client_order: ClientOrderId, members: &[Member]) {
        self.pool.clear();
        let most = usize::from(1 + self.random.small(3));
        for (page, chunk) in (0_u16..).zip(members.chunks(most)) {
            let mut members = [Member::default(); PAGE_MEMBERS_MAX];
            members[..chunk.len()].copy_from_slice(chunk);
            let page =
                Command::AggregateMembers(MembersPage { origin, client_order, page, members });
            let times = match self.random.below(20) {
                0 if !self.pool.is_empty() => 0,
                1 => 2,
                _ => 1,
            };
            self.pool.extend(std::iter::repeat_n(page, times));
        }
    }
}

/// What other requests find of it among what was sent: an order of nobody.
fn as_single(new: &NewAggregateOrder) -> SignedNewOrder {
    let order = new.order;
    SignedNewOrder {
        origin: new.origin,
        order: NewOrder {
            client_order: order.client_order,
            meter: MeterId::new(1),
            key: order.key,
            side: order.side,
            kind: OrderKind::Limit,
            time_in_force: order.time_in_force,
            limit: order.limit,
            quantity: order.quantity,
            valid_until: order.valid_until,
            conditions: Conditions::NONE,
            list: OrderList::NONE,
        },
        signature: new.signature,
    }
}
