//! Every order ever accepted, by its dense number: one cache line each.
//!
//! The line of an order is all that a sweep, a cancellation or a repeat needs of it. It is also the
//! order's place in its queue: `next` and `prev` link the numbers of one price level. A cancelled
//! order stays linked, with nothing open, until the queue's head passes it; so cancelling touches
//! the order and its level and no neighbour.

use types::{
    ClientOrderId, MeterId, OrderId, OrderKind, PlatformId, SessionId, Side, TimeInForce,
    Timestamp, TradeId,
};

use crate::{
    chunked::Chunked,
    index::{NONE, low},
    limits::NUMBERS_MAX,
};

/// "No order": the end of a queue. Orders are numbered from 1.
pub(crate) const NOBODY: u32 = 0;

/// The level of a market order, which stands before every limit.
pub(crate) const MARKET: u32 = u32::MAX;

/// Where an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Place {
    /// Filled or cancelled.
    Done,
    /// In the queue of its level.
    Queue,
    /// Hibernating.
    Asleep,
    /// Waiting for the rest of its block or basket, or for the block to fill.
    Waiting,
}

/// What is rare about an order. Zero for most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Traits(u8);

impl Traits {
    pub(crate) const NONE: Self = Self(0);
    /// Has a minimum or is all-or-none.
    pub(crate) const NEEDY: Self = Self(1);
    /// Is all-or-none.
    pub(crate) const WHOLE: Self = Self(2);
    /// Shows only part of itself.
    pub(crate) const ICEBERG: Self = Self(4);
    pub(crate) const POST_ONLY: Self = Self(8);
    /// Belongs to a block or basket.
    pub(crate) const LISTED: Self = Self(16);
    /// Has an [`Extra`].
    pub(crate) const EXTRA: Self = Self(32);
    /// Is on behalf of many meters.
    pub(crate) const AGGREGATE: Self = Self(64);
    /// A sweep must look at it closely.
    const SPECIAL: Self = Self(1 | 4 | 64);
    /// Makes work for others: a book holds only so many. More than its own queue changes when it
    /// leaves that.
    const RARE: Self = Self(1 | 4 | 16 | 64);

    #[inline(always)]
    pub(crate) const fn has(self, any: Self) -> bool {
        self.0 & any.0 != 0
    }

    #[inline(always)]
    pub(crate) const fn is_special(self) -> bool {
        self.has(Self::SPECIAL)
    }

    #[inline(always)]
    pub(crate) const fn is_rare(self) -> bool {
        self.has(Self::RARE)
    }

    /// All of them as one byte.
    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    /// From one byte.
    pub(crate) const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    pub(crate) const fn with(self, more: Self, if_so: bool) -> Self {
        if if_so { Self(self.0 | more.0) } else { self }
    }
}

/// An order, open or done.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Order {
    /// The platform's number.
    pub(crate) client_order: ClientOrderId,
    /// As first sent.
    pub(crate) valid_until: Timestamp,
    /// As first sent, in Wh.
    pub(crate) quantity: u32,
    /// Open, in Wh. Zero once it is done.
    pub(crate) leaves: u32,
    /// Filled, in Wh.
    pub(crate) filled: u32,
    /// For whom; 0 of an aggregate order.
    pub(crate) meter: MeterId,
    /// Behind this one in the queue, or [`NOBODY`].
    pub(crate) next: u32,
    /// Before this one in the queue. Means nothing in the first.
    pub(crate) prev: u32,
    /// Level of the limit now, or [`MARKET`].
    pub(crate) level: u32,
    /// Index of its slot.
    pub(crate) slot: u32,
    /// Level of the limit as sent or, with [`Traits::EXTRA`], index of the [`Extra`].
    pub(crate) extra: u32,
    /// Where it was entered.
    pub(crate) session: SessionId,
    /// Does not trade with orders of the same group; 0 for none. See [`crate::registry::group`].
    pub(crate) group: u32,
    /// Whose it is.
    pub(crate) platform: PlatformId,
    /// Where it is, and as sent: side, kind, time in force.
    pub(crate) state: State,
    /// What is rare about it.
    pub(crate) traits: Traits,
}

const _: () = assert!(size_of::<Order>() == 64);

/// Bits 0–1 the place, 2 the side, 3 the kind, 4–5 the time in force.
#[derive(Debug, Clone, Copy)]
pub(crate) struct State(u8);

impl State {
    #[inline(always)]
    pub(crate) const fn new(
        place: Place,
        side: Side,
        kind: OrderKind,
        time_in_force: TimeInForce,
    ) -> Self {
        let as_sent = (side.code() << 2) | (kind.code() << 3) | (time_in_force.code() << 4);
        Self(place.bits() | as_sent)
    }
}

