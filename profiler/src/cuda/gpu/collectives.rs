//! NCCL over several devices of this host: what its all-reduce and all-gather take, by bytes.
//!
//! One process and one thread drive all devices with group calls. Giving a group to the devices takes the host longer
//! than a small message takes them, so every stream gets something to do first, until all groups are queued behind it:
//! they then run one after the other without waiting for the host, as in a CUDA graph.

use std::ffi::c_void;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use cudarc::driver::{CudaContext, CudaSlice, CudaStream};
use cudarc::nccl::result::NcclError;
use cudarc::nccl::{result, sys};

use super::launcher::address;
use super::libraries;
use super::memory::zeros;
use super::open::{Gpu, timed_event};
use crate::cuda::collectives::{CollectiveTimes, Messages, TimesByBytes, timed_sizes};
use crate::measure::outliers::median;

/// Collectives that are timed together, one after the other.
const NUM_REPEATS: u32 = 20;
/// Of which the median counts.
const NUM_ROUNDS: u32 = 5;
/// What the streams are kept busy with: so many bytes are zeroed, at first so often.
const BUSY_BYTES: u64 = 256 << 20;
const NUM_BUSY: u32 = 20;
const MOST_BUSY: u32 = 2560;

/// What is timed.
#[derive(Debug, Clone, Copy)]
enum Collective {
    AllReduce,
    AllGather,
}

/// A device among others.
struct Rank {
    stream: Arc<CudaStream>,
    sent: CudaSlice<u8>,
    received: CudaSlice<u8>,
    busy: CudaSlice<u8>,
}

/// NCCL's communicators, one for each rank; ended with this.
struct Communicators(Vec<sys::ncclComm_t>);

impl Drop for Communicators {
    fn drop(&mut self) {
        for &communicator in &self.0 {
            // SAFETY: created by `open`, ended nowhere else, not used afterwards. What cannot be ended ends with the process.
            let _ended = unsafe { result::comm_abort(communicator) };
        }
    }
}

fn failed(what: &str, error: &NcclError) -> anyhow::Error {
    anyhow!("NCCL, {what}: {:?}", error.0)
}

/// Times messages of up to `largest` between `num_ranks` devices, from that of `gpu` on. The device's used memory, and its
/// versions, are with NCCL afterwards.
///
/// # Errors
/// If the host has fewer devices, they differ, NCCL is missing or fails, or the host is too slow to keep them busy.
pub(crate) fn measure(gpu: &mut Gpu, num_ranks: u32, largest: Messages) -> Result<CollectiveTimes> {
    libraries::check_nccl()?;
    let num_bytes = largest.all_reduce_bytes.max(largest.all_gather_bytes);
    let num_bytes = timed_sizes(num_bytes).last().copied().unwrap_or(num_bytes);
    let gathered = timed_sizes(largest.all_gather_bytes).last().copied().unwrap_or(0) * u64::from(num_ranks);
    let mut ranks = open_ranks(gpu, num_ranks, [num_bytes, gathered.max(num_bytes)])?;
    let communicators = open_communicators(&ranks)?;
    let mut times = |collective: Collective, largest: u64| -> Result<TimesByBytes> {
        let time = |bytes| Ok((bytes, microseconds(gpu, &mut ranks, &communicators, collective, bytes)?));
        TimesByBytes::new(timed_sizes(largest).into_iter().map(time).collect::<Result<_>>()?)
    };
    let all_reduce = times(Collective::AllReduce, largest.all_reduce_bytes)?;
    let all_gather = times(Collective::AllGather, largest.all_gather_bytes)?;
    // With the communicators there and the buffers gone: what NCCL keeps.
    drop(ranks);
    gpu.stream.synchronize()?;
    let (free, total) = gpu.context.mem_get_info()?;
    gpu.properties.used_memory_bytes = u64::try_from(total.saturating_sub(free))?;
    let version = result::get_nccl_version().map_err(|error| failed("its version", &error))?;
    gpu.properties.versions.push(("NCCL".to_owned(), version.to_string()));
    Ok(CollectiveTimes { all_reduce, all_gather })
}

