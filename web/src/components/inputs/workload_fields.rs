//! Which flags a dataset looks at: the form shows these and no others.

use leptos::prelude::WithUntracked;
use sim_core::scenario::{DatasetName, FLAGS, Part, Scenario};

use crate::state::{AppState, NoticeKind};

/// The flags of a dataset in the order in which they are shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct WorkloadFields {
    /// What is always seen.
    pub(super) basic: Vec<&'static str>,
    /// What is seen on demand.
    pub(super) more: Vec<&'static str>,
}

/// What only some datasets look at: always seen, and on demand. What `WorkloadArgs` refuses for a dataset is not here.
const fn own(dataset: DatasetName) -> (&'static [&'static str], &'static [&'static str]) {
    match dataset {
        DatasetName::Random => {
            (&["random-input-len", "random-output-len", "random-range-ratio"], &["random-prefix-len"])
        }
        DatasetName::PrefixRepetition => (
            &[
                "prefix-repetition-num-prefixes",
                "prefix-repetition-prefix-len",
                "prefix-repetition-suffix-len",
                "prefix-repetition-output-len",
            ],
            &["disable-shuffle"],
        ),
        DatasetName::ShareGpt => (&["sharegpt-output-len"], &["disable-shuffle", "no-oversample"]),
        DatasetName::Custom => (&["custom-output-len"], &["disable-shuffle", "no-oversample"]),
        DatasetName::TimedTrace => (
            &["timed-trace-chunk-hash-size", "timed-trace-sec-multiplier"],
            &[
                "timed-trace-label-timestamp",
                "timed-trace-label-input-length",
                "timed-trace-label-output-length",
                "timed-trace-label-hash-ids",
            ],
        ),
        DatasetName::Table => (&["columns", "time-unit"], &["session-replay", "timed-trace-chunk-hash-size"]),
        DatasetName::Sessions => (
            &[
                "num-sessions",
                "num-users",
                "session-turns",
                "session-input-len",
                "session-output-len",
                "system-prompt-len",
                "think-time",
            ],
            &["session-prefix-len", "tool-calls", "tool-time", "tool-output-len"],
        ),
        DatasetName::BurstGpt | DatasetName::Azure | DatasetName::BurstGptTimed | DatasetName::Mixture => (&[], &[]),
    }
}

/// How fast requests are sent. A dataset with times of its own does not look at it.
const PACE: [&str; 2] = ["request-rate", "burstiness"];
const RAMP_UP: [&str; 3] = ["ramp-up-strategy", "ramp-up-start-rps", "ramp-up-end-rps"];

/// What was sent before: it is in the prefix cache.
const EARLIER: [&str; 3] = ["num-warmups", "ready-check-timeout-sec", "num-earlier-runs"];

/// How many drafts are accepted: one of them is needed where there are drafts.
const ACCEPTANCE: [&str; 3] = ["spec-acceptance-length", "spec-acceptance-rates", "spec-acceptance-sequence"];

/// The flags to show.
pub(super) fn fields(scenario: &Scenario) -> WorkloadFields {
    let dataset = scenario.workload().dataset_name();
    let (basic, more) = own(dataset);
    let is_self_timed = dataset.has_times() && scenario.value_of("self-timed") != Some("false");
    let mut fields = WorkloadFields { basic: basic.to_vec(), more: more.to_vec() };
    if dataset != DatasetName::Sessions {
        fields.basic.push("num-prompts");
    }
    // Users begin a session when one has ended.
    if !is_self_timed && scenario.value_of("num-users").is_none() {
        fields.basic.extend(PACE);
        fields.more.extend(RAMP_UP);
    }
    fields.basic.push("max-concurrency");
    if dataset.has_times() {
        fields.more.push("self-timed");
    }
    if scenario.value_of("speculative-config").is_some() {
        let given = ACCEPTANCE.into_iter().find(|name| scenario.value_of(name).is_some());
        let seen = given.unwrap_or(ACCEPTANCE[0]);
        fields.basic.push(seen);
        fields.more.extend(ACCEPTANCE.into_iter().filter(|name| *name != seen));
    }
    fields.more.push("seed");
    fields.more.extend(EARLIER);
    fields
}

