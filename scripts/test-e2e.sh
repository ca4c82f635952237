#!/usr/bin/env bash
# The built page in a real browser (tests/e2e). Arguments are files of tests: scripts/test-e2e.sh tests/e2e/shell.test.mjs
#
# Settings: E2E_BUILD=0         the page is built already
#           PROFILER=PATH       the command-line tool to compare with, if it is built already
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/report.sh
. scripts/find-browser.sh
what="the page in a browser"

need_wasm "$what" || exit 0
need_browser "$what" || exit 0
[ "${E2E_BUILD:-1}" = 0 ] || scripts/build-web.sh >/dev/null
# The page's runs are compared with those of the command line.
if [ -z "${PROFILER:-}" ]; then
    cargo build --quiet --locked -p profiler
    PROFILER=${CARGO_TARGET_DIR:-$PWD/target}/debug/profiler
fi
export PROFILER
# Once for each lock file.
if ! cmp -s tests/e2e/package-lock.json tests/e2e/node_modules/.installed-lock.json; then
    npm ci --prefix tests/e2e --ignore-scripts --no-audit --no-fund >&2
    cp tests/e2e/package-lock.json tests/e2e/node_modules/.installed-lock.json
fi
if [ $# -gt 0 ]; then
    node --test --test-concurrency=1 "$@"
    exit
fi
# Times are measured in one file, which runs alone: a second browser would be measured, too.
timed=tests/e2e/run.test.mjs
others=()
for file in tests/e2e/*.test.mjs; do
    [ "$file" = "$timed" ] || others+=("$file")
done
node --test --test-concurrency=2 "${others[@]}"
node --test "$timed"
