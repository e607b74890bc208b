//! An allocator that knows how much is in use: every target that includes this file runs on it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static IN_USE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting this thread's bytes.
struct Weighing;

fn add(size: usize) {
    let in_use = IN_USE.get().wrapping_add(size);
    IN_USE.set(in_use);
    PEAK.set(PEAK.get().max(in_use));
}

fn sub(size: usize) {
    // What another thread asked for may be given back here.
    IN_USE.set(IN_USE.get().saturating_sub(size));
}

// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Weighing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller keeps GlobalAlloc's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        sub(layout.size());
        // SAFETY: the caller keeps GlobalAlloc's contract.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // The old bytes and the new ones may be there at once.
        add(size);
        sub(layout.size());
        // SAFETY: the caller keeps GlobalAlloc's contract.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Weighing = Weighing;

/// What `work` gives, and how many bytes it had in use at most on this thread.
pub(crate) fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = IN_USE.get();
    PEAK.set(before);
    let result = work();
    (result, PEAK.get() - before)
}
