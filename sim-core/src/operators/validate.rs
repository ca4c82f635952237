//! Every value of a pack, checked.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::format::NumberFormat;
use super::kinds::Operator;
use super::schema::{CurveTable, GridTable, Pack};
use super::sustained::UnderLoad;
use crate::profile::Fault;

/// Most faults listed.
const MAX_FAULTS: usize = 100;
/// Longest time: 1000 seconds.
const MAX_TIME_US: f64 = 1e9;
/// Longest load before a reading: a day.
const MAX_LOAD_S: f64 = 86_400.0;
/// Most points on an axis.
const MAX_POINTS: usize = 256;
/// Most shapes of a table.
const MAX_SHAPES: usize = 16_384;

struct Faults(Vec<Fault>);

impl Faults {
    fn require(&mut self, holds: bool, path: impl FnOnce() -> String, message: impl FnOnce() -> String) {
        if !holds && self.0.len() < MAX_FAULTS {
            self.0.push(Fault { path: path(), message: message() });
        }
    }
}

/// All faults of a pack, up to a limit.
pub(super) fn faults(pack: &Pack) -> Vec<Fault> {
    let mut faults = Faults(Vec::new());
    let version = pack.pack_version;
    faults.require(
        version == Pack::VERSION,
        || "$.pack_version".to_string(),
        || format!("{version} must be {}", Pack::VERSION),
    );
    gpu(pack, &mut faults);
    for (place, load) in pack.sustained.iter().enumerate() {
        under_load(load, &format!("$.sustained[{place}]"), &mut faults);
    }
    faults.require(
        !pack.provenance.sources.is_empty(),
        || "$.provenance.sources".to_string(),
        || "must name what the pack was made from".to_string(),
    );
    for (place, table) in pack.curves.iter().enumerate() {
        let path = format!("$.curves[{place}]");
        kind(table.operator, false, &path, &mut faults);
        axis(&table.counts, &format!("{path}.counts"), &mut faults);
        shapes(table.operator, &table.shapes, &path, &mut faults);
        curve_times(table, &path, &mut faults);
    }
    for (place, table) in pack.grids.iter().enumerate() {
        let path = format!("$.grids[{place}]");
        kind(table.operator, true, &path, &mut faults);
        axis(&table.num_seqs, &format!("{path}.num_seqs"), &mut faults);
        axis(&table.context_tokens, &format!("{path}.context_tokens"), &mut faults);
        shapes(table.operator, &table.shapes, &path, &mut faults);
        grid_times(table, &path, &mut faults);
    }
    faults.0
}

fn gpu(pack: &Pack, faults: &mut Faults) {
    let gpu = &pack.gpu;
    let rates = [
        ("memory_bandwidth", gpu.memory_bandwidth, 1e9),
        ("bf16_flops", gpu.bf16_flops, 1e9),
        ("fp8_flops", gpu.fp8_flops, 0.0),
        ("fp4_flops", gpu.fp4_flops, 0.0),
        ("link_bandwidth", gpu.link_bandwidth, 1e6),
    ];
    for (name, rate, least) in rates {
        faults.require(
            rate >= least && rate <= 1e18,
            || format!("$.gpu.{name}"),
            || format!("{rate:?} must be from {least:?} to 1e18"),
        );
    }
    let bytes = gpu.memory_bytes;
    faults.require(
        (1 << 30..=1 << 43).contains(&bytes),
        || "$.gpu.memory_bytes".to_string(),
        || format!("{bytes} must be from 1 GiB to 8 TiB"),
    );
    let is_key = !gpu.key.is_empty()
        && gpu.key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    faults.require(is_key, || "$.gpu.key".to_string(), || "must be small letters, digits and dashes".to_string());
}

/// Readings in the order of their time; a rate of some number format, below any GPU's.
fn under_load(load: &UnderLoad, path: &str, faults: &mut Faults) {
    faults.require(
        NumberFormat::of_table(&load.format).is_some(),
        || format!("{path}.format"),
        || format!("`{}` is no number format of products", load.format),
    );
    faults.require(
        load.shape.len() == 3 && load.shape.iter().all(|&size| size > 0),
        || format!("{path}.shape"),
        || format!("{:?} must be outputs, inputs and rows, above 0", load.shape),
    );
    let grows = load.readings.windows(2).all(|pair| pair[0].after_s < pair[1].after_s);
    faults.require(
        (2..=MAX_POINTS).contains(&load.readings.len()) && grows,
        || format!("{path}.readings"),
        || format!("must be from 2 to {MAX_POINTS}, each after a longer load"),
    );
    for (place, reading) in load.readings.iter().enumerate() {
        let limits = [
            ("after_s", Some(reading.after_s), 0.0, MAX_LOAD_S),
            ("flops", Some(reading.flops), 1e9, 1e18),
            ("sm_clock_mhz", reading.sm_clock_mhz.map(f64::from), 1.0, 1e5),
            ("power_w", reading.power_w, 0.0, 1e5),
        ];
        for (name, value, least, most) in limits {
            faults.require(
                value.is_none_or(|value| (least..=most).contains(&value)),
                || format!("{path}.readings[{place}].{name}"),
                || format!("{:?} must be from {least:?} to {most:?}", value.unwrap_or(f64::NAN)),
            );
        }
    }
}

