#!/usr/bin/env bash
# On a machine with an NVIDIA GPU: are the kernels right, and what do operators take on it? Nobody has run this on a GPU yet.
#
#   scripts/measure-gpu.sh FOLDER [MINUTES]
#
# Writes into FOLDER what the kernels' check says (kernels.txt), the operator pack (pack.json, with its journal: a second
# start goes on where the first ended), what is to be known of it (pack.txt), and a run on a profile composed of it
# (llama.txt). The kernels' check has 3 minutes, the operators MINUTES (5 by default) and 3 more for starting. PROFILER
# names the program; by default it is built.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:?"a folder for what is measured; see the head of $0"}
minutes=${2:-5}
if [ -z "${PROFILER:-}" ]; then
    cargo build --quiet --release --locked -p profiler
    PROFILER=${CARGO_TARGET_DIR:-target}/release/profiler
fi
mkdir -p "$folder"
timeout 180 "$PROFILER" profile --engine cuda --check-kernels | tee "$folder/kernels.txt"
timeout "$((minutes + 3))m" "$PROFILER" profile --engine cuda --operators --time-budget "${minutes}m" --output "$folder/pack.json"
"$PROFILER" validate "$folder/pack.json" | tee "$folder/pack.txt"
"$PROFILER" simulate --gpu "$folder/pack.json" --model meta-llama/Llama-3.1-8B --request-rate 4 --num-prompts 200 |
    tee "$folder/llama.txt"
