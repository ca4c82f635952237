#!/usr/bin/env bash
# A program from crates.io into .tools/bin; nothing to do if that version is there.
#
#   scripts/install-tool.sh cargo-deny 0.20.2 [further arguments of cargo install]
#
# Built without optimization: these programs run for seconds, and building them well would take minutes.
# Settings: TOOL_TIMEOUT   seconds an installation may take (900)
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/report.sh
name=$1
version=$2
shift 2

stamp=.tools/installed-$name-$version
[ ! -e "$stamp" ] || exit 0
mkdir -p .tools
if command -v flock >/dev/null 2>&1; then # Two at once: the second waits, and finds it there.
    exec 9>".tools/lock-$name"
    flock 9
    [ ! -e "$stamp" ] || exit 0
fi
say "cargo install $name $version, once (about a minute)"
unset RUSTUP_TOOLCHAIN # Programs of this machine, whatever toolchain the project is being built with.
export CARGO_TARGET_DIR="$PWD/.tools/target-$name" CARGO_PROFILE_DEV_DEBUG=0
install() { bounded "${TOOL_TIMEOUT:-900}" cargo install --quiet --debug --force --root .tools "$@" "$name@$version"; }
# The versions that its authors tested; if the registry does not serve one of them, the newest that fit.
install --locked "$@" || install "$@"
rm -rf "$CARGO_TARGET_DIR"
touch "$stamp"
