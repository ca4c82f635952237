//! What a run is told as: the table of `vllm bench serve`, what stands around it, and files.

use std::fmt::{Display, Write as _};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use sim_core::answers::cost::Cost;
use sim_core::config::ResolvedEngine;
use sim_core::metrics::bench_json::{ResultJson, SaveResult, Simulation, result_filename};
use sim_core::metrics::bench_outputs::RecordedOutputs;
use sim_core::metrics::bench_serve::{BenchServeOptions, BenchmarkMetrics};
use sim_core::metrics::bench_table::table;
use sim_core::metrics::by_class::{self, ClassMetrics};
use sim_core::metrics::chrome_trace::write_chrome_trace;
use sim_core::metrics::digest::digest;
use sim_core::metrics::kv_tiers::KvTiers;
use sim_core::metrics::request_csv::write_request_csv;
use sim_core::profile::Profile;
use sim_core::scenario::told::{self, EngineSetting};
use sim_core::scenario::{EnginesResult, Scenario};
use sim_core::simulation_result::SimulationResult;
use sim_core::workload::mixture::Classes;

use super::cost;
use super::ends::Ends;
use super::engines::Told as _;
use super::profile_choice::{Origin, ProfileChoice};
use super::report_flags::ReportFlags;

/// A run and what it was made of.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) choice: &'a ProfileChoice,
    pub(crate) engine: &'a ResolvedEngine,
    pub(crate) workload_name: &'a str,
    pub(crate) options: &'a BenchServeOptions,
    /// What the run was made of: see `sim_core::scenario::repeat::stated_flags`.
    pub(crate) flags: &'a [(&'static str, String)],
    /// Fingerprint of the dataset's file, if it has one.
    pub(crate) dataset: Option<u64>,
    pub(crate) result: &'a SimulationResult,
    /// The same at both ends of the profile's range, where that is asked for.
    pub(crate) ends: Option<&'a Ends>,
    /// Which requests are of which class, where there are several.
    pub(crate) classes: Option<&'a Classes>,
    /// What came of each engine, where there are several.
    pub(crate) engines: Option<&'a EnginesResult>,
    /// What is run, for its prices.
    pub(crate) scenario: &'a Scenario,
}

