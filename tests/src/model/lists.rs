//! Blocks and baskets: orders that trade together or not at all.

use types::{
    CancelReason, ClientOrderId, Conditions, Event, LIST_ORDERS_MAX, ListKind, NewOrder, OrderKind,
    OrderList, Phase, PlatformId, Price, RejectReason, Side, SlotKey, TimeInForce,
};

use super::{Model, Order, Outcome, Stand, matching::filled, reaches, refuse_if};

/// A list that was named once.
#[derive(Debug, Clone)]
pub(super) struct List {
    pub(super) kind: ListKind,
    /// How many orders the first one said there are.
    pub(super) announced: u8,
    /// Positions of the orders that were accepted, by number.
    pub(super) members: Vec<usize>,
    /// Nothing waits any more, and nothing may come.
    pub(super) over: bool,
}

impl List {
    pub(super) fn is_complete(&self) -> bool {
        self.members.len() == usize::from(self.announced)
    }
}

type ListKey = (PlatformId, ClientOrderId);

impl Order {
    pub(super) fn is_listed(&self) -> bool {
        self.sent.list.kind != ListKind::Single
    }

    const fn list_key(&self) -> ListKey {
        (self.platform, self.sent.list.number)
    }
}

impl Model {
    /// Whether the order fits the list it names.
    pub(super) fn check_list(&self, platform: PlatformId, sent: &NewOrder) -> Outcome {
        let OrderList { kind, orders, number } = sent.list;
        if kind == ListKind::Single {
            let named = sent.list != OrderList::NONE;
            return refuse_if(named, RejectReason::InvalidList);
        }
        let is_list = (1..=LIST_ORDERS_MAX).contains(&orders) && number.get() != 0;
        let plain = sent.kind == OrderKind::Limit && sent.conditions == Conditions::NONE;
        let time_in_force = match kind {
            ListKind::Single | ListKind::Block => TimeInForce::UntilGate,
            ListKind::Basket => TimeInForce::FillOrKill,
        };
        let fits = is_list && plain && sent.time_in_force == time_in_force;
        refuse_if(!fits, RejectReason::InvalidList)?;
        let Some(list) = self.lists.get(&(platform, number)) else { return Ok(()) };
        let same = list.kind == kind && list.announced == orders;
        let closed = list.over || list.is_complete();
        refuse_if(!same || closed, RejectReason::InvalidList)?;
        let mut members = list.members.iter().map(|&at| self.orders[at].sent);
        let goes_on = match kind {
            ListKind::Single | ListKind::Block => members.next_back().is_none_or(|last| {
                last.key.market == sent.key.market
                    && last.meter == sent.meter
                    && last.side == sent.side
                    && last.limit == sent.limit
                    && last.key.slot.end() == sent.key.slot.start()
            }),
            ListKind::Basket => !members.any(|other| other.key == sent.key),
        };
        refuse_if(!goes_on, RejectReason::InvalidList)
    }

    /// An accepted order waits with its list. The last one sets the list off.
    pub(super) fn join_list(&mut self, at: usize, events: &mut Vec<Event>) {
        self.orders[at].stand = Stand::Waiting;
        let order = self.orders[at];
        let key = order.list_key();
        let list = self.lists.entry(key).or_insert_with(|| begin(&order.sent, false));
        list.members.push(at);
        if !list.is_complete() {
            return;
        }
        match list.kind {
            ListKind::Single | ListKind::Block => self.try_list(key, events),
            ListKind::Basket => {
                self.try_list(key, events);
                self.end_list(key, CancelReason::FillOrKill, events);
            }
        }
    }

    /// An order was refused: the list it names is over if it was still collecting.
    pub(super) fn break_list(
        &mut self,
        platform: PlatformId,
        sent: &NewOrder,
        events: &mut Vec<Event>,
    ) {
        let number = sent.list.number;
        let known = self.lists.get(&(platform, number));
        let collects = known.is_some_and(|list| !list.over && !list.is_complete());
        if sent.list.kind != ListKind::Single && collects {
            self.end_list((platform, number), CancelReason::List, events);
        }
    }

    /// Cancels what waits of a list, by number.
    fn end_list(&mut self, key: ListKey, reason: CancelReason, events: &mut Vec<Event>) {
        for at in self.lists[&key].members.clone() {
            if self.orders[at].is_open() {
                self.cancel_order(at, self.orders[at].sent.client_order, reason, events);
            }
        }
        self.lists.get_mut(&key).expect("it was found above").over = true;
    }

    /// The orders of a list enter, if every one of them would fill whole now.
    fn try_list(&mut self, key: ListKey, events: &mut Vec<Event>) {
        let members = self.lists[&key].members.clone();
        let whole = members.iter().all(|&at| {
            let order = &self.orders[at];
            let market = &self.markets[&order.sent.key.market].definition;
            self.slot(order.sent.key).phase == Phase::Continuous
                && self.last_time <= market.gate_closes_after(order.sent.key.slot)
                && filled(&self.sweep(at, self.band(order.sent.key))) == order.open
        });
        if whole {
            self.lists.get_mut(&key).expect("it was found above").over = true;
            for at in members {
                self.enter(at, self.orders[at].sent.client_order, events);
            }
        }
    }

    /// Tries the waiting blocks with an order in this slot, by the number of their last order:
    /// those that could trade with an order of this side and limit, or all of them.
    pub(super) fn try_blocks(
        &mut self,
        key: SlotKey,
        came: Option<(Side, Price)>,
        events: &mut Vec<Event>,
    ) {
        let concerns = |order: &Order| {
            order.sent.key == key
                && came.is_none_or(|(side, limit)| {
                    order.sent.side != side && reaches(side, limit, order.limit)
                })
        };
        let mut blocks: Vec<(usize, ListKey)> = self
            .lists
            .iter()
            .filter(|(_, list)| list.kind == ListKind::Block && list.is_complete() && !list.over)
            .filter(|(_, list)| list.members.iter().any(|&at| concerns(&self.orders[at])))
            .filter_map(|(&block, list)| list.members.last().map(|&last| (last, block)))
            .collect();
        blocks.sort_unstable();
        for (_, block) in blocks {
            self.try_list(block, events);
        }
    }

    /// Cancels an order and, where it is of a list, then what is open of the others, by number.
    /// A request goes under its number, everything else under the order's own. Returns how many
    /// were cancelled.
    pub(super) fn cancel_whole(
        &mut self,
        at: usize,
        request: Option<ClientOrderId>,
        reason: CancelReason,
        events: &mut Vec<Event>,
    ) -> u32 {
        let order = self.orders[at];
        self.cancel_order(at, request.unwrap_or(order.sent.client_order), reason, events);
        let mut cancelled = 1;
        if !order.is_listed() {
            return cancelled;
        }
        let list = self.lists.get_mut(&order.list_key()).expect("an order of it was accepted");
        list.over = true;
        for other in list.members.clone() {
            let order = self.orders[other];
            if order.is_open() {
                self.cancel_order(other, order.sent.client_order, CancelReason::List, events);
                cancelled += 1;
            }
        }
        cancelled
    }
}

fn begin(sent: &NewOrder, over: bool) -> List {
    List { kind: sent.list.kind, announced: sent.list.orders, members: Vec::new(), over }
}
