#!/usr/bin/env bash
# Builds the page and the guide: www/ is then a folder that any static host can serve. Only www/pkg and www/guide are generated.
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

module=${CARGO_TARGET_DIR:-target}/wasm32-unknown-unknown/web
# The compiler knows what has changed; the programs after it would do their work again each time.
is_built() { # crate, a file that is made of it, what else it depends on
    stamp=$(cat "$module/$1.wasm" "${@:3}" scripts/build-web.sh scripts/wasm-tools.sh Cargo.lock | cksum)
    [ -e "www/$2" ] && [ "$stamp" = "$(cat "target/$1-built.txt" 2>/dev/null)" ]
}

# The interface and what its worker does are one program that is divided afterwards: web/src/parts.rs says where. That
# needs the linker's relocations.
cargo rustc --quiet --locked -p web --lib --crate-type cdylib --target wasm32-unknown-unknown --profile web -- \
    --cfg split -C strip=none -C link-arg=--emit-relocs
if ! is_built web pkg/__wasm_split.js scripts/{pieces,join-pieces,trim-glue,pack-parts}.mjs; then
    pieces=target/web-pieces
    rm -rf "$pieces" www/pkg/*.* www/pkg/snippets
    wasm-split-cli --out-name web "$module/web.wasm" "$pieces"
    wasm-bindgen --keep-lld-exports --target web --no-typescript --out-dir www/pkg --out-name web "$pieces/web.wasm"
    node scripts/trim-glue.mjs "$pieces" www/pkg
    node scripts/join-pieces.mjs "$pieces"
    node scripts/pack-parts.mjs "$pieces" www/pkg
    echo "$stamp" >target/web-built.txt
fi

cargo build --quiet --locked -p composer --lib --target wasm32-unknown-unknown --profile web
if ! is_built composer pkg/composer/composer_bg.wasm web/composer/Cargo.toml; then
    # Always no-install: the normal mode calls rustup by itself.
    wasm-pack --quiet build web/composer --mode no-install --target web --no-typescript --no-pack \
        --out-dir "$PWD/www/pkg/composer" --out-name composer --profile web -- --locked
    echo "$stamp" >target/composer-built.txt
fi
node scripts/first-load.mjs write
scripts/guide.sh --optional
