//! Composition, configuration and commands: everything below becomes the `gridcross` program.
//!
//! [`node`] puts the parts together, of which each [`shard`] has its own: [`core_loop`] (stop 5) is the
//! spine of the exchange, with the
//! [`sequencer`] (stop 6), the [`schedule`] and the [`seeds`] beside it; [`feed`] (stop 11) streams what became
//! durable, and `resume` what a session missed; [`settlement_worker`] follows that feed. [`config`] and [`registry`] read files; [`cli`]
//! is what people see; [`demo`] plays a whole day.
#![forbid(unsafe_code)]

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit that it was built from: as the environment of the build said (`GRIDCROSS_COMMIT`), else in
/// release builds as git says.
pub const COMMIT: &str = env!("GRIDCROSS_COMMIT");

pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod core_loop;
pub mod declaration;
pub mod demo;
pub mod exit;
pub mod feed;
mod grid_outbox;
pub mod init;
pub mod journal_options;
pub mod load;
pub mod logging;
pub mod market_data;
pub mod node;
pub mod notices;
pub mod output;
mod priority;
pub mod progress;
pub mod pull;
pub mod questions;
pub mod rails;
mod recorded_trades;
mod registrations;
pub mod registry;
pub mod reserve;
mod resume;
pub mod schedule;
pub mod seeds;
pub mod sequencer;
pub mod serve;
pub mod settlement_worker;
pub mod shard;
mod signers;
mod snapshots;
mod suspensions;
