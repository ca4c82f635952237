//! Several kinds of requests in one stream, each with its share, its objectives and its priority: `--dataset-name mixture`.
//! Not vLLM's.
//!
//! The file is `{"classes": [{"name": "chat", "share": 0.7, "flags": {"random-input-len": 500}, "goodput": "ttft:500",
//! "priority": 0}, …]}`. What the flags of a class make is up to who reads them: see [`crate::scenario`].

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use serde_json::{Map, Value};

use super::After;
use super::dataset::Sample;
use super::error::WorkloadError;
use super::trace::check_size;
use crate::math;
use crate::metrics::goodput::Goodput;
use crate::request::{RequestId, TokenRun};
use crate::request_set::{NewRequest, RequestSet};
use crate::rng::Pcg64;

/// Most bytes of a file of classes.
pub const MAX_MIXTURE_BYTES: usize = 1 << 20;
/// Most classes.
pub const MAX_CLASSES: usize = 64;
/// Most characters of a class's name.
const MAX_NAME_CHARS: usize = 60;

/// The classes of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture {
    /// At least one.
    pub classes: Vec<ClassSpec>,
}

/// A class as the file says it.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassSpec {
    /// Its name, not empty and no other's.
    pub name: String,
    /// Its share of what arrives, as a weight: finite and above 0.
    pub share: f64,
    /// Scheduling priority of its requests.
    pub priority: i32,
    /// Its objectives, as `--goodput` has them; empty for those of all.
    pub goodput: String,
    /// Flags that say its requests, without dashes.
    pub flags: Vec<(String, String)>,
}

/// A class of the requests of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// Its objectives; `None` for those of all.
    pub goodput: Option<Goodput>,
    /// Scheduling priority of its requests.
    pub priority: i32,
}

/// Which requests are of which class.
#[derive(Debug, Clone, PartialEq)]
pub struct Classes {
    /// The classes.
    pub list: Vec<Class>,
    /// The class of each request, an index into the list.
    pub of_request: Vec<u16>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    classes: Vec<FileClass>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct FileClass {
    name: String,
    share: f64,
    #[serde(default)]
    priority: i32,
    #[serde(default)]
    goodput: String,
    #[serde(default)]
    flags: Map<String, Value>,
}

impl Mixture {
    /// Reads a file of classes.
    ///
    /// # Errors
    /// [`WorkloadError::TooLarge`], [`WorkloadError::Syntax`], [`WorkloadError::Option`], which names class and field.
    pub fn from_json(json: &[u8]) -> Result<Self, WorkloadError> {
        check_size(json, MAX_MIXTURE_BYTES)?;
        let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
        let file: File = serde_json::from_slice(json).map_err(|error| WorkloadError::json(1, &error))?;
        if file.classes.is_empty() || file.classes.len() > MAX_CLASSES {
            return Err(WorkloadError::option("classes", file.classes.len(), "a list of 1 to 64 classes"));
        }
        let mut classes: Vec<ClassSpec> = Vec::new();
        for class in file.classes {
            let name = class.name.trim();
            let is_name =
                !name.is_empty() && name.chars().count() <= MAX_NAME_CHARS && !name.contains(char::is_control);
            if !is_name || classes.iter().any(|other| other.name == name) {
                return Err(WorkloadError::option("name", name, "of 1 to 60 characters, and of one class only"));
            }
            if !(class.share > 0.0 && class.share <= 1e9) {
                return Err(class_error(name, &alloc::format!("share {}", class.share), "a share above 0, up to 1e9"));
            }
            let mut flags = Vec::new();
            for (flag, value) in class.flags {
                let value = match value {
                    Value::String(text) => text,
                    Value::Number(_) | Value::Bool(_) => value.to_string(),
                    _ => return Err(class_error(name, &flag, "flags with a text, a number, true or false each")),
                };
                flags.push((flag, value));
            }
            let name = name.to_string();
            let FileClass { share, priority, goodput, .. } = class;
            classes.push(ClassSpec { name, share, priority, goodput, flags });
        }
        Ok(Self { classes })
    }