fn kind(operator: Operator, is_grid: bool, path: &str, faults: &mut Faults) {
    faults.require(
        operator.is_grid() == is_grid,
        || format!("{path}.operator"),
        || format!("{} stands among the {}", operator.name(), if is_grid { "curves" } else { "grids" }),
    );
}

fn axis(points: &[u32], path: &str, faults: &mut Faults) {
    let grows = points.windows(2).all(|pair| pair[0] < pair[1]) && points.first().is_some_and(|&first| first > 0);
    faults.require(
        (2..=MAX_POINTS).contains(&points.len()) && grows,
        || path.to_string(),
        || format!("must be from 2 to {MAX_POINTS} growing counts above 0"),
    );
}

fn shapes(operator: Operator, shapes: &[Vec<u32>], path: &str, faults: &mut Faults) {
    faults.require(
        (1..=MAX_SHAPES).contains(&shapes.len()),
        || format!("{path}.shapes"),
        || format!("{} shapes; must be from 1 to {MAX_SHAPES}", shapes.len()),
    );
    for (place, shape) in shapes.iter().enumerate() {
        let wanted = operator.num_sizes();
        // A window may be absent; every other size is at least 1.
        let sizes = if operator.num_sizes() == 4 { shape.get(..3).unwrap_or(shape) } else { shape };
        faults.require(
            shape.len() == wanted && sizes.iter().all(|&size| size > 0),
            || format!("{path}.shapes[{place}]"),
            || format!("{shape:?} must be {wanted} numbers above 0"),
        );
    }
}

fn curve_times(table: &CurveTable, path: &str, faults: &mut Faults) {
    let num_shapes = table.shapes.len();
    faults.require(
        table.time_us.len() == num_shapes,
        || format!("{path}.time_us"),
        || format!("{} rows; there are {num_shapes} shapes", table.time_us.len()),
    );
    for (place, row) in table.time_us.iter().enumerate() {
        row_times(row, table.counts.len(), &format!("{path}.time_us[{place}]"), faults);
    }
}

fn grid_times(table: &GridTable, path: &str, faults: &mut Faults) {
    let num_shapes = table.shapes.len();
    faults.require(
        table.time_us.len() == num_shapes,
        || format!("{path}.time_us"),
        || format!("{} grids; there are {num_shapes} shapes", table.time_us.len()),
    );
    for (place, grid) in table.time_us.iter().enumerate() {
        let path = format!("{path}.time_us[{place}]");
        faults.require(
            grid.len() == table.num_seqs.len(),
            || path.clone(),
            || format!("{} rows; num_seqs has {} points", grid.len(), table.num_seqs.len()),
        );
        let mut longest = usize::MAX;
        for (number, row) in grid.iter().enumerate() {
            let path = format!("{path}[{number}]");
            row_times(row, table.context_tokens.len(), &path, faults);
            let measured = row.iter().take_while(|time| time.is_some()).count();
            let is_stairs = measured <= longest && row.iter().skip(measured).all(Option::is_none);
            faults.require(is_stairs, || path, || "only the end of a row may be null, no later than above".to_string());
            longest = measured;
        }
    }
}

/// Times of a row: above 0, not falling.
fn row_times(row: &[Option<f64>], wanted: usize, path: &str, faults: &mut Faults) {
    faults.require(
        row.len() == wanted,
        || path.to_string(),
        || format!("{} entries; the axis has {wanted} points", row.len()),
    );
    let mut before = 0.0;
    for time in row.iter().flatten() {
        faults.require(
            *time > 0.0 && *time >= before && *time <= MAX_TIME_US,
            || path.to_string(),
            || {
                format!(
                    "{time:?} must be above 0, at least {before:?}, the time before it, and at most {MAX_TIME_US:?}"
                )
            },
        );
        before = *time;
    }
}
