//! The simulator's door: what has to hold before a run starts, so that nothing can fail inside.

use alloc::vec;
use core::fmt;

use crate::config::EngineConfig;
use crate::kv_cache::spec::LayerKind;
use crate::request::RequestId;
use crate::sched::connector::interface::KvConnectorError;
use crate::time::SimTime;
use crate::workload::{After, Traffic, Workload};

/// Why a run cannot start. Each variant's doc is its exact predicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SimulationError {
    /// A field that must be at least 1 is 0.
    ZeroField {
        /// Its name.
        field: &'static str,
    },
    /// `num_gpu_blocks - 1` blocks hold fewer than `max_model_len` tokens: vLLM refuses to start.
    TooFewBlocks {
        /// Blocks that can be used.
        num_usable_blocks: u32,
        /// Blocks that one request of `max_model_len` tokens takes.
        num_needed_blocks: u32,
    },
    /// A prefix is looked up in layers with attention in chunks, and it may end inside one of their blocks or has to give
    /// one up for a drafter: vLLM fails at the first request.
    ChunkedLookup {
        /// Tokens of such a layer's block.
        block_size: u32,
        /// Tokens that a hit is a multiple of.
        alignment: u32,
    },
    /// A prompt has at least `max_model_len` tokens: no room for an output token.
    PromptTooLong {
        /// Index of the request.
        request: u32,
        /// Its prompt's length.
        num_prompt_tokens: u32,
        /// The limit that it must stay below.
        max_model_len: u32,
    },
    /// Chunked prefill is off, there is no long-prefill threshold, and the prompt exceeds the pass's token budget:
    /// vLLM accepts such a request and never runs it. With a threshold it runs only while it is not alone, which is
    /// seen in the run: a run that can go no further ends with requests that are not finished.
    PrefillNeverFits {
        /// Index of the request.
        request: u32,
        /// Its prompt's length.
        num_prompt_tokens: u32,
        /// The budget.
        token_budget: u32,
    },
    /// The numbers of send times, or the sum of `queries_per_iter`, and of requests differ.
    TrafficLength {
        /// Requests that the traffic brings.
        num_sent: u64,
        /// Requests in the set.
        num_requests: u64,
    },
    /// `join_order` is not empty and does not name every request once.
    JoinOrder {
        /// First place that names a request out of range or a second time, or that is missing or too many.
        place: u32,
    },
    /// `send_times` decreases at this index.
    SendTimesDecrease {
        /// Index of the request.
        request: u32,
    },
    /// A request waits for the answer of itself or a later one, or `after` is not as long as `not_before`.
    WaitsForLater {
        /// Index of the request.
        request: u32,
    },
    /// `earlier` is not empty beside `queries_per_iter`.
    EarlierBesideScript,
    /// A fleet has no replica.
    NoReplicas,
    /// The engines of a fleet are not a whole number of replicas, or those of a replica not of addresses.
    UnevenRanks {
        /// Engines in all.
        num_engines: u32,
        /// Engines that a replica is to have.
        num_ranks: u32,
        /// Engines that are to be behind an address.
        num_local_ranks: u32,
    },
    /// An engine that is to have a KV connector cannot.
    Connector(KvConnectorError),
    /// A fleet is given `queries_per_iter`, which is the input of one engine.
    ScriptInFleet,
}

