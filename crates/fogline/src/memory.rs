//! How freed memory goes back to the machine.
//!
//! Hashing one password takes 19 MB. When glibc first frees so large a block, it takes the like from the heap from then on,
//! where they stay resident; with a threshold that stands still they are the machine's again at once. Test: bench `idle`.

/// Blocks of at least so many bytes are asked of the machine itself, and given back to it.
#[cfg(target_env = "gnu")]
const LARGE_BYTES: std::ffi::c_int = 1 << 20;

/// Gives large blocks back as soon as they are free, from now on. Call it before there are threads.
pub fn give_back_large_blocks() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "there is no safe way to tell the allocator")]
    // SAFETY: only sets a parameter of the allocator. One that it does not take changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES);
    }
}
