//! Exchanges: a request, the response that answers it, and what is known of both so far.

use std::sync::Arc;

use crate::model::conn::Direction;
use crate::model::ids::KtimeNs;
use crate::model::service::Service;
use crate::model::span::TraceCtx;
use crate::protocols::{ExchangeKey, PendingAttrs};
use crate::semconv::SpanFamily;

use super::record::Stamp;

/// Exchanges open at the same time, on all connections.
pub(super) const EXCHANGES_MAX: usize = 65_536;
/// Text of all open exchanges together, in bytes.
pub(super) const EXCHANGES_TEXT_MAX: usize = 128 * 1024 * 1024;
/// Text and attribute memory that a free exchange keeps.
const FREE_TEXT_BYTES: usize = 2048;

/// How far one message of an exchange has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No byte of it was seen.
    Awaited,
    /// Its head was seen.
    Begun,
    /// Its last byte was seen, or its end cannot be seen any more.
    Over,
    /// It will not come.
    Missing,
}

/// An exchange. Its slot is reused with its memory.
#[derive(Debug)]
pub(super) struct Exchange {
    /// Attributes so far.
    pub(super) pending: PendingAttrs,
    /// What a response must carry to answer it.
    pub(super) key: ExchangeKey,
    /// What kind of span it becomes.
    pub(super) family: SpanFamily,
    /// Direction of the request.
    pub(super) dir: Direction,
    /// Its place in a trace.
    pub(super) ctx: TraceCtx,
    /// When the request's first byte moved.
    pub(super) start: KtimeNs,
    /// When its last byte so far moved.
    pub(super) last: KtimeNs,
    /// The record that completed the request's head.
    pub(super) reader: Stamp,
    /// Who made that call, if known by then: the process may be forgotten before the end.
    pub(super) service: Option<Arc<Service>>,
    /// Number among all exchanges ever.
    pub(super) serial: u64,
    /// Whether the request is open on its thread.
    pub(super) on_thread: bool,
    /// Slot and number of the exchange that it is a child of.
    pub(super) parent: Option<(u32, u64)>,
    /// Its children so far.
    pub(super) children: u32,
    /// When it became a span; 0 = not yet. Stays until the slot is used again.
    pub(super) ended: KtimeNs,
    /// The request.
    pub(super) request: Phase,
    /// The response.
    pub(super) response: Phase,
    prev: u32,
    next: u32,
}

/// No exchange.
const NIL: u32 = u32::MAX;

/// The slots of all exchanges.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    slots: Vec<Exchange>,
    free: Vec<u32>,
    text: usize,
    serial: u64,
}

/// The open exchanges of one connection, oldest request first: a list through their slots.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pairing {
    head: u32,
    tail: u32,
}

impl Default for Pairing {
    fn default() -> Self {
        Self { head: NIL, tail: NIL }
    }
}

impl Exchanges {
    /// Exchanges that are open now.
    pub(super) fn open(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// A slot for a new exchange, or `None` when the bounds are reached. The new exchange has
    /// empty attributes and the number after the last one.
    pub(super) fn open_one(&mut self, key: ExchangeKey, family: SpanFamily) -> Option<u32> {
        if self.open() >= EXCHANGES_MAX || self.text >= EXCHANGES_TEXT_MAX {
            return None;
        }
        self.serial += 1;
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(Exchange::empty(key, family));
                u32::try_from(self.slots.len() - 1).ok()?
            }
        };
        let serial = self.serial;
        self.get_mut(slot)?.renew(key, family, serial);
        Some(slot)
    }

    /// The exchange in `slot`.
    pub(super) fn get(&self, slot: u32) -> Option<&Exchange> {
        self.slots.get(slot as usize)
    }

    /// The exchange in `slot`, to change.
    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Exchange> {
        self.slots.get_mut(slot as usize)
    }

    /// Changes the attributes of the exchange in `slot` and keeps the account of its text.
    pub(super) fn write(&mut self, slot: u32, write: impl FnOnce(&mut PendingAttrs)) {
        let Some(exchange) = self.slots.get_mut(slot as usize) else { return };
        let before = exchange.pending.arena.text.len();
        write(&mut exchange.pending);
        self.text += exchange.pending.arena.text.len().saturating_sub(before);
    }

    /// Frees `slot`, which is in no list any more.
    fn free(&mut self, slot: u32) {
        let Some(exchange) = self.slots.get_mut(slot as usize) else { return };
        let arena = &mut exchange.pending.arena;
        self.text = self.text.saturating_sub(arena.text.len());
        if arena.text.capacity() > FREE_TEXT_BYTES {
            arena.text = Vec::new();
        }
        exchange.pending.clear();
        exchange.service = None;
        self.free.push(slot);
    }
}