/// All that [`fields`] may show, in its order.
pub(super) fn all_fields() -> WorkloadFields {
    let mut all = WorkloadFields::default();
    let add = |all: &mut Vec<&'static str>, names: &[&'static str]| {
        for name in names {
            if !all.contains(name) {
                all.push(name);
            }
        }
    };
    for (basic, more) in DatasetName::ALL.map(own) {
        add(&mut all.basic, basic);
        add(&mut all.more, more);
    }
    for names in [&["num-prompts"][..], &PACE, &["max-concurrency"], &ACCEPTANCE] {
        add(&mut all.basic, names);
    }
    for names in [&RAMP_UP[..], &["self-timed"], &ACCEPTANCE, &["seed"], &EARLIER] {
        add(&mut all.more, names);
    }
    all
}

/// Flags of the workload that are given although the dataset does not look at them, or that have no field.
pub(super) fn strays(scenario: &Scenario) -> Vec<(&'static str, String)> {
    let shown = fields(scenario);
    let is_shown = |name: &str| {
        matches!(name, "dataset-name" | "dataset-path") || shown.basic.contains(&name) || shown.more.contains(&name)
    };
    scenario
        .given()
        .filter(|(flag, _)| flag.part == Part::Workload && !is_shown(flag.name))
        .map(|(flag, value)| (flag.name, value.to_owned()))
        .collect()
}

impl AppState {
    /// Takes another dataset, and tells which flags went with the old one.
    pub(crate) fn choose_dataset(self, dataset: DatasetName) {
        let (scenario, gone) = self.scenario.with_untracked(|scenario| with_dataset(scenario, dataset));
        if !gone.is_empty() {
            let gone: Vec<String> = gone.iter().map(|name| format!("--{name}")).collect();
            let told = format!("Taken out, as the dataset {dataset} does not look at it: {}.", gone.join(", "));
            self.notify(NoticeKind::Info, &told);
        }
        self.set_scenario(scenario);
    }
}

/// The scenario with another dataset, and the flags that had to go because the new one would refuse them.
fn with_dataset(scenario: &Scenario, dataset: DatasetName) -> (Scenario, Vec<&'static str>) {
    let mut changed = scenario.clone();
    changed.unset("dataset-name");
    if dataset != DatasetName::Random && changed.set("dataset-name", Some(dataset.name())).is_err() {
        return (scenario.clone(), Vec::new());
    }
    let mut gone: Vec<&'static str> = strays(&changed).into_iter().map(|(name, _)| name).collect();
    if !dataset.needs_file() && changed.get("dataset-path").is_some() {
        gone.push("dataset-path");
    }
    // Lengths that any dataset may have are no strays of one that looks at them.
    gone.retain(|name| !(*name == "output-len" && takes_output_len(dataset)));
    gone.retain(|name| !(*name == "input-len" && dataset == DatasetName::Random));
    for name in &gone {
        changed.unset(name);
    }
    (changed, gone)
}

const fn takes_output_len(dataset: DatasetName) -> bool {
    use DatasetName::{Custom, PrefixRepetition, Random, ShareGpt};
    matches!(dataset, Random | PrefixRepetition | ShareGpt | Custom)
}

