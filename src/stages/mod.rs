//! The pipeline, one thread a stage. No stage uses another; `app` joins them.

pub mod decoder;
pub mod decorator;
pub mod exporter;
pub mod loader;
pub mod reader;