impl fmt::Display for SimulationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ZeroField { field } => write!(f, "{field} is 0; it must be at least 1"),
            Self::TooFewBlocks { num_usable_blocks, num_needed_blocks } => write!(
                f,
                "one request of max_model_len tokens needs {num_needed_blocks} KV blocks, but only \
                 {num_usable_blocks} can be used; increase gpu_memory_utilization or decrease max_model_len"
            ),
            Self::ChunkedLookup { block_size, alignment } => write!(
                f,
                "layers with attention in chunks keep blocks of {block_size} tokens; vLLM looks no prefix up in them \
                 that ends at multiples of {alignment} tokens, or that gives up a block for a drafter: set \
                 disable_hybrid_kv_cache_manager, or turn enable_prefix_caching off"
            ),
            Self::PromptTooLong { request, num_prompt_tokens, max_model_len } => write!(
                f,
                "request {request}: the prompt has {num_prompt_tokens} tokens; with max_model_len={max_model_len} at \
                 most {} leave room for an output token",
                max_model_len.saturating_sub(1)
            ),
            Self::PrefillNeverFits { request, num_prompt_tokens, token_budget } => write!(
                f,
                "request {request}: its prefill of {num_prompt_tokens} tokens can never fit the budget of \
                 {token_budget} tokens per pass while enable_chunked_prefill is off; vLLM would accept it and never \
                 run it"
            ),
            Self::TrafficLength { num_sent, num_requests } => {
                write!(
                    f,
                    "send_times has an entry for, or queries_per_iter adds up to, {num_sent} requests; the workload has \
                     {num_requests}"
                )
            }
            Self::JoinOrder { place } => {
                write!(f, "join_order[{place}]: the list must name every request once, or be empty")
            }
            Self::EarlierBesideScript => {
                f.write_str("queries_per_iter holds every request of a run; none can be sent before it")
            }
            Self::NoReplicas => f.write_str("a fleet has at least one replica"),
            Self::UnevenRanks { num_engines, num_ranks, num_local_ranks } => write!(
                f,
                "{num_engines} engines cannot be replicas of {num_ranks} data-parallel ranks, {num_local_ranks} of them \
                 behind each address: each has to be a multiple of the next"
            ),
            Self::Connector(error) => error.fmt(f),
            Self::ScriptInFleet => f.write_str("queries_per_iter is the input of one engine; a fleet takes times"),
            Self::WaitsForLater { request } => {
                write!(f, "after[{request}] is no request before it, or missing; a request waits for one before it")
            }
            Self::SendTimesDecrease { request } => {
                write!(f, "send_times[{request}] is before the time in front of it; the times must not decrease")
            }
        }
    }
}

impl core::error::Error for SimulationError {}

pub(crate) fn check_config(config: &EngineConfig) -> Result<(), SimulationError> {
    let at_least_one = [
        ("max_num_seqs", config.max_num_seqs),
        ("max_num_active_seqs", config.max_num_active_seqs),
        ("max_num_batched_tokens", config.max_num_batched_tokens),
        ("max_num_scheduled_tokens", config.max_num_scheduled_tokens),
        ("max_model_len", config.max_model_len),
        ("block_size", config.block_size()),
        ("hash_block_size", config.kv_cache.hash_block_size),
        ("prefill_schedule_interval", config.prefill_schedule_interval),
        ("api_server_count", config.api_server_count),
        ("num_gpu_blocks", config.num_gpu_blocks),
        ("pipeline_parallel_size", config.pipeline_parallel_size),
    ];
    for (field, value) in at_least_one {
        if value == 0 {
            return Err(SimulationError::ZeroField { field });
        }
    }
    let num_usable_blocks = config.num_gpu_blocks - 1;
    let num_needed_blocks = config.kv_cache.max_blocks_per_request(config.request_extent());
    let num_needed_blocks = u32::try_from(num_needed_blocks).unwrap_or(u32::MAX);
    if num_usable_blocks < num_needed_blocks {
        return Err(SimulationError::TooFewBlocks { num_usable_blocks, num_needed_blocks });
    }
    check_chunked_lookup(config)
}

/// What `ChunkedLocalAttentionManager.find_longest_cache_hit` asserts.
fn check_chunked_lookup(config: &EngineConfig) -> Result<(), SimulationError> {
    let kv_cache = &config.kv_cache;
    let groups = &kv_cache.groups;
    let is_flagged = groups.iter().any(|group| group.is_eagle_group);
    let has_one = groups.len() == 1;
    for group in groups.iter().filter(|group| matches!(group.spec.kind, LayerKind::ChunkedLocal { .. })) {
        let block_size = group.spec.block_size;
        let alignment = if has_one {
            block_size
        } else if kv_cache.has_partial_hits() {
            kv_cache.hash_block_size
        } else {
            kv_cache.scheduler_block_size
        };
        // Groups with one spec are looked up together.
        let drops_block = config.drops_eagle_block()
            && groups.iter().any(|other| other.spec == group.spec && (!is_flagged || other.is_eagle_group));
        if config.enable_prefix_caching && (block_size != alignment || drops_block) {
            return Err(SimulationError::ChunkedLookup { block_size, alignment });
        }
    }
    Ok(())
}

