#!/usr/bin/env bash
# What building the page needs: wasm-pack, the wasm-bindgen that Cargo.lock asks for, what divides its module, and
# wasm-opt, all in .tools/.
# Fast when they are there. Nothing is fetched but from crates.io and the npm registry: npm's `wasm-pack` and `wasm-opt`
# packages and wasm-pack's own installers download from elsewhere, so none of them is used.
#
#   scripts/wasm-tools.sh
#   export PATH="$PWD/.tools/bin:$PWD/.tools/node_modules/.bin:$PATH"
#   wasm-pack build --mode no-install …     # always: the normal mode calls rustup by itself
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/report.sh
WASM_PACK_VERSION=0.15.1
WASM_SPLIT_VERSION=0.2.4
BINARYEN_VERSION=132.0.0

command -v npm >/dev/null 2>&1 || die "npm is missing: install Node.js 18 or newer"
# The module and the program that reads it must be of the very same version.
wasm_bindgen=${WASM_BINDGEN_VERSION:-$(awk '$0 == "name = \"wasm-bindgen\"" {getline; gsub(/version = |"/, ""); print; exit}' Cargo.lock)}
[ -n "$wasm_bindgen" ] || die "no wasm-bindgen in Cargo.lock: nothing in the workspace is built for a page"

scripts/install-tool.sh wasm-pack "$WASM_PACK_VERSION"
# Without default features: no TLS stack, which only its downloads of browsers' drivers would use.
scripts/install-tool.sh wasm-bindgen-cli "$wasm_bindgen" --no-default-features
# Writes what wasm_split_macros in Cargo.lock asks for.
scripts/install-tool.sh wasm_split_cli_support "$WASM_SPLIT_VERSION" --features build-binary
mkdir -p .tools
if command -v flock >/dev/null 2>&1; then # As in install-tool.sh.
    exec 9>.tools/lock-npm
    flock 9
fi
if [ "$(.tools/node_modules/.bin/wasm-opt --version 2>/dev/null | awk '{print $3}')" != "${BINARYEN_VERSION%%.*}" ]; then
    npm install --prefix .tools --ignore-scripts --no-audit --no-fund --no-save "binaryen@$BINARYEN_VERSION" >&2
fi
say "wasm-pack $WASM_PACK_VERSION, wasm-bindgen $wasm_bindgen, $(.tools/node_modules/.bin/wasm-opt --version)"
