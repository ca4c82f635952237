//! One direction of a grid: flags that vary together, and what each is set to at every place.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sim_core::config::SpeculativeArgs;
use sim_core::config::flags::FlagEffect;
use sim_core::scenario::{Form, Scenario, find_flag, meaning};

use super::params_file::{self, NAME, Record};
use super::values::expand;
use super::{MAX_POINTS, too_many};
use crate::input_file::read_limited;

/// What varies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameter {
    /// The flag without dashes, as [`sim_core::scenario::FLAGS`] has it, or with its key behind a dot, or [`NAME`].
    pub(crate) name: String,
    /// Whether it is set for a run. What changes nothing that is simulated is a column and no more.
    pub(crate) is_set: bool,
}

/// Flags that vary together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Axis {
    pub(crate) parameters: Vec<Parameter>,
    /// For each place one value a parameter; `None` leaves it as the rest of the command line has it.
    pub(crate) places: Vec<Vec<Option<String>>>,
}

impl Axis {
    /// The axis of a word `FLAG=VALUES` of `--grid`.
    ///
    /// # Errors
    /// If the flag is none, or a value is none of it: before anything runs.
    pub(crate) fn of_word(word: &str, option: &str) -> Result<Self> {
        let (name, values) = word
            .split_once('=')
            .with_context(|| format!("{option} {word:?}: write FLAG=VALUES, such as max-num-seqs=64,128,256"))?;
        let told = || format!("{option} {word}");
        let name = canonical(name).with_context(told)?;
        let is_whole = find_flag(&name).is_some_and(|(flag, _)| flag.form == Form::Integer);
        let places = expand(values, is_whole).with_context(told)?;
        Self::checked(vec![name], places.into_iter().map(|value| vec![value]).collect()).with_context(told)
    }

    /// The axis of the words of one `--zip`: their values go side by side.
    ///
    /// # Errors
    /// Those of [`Self::of_word`], and if there are not equally many values of each.
    pub(crate) fn zipped(words: &[String]) -> Result<Self> {
        let axes: Vec<Self> = words.iter().map(|word| Self::of_word(word, "--zip")).collect::<Result<_>>()?;
        let lengths: Vec<String> = axes.iter().map(|axis| format!("{} {}", axis.places.len(), axis.names())).collect();
        let mut axes = axes.into_iter();
        let mut zipped = axes.next().context("--zip: write FLAG=VALUES FLAG=VALUES")?;
        for axis in axes {
            ensure!(
                axis.places.len() == zipped.places.len(),
                "--zip: values go side by side, and there are {}; --grid crosses them",
                lengths.join(", ")
            );
            zipped.parameters.extend(axis.parameters);
            for (place, more) in zipped.places.iter_mut().zip(axis.places) {
                place.extend(more);
            }
        }
        Ok(zipped)
    }

