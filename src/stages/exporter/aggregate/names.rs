//! Span names of each service in span metrics: beyond a limit, all of them become one.

use std::collections::HashSet;
use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashMap};

use crate::model::ids::KtimeNs;
use crate::model::service::Service;

/// Services whose names are counted at most; one more and all are counted anew.
const SERVICES_MAX: usize = 4096;

/// The names of each service, by the service's name and namespace.
#[derive(Debug, Default)]
pub(super) struct SpanNames {
    /// Names of one service at most; 0 = no limit.
    max: usize,
    /// How long a service's names are remembered without news, in nanoseconds; 0 = for ever.
    ttl_ns: u64,
    /// Hashes of names, by hash of the service.
    of_service: HashMap<u64, Names>,
    hasher: DefaultHashBuilder,
}

#[derive(Debug, Default)]
struct Names {
    seen: HashSet<u64>,
    last: KtimeNs,
}

impl SpanNames {
    pub(super) fn new(max: usize, ttl_ns: u64) -> Self {
        Self { max, ttl_ns, ..Self::default() }
    }

    /// The key of a service.
    pub(super) fn service(&self, service: &Service) -> u64 {
        self.hasher.hash_one((&service.name, &service.namespace))
    }

    /// Notes the name of a span. `true` = the service had as many as it may before it.
    pub(super) fn note(&mut self, service: u64, name: &[u8], now: KtimeNs) -> bool {
        if self.max == 0 {
            return false;
        }
        if self.of_service.len() >= SERVICES_MAX && !self.of_service.contains_key(&service) {
            self.of_service.clear();
        }
        let names = self.of_service.entry(service).or_default();
        let idle = now.0.saturating_sub(names.last.0);
        if self.ttl_ns > 0 && idle > self.ttl_ns {
            names.seen.clear();
        }
        names.last = now;
        if names.seen.len() >= self.max {
            return true;
        }
        names.seen.insert(self.hasher.hash_one(name));
        false
    }
}
