//! Files of a finished run, as `profiler simulate` writes them.

use sim_core::metrics::bench_json::{ResultJson, SaveResult, Simulation, result_filename};
use sim_core::metrics::bench_outputs::RecordedOutputs;
use sim_core::metrics::bench_serve::{BenchmarkMetrics, Latencies};
use sim_core::metrics::chrome_trace::write_chrome_trace;
use sim_core::metrics::digest::digest;
use sim_core::metrics::figure_ranges::RunRange;
use sim_core::metrics::recorder::Recording;
use sim_core::metrics::request_csv::write_request_csv;
use sim_core::scenario::Scenario;
use sim_core::scenario::link::fingerprint;
use sim_core::scenario::repeat::stated_flags;
use sim_core::simulator::SimulationOptions;

use super::cards;
use super::run::{FinishedRun, Host};
use crate::protocol::ExportKind;

/// A file: proposed name, media type, content.
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) media_type: &'static str,
    pub(crate) content: Vec<u8>,
}

/// The file `kind` of `run`. A detailed result needs the time of every token, which is not kept; the run is made again
/// for it, with `host` told of the progress. `range` is what is known of how far its figures may be off.
///
/// # Errors
/// A message if the second run is refused or is not the same as the first.
pub(crate) fn export(
    run: &FinishedRun,
    kind: ExportKind,
    (date, range): (&str, Option<RunRange>),
    host: &mut dyn Host,
) -> Result<File, String> {
    let name = result_filename(&run.options, date);
    let base = name.strip_suffix(".json").unwrap_or(&name);
    let recording = &run.result.recording;
    let file = |name: String, media_type, text: String| File { name, media_type, content: text.into_bytes() };
    let mut text = String::new();
    Ok(match kind {
        ExportKind::BenchJson => file(name, "application/json", bench_json(run, recording, (date, range), false)?),
        ExportKind::BenchJsonDetailed => {
            let detailed = with_emissions(run, host)?;
            file(name, "application/json", bench_json(run, &detailed, (date, range), true)?)
        }
        ExportKind::RequestCsv => {
            write_request_csv(&mut text, recording, &run.options.goodput).map_err(|error| error.to_string())?;
            file(format!("{base}.requests.csv"), "text/csv", text)
        }
        ExportKind::ChromeTrace if run.several.is_some() => {
            return Err("a Chrome trace is of one engine; there is none of several".to_owned());
        }
        ExportKind::EnginesJson => {
            let several = run.several.as_ref().ok_or("the run has one engine; give --replicas above 1")?;
            let json = format!("{}\n", several.result.json(recording));
            file(format!("{base}.replicas.json"), "application/json", json)
        }
        ExportKind::ChromeTrace => {
            let title = format!("vLLM {} engine, simulated", run.engine.config.vllm_version);
            let num_usable_blocks = run.engine.config.num_gpu_blocks.saturating_sub(1);
            write_chrome_trace(&mut text, recording, &title, num_usable_blocks).map_err(|error| error.to_string())?;
            file(format!("{base}.trace.json"), "application/json", text)
        }
    })
}

fn bench_json(
    run: &FinishedRun,
    recording: &Recording,
    (date, mut range): (&str, Option<RunRange>),
    save_detailed: bool,
) -> Result<String, String> {
    let outputs =
        if save_detailed { RecordedOutputs::new(recording) } else { RecordedOutputs::without_itls(recording) };
    let metrics = BenchmarkMetrics::new(&outputs, &Latencies::new(&outputs), &run.options);
    if let Some(range) = &mut range {
        range.include(&metrics, &run.options);
    }
    let card = cards::profile_card(&run.profile, &run.input.profile_name, &run.result.device_time);
    let flags = run.input.flags.iter().map(|(flag, value)| (flag.as_str(), value.as_deref()));
    let scenario = Scenario::from_flags(flags).map_err(|error| error.to_string())?;
    let classes = run.classes.as_ref().map(|classes| classes.metrics(&outputs, run.options.goodput));
    let classes = classes.unwrap_or_default();
    let simulation = Simulation {
        version: env!("CARGO_PKG_VERSION"),
        vllm_version: run.engine.config.vllm_version.name(),
        profile: &card.name,
        provenance: &card.kind,
        range: range.as_ref(),
        extrapolated_share: card.extrapolated_share,
        kv_tiers: None,
        // As `profiler simulate --save-detailed` has it: the times of single tokens count, where they were recorded.
        digest: digest(recording),
        flags: &stated_flags(&scenario),
        dataset: run.input.dataset.as_deref().map(fingerprint),
        classes: &classes,
    };
    let save = SaveResult { date, save_detailed };
    let json = ResultJson::new(&outputs, &metrics, &run.options, &simulation, save);
    json.map(|json| json.to_string()).map_err(|error| error.to_string())
}

/// The recording of `run` made again with the times of single tokens; everything else in it is checked to be the same.
fn with_emissions(run: &FinishedRun, host: &mut dyn Host) -> Result<Recording, String> {
    let keep = SimulationOptions { record_emissions: true };
    let fleets = run.several.as_ref().map(|several| several.fleets);
    let mut recording = FinishedRun::new(run.input.clone(), keep, fleets, host)?.result.recording;
    let emissions = core::mem::take(&mut recording.emissions);
    if digest(&recording) != digest(&run.result.recording) {
        return Err("the run came out differently the second time; this is a fault of the simulator".to_owned());
    }
    recording.emissions = emissions;
    Ok(recording)
}
