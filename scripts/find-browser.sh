# Sourced by the tests in a browser: finds Chromium and its driver, and Firefox, or says what is missing.
#
# Settings: CHROMIUM, CHROMEDRIVER   the programs, if they are not on the PATH; of the same version
#           FIREFOX                  the same
#           INSTALL_TOOLS=1          install Debian's packages if they are missing (needs root)
# shellcheck shell=bash

find_chromium() {
    local name
    for name in "${CHROMIUM:-}" chromium google-chrome chromium-browser "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; do
        if [ -n "$name" ] && command -v "$name" >/dev/null 2>&1; then
            CHROMIUM=$(command -v "$name")
            export CHROMIUM
            return 0
        fi
    done
    return 1
}
find_chromedriver() {
    local name
    for name in "${CHROMEDRIVER:-}" chromedriver "${CHROMEWEBDRIVER:-}/chromedriver"; do # the last: GitHub's runners
        if [ -n "$name" ] && command -v "$name" >/dev/null 2>&1; then
            CHROMEDRIVER=$(command -v "$name")
            export CHROMEDRIVER
            return 0
        fi
    done
    return 1
}
find_firefox() {
    local name
    for name in "${FIREFOX:-}" firefox-esr firefox /Applications/Firefox.app/Contents/MacOS/firefox; do
        if [ -n "$name" ] && command -v "$name" >/dev/null 2>&1; then
            FIREFOX=$(command -v "$name")
            export FIREFOX
            return 0
        fi
    done
    return 1
}
# Installs Debian's packages if that is asked for.
install_packages() { # $@: their names
    [ "${INSTALL_TOOLS:-0}" != 0 ] && command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ] || return 0
    say "apt-get install $*, once"
    { [ -n "$(apt-cache policy "$1" 2>/dev/null | sed -n 's/.*Candidate: [^(]/&/p')" ] || apt-get update -qq >&2; } &&
        DEBIAN_FRONTEND=noninteractive bounded "${TOOL_TIMEOUT:-900}" apt-get install -qq --no-install-recommends -y "$@" >/dev/null ||
        say "could not be installed: $*"
    hash -r
}
# Whether Chromium and its driver are there, installed if that is asked for. Answers 1 if the check has been listed as not run.
need_browser() { # $1: the check
    if find_chromium && find_chromedriver; then return 0; fi
    install_packages chromium chromium-driver
    if find_chromium && find_chromedriver; then return 0; fi
    not_run "$1" "Chromium or its driver is missing: apt-get install chromium chromium-driver (or set CHROMIUM and CHROMEDRIVER)"
    return 1
}
# The same of Firefox, which only some of the tests need.
need_firefox() { # $1: the check
    if find_firefox; then return 0; fi
    install_packages firefox-esr
    if find_firefox; then return 0; fi
    not_run "$1" "Firefox is missing: apt-get install firefox-esr (or set FIREFOX)"
    return 1
}
# Whether the page can be built here: Node.js, and a toolchain for Wasm.
need_wasm() { # $1: the check
    if ! command -v npm >/dev/null 2>&1 || ! command -v node >/dev/null 2>&1; then
        not_run "$1" "Node.js is missing: install version 20 or newer"
        return 1
    fi
    if ! RUSTUP_TOOLCHAIN=$(scripts/wasm-toolchain.sh); then
        not_run "$1" "no toolchain for wasm32-unknown-unknown (message above)"
        return 1
    fi
}
