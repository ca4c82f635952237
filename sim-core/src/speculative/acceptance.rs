//! How many drafts the model accepts: part of the workload, as it depends on what is written.

use alloc::vec::Vec;
use core::fmt;

use crate::math;

/// How many drafts of a verification are accepted.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Acceptance {
    /// None, ever.
    #[default]
    None,
    /// Each draft by a chance, given that all before it were accepted.
    Rates {
        /// The chance per position; those behind the last have none.
        conditional: Vec<f64>,
        /// Seed of the draws. The draws of a request depend on nothing but the seed, the request and the verification.
        seed: u64,
    },
    /// These numbers of drafts in turn, for each request from the start, gone through again when used up.
    Sequence(Vec<u32>),
    /// As recorded.
    Recorded {
        /// Per request.
        requests: Vec<RecordedRequest>,
        /// Whether the recorded worker proposed at most as many drafts as the scheduler asked for; at most as many as
        /// the drafter has otherwise.
        asks_scheduler: bool,
    },
}

/// What was recorded of a request; each list is gone through again when used up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordedRequest {
    /// Accepted drafts of each verification in order, at most as many as were verified; empty for all.
    pub accepted: Vec<u32>,
    /// Drafts proposed after each pass that gave a token, in order; empty for as many as the drafter is asked for.
    pub proposed: Vec<u32>,
}

/// Why rates are refused. Each variant's doc is its exact predicate.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum AcceptanceError {
    /// A rate is not a number from 0 to 1.
    Rate {
        /// Its position, from 1.
        position: usize,
        /// What was given.
        rate: f64,
    },
    /// As many rates as drafts are needed, and others were given.
    Count {
        /// Rates given.
        num_rates: usize,
        /// Drafts.
        num_speculative_tokens: u32,
    },
    /// An unconditional rate is above the one before it.
    Increasing {
        /// Its position, from 1.
        position: usize,
    },
    /// A mean acceptance length is below 1 or above the drafts and one.
    Length {
        /// What was given.
        length: f64,
        /// The most.
        most: u32,
    },
}

impl fmt::Display for AcceptanceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate { position, rate } => {
                write!(f, "the rate at position {position} is {rate}; it must be from 0 to 1")
            }
            Self::Count { num_rates, num_speculative_tokens } => write!(
                f,
                "{num_rates} rates for num_speculative_tokens = {num_speculative_tokens}: one for each draft is needed"
            ),
            Self::Increasing { position } => write!(
                f,
                "the rate at position {position} is above the one before it: a draft is accepted only if those before \
                 it are"
            ),
            Self::Length { length, most } => write!(
                f,
                "a mean acceptance length of {length}: it must be from 1 (no draft accepted) to {most} (all accepted)"
            ),
        }
    }
}

impl core::error::Error for AcceptanceError {}

impl Acceptance {
    /// By conditional rates: position i's is the chance that draft i is accepted if all before it are.
    ///
    /// # Errors
    /// [`AcceptanceError::Rate`] and [`AcceptanceError::Count`].
    pub fn conditional(rates: &[f64], num_speculative_tokens: u32, seed: u64) -> Result<Self, AcceptanceError> {
        check_rates(rates, num_speculative_tokens)?;
        Ok(Self::Rates { conditional: rates.to_vec(), seed })
    }

    /// By unconditional rates, as vLLM's `synthetic_acceptance_rates`: position i's is the chance that drafts 1 to i are
    /// all accepted. Source: `vllm/v1/spec_decode/utils.py::unconditional_to_conditional_rates`.
    ///
    /// # Errors
    /// See [`AcceptanceError`].
    pub fn unconditional(rates: &[f64], num_speculative_tokens: u32, seed: u64) -> Result<Self, AcceptanceError> {
        check_rates(rates, num_speculative_tokens)?;
        let mut before = 1.0;
        let mut conditional = Vec::with_capacity(rates.len());
        for (place, &rate) in rates.iter().enumerate() {
            if rate > before {
                return Err(AcceptanceError::Increasing { position: place + 1 });
            }
            conditional.push(if before > 0.0 { rate / before } else { 0.0 });
            before = rate;
        }
        Ok(Self::Rates { conditional, seed })
    }

    /// By a mean acceptance length, tokens of a verification, as vLLM's `synthetic_acceptance_length`: always so many
    /// drafts, and one more as often as is left over. Source: `SpeculativeConfig._acceptance_length_to_rates`.
    ///
    /// # Errors
    /// [`AcceptanceError::Length`].
    pub fn mean_length(length: f64, num_speculative_tokens: u32, seed: u64) -> Result<Self, AcceptanceError> {
        let most = num_speculative_tokens + 1;
        if !(1.0..=math::u32_to_f64(most)).contains(&length) {
            return Err(AcceptanceError::Length { length, most });
        }
        let whole = math::floor(length - 1.0);
        let rates: Vec<f64> = (0..num_speculative_tokens)
            .map(math::u32_to_f64)
            .map(|place| if place < whole { 1.0 } else { math::max(0.0, length - 1.0 - place) })
            .scan(false, |is_over, rate| Some(if core::mem::replace(is_over, rate < 1.0) { 0.0 } else { rate }))
            .collect();
        Self::unconditional(&rates, num_speculative_tokens, seed)
    }