impl Exchange {
    fn empty(key: ExchangeKey, family: SpanFamily) -> Self {
        Self {
            pending: PendingAttrs::default(),
            key,
            family,
            dir: Direction::Recv,
            ctx: TraceCtx::default(),
            start: KtimeNs(0),
            last: KtimeNs(0),
            reader: Stamp::default(),
            service: None,
            serial: 0,
            on_thread: false,
            parent: None,
            children: 0,
            ended: KtimeNs(0),
            request: Phase::Begun,
            response: Phase::Awaited,
            prev: NIL,
            next: NIL,
        }
    }

    /// Begins again in the memory of one that is over: as [`Self::empty`], but for its number.
    fn renew(&mut self, key: ExchangeKey, family: SpanFamily, serial: u64) {
        (self.key, self.family, self.serial) = (key, family, serial);
        self.on_thread = false;
        (self.parent, self.children, self.ended) = (None, 0, KtimeNs(0));
        (self.request, self.response) = (Phase::Begun, Phase::Awaited);
        (self.prev, self.next) = (NIL, NIL);
    }

    /// When it ended, if it has.
    pub(super) fn ended_at(&self) -> Option<KtimeNs> {
        match self.ended {
            KtimeNs(0) => (self.response == Phase::Over).then_some(self.last),
            ended => Some(ended),
        }
    }

    /// Whether nothing more is to be seen of it.
    pub(super) fn is_over(&self) -> bool {
        match self.response {
            Phase::Missing => true,
            Phase::Over => self.request == Phase::Over,
            Phase::Awaited | Phase::Begun => false,
        }
    }
}

impl Pairing {
    /// Appends an exchange.
    pub(super) fn push(&mut self, slot: u32, exchanges: &mut Exchanges) {
        if let Some(exchange) = exchanges.get_mut(slot) {
            exchange.prev = self.tail;
            exchange.next = NIL;
        }
        match exchanges.get_mut(self.tail) {
            Some(tail) => tail.next = slot,
            None => self.head = slot,
        }
        self.tail = slot;
    }

    /// The direction of the oldest open exchange's request.
    pub(super) fn requests(&self, exchanges: &Exchanges) -> Option<Direction> {
        exchanges.get(self.head).map(|exchange| exchange.dir)
    }

    /// The oldest open exchange with `key` that has no response yet.
    pub(super) fn answered_by(&self, key: ExchangeKey, exchanges: &Exchanges) -> Option<u32> {
        self.slots(exchanges).find(|slot| {
            exchanges.get(*slot).is_some_and(|e| e.key == key && e.response == Phase::Awaited)
        })
    }

    /// Marks the exchanges before `slot` that have no response as never to get one. Returns
    /// whether there was any. Usually `slot` is the first.
    pub(super) fn give_up_before(&self, slot: u32, exchanges: &mut Exchanges) -> bool {
        let mut any = false;
        let mut at = self.head;
        while at != slot {
            let Some(exchange) = exchanges.get_mut(at) else { break };
            if exchange.response == Phase::Awaited {
                exchange.response = Phase::Missing;
                any = true;
            }
            at = exchange.next;
        }
        any
    }

    /// The oldest exchange.
    pub(super) fn oldest(&self) -> Option<u32> {
        (self.head != NIL).then_some(self.head)
    }

    /// The exchange whose request came next after that of `slot`.
    pub(super) fn after(slot: u32, exchanges: &Exchanges) -> Option<u32> {
        exchanges.get(slot).map(|e| e.next).filter(|next| *next != NIL)
    }

    /// The first exchange that is over.
    pub(super) fn first_over(&self, exchanges: &Exchanges) -> Option<u32> {
        self.slots(exchanges).find(|slot| exchanges.get(*slot).is_some_and(Exchange::is_over))
    }

