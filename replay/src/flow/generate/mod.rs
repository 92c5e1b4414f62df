//! Three workloads, made from a seed.

mod deep;
mod energy;
mod one_book;

use types::Side;

use super::{
    Flow, FlowHeader, FlowKind, FlowOperation, FlowResult, ReferenceBooks, random::Random,
};

/// 40 million operations, or in the deep book 4.75 times as many and its opening, of 24 bytes each: 0.9 to
/// 4.3 GiB.
pub const SIZE_MAX: u32 = 40_000_000;

/// Which flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Workload {
    /// One shallow book: 1,000 orders rest around a price that wanders; of 100 operations 50 are new,
    /// 45 cancel and 5 take.
    OneBook,
    /// 96 books, one per quarter hour, with 20,000 accounts: of 100 operations 60 are new, 25 cancel and
    /// 15 take, most of them in the slots whose gate closes next.
    Energy,
    /// One deep book: a million orders rest, then orders are cancelled anywhere and takers sweep several
    /// levels, while new orders keep the book at its depth.
    Deep,
}

impl Workload {
    /// All of them, by number.
    pub const ALL: [Self; 3] = [Self::OneBook, Self::Energy, Self::Deep];

    /// The workload with this number, if there is one.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::OneBook),
            2 => Some(Self::Energy),
            3 => Some(Self::Deep),
            _ => None,
        }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::OneBook => 1,
            Self::Energy => 2,
            Self::Deep => 3,
        }
    }

    /// The size that figures are published for.
    #[must_use]
    pub const fn default_size(self) -> u32 {
        match self {
            Self::OneBook | Self::Energy => 3_000_000,
            Self::Deep => 1_000_000,
        }
    }

    /// The seed that figures are published for.
    #[must_use]
    pub fn default_seed(self) -> u64 {
        20_260_101 + u64::from(self.number())
    }

    /// Books, highest price and accounts.
    const fn bounds(self) -> (u32, u32, u32) {
        match self {
            Self::OneBook => (1, 20_000, 1_000),
            Self::Energy => (96, 2_000, 20_000),
            Self::Deep => (1, 65_534, 100_000),
        }
    }
}

/// A flow, and what a correct book reports for it.
#[derive(Debug, Clone)]
pub struct Generated {
    /// The flow.
    pub flow: Flow,
    /// What is expected.
    pub expected: FlowResult,
}

/// Makes a flow. Its size counts the operations after the opening; in [`Workload::Deep`] the
/// cancellations and, apart from them, the sweeps.
///
/// # Panics
/// When the size is above [`SIZE_MAX`].
#[must_use]
pub fn generate(workload: Workload, size: u32, seed: u64) -> Generated {
    assert!(size <= SIZE_MAX, "{size} is above {SIZE_MAX}");
    let (book_count, price_max, account_count) = workload.bounds();
    let mut draft = Draft {
        random: Random::new(seed),
        books: ReferenceBooks::new(book_count),
        expected: FlowResult::default(),
        operations: Vec::new(),
        opening_count: 0,
        id_last: 0,
        price_max,
        account_count,
    };
    match workload {
        Workload::OneBook => one_book::write(&mut draft, u64::from(size)),
        Workload::Energy => energy::write(&mut draft, u64::from(size)),
        Workload::Deep => deep::write(&mut draft, u64::from(size)),
    }
    draft.books.finish(&mut draft.expected);
    let header = FlowHeader {
        operation_count: draft.count(),
        opening_count: draft.opening_count,
        book_count,
        price_max,
        id_max: draft.id_last,
        workload: workload.number(),
        account_count,
        seed,
    };
    Generated { flow: Flow::of(header, draft.operations), expected: draft.expected }
}

/// A flow being written. What comes next depends on what rests, so every operation is applied at once.
struct Draft {
    random: Random,
    books: ReferenceBooks,
    expected: FlowResult,
    operations: Vec<FlowOperation>,
    opening_count: u64,
    id_last: u64,
    price_max: u32,
    account_count: u32,
}

/// An order before it has an id. Its price may be anything; it is brought into the grid.
struct Order {
    book: u16,
    side: Side,
    price: i64,
    quantity: u32,
    account: u32,
}

impl Draft {
    /// Sends an order that may rest.
    fn send(&mut self, order: &Order) {
        self.send_as(FlowKind::New, order);
    }

    /// Sends an order that only takes.
    fn take(&mut self, order: &Order) {
        self.send_as(FlowKind::ImmediateOrCancel, order);
    }

    fn send_as(&mut self, kind: FlowKind, order: &Order) {
        let &Order { book, side, price, quantity, account } = order;
        self.id_last = self.id_last.saturating_add(1);
        let price = u32::try_from(price.clamp(1, self.price_max.into())).unwrap_or(1);
        let id = self.id_last;
        self.push(FlowOperation { id, price, quantity, account, book, kind, side });
    }

    /// Cancels any order of a book; false if none rests.
    fn cancel_any(&mut self, book: u16) -> bool {
        let resting = u64::try_from(self.books.resting(book)).unwrap_or(u64::MAX);
        if resting == 0 {
            return false;
        }
        let place = usize::try_from(self.random.below(resting)).unwrap_or(usize::MAX);
        let Some(cancellation) = self.books.cancellation(book, place) else { return false };
        self.push(cancellation);
        true
    }

    fn push(&mut self, operation: FlowOperation) {
        self.books.apply(&operation, &mut self.expected);
        self.operations.push(operation);
    }

    /// What was sent so far built the books.
    fn end_opening(&mut self) {
        self.opening_count = self.count();
    }

    fn count(&self) -> u64 {
        u64::try_from(self.operations.len()).unwrap_or(u64::MAX)
    }

    /// Operations after the opening.
    fn timed(&self) -> u64 {
        self.count().saturating_sub(self.opening_count)
    }

    /// Best price that an order of this side could trade at.
    fn opposite_best(&self, book: u16, side: Side) -> Option<i64> {
        self.books.best_against(book, side).map(i64::from)
    }

    /// Best price of this side.
    fn own_best(&self, book: u16, side: Side) -> Option<i64> {
        self.opposite_best(book, side.opposite())
    }

    fn account(&mut self) -> u32 {
        self.random.one_to(self.account_count)
    }

    fn resting(&self, book: u16) -> i64 {
        i64::try_from(self.books.resting(book)).unwrap_or(i64::MAX)
    }
}

/// A price so many ticks behind another, as this side sees it; a negative distance is ahead of it.
const fn behind(side: Side, price: i64, distance: i64) -> i64 {
    match side {
        Side::Buy => price.saturating_sub(distance),
        Side::Sell => price.saturating_add(distance),
    }
}
