//! Memory for the shim that cannot be refused: allocations are served from static memory first.
//!
//! Where `ENOMEM` stops an allocation, Rust aborts. The shim must not die where git alone would have worked, and above all not
//! during the attempt: git would die with it and leave half a clone. A call of the shim needs far less than `SIZE`, so it
//! never asks the kernel for memory. The tool for people may need more, gets it from the system's allocator, and ends with a
//! message where that has none (`end_without_memory`).

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nix::libc;

use crate::failure;

/// How much is static, in bytes. Pages that are not used cost nothing.
const SIZE: usize = 1024 * 1024;

/// Whether this process ends where there is no memory.
static ENDS: AtomicBool = AtomicBool::new(false);

/// Has this process end with a message and status 125 where there is no memory, instead of aborting.
pub fn end_without_memory() {
    ENDS.store(true, Ordering::Relaxed);
}

/// Passes on a block of the system's allocator, which is null where there is no memory.
fn checked(block: *mut u8) -> *mut u8 {
    const MESSAGE: &[u8] = b"git-clone-shim: there is no memory; see `ulimit -v`\n";
    if block.is_null() && ENDS.load(Ordering::Relaxed) {
        // SAFETY: the message is as long as it says; _exit(2) takes a number. Neither allocates.
        unsafe {
            libc::write(libc::STDERR_FILENO, MESSAGE.as_ptr().cast(), MESSAGE.len());
            libc::_exit(failure::OWN)
        }
    }
    block
}

/// The allocator: takes from static memory until it is used up, and then from `System`.
///
/// Static memory is given back only if it was allocated last, which is what a growing or a temporary buffer needs.
// In this order, so that `used` is in the first page of `memory` that is used.
#[repr(C)]
pub struct StaticFirst {
    /// How much of `memory` has been allocated.
    used: AtomicUsize,
    memory: UnsafeCell<[u8; SIZE]>,
}

// SAFETY: `used` is atomic, and each part of `memory` belongs to one allocation only.
unsafe impl Sync for StaticFirst {}

impl StaticFirst {
    /// An allocator from which nothing has been allocated.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        clippy::large_stack_arrays,
        reason = "it is for a static only"
    )]
    pub const fn new() -> Self {
        Self {
            used: AtomicUsize::new(0),
            memory: UnsafeCell::new([0; SIZE]),
        }
    }

    fn start(&self) -> *mut u8 {
        self.memory.get().cast()
    }

    /// Where in `memory` a block begins; `None` if it came from `System`.
    fn offset(&self, block: *mut u8) -> Option<usize> {
        let offset = block.addr().checked_sub(self.start().addr())?;
        (offset < SIZE).then_some(offset)
    }

    /// Takes a block from `memory`; returns where it begins. `None` if it does not fit.
    fn reserve(&self, layout: Layout) -> Option<usize> {
        // A guess, which the exchange corrects: a page that is read first and then written costs two page faults.
        let mut used = 0;
        loop {
            let unaligned = self.start().addr().checked_add(used)?;
            let padding = unaligned.checked_next_multiple_of(layout.align())? - unaligned;
            let offset = used.checked_add(padding)?;
            let end = offset.checked_add(layout.size())?;
            if end > SIZE {
                return None;
            }
            let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
            match self.used.compare_exchange_weak(used, end, success, failure) {
                Ok(_) => return Some(offset),
                Err(now) => used = now,
            }
        }
    }

    /// Changes the size of the block that was allocated last; `false` if this block was not, or does not fit.
    fn resize_last(&self, offset: usize, old: usize, new: usize) -> bool {
        let end = offset.saturating_add(new);
        let change = || {
            let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
            self.used
                .compare_exchange(offset + old, end, success, failure)
        };
        end <= SIZE && change().is_ok()
    }
}

// SAFETY: blocks in `memory` do not overlap, since `used` only grows past a block and shrinks to the last one's beginning;
// all others are System's, to which they are returned.
unsafe impl GlobalAlloc for StaticFirst {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.reserve(layout) {
            // SAFETY: the block ends within `memory`.
            Some(offset) => unsafe { self.start().add(offset) },
            // SAFETY: as the caller promises.
            None => checked(unsafe { System.alloc(layout) }),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match self.offset(block) {
            Some(offset) => {
                self.resize_last(offset, layout.size(), 0);
            }
            // SAFETY: it is System's.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let Some(offset) = self.offset(block) else {
            // SAFETY: it is System's.
            return checked(unsafe { System.realloc(block, layout, new_size) });
        };
        if self.resize_last(offset, layout.size(), new_size) {
            return block;
        }
        // SAFETY: the caller promises that the new size with this alignment is valid.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: the caller promises that the new size is not zero.
        let new = unsafe { self.alloc(new_layout) };
        if !new.is_null() {
            // SAFETY: both blocks are at least as long as the shorter size, and a new block does not overlap.
            unsafe { ptr::copy_nonoverlapping(block, new, layout.size().min(new_size)) };
            // SAFETY: the caller gives the old block up.
            unsafe { self.dealloc(block, layout) };
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use std::alloc::{GlobalAlloc, Layout};

    use super::{SIZE, StaticFirst};

    #[test]
    fn blocks_are_aligned_and_apart_and_continue_in_the_system() {
        static MEMORY: StaticFirst = StaticFirst::new();
        let layout = |size, align| Layout::from_size_align(size, align).unwrap();
        // SAFETY: each block is used within its size and given back with its layout.
        unsafe {
            let byte = MEMORY.alloc(layout(1, 1));
            let aligned = MEMORY.alloc(layout(64, 64));
            assert_eq!(aligned.addr() % 64, 0);
            byte.write(1);
            aligned.write_bytes(2, 64);
            // The last block grows where it is; another one moves.
            assert_eq!(MEMORY.realloc(aligned, layout(64, 64), 128), aligned);
            let moved = MEMORY.realloc(byte, layout(1, 1), 2);
            assert!(moved > aligned);
            assert_eq!((moved.read(), aligned.add(63).read()), (1, 2));
            // What the last block used can be used again.
            MEMORY.dealloc(moved, layout(2, 1));
            assert_eq!(MEMORY.alloc(layout(2, 1)), moved);
            let large = MEMORY.alloc(layout(SIZE, 1));
            assert!(MEMORY.offset(large).is_none() && MEMORY.offset(moved).is_some());
            MEMORY.dealloc(large, layout(SIZE, 1));
        }
    }
}
