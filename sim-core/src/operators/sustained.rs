//! What a GPU keeps multiplying, against what it reaches in a burst.
//!
//! Operators are timed in bursts of milliseconds after a rest, at the highest clock. Under dense products a GPU draws all
//! the power that it may within 5 to 40 ms, and its clock falls until it draws no more: on a B200 from 1965 to 1340 MHz, on
//! an H200 from 1980 to 1465. What is limited then is not the clock of a kernel but operations per second, as each costs
//! energy: shapes that hold a higher clock at the limit multiply no faster (on an H200 one of 2816 × 1536 kept up 727, 741
//! and 749 TFLOPS at 20480, 10240 and 6144 inputs, at clocks up to 1879 MHz). So the rule is a ceiling: a product takes no
//! less than its operations at the rate that the GPU keeps up. It acts where a product computes; one that waits for memory,
//! as in a decode, is far below (an H200 decodes at 137 to 300 W of its 700). A pass that reaches the ceiling takes tens of
//! milliseconds, or others like it stand beside it: no share of busy time is asked for.
//!
//! The rate is the pack's own where it was measured ([`Pack::sustained`]), else a published one, else not known, and then
//! nothing is changed. Attention and experts keep their bursts: for neither is a sustained rate published by GPU.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;

use super::format::NumberFormat;
use super::schema::Pack;
use crate::profile::from_json::objects;
use crate::profile::schema::Source;

/// A dense product's rate in one number format, while a load goes on: the measurement of a pack.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct UnderLoad {
    /// Number format, as products' tables have it.
    pub format: String,
    /// Outputs, inputs and rows of the product.
    pub shape: Vec<u32>,
    /// What was seen, from the first burst after a rest to the end of the load.
    pub readings: Vec<LoadReading>,
}

/// How fast a product is after some time of load.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct LoadReading {
    /// Seconds of load before it; 0 is the burst after a rest.
    pub after_s: f64,
    /// Operations per second.
    pub flops: f64,
    /// Clock of the multiprocessors in MHz; `null` if the driver did not say.
    pub sm_clock_mhz: Option<u32>,
    /// Power in watts; `null` if the driver did not say.
    pub power_w: Option<f64>,
}

objects! {
    UnderLoad { format, shape, readings }
    LoadReading { after_s, flops, sm_clock_mhz, power_w }
}

/// What a published rate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Evidence {
    /// Of this GPU, its clock settled under load.
    Settled,
    /// Of another with the same chip and the same power, settled.
    SameChip,
    /// The best mean of 100 runs after a warm-up: what is kept up is no more.
    Bound,
}

/// What somebody published of a GPU.
#[derive(Debug)]
struct Published {
    key: &'static str,
    /// TFLOPS in 16 and in 8 bits, 0 if not known.
    teraflops: [f64; 2],
    evidence: Evidence,
}

const fn of(key: &'static str, teraflops: [f64; 2], evidence: Evidence) -> Published {
    Published { key, teraflops, evidence }
}

/// Stas Bekman's Machine Learning Engineering, `compute/accelerator` (August and September 2026). Bursts and sustained rates
/// side by side, in 16 bits: H200 843 to 850 and 743 to 746, B200 1682 to 1705 and 1421 to 1428; in 8 bits: H200 1492 and
/// 1335, B200 3435 and 2796. An MI300X reaches its 750 W within one product and has no burst. Not known: L40S, RTX PRO 6000,
/// GB300, and every GPU that is not in this list.
const PUBLISHED: &[Published] = &[
    of("h200-sxm", [745.0, 1335.0], Evidence::Settled),
    of("b200-sxm", [1425.0, 2796.0], Evidence::Settled),
    of("mi300x", [668.4, 0.0], Evidence::Settled),
    of("h100-sxm", [745.0, 1335.0], Evidence::SameChip),
    of("b300-sxm", [1769.0, 3353.3], Evidence::Bound),
    of("gb200", [1822.0, 3615.6], Evidence::Bound),
    of("a100-sxm", [271.2, 0.0], Evidence::Bound),
    of("mi325x", [784.9, 0.0], Evidence::Bound),
    of("mi355x", [1565.0, 0.0], Evidence::Bound),
];

fn published(pack: &Pack) -> Option<&'static Published> {
    PUBLISHED.iter().find(|line| line.key == pack.gpu.key)
}

