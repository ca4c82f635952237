//! What is reported, of the flags of `vllm bench serve`.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::ScenarioError;
use crate::metrics::bench_serve::{BenchServeOptions, LatencyMetric};
use crate::metrics::distribution::Percentile;
use crate::metrics::goodput::Goodput;
use crate::metrics::python_float;
use crate::operators::prices::Prices;

/// What is reported; the defaults are vLLM's.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReportArgs {
    goodput: Goodput,
    percentile_metrics: Option<Vec<LatencyMetric>>,
    metric_percentiles: Option<Vec<Percentile>>,
    prices: Prices,
}

impl ReportArgs {
    /// What is reported under these objectives.
    pub(super) fn of(goodput: Goodput) -> Self {
        Self { goodput, ..Self::default() }
    }

    /// The objectives.
    #[must_use]
    pub const fn goodput(&self) -> Goodput {
        self.goodput
    }

    /// Prices of GPUs that were given.
    #[must_use]
    pub const fn prices(&self) -> &Prices {
        &self.prices
    }

    /// The options the report of a run of `model_id` depends on; those of the traffic are left at their defaults.
    #[must_use]
    pub fn options(&self, model_id: String) -> BenchServeOptions {
        let defaults = BenchServeOptions::new(model_id);
        BenchServeOptions {
            goodput: self.goodput,
            percentile_metrics: self.percentile_metrics.clone().unwrap_or(defaults.percentile_metrics),
            metric_percentiles: self.metric_percentiles.clone().unwrap_or(defaults.metric_percentiles),
            ..defaults
        }
    }

    pub(super) fn set(&mut self, name: &'static str, text: &str) -> Result<(), ScenarioError> {
        match name {
            "goodput" => {
                self.goodput = Goodput::parse(text.split_ascii_whitespace()).map_err(ScenarioError::Goodput)?;
            }
            "percentile-metrics" => self.percentile_metrics = Some(metrics(text)?),
            "price" => {
                let need = "GPU=USD with a GPU that `profiler gpus` lists and US dollars above 0, as in h100-sxm=2.49";
                let prices = Prices::given(text);
                self.prices = prices.ok_or_else(|| ScenarioError::Value {
                    flag: "price",
                    value: text.into(),
                    need: need.into(),
                })?;
            }
            _ => self.metric_percentiles = Some(percentiles(text)?),
        }
        Ok(())
    }
}

fn metrics(list: &str) -> Result<Vec<LatencyMetric>, ScenarioError> {
    let metric = |key: &str| {
        LatencyMetric::from_key(key).ok_or_else(|| {
            let known = LatencyMetric::ALL.map(LatencyMetric::key).join(", ");
            ScenarioError::Value {
                flag: "percentile-metrics",
                value: key.into(),
                need: alloc::format!("a list of {known}"),
            }
        })
    };
    list.split(',').map(str::trim).map(metric).collect()
}

fn percentiles(list: &str) -> Result<Vec<Percentile>, ScenarioError> {
    let mut percentiles = vec![];
    for text in list.split(',').map(str::trim) {
        let percentile = python_float::parse(text).and_then(Percentile::new).ok_or_else(|| ScenarioError::Value {
            flag: "metric-percentiles",
            value: text.into(),
            need: "a list of numbers from 0 to 100".into(),
        })?;
        percentiles.push(percentile);
    }
    Ok(percentiles)
}
