//! One run of many: setups stay here, so that a run of one is a load and a seed.

use std::collections::BTreeMap;

use sim_core::answers::capacity::{Asked, LoadKind};
use sim_core::profile::Profile;
use sim_core::scenario::Scenario;

use crate::protocol::{self, Tried};

/// Setups that a worker keeps: when one more comes, the one with the lowest number goes. The page counts along.
pub(crate) const MOST_SETUPS: usize = 64;

/// A setup, read; or why it cannot be.
type Setup = Result<Ready, String>;

#[derive(Debug)]
struct Ready {
    scenario: Scenario,
    profile: Profile,
    dataset: Option<Vec<u8>>,
    kind: LoadKind,
}

/// The setups that were asked about, by number.
#[derive(Debug, Default)]
pub(super) struct Setups(BTreeMap<u32, Setup>);

impl Setups {
    /// Makes the run of `load` and `seed`; `asked` comes with the first of a setup.
    ///
    /// # Errors
    /// The message of whatever refuses it: profile, flags, dataset, or the simulator.
    pub(super) fn tried(
        &mut self,
        setup: u32,
        asked: Option<protocol::Asked>,
        load: f64,
        seed: u32,
    ) -> Result<Tried, String> {
        if let Some(asked) = asked {
            self.0.insert(setup, read(asked));
            while self.0.len() > MOST_SETUPS {
                self.0.pop_first();
            }
        }
        let Some(setup) = self.0.get(&setup) else { return Err("this setup is not known any longer".to_owned()) };
        let Ready { scenario, profile, dataset, kind } = setup.as_ref().map_err(Clone::clone)?;
        let asked = Asked { scenario, profile, dataset: dataset.as_deref(), kind: *kind };
        let tried = if load.is_finite() {
            asked.run(load, seed, None).map(|trial| Tried::Trial(Box::new(trial)))
        } else {
            asked.saturated(seed, None).map(Tried::Saturated)
        };
        tried.map_err(|error| error.to_string())
    }
}

fn read(protocol::Asked { input, kind }: protocol::Asked) -> Setup {
    let profile = Profile::from_json(&input.profile).map_err(|error| format!("{}: {error}", input.profile_name))?;
    let flags = input.flags.iter().map(|(flag, value)| (flag.as_str(), value.as_deref()));
    let scenario = Scenario::from_flags(flags).map_err(|error| error.to_string())?;
    Ok(Ready { scenario, profile, dataset: input.dataset, kind })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::RunInput;

    const PROFILE: &[u8] = include_bytes!("../../../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");

    fn asked(flags: &[(&str, &str)]) -> protocol::Asked {
        let flags = flags.iter().map(|&(flag, value)| (flag.to_owned(), Some(value.to_owned()))).collect();
        let input = RunInput { flags, profile_name: "h100".to_owned(), profile: PROFILE.to_vec(), dataset: None };
        protocol::Asked { input, kind: LoadKind::Rate }
    }

    #[test]
    fn a_run_of_many_is_that_of_its_load_and_seed_whoever_makes_it() {
        let busy = asked(&[("num-prompts", "300"), ("max-num-seqs", "48"), ("goodput", "ttft:500 tpot:12")]);
        let (mut one, mut other) = (Setups::default(), Setups::default());
        assert!(one.tried(3, None, 8.0, 0).is_err_and(|why| why.contains("not known")), "without its setup");
        let there = one.tried(3, Some(busy.clone()), 8.0, 1).expect("a run");
        other.tried(3, Some(busy.clone()), 30.0, 0).expect("another run");
        assert_eq!(other.tried(3, None, 8.0, 1), Ok(there.clone()), "the setup stayed");
        let Ready { scenario, profile, .. } = read(busy).expect("a setup");
        let directly = Asked { scenario: &scenario, profile: &profile, dataset: None, kind: LoadKind::Rate };
        assert_eq!(there, Tried::Trial(Box::new(directly.run(8.0, 1, None).expect("a run"))), "asked directly");
        let saturated = directly.saturated(0, None).expect("a run");
        assert_eq!(other.tried(3, None, f64::INFINITY, 0), Ok(Tried::Saturated(saturated)), "all at once");
    }

    #[test]
    fn a_setup_that_cannot_be_run_says_so_with_every_run_and_the_oldest_goes() {
        let mut setups = Setups::default();
        let why = setups.tried(0, Some(asked(&[("dataset-name", "azure")])), 1.0, 0).expect_err("its own times");
        assert!(why.contains("no-self-timed"), "{why}");
        assert_eq!(setups.tried(0, None, 2.0, 0), Err(why), "again");
        for setup in 1..=u32::try_from(MOST_SETUPS).expect("few") {
            setups.tried(setup, Some(asked(&[("num-prompts", "5")])), 1.0, 0).expect("a run");
        }
        assert!(setups.tried(0, None, 1.0, 0).is_err_and(|why| why.contains("not known")), "the oldest is gone");
    }
}
