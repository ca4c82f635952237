//! The lists of a detailed result: one entry per request.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::scalar::{NEED_NUMBER, Scalar, is_measurable};
use super::simulation::StatedSimulation;
use super::stated::StatedLists;
use super::{MeasuredError, MeasuredResult, output_rows};
use crate::math;
use crate::metrics::bench_outputs::MeasuredOutput;

/// The list that says how many requests there are.
pub(super) const LENGTH_KEY: &str = "ttfts";

/// What an object of a result file holds.
#[derive(Debug, Default)]
pub(super) struct Columns {
    pub(super) scalars: BTreeMap<String, Scalar>,
    pub(super) simulation: Option<StatedSimulation>,
    /// Lists of numbers by key.
    lists: BTreeMap<&'static str, Vec<f64>>,
    itls: Option<Vec<Vec<f64>>>,
    errors: Option<Vec<String>>,
}

/// The lists of numbers that are read.
const LISTS: [&str; 7] =
    ["input_lens", "output_lens", LENGTH_KEY, "latencies", "start_times", "queue_times", ACCEPTANCE_KEY];

/// The list that has an entry for each position of a draft.
const ACCEPTANCE_KEY: &str = "spec_decode_per_position_acceptance_rates";

impl Columns {
    /// Whether the file has the lists that only `--save-detailed` keeps.
    pub(super) fn is_detailed(&self) -> bool {
        self.lists.contains_key(LENGTH_KEY) || self.itls.is_some()
    }

    /// The lists that say what was sent.
    pub(super) fn stated(&self) -> StatedLists {
        let list = |key: &str| self.lists.get(key).cloned();
        let lengths = |key: &str| Some(self.lists.get(key)?.iter().map(|&length| math::f64_to_u32(length)).collect());
        StatedLists {
            input_lens: lengths("input_lens"),
            output_lens: lengths("output_lens"),
            latencies: list("latencies"),
            start_times: list("start_times"),
            queue_times: list("queue_times"),
            acceptance_rates: list(ACCEPTANCE_KEY),
        }
    }

    fn list(&mut self, key: &'static str, num_requests: usize) -> Result<Option<Vec<f64>>, MeasuredError> {
        let list = self.lists.remove(key);
        check_length(key, num_requests, list.as_ref().map(Vec::len))?;
        Ok(list)
    }

    fn needed(&mut self, key: &'static str, num_requests: usize) -> Result<Vec<f64>, MeasuredError> {
        let because = "without which its lists say nothing";
        self.list(key, num_requests)?.ok_or(MeasuredError::Missing { key, because })
    }

    /// The requests; `completed` of them succeeded if the file is right.
    pub(super) fn into_outputs(
        mut self,
        completed: u64,
        notes: &mut Vec<String>,
    ) -> Result<Vec<MeasuredOutput>, MeasuredError> {
        let num_requests = self.lists.get(LENGTH_KEY).map_or(0, Vec::len);
        let ttfts = self.needed(LENGTH_KEY, num_requests)?;
        let (input_lens, output_lens) =
            (self.needed("input_lens", num_requests)?, self.needed("output_lens", num_requests)?);
        let because = "without which its lists say nothing";
        let itls = self.itls.take().ok_or(MeasuredError::Missing { key: "itls", because })?;
        check_length("itls", num_requests, Some(itls.len()))?;
        check_length("errors", num_requests, self.errors.as_ref().map(Vec::len))?;
        let latencies = self.list("latencies", num_requests)?;
        let start_times = self.list("start_times", num_requests)?;
        let queue_times = self.list("queue_times", num_requests)?;
        if latencies.is_none() {
            notes.push("The file has no latencies; E2EL is TTFT plus the sum of the request's ITLs.".to_string());
        }
        if start_times.is_none() {
            notes.push("The file has no start_times: when requests were sent is not known.".to_string());
        }
        let mut outputs = output_rows(num_requests);
        let at = |list: &Option<Vec<f64>>, i: usize| list.as_ref().and_then(|list| list.get(i)).copied();
        for (i, (output, itl)) in outputs.iter_mut().zip(itls).enumerate() {
            output.prompt_len = math::f64_to_u32(input_lens[i]);
            output.output_len = math::f64_to_u32(output_lens[i]);
            output.ttft = ttfts[i];
            output.latency = at(&latencies, i).unwrap_or_else(|| itl.iter().fold(ttfts[i], |sum, gap| sum + gap));
            output.itl = itl;
            output.start_time = at(&start_times, i).unwrap_or(0.0);
            output.client_queue_time = at(&queue_times, i).unwrap_or(0.0);
        }
        for (output, error) in outputs.iter_mut().zip(self.errors.take().into_iter().flatten()) {
            output.success = error.is_empty();
            output.error = error;
        }
        settle_failures(&mut outputs, completed, notes);
        Ok(outputs)
    }
}

