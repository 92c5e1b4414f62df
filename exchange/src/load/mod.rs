//! Load for benchmarks: a canonical market, seeded orders around its middle price, and sessions that
//! send them on time, however long the exchange takes.
//!
//! [`market`] says who takes part and what is traded; [`orders`] draws orders from [`dice`];
//! [`frames`] signs and seals them before the clock starts; [`timetable`] says when they are due, [`drive`]
//! sends them and waits for the answers; [`latency`] and [`rate`] hold the figures.

pub mod dice;
pub mod drive;
pub mod frames;
pub mod latency;
pub mod market;
pub mod orders;
pub mod rate;
pub mod timetable;

/// Any failure of a benchmark.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
