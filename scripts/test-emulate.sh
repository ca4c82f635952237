#!/usr/bin/env bash
# Real clients against `profiler emulate`: `vllm bench serve` of the installed vLLM, whose figures are put beside those of
# `profiler simulate` for the same workload, Prometheus' own parser on /metrics, libzmq and vLLM's classes on KV events,
# a fleet of three engines against the simulated one, and production-stack's router in front of three. Not part of `make
# test`: it takes eight minutes and wants an otherwise idle machine.
#
#   scripts/test-emulate.sh            2,000 requests at 50 a second
#   scripts/test-emulate.sh 200 20     200 at 20 a second
#
# PROFILER: the built program; PYTHON: a Python with vLLM (scripts/install-vllm.sh makes .venv-vllm); VLLM_ROUTER: PyPI's
# vllm-router, if the fleet is to be behind that, too; ROUTER_PYTHON: a Python that has production-stack's router (its
# folder `src` on PYTHONPATH, with aiohttp, fastapi and what else it asks for).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/report.sh
requests=${1:-2000} rate=${2:-50}
profiler=${PROFILER:-target/debug/profiler}
python=${PYTHON:-.venv-vllm/bin/python}
if ! "$python" -c 'import vllm.benchmarks.serve' 2>/dev/null; then
    not_run "real clients of the emulator" "there is no vLLM for $python: scripts/install-vllm.sh"
    exit 0
fi
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT

# A tokenizer that needs no download: every token n is the word tn, as many as Llama 3's.
"$python" - "$work" <<'PY'
import json, sys
words = {f"t{i}": i for i in range(128256)}
model = {"type": "WordLevel", "vocab": words, "unk_token": "t0"}
json.dump({"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
           "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None, "decoder": None, "model": model},
          open(f"{sys.argv[1]}/tokenizer.json", "w"))
json.dump({"bos_token": "t1", "eos_token": "t2", "unk_token": "t0", "model_max_length": 131072,
           "tokenizer_class": "PreTrainedTokenizerFast"}, open(f"{sys.argv[1]}/tokenizer_config.json", "w"))
PY
# Without the prefix cache: random prompts are stretches of consecutive words, and some of them begin alike.
engine=(--no-enable-prefix-caching)
workload=(--dataset-name random --random-input-len 512 --random-output-len 16 --num-prompts "$requests"
          --request-rate "$rate" --seed 7 --ready-check-timeout-sec 20 --percentile-metrics ttft,tpot,e2el)
# start FLAG...: a server at $address.
start() {
    "$profiler" emulate --port 0 --tokenizer "$work/tokenizer.json" "${engine[@]}" "$@" >"$work/address" &
    server=$!
    until grep -q SIMULATED "$work/address"; do sleep 0.1; kill -0 "$server"; done
    address=$(head -1 "$work/address")
}
# bench BACKEND ENDPOINT NAME [FLAG...]: what `vllm bench serve` runs, without asking for the package's version.
bench() {
    HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 "$python" - "${workload[@]}" --backend "$1" --endpoint "$2" \
        --base-url "$address" --model meta-llama/Llama-3.1-8B --tokenizer "$work" --ignore-eos --disable-tqdm \
        --save-result --result-dir "$work" --result-filename "$3.json" "${@:4}" >"$work/bench.log" 2>&1 <<'PY' || { tail -20 "$work/bench.log"; exit 1; }
import asyncio
from vllm.benchmarks.serve import add_cli_args, main_async
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = FlexibleArgumentParser()
add_cli_args(parser)
asyncio.run(main_async(parser.parse_args()))
PY
}
start
say "vllm bench serve --backend vllm, $requests requests at $rate a second"
bench vllm /v1/completions vllm
curl -s "$address/metrics" >"$work/vllm.metrics"
say "the same with --backend openai-chat"
bench openai-chat /v1/chat/completions openai-chat
curl -s "$address/metrics" >"$work/openai-chat.metrics"
kill "$server"
say "the same of an engine that takes no time: what is the client's"
start --time-scale 1000
bench vllm /v1/completions client
kill "$server"
# What client and machine need is a tenth of what it was beside an engine ten times as slow: nothing has to be taken off.
few=(--num-prompts "$((requests / 4))")
say "a quarter of the requests, while time goes a tenth as fast: the client's own figures, as they are"
start --time-scale 0.1
bench vllm /v1/completions slowly "${few[@]}" --request-rate "$("$python" -c "print($rate / 10)")"
kill "$server"
server=
# simulate NAME [FLAG...]
simulate() {
    "$profiler" simulate "${engine[@]}" "${workload[@]}" "${@:2}" --save-result --result-dir "$work" \
        --result-filename "$1.json" --quiet >"$work/simulate.log" || { cat "$work/simulate.log"; exit 1; }
}
simulate simulated
simulate simulated-few "${few[@]}"
"$python" - "$work" "$requests" <<'PY'
import json, sys
from prometheus_client.parser import text_string_to_metric_families
work, requests = sys.argv[1], int(sys.argv[2])
read = lambda name: json.load(open(f"{work}/{name}.json"))
failures = [f"{name}: {read(name)['failed']} of {requests} failed" for name in ("vllm", "openai-chat") if read(name)["failed"]]
for name in ("vllm", "openai-chat"):
    assert read(name)["completed"] == requests, name

def samples_of(name):
    text = open(f"{work}/{name}.metrics").read()
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]