/// The place of a flag in [`FLAGS`].
pub(super) fn flag(name: &str) -> Option<&'static sim_core::scenario::Flag> {
    FLAGS.iter().find(|flag| flag.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(flags: &[(&str, &str)]) -> Scenario {
        Scenario::from_flags(flags.iter().map(|(name, value)| (*name, Some(*value)))).expect("valid flags")
    }

    #[track_caller]
    fn check_shown(flags: &[(&str, &str)], shown: &[&str], hidden: &[&str]) {
        let fields = fields(&scenario(flags));
        let all: Vec<&str> = fields.basic.iter().chain(&fields.more).copied().collect();
        for name in shown {
            assert!(all.contains(name), "{flags:?} looks at {name}: {all:?}");
        }
        for name in hidden {
            assert!(!all.contains(name), "{flags:?} does not look at {name}: {all:?}");
        }
    }

    #[test]
    fn only_what_the_dataset_looks_at_is_shown() {
        check_shown(
            &[],
            &["random-input-len", "request-rate", "ramp-up-strategy"],
            &["custom-output-len", "self-timed"],
        );
        check_shown(
            &[("dataset-name", "azure")],
            &["num-prompts", "self-timed"],
            &["request-rate", "random-input-len"],
        );
        check_shown(
            &[("dataset-name", "azure"), ("self-timed", "false")],
            &["request-rate", "burstiness"],
            &["random-input-len"],
        );
        check_shown(
            &[("dataset-name", "timed_trace")],
            &["timed-trace-chunk-hash-size", "timed-trace-label-hash-ids"],
            &["request-rate"],
        );
        check_shown(&[("dataset-name", "sessions")], &["think-time", "request-rate"], &["num-prompts"]);
        check_shown(&[("dataset-name", "sessions"), ("num-users", "3")], &["tool-calls"], &["request-rate"]);
        check_shown(&[("dataset-name", "table")], &["columns", "self-timed"], &["request-rate", "num-users"]);
    }

    #[test]
    fn what_is_shown_is_part_of_all_in_its_order() {
        const DRAFTS: (&str, &str) = ("speculative-config", r#"{"method": "ngram", "num_speculative_tokens": 2}"#);
        let all = all_fields();
        for dataset in DatasetName::ALL {
            for more in [&[][..], &[DRAFTS], &[("self-timed", "false")]] {
                let shown = fields(&scenario(&[&[("dataset-name", dataset.name())], more].concat()));
                for (shown, all) in [(shown.basic, &all.basic), (shown.more, &all.more)] {
                    let of_all: Vec<_> = all.iter().copied().filter(|name| shown.contains(name)).collect();
                    assert_eq!(of_all, shown, "{dataset} {more:?}");
                }
            }
        }
    }

    #[test]
    fn acceptance_is_asked_for_where_there_are_drafts() {
        const DRAFTS: (&str, &str) = ("speculative-config", r#"{"method": "ngram", "num_speculative_tokens": 2}"#);
        check_shown(&[], &[], &ACCEPTANCE);
        check_shown(&[DRAFTS], &ACCEPTANCE, &[]);
        assert!(fields(&scenario(&[DRAFTS])).basic.contains(&"spec-acceptance-length"), "the simplest is always seen");
        let rates = fields(&scenario(&[DRAFTS, ("spec-acceptance-rates", "0.5,0.5")]));
        assert!(rates.basic.contains(&"spec-acceptance-rates"), "what is given is always seen: {rates:?}");
    }

    /// With every field that is shown filled in, a run never fails for a flag that does nothing.
    #[test]
    fn what_is_shown_is_never_refused_as_unused() {
        for dataset in DatasetName::ALL {
            let mut scenario = scenario(&[("dataset-name", dataset.name())]);
            let shown = fields(&scenario);
            // Where there are users, no rate is shown.
            let is_filled = |name: &&&'static str| !RAMP_UP.contains(*name) && **name != "num-users";
            for name in shown.basic.iter().chain(&shown.more).filter(is_filled) {
                let value = match *name {
                    "disable-shuffle" | "no-oversample" | "self-timed" => "true",
                    "random-range-ratio" => "0.5",
                    name if name.contains("label") => "column",
                    "columns" => "prompt=isl",
                    "time-unit" => "ms",
                    "session-replay" => "open",
                    _ => "8",
                };
                scenario.set(name, Some(value)).expect("a value of the flag's type");
            }
            let error = scenario.workload().sample(Some(b""), Some(&|_: &str| 1)).err().map(|error| error.to_string());
            let said = error.unwrap_or_default();
            assert!(!said.contains("does nothing") && !said.contains("--no-self-timed"), "{dataset}: {said}");
            assert!(strays(&scenario).is_empty(), "{dataset}: {:?}", strays(&scenario));
        }
    }

    #[test]
    fn another_dataset_takes_along_what_it_looks_at() {
        let before = scenario(&[("random-input-len", "512"), ("request-rate", "8"), ("num-prompts", "50")]);
        let (after, gone) = with_dataset(&before, DatasetName::Azure);
        assert_eq!(gone, ["request-rate", "random-input-len"]);
        assert_eq!((after.get("num-prompts"), after.get("dataset-name")), (Some("50"), Some("azure")));
        let (back, gone) = with_dataset(&after, DatasetName::Random);
        assert!(gone.is_empty() && back == scenario(&[("num-prompts", "50")]), "{back:?}");
        let (kept, gone) = with_dataset(&scenario(&[("output-len", "64")]), DatasetName::PrefixRepetition);
        assert!(gone.is_empty() && kept.get("output-len") == Some("64"), "{gone:?}");
    }
}
