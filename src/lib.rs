//! Code map: see `ARCHITECTURE.md`.

pub mod abi;
pub mod app;
pub mod commands;
pub mod config;
pub mod discovery;
pub mod model;
pub mod protocols;
pub mod resolver;
pub mod semconv;
pub mod stages;
pub mod telemetry;
