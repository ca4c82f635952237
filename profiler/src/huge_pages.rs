//! The program's allocator: the system's, with huge pages under large blocks.
//!
//! A run's records are written once, in order. In pages of 4 KB the kernel is interrupted for each of them, which takes as
//! long as half of the simulation of a long run. Many systems give huge pages only to who asks (`madvise` in
//! `/sys/kernel/mm/transparent_hugepage/enabled`); glibc asks only if its environment says so, and allocators that ask do it
//! for everything, where a short run waits for the first of its pages to be cleared.

#![expect(unsafe_code, reason = "an allocator is called with raw memory")]

use std::alloc::{GlobalAlloc, Layout, System};

/// Bytes from which on a block can have a huge page; those at its ends stay small.
const LARGE: usize = 2 << 20;

/// Bytes of a page at the least.
const PAGE: usize = 4 << 10;

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct HugePages;

// SAFETY: all memory is the system allocator's, asked for and given back with the caller's own layout.
unsafe impl GlobalAlloc for HugePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        advised(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        advised(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's.
        advised(unsafe { System.realloc(block, layout, new_size) }, new_size)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's.
        unsafe { System.dealloc(block, layout) }
    }
}

/// The block, for which the kernel was asked for huge pages if it is large.
#[inline]
fn advised(block: *mut u8, size: usize) -> *mut u8 {
    if size >= LARGE && !block.is_null() {
        advise(block, size);
    }
    block
}

/// A mapping of glibc's is one block, and moves as a whole when that grows: unless a part of it was advised. So the pages of
/// both ends are advised, too.
#[cfg(target_os = "linux")]
#[cold]
fn advise(block: *mut u8, size: usize) {
    let before = block.addr() % PAGE;
    let len = (before + size).next_multiple_of(PAGE);
    // SAFETY: the advice changes nothing of what is read there, in the block and beside it. Where it is not taken, pages
    // stay small.
    unsafe { libc::madvise(block.wrapping_sub(before).cast(), len, libc::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn advise(_: *mut u8, _: usize) {}