/// Which of the two widths units multiply in for a format; `None` for 4 bits, of which nothing is published.
fn width(format: NumberFormat, pack: &Pack) -> Option<usize> {
    match format {
        NumberFormat::Bf16 | NumberFormat::Mxfp4 | NumberFormat::Int4 => Some(0),
        NumberFormat::Nvfp4 if pack.gpu.fp4_flops > 0.0 => None,
        NumberFormat::Nvfp4 => Some(0),
        _ => Some(usize::from(pack.gpu.fp8_flops > 0.0)),
    }
}

/// Operations per second that products in `format` keep up on the pack's GPU; `None` if that is not known.
#[must_use]
pub fn flops(pack: &Pack, format: NumberFormat) -> Option<f64> {
    let width = width(format, pack)?;
    let name = [NumberFormat::Bf16, NumberFormat::Fp8][width].table();
    let own = pack.sustained.iter().find(|load| load.format == name).and_then(|load| load.readings.last());
    let teraflops = published(pack).map(|line| line.teraflops[width]).filter(|&rate| rate > 0.0);
    own.map(|reading| reading.flops).or_else(|| teraflops.map(|rate| rate * 1e12))
}

/// Where a pack's rates come from, if they are published ones.
#[must_use]
pub fn source(pack: &Pack) -> Option<Source> {
    (pack.sustained.is_empty() && published(pack).is_some()).then(|| Source {
        name: "Machine Learning Engineering".to_owned(),
        version: "sustained rates of August 2026".to_owned(),
        licence: "CC-BY-SA-4.0 (figures only)".to_owned(),
        url: "https://github.com/stas00/ml-engineering/tree/master/compute/accelerator".to_owned(),
    })
}

