//! One run of many: setups stay here, so that a run of one is a load and a seed. Setups with one profile share it.

use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use sim_core::answers::capacity::{Asked, LoadKind};
use sim_core::profile::Profile;
use sim_core::scenario::Scenario;

use super::fleet::Fleets;
use crate::protocol::{self, RunInput, Tried, Trying};

/// Setups that a worker keeps, enough for a recommendation's: when one more comes, the one with the lowest number goes. The
/// page counts along.
pub(crate) const MOST_SETUPS: usize = 1024;

/// A setup, read; or why it cannot be.
type Setup = Result<Ready, String>;

#[derive(Debug)]
struct Ready {
    scenario: Scenario,
    profile: Rc<Read>,
    dataset: Option<Vec<u8>>,
    kind: LoadKind,
    is_of_lockstep: bool,
}

/// A profile and the file that it was read from.
#[derive(Debug)]
struct Read {
    file: Vec<u8>,
    profile: Profile,
}

/// The setups that were asked about, by number, and the profiles that some of them have.
#[derive(Debug, Default)]
pub(super) struct Setups {
    setups: BTreeMap<u32, Setup>,
    profiles: Vec<Weak<Read>>,
}

impl Setups {
    /// Makes a run; `asked` comes with the first of a setup, and with several engines `fleets` are needed.
    ///
    /// # Errors
    /// The message of whatever refuses it: profile, flags, dataset, or the simulator.
    pub(super) fn tried(
        &mut self,
        fleets: Option<Fleets>,
        setup: u32,
        asked: Option<protocol::Asked>,
        trying: Trying,
    ) -> Result<Tried, String> {
        if let Some(asked) = asked {
            let ready = self.read(asked);
            self.setups.insert(setup, ready);
            while self.setups.len() > MOST_SETUPS {
                self.setups.pop_first();
            }
        }
        let Some(setup) = self.setups.get(&setup) else { return Err("this setup is not known any longer".to_owned()) };
        let Ready { scenario, profile, dataset, kind, is_of_lockstep } = setup.as_ref().map_err(Clone::clone)?;
        let asked = |scenario| Asked { scenario, profile: &profile.profile, dataset: dataset.as_deref(), kind: *kind };
        if matches!(trying, Trying::Saturated { .. } | Trying::Trial { .. }) {
            scenario.check_one_of_ranks(*is_of_lockstep).map_err(|error| error.to_string())?;
        }
        let tried = match trying {
            Trying::Saturated { seed } => asked(scenario).saturated(seed, None).map(Tried::Saturated),
            Trying::Trial { load, seed, num_prompts } => {
                let mut scenario = scenario.clone();
                if let Some(number) = num_prompts {
                    scenario.set("num-prompts", Some(&number.to_string())).map_err(|error| error.to_string())?;
                }
                asked(&scenario).run(load, seed, None).map(|trial| Tried::Trial(Box::new(trial)))
            }
            Trying::SaturatedOfAll { .. } | Trying::TrialOfAll { .. } => {
                return Fleets::asked(fleets, (asked(scenario), *is_of_lockstep), trying);
            }
            Trying::Router { place } => {
                let of_ranks = (&profile.profile, *is_of_lockstep);
                let row = Fleets::routed(fleets, place, scenario, (of_ranks, dataset.as_deref()));
                return row.map(|row| Tried::Routed(Box::new(row)));
            }
        };
        tried.map_err(|error| error.to_string())
    }

    fn read(&mut self, protocol::Asked { input, kind }: protocol::Asked) -> Setup {
        let RunInput { flags, profile_name, profile, is_of_lockstep, dataset } = input;
        let profile = self.profile(profile).map_err(|error| format!("{profile_name}: {error}"))?;
        let flags = flags.iter().map(|(flag, value)| (flag.as_str(), value.as_deref()));
        let scenario = Scenario::from_flags(flags).map_err(|error| error.to_string())?;
        Ok(Ready { scenario, profile, dataset, kind, is_of_lockstep })
    }

