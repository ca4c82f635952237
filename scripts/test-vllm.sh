#!/usr/bin/env bash
# The live suite: the simulator against a real vLLM 0.32.0 on this machine's processor.
#
#   scripts/test-vllm.sh            everything; best on a machine that does nothing else
#   scripts/test-vllm.sh --short    the schedule only, a few workloads: for continuous integration
#
# vLLM is installed into .venv-vllm if it is not there (INSTALL_VLLM_TIMEOUT bounds it). SEED chooses the random
# workloads; without it each run of the whole suite has new ones. Every seed is printed.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/report.sh
what="the live suite against a real vLLM"
python=.venv-vllm/bin/python

short=0
[ "${1:-}" != --short ] || short=1
if ! scripts/install-vllm.sh; then
    if [ "$short" = 1 ]; then
        # Not a failure even with STRICT: 6 GB from a package index may be slow or not to be had.
        left_out "$what" "vLLM could not be installed within its time (message above)"
        exit 0
    fi
    die "vLLM could not be installed (message above)"
fi

if [ "$short" = 1 ]; then
    seed=${SEED:-0} num_workloads=10 num_special=5 num_kinds=12
else
    seed=${SEED:-$(date +%s)} num_workloads=40 num_special=25 num_kinds=1000
fi
profiler=$(scripts/debug-profiler.sh)

say "the real engine, its schedule pass by pass; seeds from $seed"
live_tokens=("$profiler" verify-tokens --python "$python" --seed "$seed")
"${live_tokens[@]}" --num-workloads "$num_workloads"

# Engines start in ten seconds to a minute each, and serve five workloads; no run takes longer than this.
limit=(timeout "${LIVE_TIMEOUT:-1800}")
ngram='{"method":"ngram","num_speculative_tokens":3,"prompt_lookup_max":4,"prompt_lookup_min":2}'
say "layers with sliding windows: several KV-cache groups"
"${limit[@]}" "${live_tokens[@]}" --model gemma3-1m --num-workloads "$num_special"
say "speculative decoding by n-grams"
"${limit[@]}" "${live_tokens[@]}" --num-workloads "$num_special" --random-engines -- --speculative-config "$ngram"
say "both"
"${limit[@]}" "${live_tokens[@]}" --model gemma3-1m --num-workloads "$num_special" --random-engines -- \
    --speculative-config "$ngram"

say "the real scheduler, asynchronous, with a worker that computes nothing; seed $seed of up to $num_kinds kinds"
traces=$(mktemp -d)
trap 'rm -rf "$traces"' EXIT
"$python" tests/recorder/make_workloads.py --list | awk '{print $1}' | head -n "$num_kinds" | while read -r kind; do
    "$python" tests/recorder/make_workloads.py --kind "$kind" --seed "$seed" --async -o "$traces/$kind.workload.json"
done
"$python" tests/recorder/record_schedule.py "$traces"/*.workload.json -o "$traces/recorded" >/dev/null
"$profiler" verify-tokens --recorded "$traces/recorded"

say "the parsers of vllm serve and vllm bench serve on drawn command lines; seed $seed"
"$python" tests/recorder/record_flag_grammar.py "$traces/flags" --seed "$seed" >/dev/null
FLAG_GRAMMAR_LIVE=$traces/flags scripts/test-native.sh flag_grammar
[ "$short" = 0 ] || exit 0

# One worker process with one thread, as `vllm serve` has on a processor: then both are measured alike. The worker has
# the first core to itself; scheduler, HTTP server and client stay off it, or they would take its time by chance.
export VLLM_CPU_OMP_THREADS_BIND=0
others=$(( $(nproc) > 1 ? $(nproc) - 1 : 0 ))
beside=(taskset --cpu-list "1-$others")
[ "$others" -ge 1 ] || beside=()
flags=(--distributed-executor-backend=mp --enforce-eager --kv-cache-memory-bytes=256M --max-model-len=2048
    --max-num-seqs=32 --max-num-batched-tokens=512)
live=${CARGO_TARGET_DIR:-target}/live
mkdir -p "$live"
# An old journal would be gone on with: measured while the machine was in another state.
rm -f "$live"/profile.json*
failed=0

say "latencies of every request on workloads that the profile was not made from; the machine should do nothing else"
"${beside[@]}" "$profiler" verify-metrics --python "$python" --model llama-30m --measure "$live/profile.json" --time-budget 8m \
    --num-passes 200 --seed "$seed" --output-json "$live/metrics.json" --plot "$live/metrics.svg" --store \
    -- "${flags[@]}" || failed=1

say "the same through vllm serve"
"${beside[@]}" "$profiler" verify-serve --python "$python" --model llama-30m --profile "$live/profile.json" --seed "$seed" \
    --num-prompts 100 --input-len 64 --repeats 5 \
    --output-json "$live/serve.json" -- "${flags[@]:1}" || failed=1
exit "$failed"