/// For a profile's notes.
#[must_use]
pub fn note(pack: &Pack) -> String {
    let in_words = |format: NumberFormat, words: &str| {
        flops(pack, format).map(|rate| format!("{:.0} TFLOPS in {words}", rate / 1e12))
    };
    let rates = [in_words(NumberFormat::Bf16, "16 bits"), in_words(NumberFormat::Fp8, "8 bits")];
    let mut rates: Vec<String> = rates.into_iter().flatten().collect();
    if pack.gpu.fp8_flops == 0.0 {
        rates.truncate(1);
    }
    let whose = match (pack.sustained.is_empty(), published(pack).map(|line| line.evidence)) {
        (false, _) => "measured on this GPU after a time of load",
        (true, Some(Evidence::Settled)) => "published for this GPU with its clock settled under load",
        (true, Some(Evidence::SameChip)) => {
            "published for a GPU with the same chip and power, its clock settled under load"
        }
        (true, Some(Evidence::Bound)) => {
            "the best published mean after a warm-up, which is no less than what is kept up"
        }
        (true, None) => {
            return "What this GPU's clock falls to under a long load of products is not known: their times are those of \
                    bursts."
                .to_owned();
        }
    };
    format!(
        "Products are no faster than what the GPU keeps up at its power limit, {}: {whose}. Attention and experts are as \
         measured in bursts.",
        rates.join(" and ")
    )
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;
    use alloc::vec;

    use super::{LoadReading, PUBLISHED, UnderLoad, flops, note};
    use crate::operators::format::NumberFormat::{self, Bf16, Fp8, Int4, Nvfp4};
    use crate::operators::gpu_table;
    use crate::operators::products::Products;
    use crate::operators::schema::Pack;
    use crate::operators::transfer_tests::pack;

    fn pack_of(key: &str) -> Pack {
        pack(&gpu_table::find(key).expect("a known GPU"))
    }

    #[track_caller]
    fn check(key: &str, format: NumberFormat, expect: Option<f64>) {
        assert_eq!(flops(&pack_of(key), format).map(|rate| rate / 1e12), expect, "{key} {format:?}");
    }

    #[test]
    fn rates_are_those_of_the_units_that_multiply() {
        check("b200-sxm", Bf16, Some(1425.0));
        check("b200-sxm", Int4, Some(1425.0));
        check("b200-sxm", Fp8, Some(2796.0));
        check("b200-sxm", Nvfp4, None);
        check("h100-sxm", Nvfp4, Some(745.0));
        check("a100-sxm", Fp8, Some(271.2));
        check("l40s", Bf16, None);
    }

    #[test]
    fn every_published_rate_is_of_a_known_gpu_and_below_its_peak() {
        for line in PUBLISHED {
            let gpu = gpu_table::find(line.key).expect("a known GPU");
            for (rate, peak) in line.teraflops.into_iter().zip([gpu.bf16_flops, gpu.fp8_flops]) {
                assert!(rate * 1e12 <= peak, "{} {rate}", line.key);
            }
        }
    }

    #[test]
    fn what_a_pack_measured_itself_stands_before_what_is_published() {
        let mut own = pack_of("h200-sxm");
        let reading = |after_s, flops| LoadReading { after_s, flops, sm_clock_mhz: Some(1500), power_w: Some(699.0) };
        let readings = vec![reading(0.0, 8e14), reading(60.0, 7e14)];
        own.sustained = vec![UnderLoad { format: "bfloat16".to_string(), shape: vec![8192, 8192, 8192], readings }];
        assert_eq!(flops(&own, Bf16), Some(7e14));
        assert_eq!(flops(&own, Fp8), Some(1335e12), "not measured in 8 bits");
        assert!(note(&own).contains("700 TFLOPS in 16 bits") && note(&own).contains("measured on this GPU"));
    }

    fn loaded(readings: &[(f64, f64)]) -> Pack {
        let mut pack = pack_of("h200-sxm");
        let reading = |&(after_s, flops)| LoadReading { after_s, flops, sm_clock_mhz: None, power_w: None };
        let readings = readings.iter().map(reading).collect();
        pack.sustained = vec![UnderLoad { format: "fp8".to_string(), shape: vec![8192; 3], readings }];
        pack
    }

    #[track_caller]
    fn check_refused(pack: &Pack, path: &str) {
        let error = pack.validate().expect_err("a fault").to_string();
        assert!(error.contains(path), "{error}\nwithout {path}");
    }

    #[test]
    fn a_load_is_read_back_as_it_was_written_and_a_pack_without_one_has_no_such_field() {
        let pack = loaded(&[(0.0, 1.5e15), (60.0, 1.3e15)]);
        let file = pack.to_json().expect("a file");
        assert_eq!(Pack::from_json(file.as_bytes()).expect("a pack"), pack);
        let file = pack_of("h200-sxm").to_json().expect("a file");
        assert!(!file.contains("sustained"));
        assert!(Pack::from_json(file.as_bytes()).is_ok());
    }

    #[test]
    fn a_load_that_cannot_be_is_refused_by_its_place() {
        check_refused(&loaded(&[(0.0, 1e15)]), "$.sustained[0].readings: must be from 2");
        check_refused(&loaded(&[(9.0, 1e15), (1.0, 1e15)]), "$.sustained[0].readings: ");
        check_refused(&loaded(&[(0.0, 1e15), (1.0, f64::NAN)]), "$.sustained[0].readings[1].flops");
        check_refused(&loaded(&[(0.0, 1e15), (1e9, 1e15)]), "$.sustained[0].readings[1].after_s");
        let mut wrong = loaded(&[(0.0, 1e15), (1.0, 1e15)]);
        wrong.sustained[0].format = "fp7".to_string();
        check_refused(&wrong, "$.sustained[0].format");
        wrong.sustained[0].shape = vec![8192, 0, 8192];
        check_refused(&wrong, "$.sustained[0].shape");
    }

    const SIDE: f64 = 4096.0;

    /// What a product of 4096 × 4096 takes, in microseconds.
    fn product_us(pack: &Pack, rows: f64) -> f64 {
        Products::new(pack).find((4096, 4096), Bf16).expect("products").series.at(rows)
    }

    #[test]
    fn a_product_that_computes_is_no_faster_than_what_is_kept_up_and_one_that_waits_for_memory_stays() {
        // Of the test's pack products take what the maker's peaks allow.
        let (burst, kept) = (pack_of("l40s"), pack_of("a100-sxm"));
        assert!((product_us(&burst, 4096.0) - 2e6 * SIDE * SIDE * SIDE / burst.gpu.bf16_flops - 2.0).abs() < 0.01);
        assert!((product_us(&kept, 4096.0) - 2e6 * SIDE * SIDE * SIDE / 271.2e12).abs() < 0.01);
        let waits = 2e6 * (SIDE * SIDE + 2.0 * SIDE) / kept.gpu.memory_bandwidth + 2.0;
        assert!((product_us(&kept, 1.0) - waits).abs() < 0.01, "{} {waits}", product_us(&kept, 1.0));
    }

    #[test]
    fn notes_say_what_kind_of_figure_it_is() {
        for (key, part) in [
            ("b200-sxm", "published for this GPU"),
            ("h100-sxm", "same chip"),
            ("a100-sxm", "no less than"),
            ("rtx-pro-6000", "not known"),
        ] {
            assert!(note(&pack_of(key)).contains(part), "{key}: {}", note(&pack_of(key)));
        }
        assert!(!note(&pack_of("a100-sxm")).contains("8 bits"));
    }
}
