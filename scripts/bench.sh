#!/usr/bin/env bash
# Benchmarks with times, on a machine that should do nothing else: criterion's, whole processes, and other simulators of
# vLLM side by side on an equal workload.
#
#   scripts/bench.sh [filter of criterion's benchmarks]
#
# Settings: REPEATS=5       how often a process is run; the median counts
#           PEERS=0         without the other simulators, which are installed from their registries into target/peers once
#           PEER_REQUESTS=2000  how many requests these are given
#           INSTRUCTIONS=0  without valgrind, which takes minutes
#           AZURE_TRACE, MOONCAKE_TRACE=PATH   whole traces (AzureLLMInferenceTrace_conv.csv, conversation_trace.jsonl):
#                           they are not part of the project
# The built page is timed, too, where it and what its tests need are there (scripts/test-e2e.sh installs that).
# Results: the tables, target/bench/runs.json, target/bench/peers.json, and criterion's own in target/criterion.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/report.sh

command -v python3 >/dev/null 2>&1 || die "python3 is missing: the processes are timed with it"
target=${CARGO_TARGET_DIR:-target}
# Criterion's arguments are no business of the tests inside of programs.
cargo bench --locked -p sim-core --bench '*' -- "$@"
cargo bench --locked -p profiler --no-default-features --bench '*' -- "$@"
cargo build --quiet --locked --release -p profiler
mkdir -p "$target/bench"
python3 scripts/bench_runs.py "$target/release/profiler" --json "$target/bench/runs.json"
if [ "${PEERS:-1}" != 0 ]; then
    python3 scripts/bench_peers.py "$target/release/profiler" --folder "$target/peers" --json "$target/bench/peers.json"
fi
if [ -e www/pkg/web_bg.wasm ] && [ -d tests/e2e/node_modules ]; then
    node tests/e2e/times.mjs
else
    say "the page is not timed: scripts/build-web.sh builds it, scripts/test-e2e.sh installs what its tests need"
fi
