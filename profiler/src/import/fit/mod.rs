//! Terms of a profile, fitted to measured runs: simulate, compare, adjust.
//!
//! A [`runs::Run`] is a workload, the engine it was sent to and what was measured; [`terms::Term`] is a number of the
//! profile that may be adjusted; [`least_squares`] decides which terms the runs can tell apart and finds their values.
//! Everything is deterministic: the same runs and profile give the same fit.

pub(crate) mod least_squares;
pub(crate) mod runs;
pub(crate) mod terms;

use anyhow::Result;
use rayon::prelude::*;
use sim_core::profile::Profile;

use least_squares::Parameter;
use runs::{Compared, Run};
use terms::Term;

/// Runs of one configuration, and its profile.
#[derive(Debug, Clone)]
pub(crate) struct Set {
    pub(crate) profile: Profile,
    pub(crate) runs: Vec<Run>,
}

/// A term and the value that was found for it, in microseconds; `None` if the runs cannot tell it from the others, and
/// so it stays.
pub(crate) type Value = (Term, Option<f64>);

/// The values of `terms` with which the profiles of all `sets` predict their runs best; every set counts the same. The
/// search begins at the first set's values.
///
/// # Errors
/// If a run cannot be simulated on its profile.
pub(crate) fn fit(sets: &[Set], terms: &[Term]) -> Result<Vec<Value>> {
    let start = |term: &Term| sets.first().map_or(0.0, |set| term.value(&set.profile));
    let parameters: Vec<Parameter> =
        terms.iter().map(|term| Parameter { start: start(term), step: term.step() }).collect();
    let found = least_squares::fit(&parameters, |values| {
        let values: Vec<Value> = terms.iter().zip(values).map(|(&term, &value)| (term, Some(value))).collect();
        let mut residuals = vec![];
        for set in sets {
            let compared = compare(&with(&set.profile, &values), &set.runs)?;
            let of_set: Vec<f64> = compared.iter().flatten().map(Compared::residual).collect();
            let weight = 1.0 / (of_set.len().max(1) as f64).sqrt();
            residuals.extend(of_set.into_iter().map(|residual| weight * residual));
        }
        Ok(residuals)
    })?;
    let values = terms.iter().zip(&found.values).zip(&found.is_fitted);
    Ok(values.map(|((&term, &value), &is_fitted)| (term, is_fitted.then_some(value))).collect())
}

/// `profile` with the terms that have a value.
pub(crate) fn with(profile: &Profile, values: &[Value]) -> Profile {
    let mut changed = profile.clone();
    for (term, value) in values {
        if let Some(value) = value {
            term.set(&mut changed, *value);
        }
    }
    changed
}

/// Simulates every run on `profile`, on all cores, and puts what was measured beside it.
///
/// # Errors
/// If a run cannot be simulated on the profile.
pub(crate) fn compare(profile: &Profile, runs: &[Run]) -> Result<Vec<Vec<Compared>>> {
    let compared: Vec<Result<_>> = runs.par_iter().with_max_len(1).map(|run| run.compare(profile)).collect();
    // Of several errors the first run's, however fast the others were.
    compared.into_iter().collect()
}
