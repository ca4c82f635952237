//! An engine with a KV connector.

use alloc::boxed::Box;

use super::EngineCore;
use crate::config::EngineConfig;
use crate::request_set::RequestSet;
use crate::sched::connector::interface::{KvConnector, KvConnectorError, KvConnectorOutput, KvTransferConfig};
use crate::sched::connector::tiers::TierEvent;
use crate::time::SimTime;

impl<'a> EngineCore<'a> {
    /// An idle engine with a KV connector.
    ///
    /// # Errors
    /// If the engine's rules with a connector are not known.
    pub fn with_connector(
        config: &'a EngineConfig,
        requests: &'a RequestSet,
        settings: KvTransferConfig,
        kv_connector: Box<dyn KvConnector>,
    ) -> Result<Self, KvConnectorError> {
        let mut engine = Self::new(config, requests);
        engine.scheduler.set_connector(settings, kv_connector)?;
        Ok(engine)
    }

    /// Counts so many steps as made, each of which would issue a pass with nothing in it and take in such a one.
    pub(crate) fn skip_steps(&mut self, num_steps: u32) {
        self.num_passes = self.num_passes.wrapping_add(num_steps);
        for issued in &mut self.batch_queue {
            issued.number = issued.number.wrapping_add(num_steps);
        }
        self.scheduler.skip_passes(num_steps);
    }

    /// Transfers have ended that are timed outside: the workers see it when they get the next pass, and report it with that
    /// one's results.
    pub fn report_transfers(&mut self, ended: KvConnectorOutput) {
        self.scheduler.report_transfers(ended);
    }

    /// What happened by `now` in tiers behind the host's memory: it is known when the next pass is decided.
    pub fn report_tiers(&mut self, now: SimTime, events: &[TierEvent]) {
        self.scheduler.report_tiers(now.as_nanos(), events);
    }
}