fn open_ranks(gpu: &Gpu, num_ranks: u32, [sent, received]: [u64; 2]) -> Result<Vec<Rank>> {
    let count = usize::try_from(CudaContext::device_count()?).unwrap_or(0);
    let first = gpu.context.ordinal();
    let end = first + num_ranks as usize;
    ensure!(
        end <= count,
        "--tensor-parallel-size {num_ranks} from --cuda-device {first} on: the driver knows {count} devices"
    );
    let mut ranks = vec![];
    for ordinal in first..end {
        let context = if ordinal == first { Arc::clone(&gpu.context) } else { CudaContext::new(ordinal)? };
        let name = context.name()?;
        ensure!(
            name == gpu.properties.name,
            "device {ordinal} is {name}, device {first} is {}: ranks must be alike",
            gpu.properties.name
        );
        // SAFETY: each device has one stream, so the order of its work is the order of the calls.
        unsafe { context.disable_event_tracking() };
        let stream = context.new_stream()?;
        ranks.push(Rank {
            sent: zeros(&stream, sent)?,
            received: zeros(&stream, received)?,
            busy: zeros(&stream, BUSY_BYTES)?,
            stream,
        });
    }
    for rank in &ranks {
        rank.stream.synchronize()?;
    }
    Ok(ranks)
}

fn open_communicators(ranks: &[Rank]) -> Result<Communicators> {
    let ordinals = ranks.iter().map(|rank| i32::try_from(rank.stream.context().ordinal()));
    let ordinals = ordinals.collect::<Result<Vec<i32>, _>>()?;
    let mut communicators = vec![std::ptr::null_mut(); ordinals.len()];
    // SAFETY: NCCL reads as many ordinals as it is told and writes as many communicators, which is both lists' length.
    unsafe { result::comm_init_all(communicators.as_mut_ptr(), i32::try_from(ordinals.len())?, ordinals.as_ptr()) }
        .map_err(|error| failed("its start", &error))?;
    Ok(Communicators(communicators))
}

/// Gives one collective to all devices; each sends `num_bytes`.
fn launch(ranks: &[Rank], communicators: &Communicators, collective: Collective, num_bytes: u64) -> Result<()> {
    let count = usize::try_from(num_bytes / 2)?;
    let number = sys::ncclDataType_t::ncclBfloat16;
    result::group_start().map_err(|error| failed("a group", &error))?;
    for (rank, &communicator) in ranks.iter().zip(&communicators.0) {
        let sent = address(&rank.sent, &rank.stream) as *const c_void;
        let received = address(&rank.received, &rank.stream) as *mut c_void;
        let stream = rank.stream.cu_stream().cast();
        // SAFETY: the communicator and the stream are of the same device, as are the buffers, which hold `num_bytes`, or
        // that for each rank where all ranks' are gathered (`measure`); they live until the device is done (`microseconds`
        // synchronises, a buffer's free waits for its stream).
        let called = unsafe {
            match collective {
                Collective::AllReduce => {
                    let sum = sys::ncclRedOp_t::ncclSum;
                    result::all_reduce(sent, received, count, number, sum, communicator, stream)
                }
                Collective::AllGather => result::all_gather(sent, received, count, number, communicator, stream),
            }
        };
        called.map_err(|error| failed("a collective", &error))?;
    }
    result::group_end().map_err(|error| failed("a group", &error))?;
    Ok(())
}

fn synchronize(ranks: &[Rank]) -> Result<()> {
    ranks.iter().try_for_each(|rank| rank.stream.synchronize().context("a device among others"))
}

/// Microseconds of one collective by the first device's clock: the median of some rounds of some in a row.
fn microseconds(
    gpu: &Gpu,
    ranks: &mut [Rank],
    communicators: &Communicators,
    collective: Collective,
    num_bytes: u64,
) -> Result<f64> {
    // Connections are made at the first call of a size.
    launch(ranks, communicators, collective, num_bytes)?;
    synchronize(ranks)?;
    let first = ranks.first().map(|rank| Arc::clone(&rank.stream)).context("no rank")?;
    let (start, end) = (timed_event(&gpu.context)?, timed_event(&gpu.context)?);
    let (mut times, mut num_busy) = (vec![], NUM_BUSY);
    while times.len() < NUM_ROUNDS as usize {
        for rank in &mut *ranks {
            for _ in 0..num_busy {
                rank.stream.memset_zeros(&mut rank.busy)?;
            }
        }
        // One more, not timed, after which no device waits for another.
        launch(ranks, communicators, collective, num_bytes)?;
        start.record(&first)?;
        for _ in 0..NUM_REPEATS {
            launch(ranks, communicators, collective, num_bytes)?;
        }
        let is_late = start.is_complete();
        end.record(&first)?;
        synchronize(ranks)?;
        if is_late {
            // The devices began before all was queued: the time would be the host's.
            num_busy *= 2;
            ensure!(num_busy <= MOST_BUSY, "the host is too slow to time collectives of {num_bytes} bytes");
            continue;
        }
        times.push(1e3 * f64::from(start.elapsed_ms(&end)?) / f64::from(NUM_REPEATS));
    }
    median(times).context("no time")
}
