//! Plain data of the pipeline. No I/O but the clocks of [`time`].

pub mod attrs;
pub mod batch;
pub mod compare;
pub mod conn;
pub mod ids;
pub mod living;
pub mod process;
pub mod sampler;
pub mod select;
pub mod selector;
pub mod service;
pub mod shown;
pub mod span;
pub mod text;
pub mod time;
