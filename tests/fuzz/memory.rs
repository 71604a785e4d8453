//! Counts the memory of the process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes that are allocated.
static HELD: AtomicUsize = AtomicUsize::new(0);
/// The most that were since [`watch`] was called.
static MOST: AtomicUsize = AtomicUsize::new(0);
/// Who asks for more than this gets nothing: a test machine must survive what it finds.
const LIMIT: usize = 4 << 30;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

impl Counting {
    /// Notes bytes that are about to be allocated; false where they are too many.
    fn take(&self, bytes: usize) -> bool {
        let held = HELD.fetch_add(bytes, Relaxed).saturating_add(bytes);
        if held > LIMIT {
            self.give(bytes);
            return false;
        }
        MOST.fetch_max(held, Relaxed);
        true
    }

    fn give(&self, bytes: usize) {
        HELD.fetch_sub(bytes, Relaxed);
    }
}

// SAFETY: every call is passed on to the system's allocator as it came, or refused with a null pointer, as an allocator
// may; the counters beside it hand out no memory and allocate none.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !self.take(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !self.take(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: as above. Zeroed pages of the system's are not touched here.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both may be there at once while the content moves.
        if !self.take(size) {
            return std::ptr::null_mut();
        }
        // SAFETY: `pointer` came from the system's allocator, which all calls above are passed on to.
        let moved = unsafe { System.realloc(pointer, layout, size) };
        self.give(if moved.is_null() { size } else { layout.size() });
        moved
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.give(layout.size());
        // SAFETY: `pointer` came from the system's allocator, which all calls above are passed on to.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Runs `work` and gives the bytes that it held at most, beside what was held before.
pub fn most_held(work: impl FnOnce()) -> usize {
    let before = HELD.load(Relaxed);
    MOST.store(before, Relaxed);
    work();
    MOST.load(Relaxed).saturating_sub(before)
}
