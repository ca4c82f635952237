//! Options that are small languages of their own: `--random-range-ratio`, `--goodput`, and what is drawn of sessions.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sim_core::metrics::goodput::Goodput;
use sim_core::workload::draw::Draw;
use sim_core::workload::lengths::{RangeRatio, range_around};

fuzz_target!(|text: &str| {
    match RangeRatio::parse(text) {
        Ok(RangeRatio { input, output }) => {
            for ratio in [input, output] {
                assert!((0.0..1.0).contains(&ratio), "{ratio} is no ratio");
                let (low, high) = range_around(1000, ratio);
                assert!(low <= 1000 && (1000..=2000).contains(&high), "{ratio} gives {low} to {high}");
            }
        }
        Err(refused) => assert!(!refused.to_string().is_empty()),
    }
    match Draw::parse("think_time", text) {
        Ok(Draw::Uniform { low, high }) => assert!(0.0 <= low && low <= high && high <= 1e9, "{low}..{high}"),
        Ok(Draw::Fixed(number) | Draw::Exponential { mean: number } | Draw::LogNormal { mean: number, .. }) => {
            assert!((0.0..=1e9).contains(&number), "{number}");
        }
        Err(refused) => assert!(!refused.to_string().is_empty()),
    }
    match Goodput::parse(text.split(' ')) {
        Ok(goodput) => {
            let mut bounds = [goodput.ttft_ms, goodput.tpot_ms, goodput.e2el_ms].into_iter().flatten();
            assert!(!goodput.is_empty(), "an argument was lost");
            // vLLM accepts NaN, which no request meets.
            assert!(bounds.all(|bound| bound.is_nan() || bound >= 0.0), "{goodput:?}");
        }
        Err(refused) => assert!(!refused.to_string().is_empty()),
    }
});
