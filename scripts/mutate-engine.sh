#!/usr/bin/env bash
# Do the recorded schedules notice if a rule of the engine is broken? Breaks one after another in a scratch copy, never
# in the working tree, and replays tests/data/traces: about ten seconds each.
#
#   scripts/mutate-engine.sh                all of tests/mutations/*.toml
#   scripts/mutate-engine.sh --only REGEX   those whose names match
#   scripts/mutate-engine.sh --write        and their rows of tests/mutations/RESULTS.md anew
#
# Rules of which no real code was recorded (routers but one, a fleet's life, transfers) are to be noticed by sim-core's own
# tests instead: `tests` names them.
#
# Ends with 1 if nothing notices a mutation, or one does not apply or compile any longer. To add one: a [[mutation]] in
# tests/mutations. One that no trace notices asks for a trace that does (tests/recorder/kept), or for the reason why there
# is none (`unnoticed`).
set -euo pipefail
cd "$(dirname "$0")/.."
exec python3 tests/mutations/mutate.py --scratch "${CARGO_TARGET_DIR:-target}/mutations" "$@"
