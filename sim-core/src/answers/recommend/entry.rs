//! A candidate, the runs that are made of it, and what came of them.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;

use super::coarse::Coarse;
use super::exclusion::Exclusion;
use super::figures::{Figures, Hardware};
use super::objective::{Plan, Standing};
use super::space::Candidate;
use crate::answers::capacity::trial::Point;
use crate::answers::capacity::{Answer, Search, Trial};
use crate::config::EngineConfig;

/// What a candidate's engine is.
#[derive(Debug, Clone, PartialEq)]
pub struct Engine {
    /// Which of the composed profiles: candidates with the same profile and configuration are the same.
    pub profile: usize,
    /// Its GPUs and their price.
    pub hardware: Hardware,
    /// What vLLM makes of the flags.
    pub config: EngineConfig,
}

/// A run that is wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Job {
    /// Whose.
    pub candidate: usize,
    /// Which.
    pub kind: JobKind,
}

/// Which run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum JobKind {
    /// What the engine answers a second at most: [`crate::answers::capacity::Asked::saturated`].
    Saturated {
        /// With this seed.
        seed: u32,
    },
    /// A trial; of an infinite load all comes at once.
    Trial {
        /// Requests per second, or at once.
        load: f64,
        /// With this seed.
        seed: u32,
        /// Requests.
        num_prompts: u32,
    },
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Done {
    /// Of [`JobKind::Saturated`].
    Rate(f64),
    /// Of [`JobKind::Trial`].
    Trial(Box<Trial>),
    /// It could not be run.
    Excluded(Exclusion),
}

/// Why a candidate is there.
#[derive(Debug, Clone, PartialEq)]
pub enum Role {
    /// Of the grid.
    Grid,
    /// The best with this flag as in the base.
    AsInBase(String),
    /// The best with a step of this flag, which is not in the grid.
    Step(String),
}

/// A candidate and what is known of it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its flags.
    pub candidate: Candidate,
    /// Why it is there.
    pub role: Role,
    /// Its engine, once that is known.
    pub engine: Option<Engine>,
    /// Why it is not tried.
    pub excluded: Option<Exclusion>,
    /// Cheap rounds that it was in.
    pub num_rounds: u32,
    /// How good it seems, or is.
    pub standing: Standing,
    /// What it carries, of those that were searched to the end.
    pub answer: Option<Answer>,
    /// At its share of the demand, or else at its capacity.
    pub operating: Option<Point>,
    pub(super) coarse: Option<Coarse>,
    pub(super) search: Option<Search>,
}

impl Entry {
    pub(super) fn new(candidate: Candidate, role: Role) -> Self {
        Self {
            candidate,
            role,
            engine: None,
            excluded: None,
            num_rounds: 0,
            standing: Standing { value: f64::INFINITY, then: f64::INFINITY },
            answer: None,
            operating: None,
            coarse: None,
            search: None,
        }
    }

    /// What it gives where it is to run.
    #[must_use]
    pub fn figures(&self, plan: &Plan) -> Option<Figures> {
        Some(Figures::new(plan.kind, self.operating.as_ref()?, self.engine.as_ref()?.hardware))
    }

    /// Its name: the choices that are made, the GPU before all others.
    #[must_use]
    pub fn name(&self) -> String {
        let mut words = vec![];
        for (flag, value) in &self.candidate.choices {
            match value {
                Some(gpu) if flag == "gpu" => words.insert(0, gpu.clone()),
                Some(value) => words.push(alloc::format!("--{flag} {value}")),
                None => {}
            }
        }
        words.join(" ")
    }
}
