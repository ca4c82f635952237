#!/usr/bin/env bash
# Each benchmark once, so that none rots. No times are taken: `make bench` takes them.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/report.sh

benches=$(git ls-files '*/benches/*.rs' 2>/dev/null || true)
benches=${benches:-$(find sim-core profiler tests web -path '*/target' -prune -o -path '*/benches/*.rs' -print)}
if [ -z "$benches" ]; then
    say "there are no benchmarks"
    exit 0
fi
cargo test --quiet --locked --workspace --bench '*'
