//! The table of connections: bounded; the least recently used one goes first.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::connection::Connection;
use crate::model::ids::{ConnId, KtimeNs};

/// No slot.
const NIL: u32 = u32::MAX;

/// Connections by id, in slots that keep their number, in a list from newest to oldest use.
#[derive(Debug)]
pub(super) struct Connections {
    slots: Vec<Slot>,
    free: Vec<u32>,
    slot_by_id: HashTable<u32>,
    hasher: DefaultHashBuilder,
    newest: u32,
    oldest: u32,
    max: usize,
}

#[derive(Debug)]
struct Slot {
    connection: Option<Connection>,
    newer: u32,
    older: u32,
    /// The earliest deadline queued for this slot.
    armed: Option<KtimeNs>,
}

impl Connections {
    /// Room for `max` connections.
    pub(super) fn new(max: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            slot_by_id: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            newest: NIL,
            oldest: NIL,
            max,
        }
    }

    /// Connections in the table.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether one must leave before another enters.
    pub(super) fn is_full(&self) -> bool {
        self.len() >= self.max
    }

    /// Slot of `id`.
    pub(super) fn find(&self, id: ConnId) -> Option<u32> {
        let is_id = |slot: &u32| self.get(*slot).is_some_and(|c| c.ends.id == id);
        self.slot_by_id.find(self.hasher.hash_one(id), is_id).copied()
    }

    /// The connection in `slot`.
    pub(super) fn get(&self, slot: u32) -> Option<&Connection> {
        self.slots.get(slot as usize)?.connection.as_ref()
    }

    /// The connection in `slot`, to change.
    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Connection> {
        self.slots.get_mut(slot as usize)?.connection.as_mut()
    }

    /// Slot of the least recently used connection.
    pub(super) fn oldest(&self) -> Option<u32> {
        (self.oldest != NIL).then_some(self.oldest)
    }

    /// Slots in use, in slot order.
    pub(super) fn used(&self) -> impl Iterator<Item = u32> + use<> {
        let used: Vec<bool> = self.slots.iter().map(|s| s.connection.is_some()).collect();
        (0u32..).zip(used).filter(|(_, used)| *used).map(|(slot, _)| slot)
    }

    /// Takes a connection as the newest. The caller has made room.
    pub(super) fn insert(&mut self, connection: Connection) -> u32 {
        let id = connection.ends.id;
        let slot = self.free.pop().unwrap_or_else(|| {
            let slot = Slot { connection: None, newer: NIL, older: NIL, armed: None };
            self.slots.push(slot);
            u32::try_from(self.slots.len() - 1).unwrap_or(NIL)
        });
        if let Some(s) = self.slots.get_mut(slot as usize) {
            s.connection = Some(connection);
        }
        let Self { slots, slot_by_id, hasher, .. } = self;
        slot_by_id.insert_unique(hasher.hash_one(id), slot, |slot| {
            let connection = slots.get(*slot as usize).and_then(|s| s.connection.as_ref());
            hasher.hash_one(connection.map(|c| c.ends.id).unwrap_or_default())
        });
        self.link_newest(slot);
        slot
    }

    /// Forgets the connection in `slot`.
    pub(super) fn remove(&mut self, slot: u32) {
        let Some(id) = self.get(slot).map(|c| c.ends.id) else { return };
        if let Ok(entry) = self.slot_by_id.find_entry(self.hasher.hash_one(id), |s| *s == slot) {
            entry.remove();
        }
        self.unlink(slot);
        if let Some(s) = self.slots.get_mut(slot as usize) {
            s.connection = None;
        }
        self.free.push(slot);
    }

    /// The connection `id`, from now on the most recently used one.
    pub(super) fn use_now(&mut self, id: ConnId) -> Option<(u32, &mut Connection)> {
        let slot = self.find(id)?;
        self.touch(slot);
        Some((slot, self.get_mut(slot)?))
    }

    fn touch(&mut self, slot: u32) {
        if self.newest != slot {
            self.unlink(slot);
            self.link_newest(slot);
        }
    }

    /// The connection's deadline, if it is earlier than what is queued for the slot. Counts as
    /// queued from now on.
    pub(super) fn arm(&mut self, slot: u32) -> Option<KtimeNs> {
        let s = self.slots.get_mut(slot as usize)?;
        let deadline = s.connection.as_ref()?.deadline()?;
        if s.armed.is_some_and(|armed| armed <= deadline) {
            return None;
        }
        s.armed = Some(deadline);
        Some(deadline)
    }

    /// What was queued for `slot` fired.
    pub(super) fn disarm(&mut self, slot: u32) {
        if let Some(s) = self.slots.get_mut(slot as usize) {
            s.armed = None;
        }
    }

    fn link_newest(&mut self, slot: u32) {
        let older = self.newest;
        if let Some(s) = self.slots.get_mut(slot as usize) {
            (s.newer, s.older) = (NIL, older);
        }
        match self.slots.get_mut(older as usize) {
            Some(s) => s.newer = slot,
            None => self.oldest = slot,
        }
        self.newest = slot;
    }

    fn unlink(&mut self, slot: u32) {
        let Some((newer, older)) = self.slots.get(slot as usize).map(|s| (s.newer, s.older)) else {
            return;
        };
        match self.slots.get_mut(newer as usize) {
            Some(s) => s.older = older,
            None => self.newest = older,
        }
        match self.slots.get_mut(older as usize) {
            Some(s) => s.newer = newer,
            None => self.oldest = newer,
        }
    }
}
