//! Names of the telemetry, as tables. Semantic conventions 1.41.0 with the deviations of the
//! OBI contract.

mod attrs;
mod families;
pub mod metrics;

pub use attrs::AttrKey;
pub use families::{Measure, Presence, SpanFamily, SpanKind, TextColumns};
