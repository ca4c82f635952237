#!/usr/bin/env bash
# sim-core for a target that has no std at all, so that neither it nor a dependency's feature can bring std back;
# and for Wasm, where it has to run.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/report.sh

check() { # $1: target. Package by package: in a --workspace build another member's features could hide an error.
    local toolchain
    if ! toolchain=$(scripts/wasm-toolchain.sh "$1"); then
        not_run "sim-core on $1" "no toolchain with this target (message above)"
        return
    fi
    # That all names are there is what is asked; code is made in the other steps.
    RUSTUP_TOOLCHAIN=$toolchain cargo check --quiet --locked -p sim-core --target "$1"
    say "sim-core compiles for $1 ($toolchain)"
}
check x86_64-unknown-none
check wasm32-unknown-unknown
