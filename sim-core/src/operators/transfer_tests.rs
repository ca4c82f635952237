//! Moving a pack, on small packs made here.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::transfer::{Kinship, transfer};
use crate::math;
use crate::operators::schema::{CurveTable, GridTable, Pack, PackProvenance};
use crate::operators::{Gpu, Operator, gpu_table};
use crate::profile::schema::Source;

fn gpu(key: &str) -> Gpu {
    gpu_table::find(key).expect("a known GPU")
}

fn curve(operator: Operator, format: &str, shapes: Vec<Vec<u32>>, row: &[f64]) -> CurveTable {
    let time_us = shapes.iter().map(|_| row.iter().copied().map(Some).collect()).collect();
    let (format, variant, kernels) = (format.to_string(), String::new(), vec![]);
    CurveTable { operator, format, variant, kernels, counts: vec![1, 4096], shapes, time_us }
}

/// A product of 4096 × 4096 that takes 2 us of launch and what `gpu`'s maker says, in three formats; decodes; all-reduces.
pub(super) fn pack(gpu: &Gpu) -> Pack {
    let bound = |bytes: f64, operations: f64| {
        let time = (bytes / gpu.memory_bandwidth).max(operations / gpu.bf16_flops);
        2.0 + 1e6 * time
    };
    let side = 4096.0_f64;
    let row =
        [bound(2.0 * side * side + 4.0 * side, 2.0 * side * side), bound(6.0 * side * side, 2.0 * side * side * side)];
    let product = |format| curve(Operator::Product, format, vec![vec![4096, 4096]], &row);
    let decodes = GridTable {
        operator: Operator::DecodeAttention,
        format: "bfloat16".to_string(),
        variant: String::new(),
        kernels: vec![],
        num_seqs: vec![1, 64],
        context_tokens: vec![16, 8192],
        shapes: vec![vec![32, 8, 128, 0]],
        time_us: vec![vec![vec![Some(5.0), Some(30.0)], vec![Some(8.0), None]]],
    };
    let source =
        Source { name: "s".to_string(), version: "1".to_string(), licence: "MIT".to_string(), url: "u".to_string() };
    Pack {
        pack_version: Pack::VERSION,
        provenance: PackProvenance {
            tool: "t".to_string(),
            tool_version: "1".to_string(),
            date: "2026-01-01".to_string(),
            sources: vec![source],
            vllm_version: "0.33.0".to_string(),
            notes: vec![],
        },
        gpu: gpu.clone(),
        sustained: vec![],
        curves: vec![
            product("bfloat16"),
            product("fp8"),
            product("nvfp4"),
            curve(Operator::Experts, "fp8", vec![vec![2048, 768, 8, 128, 1, 1]], &[40.0, 900.0]),
            curve(Operator::AllReduce, "bfloat16", vec![vec![2], vec![8]], &[5.0, 9.0]),
        ],
        grids: vec![decodes],
    }
}

#[test]
fn a_pack_moved_to_its_own_gpu_is_the_same_to_the_last_bit() {
    for gpu in gpu_table::known() {
        let own = pack(&gpu);
        let moved = transfer(&own, &gpu).pack;
        assert_eq!(moved.grids, own.grids, "{}", gpu.key);
        let has_units = |table: &&CurveTable| match table.format.as_str() {
            "fp8" => gpu.fp8_flops > 0.0,
            "nvfp4" => gpu.fp4_flops > 0.0,
            _ => true,
        };
        let expect: Vec<CurveTable> = own.curves.iter().filter(has_units).cloned().collect();
        assert_eq!(moved.curves, expect, "{}", gpu.key);
    }
}

#[test]
fn a_bound_time_moves_with_what_bounds_it_and_its_launch_stays() {
    /// Microseconds of one and of 4096 tokens on `to`, moved from `from`.
    #[track_caller]
    fn check(from: &str, to: &str, expect: [f64; 2]) {
        let moved = transfer(&pack(&gpu(from)), &gpu(to)).pack;
        let row: Vec<f64> = moved.curves[0].time_us[0].iter().flatten().copied().collect();
        let is_close = row.len() == 2 && row.iter().zip(expect).all(|(got, expect)| (got / expect - 1.0).abs() < 1e-3);
        assert!(is_close, "{from} to {to}: {row:?} instead of {expect:?}");
    }
    // 33.57 MB at 4.8 TB/s, 137.4 Gflop at 989 Tflop/s; then at the other's figures.
    check("h100-sxm", "h200-sxm", [2.0 + 6.994, 2.0 + 138.97]);
    // Far: the launch is the shortest time, and the mean of both rules lies between.
    let launch: f64 = 2.0 + 33.57e6 / 4.8e12 * 1e6;
    let far = |time: f64, from: f64, to: f64| {
        let in_proportion = launch.min(time) + (time - launch.min(time)) * to / from;
        math::sqrt((time + to - from) * in_proportion)
    };
    let [slow, fast] = [33.57e6 / 4.8e12 * 1e6, 33.57e6 / 7.7e12 * 1e6];
    let [much, less] = [138.97, 137.44e9 / 2250e12 * 1e6];
    check("h200-sxm", "b200-sxm", [far(2.0 + slow, slow, fast), far(2.0 + much, much, less)]);
}

