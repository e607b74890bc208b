//! Which request a thread is working on: the parent of the calls it makes.
//!
//! A call is the child of a request if exactly one request is open on the calling thread and no
//! other request was read by it since. Otherwise it is a root: a wrong parent is worse than none.
//! It is a root, too, if anything was lost between the two, for that may have been the end of the
//! one request and the start of another; and if it is understood only after the thread went on.
//!
//! That holds only where requests stay on their threads. A process is not believed when its
//! runtime is known to move them, or once a response was sent by another thread than the one that
//! read its request.

use super::bounded::BoundedMap;
use super::processes::PROCESSES_MAX;
use super::record::Stamp;
use crate::model::ids::{KtimeNs, Tgid, Tid};
use crate::model::span::TraceCtx;

/// A thread. The process belongs to the key because the kernel reuses thread ids.
pub(super) type Thread = (Tgid, Tid);

/// A request that is worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Its exchange's slot and number.
    pub(super) exchange: (u32, u64),
    /// Its place in its trace.
    pub(super) ctx: TraceCtx,
}

/// The answer for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parent {
    /// The request.
    Found(Place),
    /// Several requests are open, or the last one read may not be the open one.
    Ambiguous,
    /// No request is open on the thread.
    None,
}

/// Threads with open server requests. A thread leaves with its last open request, so the number
/// of open exchanges bounds the map.
#[derive(Debug)]
pub(super) struct Threads {
    by_thread: BoundedMap<Thread, Reading>,
    /// Processes whose requests move between threads. Bounded as the processes are.
    moving: BoundedMap<Tgid, ()>,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    open: u32,
    /// When a request was last read or done.
    changed: KtimeNs,
    /// The losses before the last read.
    losses: u16,
    /// The last request read if it is still open.
    last: Option<Place>,
}

impl Threads {
    /// Room for `max` threads.
    pub(super) fn new(max: usize) -> Self {
        Self { by_thread: BoundedMap::new(max), moving: BoundedMap::new(PROCESSES_MAX) }
    }

    /// Requests of this process move between threads: its threads tell nothing. `false` = no
    /// room to remember that.
    pub(super) fn moves(&mut self, tgid: Tgid) -> bool {
        self.moving.get_or_insert(tgid, || ()).is_some()
    }

    /// The process became another program, or ended: nobody works on its requests any more.
    pub(super) fn forget(&mut self, tgid: Tgid) {
        self.moving.remove(&tgid);
        self.by_thread.retain(|(of, _)| *of != tgid);
    }

    /// `reader` read a request. `false` = no room.
    pub(super) fn read(&mut self, reader: Stamp, request: Place) -> bool {
        let Stamp { at: changed, losses, .. } = reader;
        let new = || Reading { open: 0, changed, losses, last: None };
        let Some(reading) = self.by_thread.get_or_insert(reader.thread(), new) else {
            return false;
        };
        reading.open += 1;
        (reading.changed, reading.losses) = (reading.changed.max(changed), losses);
        reading.last = Some(request);
        true
    }

    /// `thread` may have read a request that was not captured: what it does next belongs to
    /// nobody we know.
    pub(super) fn read_unseen(&mut self, thread: Thread) {
        if let Some(reading) = self.by_thread.get_mut(&thread) {
            reading.last = None;
        }
    }

    /// Nobody can tell whether `thread` still works on exchange `serial`.
    pub(super) fn unsure(&mut self, thread: Thread, serial: u64) {
        if let Some(reading) = self.by_thread.get_mut(&thread) {
            reading.last = reading.last.filter(|last| last.exchange.1 != serial);
        }
    }

    /// Exchange `serial`, read by `thread`, is over since `at`.
    pub(super) fn done(&mut self, thread: Thread, serial: u64, at: KtimeNs) {
        let Some(reading) = self.by_thread.get_mut(&thread) else { return };
        reading.changed = reading.changed.max(at);
        reading.open = reading.open.saturating_sub(1);
        if reading.last.is_some_and(|last| last.exchange.1 == serial) {
            reading.last = None;
        }
        if reading.open == 0 {
            self.by_thread.remove(&thread);
        }
    }

