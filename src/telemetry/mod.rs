//! The agent's account of itself: counters by name, and the ledger that must balance.

pub mod counters;
pub mod figures;
pub mod ledger;
pub mod messages;
pub mod seldom;

pub use counters::{Counter, Counters, FLUSH_LIMITS, Tally};
pub use figures::{Figures, FiguresSource, MapFigures, ProgramFigures};
pub use ledger::{Ledger, Stage};
pub use messages::Messages;
pub use seldom::Seldom;