#[test]
fn what_the_other_gpu_cannot_do_is_left_out() {
    /// Tables and shapes that are left of five curve tables.
    #[track_caller]
    fn check(from: &str, to: &str, expect: &[(&str, &str, usize)]) {
        let moved = transfer(&pack(&gpu(from)), &gpu(to)).pack;
        let left: Vec<_> =
            moved.curves.iter().map(|t| (t.operator.name(), t.format.as_str(), t.shapes.len())).collect();
        assert_eq!(left, expect, "{from} to {to}");
        assert_eq!(moved.validate(), Ok(()), "{from} to {to}");
    }
    let (bf16, fp8) = (("product", "bfloat16", 1), ("product", "fp8", 1));
    check(
        "b200-sxm",
        "gb200",
        &[bf16, fp8, ("product", "nvfp4", 1), ("experts", "fp8", 1), ("all_reduce", "bfloat16", 2)],
    );
    check("h200-sxm", "h20", &[bf16, fp8, ("experts", "fp8", 1), ("all_reduce", "bfloat16", 2)]);
    check("h200-sxm", "mi300x", &[bf16, fp8, ("all_reduce", "bfloat16", 2)]);
    check("l40s", "a10g", &[bf16, ("all_reduce", "bfloat16", 1)]);
}

#[test]
fn kinship_asks_for_one_architecture_and_like_figures() {
    #[track_caller]
    fn check(from: &str, to: &str, expect: Kinship) {
        assert_eq!(Kinship::of(&gpu(from), &gpu(to)), expect, "{from} to {to}");
        assert_eq!(Kinship::of(&gpu(to), &gpu(from)), expect, "{to} to {from}");
    }
    check("h100-sxm", "h200-sxm", Kinship::Near);
    check("b200-sxm", "gb300", Kinship::Near);
    check("h200-sxm", "h20", Kinship::Far);
    check("l40s", "a10g", Kinship::Far);
    check("l40s", "rtx-6000-ada", Kinship::Near);
    check("h200-sxm", "mi300x", Kinship::Far);
}

#[test]
fn every_gpu_has_a_measured_one_and_a_key_of_its_own() {
    let all = gpu_table::known();
    for (place, gpu) in all.iter().enumerate() {
        let measured = gpu_table::measured(&gpu.key).expect("a measured GPU");
        assert_eq!(gpu_table::measured(measured), Some(measured), "{}", gpu.key);
        assert!(all[..place].iter().all(|other| other.key != gpu.key && other.name != gpu.name), "{}", gpu.key);
        assert_eq!(pack(gpu).validate(), Ok(()), "{}", gpu.key);
    }
}

#[test]
fn moved_times_never_fall_and_stay_within_the_ratios_of_the_figures() {
    let all = gpu_table::known();
    for from in &all {
        for to in &all {
            let own = pack(from);
            let moved = transfer(&own, to).pack;
            let ratios = [from.memory_bandwidth / to.memory_bandwidth, from.bf16_flops / to.bf16_flops];
            // Above 16 bits a GPU without units has no table, below it another ratio.
            let (least, most) = (ratios[0].min(ratios[1]).min(1.0), ratios[0].max(ratios[1]).max(1.0));
            let rows = |pack: &Pack| -> Vec<Vec<Option<f64>>> {
                let products =
                    pack.curves.iter().filter(|table| table.format == "bfloat16" && table.shapes[0].len() == 2);
                let grids = pack.grids.iter().flat_map(|table| table.time_us.concat());
                products.flat_map(|table| table.time_us.clone()).chain(grids).collect()
            };
            for (before, after) in rows(&own).iter().zip(rows(&moved)) {
                let mut last = 0.0;
                for (before, after) in before.iter().zip(after) {
                    let (Some(before), Some(after)) = (before, after) else { continue };
                    let ratio = after / before;
                    assert!(after >= last, "{} to {}: {after} after {last}", from.key, to.key);
                    assert!(ratio > least * 0.999 && ratio < most * 1.001, "{} to {}: {ratio}", from.key, to.key);
                    last = after;
                }
            }
            assert_eq!(moved.validate(), Ok(()), "{} to {}", from.key, to.key);
        }
    }
}
