//! What was dropped or pasted, and what it is good for.

use sim_core::math;
use sim_core::metrics::json_measured::MeasuredResult;
use sim_core::models::ModelConfig;
use sim_core::profile::Profile;
use sim_core::scenario::{Recognised, Scenario, recognise};
use sim_core::simulation_result::DeviceTime;
use sim_core::time::SimTime;
use sim_core::workload::dataset::Sample;
use sim_core::workload::trace::TraceKind;

use super::{cards, measured};
use crate::protocol::Found;

/// Reads `content`, a file or text of this name.
///
/// # Errors
/// A message: what is wrong with it, or what could be read instead.
pub(crate) fn read(name: &str, content: &[u8]) -> Result<Found, String> {
    let found = match recognise(content).map_err(|error| error.to_string())? {
        Recognised::Profile => {
            let bytes = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
            let profile = Profile::from_json(bytes).map_err(|error| error.to_string())?;
            let stem = name.strip_suffix(".json").unwrap_or(name);
            let card = cards::profile_card(&profile, stem, &DeviceTime::default());
            Found::Profile { card: Box::new(card) }
        }
        Recognised::ModelConfig => {
            let model = ModelConfig::from_json(content).map_err(|error| error.to_string())?;
            Found::ModelConfig { model, name: own_name(content) }
        }
        Recognised::QuantConfig => Found::QuantConfig,
        Recognised::Pack => Found::Pack,
        Recognised::BenchResult => {
            let result = MeasuredResult::from_json(content).map_err(|error| error.to_string())?;
            Found::Measured(Box::new(measured::measured_run(&result, name)))
        }
        Recognised::Trace(kind) => trace(&kind, content)?,
        Recognised::Link { text } => {
            let fragment = text.split_once('#').map_or(text.as_str(), |(_, fragment)| fragment);
            Found::Link { fragment: fragment.to_owned() }
        }
        Recognised::Command { text } => Found::Command { text },
    };
    Ok(found)
}

/// What a `config.json` calls its model, if it does: the last part of a path.
fn own_name(content: &[u8]) -> String {
    let config: Option<serde_json::Value> = serde_json::from_slice(content).ok();
    let name = config.as_ref().and_then(|config| config.get("_name_or_path")).and_then(|name| name.as_str());
    let name = name.unwrap_or_default().trim_end_matches('/');
    let is_path = name.starts_with(['/', '.', '~']);
    let name = if is_path { name.rsplit('/').next().unwrap_or_default() } else { name };
    name.chars().take(100).collect()
}

/// A trace, read through once by the flags that a run will read it with.
fn trace(kind: &TraceKind, content: &[u8]) -> Result<Found, String> {
    let flags: Vec<(String, Option<String>)> =
        kind.flags().into_iter().map(|(flag, value)| (flag.to_owned(), Some(value))).collect();
    let given = flags.iter().map(|(flag, value)| (flag.as_str(), value.as_deref()));
    let scenario = Scenario::from_flags(given).map_err(|error| error.to_string())?;
    let sample = scenario.workload().sample(Some(content), None).map_err(|error| error.to_string())?;
    let mut summary = summary(kind.name(), &sample);
    if let TraceKind::TimedTrace(options) = kind {
        // Guessed from the hashes: to be checked by whoever knows.
        let unit = if options.timed_trace_sec_multiplier < 1.0 { "milliseconds" } else { "seconds" };
        summary.push_str(&format!(
            "; read as {} tokens per hash and times in {unit}",
            options.timed_trace_chunk_hash_size
        ));
    }
    for note in &sample.notes {
        summary.push_str("; ");
        summary.push_str(note);
    }
    Ok(Found::Trace { summary, flags })
}

fn summary(format: &str, sample: &Sample) -> String {
    let requests = sample.requests.as_slice();
    let count = math::usize_to_f64(requests.len().max(1));
    let mean = |sum: u64| math::u64_to_f64(sum) / count;
    let prompt = mean(requests.iter().map(|request| u64::from(request.num_prompt_tokens)).sum());
    let output = mean(requests.iter().map(|request| u64::from(request.num_output_tokens)).sum());
    let last = sample.send_times.as_ref().and_then(|times| times.last()).copied().unwrap_or(SimTime::ZERO);
    let skipped = match sample.num_skipped {
        0 => String::new(),
        count => format!("; {count} entries without tokens are left out"),
    };
    format!(
        "{format}: {} requests over {:.1} s, in the mean {prompt:.0} prompt and {output:.0} output tokens{skipped}",
        requests.len(),
        last.as_secs_f64()
    )
}
