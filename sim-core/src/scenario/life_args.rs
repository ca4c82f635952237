//! `--replica-fails`, `--autoscaler` and the same of either role, `--retry-max-retries` and `--migration-limit`: what happens
//! to replicas, and to requests that they had.

use alloc::format;
use alloc::vec::Vec;

use super::autoscaler_args::AutoscalerArgs;
use super::flag::{Flag, Form, Part};
use super::{Scenario, ScenarioError};
use crate::config::flags::FlagError;
use crate::fleet::life::{LifeSettings, Outage, Recovery};
use crate::metrics::python_float;
use crate::time::SimTime;

/// Latest time of one, in seconds: a hundred days.
const MAX_SECONDS: f64 = 8_640_000.0;
/// Most times that a request is sent again, or gone on with.
const MAX_TRIES: u32 = 100;

const OUTAGES: &str =
    "REPLICA@FROM..UNTIL, in seconds from 0 to 8640000, such as 3@120..180; without UNTIL it stays away";
const TRIES: &str = "a whole number from 0 to 100";

/// `--replica-fails`.
pub(super) const REPLICA_FAILS: Flag = Flag {
    name: "replica-fails",
    part: Part::Engine,
    form: Form::List,
    help: "Replicas that die and come back empty: REPLICA@FROM..UNTIL in seconds, such as 3@120..180",
    default: "",
    is_vllms: false,
};
/// `--retry-max-retries`.
pub(super) const RETRY_MAX_RETRIES: Flag = Flag {
    name: "retry-max-retries",
    form: Form::Integer,
    help: "Most times that the router sends a request again whose replica died before its first token (vllm-router's)",
    default: "5",
    ..REPLICA_FAILS
};
/// `--migration-limit`.
pub(super) const MIGRATION_LIMIT: Flag = Flag {
    name: "migration-limit",
    form: Form::Integer,
    help: "Most times that another replica goes on with a request behind its streamed tokens, instead of failing (Dynamo's)",
    default: "0",
    ..REPLICA_FAILS
};

/// `--autoscaler`.
pub(super) const AUTOSCALER: Flag = Flag {
    name: "autoscaler",
    form: Form::Text,
    help: "Who starts and stops replicas: saturation (llm-d's) or planner-load (Dynamo's), and its values, such as \
           saturation:max-replicas=8,startup-time=120",
    default: "none",
    ..REPLICA_FAILS
};

/// `--prefill-replica-fails`.
pub(super) const PREFILL_REPLICA_FAILS: Flag = Flag {
    name: "prefill-replica-fails",
    help: "The same of --prefill-replicas: prompts and KV blocks that they had are lost",
    ..REPLICA_FAILS
};
/// `--decode-replica-fails`.
pub(super) const DECODE_REPLICA_FAILS: Flag = Flag {
    name: "decode-replica-fails",
    help: "The same of --decode-replicas: requests that they had begin again at a prefill replica",
    ..REPLICA_FAILS
};
/// `--prefill-autoscaler`.
pub(super) const PREFILL_AUTOSCALER: Flag = Flag {
    name: "prefill-autoscaler",
    help: "Who starts and stops prefill replicas, as --autoscaler; planner-load goes by their queue alone",
    ..AUTOSCALER
};
/// `--decode-autoscaler`.
pub(super) const DECODE_AUTOSCALER: Flag = Flag {
    name: "decode-autoscaler",
    help: "Who starts and stops decode replicas, as --autoscaler; planner-load goes by their KV blocks alone",
    ..AUTOSCALER
};

/// What was given of replicas of one kind.
#[derive(Debug, Clone, PartialEq, Default)]
struct CrewArgs {
    outages: Vec<Outage>,
    autoscaler: Option<AutoscalerArgs>,
}

/// What was given of them.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct LifeArgs {
    of_all: CrewArgs,
    /// Prefill, decode.
    of_roles: [CrewArgs; 2],
    recovery: Recovery,
}

