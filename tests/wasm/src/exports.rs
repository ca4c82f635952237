//! What node sees of the module.
#![expect(unsafe_code, reason = "an export must be unmangled, and that attribute is unsafe; no block here is")]

/// See [`crate::digest()`].
#[unsafe(no_mangle)]
pub extern "C" fn digest(index: u32) -> u64 {
    crate::digest(index)
}

/// See [`crate::NUM_WORKLOADS`].
#[unsafe(no_mangle)]
pub extern "C" fn num_workloads() -> u32 {
    crate::NUM_WORKLOADS
}
