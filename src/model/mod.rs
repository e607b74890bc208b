//! Plain data of the pipeline. No I/O but the clocks of [`time`].

pub mod attrs;
pub mod batch;
pub mod conn;
pub mod ids;
pub mod living;
pub mod process;
pub mod sampler;
pub mod secrets;
pub mod select;
pub mod selector;
pub mod service;
pub mod span;
pub mod text;
pub mod time;
