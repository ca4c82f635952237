#!/usr/bin/env bash
# On a machine with an NVIDIA GPU: are the kernels right, what do operators and a whole model take on it, and what does it
# keep up? At most 8 minutes. Nobody has run this on a GPU yet.
#
#   [PROFILER=path/of/profiler] scripts/on-a-gpu.sh FOLDER [MODEL]
#
# Needs the driver and the built program alone; PROFILER names it, by default it is built. Everything is left in FOLDER:
#
#   summary.txt    a line for each step: ok, failed, out of time or not run, and the seconds that it took
#   kernels.txt    the kernels against their references; GEMMs against 90 % of cuBLASLt's best, decodes' attention against
#                  80 % of copying
#   pack.json      the GPU's operators and what its products keep up under load, for `simulate --gpu`; pack.txt, how good
#   profile.json   whole passes of MODEL (meta-llama/Llama-3.1-8B by default); profile.txt, how good
#   run.txt        a simulated run on the profile;  composed.txt: the same on what the pack composes for the model
#   gpu.txt        what nvidia-smi says of the GPU before and after
#
# Each step has a time of its own, a failed one stops no other, and one whose input is missing is not run. A second start
# with the same folder goes on where the first ended. LIMITS="kernels=90 pack=190 profile=140 quick=10" are the seconds of
# each step, which a test shortens. Ends with 0 if all steps are ok, else with 1.
set -uo pipefail
folder=${1:?"a folder for what is measured; see the head of $0"}
model=${2:-meta-llama/Llama-3.1-8B}
mkdir -p "$folder" && folder=$(cd "$folder" && pwd) || exit 1
if [ -z "${PROFILER:-}" ]; then
    cd "$(dirname "$0")/.." || exit 1
    cargo build --quiet --release --locked -p profiler || exit 1
    PROFILER=${CARGO_TARGET_DIR:-target}/release/profiler
fi
kernels=90 pack=190 profile=140 quick=10
for limit in ${LIMITS:-}; do
    if [[ ! $limit =~ ^(kernels|pack|profile|quick)=[0-9]+$ ]]; then
        echo "LIMITS: $limit is no step's seconds" >&2
        exit 2
    fi
    declare "$limit"
done
bad=0
: >"$folder/summary.txt"

# One line of the summary.
tell() { # name, what came of it
    [ "$2" = ok ] || bad=1
    printf '%-12s %-12s %4s s  %s\n' "$1" "$2" "${3:-0}" "${4:-}" | tee -a "$folder/summary.txt"
}

# A step: what it prints goes to a file, and its end into the summary.
step() { # name, seconds, file, command...
    local name=$1 limit=$2 file=$folder/$3 start=$SECONDS code
    shift 3
    timeout --kill-after=5 "$limit" "$@" >"$file.part" 2>&1
    code=$?
    mv "$file.part" "$file"
    case $code in
    0) tell "$name" ok $((SECONDS - start)) "$(basename "$file")" ;;
    124 | 137) tell "$name" "out of time" $((SECONDS - start)) "after $limit s; see $(basename "$file")" ;;
    *) tell "$name" failed $((SECONDS - start)) "$(tail -n 1 "$file")" ;;
    esac
    return $code
}

# The same if a file is there, which an earlier step or start left.
step_with() { # file, then as step
    local needed=$1
    shift
    if [ -s "$folder/$needed" ]; then step "$@"; else tell "$1" "not run" 0 "there is no $needed"; fi
}

state() {
    if command -v nvidia-smi >/dev/null; then
        timeout 10 nvidia-smi -q -d CLOCK,POWER,TEMPERATURE,PERFORMANCE
    else
        echo "no nvidia-smi"
    fi
}

# What a step measures for: its seconds less those of starting, of a last shape, and of writing, which must not be lost.
budget() { # seconds, those that are kept back
    echo "$(($1 > $2 ? $1 - $2 : 1))s"
}

state >"$folder/gpu.txt" 2>&1
step kernels "$kernels" kernels.txt "$PROFILER" profile --engine cuda --check-kernels
# Of what is kept back of the pack's seconds 44 are the load: 20 in each of two number formats, after a rest.
step pack "$pack" pack.log "$PROFILER" profile --engine cuda --operators --load-time 20s \
    --time-budget "$(budget "$pack" 95)" --output "$folder/pack.json"
step profile "$profile" profile.log "$PROFILER" profile --engine cuda --model "$model" --time-budget "$(budget "$profile" 40)" \
    --max-context 8192 --output "$folder/profile.json"
state >>"$folder/gpu.txt" 2>&1
run=(--request-rate 4 --num-prompts 200 --seed 1)
# A file beyond stated limits is one to look at, not one that was not measured.
see=(bash -c '"$0" validate "$1" || [ $? = 1 ]' "$PROFILER")
step_with pack.json see-pack "$quick" pack.txt "${see[@]}" "$folder/pack.json"
step_with profile.json see-profile "$quick" profile.txt "${see[@]}" "$folder/profile.json"
step_with profile.json run "$quick" run.txt "$PROFILER" simulate --profile "$folder/profile.json" "${run[@]}"
step_with pack.json composed "$quick" composed.txt "$PROFILER" simulate --gpu "$folder/pack.json" --model "$model" "${run[@]}"
echo
grep -h 'target\|TFLOP\|WRONG' "$folder/kernels.txt" || echo "no verdicts on speed: see kernels.txt"
exit $bad
