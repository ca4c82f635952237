#!/usr/bin/env bash
# Fuzz the parsers (tests/fuzz). A finding is written to tests/fuzz/artifacts and the script ends with 1.
#
#   scripts/fuzz.sh 60              every target for 60 seconds
#   scripts/fuzz.sh 60 NAME…        these targets
#   scripts/fuzz.sh --check         only compile them
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/report.sh
manifest=tests/fuzz/Cargo.toml

if [ "${1:-}" = --check ]; then
    if ! command -v c++ >/dev/null 2>&1; then
        not_run "compiling the fuzz targets" "there is no C++ compiler for the fuzzer's library: apt-get install g++"
        exit 0
    fi
    # What the other members have checked already is not checked again.
    CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}" cargo clippy --quiet --locked --manifest-path "$manifest" --all-targets -- -D warnings
    say "$(grep -c '^\[\[bin\]\]' "$manifest") targets compile"
    exit 0
fi

export CARGO_TARGET_DIR="$PWD/target/fuzz"
seconds=${1:?"seconds for each target; see the head of $0"}
shift
targets=${*:-$(sed -n '/^\[\[bin\]\]/,/^$/s/^name = "\(.*\)"/\1/p' "$manifest")}
scripts/install-tool.sh cargo-fuzz 0.13.2
export PATH="$PWD/.tools/bin:$PATH"
# The sanitizer is a nightly feature of a compiler that is otherwise stable; its runtime comes with stable, too.
export RUSTC_BOOTSTRAP=1
for target in $targets; do
    say "$target, $seconds s"
    corpus=tests/fuzz/corpus/$target
    seeds=tests/fuzz/seeds/$target
    mkdir -p "$corpus"
    [ -d "$seeds" ] || seeds=
    # shellcheck disable=SC2086 # no seeds: no argument
    cargo-fuzz fuzz run --fuzz-dir tests/fuzz "$target" "$corpus" $seeds -- -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1
done
