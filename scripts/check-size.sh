#!/usr/bin/env bash
# A first visit loads at most 300 KB, gzipped as hosts send it.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/report.sh
. scripts/find-browser.sh
LIMIT=300000

need_wasm "weight of a first visit" || exit 0
scripts/build-web.sh >/dev/null
node scripts/first-load.mjs check "$LIMIT"
