//! New orders: single ones, blocks and baskets, good and bad.

use types::{
    ClientOrderId, Command, Conditions, Energy, ListKind, MarketDefinition, MeterId, NewOrder,
    OrderKind, OrderList, Origin, Phase, PlatformId, Price, SessionId, Side, Signature,
    SignedNewOrder, SlotKey, TimeInForce, Timestamp,
};

use super::{History, MINUTE_NS, setup::METERS};

impl History {
    pub(super) fn price(&mut self, market: &MarketDefinition) -> Price {
        let level = match (market.market.get(), self.random.below(80)) {
            (_, 0) => return Price::from_micros(market.price_max.micros() + 1),
            (_, 1) => return Price::from_micros(market.price_min.micros() - 1),
            (_, 2) => return Price::from_micros(self.random.one_of(&[i64::MIN, i64::MAX])),
            (_, 3) => return Price::from_micros(market.price_min.micros() + 13),
            (2, 4..16) => self.random.below(20_000),
            (2, _) => 5_000 + 1_000 * self.random.below(6),
            (3, _) => self.random.below(6),
            (_, _) => self.random.below(11),
        };
        let level = i64::try_from(level).unwrap_or(0);
        Price::from_micros(market.price_min.micros() + level * market.tick.micros())
    }

    pub(super) fn quantity(&mut self, market: &MarketDefinition) -> Energy {
        let lot = market.lot.wh();
        let huge = market.market.get() == 3 && self.random.once_in(12);
        Energy::from_wh(match self.random.below(100) {
            0 => 0,
            1 => lot / 2 + lot,
            2 => market.quantity_max.wh() + lot,
            3 => u64::MAX - 5,
            4 => 500,
            5..8 if huge => market.quantity_max.wh(),
            8..40 if huge => u64::from(u32::MAX),
            _ if huge => u64::from(u32::MAX) / 5 * 5 - lot * self.random.below(200),
            _ => lot * (1 + self.random.below(15)),
        })
    }

    pub(super) fn valid_until(&mut self) -> Timestamp {
        let ahead = match self.random.below(120) {
            0 | 1 => 0,
            2 => 1, // Most commands come one nanosecond after the last.
            _ => i64::MAX / 4,
        };
        self.time.plus_ns(ahead)
    }

    pub(super) fn origin(&mut self, meter: MeterId) -> Origin {
        let serves = u16::try_from(meter.get() % 2 + 1).unwrap_or(1);
        let platform = if self.random.once_in(80) { 3 - serves } else { serves };
        let session = SessionId::new(u32::from(self.random.small(3)));
        Origin { platform: PlatformId::new(platform), session }
    }

    pub(super) fn side(&mut self) -> Side {
        if self.random.once_in(2) { Side::Buy } else { Side::Sell }
    }

    pub(super) fn new_order(&mut self) -> Command {
        let mut signed = self.single();
        let is_delegated = self.under_a_delegation(&mut signed);
        if self.random.once_in(14) {
            let sent = self.sent.clone();
            signed = self.random.pick(&sent).unwrap_or(signed);
            signed.origin.session = SessionId::new(7);
            self.spoil(&mut signed.order);
        }
        self.send(signed, is_delegated)
    }

    /// An order that is only asked about, sometimes one that was sent before.
    pub(super) fn validate(&mut self) -> Command {
        let mut signed = self.single();
        if self.random.once_in(4) {
            let sent = self.sent.clone();
            signed = self.random.pick(&sent).unwrap_or(signed);
            self.spoil(&mut signed.order);
        }
        Command::ValidateOrder(signed)
    }

    /// Changes one thing of an order that was sent before, or nothing.
    fn spoil(&mut self, order: &mut NewOrder) {
        let market = self.definition(order.key.market);
        match self.random.below(12) {
            0 => order.limit = self.price(&market),
            1 => order.quantity = self.quantity(&market),
            2 => order.key = self.key(),
            3 => order.side = order.side.opposite(),
            4 => order.conditions.post_only = !order.conditions.post_only,
            _ => {}
        }
    }

