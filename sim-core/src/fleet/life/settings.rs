//! What will happen to a fleet, and what its router does about requests that are lost.

use alloc::vec::Vec;
use core::fmt;

use super::autoscaler::Autoscaling;
use crate::time::SimTime;

/// What will happen to a fleet.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LifeSettings {
    /// When replicas are away; those of one replica do not overlap ([`Self::check`]).
    pub outages: Vec<Outage>,
    /// What becomes of the requests that they had.
    pub recovery: Recovery,
    /// Who starts and stops replicas, if anybody does.
    pub autoscaling: Option<Autoscaling>,
}

/// A replica dies and may come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outage {
    /// Which.
    pub replica: u32,
    /// When it dies, since the first measured request could be sent. It loses its requests and all KV.
    pub from: SimTime,
    /// When it is back, empty; [`SimTime::MAX`] for never.
    pub until: SimTime,
}

/// What the router does about requests whose replica died.
///
/// A request of which nothing was streamed is sent to another replica, as vllm-router does (`src/core/retry.rs`:
/// `--retry-max-retries`, waiting 50 ms, then half as long again each time, up to 30 s, 20 % more or less). One whose answer
/// has begun fails with its connection: production-stack, vllm-router and Envoy under llm-d send nothing again whose
/// response headers the client has. Dynamo alone goes on with it (`lib/llm/src/migration.rs`, `--migration-limit`): another
/// replica gets prompt and streamed tokens as its prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// Most times that a request is sent again without having got a token; a time when no replica is there counts, too.
    pub max_retries: u32,
    /// Most times that a request goes on elsewhere behind its streamed tokens.
    pub migration_limit: u32,
}

impl Default for Recovery {
    /// vllm-router's `--retry-max-retries` and Dynamo's `--migration-limit`.
    fn default() -> Self {
        Self { max_retries: 5, migration_limit: 0 }
    }
}

/// An outage that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutageError {
    /// There is no such replica.
    NoSuchReplica {
        /// Its number.
        replica: u32,
        /// How many there are.
        num_replicas: u32,
    },
    /// It is back before it dies, or at once.
    Backwards {
        /// Which replica.
        replica: u32,
    },
    /// It is away already.
    Overlapping {
        /// Which replica.
        replica: u32,
    },
}

impl fmt::Display for OutageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchReplica { replica, num_replicas } => {
                let last = num_replicas.saturating_sub(1);
                write!(f, "there is no replica {replica}; with {num_replicas} they have the numbers 0 to {last}")
            }
            Self::Backwards { replica } => write!(f, "replica {replica} has to be back after it dies"),
            Self::Overlapping { replica } => {
                write!(f, "replica {replica} dies while it is away; it has to be back before that")
            }
        }
    }
}

impl core::error::Error for OutageError {}

impl LifeSettings {
    /// Whether nothing happens.
    #[must_use]
    pub const fn is_uneventful(&self) -> bool {
        self.outages.is_empty() && self.autoscaling.is_none()
    }

    /// How many engines a fleet of so many replicas needs.
    #[must_use]
    pub fn num_engines(&self, num_replicas: u32) -> u32 {
        self.autoscaling.map_or(num_replicas, |scaling| scaling.max_replicas.max(num_replicas))
    }

    /// Refuses what cannot happen to so many replicas.
    ///
    /// # Errors
    /// [`OutageError`] for the first outage of that kind.
    pub fn check(&self, num_replicas: u32) -> Result<(), OutageError> {
        let mut outages = self.outages.clone();
        outages.sort_unstable();
        for outage in &outages {
            let &Outage { replica, from, until } = outage;
            if replica >= num_replicas {
                return Err(OutageError::NoSuchReplica { replica, num_replicas });
            }
            if until <= from {
                return Err(OutageError::Backwards { replica });
            }
        }
        let overlaps = |pair: &&[Outage]| pair[0].replica == pair[1].replica && pair[1].from <= pair[0].until;
        match outages.windows(2).find(overlaps) {
            Some(pair) => Err(OutageError::Overlapping { replica: pair[0].replica }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(outages: &[(u32, u64, u64)], expect: Result<(), OutageError>) {
        let outage = |&(replica, from, until): &(u32, u64, u64)| Outage {
            replica,
            from: SimTime::from_nanos(from),
            until: SimTime::from_nanos(until),
        };
        let settings = LifeSettings { outages: outages.iter().map(outage).collect(), ..LifeSettings::default() };
        assert_eq!(settings.check(4), expect, "{outages:?}");
    }

    #[test]
    fn what_cannot_happen_is_refused() {
        check(&[], Ok(()));
        check(&[(3, 5, 6), (0, 5, 9), (3, 7, u64::MAX)], Ok(()));
        check(&[(4, 5, 6)], Err(OutageError::NoSuchReplica { replica: 4, num_replicas: 4 }));
        check(&[(1, 6, 6)], Err(OutageError::Backwards { replica: 1 }));
        check(&[(1, 20, 30), (0, 1, 2), (1, 5, 20)], Err(OutageError::Overlapping { replica: 1 }));
        check(&[(1, 5, u64::MAX), (1, 9, 10)], Err(OutageError::Overlapping { replica: 1 }));
        let texts = [
            OutageError::NoSuchReplica { replica: 4, num_replicas: 4 },
            OutageError::Backwards { replica: 4 },
            OutageError::Overlapping { replica: 4 },
        ];
        assert!(texts.iter().all(|error| alloc::format!("{error}").contains("replica 4")), "each says which");
    }
}
