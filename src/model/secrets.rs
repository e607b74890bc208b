//! What no telemetry shows.

/// Names of parameters whose values no span shows, as the user changes those that a protocol knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretNames {
    /// More of them.
    pub hidden: Vec<String>,
    /// Those that are shown after all, unless they are among `hidden`.
    pub shown: Vec<String>,
}

impl SecretNames {
    /// Bytes of a name at most.
    pub const NAME_MAX: usize = 128;

    /// No changes.
    pub const NONE: &'static Self = &Self { hidden: Vec::new(), shown: Vec::new() };

    /// Whether the value of `name` is hidden, which the protocol hides by itself if `known`.
    pub fn hide(&self, name: &[u8], known: bool) -> bool {
        let among = |names: &[String]| names.iter().any(|other| other.as_bytes() == name);
        among(&self.hidden) || (known && !among(&self.shown))
    }
}
