//! `profiler profile --engine cuda --operators`.

use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::cuda::alone::{Options, measure};
use crate::cuda::gpu::GpuTimer;
use crate::output_file::{make_folder_of, write_whole};
use crate::validate::pack;

/// Times the operators of a device, writes their pack to `output`, and tells `out` how good it is.
pub(super) fn run(options: &Options, device: usize, output: &Path, out: &mut dyn Write) -> Result<bool> {
    // Before a folder is made or a journal begun.
    let mut timer = GpuTimer::open(device)?;
    make_folder_of(output)?;
    let pack = measure(&mut timer, options)?;
    let json = pack.to_json()?;
    write_whole(output, &json).with_context(|| format!("{} cannot be written", output.display()))?;
    let shown = output.display().to_string();
    write!(out, "{}", pack::table(&pack::examine(&shown, json.as_bytes())?)?)?;
    writeln!(out, "wrote {shown}; use it with simulate --gpu {shown}")?;
    Ok(true)
}
