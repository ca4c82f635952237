//! How good a choice by simulation is, on configurations that others ran: which of a model's configurations on a GPU has
//! the most tokens a second and GPU, and how much is lost by running the one that is simulated to have.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;

use super::published_report::{Outcome, Report};

/// Bounds on mean TPOT, in milliseconds, under which is asked; infinite for none.
const BOUNDS: [f64; 3] = [f64::INFINITY, 50.0, 20.0];
/// Fewest configurations that were measured and meet the bound for a question to be one.
const FEWEST: usize = 3;

/// What a configuration gives: mean TPOT in milliseconds, and output tokens a second and GPU.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Gives {
    tpot_ms: f64,
    throughput: f64,
}

/// A configuration, measured and simulated.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Configuration {
    measured: Gives,
    simulated: Gives,
}

/// The answers to some questions.
#[derive(Debug, Clone, Default, PartialEq)]
struct Answers {
    /// Share of the best measured throughput that is lost, for each question whose choice meets the bound.
    regrets: Vec<f64>,
    num_questions: u32,
    num_best: u32,
    num_best_three: u32,
    /// Choices that miss the bound when measured.
    num_beyond: u32,
    /// What a choice at random among those that were measured to meet loses in the mean.
    at_random: Vec<f64>,
}

impl Answers {
    /// One question: the most tokens a second and GPU of `configurations` with a mean TPOT of at most `bound`. It is none
    /// where too few were measured to meet, or all that meet give the same.
    fn ask(&mut self, configurations: &[Configuration], bound: f64) {
        let meets = |gives: &Gives| gives.tpot_ms <= bound;
        let mut measured: Vec<f64> =
            configurations.iter().filter(|one| meets(&one.measured)).map(|one| one.measured.throughput).collect();
        measured.sort_by(|a, b| b.total_cmp(a));
        let (Some(&best), true) = (measured.first(), measured.len() >= FEWEST) else { return };
        let simulated = configurations.iter().filter(|one| meets(&one.simulated));
        let Some(choice) = simulated.max_by(|a, b| a.simulated.throughput.total_cmp(&b.simulated.throughput)) else {
            return;
        };
        self.num_questions += 1;
        self.at_random.push(1.0 - measured.iter().sum::<f64>() / measured.len() as f64 / best);
        if !meets(&choice.measured) {
            self.num_beyond += 1;
            return;
        }
        let own = choice.measured.throughput;
        let rank = measured.iter().filter(|other| **other > own).count();
        self.num_best += u32::from(rank == 0);
        self.num_best_three += u32::from(rank < 3);
        self.regrets.push(1.0 - own / best);
    }

    fn line(&self) -> String {
        let mean = |values: &[f64]| 100.0 * values.iter().sum::<f64>() / values.len().max(1) as f64;
        let worst = 100.0 * self.regrets.iter().copied().fold(0.0, f64::max);
        format!(
            "{:>10}{:>7}{:>12}{:>8}{:>9.1}{worst:>8.1}{:>11.1}",
            self.num_questions,
            self.num_best,
            self.num_best_three,
            self.num_beyond,
            mean(&self.regrets),
            mean(&self.at_random)
        )
    }
}

/// A question's model, GPU, number format, and lengths.
type Question = (String, String, String, u32, u32);
/// What tells two configurations of it apart: ranks and requests under way.
type Setup = (u32, u32, bool, u32);

/// The configurations of each question; those that were run several times, on several days, count once, with their mean.
fn questions(outcomes: &[Outcome]) -> BTreeMap<Question, Vec<Configuration>> {
    let mut runs: BTreeMap<Question, BTreeMap<Setup, Vec<Configuration>>> = BTreeMap::new();
    for outcome in outcomes {
        let row = &outcome.row;
        let Some([ttft, tpot]) = outcome.times() else { continue };
        let gives = |ttft_ms: f64, tpot_ms: f64| {
            let e2el_ms = ttft_ms + tpot_ms * f64::from(row.output.saturating_sub(1));
            let tokens = f64::from(row.concurrency) * f64::from(row.output) * 1000.0 / e2el_ms;
            Gives { tpot_ms, throughput: tokens / f64::from(row.setup.tensor_parallel_size) }
        };
        let configuration = Configuration { measured: gives(ttft.0, tpot.0), simulated: gives(ttft.1, tpot.1) };
        let (model, gpu, format) = row.cell();
        let own = &row.setup;
        let setup = (own.tensor_parallel_size, own.data_parallel_size, own.enable_expert_parallel, row.concurrency);
        let of_question = runs.entry((model, gpu, format, row.input, row.output)).or_default();
        of_question.entry(setup).or_default().push(configuration);
    }
    let mean = |runs: &Vec<Configuration>| {
        let mean = |of: &dyn Fn(&Configuration) -> f64| runs.iter().map(of).sum::<f64>() / runs.len() as f64;
        Configuration {
            measured: Gives {
                tpot_ms: mean(&|one| one.measured.tpot_ms),
                throughput: mean(&|one| one.measured.throughput),
            },
            simulated: Gives {
                tpot_ms: mean(&|one| one.simulated.tpot_ms),
                throughput: mean(&|one| one.simulated.throughput),
            },
        }
    };
    runs.into_iter().map(|(question, setups)| (question, setups.values().map(mean).collect())).collect()
}

