#!/usr/bin/env bash
# What a first visit loads, gzipped as hosts send it, must not grow: until its answer can be read, which index.html holds;
# until the page's frame is alive; until the form is, with all that can be asked; until the page has found its answer itself.
# The goal for a page that is alive is 300 KB, its form with it; ARCHITECTURE.md says what is in that. Lower the limits with
# every step beyond the goal.
#
# Compilers differ: Rust 1.95 with rustup's library makes 1.7 % more of the same code than Debian's 1.96. The limits are
# 4 % above what Debian's makes, so that they hold for both and notice what matters. What a first visit does without
# belongs into a part (web/src/parts.rs) or a module of its own; parts are listed, and not counted.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/report.sh
. scripts/find-browser.sh
ANSWER=41500
ALIVE=186000
FORM=294500
OWN=1100000

need_wasm "weight of a first visit" || exit 0
scripts/build-web.sh >/dev/null
node scripts/first-load.mjs check "$ANSWER" "$ALIVE" "$FORM" "$OWN"
