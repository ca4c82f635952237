#!/usr/bin/env bash
# Builds the guide (profiler/guide) into www/guide, where the page links to it. Fast if nothing changed.
#
#   scripts/guide.sh              installs mdBook if it is missing (once, some minutes)
#   scripts/guide.sh --pictures   also takes its pictures of the page anew; the page must be built, and Chromium there
#   scripts/guide.sh --optional   for the page's build: what prevents it is said, and is no failure
#
# Commands and what they print are made by profiler/tests/guide.rs.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/report.sh
MDBOOK_VERSION=0.5.4

how=${1:-}
if [ "$how" = --pictures ]; then
    . scripts/find-browser.sh
    need_browser "pictures of the guide" || exit 0
    node scripts/guide-pictures.mjs
fi

sources=$(cat scripts/guide.sh FIDELITY.md profiler/python/README.md $(find profiler/guide -type f | LC_ALL=C sort) | cksum)
[ ! -e www/guide/index.html ] || [ "$sources" != "$(cat target/guide-built.txt 2>/dev/null)" ] || exit 0

# Without a server of its own and without a search, which the book does not use: a third of its dependencies.
if ! scripts/install-tool.sh mdbook "$MDBOOK_VERSION" --no-default-features; then
    [ "$how" = --optional ] || die "mdBook could not be installed (message above)"
    say "the guide is not built: mdBook could not be installed (message above). Try again: make guide"
    exit 0
fi
rm -rf www/guide
.tools/bin/mdbook build profiler/guide >&2
mkdir -p target
echo "$sources" >target/guide-built.txt
