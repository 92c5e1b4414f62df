//! One shallow book around a price that wanders.

use super::{Draft, Order, behind};

const BOOK: u16 = 0;
const RESTING: i64 = 1_000;
const QUANTITY_MAX: u32 = 100;

pub(super) fn write(draft: &mut Draft, size: u64) {
    let mut middle = 10_000;
    while draft.resting(BOOK) < RESTING {
        quote(draft, middle);
    }
    draft.end_opening();
    while draft.timed() < size {
        if draft.random.once_in(64) {
            middle = (middle + draft.random.step()).clamp(9_500, 10_500);
        }
        // A book that is too full or too empty shifts what is likely, by 15 in 100 at most.
        let shift = ((RESTING - draft.resting(BOOK)) / 10).clamp(-15, 15);
        let choice = i64::from(draft.random.below_u32(100));
        if choice < 5 {
            take(draft, middle);
        } else if choice < 55 + shift {
            quote(draft, middle);
        } else {
            draft.cancel_any(BOOK);
        }
    }
}

/// An order that rests, at some distance from the middle.
fn quote(draft: &mut Draft, middle: i64) {
    let side = draft.random.side();
    let distance = (1 + draft.random.distance(100)).min(1_500);
    let quantity = draft.random.one_to(QUANTITY_MAX);
    let account = draft.account();
    let price = behind(side, middle, distance);
    draft.send(&Order { book: BOOK, side, price, quantity, account });
}

/// An order that crosses the best price, one in ten of them five times as large.
fn take(draft: &mut Draft, middle: i64) {
    let side = draft.random.side();
    let Some(best) = draft.opposite_best(BOOK, side) else { return quote(draft, middle) };
    let through = i64::from(draft.random.below_u32(20));
    let mut quantity = draft.random.one_to(QUANTITY_MAX);
    if draft.random.once_in(10) {
        quantity *= 5;
    }
    let account = draft.account();
    let price = behind(side, best, -through);
    draft.take(&Order { book: BOOK, side, price, quantity, account });
}
