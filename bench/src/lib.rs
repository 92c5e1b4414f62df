//! What the benchmark programs share: one seeded workload, load over the network, and reports that
//! say where, on what and with which parameters they were measured.
//!
//! [`market`] is the canonical market and [`orders`] what is sent to it; [`history`] is the same as
//! a list of sequenced commands. [`load`] drives a running exchange. [`machine`], [`sync_probe`] and
//! [`threads`] describe the machine, [`latency`] and [`report`] the result.
#![forbid(unsafe_code)]

pub mod dice;
pub mod exchange_under_test;
pub mod history;
pub mod latency;
pub mod load;
pub mod machine;
pub mod market;
pub mod orders;
pub mod rate;
pub mod report;
pub mod sync_probe;
pub mod threads;

/// Any failure of a benchmark program.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