/// What most orders do not have: conditions, a list, a replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extra {
    /// The platform's number of the last replacement; 0 before the first.
    pub(crate) last_replace: ClientOrderId,
    /// Last instant of the order, or zero.
    pub(crate) expires: Timestamp,
    /// Level of the limit as sent.
    pub(crate) level_sent: u32,
    /// As sent, in Wh; 0 shows everything.
    pub(crate) display: u32,
    /// In view of an iceberg that rests, in Wh.
    pub(crate) shown: u32,
    /// As sent, in Wh; 0 accepts any.
    pub(crate) minimum: u32,
    /// Index of its list, or [`NONE`].
    pub(crate) list: u32,
}

impl Extra {
    pub(crate) const NONE: Self = Self {
        last_replace: ClientOrderId::new(0),
        expires: Timestamp::from_ns(0),
        level_sent: 0,
        display: 0,
        shown: 0,
        minimum: 0,
        list: NONE,
    };
}

impl Order {
    /// Fills memory that is only reserved.
    pub(crate) const UNUSED: Self = Self {
        client_order: ClientOrderId::new(0),
        valid_until: Timestamp::from_ns(0),
        quantity: 0,
        leaves: 0,
        filled: 0,
        meter: MeterId::new(0),
        next: NOBODY,
        prev: NOBODY,
        level: 0,
        slot: 0,
        extra: 0,
        session: SessionId::new(0),
        group: 0,
        platform: PlatformId::new(0),
        state: State(0),
        traits: Traits::NONE,
    };

    #[inline(always)]
    pub(crate) const fn side(&self) -> Side {
        if self.state.0 & 4 == 0 { Side::Buy } else { Side::Sell }
    }

    pub(crate) const fn kind(&self) -> OrderKind {
        if self.state.0 & 8 == 0 { OrderKind::Limit } else { OrderKind::Market }
    }

    #[inline(always)]
    pub(crate) const fn time_in_force(&self) -> TimeInForce {
        match self.state.0 >> 4 {
            0 => TimeInForce::UntilGate,
            1 => TimeInForce::ImmediateOrCancel,
            2 => TimeInForce::UntilTime,
            _ => TimeInForce::FillOrKill,
        }
    }

    /// Place, side, kind and time in force as one byte.
    pub(crate) const fn state_bits(&self) -> u8 {
        self.state.0
    }

    /// From one byte: each has a meaning.
    pub(crate) const fn set_state_bits(&mut self, bits: u8) {
        self.state.0 = bits & 63;
    }

    #[inline(always)]
    pub(crate) const fn place(&self) -> Place {
        match self.state.0 & 3 {
            0 => Place::Done,
            1 => Place::Queue,
            2 => Place::Asleep,
            _ => Place::Waiting,
        }
    }

    #[inline(always)]
    pub(crate) fn set_place(&mut self, place: Place) {
        self.state.0 = (self.state.0 & !3) | place.bits();
    }

    /// Whether it has a minimum or is all-or-none.
    #[inline(always)]
    pub(crate) const fn is_needy(&self) -> bool {
        self.traits.has(Traits::NEEDY)
    }

    /// Whether it has no trades or cancellations left before it.
    #[inline(always)]
    pub(crate) const fn is_done(&self) -> bool {
        self.state.0 & 3 == 0
    }
}

impl Place {
    #[inline(always)]
    const fn bits(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Queue => 1,
            Self::Asleep => 2,
            Self::Waiting => 3,
        }
    }
}

/// The fields of an order that is accepted now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accepted {
    pub(crate) client_order: ClientOrderId,
    pub(crate) valid_until: Timestamp,
    pub(crate) quantity: u32,
    pub(crate) meter: MeterId,
    pub(crate) level: u32,
    pub(crate) slot: u32,
    pub(crate) session: SessionId,
    pub(crate) group: u32,
    pub(crate) platform: PlatformId,
    pub(crate) side: Side,
    pub(crate) kind: OrderKind,
    pub(crate) time_in_force: TimeInForce,
}

/// The orders and their extras, appended to only. 64 bytes per accepted order and 40 per extra:
/// 2^32 of them would be 256 GiB, so memory ends before the numbers do.
#[derive(Debug)]
pub(crate) struct OrderLog {
    /// By number. The first is nobody: what is linked behind nobody is written there, and forgotten.
    orders: Chunked<Order>,
    extras: Chunked<Extra>,
    /// How many orders are not done.
    open: u32,
    /// See [`crate::limits::Limits::shard`].
    numbers_from: u64,
}

impl OrderLog {
    /// `numbers_from` is what tells the shard's numbers from those of others.
    pub(crate) fn new(numbers_from: u64) -> Self {
        let mut orders = Chunked::new(Order::UNUSED);
        orders.push(Order::UNUSED);
        Self { orders, extras: Chunked::new(Extra::NONE), open: 0, numbers_from }
    }

    /// How many orders were accepted; also the number of the last one.
    #[inline(always)]
    pub(crate) const fn len(&self) -> u32 {
        self.orders.len() - 1
    }

    /// How many orders are open.
    #[inline(always)]
    pub(crate) const fn open(&self) -> u32 {
        self.open
    }