def compare(what, found, expect):
    print(f"mean {what}: {found:.2f} ms, simulated {expect:.2f} ms, {100 * (found / expect - 1):+.1f} %")
    if abs(found - expect) > max(0.03 * expect, 1.0):
        failures.append(f"{what} is more than 3 % and 1 ms off")

served, engine, client = read("vllm"), read("simulated"), read("client")
total = {sample.name: sample.value for sample in samples_of("vllm") if sample.name.endswith(("_sum", "_count"))}
for figure, family in ("ttft", "time_to_first_token"), ("tpot", "request_time_per_output_token"), ("e2el", "e2e_request_latency"):
    mean_ms = 1000 * total[f"vllm:{family}_seconds_sum"] / total[f"vllm:{family}_seconds_count"]
    compare(f"{figure} by the server's metrics", mean_ms, engine[f"mean_{figure}_ms"])
for figure in ("ttft", "tpot", "e2el"):
    # An engine a thousand times as fast is in it as a thousandth.
    own = client[f"mean_{figure}_ms"] - engine[f"mean_{figure}_ms"] / 1000
    print(f"mean {figure} by the client: {served[f'mean_{figure}_ms']:.2f} ms, of which {own:.2f} are its own")
    compare(f"{figure} without them", served[f"mean_{figure}_ms"] - own, engine[f"mean_{figure}_ms"])
slowly, engine = read("slowly"), read("simulated-few")
for figure in ("ttft", "tpot", "e2el"):
    compare(f"{figure} by the client, a tenth as fast", slowly[f"mean_{figure}_ms"] / 10, engine[f"mean_{figure}_ms"])
samples = samples_of("openai-chat")
count = lambda name: sum(sample.value for sample in samples if sample.name == name)
print(f"/metrics: {len(samples)} samples; {count('vllm:request_success_total'):.0f} requests, "
      f"{count('vllm:generation_tokens_total'):.0f} tokens")
# Both benchmarks, each with its trial request.
if count("vllm:request_success_total") != 2 * (requests + 1):
    failures.append("the metrics have not counted all requests")
late = {float(s.labels["le"]): s.value for s in samples if s.name == "profiler:emulated_token_lateness_seconds_bucket"}
print("lateness P99 at most", min(bound for bound, n in late.items() if n >= 0.99 * late[float("inf")]), "s")
sys.exit("\n".join(failures) or 0)
PY
say "KV events over ZeroMQ, as a router that goes by them sees them"
"$python" scripts/emulate_kv_events.py "$profiler"
say "a fleet of emulated engines against the simulated one"
"$python" scripts/emulate_fleet.py "$profiler"
router=${ROUTER_PYTHON:-$python}
if "$router" -c 'import vllm_router.app' 2>/dev/null; then
    say "production-stack's router in front of three engines"
    "$python" scripts/emulate_router.py "$profiler" "$router"
else
    not_run "production-stack's router in front of emulated engines" "there is none for $router"
fi
