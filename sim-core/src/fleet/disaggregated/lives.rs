//! What happens to the replicas of both roles, and to requests because of that.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::super::life::{Crew, Leg, LifeResult, LifeSettings, RecoveryDesk, RolesLife};
use crate::request::RequestId;
use crate::time::SimTime;

/// Places of roles.
pub(super) const PREFILL: usize = 0;
/// As above.
pub(super) const DECODE: usize = 1;

/// The lives of both roles' replicas. A prefill replica has a request until its blocks have been read.
#[derive(Debug)]
pub(super) struct Lives {
    pub(super) crews: [Crew; 2],
    /// The proxy's, of requests of either role.
    pub(super) recovery: RecoveryDesk,
}

impl Lives {
    /// Those of so many replicas of each role; the proxy does about lost requests what the second says.
    pub(super) fn new(
        [prefill, decode]: &[LifeSettings; 2],
        num_replicas: [usize; 2],
        num_requests: usize,
        seed: u64,
    ) -> Self {
        Self {
            crews: [
                Crew::new(prefill, num_replicas[PREFILL], num_requests),
                Crew::new(decode, num_replicas[DECODE], num_requests),
            ],
            recovery: RecoveryDesk::new(decode.recovery, num_requests, seed),
        }
    }

    /// When something happens to a replica next, and of which role.
    pub(super) fn next_change(&self) -> (SimTime, usize) {
        let [prefill, decode] = self.crews.each_ref().map(Crew::next_change);
        if decode < prefill { (decode, DECODE) } else { (prefill, PREFILL) }
    }

    /// What came of it until `end`, of which the first `num_measured` requests are told.
    pub(super) fn finish(self, end: SimTime, num_measured: usize) -> (BTreeMap<RequestId, Vec<Leg>>, RolesLife) {
        let legs = self.recovery.legs().clone();
        let [prefill, presence] = self.crews.map(|crew| crew.finish(end));
        let life = LifeResult { presence, ..self.recovery.finish(num_measured) };
        (legs, RolesLife { life, prefill })
    }
}
