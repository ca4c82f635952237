//! Recordings of several engines together, of real code: vLLM's balancer and its
//! ranks in lockstep, and a router.
//! `tests/data/traces/README.md` describes the formats.

mod balancer;
mod lockstep;
mod router;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::difference::Difference;

/// What tells a recording of a fleet from one of an engine.
#[derive(Debug, Deserialize)]
struct Kind {
    kind: Option<String>,
}

/// Replays a recording of a fleet; `None` if it is none.
pub(super) fn verify(json: &[u8]) -> Result<Option<Option<Difference>>> {
    let Kind { kind } = serde_json::from_slice(json).context("not a recorded scheduler trace")?;
    match kind.as_deref() {
        None => Ok(None),
        Some("dp-lb") => balancer::verify(json).map(Some),
        Some("dp-lockstep") => lockstep::verify(json).map(Some),
        Some("router-prefix-aware") => router::verify(json).map(Some),
        Some(other) => bail!("kind: {other:?} is none of dp-lb, dp-lockstep and router-prefix-aware"),
    }
}
