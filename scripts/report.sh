# Sourced by the other scripts: messages, and the list of checks that this machine could not run.
#
# A check that cannot run here (no node, no cargo-deny, …) is put on the list and `make test` prints the list last.
# With STRICT=1, as in .ci/run, such a check fails instead: there everything must run.
# shellcheck shell=bash

NOT_RUN=target/not-run.txt

say() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2; }
die() {
    say "error: $*"
    exit 1
}
not_run() { # $1: what, $2: why and what to do
    [ "${STRICT:-0}" = 0 ] || die "$1 cannot run: $2"
    mkdir -p target
    printf '  %s: %s\n' "$1" "$2" >>"$NOT_RUN"
    say "not run: $1: $2"
}
# What is left out even where everything must run, by decision and not for want of a tool.
left_out() {
    mkdir -p target
    printf '  %s: %s\n' "$1" "$2" >>"$NOT_RUN"
    say "not run: $1: $2"
}
# macOS has no `timeout`; there the command is simply not bounded.
bounded() { # $1: seconds, then the command
    if command -v timeout >/dev/null 2>&1; then timeout "$@"; else "${@:2}"; fi
}
