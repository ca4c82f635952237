#!/usr/bin/env bash
# Builds the page and serves it on this machine until Ctrl-C.
#
#   scripts/serve.sh [arguments of profiler serve]
#   scripts/serve.sh --if-asked    only for somebody at a terminal; else says how. SERVE=0 and CI=true: nobody is there
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/report.sh

if [ "${1:-}" = --if-asked ]; then
    shift
    if [ ! -t 0 ] || [ ! -t 1 ] || [ "${SERVE:-1}" = 0 ] || { [ -n "${CI:-}" ] && [ "$CI" != false ]; }; then
        say "the same in your browser: make serve"
        exit 0
    fi
    # The table is printed already; a machine that cannot build the page is no failure.
    if ! scripts/build-web.sh >&2; then
        say "the page cannot be built here (message above); the table stands without it. Try again: make serve"
        exit 0
    fi
else
    scripts/build-web.sh >&2
fi
# Of the program no more than this needs, from what `make run` built.
exec cargo run --quiet --locked --profile quick --no-default-features --features serve -p profiler -- serve "$@"
