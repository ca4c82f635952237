#!/usr/bin/env bash
# What building and testing need on this machine; says what is missing and how to get it.
#
#   scripts/setup.sh run     a Rust toolchain and a linker
#   scripts/setup.sh test    also clippy and rustfmt; what is optional is named
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/report.sh
purpose=${1:-run}

oldest=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
get_rust="https://rustup.rs installs Rust: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"

for program in cargo rustc; do
    command -v "$program" >/dev/null 2>&1 || die "there is no Rust toolchain ($program is missing). $get_rust"
done
have=$(rustc --version | awk '{print $2}')
printf '%s %s\n' "$have" "$oldest" | awk '{split($1, a, "."); split($2, b, "."); exit !(a[1] > b[1] || a[1] == b[1] && a[2] + 0 >= b[2] + 0)}' ||
    die "rustc is $have, the project needs $oldest or newer: rustup update stable (no rustup? $get_rust)"
command -v cc >/dev/null 2>&1 ||
    die "there is no C compiler to link with: apt-get install build-essential (macOS: xcode-select --install)"
[ "$purpose" = test ] || exit 0

for component in clippy rustfmt; do
    driver=cargo-${component/rustfmt/fmt}
    "$driver" --version >/dev/null 2>&1 && continue
    { [ "${WASM_TOOLCHAIN_RUSTUP:-1}" != 0 ] && rustup component add "$component" >&2; } ||
        die "$component is missing: rustup component add $component (or your system's package)"
done
cargo nextest --version >/dev/null 2>&1 || say "cargo-nextest is not installed: cargo test runs the tests, a little slower"
command -v node >/dev/null 2>&1 || say "node is not installed: the page, and the comparison of Wasm with native results, will not be tested"
if [ "${INSTALL_TOOLS:-0}" = 0 ]; then
    . scripts/find-browser.sh
    find_chromium && find_chromedriver || say "Chromium or its driver is not installed: the page will not be tested in a browser"
    find_firefox || say "Firefox is not installed: the page will be tested in Chromium only"
fi
say "rustc $have"
