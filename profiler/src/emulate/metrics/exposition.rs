//! The text of `/metrics`, as Prometheus' Python client writes it: families in vLLM's order, labels by name.

use std::fmt::Write as _;

use super::Metrics;
use super::histogram::Histogram;

/// Text under way. Writing into a string cannot fail.
pub(super) struct Text<'a> {
    out: String,
    /// `engine` and `model_name`.
    labels: &'a str,
    created: f64,
}

impl Text<'_> {
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}").unwrap_or_default();
    }

    fn sample(&mut self, name: &str, further: &str, value: f64) {
        let labels = self.labels;
        writeln!(self.out, "{name}{{{labels}{further}}} {value:?}").unwrap_or_default();
    }

    fn gauge(&mut self, name: &str, help: &str, samples: &[(&str, f64)]) {
        self.head(name, help, "gauge");
        samples.iter().for_each(|(further, value)| self.sample(name, further, *value));
    }

    fn counter(&mut self, name: &str, help: &str, samples: &[(&str, u64)]) {
        let samples: Vec<_> = samples.iter().map(|&(further, value)| (further, value as f64)).collect();
        self.counter_of_numbers(name, help, &samples);
    }

    pub(super) fn counter_of_numbers(&mut self, name: &str, help: &str, samples: &[(&str, f64)]) {
        let total = format!("{name}_total");
        self.head(&total, help, "counter");
        samples.iter().for_each(|(further, value)| self.sample(&total, further, *value));
        self.created(name, help, samples.iter().map(|(further, _)| *further));
    }

    pub(super) fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.histograms(name, help, &[("", histogram)]);
    }

    pub(super) fn histograms(&mut self, name: &str, help: &str, histograms: &[(&str, &Histogram)]) {
        self.head(name, help, "histogram");
        let bucket = format!("{name}_bucket");
        for (further, histogram) in histograms {
            for (bound, count) in histogram.cumulative() {
                let bound = if bound.is_finite() { format!("{bound:?}") } else { "+Inf".to_owned() };
                self.sample(&bucket, &format!("{further},le=\"{bound}\""), count as f64);
            }
            self.sample(&format!("{name}_count"), further, histogram.count() as f64);
            self.sample(&format!("{name}_sum"), further, histogram.sum());
        }
        self.created(name, help, histograms.iter().map(|(further, _)| *further));
    }

    fn created<'a>(&mut self, name: &str, help: &str, samples: impl Iterator<Item = &'a str>) {
        let name = format!("{name}_created");
        self.head(&name, help, "gauge");
        let created = self.created;
        samples.for_each(|further| self.sample(&name, further, created));
    }
}

impl Metrics {
    /// The text.
    pub(crate) fn exposition(&self) -> String {
        let labels = format!("engine=\"0\",model_name=\"{}\"", escaped(&self.model_name));
        let mut text = Text { out: String::with_capacity(32 * 1024), labels: &labels, created: self.created };
        self.gauges(&mut text);
        self.drafter(&mut text);
        self.counters(&mut text);
        self.counts(&mut text);
        self.intervals(&mut text);
        if let Some(offloading) = &self.offloading {
            offloading.write(&mut text);
        }
        self.info(&mut text.out);
        text.out
    }

    fn gauges(&self, text: &mut Text<'_>) {
        let (running, waiting) = (f64::from(self.num_running_reqs), f64::from(self.num_waiting_reqs));
        text.gauge("vllm:num_requests_running", "Number of requests in model execution batches.", &[("", running)]);
        text.gauge("vllm:num_requests_waiting", "Number of requests waiting to be processed.", &[("", waiting)]);
        let deferred = f64::from(self.num_deferred_reqs);
        let reasons = [(",reason=\"capacity\"", waiting - deferred), (",reason=\"deferred\"", deferred)];
        text.gauge("vllm:num_requests_waiting_by_reason", "Number of waiting requests by reason.", &reasons);
        let states = [
            (",sleep_state=\"awake\"", 1.0),
            (",sleep_state=\"weights_offloaded\"", 0.0),
            (",sleep_state=\"discard_all\"", 0.0),
        ];
        text.gauge("vllm:engine_sleep_state", "Engine sleep state; awake = 1 means engine is awake.", &states);
        let help = "KV-cache usage. 1 means 100 percent usage.";
        text.gauge("vllm:kv_cache_usage_perc", help, &[("", self.kv_cache_usage)]);
    }

