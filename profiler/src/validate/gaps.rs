//! What a profile cannot answer, or only beyond what it knows.

use sim_core::profile::Profile;
use sim_core::profile::schema::{Basis, DeviceType, ProvenanceKind};
use sim_core::scenario::told;

use super::coverage::Extent;

/// In sentences, the general first.
pub(super) fn cannot_answer(profile: &Profile, coverage: &[Extent]) -> Vec<String> {
    let (engine, tables) = (&profile.engine, &profile.step_time);
    let mut gaps = vec![];
    match profile.provenance.kind {
        ProvenanceKind::Measured => {}
        ProvenanceKind::Derived => {
            gaps.push("Whole passes: none was measured, times are sums of operators.".to_owned());
        }
        ProvenanceKind::Estimated => {
            let range = told::estimated(profile).unwrap_or_default();
            gaps.push(format!("The device itself, which nobody measured. {range}."));
        }
        ProvenanceKind::Synthetic => gaps.push("Any device: times are from a formula.".to_owned()),
    }
    gaps.push(format!(
        "Other than tensor_parallel_size {} and pipeline_parallel_size {}: the first is refused, the second extrapolated.",
        engine.tensor_parallel_size, engine.pipeline_parallel_size
    ));
    gaps.push(format!(
        "Other number formats than weights in {} and a KV cache in {} (auto: as the weights).",
        engine.quantization.as_ref().unwrap_or(&engine.dtype),
        engine.kv_cache_dtype
    ));
    if profile.hardware.device_type == DeviceType::Cuda {
        let graphs = if engine.enforce_eager { "with CUDA graphs" } else { "without CUDA graphs (enforce_eager)" };
        gaps.push(format!("Passes {graphs}: every time is then extrapolated."));
    }
    match &tables.mixed_batch {
        None => gaps.push("Passes with decodes and prompt parts: nobody measured any, their attention is a sum.".into()),
        Some(mixed) if mixed.samples.is_empty() => gaps.push(format!(
            "Whole passes with decodes and prompt parts: of those only attention was measured (decodes count {} times).",
            mixed.decode_term_factor
        )),
        Some(_) => {}
    }
    for extent in coverage.iter().filter(|extent| !extent.is_enough()) {
        let Extent { table, axis, last, needed, .. } = extent;
        gaps.push(format!("{table}: {axis} from {last} to {needed} is extrapolated in a straight line."));
    }
    let truncated = |rows: &[Vec<Option<f64>>]| rows.iter().filter(|row| row.iter().any(Option::is_none)).count();
    for (table, rows) in [
        ("decode_attention", &tables.decode_attention.time_us),
        ("prefill_attention", &tables.prefill_attention.time_us),
    ] {
        let count = truncated(rows);
        if count > 0 {
            gaps.push(format!("{table}: the ends of {count} rows of {} could not be measured.", rows.len()));
        }
    }
    if profile.memory.reported.is_none() {
        gaps.push(
            "The number of KV blocks of a real engine: none was recorded, it follows from the memory's parts.".into(),
        );
    }
    let host = &profile.host;
    let is_judged = [&host.schedule.per_pass, &host.update.per_pass].iter().any(|cost| cost.basis == Basis::Estimate);
    if is_judged {
        gaps.push("Synchronous scheduling well: host time then adds to every pass, and it is an estimate.".to_owned());
    }
    gaps
}
