//! `--kv-events-config`.
//!
//! Source: `vllm/config/kv_events.py::KVEventsConfig`.

use std::net::IpAddr;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde_json::{Map, Value};

/// Most batches that are kept for replays, or that a slow listener may be behind.
const MAX_STEPS: u64 = 1_000_000;
/// Longest topic, in bytes.
const MAX_TOPIC: usize = 1024;

/// What is published where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KvEventsConfig {
    /// Where listeners find events, or the one that they are brought to.
    pub(super) endpoint: Endpoint,
    /// Where they find older ones; always bound.
    pub(super) replay_endpoint: Option<Endpoint>,
    /// Batches that are kept.
    pub(super) buffer_steps: usize,
    /// Batches that a listener may be behind before it loses some.
    pub(super) hwm: u64,
    pub(super) topic: String,
}

/// A place that is listened at, or that is connected to: vLLM does the former where the text has a wildcard or an IPv6
/// address, and always for replays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Endpoint {
    Bind(IpAddr, u16),
    Connect(String, u16),
}

impl KvEventsConfig {
    /// Reads the flag's JSON; `None` if it switches events off. `host` is what `*` stands for: `--host`, and so this
    /// machine alone unless that says otherwise.
    ///
    /// # Errors
    /// If it is no such object, or asks for what is not emulated.
    pub(crate) fn read(text: &str, host: IpAddr) -> Result<Option<Self>> {
        let value: Value = serde_json::from_str(text).map_err(|error| anyhow!("--kv-events-config: {error}"))?;
        let Value::Object(fields) = value else { bail!("--kv-events-config must be a JSON object") };
        Self::of(&fields, host).context("--kv-events-config")
    }

    fn of(fields: &Map<String, Value>, host: IpAddr) -> Result<Option<Self>> {
        const KNOWN: [&str; 8] = [
            "enable_kv_cache_events",
            "publisher",
            "endpoint",
            "replay_endpoint",
            "buffer_steps",
            "hwm",
            "max_queue_size",
            "topic",
        ];
        for name in fields.keys() {
            ensure!(KNOWN.contains(&name.as_str()), "{name}: unknown; there are {}", KNOWN.join(", "));
        }
        let is_enabled = match fields.get("enable_kv_cache_events") {
            None => false,
            Some(value) => value.as_bool().context("enable_kv_cache_events: must be true or false")?,
        };
        let publishes = match text(fields, "publisher")? {
            Some("zmq") => true,
            Some("null") => false,
            None => is_enabled,
            Some(other) => bail!("publisher: {other:?} is neither \"zmq\" nor \"null\""),
        };
        // Read before it is decided whether they matter: what is wrong is said either way.
        count(fields, "max_queue_size", 100_000)?;
        let topic = text(fields, "topic")?.unwrap_or_default().to_owned();
        ensure!(topic.len() <= MAX_TOPIC, "topic: {} bytes, at most {MAX_TOPIC} are allowed", topic.len());
        let config = Self {
            endpoint: endpoint(fields, "endpoint", host)?.unwrap_or(Endpoint::Bind(host, 5557)),
            replay_endpoint: endpoint(fields, "replay_endpoint", host)?.map(bound).transpose()?,
            buffer_steps: usize::try_from(count(fields, "buffer_steps", 10_000)?)?,
            hwm: count(fields, "hwm", 100_000)?,
            topic,
        };
        Ok((is_enabled && publishes).then_some(config))
    }
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_str().map(Some).with_context(|| format!("{name}: must be a text")),
    }
}

fn count(fields: &Map<String, Value>, name: &str, default: u64) -> Result<u64> {
    let Some(value) = fields.get(name) else { return Ok(default) };
    let count = value.as_u64().filter(|count| (1..=MAX_STEPS).contains(count));
    count.with_context(|| format!("{name}: {value} is not a whole number from 1 to {MAX_STEPS}"))
}

