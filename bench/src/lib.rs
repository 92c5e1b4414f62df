//! What the benchmark programs share: one seeded workload, and reports that say where, on what and
//! with which parameters they were measured.
//!
//! [`market`] is the canonical market and [`orders`] what is sent to it; [`history`] is the same as
//! a list of sequenced commands. [`machine`] and [`threads`] describe the machine, [`latency`] and
//! [`report`] the result.
#![forbid(unsafe_code)]

pub mod history;
pub mod machine;
pub mod no_trades;
pub mod report;
pub mod stopwatch;
pub mod threads;

pub use exchange::load::{Failure, dice, latency, market, orders, rate};