    fn single(&mut self) -> SignedNewOrder {
        let known = 1 + u32::from(self.random.small(7));
        let meter = MeterId::new(match self.random.below(120) {
            0 => 0,
            1 => METERS + 1,
            2 => METERS,
            _ => known,
        });
        let key = self.open_key_where(|slot| slot.phase != Phase::Frozen);
        let market = self.definition(key.market);
        let kind = if self.random.once_in(6) { OrderKind::Market } else { OrderKind::Limit };
        let limit = match kind {
            OrderKind::Market if !self.random.once_in(30) => Price::from_micros(0),
            OrderKind::Market | OrderKind::Limit => self.price(&market),
        };
        let quantity = self.quantity(&market);
        let time_in_force = self.time_in_force(key);
        let conditions = self.conditions(&market, kind, time_in_force, quantity);
        let mut list = OrderList::NONE;
        if self.random.once_in(200) {
            list.number = ClientOrderId::new(1 + self.random.below(3));
        }
        SignedNewOrder {
            origin: self.origin(meter),
            order: NewOrder {
                client_order: self.next_number(),
                meter,
                key,
                side: self.side(),
                kind,
                time_in_force,
                limit,
                quantity,
                valid_until: self.valid_until(),
                conditions,
                list,
            },
            signature: Signature::new([0; 64]),
        }
    }

    /// Immediate orders meet continuous slots, mostly.
    fn time_in_force(&mut self, key: SlotKey) -> TimeInForce {
        let immediate = self.phase(key) == Phase::Continuous || self.random.once_in(16);
        match self.random.below(20) {
            0..3 if immediate => TimeInForce::ImmediateOrCancel,
            3..6 if immediate => TimeInForce::FillOrKill,
            6..10 => TimeInForce::UntilTime,
            _ => TimeInForce::UntilGate,
        }
    }

    fn conditions(
        &mut self,
        market: &MarketDefinition,
        kind: OrderKind,
        time_in_force: TimeInForce,
        quantity: Energy,
    ) -> Conditions {
        let mut conditions = Conditions::NONE;
        let part = |history: &mut Self| {
            let lots = (quantity.wh() / market.lot.wh()).clamp(1, 20);
            Energy::from_wh(market.lot.wh() * (1 + history.random.below(lots)))
        };
        if time_in_force == TimeInForce::UntilTime {
            let most = self.random.one_of(&[6, MINUTE_NS, 5 * MINUTE_NS, 20 * MINUTE_NS]);
            let ahead = i64::try_from(1 + self.random.below(most)).unwrap_or(1);
            conditions.expires = self.time.plus_ns(ahead);
        }
        let visible = kind == OrderKind::Limit && !time_in_force.is_immediate();
        match self.random.below(24) {
            0..3 => conditions.all_or_none = true,
            3..6 => conditions.minimum = part(self),
            6..10 if visible => conditions.display = part(self),
            10..13 if visible => conditions.post_only = true,
            _ => {}
        }
        match self.random.below(240) {
            0 => conditions.post_only = true,
            1 => conditions.all_or_none = true,
            2 => conditions.display = part(self),
            3 => conditions.minimum = part(self),
            4 => conditions.expires = self.time,
            5 => conditions.expires = Timestamp::from_ns(0),
            6 => conditions.display = Energy::from_wh(market.lot.wh() / 2),
            7 => conditions.minimum = Energy::from_wh(quantity.wh().wrapping_add(10)),
            _ => {}
        }
        conditions
    }

    /// The orders of a block or a basket; all but the first wait to be sent.
    pub(super) fn list(&mut self) -> Command {
        self.lists += 1;
        let number = if self.random.once_in(20) { self.random.below(4) } else { self.lists };
        let number = ClientOrderId::new(number);
        let mut orders = if self.random.once_in(2) { self.block() } else { self.basket() };
        let kind = match orders.first().map(|signed| signed.order.time_in_force) {
            Some(TimeInForce::FillOrKill) => ListKind::Basket,
            Some(_) | None => ListKind::Block,
        };
        let announced = u8::try_from(orders.len()).unwrap_or(0);
        for signed in &mut orders {
            signed.order.list = OrderList { kind, orders: announced, number };
        }
        if self.random.once_in(5) {
            self.spoil_list(&mut orders);
        }
        let first = orders[0];
        self.pending.extend(orders.into_iter().skip(1));
        self.sent.push(first);
        Command::NewOrder(first)
    }