    /// Appends an order that waits to be placed, and gives its number.
    #[inline(always)]
    pub(crate) fn push(&mut self, new: &Accepted, extra: Option<(Traits, Extra)>) -> u32 {
        assert!(self.len() < NONE - 1, "order numbers are exhausted");
        let (traits, extra) = match extra {
            None => (Traits::NONE, new.level),
            Some((traits, extra)) => {
                self.extras.push(extra);
                (traits.with(Traits::EXTRA, true), self.extras.len() - 1)
            }
        };
        let state = State::new(Place::Waiting, new.side, new.kind, new.time_in_force);
        self.orders.push(Order {
            client_order: new.client_order,
            valid_until: new.valid_until,
            quantity: new.quantity,
            leaves: new.quantity,
            filled: 0,
            meter: new.meter,
            next: NOBODY,
            prev: NOBODY,
            level: new.level,
            slot: new.slot,
            extra,
            session: new.session,
            group: new.group,
            platform: new.platform,
            state,
            traits,
        });
        self.open += 1;
        self.len()
    }

    /// Appends an open order without an extra as it is.
    #[inline(always)]
    pub(crate) fn append(&mut self, order: Order) {
        assert!(self.len() < NONE - 1, "order numbers are exhausted");
        self.orders.push(order);
        self.open += 1;
    }

    /// An order is done that was open.
    #[inline(always)]
    pub(crate) fn one_less(&mut self) {
        self.open -= 1;
    }

    /// Appends an order as it is, in no queue yet, and gives its number.
    pub(crate) fn put(&mut self, mut order: Order, extra: Extra) -> u32 {
        order.extra = extra.level_sent;
        if order.traits.has(Traits::EXTRA) {
            self.extras.push(extra);
            order.extra = self.extras.len() - 1;
        }
        self.orders.push(order);
        self.open += u32::from(!order.is_done());
        self.len()
    }

    /// Marks an order as done. It stays linked if it was in a queue.
    #[inline(always)]
    pub(crate) fn finish(&mut self, number: u32) {
        let order = self.get_mut(number);
        order.leaves = 0;
        order.set_place(Place::Done);
        self.open -= 1;
    }

    /// Reserves and touches the memory of at least `orders` further orders.
    pub(crate) fn prefault(&mut self, orders: u32) {
        self.orders.prefault(orders);
    }

    /// The number as a table index, if an order has it.
    #[inline(always)]
    pub(crate) fn number(&self, order: OrderId) -> Option<u32> {
        // What is below the shard's numbers wraps to far above them.
        let number = order.get().wrapping_sub(self.numbers_from);
        (number >= 1 && number <= u64::from(self.len())).then(|| low(number))
    }

    /// The number by which everyone else knows an order.
    #[inline(always)]
    pub(crate) fn id(&self, number: u32) -> OrderId {
        OrderId::new(self.numbers_from + u64::from(number))
    }

    /// The number of a trade: `count` is how many there are with it.
    #[inline(always)]
    pub(crate) fn trade_id(&self, count: u64) -> TradeId {
        assert!(count <= NUMBERS_MAX, "trade numbers are exhausted");
        TradeId::new(self.numbers_from + count)
    }

    /// The order of a number.
    #[inline(always)]
    pub(crate) fn get(&self, number: u32) -> &Order {
        self.orders.get(number)
    }

    #[inline(always)]
    pub(crate) fn get_mut(&mut self, number: u32) -> &mut Order {
        self.orders.get_mut(number)
    }

    /// What is rare about an order; nothing for most.
    pub(crate) fn extra(&self, order: &Order) -> Extra {
        if order.traits.has(Traits::EXTRA) {
            *self.extras.get(order.extra)
        } else {
            Extra { level_sent: order.extra, ..Extra::NONE }
        }
    }

    /// The extra of an order, made now if it had none.
    pub(crate) fn extra_mut(&mut self, number: u32) -> &mut Extra {
        let order = *self.get(number);
        if order.traits.has(Traits::EXTRA) {
            return self.extras.get_mut(order.extra);
        }
        self.extras.push(Extra { level_sent: order.extra, ..Extra::NONE });
        let index = self.extras.len() - 1;
        let order = self.get_mut(number);
        order.traits = order.traits.with(Traits::EXTRA, true);
        order.extra = index;
        self.extras.get_mut(index)
    }

    /// What an order at rest would trade at once: all, or what an iceberg shows.
    #[inline(always)]
    pub(crate) fn in_view(&self, order: &Order) -> u32 {
        if order.traits.has(Traits::ICEBERG) { self.extra(order).shown } else { order.leaves }
    }

    /// The least that one trade with a resting order must fill, or a sweep of it as a whole.
    pub(crate) fn need(&self, order: &Order) -> u32 {
        if order.traits.has(Traits::WHOLE) {
            order.leaves
        } else if order.traits.has(Traits::NEEDY) {
            self.extra(order).minimum.min(order.leaves)
        } else {
            0
        }
    }

    /// All orders with their numbers, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Order)> {
        (0..).zip(self.orders.iter()).skip(1)
    }
}
