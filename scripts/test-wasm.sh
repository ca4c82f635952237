#!/usr/bin/env bash
# The same workloads natively and under Wasm (in node) must give the same digests, bit by bit. See tests/wasm.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/report.sh
what="determinism under Wasm"

if ! command -v node >/dev/null 2>&1; then
    not_run "$what" "node is missing: install Node.js 18 or newer"
    exit 0
fi
if ! toolchain=$(scripts/wasm-toolchain.sh wasm32-unknown-unknown); then
    not_run "$what" "no toolchain for wasm32-unknown-unknown (message above)"
    exit 0
fi
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target"
# Only here is the crate a Wasm module: as a `cdylib` in its Cargo.toml it would be linked as one natively, too.
RUSTUP_TOOLCHAIN=$toolchain cargo rustc --quiet --locked -p wasm-digest --lib --crate-type cdylib --release \
    --target wasm32-unknown-unknown
# Natively another profile than under Wasm on purpose: the optimization level must not matter either. With the features of
# all members, as the tests have it, or the simulator would be compiled once more.
profile=${DIGEST_PROFILE:-dev}
cargo build --quiet --locked --workspace --bin digests --profile "$profile"
"$target/${profile/#dev/debug}/digests" >"$target/digests.txt"
node tests/wasm/run.mjs "$target/wasm32-unknown-unknown/release/wasm_digest.wasm" "$target/digests.txt"
