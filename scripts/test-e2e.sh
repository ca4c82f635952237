#!/usr/bin/env bash
# The built page in real browsers (tests/e2e): in Chromium, and firefox*.test.mjs in Firefox.
# Arguments are files of tests: scripts/test-e2e.sh tests/e2e/shell.test.mjs
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
[ -n "${PROFILER:-}" ] || PROFILER=$(scripts/debug-profiler.sh)
export PROFILER
# Once for each lock file.
if ! cmp -s tests/e2e/package-lock.json tests/e2e/node_modules/.installed-lock.json; then
    npm ci --prefix tests/e2e --ignore-scripts --no-audit --no-fund >&2
    cp tests/e2e/package-lock.json tests/e2e/node_modules/.installed-lock.json
fi
chosen=("$@")
[ $# -gt 0 ] || chosen=(tests/e2e/*.test.mjs)
# Times are measured in one file, which runs alone: a second browser would be measured, too.
timed=tests/e2e/run.test.mjs
files=()
for file in "${chosen[@]}"; do
    case $file in
    *firefox*) need_firefox "$file" || continue ;;
    "$timed") [ $# -gt 0 ] || continue ;;
    esac
    files+=("$file")
done
[ ${#files[@]} -gt 0 ] || exit 0
if [ $# -gt 0 ]; then
    node --test --test-concurrency=1 "${files[@]}"
    exit
fi
node --test --test-concurrency=2 "${files[@]}"
node --test "$timed"
