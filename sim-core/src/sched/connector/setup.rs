//! How a scheduler gets its KV connector.

use alloc::boxed::Box;

use super::interface::{KvConnector, KvConnectorError, KvTransferConfig};
use super::state::Connector;
use crate::sched::scheduler::Scheduler;

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
