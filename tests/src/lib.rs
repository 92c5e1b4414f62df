//! Shared by the integration tests: the slow, obvious model of the engine.
