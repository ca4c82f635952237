//! The desk for each way to give out requests.

use alloc::boxed::Box;

use super::data_parallel::rank_desk::RankDesk;
use super::desk::Desk;
use super::dispatch::{DataParallel, Dispatch};
use super::router_desk::RouterDesk;
use crate::config::EngineConfig;

impl Dispatch {
    /// A desk that has given out nothing yet.
    pub(super) fn desk(self, configs: &[&EngineConfig]) -> Box<dyn Desk> {
        match self {
            Self::Router(settings) | Self::DataParallel(DataParallel { router: Some(settings), .. }) => {
                Box::new(RouterDesk::new(settings, configs.len()))
            }
            Self::DataParallel(DataParallel { dp_sync_interval, router: None }) => {
                let num_servers = configs.first().map_or(1, |config| config.api_server_count);
                Box::new(RankDesk::new(configs.len(), num_servers, dp_sync_interval.is_some()))
            }
        }
    }
}