/// A table by model and GPU, for each bound, and of all.
pub(super) fn table(report: &Report) -> Result<String> {
    let questions = questions(&report.outcomes);
    let mut text = String::new();
    for bound in BOUNDS {
        let mut cells: BTreeMap<(String, String), Answers> = BTreeMap::new();
        let mut all = Answers::default();
        for ((model, gpu, ..), configurations) in &questions {
            all.ask(configurations, bound);
            cells.entry((model.clone(), gpu.clone())).or_default().ask(configurations, bound);
        }
        let within = if bound.is_finite() { format!(" within a mean TPOT of {bound} ms") } else { String::new() };
        writeln!(
            text,
            "Most output tokens a second and GPU{within}, of the configurations of a model, GPU, format and lengths"
        )?;
        writeln!(
            text,
            "{:<44}{:>10}{:>7}{:>12}{:>8}{:>9}{:>8}{:>11}",
            "model, GPU", "questions", "best", "best three", "beyond", "lost, %", "worst", "at random"
        )?;
        for ((model, gpu), answers) in cells.iter().filter(|(_, answers)| answers.num_questions > 0) {
            writeln!(text, "{:<44}{}", format!("{model} {gpu}"), answers.line())?;
        }
        writeln!(text, "{:<44}{}\n", "all", all.line())?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::{Answers, Configuration, Gives};

    /// Configurations of (measured TPOT, measured throughput, simulated TPOT, simulated throughput).
    fn configurations(of: &[[f64; 4]]) -> Vec<Configuration> {
        let one = |[tpot_ms, throughput, simulated_tpot, simulated]: &[f64; 4]| Configuration {
            measured: Gives { tpot_ms: *tpot_ms, throughput: *throughput },
            simulated: Gives { tpot_ms: *simulated_tpot, throughput: *simulated },
        };
        of.iter().map(one).collect()
    }

    /// Questions, best, best three, beyond the bound.
    #[track_caller]
    fn check(of: &[[f64; 4]], bound: f64, expect: [u32; 4], regret: Option<f64>) {
        let mut answers = Answers::default();
        answers.ask(&configurations(of), bound);
        let own = [answers.num_questions, answers.num_best, answers.num_best_three, answers.num_beyond];
        assert_eq!((own, answers.regrets.first().copied()), (expect, regret), "{of:?}");
    }

    #[test]
    fn a_choice_is_held_against_what_was_measured() {
        let rows = [
            [10.0, 100.0, 10.0, 90.0],
            [20.0, 150.0, 30.0, 180.0],
            [40.0, 200.0, 35.0, 170.0],
            [50.0, 50.0, 50.0, 60.0],
        ];
        check(&rows, f64::INFINITY, [1, 0, 1, 0], Some(0.25));
        // Simulated within 36 ms, and the best of those.
        check(&rows, 45.0, [1, 0, 1, 0], Some(0.25));
        // Fewer than three were measured to meet.
        check(&rows, 25.0, [0, 0, 0, 0], None);
        // The choice is beyond the bound when measured.
        let wrong = [[10.0, 1.0, 10.0, 1.0], [11.0, 2.0, 11.0, 2.0], [12.0, 3.0, 12.0, 3.0], [99.0, 9.0, 13.0, 9.0]];
        check(&wrong, 15.0, [1, 0, 0, 1], None);
        check(&wrong, f64::INFINITY, [1, 1, 1, 0], Some(0.0));
    }
}