    /// The profile in a file: read once, as long as a setup has it.
    fn profile(&mut self, file: Vec<u8>) -> Result<Rc<Read>, String> {
        self.profiles.retain(|profile| profile.strong_count() > 0);
        let same = self.profiles.iter().filter_map(Weak::upgrade).find(|read| read.file == file);
        if let Some(read) = same {
            return Ok(read);
        }
        let profile = Profile::from_json(&file).map_err(|error| error.to_string())?;
        let read = Rc::new(Read { file, profile });
        self.profiles.push(Rc::downgrade(&read));
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &[u8] = include_bytes!("../../../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");

    fn asked(flags: &[(&str, &str)]) -> protocol::Asked {
        let flags = flags.iter().map(|&(flag, value)| (flag.to_owned(), Some(value.to_owned()))).collect();
        let (profile_name, profile) = ("h100".to_owned(), PROFILE.to_vec());
        let input = RunInput { flags, profile_name, profile, is_of_lockstep: false, dataset: None };
        protocol::Asked { input, kind: LoadKind::Rate }
    }

    fn trial(load: f64, seed: u32) -> Trying {
        Trying::Trial { load, seed, num_prompts: None }
    }

    #[test]
    fn a_run_of_many_is_that_of_its_load_and_seed_whoever_makes_it() {
        let busy = asked(&[("num-prompts", "300"), ("max-num-seqs", "48"), ("goodput", "ttft:500 tpot:12")]);
        let (mut one, mut other) = (Setups::default(), Setups::default());
        assert!(
            one.tried(None, 3, None, trial(8.0, 0)).is_err_and(|why| why.contains("not known")),
            "without its setup"
        );
        let there = one.tried(None, 3, Some(busy.clone()), trial(8.0, 1)).expect("a run");
        other.tried(None, 3, Some(busy.clone()), trial(30.0, 0)).expect("another run");
        assert_eq!(other.tried(None, 3, None, trial(8.0, 1)), Ok(there.clone()), "the setup stayed");
        let Ready { mut scenario, profile, .. } = other.read(busy).expect("a setup");
        assert_eq!(other.profiles.len(), 1, "read once");
        let directly = Asked { scenario: &scenario, profile: &profile.profile, dataset: None, kind: LoadKind::Rate };
        assert_eq!(there, Tried::Trial(Box::new(directly.run(8.0, 1, None).expect("a run"))), "asked directly");
        let saturated = directly.saturated(0, None).expect("a run");
        assert_eq!(
            other.tried(None, 3, None, Trying::Saturated { seed: 0 }),
            Ok(Tried::Saturated(saturated)),
            "all at once"
        );
        let few = Trying::Trial { load: f64::INFINITY, seed: 0, num_prompts: Some(40) };
        scenario.set("num-prompts", Some("40")).expect("a number");
        let directly = Asked { scenario: &scenario, profile: &profile.profile, dataset: None, kind: LoadKind::Rate };
        let short = directly.run(f64::INFINITY, 0, None).expect("a run");
        assert_eq!(short.num_requests, 40);
        assert_eq!(other.tried(None, 3, None, few), Ok(Tried::Trial(Box::new(short))), "of fewer requests");
    }

    #[test]
    fn a_setup_that_cannot_be_run_says_so_with_every_run_and_the_oldest_goes() {
        let mut setups = Setups::default();
        let why =
            setups.tried(None, 0, Some(asked(&[("dataset-name", "azure")])), trial(1.0, 0)).expect_err("its own times");
        assert!(why.contains("no-self-timed"), "{why}");
        assert_eq!(setups.tried(None, 0, None, trial(2.0, 0)), Err(why), "again");
        for setup in 1..=u32::try_from(MOST_SETUPS).expect("few") {
            setups.tried(None, setup, Some(asked(&[("num-prompts", "5")])), trial(1.0, 0)).expect("a run");
        }
        assert!(
            setups.tried(None, 0, None, trial(1.0, 0)).is_err_and(|why| why.contains("not known")),
            "the oldest is gone"
        );
    }
}
