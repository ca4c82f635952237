#!/usr/bin/env bash
# A first visit loads at most 300 KB, gzipped as hosts send it.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/report.sh
LIMIT=300000

if [ ! -e www/pkg/precache.js ]; then
    not_run "weight of a first visit" "the page is not built: make web"
    exit 0
fi
node scripts/first-load.mjs check "$LIMIT"
