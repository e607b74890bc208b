//! Services that have series: each has a slot, which series refer to.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::model::service::Service;

/// Services by slot, found by name, namespace and instance: what else is known of one may change.
#[derive(Debug, Default)]
pub(crate) struct Services {
    index: HashTable<u32>,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    hasher: DefaultHashBuilder,
}

#[derive(Debug)]
struct Entry {
    service: Arc<Service>,
    /// Series that refer to it.
    series: usize,
}

impl Services {
    /// The slot of `service`, taken now if it has none.
    pub(crate) fn slot_of(&mut self, service: &Arc<Service>) -> u32 {
        let Self { index, entries, free, hasher } = self;
        let hash = hash_of(hasher, service);
        let at = |slot: &u32| entries.get(*slot as usize).and_then(Option::as_ref);
        let same = |slot: &u32| {
            at(slot).is_some_and(|entry| identity(&entry.service) == identity(service))
        };
        if let Some(slot) = index.find(hash, same).copied() {
            if let Some(Some(entry)) = entries.get_mut(slot as usize)
                && !Arc::ptr_eq(&entry.service, service)
            {
                entry.service = Arc::clone(service);
            }
            return slot;
        }
        let slot = free.pop().unwrap_or_else(|| {
            entries.push(None);
            u32::try_from(entries.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(place) = entries.get_mut(slot as usize) {
            *place = Some(Entry { service: Arc::clone(service), series: 0 });
        }
        let hash_at = |slot: &u32| match entries.get(*slot as usize) {
            Some(Some(entry)) => hash_of(hasher, &entry.service),
            _ => 0,
        };
        index.insert_unique(hash, slot, hash_at);
        slot
    }

    /// The service of a slot.
    pub(crate) fn get(&self, slot: u32) -> Option<&Arc<Service>> {
        Some(&self.entries.get(slot as usize)?.as_ref()?.service)
    }

    /// A series more refers to `slot`.
    pub(crate) fn acquire(&mut self, slot: u32) {
        if let Some(Some(entry)) = self.entries.get_mut(slot as usize) {
            entry.series += 1;
        }
    }

    /// A series less refers to `slot`.
    pub(crate) fn release(&mut self, slot: u32) {
        if let Some(Some(entry)) = self.entries.get_mut(slot as usize) {
            entry.series = entry.series.saturating_sub(1);
        }
    }

    /// Frees the slots that no series refers to.
    pub(crate) fn forget_unused(&mut self) {
        let Self { index, entries, free, hasher } = self;
        for (slot, place) in (0_u32..).zip(entries) {
            let Some(entry) = place.take_if(|entry| entry.series == 0) else { continue };
            let hash = hash_of(hasher, &entry.service);
            if let Ok(found) = index.find_entry(hash, |other| *other == slot) {
                found.remove();
                free.push(slot);
            }
        }
    }
}

fn identity(service: &Service) -> (&str, &str, &str) {
    (&service.name, &service.namespace, &service.instance_id)
}

fn hash_of(hasher: &DefaultHashBuilder, service: &Service) -> u64 {
    hasher.hash_one(identity(service))
}
