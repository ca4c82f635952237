#!/usr/bin/env bash
# Draw new cases for every random property of the tests, TIMES times as many as a test run draws.
#
#   scripts/draw.sh 20            all of them
#   scripts/draw.sh 20 steady     those of one file
#   PROPTEST_RNG_SEED=7 scripts/draw.sh 20 steady   the cases of a seed again
set -euo pipefail
cd "$(dirname "$0")/.."
times=${1:?"how many times as many cases; see the head of $0"}
shift
# One number for all, so that it can be said and given again.
seed=${PROPTEST_RNG_SEED:-$(od -An -N6 -tu8 /dev/urandom | tr -d ' ')}
echo "PROPTEST_RNG_SEED=$seed DRAW_TIMES=$times"
export PROPTEST_RNG_SEED=$seed DRAW_TIMES=$times
cargo test --quiet --locked -p simulator-tests --test it -- "$@"