pub(crate) fn check_requests(workload: &Workload, config: &EngineConfig) -> Result<(), SimulationError> {
    let token_budget = config.max_num_scheduled_tokens.min(config.max_num_batched_tokens);
    let is_never_cut = !config.enable_chunked_prefill && config.long_prefill_token_threshold == 0;
    let max_model_len = config.max_model_len;
    for (request, asked) in (0..).zip(workload.requests.as_slice()) {
        let num_prompt_tokens = asked.num_prompt_tokens;
        if num_prompt_tokens >= max_model_len {
            return Err(SimulationError::PromptTooLong { request, num_prompt_tokens, max_model_len });
        }
        if is_never_cut && num_prompt_tokens > token_budget {
            return Err(SimulationError::PrefillNeverFits { request, num_prompt_tokens, token_budget });
        }
    }
    Ok(())
}

pub(crate) fn check_traffic(workload: &Workload) -> Result<(), SimulationError> {
    let num_requests = workload.requests.len() as u64;
    let num_earlier: u64 = workload.earlier.iter().map(|group| group.send_times.len() as u64).sum();
    for group in &workload.earlier {
        check_order(&group.send_times)?;
    }
    let num_sent = match &workload.traffic {
        Traffic::Timed { send_times, .. } => {
            check_order(send_times)?;
            num_earlier + send_times.len() as u64
        }
        Traffic::Answered { not_before, after, .. } => {
            check_answers(not_before.len(), after)?;
            num_earlier + not_before.len() as u64
        }
        Traffic::QueriesPerIter { .. } if num_earlier > 0 => return Err(SimulationError::EarlierBesideScript),
        Traffic::QueriesPerIter { queries_per_iter, join_order, .. } => {
            check_join_order(join_order, workload.requests.len())?;
            queries_per_iter.iter().map(|&joining| u64::from(joining)).sum()
        }
    };
    if num_sent == num_requests { Ok(()) } else { Err(SimulationError::TrafficLength { num_sent, num_requests }) }
}

fn check_order(send_times: &[SimTime]) -> Result<(), SimulationError> {
    match send_times.windows(2).position(|pair| pair[0] > pair[1]) {
        Some(index) => {
            Err(SimulationError::SendTimesDecrease { request: u32::try_from(index + 1).unwrap_or(u32::MAX) })
        }
        None => Ok(()),
    }
}

fn check_answers(num_requests: usize, after: &[Option<After>]) -> Result<(), SimulationError> {
    let waits_for_later =
        |(index, after): (usize, &Option<After>)| after.is_some_and(|after| after.request.index() >= index);
    let wrong = after.iter().enumerate().position(waits_for_later);
    let wrong = wrong.or_else(|| (after.len() != num_requests).then_some(after.len()));
    match wrong {
        Some(request) => Err(SimulationError::WaitsForLater { request: u32::try_from(request).unwrap_or(u32::MAX) }),
        None => Ok(()),
    }
}

fn check_join_order(join_order: &[RequestId], num_requests: usize) -> Result<(), SimulationError> {
    if join_order.is_empty() {
        return Ok(());
    }
    let mut is_named = vec![false; num_requests];
    for (place, id) in (0..).zip(join_order) {
        match is_named.get_mut(id.index()) {
            Some(named) if !*named => *named = true,
            _ => return Err(SimulationError::JoinOrder { place }),
        }
    }
    if join_order.len() == num_requests {
        return Ok(());
    }
    Err(SimulationError::JoinOrder { place: u32::try_from(join_order.len()).unwrap_or(u32::MAX) })
}
