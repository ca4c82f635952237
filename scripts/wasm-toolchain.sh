#!/usr/bin/env bash
# Find or make a Rust toolchain that can build for a target, and print its name.
#
#   export RUSTUP_TOOLCHAIN="$(scripts/wasm-toolchain.sh)"                        # wasm32-unknown-unknown
#   export RUSTUP_TOOLCHAIN="$(scripts/wasm-toolchain.sh x86_64-unknown-none)"    # a target without std
#   cargo build --target …                                                        # as usual, no further flags
#
# 1. The active toolchain has the target: nothing to do.
# 2. `rustup target add`, what every ordinary machine does.
# 3. No rustup download server: Debian's rustc (rustc-web, kept current for Firefox) and the library source of the very
#    same release are unpacked into a private folder, the libraries for both targets are built once, and the result is
#    linked as a rustup toolchain. Nothing is installed in /usr and no root is needed: those packages conflict with
#    Debian's own rustc, cargo and rustup, so installing them would remove them.
#
# Messages go to stderr; stdout carries the name alone.
# Settings: WASM_TOOLCHAIN_RUSTUP=0          skip 2: ask no rustup server
#           WASM_TOOLCHAIN_RUSTUP_TIMEOUT    seconds that 2 may take (60)
#           WASM_TOOLCHAIN_FORCE_FALLBACK=1  skip 1 and 2, to test 3
#           WASM_TOOLCHAIN_NAME, WASM_TOOLCHAIN_DIR   of 3 (debian-wasm, ~/.cache/rust-debian-wasm)
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/report.sh

WASM=wasm32-unknown-unknown
BARE=x86_64-unknown-none
TARGET=${1:-$WASM}
NAME=${WASM_TOOLCHAIN_NAME:-debian-wasm}
DIR=${WASM_TOOLCHAIN_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/rust-debian-wasm}
RUSTUP_TIMEOUT=${WASM_TOOLCHAIN_RUSTUP_TIMEOUT:-60}
FORMAT=2 # Raise when the folder's layout changes: an older folder is then rebuilt.

need() { command -v "$1" >/dev/null 2>&1 || die "$1 is missing"; }

case $TARGET in
    "$WASM") library=std ;;
    "$BARE") library=alloc ;;
    *) die "unknown target $TARGET; this script knows $WASM and $BARE" ;;
esac

# Does the active toolchain have the target's library?
has_target() {
    local libdir
    libdir=$(rustc --print target-libdir --target "$TARGET" 2>/dev/null) || return 1
    compgen -G "$libdir/lib$library-*.rlib" >/dev/null
}

active_name() {
    local name=${RUSTUP_TOOLCHAIN:-stable}
    if command -v rustup >/dev/null 2>&1; then name=$(rustup show active-toolchain 2>/dev/null | awk 'NR==1{print $1}'); fi
    echo "$name"
}

fallback_ready() {
    [ "$(sed -n 1p "$DIR/.complete" 2>/dev/null)" = "format $FORMAT" ] || return 1
    local linked=${RUSTUP_HOME:-$HOME/.rustup}/toolchains/$NAME
    [ "$(readlink -f "$linked" 2>/dev/null)" = "$(readlink -f "$DIR/toolchain")" ] || return 1
    RUSTUP_TOOLCHAIN=$NAME has_target
}

need rustc
if [ -z "${WASM_TOOLCHAIN_FORCE_FALLBACK:-}" ] && has_target; then
    active_name
    exit 0
fi
if fallback_ready; then
    echo "$NAME"
    exit 0
fi
command -v rustup >/dev/null 2>&1 ||
    die "$(rustc -V) lacks the target $TARGET and there is no rustup to add it; install it with your system's packages"
if [ -z "${WASM_TOOLCHAIN_FORCE_FALLBACK:-}" ] && [ "${WASM_TOOLCHAIN_RUSTUP:-1}" != 0 ]; then
    say "rustup target add $TARGET"
    if RUST_BACKTRACE=0 RUSTUP_MAX_RETRIES=1 bounded "$RUSTUP_TIMEOUT" rustup target add "$TARGET" >&2 && has_target; then
        active_name
        exit 0
    fi
    say "rustup could not add the target; trying Debian's rustc"
fi

# ---- 3. Debian's rustc ----------------------------------------------------------------------------------------------
by_hand="install the target $TARGET by hand"
[ "$(uname -s)" = Linux ] || die "the fallback needs Debian 12: $by_hand"
for program in apt-get apt-cache dpkg dpkg-deb cc flock; do need "$program"; done
[ "$(dpkg --print-architecture)" = amd64 ] || die "the fallback knows amd64 only: $by_hand"
host=x86_64-unknown-linux-gnu
mkdir -p "$DIR"
exec 9>"$DIR/.lock"
flock 9 # Two runs at once: the second waits, then finds it ready.
if fallback_ready; then
    echo "$NAME"
    exit 0
fi
work=$(mktemp -d "$DIR/build.XXXXXX")
trap 'rm -rf "$work"' EXIT

