#!/usr/bin/env bash
# Every native test, with cargo-nextest if it is there. Arguments go on to it: scripts/test-native.sh tidy
set -euo pipefail
cd "$(dirname "$0")/.."

if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked --workspace "$@"
else
    cargo test --locked --workspace --lib --bins --tests -- "$@"
fi