    /// Orders over slots that follow one another.
    fn block(&mut self) -> Vec<SignedNewOrder> {
        let mut template = self.single();
        let mut key = self.open_key_where(|slot| slot.phase == Phase::Continuous);
        let market = self.definition(key.market);
        template.order.kind = OrderKind::Limit;
        template.order.time_in_force = TimeInForce::UntilGate;
        template.order.conditions = Conditions::NONE;
        template.order.limit = match (self.random.below(3), template.order.side) {
            (0, Side::Buy) => market.price_max,
            (0, Side::Sell) => market.price_min,
            (_, Side::Buy | Side::Sell) => self.price(&market),
        };
        let mut orders = Vec::new();
        let wanted = 1 + self.random.below(3);
        for _ in 0..wanted {
            template.order.key = key;
            template.order.client_order = self.next_number();
            let lots = 1 + self.random.below(6);
            template.order.quantity = Energy::from_wh(market.lot.wh() * lots);
            orders.push(template);
            let gap = self.random.once_in(16);
            let next = self.slots.iter().find(|slot| {
                let (start, end) = (slot.key.slot.start(), key.slot.end());
                slot.key.market == key.market && if gap { start > end } else { start == end }
            });
            let Some(next) = next else { break };
            key = next.key;
        }
        orders
    }

    /// Fill-or-kill orders for meters of one platform.
    fn basket(&mut self) -> Vec<SignedNewOrder> {
        let template = self.single();
        let wanted = 1 + self.random.below(3);
        let mut orders: Vec<SignedNewOrder> = Vec::new();
        for _ in 0..wanted {
            let mut signed = template;
            let order = &mut signed.order;
            order.key = self.open_key_where(|slot| slot.phase == Phase::Continuous);
            order.side = self.side();
            let twice = |other: &SignedNewOrder| {
                other.order.key == order.key && other.order.side == order.side
            };
            if orders.iter().any(twice) && !self.random.once_in(8) {
                continue;
            }
            let market = self.definition(order.key.market);
            let meter = order.meter.get() + 2 * self.random.one_of(&[0, 0, 1]);
            order.meter = MeterId::new(if meter < METERS { meter } else { order.meter.get() });
            order.client_order = self.next_number();
            order.kind = OrderKind::Limit;
            order.time_in_force = TimeInForce::FillOrKill;
            order.conditions = Conditions::NONE;
            order.limit = match (self.random.below(3), order.side) {
                (0, _) => self.price(&market),
                (_, Side::Buy) => market.price_max,
                (_, Side::Sell) => market.price_min,
            };
            order.quantity = Energy::from_wh(market.lot.wh() * (1 + self.random.below(6)));
            orders.push(signed);
        }
        orders
    }

    /// Changes one thing of a list that does not fit then, mostly.
    fn spoil_list(&mut self, orders: &mut Vec<SignedNewOrder>) {
        let last = orders.len() - 1;
        let market = self.definition(orders[last].order.key.market);
        let price = self.price(&market);
        let extra = self.single();
        let order = &mut orders[last].order;
        match self.random.below(18) {
            0 => order.limit = price,
            1 => order.side = order.side.opposite(),
            2 => {
                let baskets = self.random.once_in(2);
                order.list.kind = if baskets { ListKind::Basket } else { ListKind::Block };
                order.time_in_force = match order.list.kind {
                    ListKind::Basket => TimeInForce::FillOrKill,
                    ListKind::Block | ListKind::Single => TimeInForce::UntilGate,
                };
            }
            3 => order.list.orders += 1,
            4 => order.list.orders = 0,
            5 => order.list.orders = 101,
            6 => order.list.number = ClientOrderId::new(0),
            7 => order.conditions.all_or_none = true,
            8 => order.time_in_force = TimeInForce::ImmediateOrCancel,
            9 => order.kind = OrderKind::Market,
            10 if order.meter.get() > 2 => order.meter = MeterId::new(order.meter.get() - 2),
            10 => order.meter = MeterId::new(order.meter.get() + 2),
            11 => order.key = extra.order.key,
            12 => order.quantity = Energy::from_wh(5),
            13 => {
                // One order more than the list says.
                let mut another = orders[last];
                another.order.client_order = self.next_number();
                orders.push(another);
            }
            14 | 15 => {
                // The same; or a list that stays incomplete.
                let more = last == 0 || self.random.once_in(2);
                for signed in orders.iter_mut() {
                    let announced = &mut signed.order.list.orders;
                    *announced = if more { *announced + 1 } else { *announced - 1 };
                }
            }
            _ => orders.reverse(),
        }
    }
}
