//! Resources, encoded once for each service.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::encode::{SKIP_SPAN_METRICS, write_key_value};
use crate::model::select::ResourceSelect;
use crate::model::service::Service;

/// Encoded `Resource` messages by service, found by the service's content.
#[derive(Debug, Default)]
pub(super) struct Resources {
    /// Slots by hash of the service.
    slots: HashTable<u32>,
    entries: Vec<(Arc<Service>, Vec<u8>)>,
    select: ResourceSelect,
    skip_span_metrics: bool,
    hasher: DefaultHashBuilder,
}

impl Resources {
    /// Services that are remembered between two requests; one more and all are encoded anew.
    const MAX: usize = 1024;
    /// The slot of a span without a service: the empty resource.
    pub(super) const NONE: u32 = u32::MAX;

    /// Resources with the attributes that `select` leaves, which say, if `skip_span_metrics`, that span
    /// metrics are made already.
    pub(super) fn new(select: ResourceSelect, skip_span_metrics: bool) -> Self {
        Self { select, skip_span_metrics, ..Self::default() }
    }

    /// Forgets everything when there are too many; slots are valid until the next call.
    pub(super) fn make_room(&mut self) {
        if self.entries.len() > Self::MAX {
            self.slots.clear();
            self.entries.clear();
        }
    }

    /// The slot of `service`, encoded now if it was not yet.
    pub(super) fn slot_of(&mut self, service: &Arc<Service>) -> u32 {
        let Self { slots, entries, hasher, select, skip_span_metrics } = self;
        let hash = hash_of(hasher, service);
        let known = |slot: &u32| entries.get(*slot as usize).is_some_and(|(s, _)| s == service);
        if let Some(slot) = slots.find(hash, known) {
            return *slot;
        }
        let slot = u32::try_from(entries.len()).unwrap_or(Self::NONE);
        entries.push((Arc::clone(service), encode(service, select, *skip_span_metrics)));
        slots.insert_unique(hash, slot, |slot| {
            entries.get(*slot as usize).map_or(0, |(service, _)| hash_of(hasher, service))
        });
        slot
    }

    /// The encoded resource.
    pub(super) fn bytes(&self, slot: u32) -> &[u8] {
        self.entries.get(slot as usize).map_or(&[], |(_, bytes)| bytes)
    }
}

fn hash_of(hasher: &DefaultHashBuilder, service: &Service) -> u64 {
    hasher.hash_one((&service.name, &service.namespace, &service.instance_id))
}

/// The resource of spans: the scope's name stands there too, and cannot be overridden.
fn encode(service: &Service, select: &ResourceSelect, skip_span_metrics: bool) -> Vec<u8> {
    let mut attrs = attributes(service, select);
    attrs.retain(|(key, _)| *key != "otel.scope.name");
    let mut out = Vec::new();
    for (key, value) in attrs {
        write_key_value(&mut out, 1, key, value);
    }
    if skip_span_metrics {
        out.push(1 << 3 | 2);
        out.extend_from_slice(&SKIP_SPAN_METRICS);
    }
    write_key_value(&mut out, 1, "otel.scope.name", "go.opentelemetry.io/obi");
    out
}

/// The attributes that `select` leaves, in the contract's order. A key keeps its first place and gets its
/// last value.
pub(in crate::stages::exporter) fn attributes<'a>(
    service: &'a Service,
    select: &ResourceSelect,
) -> Vec<(&'a str, &'a str)> {
    let mut attrs: Vec<(&str, &str)> = vec![
        ("service.name", &service.name),
        ("telemetry.sdk.language", service.language),
        ("telemetry.sdk.name", "opentelemetry"),
        // No SDK writes these spans.
        ("telemetry.sdk.version", "unknown"),
        ("telemetry.distro.name", "opentelemetry-ebpf-instrumentation"),
        ("telemetry.distro.version", env!("CARGO_PKG_VERSION")),
        ("host.name", &service.host_name),
        ("host.id", &service.host_id),
        ("os.type", "linux"),
    ];
    if !service.namespace.is_empty() {
        attrs.push(("service.namespace", &service.namespace));
    }
    attrs.push(("service.instance.id", &service.instance_id));
    for (key, value) in service.extra.iter().map(|(k, v)| (k.as_str(), v.as_str())) {
        match attrs.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = value,
            None => attrs.push((key, value)),
        }
    }
    attrs.retain(|(key, _)| select.has(key));
    attrs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(n: usize) -> Arc<Service> {
        Arc::new(Service { name: n.to_string(), ..Service::default() })
    }

    #[test]
    fn equal_services_share_a_slot_and_their_number_is_bounded() {
        let mut resources = Resources::default();
        assert_eq!(resources.slot_of(&service(7)), 0);
        assert_eq!(resources.slot_of(&service(8)), 1);
        assert_eq!(resources.slot_of(&service(7)), 0);
        for n in 0..3 * Resources::MAX {
            resources.make_room();
            resources.slot_of(&service(n));
            assert_eq!(resources.slots.len(), resources.entries.len());
            assert!(resources.entries.len() <= Resources::MAX + 1);
        }
    }
}
