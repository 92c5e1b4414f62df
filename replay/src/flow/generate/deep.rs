//! One deep book: a million orders rest, and what touches them is rarely in a cache.

use types::Side;

use super::{Draft, Order, behind};

const BOOK: u16 = 0;
const RESTING: i64 = 1_000_000;
const MIDDLE: i64 = 32_768;
const DISTANCE_MAX: u32 = 5_000;
const QUANTITY_MAX: u32 = 100;

pub(super) fn write(draft: &mut Draft, size: u64) {
    for _ in 0..RESTING {
        quote(draft);
    }
    draft.end_opening();
    let (mut cancels_left, mut sweeps_left) = (size, size);
    while cancels_left + sweeps_left > 0 {
        if is_short(draft) {
            refill(draft);
        } else if draft.random.below(cancels_left + sweeps_left) < cancels_left {
            cancels_left -= 1;
            draft.cancel_any(BOOK);
        } else {
            sweeps_left -= 1;
            sweep(draft);
        }
    }
}

/// Whether to refill: the more orders are missing, the likelier.
fn is_short(draft: &mut Draft) -> bool {
    let missing = u64::try_from(RESTING - draft.resting(BOOK)).unwrap_or(0);
    missing > 0 && draft.random.below(1_000) < missing.min(900)
}

fn quote(draft: &mut Draft) {
    let side = draft.random.side();
    let price = behind(side, MIDDLE, far(draft));
    let quantity = draft.random.one_to(QUANTITY_MAX);
    let account = draft.account();
    draft.send(&Order { book: BOOK, side, price, quantity, account });
}

/// A new order that does not cross: two of three near the best price of their side, at times one tick
/// ahead of it, and the others anywhere.
fn refill(draft: &mut Draft) {
    let side = draft.random.side();
    let account = draft.account();
    let quantity = draft.random.one_to(QUANTITY_MAX);
    let price = if draft.random.below(100) < 65 {
        let own = draft.own_best(BOOK, side).unwrap_or(MIDDLE);
        behind(side, own, draft.random.distance(8) - 1)
    } else {
        behind(side, MIDDLE, far(draft))
    };
    let nearest = behind(side, draft.opposite_best(BOOK, side).unwrap_or(MIDDLE), 1);
    let price = match side {
        Side::Buy => price.min(nearest),
        Side::Sell => price.max(nearest),
    };
    draft.send(&Order { book: BOOK, side, price, quantity, account });
}

/// An order that takes two makers on average, and sometimes forty.
fn sweep(draft: &mut Draft) {
    let side = draft.random.side();
    let Some(best) = draft.opposite_best(BOOK, side) else { return };
    let price = behind(side, best, -30);
    let quantity = 1 + draft.random.distance(60).min(4_000);
    let quantity = u32::try_from(quantity).unwrap_or(1);
    let account = draft.account();
    draft.take(&Order { book: BOOK, side, price, quantity, account });
}

fn far(draft: &mut Draft) -> i64 {
    i64::from(draft.random.one_to(DISTANCE_MAX))
}
