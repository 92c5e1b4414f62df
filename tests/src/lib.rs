//! Shared by the integration tests: the slow, obvious model of the engine.

pub mod model;
