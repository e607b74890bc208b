//! The kernel side.

use super::layers::{Key, Layers};
use super::value::one_of;

const FRONT_END: Key = Key::new("ebpf.front_end", &["OTEL_EBPF_BPF_FRONT_END"], "auto");

pub(super) const KEYS: &[&Key] = &[&FRONT_END];

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
    pub(super) fn read(layers: &mut Layers) -> Self {
        const FRONT_ENDS: [(&str, FrontEnd); 4] = [
            ("auto", FrontEnd::Auto),
            ("tracepoint", FrontEnd::Tracepoint),
            ("fentry", FrontEnd::Fentry),
            ("kprobe", FrontEnd::Kprobe),
        ];
        Self {
            front_end: layers.get(&FRONT_END, |raw| one_of(raw, &FRONT_ENDS)).unwrap_or_default(),
        }
    }
}
