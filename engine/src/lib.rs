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
//! | `admission` | every check of a request, in the order of `docs/matching.md` |
//! | `plain` | the short way of plain orders, which nearly all are |
//! | `matching`, `special` | entering and sweeping; icebergs, minimums and what waits for them |
//! | `changes`, `many`, `expiries` | cancel, replace, reduce, hibernate; mass cancels; last instants |
//! | `lists` | blocks and baskets |
//! | `aggregates`, `members` | orders for many meters: lists and admission; how they hold and share |
//! | `calls`, `curve`, [`auction`] | phases of a slot; its aggregate curve; price rules as steps |
//! | [`sharing`], `pairing`, [`batch`] | who gets how much; which buyer meets which seller; raw orders |
//! | `desk` | one book with all that an order in it touches: whatever changes goes through here |
//! | `registry`, `credit` | markets, controls, parties, meters; what each platform owes |
//! | `amendments` | changes of trades before their gates, and what the trades are now |
//! | `contracts` | negotiated trades: offers, and what becomes of them |
//! | `delegations` | for which meters a platform signs, and within which limits |
//! | `grid` | where meters hang on the wires of utilities, and limits of what they may trade there |
//! | `slots`, `book` | which slots are known; two ladders, capacity, what stands outside |
//! | `ladder` | one side: a price level per array cell, a bitmap of those that hold orders |
//! | `orders`, `chunked` | every order ever accepted, one cache line each, linked into queues |
//! | `open_orders` | what a platform has open, one by one |
//! | `client_ids` | which order has a platform's own number |
//! | `digest`, [`snapshot`] | the canonical listing of the state and its SHA-256; state as bytes |
//! | `invariants` | what is always true between two commands, checked the slow way |
//! | `anticipate`, `prefetch` | fetching what coming commands need |
//! | `limits`, `index` | how much of everything; table indices and exact division |
//!
//! Deliberately absent: allocation per order (vectors are reserved once or in big chunks), hashing
//! except for the platforms' own numbers and slot keys, floating point, and panics a participant could cause. An
//! `assert!` here means that the journal or the engine itself is damaged.
#![deny(unsafe_code)]

mod admission;
mod aggregates;
mod amendments;
mod anticipate;
pub mod auction;
pub mod batch;
mod book;
mod calls;
mod changes;
mod chunked;
mod client_ids;
mod contracts;
mod credit;
mod curve;
mod delegations;
mod desk;
mod digest;
mod engine;
mod expiries;
mod grid;
mod index;
mod invariants;
mod ladder;
mod limits;
mod lists;
mod many;
mod matching;
mod members;
mod open_orders;
mod operations;
mod orders;
mod pairing;
mod plain;
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
pub use open_orders::OpenOrder;
