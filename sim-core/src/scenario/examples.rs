//! Setups to begin with: models on GPUs, as flags. Each was once a profile of the site, whose name links still have.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::link::Link;
use super::{DEFAULT_GPU, DEFAULT_MODEL, ReportArgs, Scenario, WorkloadArgs};
use crate::metrics::goodput::Goodput;

/// A model on a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Example {
    /// `--model`.
    pub model: &'static str,
    /// `--gpu`.
    pub gpu: &'static str,
    /// `--quantization`, if it is given.
    pub quantization: Option<&'static str>,
    /// `--tensor-parallel-size`.
    pub num_gpus: u32,
    /// What the model is called in the name of a profile.
    slug: &'static str,
}

/// A model with the GPUs on which it is shown: without a quantisation, and in fp8.
type Row = (&'static str, &'static str, &'static [(&'static str, u32)], &'static [(&'static str, u32)]);

const ROWS: &[Row] = &[
    (
        "meta-llama/Llama-3.1-8B",
        "llama-3.1-8b",
        &[("h100-sxm", 1), ("h200-sxm", 1), ("b200-sxm", 1), ("l40s", 1), ("a100-sxm", 1), ("rtx-pro-6000", 1)],
        &[],
    ),
    (
        "Qwen/Qwen3-8B",
        "qwen3-8b",
        &[("h100-sxm", 1), ("h200-sxm", 1), ("b200-sxm", 1), ("l40s", 1), ("a100-sxm", 1), ("rtx-pro-6000", 1)],
        &[],
    ),
    (
        "Qwen/Qwen3-14B",
        "qwen3-14b",
        &[("h100-sxm", 1), ("h200-sxm", 1), ("b200-sxm", 1), ("l40s", 1), ("a100-sxm", 1), ("rtx-pro-6000", 1)],
        &[],
    ),
    (
        "Qwen/Qwen3-32B",
        "qwen3-32b",
        &[("h100-sxm", 2), ("h200-sxm", 1), ("b200-sxm", 1), ("l40s", 2), ("a100-sxm", 4), ("rtx-pro-6000", 1)],
        &[],
    ),
    (
        "Qwen/Qwen3-30B-A3B",
        "qwen3-30b-a3b",
        &[("h100-sxm", 1), ("h200-sxm", 1), ("b200-sxm", 1), ("a100-sxm", 2), ("rtx-pro-6000", 1)],
        &[],
    ),
    (
        "meta-llama/Llama-3.3-70B-Instruct",
        "llama-3.3-70b",
        &[("h100-sxm", 4), ("h200-sxm", 2), ("b200-sxm", 2), ("a100-sxm", 4), ("rtx-pro-6000", 4)],
        &[("h100-sxm", 2), ("h100-sxm", 4), ("h100-sxm", 8), ("h200-sxm", 4), ("h200-sxm", 8), ("rtx-pro-6000", 2)],
    ),
];

