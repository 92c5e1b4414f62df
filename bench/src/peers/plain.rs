//! The book that says what is expected.

use replay::flow::{FlowHeader, FlowOperation, FlowResult, ReferenceBooks};

use super::Peer;

pub(super) struct Plain {
    books: ReferenceBooks,
}

impl Peer for Plain {
    fn name() -> &'static str {
        "reference"
    }

    fn new(header: &FlowHeader) -> Self {
        Self { books: ReferenceBooks::new(header.book_count) }
    }

    fn apply(&mut self, operation: &FlowOperation, result: &mut FlowResult) {
        self.books.apply(operation, result);
    }
}
