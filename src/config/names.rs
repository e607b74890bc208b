//! Names of the two sides of a conversation.

use std::time::Duration;

use super::layers::Settings;
use super::metrics::{duration, int};
use super::value::Value;

const SOURCES: &str = "name_resolver.sources";

/// How the two sides are named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamesConfig {
    /// DNS is asked; `None` = it is not.
    pub dns: Option<DnsConfig>,
}

/// How DNS is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsConfig {
    /// Addresses that are remembered.
    pub cache_len: usize,
    /// How long.
    pub cache_expiry: Duration,
}

/// Reads the section; `None` = it is switched off.
pub(super) fn read(settings: &Settings) -> Option<NamesConfig> {
    if settings.off.contains(&"name_resolver") {
        return None;
    }
    let dns = sources(settings).any(is_dns).then(|| DnsConfig {
        cache_len: usize::try_from(int(settings, "name_resolver.cache_len")).unwrap_or(1),
        cache_expiry: duration(settings, "name_resolver.cache_expiry"),
    });
    Some(NamesConfig { dns })
}

/// Where names come from, as it is written.
pub(super) fn sources(settings: &Settings) -> impl Iterator<Item = &str> {
    let list = match settings.at(SOURCES).map(|setting| &setting.value) {
        Some(Value::List(list)) => list.as_slice(),
        _ => &[],
    };
    list.iter().map(String::as_str)
}

/// Whether a source is DNS: the only one that there is yet.
pub(super) fn is_dns(source: &str) -> bool {
    source.eq_ignore_ascii_case("dns")
}
