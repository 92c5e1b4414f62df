//! Canonical order flows: one list of operations that every order book can be driven with, and what a
//! book with price-time priority must report for it.
//!
//! [`generate()`] makes three workloads from a seed and [`Flow`] holds one, checked. [`ReferenceBooks`]
//! is slow and obvious and says what is expected; [`FlowResult`] is what everybody counts.
//!
//! A file is a header of 64 bytes and 24 bytes an operation, little-endian, without padding:
//!
//! | byte | header | byte | operation |
//! |---|---|---|---|
//! | 0 | magic `EOLBOOK1` | 0 | id, 8 bytes |
//! | 8 | operations, 8 bytes | 8 | price, 4 bytes |
//! | 16 | operations of the opening, 8 bytes | 12 | quantity, 4 bytes |
//! | 24 | books, 4 bytes | 16 | account, 4 bytes |
//! | 28 | highest price, 4 bytes | 20 | book, 2 bytes |
//! | 32 | highest id, 8 bytes | 22 | kind: 0 new, 1 cancel, 2 immediate or cancel |
//! | 40 | workload, 4 bytes | 23 | side: 0 buy, 1 sell |
//! | 44 | accounts, 4 bytes | | |
//! | 48 | seed, 8 bytes | | |
//! | 56 | zero, 8 bytes | | |

mod file;
mod generate;
mod header;
mod operation;
mod random;
mod reference;
mod result;
pub mod run;
#[cfg(test)]
mod tests;

pub use file::{Flow, FlowError, FlowFileError};
pub use generate::{Generated, SIZE_MAX, Workload, generate};
pub use header::{FlowHeader, HEADER_BYTES, OPERATIONS_MAX};
pub use operation::{FlowKind, FlowOperation, OPERATION_BYTES};
pub use random::Random;
pub use reference::ReferenceBooks;
pub use result::FlowResult;

/// The next bytes of a record; zeroes past its end, which a whole record never reaches.
fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let Some((head, tail)) = rest.split_first_chunk() else { return [0; N] };
    *rest = tail;
    *head
}
