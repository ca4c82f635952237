//! Objectives as three fields that are one flag: `--goodput ttft:500 tpot:50`.

use leptos::prelude::WithUntracked;
use sim_core::metrics::goodput::Goodput;

use crate::state::AppState;

/// A latency that can have an objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Objective {
    /// Time to first token.
    Ttft,
    /// Time per output token.
    Tpot,
    /// End-to-end latency.
    E2el,
}

impl Objective {
    /// All, in vLLM's order.
    pub(super) const ALL: [Self; 3] = [Self::Ttft, Self::Tpot, Self::E2el];

    /// Its key in the flag.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Ttft => "ttft",
            Self::Tpot => "tpot",
            Self::E2el => "e2el",
        }
    }

    /// Its name on the page.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ttft => "TTFT",
            Self::Tpot => "TPOT",
            Self::E2el => "E2EL",
        }
    }

    /// Its bound in milliseconds as text; empty if it has none.
    pub(super) fn bound(self, goodput: &Goodput) -> String {
        let bound = match self {
            Self::Ttft => goodput.ttft_ms,
            Self::Tpot => goodput.tpot_ms,
            Self::E2el => goodput.e2el_ms,
        };
        bound.map(|ms| ms.to_string()).unwrap_or_default()
    }
}

/// The flag's value with the bound of `objective` replaced by `text`; empty if no bound is left.
///
/// # Errors
/// If `text` is neither empty nor a number of milliseconds that is at least 0.
fn with_bound(goodput: &Goodput, objective: Objective, text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_bound = text.parse::<f64>().is_ok_and(|ms| ms.is_finite() && ms >= 0.0);
    if !text.is_empty() && !is_bound {
        return Err(format!("{}: {text:?} is not a number of milliseconds of at least 0", objective.name()));
    }
    let bounds =
        Objective::ALL.map(|one| (one.key(), if one == objective { text.to_owned() } else { one.bound(goodput) }));
    let given = bounds.iter().filter(|(_, bound)| !bound.is_empty());
    Ok(given.map(|(key, bound)| format!("{key}:{bound}")).collect::<Vec<_>>().join(" "))
}

impl AppState {
    /// Sets the objective of this key; an empty text forgets it.
    ///
    /// # Errors
    /// What is wrong with `text`.
    pub(crate) fn set_bound(self, key: &str, text: &str) -> Result<(), String> {
        let goodput = self.scenario.with_untracked(|scenario| scenario.report().goodput());
        let objective = Objective::ALL.into_iter().find(|objective| objective.key() == key);
        let flag = objective.map(|objective| with_bound(&goodput, objective, text)).transpose()?;
        flag.map_or(Ok(()), |flag| self.set_flag("goodput", &flag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: &str, objective: Objective, text: &str, expect: Option<&str>) {
        let goodput = Goodput::parse(before.split_whitespace()).expect("a valid flag");
        let got = with_bound(&goodput, objective, text);
        assert_eq!(got.as_deref().ok(), expect, "{before:?} with {objective:?} = {text:?}: {got:?}");
    }

    #[test]
    fn three_fields_make_one_flag_and_the_others_bounds_stay() {
        check("", Objective::Ttft, "500", Some("ttft:500"));
        check("ttft:500", Objective::Tpot, " 50 ", Some("ttft:500 tpot:50"));
        check("tpot:50 ttft:500", Objective::E2el, "10000", Some("ttft:500 tpot:50 e2el:10000"));
        check("ttft:500 tpot:50", Objective::Ttft, "", Some("tpot:50"));
        check("ttft:0.5", Objective::Tpot, "12.5", Some("ttft:0.5 tpot:12.5"));
        check("ttft:500", Objective::Ttft, "", Some(""));
    }

    #[test]
    fn what_is_no_bound_is_refused() {
        for text in ["fast", "-1", "inf", "nan", "5 0"] {
            check("ttft:500", Objective::Tpot, text, None);
        }
    }

    #[test]
    fn what_the_fields_write_they_read_back() {
        let goodput = Goodput::parse(["tpot:49.5", "e2el:10000"]).expect("a valid flag");
        assert_eq!(Objective::ALL.map(|one| one.bound(&goodput)), ["", "49.5", "10000"]);
    }
}