    /// How many of `num_arrivals` are of each class: their shares, rounded so that the sum is exact.
    #[must_use]
    pub fn counts(&self, num_arrivals: u32) -> Vec<u32> {
        let total: f64 = self.classes.iter().map(|class| class.share).sum();
        let exact = |class: &ClassSpec| f64::from(num_arrivals) * (class.share / total);
        let mut counts: Vec<u32> = self.classes.iter().map(|class| math::f64_to_u32(exact(class))).collect();
        let mut by_rest: Vec<usize> = (0..counts.len()).collect();
        let rest = |place: usize| exact(&self.classes[place]) - f64::from(counts[place]);
        by_rest.sort_by(|&a, &b| rest(b).total_cmp(&rest(a)));
        let missing = num_arrivals.saturating_sub(counts.iter().sum());
        for place in by_rest.into_iter().cycle().take(math::u32_to_usize(missing)) {
            counts[place] += 1;
        }
        counts
    }
}

/// The error that `what` of class `name` is not what it must be.
pub(crate) fn class_error(name: &str, what: &str, need: &'static str) -> WorkloadError {
    WorkloadError::option("a class of the mixture", alloc::format!("{name:?} with {what}"), need)
}

/// The samples of all classes as one stream: in an order drawn from `seed`, in which every request stands behind the one
/// whose answer it waits for. Classes have no token in common.
///
/// # Errors
/// [`WorkloadError::Request`] if they are more requests than a set holds.
pub fn merge(parts: Vec<(Class, Sample)>, seed: u32) -> Result<Sample, WorkloadError> {
    let mut merged = Merged::default();
    for (class, (_, sample)) in parts.iter().enumerate() {
        merged.begin(class, sample);
    }
    shuffle(&mut merged.order, &mut Pcg64::stream(u64::from(seed), "mixture"));
    for class in core::mem::take(&mut merged.order) {
        let (spec, sample) = &parts[math::u32_to_usize(class)];
        merged.push_next(class, spec, sample)?;
    }
    let num_skipped = parts.iter().map(|(_, sample)| sample.num_skipped).sum();
    let has_followers = merged.after.iter().any(Option::is_some);
    let mut sample = Sample::of_requests(merged.requests, seed);
    sample.num_skipped = num_skipped;
    sample.after = if has_followers { merged.after } else { Vec::new() };
    let list = parts.into_iter().map(|(class, _)| class).collect();
    sample.classes = Some(Classes { list, of_request: merged.of_request });
    Ok(sample)
}

/// What is merged so far.
#[derive(Default)]
struct Merged {
    requests: RequestSet,
    after: Vec<Option<After>>,
    of_request: Vec<u16>,
    /// The class of each arrival.
    order: Vec<u32>,
    /// By class: what its token numbers are moved by, its next request, and the new numbers of its requests.
    offsets: Vec<u64>,
    next: Vec<usize>,
    ids: Vec<Vec<RequestId>>,
    next_token: u64,
}

impl Merged {
    fn begin(&mut self, class: usize, sample: &Sample) {
        let waits = |index: usize| sample.after.get(index).is_some_and(Option::is_some);
        let num_arrivals = (0..sample.requests.len()).filter(|&index| !waits(index)).count();
        let number = math::usize_to_u32(class);
        self.order.extend(core::iter::repeat_n(number, num_arrivals));
        self.offsets.push(self.next_token);
        self.next.push(0);
        self.ids.push(Vec::with_capacity(sample.requests.len()));
        let runs = sample.requests.as_slice().iter().flat_map(|request| sample.requests.runs(request));
        self.next_token += runs.map(|run| run.start + u64::from(run.len)).max().unwrap_or(0);
    }

    /// Appends the class's next arrival and all that waits for it.
    fn push_next(&mut self, number: u32, class: &Class, sample: &Sample) -> Result<(), WorkloadError> {
        let place = math::u32_to_usize(number);
        loop {
            let old = self.next[place];
            self.push(number, class, sample, old)?;
            self.next[place] = old + 1;
            if sample.after.get(old + 1).is_none_or(Option::is_none) {
                return Ok(());
            }
        }
    }

    fn push(&mut self, number: u32, class: &Class, sample: &Sample, old: usize) -> Result<(), WorkloadError> {
        let place = math::u32_to_usize(number);
        let request = &sample.requests.as_slice()[old];
        let (prompt, output) = parted(sample.requests.runs(request), request.num_prompt_tokens, self.offsets[place]);
        let index = self.requests.len();
        let order = u32::try_from(index).unwrap_or(u32::MAX);
        let new = NewRequest {
            prompt: &prompt,
            output: &output,
            max_tokens: request.max_tokens,
            stops: request.stops,
            priority: class.priority,
            arrival_order: u64::from(order),
            id_rank: order,
            cache_salt: sample.requests.in_line(RequestId(math::usize_to_u32(old))).cache_salt,
        };
        let id = self.requests.push(&new).map_err(|error| WorkloadError::Request { index, error })?;
        self.ids[place].push(id);
        let after = sample.after.get(old).copied().flatten();
        let ids = &self.ids[place];
        self.after.push(after.map(|after| After { request: ids[after.request.index()], ..after }));
        self.of_request.push(math::u32_to_u16(number));
        Ok(())
    }
}

/// The runs of a sequence, prompt and output, `offset` further along.
fn parted(runs: &[TokenRun], num_prompt_tokens: u32, offset: u64) -> (Vec<TokenRun>, Vec<TokenRun>) {
    let (mut prompt, mut output) = (vec![], vec![]);
    let mut rest = num_prompt_tokens;
    for run in runs {
        let len = run.len.min(rest);
        let start = run.start + offset;
        if len > 0 {
            prompt.push(TokenRun { start, len });
        }
        if run.len > len {
            output.push(TokenRun { start: start + u64::from(len), len: run.len - len });
        }
        rest -= len;
    }
    (prompt, output)
}

fn shuffle(order: &mut [u32], rng: &mut Pcg64) {
    for last in (1..order.len()).rev() {
        let other = rng.integers(0, math::usize_to_u32(last));
        order.swap(last, math::u32_to_usize(other));
    }
}