impl LifeArgs {
    /// Sets the field of one of these flags; false if it is none of them.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<bool, ScenarioError> {
        match name {
            "replica-fails" => self.of_all.outages = outages(REPLICA_FAILS, value)?,
            "prefill-replica-fails" => self.of_roles[0].outages = outages(PREFILL_REPLICA_FAILS, value)?,
            "decode-replica-fails" => self.of_roles[1].outages = outages(DECODE_REPLICA_FAILS, value)?,
            "retry-max-retries" => self.recovery.max_retries = tries(name, value)?,
            "migration-limit" => self.recovery.migration_limit = tries(name, value)?,
            "autoscaler" => self.of_all.autoscaler = AutoscalerArgs::parse(AUTOSCALER.name, value)?,
            "prefill-autoscaler" => {
                self.of_roles[0].autoscaler = AutoscalerArgs::parse(PREFILL_AUTOSCALER.name, value)?;
            }
            "decode-autoscaler" => {
                self.of_roles[1].autoscaler = AutoscalerArgs::parse(DECODE_AUTOSCALER.name, value)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl CrewArgs {
    /// What happens to so many replicas, as a flag says it.
    fn life(
        &self,
        fails: Flag,
        (count, replicas): (&'static str, u32),
        recovery: Recovery,
    ) -> Result<LifeSettings, ScenarioError> {
        let autoscaling = self.autoscaler.map(|args| args.of_replicas(count, replicas)).transpose()?;
        let life = LifeSettings { outages: self.outages.clone(), recovery, autoscaling };
        let check = life.check(life.num_engines(replicas));
        check.map_err(|error| ScenarioError::Outage { flag: fails.name, error })?;
        Ok(life)
    }
}

fn outages(flag: Flag, value: &str) -> Result<Vec<Outage>, ScenarioError> {
    let wrong = |word: &str| ScenarioError::from(FlagError::value(&format!("--{}", flag.name), word, OUTAGES));
    value.split_whitespace().map(|word| outage(word).ok_or_else(|| wrong(word))).collect()
}

fn outage(word: &str) -> Option<Outage> {
    let (replica, times) = word.split_once('@')?;
    let (from, until) = times.split_once("..")?;
    let seconds = |text: &str| {
        let seconds = python_float::parse(text.strip_suffix('s').unwrap_or(text))?;
        (0.0..=MAX_SECONDS).contains(&seconds).then(|| SimTime::from_secs_f64(seconds))
    };
    let until = if until.is_empty() { SimTime::MAX } else { seconds(until)? };
    Some(Outage { replica: replica.parse().ok()?, from: seconds(from)?, until })
}

fn tries(name: &str, value: &str) -> Result<u32, ScenarioError> {
    let tries = value.parse().ok().filter(|tries| *tries <= MAX_TRIES);
    Ok(tries.ok_or_else(|| FlagError::value(&format!("--{name}"), value, TRIES))?)
}

impl Scenario {
    /// What happens to its replicas.
    ///
    /// # Errors
    /// [`ScenarioError::Outage`] for what cannot happen to so many; [`ScenarioError::Value`] for an autoscaler that may not
    /// have so many.
    pub fn life(&self) -> Result<LifeSettings, ScenarioError> {
        self.life.of_all.life(REPLICA_FAILS, ("replicas", self.fleet().replicas), self.life.recovery)
    }

    /// What happens to prefill replicas, and to decode replicas.
    ///
    /// # Errors
    /// As [`Self::life`]; and [`ScenarioError::Flag`] for what happens to replicas of a role where there are none.
    pub fn life_of_roles(&self) -> Result<[LifeSettings; 2], ScenarioError> {
        let LifeArgs { of_roles: [prefill, decode], recovery, .. } = &self.life;
        let roles = self.disaggregation();
        if !roles.is_on() {
            let of_roles = [PREFILL_REPLICA_FAILS, DECODE_REPLICA_FAILS, PREFILL_AUTOSCALER, DECODE_AUTOSCALER];
            let why = "it is of replicas of one role: give --prefill-replicas and --decode-replicas";
            return self.refuse_any(&of_roles, why).map(|()| [LifeSettings::default(), LifeSettings::default()]);
        }
        let mut lives = [
            prefill.life(PREFILL_REPLICA_FAILS, ("prefill-replicas", roles.prefill_replicas), *recovery)?,
            decode.life(DECODE_REPLICA_FAILS, ("decode-replicas", roles.decode_replicas), *recovery)?,
        ];
        for (life, is_prefill) in lives.iter_mut().zip([true, false]) {
            if let Some(scaling) = &mut life.autoscaling {
                scaling.rule = scaling.rule.of_role(is_prefill);
            }
        }
        Ok(lives)
    }

    /// Whether anything happens to replicas, of whatever role.
    ///
    /// # Errors
    /// As [`Self::life`] and [`Self::life_of_roles`].
    pub fn is_eventful(&self) -> Result<bool, ScenarioError> {
        let [prefill, decode] = self.life_of_roles()?;
        Ok([self.life()?, prefill, decode].iter().any(|life| !life.is_uneventful()))
    }

    fn refuse_any(&self, flags: &[Flag], why: &'static str) -> Result<(), ScenarioError> {
        let Some((flag, _)) = self.given().find(|(flag, _)| flags.contains(flag)) else { return Ok(()) };
        Err(FlagError::NotSimulated { flag: format!("--{}", flag.name), why }.into())
    }

    /// Refuses a life, for those who simulate one engine.
    pub(super) fn check_lifeless(&self) -> Result<(), ScenarioError> {
        let of_life = [
            REPLICA_FAILS,
            RETRY_MAX_RETRIES,
            MIGRATION_LIMIT,
            AUTOSCALER,
            PREFILL_REPLICA_FAILS,
            DECODE_REPLICA_FAILS,
            PREFILL_AUTOSCALER,
            DECODE_AUTOSCALER,
        ];
        let why = "this asks about one engine; what happens to replicas is simulated by `profiler simulate` and by the page's \"What if?\"";
        self.refuse_any(&of_life, why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    fn check(flags: &[(&str, &str)], expect: Result<&[(u32, f64, f64)], &str>) {
        let scenario = Scenario::from_flags(flags.iter().map(|&(flag, value)| (flag, Some(value))));
        let found = scenario.and_then(|scenario| scenario.life());
        match (found, expect) {
            (Ok(life), Ok(expect)) => {
                let found: Vec<_> =
                    life.outages.iter().map(|outage| (outage.replica, outage.from, outage.until)).collect();
                let time = |seconds: f64| if seconds < 0.0 { SimTime::MAX } else { SimTime::from_secs_f64(seconds) };
                let expect = expect.iter().map(|&(replica, from, until)| (replica, time(from), time(until)));
                assert_eq!(found, expect.collect::<Vec<_>>(), "{flags:?}");
            }
            (Err(error), Err(expect)) => {
                let error = error.to_string();
                assert!(error.contains("--") && error.contains(expect), "{flags:?}: {error}");
            }
            (found, _) => panic!("{flags:?}: {found:?}"),
        }
    }

    #[test]
    fn outages_are_read_and_what_cannot_be_is_refused() {
        let two = ("replicas", "2");
        check(&[two, ("replica-fails", "1@120s..180s 0@2.5..")], Ok(&[(1, 120.0, 180.0), (0, 2.5, -1.0)]));
        check(&[("replica-fails", "0@1..2"), ("replicas", "1")], Ok(&[(0, 1.0, 2.0)]));
        for wrong in ["1", "1@5", "1@-1..5", "one@1..2", "1@1..8640001", "1@1..inf", "1@nan..2"] {
            check(&[two, ("replica-fails", wrong)], Err("REPLICA@FROM..UNTIL"));
        }
        check(&[two, ("replica-fails", "2@1..2")], Err("there is no replica 2; with 2 they have the numbers 0 to 1"));
        check(&[two, ("replica-fails", "1@5..4")], Err("replica 1 has to be back after it dies"));
        check(&[two, ("replica-fails", "1@1..9 1@5..20")], Err("replica 1 dies while it is away"));
        check(&[("retry-max-retries", "101")], Err("from 0 to 100"));
        check(&[("migration-limit", "-1")], Err("from 0 to 100"));
    }
}
