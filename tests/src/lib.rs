//! Shared by the integration tests: the slow, obvious model of the engine, an exchange in a
//! temporary directory with everyone who talks to it, and the `gridcross` program.

pub mod api;
pub mod cast;
pub mod day;
pub mod https;
pub mod line;
pub mod meter_server;
pub mod model;
pub mod mutation;
pub mod platform;
pub mod program;
pub mod receiver;
pub mod told;
pub mod venue;
