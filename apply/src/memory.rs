//! Memory that is freed goes back to the system.
#![allow(unsafe_code, reason = "the C library's settings; nothing is pointed at")]

/// Bytes of an allocation from which on it is mapped by itself, and unmapped when it is freed.
///
/// glibc raises its own limit, up to 32 MiB, to the largest that was freed: the tables of coders then come from heaps
/// that keep what lies between pieces in use, and dd-apply took half as much again as packages declare.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED: i32 = 1 << 20;

/// Has large allocations given back as soon as they are freed.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt takes two numbers; where it does not know the first it changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED);
    }
}