    /// The parent of a call.
    pub(super) fn parent(&self, call: Stamp) -> Parent {
        match self.by_thread.get(&call.thread()) {
            Some(_) if self.moving.get(&call.tgid).is_some() => Parent::Ambiguous,
            None => Parent::None,
            Some(Reading { open: 1, changed, losses, last: Some(request) })
                if *losses == call.losses && *changed <= call.at =>
            {
                Parent::Found(*request)
            }
            Some(_) => Parent::Ambiguous,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Thread = (Tgid(1), Tid(2));

    /// A call of thread T.
    fn at(ms: u64) -> Stamp {
        Stamp { at: KtimeNs(ms), tgid: T.0, tid: T.1, ..Stamp::default() }
    }

    /// The same by a thread that has read nothing.
    fn other(ms: u64) -> Stamp {
        Stamp { tid: Tid(3), ..at(ms) }
    }

    fn place(n: u8) -> Place {
        let ctx = TraceCtx { flags: n, ..TraceCtx::default() };
        Place { exchange: (u32::from(n), u64::from(n)), ctx }
    }

    #[test]
    fn one_open_request_that_was_read_last_is_the_parent() {
        let mut threads = Threads::new(4);
        assert_eq!(threads.parent(at(9)), Parent::None);
        threads.read(at(1), place(1));
        assert_eq!(threads.parent(at(9)), Parent::Found(place(1)));
        assert_eq!(threads.parent(other(9)), Parent::None);
        threads.done(T, 1, KtimeNs(4));
        assert_eq!(threads.parent(at(9)), Parent::None);
    }

    #[test]
    fn two_open_requests_make_no_parent_and_neither_does_the_older_one_left() {
        let mut threads = Threads::new(4);
        threads.read(at(1), place(1));
        threads.read(at(2), place(2));
        assert_eq!(threads.parent(at(9)), Parent::Ambiguous);
        threads.done(T, 2, KtimeNs(4));
        assert_eq!(threads.parent(at(9)), Parent::Ambiguous);
        threads.read(at(3), place(3));
        threads.done(T, 1, KtimeNs(4));
        assert_eq!(threads.parent(at(9)), Parent::Found(place(3)));
    }

    #[test]
    fn threads_of_a_process_whose_requests_move_tell_nothing() {
        let mut threads = Threads::new(4);
        threads.read(at(1), place(1));
        assert!(threads.moves(T.0));
        assert_eq!(threads.parent(at(9)), Parent::Ambiguous);
        threads.forget(T.0);
        threads.read(at(1), place(2));
        assert_eq!(threads.parent(at(9)), Parent::Found(place(2)));
    }

    #[test]
    fn a_process_that_ended_leaves_nothing_to_one_that_gets_its_ids() {
        let mut threads = Threads::new(4);
        threads.read(at(1), place(1));
        threads.forget(T.0);
        assert_eq!(threads.parent(at(9)), Parent::None);
        threads.done(T, 1, KtimeNs(10));
    }

    #[test]
    fn what_was_lost_between_request_and_call_takes_the_parent_away() {
        let mut threads = Threads::new(4);
        threads.read(at(1), place(1));
        assert_eq!(threads.parent(Stamp { losses: 1, ..at(9) }), Parent::Ambiguous);
        assert_eq!(threads.parent(at(9)), Parent::Found(place(1)));
    }

    #[test]
    fn a_call_that_is_understood_late_has_no_parent() {
        let mut threads = Threads::new(4);
        threads.read(at(1), place(1));
        threads.read(at(2), place(2));
        threads.done(T, 1, KtimeNs(5));
        assert_eq!(threads.parent(at(4)), Parent::Ambiguous);
        assert_eq!(threads.parent(at(5)), Parent::Found(place(2)));
    }

    #[test]
    fn a_read_that_was_not_captured_takes_the_parent_away() {
        let mut threads = Threads::new(4);
        threads.read(at(1), place(1));
        threads.read_unseen(T);
        assert_eq!(threads.parent(at(9)), Parent::Ambiguous);
    }

    #[test]
    fn a_thread_that_found_no_room_has_no_parent_to_give() {
        let mut threads = Threads::new(1);
        assert!(threads.read(at(1), place(1)));
        assert!(!threads.read(other(2), place(2)));
        assert_eq!(threads.parent(other(9)), Parent::None);
    }
}