    /// Takes `slot` out of the list and frees it.
    pub(super) fn remove(&mut self, slot: u32, exchanges: &mut Exchanges) {
        let Some(exchange) = exchanges.get(slot) else { return };
        let (prev, next) = (exchange.prev, exchange.next);
        match exchanges.get_mut(prev) {
            Some(prev) => prev.next = next,
            None => self.head = next,
        }
        match exchanges.get_mut(next) {
            Some(next) => next.prev = prev,
            None => self.tail = prev,
        }
        exchanges.free(slot);
    }

    fn slots<'a>(&self, exchanges: &'a Exchanges) -> impl Iterator<Item = u32> + use<'a> {
        let mut at = self.head;
        std::iter::from_fn(move || {
            let here = at;
            at = exchanges.get(here)?.next;
            Some(here)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAMILY: SpanFamily = SpanFamily::HttpServer;

    fn open(n: u64, pairing: &mut Pairing, exchanges: &mut Exchanges) -> u32 {
        let slot = exchanges.open_one(ExchangeKey(n), FAMILY).unwrap();
        pairing.push(slot, exchanges);
        slot
    }

    #[test]
    fn equal_keys_pair_first_in_first_out() {
        let (mut exchanges, mut pairing) = (Exchanges::default(), Pairing::default());
        let a = open(1, &mut pairing, &mut exchanges);
        let b = open(2, &mut pairing, &mut exchanges);
        let c = open(1, &mut pairing, &mut exchanges);
        assert_eq!(pairing.answered_by(ExchangeKey(1), &exchanges), Some(a));
        exchanges.get_mut(a).unwrap().response = Phase::Begun;
        assert_eq!(pairing.answered_by(ExchangeKey(1), &exchanges), Some(c));
        assert_eq!(pairing.answered_by(ExchangeKey(2), &exchanges), Some(b));
        assert_eq!(pairing.answered_by(ExchangeKey(3), &exchanges), None);
    }

    #[test]
    fn a_slot_is_reused_with_a_new_number_and_no_attributes() {
        let (mut exchanges, mut pairing) = (Exchanges::default(), Pairing::default());
        let a = open(1, &mut pairing, &mut exchanges);
        exchanges.write(a, |p| p.arena.text.extend_from_slice(b"abc"));
        let b = open(2, &mut pairing, &mut exchanges);
        pairing.remove(a, &mut exchanges);
        assert_eq!((exchanges.open(), exchanges.text, pairing.oldest()), (1, 0, Some(b)));
        let c = open(3, &mut pairing, &mut exchanges);
        assert_eq!(c, a);
        assert_eq!(exchanges.get(c).unwrap().serial, 3);
        assert!(exchanges.get(c).unwrap().pending.arena.text.is_empty());
        pairing.remove(b, &mut exchanges);
        pairing.remove(c, &mut exchanges);
        assert_eq!((exchanges.open(), pairing.oldest()), (0, None));
    }

    #[test]
    fn exchanges_before_an_answer_behind_a_loss_are_given_up() {
        let (mut exchanges, mut pairing) = (Exchanges::default(), Pairing::default());
        let a = open(1, &mut pairing, &mut exchanges);
        let b = open(2, &mut pairing, &mut exchanges);
        assert!(pairing.give_up_before(b, &mut exchanges));
        assert!(!pairing.give_up_before(b, &mut exchanges));
        assert_eq!(pairing.first_over(&exchanges), Some(a));
    }

    #[test]
    fn exchanges_and_their_text_are_bounded() {
        let (mut pairing, mut exchanges) = (Pairing::default(), Exchanges::default());
        for n in 0..EXCHANGES_MAX as u64 {
            open(n, &mut pairing, &mut exchanges);
        }
        assert_eq!(exchanges.open_one(ExchangeKey(0), FAMILY), None);
        pairing.remove(0, &mut exchanges);
        assert_eq!(exchanges.open_one(ExchangeKey(0), FAMILY), Some(0));
        let mut exchanges = Exchanges::default();
        let slot = exchanges.open_one(ExchangeKey(0), FAMILY).unwrap();
        exchanges.write(slot, |p| p.arena.text.resize(EXCHANGES_TEXT_MAX, b'x'));
        assert_eq!(exchanges.open_one(ExchangeKey(0), FAMILY), None);
        exchanges.free(slot);
        assert_eq!(exchanges.open_one(ExchangeKey(0), FAMILY), Some(slot));
    }
}
