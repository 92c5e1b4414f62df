//! The engine: order books, matching and call auctions as one pure function.
//!
//! [`Engine::apply`] takes the next command of the one order of everything and appends the events
//! it causes. There is no clock, thread, file, random source or hash-map order inside: the same
//! history gives the same events and the same [`Engine::digest`], on every machine.
//!
//! Where to read, in the order an order meets the code:
//!
//! | module | what it holds |
//! |---|---|
//! | `engine` | [`Engine`], `apply` with the only `match` over commands, and the queries |
//! | `admission` | every check of a request, in the order of the reject codes |
//! | `matching` | the sweep through the other side, resting, cancelling, replacing |
//! | [`auction`] | the price rules as lists of steps, and the uncross |
//! | [`sharing`], `pairing` | who gets how much of an auction, and which buyer meets which seller |
//! | `registry` | markets, parties and meters |
//! | `slots` | which slots are known, their phases and their books |
//! | `book` | one slot: two ladders and how much each meter has used of its capacity |
//! | `ladder` | one side: a price level per array cell, a bitmap of those that hold orders |
//! | `slab` | the open orders, 32 bytes each, linked into queues by index |
//! | `orders` | every order ever accepted, 64 bytes each, by its dense number |
//! | `client_ids` | which order has a platform's own number |
//! | `digest` | the canonical listing of the state, and its SHA-256 |
//! | `invariants` | what is always true between two commands, checked the slow way |
//! | `limits`, `index` | how much of everything; table indices and exact division |
//!
//! Deliberately absent: allocation per order (vectors are reserved once or in big chunks), hashing
//! except for the platforms' own numbers, floating point, and panics a participant could cause. An
//! `assert!` here means that the journal or the engine itself is damaged.
#![deny(unsafe_code)]

mod admission;
mod anticipate;
pub mod auction;
pub mod batch;
mod book;
mod calls;
mod changes;
mod chunked;
mod client_ids;
mod credit;
mod curve;
mod desk;
mod digest;
mod engine;
mod expiries;
mod index;
mod invariants;
mod ladder;
mod limits;
mod lists;
mod many;
mod matching;
mod orders;
mod pairing;
mod prefetch;
mod registry;
pub mod sharing;
mod slots;
pub mod snapshot;
mod special;
#[cfg(test)]
mod tests;

pub use book::{Depth, DepthLevel};
pub use digest::digest_of;
pub use engine::{Engine, Indicative};
pub use limits::Limits;
