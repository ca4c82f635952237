//! The libraries that must be there, looked for before one of them is called: the binding panics without.

use anyhow::{Result, ensure};

/// Refuses, by name, where a library is missing.
///
/// # Errors
/// If the driver, NVRTC or cuBLASLt is not found.
pub(crate) fn check() -> Result<()> {
    // SAFETY: opens shared libraries by their well-known names and closes them; their initialisers are NVIDIA's and
    // have no requirement on the caller.
    let found = unsafe {
        [
            cudarc::driver::sys::is_culib_present(),
            cudarc::nvrtc::sys::is_culib_present(),
            cudarc::cublaslt::sys::is_culib_present(),
        ]
    };
    let toolkit = "install the CUDA toolkit 12, or the Python packages nvidia-cuda-nvrtc-cu12 and nvidia-cublas-cu12, and \
                   put their folders of libraries into LD_LIBRARY_PATH";
    let needed = [
        (
            "libcuda.so, NVIDIA's driver",
            "install the driver, or run this where a GPU is; without a GPU, use --engine vllm",
        ),
        ("libnvrtc.so, the compiler of the engine's kernels", toolkit),
        ("libcublasLt.so, the matrix products", toolkit),
    ];
    for ((library, remedy), is_there) in needed.into_iter().zip(found) {
        ensure!(is_there, "--engine cuda: {library}, was not found; {remedy}");
    }
    Ok(())
}

/// Refuses, by name, where NCCL is missing, which only several devices need.
///
/// # Errors
/// If it is not found.
pub(super) fn check_nccl() -> Result<()> {
    // SAFETY: as above.
    let is_there = unsafe { cudarc::nccl::sys::is_culib_present() };
    ensure!(
        is_there,
        "--tensor-parallel-size: libnccl.so, the collectives, was not found; install libnccl-dev, or make a link of this \
         name to the libnccl.so.2 of the Python package nvidia-nccl-cu12 in a folder of LD_LIBRARY_PATH"
    );
    Ok(())
}

#[cfg(test)]
pub(super) fn has_nvrtc() -> bool {
    // SAFETY: as above.
    unsafe { cudarc::nvrtc::sys::is_culib_present() }
}

#[cfg(test)]
mod tests {
    use super::check_nccl;

    /// The binding panics where a library is missing; looking for it must not.
    #[test]
    fn nccl_tells_its_version_or_is_named_as_missing() {
        let is_there = std::panic::catch_unwind(check_nccl).expect("looking for a library panics");
        match is_there {
            Err(error) => assert!(error.to_string().contains("libnccl.so"), "{error}"),
            // Needs no GPU.
            Ok(()) => assert!(cudarc::nccl::result::get_nccl_version().is_ok_and(|version| version > 20_000)),
        }
    }
}