    fn drafter(&self, text: &mut Text<'_>) {
        let Some(drafts) = &self.drafts else { return };
        text.counter("vllm:spec_decode_num_drafts", "Number of spec decoding drafts.", &[("", drafts.num_drafts)]);
        let sums = [
            ("vllm:spec_decode_num_draft_tokens", "Number of draft tokens.", drafts.num_draft_tokens),
            ("vllm:spec_decode_num_accepted_tokens", "Number of accepted tokens.", drafts.num_accepted_tokens),
        ];
        sums.into_iter().for_each(|(name, help, value)| text.counter(name, help, &[("", value)]));
        let labels: Vec<String> =
            (0..drafts.accepted_per_position.len()).map(|position| format!(",position=\"{position}\"")).collect();
        let samples: Vec<(&str, u64)> =
            labels.iter().map(String::as_str).zip(drafts.accepted_per_position.iter().copied()).collect();
        text.counter("vllm:spec_decode_num_accepted_tokens_per_pos", "Accepted tokens per draft position.", &samples);
    }

    fn counters(&self, text: &mut Text<'_>) {
        let (prompt, cached) = (self.prompt_tokens, self.cached_prompt_tokens);
        let (external, loaded, [host, disk]) = self.loaded();
        let plain = [
            (
                "vllm:prefix_cache_queries",
                "Prefix cache queries, in terms of number of queried tokens.",
                self.prefix_cache_queries,
            ),
            (
                "vllm:prefix_cache_hits",
                "Prefix cache hits, in terms of number of cached tokens.",
                self.prefix_cache_hits,
            ),
            (
                "vllm:external_prefix_cache_queries",
                "External prefix cache queries from KV connector.",
                external.num_queried_tokens,
            ),
            (
                "vllm:external_prefix_cache_hits",
                "External prefix cache hits from KV connector.",
                external.num_hit_tokens,
            ),
            ("vllm:mm_cache_queries", "Multi-modal cache queries, in terms of number of queried items.", 0),
            ("vllm:mm_cache_hits", "Multi-modal cache hits, in terms of number of cached items.", 0),
            ("vllm:num_preemptions", "Cumulative number of preemption from the engine.", self.num_preemptions),
            ("vllm:prompt_tokens", "Number of prefill tokens processed.", prompt),
        ];
        plain.into_iter().for_each(|(name, help, value)| text.counter(name, help, &[("", value)]));
        let sources = [
            (",source=\"local_compute\"", prompt - cached),
            (",source=\"local_cache_hit\"", cached - loaded),
            (",source=\"external_kv_transfer\"", loaded),
        ];
        text.counter("vllm:prompt_tokens_by_source", "Number of prompt tokens by source.", &sources);
        text.counter(
            "vllm:prompt_tokens_cached",
            "Number of cached prompt tokens (local + external).",
            &[("", cached)],
        );
        let tiers = [
            (",source=\"device\"", self.prefix_cache_hits),
            (",source=\"host\"", host),
            (",source=\"p2p\"", 0),
            (",source=\"disk\"", disk),
            (",source=\"external_unspecified\"", 0),
        ];
        text.counter("vllm:prompt_tokens_cached_by_source", "Prefix-cache hit tokens by cache tier.", &tiers);
        text.counter(
            "vllm:generation_tokens",
            "Number of generation tokens processed.",
            &[("", self.generation_tokens)],
        );
        let [stop, length, abort, error] = self.finished;
        let reasons = [
            (",finished_reason=\"stop\"", stop),
            (",finished_reason=\"length\"", length),
            (",finished_reason=\"abort\"", abort),
            (",finished_reason=\"error\"", error),
            (",finished_reason=\"repetition\"", 0),
        ];
        text.counter("vllm:request_success", "Count of successfully processed requests.", &reasons);
        // Of the front end, which knows no engine.
        let model_name = format!("model_name=\"{}\"", escaped(&self.model_name));
        let mut front_end = Text { out: std::mem::take(&mut text.out), labels: &model_name, created: text.created };
        let [reqs, tokens] = self.rejections;
        let reasons = [(",reason=\"max_num_queued_reqs\"", reqs), (",reason=\"max_num_queued_tokens\"", tokens)];
        let help = "Number of admission attempts rejected by a queue limit, by reason.";
        front_end.counter("vllm:admission_rejections", help, &reasons);
        text.out = front_end.out;
    }