    /// The axis of vLLM's parameter files: each record of `serve` with each of `bench`, but those that `links`, pairs of a
    /// flag of either, do not let through.
    ///
    /// # Errors
    /// If a file cannot be read, has a flag that is none, or nothing is left.
    pub(crate) fn of_files(serve: Option<&Path>, bench: Option<&Path>, links: &[(String, String)]) -> Result<Self> {
        let records = |path: Option<&Path>| path.map_or_else(|| Ok(vec![vec![]]), read_records);
        let (serve_records, bench_records) = (records(serve)?, records(bench)?);
        let number = serve_records.len() as u128 * bench_records.len() as u128;
        ensure!(
            number <= MAX_POINTS as u128,
            too_many(number, &format!("{} of serve × {} of bench", serve_records.len(), bench_records.len()))
        );
        let mut names: Vec<String> = vec![];
        for (name, _) in serve_records.iter().chain(&bench_records).flatten() {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        let mut places = vec![];
        for serve in &serve_records {
            for bench in bench_records.iter().filter(|bench| is_linked(serve, bench, links)) {
                // As in the rows of vLLM's, those of the client come on top.
                let value = |name: &String| of(bench, name).or_else(|| of(serve, name)).cloned();
                places.push(names.iter().map(value).collect());
            }
        }
        ensure!(
            !places.is_empty(),
            "--link-vars leaves nothing: no record of one file has the values of one of the other"
        );
        Self::checked(names, places)
    }

    /// Whether every value is one of its flag.
    fn checked(names: Vec<String>, places: Vec<Vec<Option<String>>>) -> Result<Self> {
        let mut parameters = vec![];
        for (column, name) in names.into_iter().enumerate() {
            let values: BTreeSet<&str> = places.iter().filter_map(|place| place.get(column)?.as_deref()).collect();
            let is_set = name != NAME && is_set(&name)?;
            for value in values {
                if is_set {
                    Scenario::default().set(&name, Some(value))?;
                } else if name != NAME {
                    meaning(&name, Some(value))?;
                }
            }
            parameters.push(Parameter { name, is_set });
        }
        Ok(Self { parameters, places })
    }

    /// What varies, for people.
    pub(crate) fn names(&self) -> String {
        self.parameters.iter().map(|parameter| parameter.name.as_str()).collect::<Vec<_>>().join("+")
    }
}

/// Whether a flag is set for a run; if not, says why it changes nothing.
#[expect(clippy::print_stderr, reason = "a flag that changes nothing is said so")]
fn is_set(name: &str) -> Result<bool> {
    if SpeculativeArgs::key_of_flag(name).is_some() || find_flag(name).is_some() {
        return Ok(true);
    }
    let (effect, why) = meaning(name, None)?;
    ensure!(effect != FlagEffect::Simulated, "{name}: this flag of vLLM has no use here");
    eprintln!("note: {name} varies and changes nothing here: {why}");
    Ok(false)
}

/// A flag's one name.
fn canonical(name: &str) -> Result<String> {
    let name = name.trim().trim_start_matches('-');
    if name == NAME || SpeculativeArgs::key_of_flag(name).is_some() {
        return Ok(name.to_owned());
    }
    match find_flag(name) {
        Some((flag, true)) => bail!("{name}: write {}=true,false", flag.name),
        Some((flag, false)) => Ok(flag.name.to_owned()),
        None => {
            // Says so if vLLM has none of that name.
            meaning(name, None)?;
            Ok(name.replace('_', "-"))
        }
    }
}

fn read_records(path: &Path) -> Result<Vec<Record>> {
    let told = || path.display().to_string();
    let mut records = params_file::read(&read_limited(path, params_file::MAX_BYTES)?).with_context(told)?;
    for (name, value) in records.iter_mut().flatten() {
        // `{"no_async_scheduling": true}` is what vLLM makes of `{"async_scheduling": false}`.
        match (find_flag(name), value.as_deref()) {
            (Some((flag, true)), Some("true")) => (*name, *value) = (flag.name.to_owned(), Some("false".to_owned())),
            _ => *name = canonical(name).with_context(told)?,
        }
    }
    Ok(records)
}

/// The value of a flag in a record, if it has one.
fn of<'a>(record: &'a Record, name: &str) -> Option<&'a String> {
    record.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.as_ref())
}

fn is_linked(serve: &Record, bench: &Record, links: &[(String, String)]) -> bool {
    links.iter().all(|(of_serve, of_bench)| {
        let value = of(serve, of_serve);
        value.is_some() && value == of(bench, of_bench)
    })
}

/// The pairs of `--link-vars max_num_seqs=max_concurrency,…`.
///
/// # Errors
/// If a pair is none, or a name is no flag.
pub(crate) fn parse_links(text: &str) -> Result<Vec<(String, String)>> {
    let pair = |pair: &str| {
        let told = || format!("--link-vars {pair}");
        let (serve, bench) = pair.split_once('=').with_context(|| format!("{}: write SERVE=BENCH", told()))?;
        Ok((canonical(serve).with_context(told)?, canonical(bench).with_context(told)?))
    };
    text.split(',').map(pair).collect()
}
