//! The classes of a mixture, each made by flags of its own.

use alloc::vec::Vec;

use super::workload_args::WorkloadArgs;
use super::{DatasetName, FLAGS, Form, Part, ScenarioError};
use crate::metrics::goodput::Goodput;
use crate::workload::dataset::{Sample, SampleOptions};
use crate::workload::mixture::{Class, ClassSpec, Mixture, class_error, merge};

/// Flags that say what a class's requests are, by the beginnings of their names. How many there are and when they come is
/// said for all classes together.
const OF_CLASSES: [&str; 9] = [
    "dataset-name",
    "input-len",
    "output-len",
    "random-",
    "prefix-repetition-",
    "session-",
    "system-prompt-len",
    "think-time",
    "tool-",
];

/// The requests of the classes in `file`, `num_arrivals` of them and what follows from their answers.
///
/// # Errors
/// Those of [`Mixture::from_json`], of each class's flags, and of its dataset.
pub(super) fn sample(file: &[u8], num_arrivals: u32, options: &SampleOptions) -> Result<Sample, ScenarioError> {
    let mixture = Mixture::from_json(file)?;
    let mut parts = Vec::new();
    for (spec, count) in mixture.classes.iter().zip(mixture.counts(num_arrivals)) {
        if count > 0 {
            let goodput = match spec.goodput.trim() {
                "" => None,
                text => Some(Goodput::parse(text.split_ascii_whitespace()).map_err(ScenarioError::Goodput)?),
            };
            let class = Class { name: spec.name.clone(), goodput, priority: spec.priority };
            parts.push((class, args(spec)?.sample_class(count, options)?));
        }
    }
    Ok(merge(parts, options.seed)?)
}

fn args(spec: &ClassSpec) -> Result<WorkloadArgs, ScenarioError> {
    let mut args = WorkloadArgs::default();
    for (name, value) in &spec.flags {
        let plain = name.trim_start_matches('-').replace('_', "-");
        let is_of_class = OF_CLASSES.iter().any(|start| plain.starts_with(start));
        let flag = FLAGS.iter().find(|flag| flag.part == Part::Workload && flag.name == plain);
        let Some(flag) = flag.filter(|flag| is_of_class && flag.form != Form::Switch) else {
            const NEED: &str = "flags that say its requests: dataset-name, input-len, output-len, and those that begin with \
                                random-, prefix-repetition-, session-, system-prompt-len, think-time or tool-";
            return Err(class_error(&spec.name, name, NEED).into());
        };
        args.set(flag.name, value)?;
    }
    let dataset = args.dataset_name();
    if !matches!(dataset, DatasetName::Random | DatasetName::PrefixRepetition | DatasetName::Sessions) {
        const NEED: &str = "dataset-name random, prefix_repetition or sessions: the classes of one file have no others";
        return Err(class_error(&spec.name, &alloc::format!("dataset-name {dataset}"), NEED).into());
    }
    args.check_used(dataset)?;
    Ok(args)
}
