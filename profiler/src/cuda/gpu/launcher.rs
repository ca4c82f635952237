//! The kernels, compiled for a model and a device, and the one place that launches them.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use cudarc::driver::{CudaFunction, CudaStream, DevicePtr, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::{CompileError, CompileOptions, Ptx, compile_ptx_with_opts};

use super::open::Gpu;
use crate::cuda::kernels::{Kernel, SOURCE, compile_options, kernels_of};
use crate::cuda::shape::Shape;

/// Where something lies in the device's memory.
pub(crate) type Address = u64;

/// A kernel's parameter.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Argument {
    Pointer(Address),
    Int(i32),
    Float(f32),
    Count(u64),
}

impl Argument {
    const fn letter(self) -> u8 {
        match self {
            Self::Pointer(_) => b'p',
            Self::Int(_) => b'i',
            Self::Float(_) => b'f',
            Self::Count(_) => b'u',
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Launcher {
    stream: Arc<CudaStream>,
    functions: BTreeMap<Kernel, CudaFunction>,
}

impl Launcher {
    /// Compiles the kernels of a model.
    ///
    /// # Errors
    /// If NVRTC refuses the text or the driver what NVRTC made of it.
    pub(crate) fn new(gpu: &Gpu, shape: &Shape, block_size: u32) -> Result<Self> {
        let Gpu { context, stream, properties, .. } = gpu;
        let ptx = compile(compile_options(shape, block_size, properties.compute_capability))?;
        let module = context.load_module(ptx).context("the driver does not take what NVRTC compiled; is it older?")?;
        let load = |kernel: Kernel| Ok((kernel, module.load_function(kernel.name()).context(kernel.name())?));
        let functions = kernels_of(shape).map(load).collect::<Result<_>>()?;
        Ok(Self { stream: Arc::clone(stream), functions })
    }

    /// Launches a kernel.
    ///
    /// # Errors
    /// If the arguments are not of the kernel's types, or the driver refuses.
    pub(crate) fn launch(
        &self,
        kernel: Kernel,
        grid: [u32; 3],
        num_threads: u32,
        arguments: &[Argument],
    ) -> Result<()> {
        let (name, types) = kernel.signature();
        let given = arguments.iter().map(|argument| argument.letter());
        ensure!(given.eq(types.bytes()), "{name} takes {types:?}, not {arguments:?}");
        let function = self.functions.get(&kernel).with_context(|| format!("{name} was not loaded"))?;
        let mut builder = self.stream.launch_builder(function);
        for argument in arguments {
            match argument {
                Argument::Pointer(value) | Argument::Count(value) => builder.arg(value),
                Argument::Int(value) => builder.arg(value),
                Argument::Float(value) => builder.arg(value),
            };
        }
        let config =
            LaunchConfig { grid_dim: (grid[0], grid[1], grid[2]), block_dim: (num_threads, 1, 1), shared_mem_bytes: 0 };
        // SAFETY: number and types of the arguments are those of the kernel (checked above; a test compares the list
        // with the text). Pointers come from live buffers whose sizes `BufferSizes` derives from the same limits that
        // the callers keep to; all work is on one stream, so a buffer's free waits for the kernel.
        unsafe { builder.launch(config) }.with_context(|| format!("launching {name} over {grid:?} × {num_threads}"))?;
        Ok(())
    }
}

/// The kernels' text in the driver's assembly language.
fn compile(options: Vec<String>) -> Result<Ptx> {
    let told = options.join(" ");
    let compiled = compile_ptx_with_opts(SOURCE, CompileOptions { options, ..CompileOptions::default() });
    compiled.map_err(|error| match error {
        CompileError::CompileError { log, .. } => anyhow!("NVRTC with {told}: {}", log.to_string_lossy().trim()),
        other => anyhow!("NVRTC with {told}: {other:?}"),
    })
}

/// Where a buffer lies. It must outlive what is launched with it.
pub(crate) fn address<T>(buffer: &impl DevicePtr<T>, stream: &CudaStream) -> Address {
    buffer.device_ptr(stream).0
}

#[cfg(test)]
mod tests {
    use super::compile;
    use crate::cuda::gpu::libraries;
    use crate::cuda::kernels::{Kernel, compile_options, kernels_of};
    use crate::cuda::number::Format;
    use crate::cuda::number::Storage::{Fp8, Half};
    use crate::cuda::shape::Shape;
    use crate::cuda::start::shape_of_heads;

    /// Needs no GPU, but NVRTC of CUDA 12.8 or later; `scripts/check-kernels.sh` gets it and insists on it.
    #[test]
    fn nvrtc_compiles_and_assembles_the_kernels_for_all_heads_formats_and_devices() {
        if !libraries::has_nvrtc() {
            assert!(std::env::var_os("REQUIRE_NVRTC").is_none(), "libnvrtc was not found");
            return;
        }
        for (format, head_dim) in [Format::BFloat16, Format::Float16].into_iter().flat_map(|f| [(f, 64), (f, 128)]) {
            for (group, capability) in [(1, (8, 0)), (4, (8, 9)), (5, (9, 0)), (7, (10, 0)), (8, (12, 0))] {
                let stored = [(Half, Half), (Half, Fp8), (Fp8, Half), (Fp8, Fp8)];
                let has_fp8 = capability >= (8, 9);
                for (linear, kv_cache) in stored.into_iter().filter(|&stored| has_fp8 || stored == (Half, Half)) {
                    let shape = Shape { linear, kv_cache, ..shape_of_heads(head_dim, group, format, Half) };
                    check_compiles(&shape, capability);
                }
            }
        }
    }

    #[track_caller]
    fn check_compiles(shape: &Shape, capability: (u32, u32)) {
        let mut options = compile_options(shape, 16, capability);
        // For a real architecture NVRTC assembles what it compiled, too: only then is inline assembly looked at.
        options[0] = options[0].replace("compute_", "sm_");
        assert!(options[0].contains("=sm_"), "{options:?}");
        let text = compile(options).expect("the kernels compile").to_src();
        for kernel in Kernel::ALL {
            let is_there = text.contains(&format!(".entry {}(", kernel.name()));
            assert_eq!(is_there, kernels_of(shape).any(|other| other == kernel), "{kernel:?} for {shape:?}");
        }
    }
}