    fn counts(&self, text: &mut Text<'_>) {
        let all = &self.histograms;
        let families = [
            ("vllm:request_prompt_tokens", "Number of prefill tokens processed.", &all.prompt_tokens),
            ("vllm:request_generation_tokens", "Number of generation tokens processed.", &all.generation_tokens),
            ("vllm:iteration_tokens_total", "Histogram of number of tokens per engine_step.", &all.iteration_tokens),
            (
                "vllm:request_max_num_generation_tokens",
                "Histogram of maximum number of requested generation tokens.",
                &all.max_num_generation_tokens,
            ),
            ("vllm:request_params_n", "Histogram of the n request parameter.", &all.params_n),
            (
                "vllm:request_params_max_tokens",
                "Histogram of the max_tokens request parameter.",
                &all.params_max_tokens,
            ),
        ];
        families.into_iter().for_each(|(name, help, histogram)| text.histogram(name, help, histogram));
    }

    fn intervals(&self, text: &mut Text<'_>) {
        let all = &self.histograms;
        let families = [
            ("time_to_first_token_seconds", "time to first token in seconds.", &all.time_to_first_token),
            ("inter_token_latency_seconds", "inter-token latency in seconds.", &all.inter_token_latency),
            (
                "request_time_per_output_token_seconds",
                "time_per_output_token_seconds per request.",
                &all.time_per_output_token,
            ),
            ("e2e_request_latency_seconds", "e2e request latency in seconds.", &all.e2e_latency),
            ("request_queue_time_seconds", "time spent in WAITING phase for request.", &all.queue_time),
            ("request_inference_time_seconds", "time spent in RUNNING phase for request.", &all.inference_time),
            ("request_prefill_time_seconds", "time spent in PREFILL phase for request.", &all.prefill_time),
            ("request_decode_time_seconds", "time spent in DECODE phase for request.", &all.decode_time),
            ("request_num_preemptions", "the number of times a request was preempted.", &all.num_preemptions),
            (
                "request_prefill_kv_computed_tokens",
                "new KV tokens computed during prefill (excluding cached tokens).",
                &all.prefill_kv_computed,
            ),
        ];
        for (name, help, histogram) in families {
            text.histogram(&format!("vllm:{name}"), &format!("Histogram of {help}"), histogram);
        }
    }

    fn info(&self, out: &mut String) {
        let cache = &self.cache;
        let caching = if cache.enable_prefix_caching { "True" } else { "False" };
        writeln!(
            out,
            "# HELP vllm:cache_config_info Information of the LLMEngine CacheConfig\n# TYPE vllm:cache_config_info \
             gauge\nvllm:cache_config_info{{block_size=\"{}\",enable_prefix_caching=\"{caching}\",engine=\"0\",\
             num_gpu_blocks=\"{}\"}} 1.0",
            cache.block_size, cache.num_gpu_blocks,
        )
        .unwrap_or_default();
    }
}

/// A label's value.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::super::CacheConfigInfo;
    use super::*;

    #[test]
    fn families_have_one_head_and_every_sample_its_labels() {
        let cache = CacheConfigInfo { block_size: 16, num_gpu_blocks: 100, enable_prefix_caching: true };
        let mut metrics = Metrics::new("a \"model\"".to_owned(), cache, 4096, 2);
        metrics.note_first_token(0.03);
        let text = metrics.exposition();
        let heads: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let mut unique = heads.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(heads.len(), unique.len(), "a family comes once");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (labels, value) = line.rsplit_once("} ").expect("labels");
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(labels.contains("model_name=\"a \\\"model\\\"\"") || labels.contains("block_size"), "{line}");
        }
        let expect =
            "vllm:time_to_first_token_seconds_bucket{engine=\"0\",model_name=\"a \\\"model\\\"\",le=\"0.04\"} 1.0";
        assert!(text.lines().any(|line| line == expect), "{text}");
        assert!(text.contains("spec_decode_num_accepted_tokens_per_pos_total"));
    }
}
