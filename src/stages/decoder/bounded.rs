//! A map with a named bound.

use std::hash::Hash;

/// A hash map that refuses new keys beyond `max`. Its order is never looked at.
#[derive(Clone, Debug)]
pub(super) struct BoundedMap<K, V> {
    map: hashbrown::HashMap<K, V>,
    max: usize,
}

impl<K: Eq + Hash, V> BoundedMap<K, V> {
    /// An empty map for `max` keys.
    pub(super) fn new(max: usize) -> Self {
        Self { map: hashbrown::HashMap::new(), max }
    }

    /// The value of `key`, made by `make` when absent; `None` when there is no room for it.
    pub(super) fn get_or_insert(&mut self, key: K, make: impl FnOnce() -> V) -> Option<&mut V> {
        if self.map.len() >= self.max && !self.map.contains_key(&key) {
            return None;
        }
        Some(self.map.entry(key).or_insert_with(make))
    }

    /// The value of `key`.
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key)
    }

    /// The value of `key`, to change.
    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.map.get_mut(key)
    }

    /// Every key and value, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.map.iter()
    }

    /// Forgets `key`.
    pub(super) fn remove(&mut self, key: &K) {
        self.map.remove(key);
    }

    /// Forgets every key of which `keep` is false.
    pub(super) fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        self.map.retain(|key, _| keep(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_map_refuses_new_keys_and_keeps_old_ones() {
        let mut map = BoundedMap::new(1);
        assert_eq!(map.get_or_insert(1, || 10), Some(&mut 10));
        assert_eq!(map.get_or_insert(2, || 20), None);
        assert_eq!(map.get_or_insert(1, || 11), Some(&mut 10));
        map.remove(&1);
        assert_eq!(map.get_or_insert(2, || 20), Some(&mut 20));
    }
}
