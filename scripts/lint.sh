#!/usr/bin/env bash
# clippy, package by package: `--workspace` would check each with the union of all members' features.
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
members=$(sed -n 's/^members = \[\(.*\)\]/\1/p' Cargo.toml | tr -d '",')
[ -n "$members" ] || die "no members found in Cargo.toml"
for member in $members; do
    cargo clippy --quiet --locked --all-targets --manifest-path "$member/Cargo.toml" -- ${deny[@]+"${deny[@]}"}
    say "$member"
done
# What `make run` answers with, and what serves the page.
for features in "" serve; do
    cargo clippy --quiet --locked -p profiler --no-default-features --features "$features" -- ${deny[@]+"${deny[@]}"}
    say "profiler with no features but '$features'"
done