impl Report<'_> {
    /// Where the numbers come from: what a reader must know before the table.
    pub(crate) fn heading(&self) -> String {
        let version = self.engine.config.vllm_version;
        let why = self.ends.map(|ends| ends.range.why.clone()).or_else(|| told::estimated(&self.choice.profile));
        let range = why.map_or_else(String::new, |why| format!("{why}.\n"));
        format!(
            "SIMULATED, not measured. Schedule: vLLM {version}, exact. Times: {}\n{range}Workload: {}.\n",
            times(self.choice),
            self.workload_name
        )
    }

    /// vLLM's table, then what the engine did, then how far figures may be off.
    pub(crate) fn body(&self, quiet: bool) -> String {
        let metrics = match &self.result.figures {
            Some(figures) => BenchmarkMetrics::of(figures, self.options),
            None => BenchmarkMetrics::of(&RecordedOutputs::without_itls(&self.result.recording), self.options),
        };
        let mut text = table(&metrics, self.options);
        if !text.ends_with('\n') {
            text.push('\n');
        }
        let classes = self.class_metrics();
        if !classes.is_empty() {
            text.push_str(&by_class::table(&classes));
            text.push('\n');
        }
        if let Some(cost) = self.cost(&metrics) {
            text.push_str(&format!("{:<40} {}\n", "Cost:", cost.as_ref().map_or_else(String::clone, Cost::told)));
        }
        if !quiet {
            text.push_str(&self.engine_lines());
            text.extend(self.engines.map(|engines| engines.text(&self.result.recording)));
        }
        if let Some(ends) = self.ends {
            text.push_str(&ends.text);
        }
        text
    }

    /// What the run costs, where a price is given; replicas that come and go cost their GPU hours, which their lines say.
    fn cost(&self, metrics: &BenchmarkMetrics) -> cost::Told {
        let of_engine = self.choice.profile.hardware.num_devices * self.engine.config.pipeline_parallel_size;
        let num_gpus = self.engines.map_or(Some(of_engine), |engines| engines.num_paid(of_engine))?;
        cost::of_run(self.scenario, self.choice, num_gpus, (metrics.request_throughput, metrics.output_throughput))
    }

    fn engine_lines(&self) -> String {
        let (mut summary, digest) = told::engine_summary_and_digest(&self.engine.config, self.result);
        // Each has a device of its own.
        summary.device_busy_share /= self.engines.map_or(1, EnginesResult::num_at_work) as f64;
        let tiers = KvTiers::of(&self.engine.config, self.result);
        let is_told = |name: &str| self.engines.is_none() || !told::OF_ONE_ENGINE.contains(&name);
        let lines = told::engine_lines(&summary, self.extrapolated_share()).into_iter();
        let lines = lines.filter(|(name, _)| is_told(name)).map(|(name, value)| (name.to_owned(), value));
        let lines = lines.chain(tiers.iter().flat_map(KvTiers::lines));
        let digest = ("Digest of the run".to_owned(), format!("{digest:016x}"));
        let mut text = String::new();
        for (name, value) in lines.chain([digest]) {
            let name = format!("{name}:");
            // Writing to a String cannot fail.
            writeln!(text, "{name:<40} {value}").unwrap_or_default();
        }
        text
    }

    fn extrapolated_share(&self) -> f64 {
        told::extrapolated_share(&self.result.device_time)
    }

    /// What is told of each class, and of all; empty where there are none.
    fn class_metrics(&self) -> Vec<ClassMetrics> {
        let outputs = RecordedOutputs::without_itls(&self.result.recording);
        self.classes.map(|classes| classes.metrics(&outputs, self.options.goodput)).unwrap_or_default()
    }

    /// Share of the requests that meet every objective, of their class where they have one.
    pub(crate) fn goodput_share(&self) -> f64 {
        if let Some(all) = self.class_metrics().last() {
            return all.share_good();
        }
        let goodput = &self.options.goodput;
        match &self.result.figures {
            Some(figures) => goodput.share_met(figures),
            None => goodput.share_met(&RecordedOutputs::without_itls(&self.result.recording)),
        }
    }

    /// Requests that never end under the engine's limits.
    pub(crate) fn num_unfinished(&self) -> usize {
        let num_failed = self.engines.map_or(0, EnginesResult::num_failed);
        match &self.result.figures {
            Some(figures) => figures.num_unfinished(),
            None => self.result.recording.requests.iter().filter(|request| !request.is_finished).count() - num_failed,
        }
    }

    /// Writes the files that were asked for, and says on stderr where they are.
    pub(crate) fn write_files(&self, flags: &ReportFlags) -> Result<()> {
        if flags.saves_result() {
            self.save_result(flags)?;
        }
        if let Some(path) = &flags.per_request_csv {
            let mut text = String::new();
            write_request_csv(&mut text, &self.result.recording, &self.options.goodput)?;
            write_file(path, |out| out.write_all(text.as_bytes()))?;
        }
        if let Some(path) = &flags.chrome_trace {
            let title = format!("vLLM {} engine, simulated", self.engine.config.vllm_version);
            let mut text = String::new();
            write_chrome_trace(&mut text, &self.result.recording, &title, self.engine.config.num_gpu_blocks - 1)?;
            write_file(path, |out| out.write_all(text.as_bytes()))?;
        }
        if let Some((path, engines)) = flags.replicas_json.as_ref().zip(self.engines) {
            write_file(path, |out| writeln!(out, "{}", engines.json(&self.result.recording)))?;
        }
        if let Some(path) = &flags.queries_per_iter {
            let join_order: Vec<u32> = self.result.join_order.iter().map(|id| id.0).collect();
            let input = serde_json::json!({
                "queries_per_iter": self.result.queries_per_iter,
                "join_order": join_order,
            });
            write_file(path, |out| writeln!(out, "{input}"))?;
        }
        Ok(())
    }

    fn save_result(&self, flags: &ReportFlags) -> Result<()> {
        let date = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string();
        let name = flags.result_filename.clone().unwrap_or_else(|| result_filename(self.options, &date));
        let path = flags.result_dir.as_ref().map_or_else(|| name.clone().into(), |folder| folder.join(&name));
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        self.with_json(&date, flags.save_detailed, |json| save_json(&path, flags.append_result, json))
    }

    /// Hands the result file's text on, which is nowhere in memory as a whole.
    pub(crate) fn with_json<R>(
        &self,
        date: &str,
        save_detailed: bool,
        take: impl FnOnce(&dyn Display) -> Result<R>,
    ) -> Result<R> {
        let outputs = if save_detailed {
            RecordedOutputs::new(&self.result.recording)
        } else {
            RecordedOutputs::without_itls(&self.result.recording)
        };
        let metrics = BenchmarkMetrics::of(&outputs, self.options);
        let classes = self.class_metrics();
        let simulation = Simulation {
            version: env!("CARGO_PKG_VERSION"),
            vllm_version: self.engine.config.vllm_version.name(),
            profile: &self.choice.name,
            provenance: self.choice.profile.provenance.kind.name(),
            range: self.ends.map(|ends| &ends.range),
            extrapolated_share: self.extrapolated_share(),
            kv_tiers: KvTiers::of(&self.engine.config, self.result),
            digest: digest(&self.result.recording),
            flags: self.flags,
            dataset: self.dataset,
            classes: &classes,
        };
        let save = SaveResult { date, save_detailed };
        take(&ResultJson::new(&outputs, &metrics, self.options, &simulation, save)?)
    }
}

