#!/usr/bin/env bash
# Make derived profiles of whole passes anew from aiconfigurator-core: the one of a first visit (www/profiles, with its
# index), and those that tests hold runs against (tests/data/profiles). The page composes all others of packs.
#
#   scripts/gallery.sh PACKAGE [YYYY-MM-DD]
#
# PACKAGE is the wheel or the installed folder of aiconfigurator-core 0.12.0 (pip download --no-deps
# aiconfigurator-core==0.12.0). The date, today's by default, goes into the profiles. Each model gets the smallest number
# of devices that it fits on and whose data are good; what is refused, and why, is printed. Where runs of real servers are
# known, the profile is held against them and says how far off it was. Measured profiles stay.
# PROFILER names the program; by default it is built.
set -euo pipefail
cd "$(dirname "$0")/.."
package=${1:?"the wheel or folder of aiconfigurator-core; see the head of $0"}
date=${2:-$(date +%F)}
if [ -z "${PROFILER:-}" ]; then
    cargo build --quiet --release --locked -p profiler
    PROFILER=${CARGO_TARGET_DIR:-target}/release/profiler
fi
folder=www/profiles
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT

# system, its name in file names, its name in a sentence
systems="h100_sxm|h100-sxm|H100 SXM
rtx_pro_6000_server|rtx-pro-6000|RTX PRO 6000"
# facts in profiler/models, its name in a sentence, number formats, numbers of devices that are tried
models="llama-3.1-8b|Llama-3.1-8B|bfloat16|1
llama-3.3-70b|Llama-3.3-70B|fp8|2 4"

# A profile on the smallest number of devices that works.
derive() { # model, words, dtype, system, short, words, counts
    local bits=${3/bfloat16/bf16} count said
    for count in $7; do
        local file="$5_$1_${bits}_tp$count.json"
        if said=$("$PROFILER" import aiconfigurator "$package" --model "profiler/models/$1.json" --system "$4" \
            $([ "$3" = bfloat16 ] || echo "--quantization $3") --tensor-parallel-size "$count" --date "$date" --output "$new/$file" 2>&1); then
            echo "$file" >>"$new/made"
            echo "$file: $(wc -c <"$new/$file") bytes"
            # Of these InferenceX measured runs on every number of devices.
            case $4:$3 in h[12]00_sxm:fp8) ;; *) return ;; esac
        else
            echo "not made: $2 $bits on $count × $6: ${said#error: }"
        fi
    done
}

: >"$new/made"
while IFS='|' read -r model model_words dtypes counts; do
    while IFS='|' read -r system short system_words; do
        for dtype in $dtypes; do
            derive "$model" "$model_words" "$dtype" "$system" "$short" "$system_words" "$counts"
        done
    done <<<"$systems"
done <<<"$models"

# Whether a run is within the limits of verify-run is for the reader of the profile.
hold_against() { # run, profile, what to say of it
    "$PROFILER" verify-run --profile "$new/$2" --run "$1" --output "$new/$2" ${3:+--note "$3"} >/dev/null || [ $? = 1 ]
}
python3 - "$package" "$new/silicon_sample.csv" <<'PYTHON'
import pathlib, sys, zipfile
package, out = map(pathlib.Path, sys.argv[1:])
name = "systems/silicon_sample.csv"
if package.is_dir():
    found = next(package.rglob(name)).read_bytes()
else:
    wheel = zipfile.ZipFile(package)
    found = wheel.read(next(entry for entry in wheel.namelist() if entry.endswith(name)))
out.write_bytes(found)
PYTHON
seen="the rule for the time between passes was calibrated with it"
for file in $(grep -E '^h[12]00-sxm_llama-3.3-70b_fp8_tp' "$new/made"); do
    case $file in h100-sxm_*_tp4.json) note=$seen ;; *) note= ;; esac
    hold_against "$new/silicon_sample.csv" "$file" "$note"
done
rm "$new/silicon_sample.csv"
hold_against tests/data/calibration/llmservingsim/run rtx-pro-6000_llama-3.1-8b_bf16_tp1.json "$seen"

mv "$new/h100-sxm_llama-3.1-8b_bf16_tp1.json" "$folder/"
for file in h100-sxm_llama-3.3-70b_fp8_tp4 rtx-pro-6000_llama-3.1-8b_bf16_tp1; do
    mv "$new/$file.json" tests/data/profiles/
done
scripts/gallery_index.py <"$new/made"
echo "$(find "$folder" -name '*.json' ! -name index.json | wc -l) profiles in $folder"
