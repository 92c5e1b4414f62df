//! Orders around one price.

use types::{
    ClientOrderId, Conditions, Energy, MarketDefinition, MeterId, NewOrder, OrderKind, OrderList,
    PlatformId, Price, Side, SlotKey, TimeInForce,
};

use super::{dice::Dice, market::Market};

/// Limits lie at most this many ticks from the middle of the band.
const SPREAD_TICKS: u32 = 20;
/// Orders are for one to so many times 100 Wh.
const SIZES: u32 = 10;

/// What kind of order is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Anywhere around the middle, one in ten immediate-or-cancel: about half of them trade.
    Any,
    /// Not through the middle: it rests.
    Passive,
    /// Immediate-or-cancel, through everything that rests.
    Aggressive,
    /// Little stays: so many of a hundred meet another at the middle price, the others are
    /// immediate-or-cancel and find nobody. Keeps the books small however many are sent.
    Passing(u8),
    /// Anywhere around the middle; meters with even numbers buy, the others sell. For a call, in
    /// which a meter may be on one side only.
    Call,
}

/// An endless stream of orders that a seed decides.
#[derive(Debug, Clone)]
pub struct OrderSource {
    dice: Dice,
    definition: MarketDefinition,
    middle: u32,
    slots: Vec<SlotKey>,
    meters: u32,
    platforms: u16,
    /// By platform.
    next_client_order: Vec<u64>,
}

impl OrderSource {
    /// For this market.
    #[must_use]
    pub fn new(market: &Market, seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            definition: market.definition,
            middle: market.definition.levels() / 2,
            slots: market.slots.clone(),
            meters: market.setup.meters,
            platforms: market.setup.platforms.max(1),
            next_client_order: vec![1; usize::from(market.setup.platforms.max(1))],
        }
    }

    /// The dice, for decisions around the orders.
    pub const fn dice(&mut self) -> &mut Dice {
        &mut self.dice
    }

    /// The next order of any platform, or `None` in a market without slots.
    pub fn next(&mut self, style: Style) -> Option<(PlatformId, NewOrder)> {
        let number = self.dice.below(u32::from(self.platforms));
        let platform = PlatformId::new(u16::try_from(number).unwrap_or(0).saturating_add(1));
        Some((platform, self.next_of(platform, style)?))
    }

    /// The next order of this platform, or `None` in a market without slots.
    pub fn next_of(&mut self, platform: PlatformId, style: Style) -> Option<NewOrder> {
        let platforms = u32::from(self.platforms);
        let row = self.dice.below(self.meters / platforms);
        let meter = MeterId::new(row * platforms + u32::from(platform.get()));
        let side = match style {
            Style::Call if meter.get().is_multiple_of(2) => Side::Buy,
            Style::Call => Side::Sell,
            Style::Any | Style::Passive | Style::Aggressive | Style::Passing(_) => {
                if self.dice.below(2) == 0 { Side::Buy } else { Side::Sell }
            }
        };
        let key = *self.dice.pick(&self.slots)?;
        let limit = self.limit(side, style)?;
        let immediate = match style {
            Style::Any => self.dice.below(10) == 0,
            Style::Aggressive => true,
            Style::Passing(_) => Some(limit) != self.definition.price_of(self.middle),
            Style::Passive | Style::Call => false,
        };
        let quantity = Energy::from_wh(u64::from(1 + self.dice.below(SIZES)) * 100);
        Some(NewOrder {
            client_order: self.client_order(platform),
            meter,
            key,
            side,
            kind: OrderKind::Limit,
            time_in_force: if immediate {
                TimeInForce::ImmediateOrCancel
            } else {
                TimeInForce::UntilGate
            },
            limit,
            quantity,
            valid_until: key.slot.start(),
            conditions: Conditions::NONE,
            list: OrderList::NONE,
        })
    }

    /// The platform's next number, for an order or another request.
    pub fn client_order(&mut self, platform: PlatformId) -> ClientOrderId {
        let at = usize::from(platform.get().saturating_sub(1));
        let next = self.next_client_order.get_mut(at);
        ClientOrderId::new(next.map_or(0, |next| std::mem::replace(next, *next + 1)))
    }

    /// A limit of this side and style.
    pub fn limit(&mut self, side: Side, style: Style) -> Option<Price> {
        let level = match (style, side) {
            (Style::Any | Style::Call, _) => {
                self.middle + self.dice.below(2 * SPREAD_TICKS + 1) - SPREAD_TICKS
            }
            (Style::Passing(meeting), _) if self.dice.below(100) < meeting.into() => self.middle,
            (Style::Passing(_) | Style::Passive, Side::Buy) => {
                self.middle - 1 - self.dice.below(SPREAD_TICKS)
            }
            (Style::Passing(_) | Style::Passive, Side::Sell) => {
                self.middle + 1 + self.dice.below(SPREAD_TICKS)
            }
            (Style::Aggressive, Side::Buy) => self.middle + SPREAD_TICKS + 1,
            (Style::Aggressive, Side::Sell) => self.middle - SPREAD_TICKS - 1,
        };
        self.definition.price_of(level)
    }
}