fn endpoint(fields: &Map<String, Value>, name: &str, host: IpAddr) -> Result<Option<Endpoint>> {
    let Some(text) = text(fields, name)? else { return Ok(None) };
    let place = || format!("{name}: {text:?} is not tcp://HOST:PORT, the only kind that is emulated");
    let (named, port) = text.strip_prefix("tcp://").and_then(|rest| rest.rsplit_once(':')).with_context(place)?;
    let port: u16 = port.parse().with_context(place)?;
    let bare = named.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(named);
    if bare == "*" {
        return Ok(Some(Endpoint::Bind(host, port)));
    }
    let is_name = !bare.is_empty() && bare.len() <= 255 && bare.bytes().all(|byte| byte.is_ascii_graphic());
    ensure!(is_name, place());
    match bare.parse() {
        Ok(address @ IpAddr::V6(_)) if text.contains("::") => Ok(Some(Endpoint::Bind(address, port))),
        _ => Ok(Some(Endpoint::Connect(bare.to_owned(), port))),
    }
}

/// A replay's endpoint is bound whatever it looks like.
fn bound(endpoint: Endpoint) -> Result<Endpoint> {
    let Endpoint::Connect(name, port) = endpoint else { return Ok(endpoint) };
    let address = if name == "localhost" { "127.0.0.1" } else { &name };
    let address = address.parse().with_context(|| format!("replay_endpoint: {name:?} is no address to listen at"))?;
    Ok(Endpoint::Bind(address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn read(text: &str) -> Result<Option<KvEventsConfig>> {
        KvEventsConfig::read(text, HOST)
    }

    #[test]
    fn endpoints_are_bound_or_connected_to_as_vllm_does() {
        let check = |text: &str, expect: Endpoint| {
            let json = format!("{{\"enable_kv_cache_events\": true, \"endpoint\": \"{text}\"}}");
            assert_eq!(read(&json).expect("a configuration").expect("on").endpoint, expect, "{text}");
        };
        check("tcp://*:5557", Endpoint::Bind(HOST, 5557));
        check("tcp://[::1]:1", Endpoint::Bind(IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), 1));
        check("tcp://127.0.0.1:5557", Endpoint::Connect("127.0.0.1".to_owned(), 5557));
        check("tcp://picker.default.svc:5557", Endpoint::Connect("picker.default.svc".to_owned(), 5557));
        let json = r#"{"enable_kv_cache_events": true, "replay_endpoint": "tcp://127.0.0.1:5558"}"#;
        let config = read(json).expect("a configuration").expect("on");
        assert_eq!(config.endpoint, Endpoint::Bind(HOST, 5557));
        assert_eq!(config.replay_endpoint, Some(Endpoint::Bind(HOST, 5558)), "replays are always bound");
        assert_eq!((config.buffer_steps, config.hwm, config.topic.as_str()), (10_000, 100_000, ""));
    }

    #[test]
    fn events_are_off_unless_both_say_otherwise() {
        for off in ["{}", r#"{"publisher": "zmq"}"#, r#"{"enable_kv_cache_events": true, "publisher": "null"}"#] {
            assert_eq!(read(off).expect("a configuration"), None, "{off}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |text: &str, expect: &str| {
            let error = format!("{:#}", read(text).expect_err("refused"));
            assert!(error.starts_with("--kv-events-config") && error.contains(expect), "{error}");
        };
        check("[1]", "must be a JSON object");
        check("{", "EOF");
        check(r#"{"enable": true}"#, "enable: unknown; there are enable_kv_cache_events");
        check(r#"{"publisher": "kafka"}"#, "neither");
        check(r#"{"endpoint": "ipc://x"}"#, "not tcp://HOST:PORT");
        check(r#"{"endpoint": "tcp://*:70000"}"#, "not tcp://HOST:PORT");
        check(r#"{"replay_endpoint": "tcp://elsewhere:1"}"#, "no address to listen at");
        check(r#"{"buffer_steps": 0}"#, "whole number from 1 to");
        check(r#"{"topic": 3}"#, "topic: must be a text");
    }
}