# Package lists of our own: the machine's may be old, and updating them would need root.
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/debs" "$work/files"
apt=(-o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
say "reading Debian's package lists"
apt-get "${apt[@]}" -qq update >&2 || die "apt-get update failed: $by_hand"
ver=$(apt-cache "${apt[@]}" policy rustc-web | awk '/Candidate:/{print $2}')
[ -n "$ver" ] && [ "$ver" != "(none)" ] || die "this distribution has no package rustc-web (Debian 12 has): $by_hand"
oldest=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
dpkg --compare-versions "$ver" ge "$oldest" || die "rustc-web is $ver here, the project needs $oldest: $by_hand"
depends_on() { # The dependency of package $1 whose name matches $2
    apt-cache "${apt[@]}" show "$1=$ver" | sed -n 's/^Depends: //p' | head -n 1 | tr ',' '\n' | sed 's/^ *//; s/ .*//' | grep -E "$2" | head -n 1
}
libstd=$(depends_on libstd-rust-web-dev '^libstd-rust-web-[0-9]')
libllvm=$(depends_on "$libstd" '^libllvm[0-9]')
lld=lld-${libllvm#libllvm}
# Libraries that this machine lacks for LLVM, as apt sees it. A simulation: nothing is installed.
extra=$(apt-get "${apt[@]}" -s -qq --no-install-recommends install "$libllvm" 2>/dev/null | awk '/^Inst/{print $2}' || true)
say "downloading rustc-web $ver, $libllvm, $lld (about 140 MB)"
(
    cd "$work/debs"
    # shellcheck disable=SC2086 # a list of package names
    apt-get "${apt[@]}" -qq download "rustc-web=$ver" "libstd-rust-web-dev=$ver" "$libstd=$ver" "rust-web-src=$ver" \
        "rust-web-clippy=$ver" "$libllvm" "$lld" $extra >&2
)
for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/files"; done

# bin/ holds wrappers, libexec/ the programs, lib/ their libraries, the host's std and rust-lld.
say "laying out the toolchain"
new="$work/toolchain"
usr="$work/files/usr"
mkdir -p "$new/bin" "$new/libexec" "$new/lib/rustlib/$host/bin"
cp -a "$usr/bin/rustc" "$usr/bin/rustdoc" "$usr/bin/clippy-driver" "$usr/bin/cargo-clippy" "$new/libexec/"
find "$usr/lib" -maxdepth 2 \( -name '*.so' -o -name '*.so.*' \) -exec cp -a {} "$new/lib/" \;
cp -a "$usr/lib/rustlib/$host/lib" "$new/lib/rustlib/$host/"
libllvm_file=$(find "$usr/lib" -path '*lib/libLLVM*' -name '*.so*' -type f | head -n 1)
[ -z "$libllvm_file" ] || cp -an "$libllvm_file" "$new/lib/"
# The linker of both targets is called "rust-lld": with it in place no setting is needed.
cp -L "$usr/lib/llvm-${libllvm#libllvm}/bin/lld" "$new/libexec/rust-lld"
wrap() { # Debian's programs do not know where their libraries are: a wrapper at $1 tells program $2.
    # shellcheck disable=SC2016 # expanded when the wrapper runs
    printf '#!/bin/sh\nLD_LIBRARY_PATH="%s/toolchain/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"\nexport LD_LIBRARY_PATH\nexec "%s/toolchain/libexec/%s" "$@"\n' \
        "$DIR" "$DIR" "$2" >"$1"
    chmod 755 "$1"
}
for program in rustc rustdoc clippy-driver cargo-clippy; do wrap "$new/bin/$program" "$program"; done
wrap "$new/lib/rustlib/$host/bin/rust-lld" rust-lld
# cargo stays rustup's own; without this link rustup would take any other toolchain's.
ln -s "$(env -u RUSTUP_TOOLCHAIN rustup which cargo)" "$new/bin/cargo"
rm -rf "$DIR/toolchain" "$DIR/.complete"
mv "$new" "$DIR/toolchain"
new="$DIR/toolchain"
rustup toolchain link "$NAME" "$new" >&2

# The libraries, built as Rust's own builds do: embedded bitcode, or fat LTO fails; a metadata string, or std is named
# libstd.rlib without a hash.
build_library() { # $1: crate of the library workspace, $2: target, $3: features
    say "building $1 for $2"
    local source
    source=$(readlink -f "$usr/src"/rustc-*/library)
    (
        cd "$source/$1"
        RUSTUP_TOOLCHAIN=$NAME RUSTC_BOOTSTRAP=1 RUSTC="$new/bin/rustc" CARGO_INCREMENTAL=0 \
            RUSTFLAGS="-Zforce-unstable-if-unmarked -Cembed-bitcode=yes" CARGO_PROFILE_RELEASE_DEBUG=0 \
            CARGO_TARGET_DIR="$work/std" __CARGO_DEFAULT_LIB_METADATA="$NAME" \
            "$new/bin/cargo" build --quiet --locked --release --target "$2" --features "$3" >&2
    )
    mkdir -p "$new/lib/rustlib/$2/lib"
    cp "$work/std/$2/release/deps/"*.rlib "$new/lib/rustlib/$2/lib/"
}
build_library sysroot "$WASM" "panic-unwind backtrace"
build_library alloc "$BARE" "compiler-builtins-mem"
printf 'format %s\nrustc-web %s\n' "$FORMAT" "$ver" >"$DIR/.complete"
fallback_ready || die "the toolchain was built but does not answer"
say "done: toolchain '$NAME' ($(RUSTUP_TOOLCHAIN=$NAME rustc -V)), $(du -sh "$new" | cut -f1)"
echo "$NAME"
