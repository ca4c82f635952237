#!/usr/bin/env bash
# Builds the page: www/ is then a folder that any static host can serve. Only www/pkg is generated.
#
#   scripts/build-web.sh           tools and toolchain too, if they are missing (once, some minutes); fast if nothing changed
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/report.sh

RUSTUP_TOOLCHAIN=$(scripts/wasm-toolchain.sh)
export RUSTUP_TOOLCHAIN
scripts/wasm-tools.sh
export PATH="$PWD/.tools/bin:$PWD/.tools/node_modules/.bin:$PATH"

# Views of one type instead of one type per view: half the code.
export RUSTFLAGS="--cfg erase_components ${RUSTFLAGS:-}"

# The compiler knows what has changed; the two programs after it would do their work again each time.
build() { # crate, where it lies, its folder: wasm-pack optimises every module of a folder, so that each has its own
    local crate=$1 source=$2 folder=$3 module stamp
    cargo build --quiet --locked -p "$crate" --lib --target wasm32-unknown-unknown --profile web
    module=${CARGO_TARGET_DIR:-target}/wasm32-unknown-unknown/web/$crate.wasm
    stamp=$(cat "$module" "$source/Cargo.toml" scripts/wasm-tools.sh Cargo.lock | cksum)
    if [ ! -e "www/$folder/${crate}_bg.wasm" ] || [ "$stamp" != "$(cat "target/$crate-built.txt" 2>/dev/null)" ]; then
        # Always no-install: the normal mode calls rustup by itself.
        wasm-pack --quiet build "$source" --mode no-install --target web --no-typescript --no-pack --out-dir "$PWD/www/$folder" \
            --out-name "$crate" --profile web -- --locked
        echo "$stamp" >"target/$crate-built.txt"
    fi
}
build web web pkg
build composer web/composer pkg/composer
node scripts/first-load.mjs write
