//! Work with journals: the proof that state is nothing but the fold of its commands, and what else
//! auditors and benchmarkers want of a log of orders.
//!
//! | module | what it does |
//! |---|---|
//! | [`mod@verify`] | executes a journal again and compares every event |
//! | [`mod@evidence`] | checks every signature again |
//! | [`mod@inspect`] | counts what is in a journal and its files |
//! | [`mod@diff`] | finds where two journals part |
//! | [`mod@trace`] | tells the life of an order or trade, stop by stop |
//! | [`mod@export`] | writes a journal as a table |
//! | [`mod@run`], [`import`] | drives logs of orders through an engine, ours and those of others |
//! | [`fields`] | commands and events as named fields, and back |
//! | [`mod@shards`] | which journals a data directory holds |
//! | [`flow`], [`stage`] | canonical order flows; an engine without an exchange around it |
#![forbid(unsafe_code)]

pub mod contract;
pub mod diff;
pub mod evidence;
pub mod export;
pub mod fields;
pub mod flow;
pub mod import;
pub mod inspect;
mod members;
pub mod run;
pub mod shards;
pub mod stage;
pub mod trace;
pub mod verify;

pub use evidence::{Evidence, EvidenceError, verify_signatures};
pub use shards::{Shard, shards};
pub use verify::{Progress, Verified, VerifyError, compare, verify};