fn save_json(path: &Path, append: bool, json: &dyn Display) -> Result<()> {
    if append {
        let place = || path.display().to_string();
        let file = OpenOptions::new().append(true).create(true).open(path).with_context(place)?;
        let has_lines = file.metadata().with_context(place)?.len() > 0;
        let mut out = BufWriter::new(file);
        write!(out, "{}{json}", if has_lines { "\n" } else { "" }).with_context(place)?;
        return out.flush().with_context(place);
    }
    write_file(path, |out| write!(out, "{json}"))
}

/// Where the step times come from.
pub(crate) fn times(choice: &ProfileChoice) -> String {
    let profile = &choice.profile;
    let provenance = &profile.provenance;
    let sources = provenance.sources.iter().map(|source| format!("{} {}", source.name, source.version));
    let sources = sources.collect::<Vec<_>>().join(", ");
    let accuracy =
        if profile.validation.runs.is_empty() { "never compared with a running engine" } else { "see its validation" };
    let (model, hardware) = (&profile.model.name, &profile.hardware);
    if let Origin::Composed { recognised, .. } = &choice.origin {
        let engine = &profile.engine;
        let weights = engine.quantization.as_deref().map_or_else(String::new, |method| format!(", weights {method}"));
        let recognised = recognised.as_ref().map_or_else(String::new, |name| format!(", taken for {name}"));
        return format!(
            "{}\n({model}{recognised}, {}{weights}, KV cache {}, on {} × {};\ncomposed of operators measured by \
             {sources}; {accuracy}; what to know before trusting it: --explain).",
            choice.name, engine.dtype, engine.kv_cache_dtype, hardware.num_devices, hardware.name
        );
    }
    let of = if sources.is_empty() { String::new() } else { format!(" from {sources}") };
    let (kind, hardware) = (provenance.kind.name(), &hardware.name);
    format!("profile {}\n({model} on {hardware}; {kind}{of}; {accuracy}).", choice.name)
}

/// What of the device's memory goes where, and what to know before trusting the times.
pub(crate) fn explain_memory(profile: &Profile) -> String {
    const GIB: f64 = 1_073_741_824.0;
    let memory = &profile.memory;
    let total = &profile.hardware.total_memory;
    let parts = [
        ("memory of a device", total),
        ("weights", &memory.weights),
        ("other resident memory", &memory.other_resident),
        ("peak of activations", &memory.activation_peak),
        ("CUDA graphs", &memory.cuda_graphs),
    ];
    let mut text = String::from("\n");
    for (name, part) in parts {
        // Writing to a String cannot fail.
        writeln!(text, "{name:<32} {:>10.2} GiB  {}", part.bytes as f64 / GIB, part.reason).unwrap_or_default();
    }
    writeln!(text).unwrap_or_default();
    for note in &profile.provenance.notes {
        writeln!(text, "Note: {note}").unwrap_or_default();
    }
    text
}

/// The engine's settings, each with the reason for its value.
pub(crate) fn explain(engine: &ResolvedEngine, device: &str) -> String {
    let mut text = String::new();
    for EngineSetting { field, value, reason, .. } in told::engine_settings(engine) {
        // Writing to a String cannot fail.
        writeln!(text, "{field:<38} {value:>8}  {reason}").unwrap_or_default();
    }
    writeln!(text, "\n{}", told::kv_cache_line(&engine.config, device)).unwrap_or_default();
    text
}

#[expect(clippy::print_stderr, reason = "tells where the result is")]
pub(crate) fn write_file(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<()> {
    let place = || path.display().to_string();
    let mut out = BufWriter::new(File::create(path).with_context(place)?);
    write(&mut out).with_context(place)?;
    out.flush().with_context(place)?;
    eprintln!("wrote {}", path.display());
    Ok(())
}
