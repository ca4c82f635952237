#!/usr/bin/env bash
# Builds the command-line tool for tests and prints where it is.
#
# As the tests are built, which need it, too: `cargo build -p profiler` would compile it and sixty crates once more, with
# the features that they have without the other members and without the tests' own dependencies.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo test --quiet --locked --workspace --no-run --test cli >&2
echo "${CARGO_TARGET_DIR:-$PWD/target}/debug/profiler"
