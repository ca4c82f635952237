#!/usr/bin/env bash
# clippy: all members at once, so that what they share is checked once, which gives each the union of their features; then
# what is built with less.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/report.sh

# Warnings are errors with this clippy alone. Another version has other lints, and a newer compiler must not turn the
# tests of unchanged code red.
LINT_RUST=1.95
deny=(-D warnings)
case $(cargo clippy --version) in
    "clippy 0.$LINT_RUST "*) ;;
    *)
        deny=()
        left_out "clippy with warnings as errors" "that needs Rust $LINT_RUST, this is $(cargo clippy --version); warnings are shown"
        ;;
esac
cargo clippy --quiet --locked --workspace --all-targets -- ${deny[@]+"${deny[@]}"}
say "the workspace, with the features of all members"
# What `make run` answers with, and what serves the page.
for features in "" serve; do
    cargo clippy --quiet --locked -p profiler --no-default-features --features "$features" -- ${deny[@]+"${deny[@]}"}
    say "profiler with no features but '$features'"
done
