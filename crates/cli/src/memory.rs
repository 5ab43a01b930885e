//! How freed memory goes back to the system.

/// Blocks of at least so many bytes go back as soon as they are freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const GOES_BACK: libc::c_int = 256 << 10;

/// Makes glibc give large blocks back when they are freed: by itself it keeps blocks of up to
/// 32 MiB, once such have been freed, and a server that drew a map holds 100 MB for days.
/// musl does so anyway. To be called before there are threads.
pub(crate) fn give_back_early() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // Whoever set it otherwise had a reason.
    if std::env::var_os("MALLOC_MMAP_THRESHOLD_").is_none() {
        #[expect(unsafe_code, reason = "the C library has no other door to its settings")]
        // SAFETY: it takes two numbers, and changes nothing but a setting of the allocator;
        // nobody else uses that meanwhile, because this is the only thread.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, GOES_BACK);
        }
    }
}
