//! The requests of a run, class by class: goodput by each class's own objectives, and latencies.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Write};

use crate::math;
use crate::metrics::bench_outputs::{BenchOutputs, RequestOutput};
use crate::metrics::distribution::{Distribution, Percentile};
use crate::metrics::goodput::Goodput;
use crate::metrics::python_float::JsonFloat;
use crate::metrics::python_json::write_string;
use crate::metrics::request_metrics::tpot;
use crate::workload::mixture::Classes;

/// What is told of one class, or of all together.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassMetrics {
    /// The class; `all` for all together.
    pub name: String,
    /// Its objectives; of all together none, as each request is held against its own.
    pub goodput: Goodput,
    /// Requests sent.
    pub num_requests: u64,
    /// Of these, requests answered.
    pub completed: u64,
    /// Of these, requests that met the objectives of their class.
    pub num_good: u64,
    /// Answered requests per second.
    pub request_throughput: f64,
    /// Good requests per second.
    pub request_goodput: f64,
    /// Generated tokens per second.
    pub output_throughput: f64,
    /// TTFT, TPOT and E2EL, in milliseconds: mean, P50 and P99 each; zeros where there is none.
    pub latencies_ms: [[f64; 3]; 3],
}

/// The names of [`ClassMetrics::latencies_ms`].
const LATENCIES: [&str; 3] = ["ttft", "tpot", "e2el"];

impl ClassMetrics {
    /// Share of the requests that met their objectives; 1 without requests.
    #[must_use]
    pub fn share_good(&self) -> f64 {
        if self.num_requests == 0 {
            return 1.0;
        }
        math::u64_to_f64(self.num_good) / math::u64_to_f64(self.num_requests)
    }
}

impl Classes {
    /// The objectives of a request: those of its class, else `of_all`.
    #[must_use]
    pub fn goodput(&self, request: usize, of_all: Goodput) -> Goodput {
        let class = self.of_request.get(request).and_then(|&class| self.list.get(usize::from(class)));
        class.and_then(|class| class.goodput).unwrap_or(of_all)
    }

    /// Every class, in order, and last all together. `of_all` are the objectives of classes without their own.
    #[must_use]
    pub fn metrics(&self, outputs: &impl BenchOutputs, of_all: Goodput) -> Vec<ClassMetrics> {
        let mut tallies: Vec<Tally> = core::iter::repeat_with(Tally::default).take(self.list.len() + 1).collect();
        for request in 0..outputs.num_requests() {
            let output = outputs.output(request);
            let is_good = self.goodput(request, of_all).is_met(&output);
            let class = self.of_request.get(request).map_or(self.list.len(), |&class| usize::from(class));
            for place in [class, self.list.len()] {
                if let Some(tally) = tallies.get_mut(place) {
                    tally.take(&output, is_good);
                }
            }
        }
        let names = self.list.iter().map(|class| (class.name.clone(), class.goodput.unwrap_or(of_all)));
        let names = names.chain([("all".to_string(), Goodput::default())]);
        let duration = outputs.duration();
        names.zip(tallies).map(|((name, goodput), tally)| tally.told(name, goodput, duration)).collect()
    }
}

/// What is counted of a class.
#[derive(Default)]
struct Tally {
    num_requests: u64,
    completed: u64,
    num_good: u64,
    num_tokens: u64,
    samples: [Vec<f64>; 3],
}

impl Tally {
    fn take(&mut self, output: &RequestOutput<'_>, is_good: bool) {
        self.num_requests += 1;
        self.num_good += u64::from(is_good);
        if output.success {
            self.completed += 1;
            self.num_tokens += u64::from(output.output_len);
            let latencies =
                [Some(output.ttft), tpot(output.latency, output.ttft, output.output_len), Some(output.latency)];
            for (samples, latency) in self.samples.iter_mut().zip(latencies) {
                samples.extend(latency);
            }
        }
    }

    fn told(self, name: String, goodput: Goodput, duration: f64) -> ClassMetrics {
        let per_second = |count: u64| if duration > 0.0 { math::u64_to_f64(count) / duration } else { 0.0 };
        let statistics = |samples: Vec<f64>| {
            let distribution = Distribution::from_samples(samples);
            let p99 = Percentile::new(99.0).map_or(0.0, |percentile| distribution.percentile(percentile));
            [distribution.mean(), distribution.median(), p99].map(|seconds| 1000.0 * seconds)
        };
        ClassMetrics {
            name,
            goodput,
            num_requests: self.num_requests,
            completed: self.completed,
            num_good: self.num_good,
            request_throughput: per_second(self.completed),
            request_goodput: per_second(self.num_good),
            output_throughput: per_second(self.num_tokens),
            latencies_ms: self.samples.map(statistics),
        }
    }
}

/// A table of classes, a line each.
#[must_use]
pub fn table(classes: &[ClassMetrics]) -> String {
    let mut text = String::new();
    let width = classes.iter().map(|class| class.name.chars().count()).max().unwrap_or(0).max(5);
    let head = ["requests", "good", "good/s", "tokens/s", "TTFT P50", "P99", "TPOT P50", "P99", "E2EL P99"];
    // Writing to a String cannot fail.
    let mut line = |name: &str, cells: [String; 9]| {
        write!(text, "{name:<width$}").unwrap_or_default();
        for cell in cells {
            write!(text, "{cell:>10}").unwrap_or_default();
        }
        text.push('\n');
    };
    line("class", head.map(ToString::to_string));
    for class in classes {
        let [ttft, tpot, e2el] = class.latencies_ms;
        let ms = |milliseconds: f64| alloc::format!("{milliseconds:.1}");
        line(
            &class.name,
            [
                class.num_requests.to_string(),
                alloc::format!("{:.1} %", 100.0 * class.share_good()),
                alloc::format!("{:.3}", class.request_goodput),
                alloc::format!("{:.1}", class.output_throughput),
                ms(ttft[1]),
                ms(ttft[2]),
                ms(tpot[1]),
                ms(tpot[2]),
                ms(e2el[2]),
            ],
        );
    }
    text
}

/// Writes the classes as a JSON list.
pub(super) fn write_json(classes: &[ClassMetrics], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_char('[')?;
    for (place, class) in classes.iter().enumerate() {
        f.write_str(if place == 0 { "{\"name\": " } else { ", {\"name\": " })?;
        write_string(f, &class.name)?;
        write!(
            f,
            ", \"num_requests\": {}, \"completed\": {}, \"num_good\": {}",
            class.num_requests, class.completed, class.num_good
        )?;
        let rates = [
            ("request_throughput", class.request_throughput),
            ("request_goodput", class.request_goodput),
            ("output_throughput", class.output_throughput),
        ];
        for (key, rate) in rates {
            write!(f, ", \"{key}\": {}", JsonFloat(rate))?;
        }
        for (name, values) in LATENCIES.iter().zip(class.latencies_ms) {
            for (statistic, value) in ["mean", "median", "p99"].iter().zip(values) {
                write!(f, ", \"{statistic}_{name}_ms\": {}", JsonFloat(value))?;
            }
        }
        let Goodput { ttft_ms, tpot_ms, e2el_ms } = class.goodput;
        for (name, bound) in LATENCIES.iter().zip([ttft_ms, tpot_ms, e2el_ms]) {
            if let Some(bound) = bound {
                write!(f, ", \"goodput_{name}_ms\": {}", JsonFloat(bound))?;
            }
        }
        f.write_char('}')?;
    }
    f.write_char(']')
}
