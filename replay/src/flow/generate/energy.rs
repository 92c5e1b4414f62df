//! A day of quarter hours: activity moves with the gate that closes next.

use types::Side;

use super::{Draft, Order, behind};

const BOOKS: u16 = 96;
const OPENING_PER_BOOK: u32 = 500;

/// Where each hour clears: night, morning peak, noon with sun, evening peak.
const MIDDLES: [i64; 24] = [
    620, 600, 590, 590, 610, 700, 860, 1_010, 980, 860, 720, 600, //
    540, 520, 560, 680, 860, 1_080, 1_240, 1_260, 1_120, 940, 800, 700,
];

pub(super) fn write(draft: &mut Draft, size: u64) {
    let mut slots: Vec<Slot> = (0..BOOKS)
        .zip(MIDDLES.into_iter().flat_map(|middle| [middle; 4]))
        .map(|(book, middle)| Slot { book, middle })
        .collect();
    for slot in &slots {
        (0..OPENING_PER_BOOK).for_each(|_| slot.quote(draft));
    }
    draft.end_opening();
    let ranks = Ranks::new();
    while draft.timed() < size {
        let front = draft.timed() * u64::from(BOOKS) / size;
        let rank = ranks.draw(draft);
        let place = usize::try_from(front).unwrap_or(0).wrapping_add(rank) % slots.len();
        if let Some(slot) = slots.get_mut(place) {
            slot.turn(draft);
        }
    }
}

/// One book and where it clears.
struct Slot {
    book: u16,
    middle: i64,
}

impl Slot {
    fn turn(&mut self, draft: &mut Draft) {
        if draft.random.once_in(32) {
            self.middle = (self.middle + draft.random.step()).clamp(200, 1_800);
        }
        match draft.random.below(100) {
            0..15 => self.take(draft),
            15..40 => {
                if !draft.cancel_any(self.book) {
                    self.quote(draft);
                }
            }
            _ => self.quote(draft),
        }
    }

    /// An order that rests. People like round prices: half are a multiple of 5, a quarter of 25,
    /// rounded away from the middle.
    fn quote(&self, draft: &mut Draft) {
        let side = draft.random.side();
        let price = behind(side, self.middle, 1 + draft.random.distance(60));
        let step = match draft.random.below(4) {
            0 | 1 => 5,
            2 => 25,
            _ => 1,
        };
        let price = match side {
            Side::Buy => price - price.rem_euclid(step),
            Side::Sell => price + (-price).rem_euclid(step),
        };
        let quantity = draft.random.one_to(40);
        let account = draft.account();
        draft.send(&Order { book: self.book, side, price, quantity, account });
    }

    /// An order that crosses the best price; one in three may rest with what is left.
    fn take(&self, draft: &mut Draft) {
        let side = draft.random.side();
        let Some(best) = draft.opposite_best(self.book, side) else { return self.quote(draft) };
        let through = i64::from(draft.random.below_u32(15));
        let quantity = draft.random.one_to(80);
        let account = draft.account();
        let price = behind(side, best, -through);
        let order = Order { book: self.book, side, price, quantity, account };
        if draft.random.once_in(3) {
            draft.send(&order);
        } else {
            draft.take(&order);
        }
    }
}

/// How far from the front of the day: the nearest slot is drawn twice as often as the second, three
/// times as often as the third, and so on.
struct Ranks {
    /// Sums of the weights up to and including each rank.
    sums: Vec<u64>,
}

impl Ranks {
    fn new() -> Self {
        let sums = (1..=u64::from(BOOKS)).scan(0, |sum, rank| {
            *sum += 1_000_000 / rank;
            Some(*sum)
        });
        Self { sums: sums.collect() }
    }

    fn draw(&self, draft: &mut Draft) -> usize {
        let drawn = draft.random.below(self.sums.last().copied().unwrap_or(0));
        self.sums.partition_point(|&sum| sum <= drawn)
    }
}