    /// By a mean acceptance length, tokens of a verification, where every draft has the same chance if all before it were
    /// accepted.
    ///
    /// # Errors
    /// [`AcceptanceError::Length`].
    pub fn even_rate(length: f64, num_speculative_tokens: u32, seed: u64) -> Result<Self, AcceptanceError> {
        let most = num_speculative_tokens + 1;
        if !(1.0..=math::u32_to_f64(most)).contains(&length) {
            return Err(AcceptanceError::Length { length, most });
        }
        // 1 + rate + rate² + …, by Horner's rule; it grows with the rate.
        let mean = |rate: f64| (0..num_speculative_tokens).fold(1.0, |sum, _| 1.0 + rate * sum);
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            *(if mean(middle) < length { &mut low } else { &mut high }) = middle;
        }
        Self::conditional(&alloc::vec![high; num_speculative_tokens as usize], num_speculative_tokens, seed)
    }

    /// Drafts accepted of `num_drafts` in verification `verification` of request `request`, both from 0.
    #[must_use]
    pub fn num_accepted(&self, request: u32, verification: u32, num_drafts: u32) -> u32 {
        match self {
            Self::None => 0,
            Self::Rates { conditional, seed } => {
                let accepted = (0..num_drafts).zip(conditional).take_while(|&(position, &rate)| {
                    uniform(*seed, request, (u64::from(verification) << 16) | u64::from(position)) < rate
                });
                math::usize_to_u32(accepted.count())
            }
            Self::Sequence(accepted) => repeated(accepted, verification).map_or(0, |accepted| accepted.min(num_drafts)),
            Self::Recorded { requests, .. } => {
                let recorded = requests.get(request as usize).map_or(&[][..], |request| &request.accepted);
                repeated(recorded, verification).map_or(num_drafts, |accepted| accepted.min(num_drafts))
            }
        }
    }

    /// Drafts proposed in proposal `proposal` of request `request`, where the drafter is asked for `asked` after a pass
    /// and has `most` at most.
    #[must_use]
    pub fn num_proposed(&self, request: u32, proposal: u32, asked: u32, most: u32) -> u32 {
        match self {
            Self::Recorded { requests, asks_scheduler } => {
                let limit = if *asks_scheduler { asked } else { most };
                let recorded = requests.get(request as usize).map_or(&[][..], |request| &request.proposed);
                repeated(recorded, proposal).map_or(limit, |proposed| proposed.min(limit))
            }
            _ => asked,
        }
    }

    /// Whether a verification of drafts that stand for none counts, as a recording counts it.
    pub(super) const fn counts_padding(&self) -> bool {
        matches!(self, Self::Recorded { .. })
    }
}

fn check_rates(rates: &[f64], num_speculative_tokens: u32) -> Result<(), AcceptanceError> {
    if rates.len() != num_speculative_tokens as usize {
        return Err(AcceptanceError::Count { num_rates: rates.len(), num_speculative_tokens });
    }
    match rates.iter().position(|rate| !(0.0..=1.0).contains(rate)) {
        Some(place) => Err(AcceptanceError::Rate { position: place + 1, rate: rates[place] }),
        None => Ok(()),
    }
}

fn repeated(list: &[u32], place: u32) -> Option<u32> {
    (!list.is_empty()).then(|| list[place as usize % list.len()])
}

/// A number in [0, 1) for `counter` of `request`: `SplitMix64` (Steele, Lea and Flood, 2014) of the two and the seed.
fn uniform(seed: u64, request: u32, counter: u64) -> f64 {
    let stream = mix(seed.wrapping_add(mix(u64::from(request).wrapping_add(0x9e37_79b9_7f4a_7c15))));
    math::u64_to_f64(mix(stream.wrapping_add(counter.wrapping_mul(0x9e37_79b9_7f4a_7c15))) >> 11)
        / 9_007_199_254_740_992.0
}

const fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean of tokens per verification over many.
    fn mean_length(acceptance: &Acceptance, num_drafts: u32) -> f64 {
        let count = 40_000;
        let accepted =
            (0..count).map(|n| acceptance.num_accepted(n % 7, n / 7, num_drafts)).map(u64::from).sum::<u64>();
        1.0 + math::u64_to_f64(accepted) / math::u32_to_f64(count)
    }

    #[test]
    fn a_mean_length_is_met_whatever_its_shape() {
        for (length, drafts) in [(1.0, 3), (1.7, 1), (2.5, 3), (3.9, 3), (3.73, 7), (4.0, 3)] {
            for made in [Acceptance::even_rate, Acceptance::mean_length] {
                let acceptance = made(length, drafts, 3).expect("a possible length");
                let got = mean_length(&acceptance, drafts);
                assert!((got - length).abs() < 0.03, "{length} of {drafts}: {got}");
            }
        }
    }

    #[test]
    fn unconditional_rates_become_conditional_ones() {
        let made = Acceptance::unconditional(&[0.8, 0.4, 0.0, 0.0], 4, 0).expect("rates that fall");
        assert_eq!(made, Acceptance::Rates { conditional: alloc::vec![0.8, 0.5, 0.0, 0.0], seed: 0 });
        assert_eq!(Acceptance::unconditional(&[0.4, 0.8], 2, 0), Err(AcceptanceError::Increasing { position: 2 }));
        assert_eq!(
            Acceptance::mean_length(3.25, 4, 0),
            Ok(Acceptance::Rates { conditional: alloc::vec![1.0, 1.0, 0.25, 0.0], seed: 0 })
        );
    }

    #[test]
    fn draws_depend_on_seed_request_and_verification_alone() {
        let drawn = |seed| {
            let acceptance = Acceptance::conditional(&[0.5; 4], 4, seed).expect("rates");
            (0..50).map(|n| acceptance.num_accepted(n % 5, n, 4)).collect::<Vec<_>>()
        };
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }

    #[test]
    fn a_sequence_is_gone_through_again() {
        let acceptance = Acceptance::Sequence(alloc::vec![3, 0, 9]);
        assert_eq!([0, 1, 2, 3].map(|n| acceptance.num_accepted(4, n, 3)), [3, 0, 3, 3]);
    }
}
