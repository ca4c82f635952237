//! How an engine gets its KV connector.

use alloc::boxed::Box;

use super::interface::{KvConnector, KvConnectorError, KvTransferConfig};
use super::state::Connector;
use crate::config::EngineConfig;
use crate::engine_core::EngineCore;
use crate::request_set::RequestSet;
use crate::sched::scheduler::Scheduler;

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
}

impl Scheduler<'_> {
    /// Gives a scheduler without requests a KV connector.
    ///
    /// # Errors
    /// If the engine's rules with a connector are not known.
    pub(crate) fn set_connector(
        &mut self,
        settings: KvTransferConfig,
        kv_connector: Box<dyn KvConnector>,
    ) -> Result<(), KvConnectorError> {
        if self.num_spec_tokens > 0 {
            return Err(KvConnectorError::Drafter);
        }
        if self.kv_cache.dense_block_size().is_none() || self.mamba_split.is_some() {
            return Err(KvConnectorError::Layers);
        }
        self.steady.is_on = false;
        self.connector = Some(Box::new(Connector::new(self.config, settings, kv_connector)));
        Ok(())
    }
}