/// All, by model.
pub fn examples() -> impl Iterator<Item = Example> {
    ROWS.iter().flat_map(|&(model, slug, plain, fp8)| {
        let one = move |quantization| {
            move |&(gpu, num_gpus): &(&'static str, u32)| Example { model, gpu, quantization, num_gpus, slug }
        };
        plain.iter().map(one(None)).chain(fp8.iter().map(one(Some("fp8"))))
    })
}

impl Example {
    /// The example that was a profile of this name.
    #[must_use]
    pub fn of_profile(name: &str) -> Option<Self> {
        examples().find(|example| example.profile_name() == name)
    }

    /// The profile that it was.
    #[must_use]
    pub fn profile_name(&self) -> String {
        let Self { gpu, slug, num_gpus, .. } = self;
        alloc::format!("{gpu}_{slug}_{}_tp{num_gpus}", self.quantization.unwrap_or("bf16"))
    }

    /// Its flags, without those that hold anyway.
    #[must_use]
    pub fn flags(&self) -> Vec<(&'static str, String)> {
        let mut flags = alloc::vec![("model", self.model.to_string()), ("gpu", self.gpu.to_string())];
        flags.extend(self.quantization.map(|method| ("quantization", method.to_string())));
        flags.extend((self.num_gpus != 1).then(|| ("tensor-parallel-size", self.num_gpus.to_string())));
        flags
    }
}

impl Scenario {
    /// Requests at a rate, a second, under objectives, as its flags would be read: for who has not got what reads them yet.
    #[must_use]
    pub fn at_rate(request_rate: u32, ttft_ms: u32, tpot_ms: u32) -> Self {
        let [ttft, tpot] = [ttft_ms, tpot_ms].map(f64::from);
        let goodput = Goodput { ttft_ms: Some(ttft), tpot_ms: Some(tpot), e2el_ms: None };
        let workload = WorkloadArgs { request_rate: Some(request_rate.into()), ..WorkloadArgs::default() };
        let given =
            [("request-rate", request_rate.to_string()), ("goodput", alloc::format!("ttft:{ttft_ms} tpot:{tpot_ms}"))];
        // One after the other: collecting would bring a sort of its own into the page's form.
        let mut values = BTreeMap::new();
        for (name, value) in given {
            if let Some(place) = super::place_of(name) {
                values.insert(place, value);
            }
        }
        Self { values, workload, report: ReportArgs::of(goodput), ..Self::default() }
    }
}

/// A link to a profile that is an example now gets its flags, under what the link itself says.
pub(super) fn take_old_name(link: &mut Link) {
    let example = link.profile.as_deref().and_then(Example::of_profile);
    let Some(example) = example.filter(|_| link.profile_file.is_none()) else { return };
    if example.model == DEFAULT_MODEL && example.gpu == DEFAULT_GPU {
        // That profile is still there.
        return;
    }
    for (flag, value) in example.flags() {
        if link.scenario.get(flag).is_none() {
            // Flags and values are ours.
            link.scenario.set(flag, Some(&value)).ok();
        }
    }
    (link.profile, link.profile_hash) = (None, None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_a_profile_of_old_says_its_flags() {
        let link =
            Link::from_fragment("#v=1&profile=h100-sxm_llama-3.3-70b_fp8_tp4&profile-hash=0123456789abcdef&seed=3");
        let link = link.expect("a link");
        assert_eq!((link.profile.as_ref(), link.profile_hash), (None, None));
        let get = |flag| link.scenario.get(flag);
        assert_eq!(get("model"), Some("meta-llama/Llama-3.3-70B-Instruct"));
        assert_eq!(
            (get("quantization"), get("tensor-parallel-size"), get("seed")),
            (Some("fp8"), Some("4"), Some("3"))
        );
        let first = Link::from_fragment("#v=1&profile=h100-sxm_llama-3.1-8b_bf16_tp1").expect("a link");
        assert!(first.profile.is_some() && first.scenario == Scenario::default());
    }

    #[test]
    fn a_profile_of_old_is_found_by_its_name() {
        let found = Example::of_profile("h100-sxm_llama-3.3-70b_fp8_tp4").expect("it was there");
        assert_eq!((found.gpu, found.quantization, found.num_gpus), ("h100-sxm", Some("fp8"), 4));
        assert_eq!(Example::of_profile("nobody-has-this"), None);
        let mut names: Vec<String> = examples().map(|example| example.profile_name()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!((names.len(), count), (40, 40), "two examples were one profile");
    }

    #[test]
    fn requests_at_a_rate_are_as_their_flags_are_read() {
        let flags = [("request-rate", Some("8")), ("goodput", Some("ttft:500 tpot:50"))];
        let read = Scenario::from_flags(flags).expect("known flags");
        let made = Scenario::at_rate(8, 500, 50);
        // Every field of it, not the texts alone.
        assert_eq!(alloc::format!("{made:?}"), alloc::format!("{read:?}"));
    }
}
