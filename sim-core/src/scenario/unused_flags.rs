//! Flags that the dataset does not look at: what is given and does nothing misleads.

use super::workload_args::WorkloadArgs;
use super::{DatasetName, ScenarioError};

impl WorkloadArgs {
    /// Refuses flags that the chosen dataset would not look at: what is given and does nothing misleads.
    pub(super) fn check_used(&self, name: DatasetName) -> Result<(), ScenarioError> {
        use DatasetName::{
            Azure, BurstGpt, BurstGptTimed, Custom, Mixture, PrefixRepetition, Random, Sessions, ShareGpt, Table,
            TimedTrace,
        };
        const TIMED: &[DatasetName] = &[TimedTrace];
        let files: &[DatasetName] = &[ShareGpt, Custom, BurstGpt, TimedTrace, Azure, BurstGptTimed, Table, Mixture];
        // Sessions are counted as sessions.
        const COUNTED: &[DatasetName] =
            &[Random, PrefixRepetition, ShareGpt, Custom, BurstGpt, TimedTrace, Azure, BurstGptTimed, Table, Mixture];
        let (of_table, of_sessions) = (self.table.given(), self.sessions.given());
        let flags: [(&'static str, bool, &'static [DatasetName]); 19] = [
            ("num-prompts", self.num_prompts.is_some(), COUNTED),
            (of_sessions.unwrap_or_default(), of_sessions.is_some(), &[Sessions]),
            ("input-len", self.input_len.is_some(), &[Random]),
            ("output-len", self.output_len.is_some(), &[Random, PrefixRepetition, ShareGpt, Custom]),
            ("random-input-len", self.random_input_len.is_some(), &[Random]),
            ("random-output-len", self.random_output_len.is_some(), &[Random]),
            ("random-range-ratio", self.random_range_ratio.is_some(), &[Random]),
            ("random-prefix-len", self.random_prefix_len.is_some(), &[Random]),
            ("prefix-repetition-prefix-len", self.prefix_repetition_prefix_len.is_some(), &[PrefixRepetition]),
            ("prefix-repetition-suffix-len", self.prefix_repetition_suffix_len.is_some(), &[PrefixRepetition]),
            ("prefix-repetition-num-prefixes", self.prefix_repetition_num_prefixes.is_some(), &[PrefixRepetition]),
            ("prefix-repetition-output-len", self.prefix_repetition_output_len.is_some(), &[PrefixRepetition]),
            ("sharegpt-output-len", self.sharegpt_output_len.is_some(), &[ShareGpt]),
            ("custom-output-len", self.custom_output_len.is_some(), &[Custom]),
            ("timed-trace-chunk-hash-size", self.timed_trace_chunk_hash_size.is_some(), &[TimedTrace, Table]),
            ("timed-trace-sec-multiplier", self.timed_trace_sec_multiplier.is_some(), TIMED),
            ("timed-trace-label-hash-ids", self.timed_trace_label_hash_ids.is_some(), TIMED),
            ("timed-trace-label-timestamp", self.timed_trace_label_timestamp.is_some(), TIMED),
            (of_table.unwrap_or_default(), of_table.is_some(), &[Table]),
        ];
        if self.dataset_path.is_some() && !files.contains(&name) {
            return Err(ScenarioError::Unused { flag: "dataset-path", dataset: name, users: files.to_vec() });
        }
        if let Some((flag, _, users)) = flags.iter().find(|(_, is_given, users)| *is_given && !users.contains(&name)) {
            return Err(ScenarioError::Unused { flag, dataset: name, users: users.to_vec() });
        }
        // A table may have none: only its file tells.
        if name.has_times() && name != Table && self.is_paced() && self.self_timed != Some(false) {
            return Err(ScenarioError::HasTimes { dataset: name });
        }
        Ok(())
    }
}