/// Some failures have an empty text, and old files have no texts: what produced nothing has then failed, if the file
/// counts fewer answers than that leaves.
fn settle_failures(outputs: &mut [MeasuredOutput], completed: u64, notes: &mut Vec<String>) {
    let succeeded =
        |outputs: &[MeasuredOutput]| math::usize_to_u64(outputs.iter().filter(|output| output.success).count());
    if succeeded(outputs) > completed {
        for output in outputs.iter_mut().filter(|output| output.output_len == 0) {
            output.success = false;
        }
        notes.push("Requests without output tokens were taken as failed, as completed says.".to_string());
    }
    let num_succeeded = succeeded(outputs);
    if num_succeeded != completed {
        notes.push(format!("The file counts {completed} completed requests; its lists have {num_succeeded}."));
    }
}

fn check_length(key: &'static str, num_requests: usize, length: Option<usize>) -> Result<(), MeasuredError> {
    match length {
        Some(length) if length != num_requests => Err(MeasuredError::Lengths { num_requests, key, length }),
        _ => Ok(()),
    }
}

/// Reads an object into `columns`. Serde's errors are texts, so one with parts is left in `refused`.
pub(super) struct ObjectVisitor<'a> {
    pub(super) columns: &'a mut Columns,
    pub(super) refused: &'a mut Option<MeasuredError>,
}

impl<'de> Visitor<'de> for ObjectVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        #[derive(serde::Deserialize)]
        struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
        let mut num_itls = 0;
        while let Some(Key(key)) = map.next_key()? {
            if let Some(name) = LISTS.into_iter().find(|&name| name == key) {
                let seed = Numbers { place: name, is_count: name.ends_with("_lens"), refused: self.refused };
                self.columns.lists.insert(name, map.next_value_seed(seed)?);
            } else if key == "itls" {
                let seed = NumberLists { num_itls: &mut num_itls, refused: self.refused };
                self.columns.itls = Some(map.next_value_seed(seed)?);
            } else if key == "errors" {
                self.columns.errors = Some(map.next_value::<Texts>()?.0);
            } else if key == "simulation" {
                self.columns.simulation = Some(map.next_value()?);
            } else {
                let scalar = map.next_value()?;
                self.columns.scalars.insert(key.into_owned(), scalar);
            }
        }
        Ok(())
    }
}

/// Refuses: keeps the error with its parts, and gives serde a text to stop with.
fn refuse<E: Error>(refused: &mut Option<MeasuredError>, error: MeasuredError) -> E {
    let message = E::custom(&error);
    *refused = Some(error);
    message
}

/// A list of measured numbers.
struct Numbers<'a, P> {
    place: P,
    is_count: bool,
    refused: &'a mut Option<MeasuredError>,
}

impl<'de, P: fmt::Display> DeserializeSeed<'de> for Numbers<'_, P> {
    type Value = Vec<f64>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<f64>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, P: fmt::Display> Visitor<'de> for Numbers<'_, P> {
    type Value = Vec<f64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a sequence ({})", self.place)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<f64>, A::Error> {
        let mut numbers = Vec::new();
        while let Some(scalar) = seq.next_element::<Scalar>()? {
            let need = if self.is_count { "a whole number from 0 to 67108864" } else { NEED_NUMBER };
            match scalar {
                Scalar::Number(number) if is_allowed(number, self.is_count) => numbers.push(number),
                other => {
                    let place = format!("{}[{}]", self.place, numbers.len());
                    return Err(refuse(self.refused, MeasuredError::Value { place, value: other.shown(), need }));
                }
            }
            if numbers.len() > MeasuredResult::MAX_ITLS {
                return Err(refuse(self.refused, too_many(&self.place, "at most 50000000 entries")));
            }
        }
        Ok(numbers)
    }
}

fn is_allowed(number: f64, is_count: bool) -> bool {
    // The longest sequence there is: crate::request_set::RequestSet::MAX_SEQUENCE_TOKENS.
    if is_count {
        (0.0..=67_108_864.0).contains(&number) && math::floor(number).to_bits() == number.to_bits()
    } else {
        is_measurable(number)
    }
}

fn too_many(place: &dyn fmt::Display, need: &'static str) -> MeasuredError {
    MeasuredError::Value { place: place.to_string(), value: "a longer list".to_string(), need }
}

/// A list of lists of inter-token latencies.
struct NumberLists<'a> {
    num_itls: &'a mut usize,
    refused: &'a mut Option<MeasuredError>,
}

impl<'de> DeserializeSeed<'de> for NumberLists<'_> {
    type Value = Vec<Vec<f64>>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for NumberLists<'_> {
    type Value = Vec<Vec<f64>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence (itls)")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut lists = Vec::new();
        loop {
            let place = format_args!("itls[{}]", lists.len()).to_string();
            let seed = Numbers { place, is_count: false, refused: self.refused };
            let Some(list) = seq.next_element_seed(seed)? else { return Ok(lists) };
            *self.num_itls += list.len();
            lists.push(list);
            if lists.len() > MeasuredResult::MAX_REQUESTS {
                return Err(refuse(self.refused, too_many(&"itls", "at most 1000000 entries")));
            }
            if *self.num_itls > MeasuredResult::MAX_ITLS {
                return Err(refuse(self.refused, too_many(&"itls", "at most 50000000 latencies in all")));
            }
        }
    }
}

/// A list of texts; null is none.
struct Texts(Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = Vec::<Option<String>>::deserialize(deserializer)?;
        Ok(Self(texts.into_iter().map(Option::unwrap_or_default).collect()))
    }
}
