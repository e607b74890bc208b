//! The kernel side.

use super::keys::FRONT_END;
use super::layers::Settings;

/// Which hooks carry the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FrontEnd {
    /// The first that loads and attaches: tracepoint, fentry, kprobe.
    #[default]
    Auto,
    /// BTF tracepoints on the socket layer.
    Tracepoint,
    /// fexit programs.
    Fentry,
    /// Probes at function entries.
    Kprobe,
}

/// Settings of the kernel side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EbpfConfig {
    /// Which hooks carry the data.
    pub front_end: FrontEnd,
}

impl EbpfConfig {
    pub(super) fn read(settings: &Settings) -> Self {
        let front_end = match settings.text(&FRONT_END) {
            Some("tracepoint") => FrontEnd::Tracepoint,
            Some("fentry") => FrontEnd::Fentry,
            Some("kprobe") => FrontEnd::Kprobe,
            _ => FrontEnd::Auto,
        };
        Self { front_end }
    }
}
