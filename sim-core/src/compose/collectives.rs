//! What ranks exchange in a pass.

use super::error::ComposeError;
use crate::math;
use crate::operators::gpu::Links;
use crate::operators::kinds::Operator;
use crate::operators::schema::Pack;
use crate::operators::series::Series;

/// Most bytes that vLLM's own all-reduce takes; larger sums are NCCL's
/// (`device_communicators/all_reduce_utils.py::CUSTOM_ALL_REDUCE_MAX_SIZES`, by compute capability and ranks).
const CUSTOM_MAX_BYTES: f64 = 8.0 * 1_048_576.0;

/// Sums over `ranks` ranks, over the numbers of 16 bits that are summed.
///
/// vLLM's own kernel inside CUDA graphs where it was measured with so many ranks; beyond 8 MiB the faster of it and NCCL.
pub(super) fn all_reduce(pack: &Pack, ranks: u32) -> Result<Series, ComposeError> {
    let own = carried(pack, Operator::AllReduce, ranks);
    let nccl = carried(pack, Operator::NcclAllReduce, ranks);
    match (own, nccl) {
        (Some(own), Some(nccl)) => {
            Ok(own
                .map(|count, time| if 2.0 * count > CUSTOM_MAX_BYTES { math::min(time, nccl.at(count)) } else { time }))
        }
        (Some(only), None) | (None, Some(only)) => Ok(only),
        (None, None) => Err(ComposeError::Operator { operator: "all-reduces", gpu: pack.gpu.label.clone() }),
    }
}

/// One of NCCL's collectives over `ranks` ranks, over the numbers that all hold together.
pub(super) fn nccl(pack: &Pack, operator: Operator, ranks: u32) -> Result<Series, ComposeError> {
    carried(pack, operator, ranks)
        .ok_or_else(|| ComposeError::Operator { operator: "collectives of NCCL", gpu: pack.gpu.label.clone() })
}

/// With so many ranks as were measured, or carried from the most that were: what is sent grows with (ranks − 1) / ranks,
/// what is waited for with the steps.
fn carried(pack: &Pack, operator: Operator, ranks: u32) -> Option<Series> {
    let table = pack.curves.iter().find(|table| table.operator == operator)?;
    let of = |shape: &alloc::vec::Vec<u32>| shape.first().copied().unwrap_or(0);
    let nearest = |wanted: u32| {
        let place = (0..table.shapes.len())
            .min_by_key(|&place| table.shapes.get(place).map_or(u32::MAX, |shape| of(shape).abs_diff(wanted)))?;
        Some((of(table.shapes.get(place)?), Series::of_row(&table.counts, table.time_us.get(place)?)?))
    };
    let (measured, series) = nearest(ranks)?;
    if measured == ranks {
        return Some(series);
    }
    let [from, to] = [measured, ranks].map(math::u32_to_f64);
    let sent = ((to - 1.0) / to) / ((from - 1.0) / from);
    let steps = if pack.gpu.links == Links::Pcie { (to - 1.0) / (from - 1.0) } else { 1.0 };
    let launch = series.times_us().first().copied().unwrap_or(0.0);
    Some(
        series.map(|_, time| {
            launch * math::max(steps, 1.0) + math::max(time - launch, 0.0) * sent * math::max(steps, 1.0)
        }),
    )
}
