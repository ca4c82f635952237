//! The flags that the fleet card has, and which of them go when another kind of fleet is chosen.

/// All of them; the engine card and the model card leave them out.
pub(super) const FLEET: [&str; 25] = [
    "replicas",
    "router",
    "router-args",
    "replica-fails",
    "retry-max-retries",
    "migration-limit",
    "autoscaler",
    "prefill-replicas",
    "decode-replicas",
    "prefill-args",
    "decode-args",
    "prefill-replica-fails",
    "decode-replica-fails",
    "prefill-autoscaler",
    "decode-autoscaler",
    "kv-transfer-bandwidth",
    "kv-transfer-latency",
    "kv-transfer-descriptor-time",
    "kv-transfer-failure-rate",
    "kv-load-failure-policy",
    "data-parallel-size",
    "data-parallel-external-lb",
    "data-parallel-hybrid-lb",
    "data-parallel-size-local",
    "dp-sync-interval",
];

/// What is neither of replicas nor of both kinds.
pub(super) const TO_REPLICAS: [&str; 18] = [
    "prefill-replicas",
    "decode-replicas",
    "prefill-args",
    "decode-args",
    "prefill-replica-fails",
    "decode-replica-fails",
    "prefill-autoscaler",
    "decode-autoscaler",
    "kv-transfer-bandwidth",
    "kv-transfer-latency",
    "kv-transfer-descriptor-time",
    "kv-transfer-failure-rate",
    "kv-load-failure-policy",
    "data-parallel-size",
    "data-parallel-external-lb",
    "data-parallel-hybrid-lb",
    "data-parallel-size-local",
    "dp-sync-interval",
];

/// What is not of two roles.
pub(super) const TO_ROLES: [&str; 8] = [
    "replicas",
    "replica-fails",
    "autoscaler",
    "data-parallel-size",
    "data-parallel-external-lb",
    "data-parallel-hybrid-lb",
    "data-parallel-size-local",
    "dp-sync-interval",
];

/// What is not of ranks.
pub(super) const TO_RANKS: [&str; 18] = [
    "replicas",
    "replica-fails",
    "retry-max-retries",
    "migration-limit",
    "autoscaler",
    "prefill-replicas",
    "decode-replicas",
    "prefill-args",
    "decode-args",
    "prefill-replica-fails",
    "decode-replica-fails",
    "prefill-autoscaler",
    "decode-autoscaler",
    "kv-transfer-bandwidth",
    "kv-transfer-latency",
    "kv-transfer-descriptor-time",
    "kv-transfer-failure-rate",
    "kv-load-failure-policy",
];
