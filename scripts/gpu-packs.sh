#!/usr/bin/env bash
# Make the operator packs of GPUs (www/packs) anew from aiconfigurator-core, and their index.
#
#   scripts/gpu-packs.sh [PACKAGE [YYYY-MM-DD]]
#
# PACKAGE is the wheel or the installed folder of aiconfigurator-core 0.12.0; by default pip fetches it. The date, today's
# by default, goes into the packs. Each must stay below LIMIT bytes gzipped: a page loads it. PROFILER names the program; by
# default it is built.
set -euo pipefail
cd "$(dirname "$0")/.."
LIMIT=400000
date=${2:-$(date +%F)}
if [ -z "${PROFILER:-}" ]; then
    cargo build --quiet --locked -p profiler
    PROFILER=${CARGO_TARGET_DIR:-target}/debug/profiler
fi
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
package=${1:-}
if [ -z "$package" ]; then
    python3 -m pip download --quiet --no-deps --dest "$new" aiconfigurator-core==0.12.0
    package=$(echo "$new"/aiconfigurator_core-*.whl)
fi
mkdir -p www/packs
for gpu in h100-sxm h200-sxm b200-sxm b300-sxm gb200 gb300 l40s a100-sxm rtx-pro-6000; do
    "$PROFILER" import operators "$package" --gpu "$gpu" --date "$date" --output "$new/$gpu.json" >"$new/said"
    bytes=$(gzip -9c "$new/$gpu.json" | wc -c)
    echo "$gpu: $bytes bytes gzipped"
    if [ "$bytes" -gt "$LIMIT" ]; then
        echo "more than $LIMIT bytes" >&2
        exit 1
    fi
    mv "$new/$gpu.json" www/packs/
done
