#!/usr/bin/env bash
# Licences, sources and duplicates of the dependencies (deny.toml), with cargo-deny from PATH or .tools/bin.
# Settings: INSTALL_TOOLS=1   install cargo-deny if it is missing
#           ADVISORIES=1      also known vulnerabilities; fetches the RustSec database from GitHub
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/report.sh
export PATH="$PWD/.tools/bin:$PATH"

[ "${INSTALL_TOOLS:-0}" = 0 ] || scripts/install-tool.sh cargo-deny 0.20.2 || say "cargo-deny could not be installed"
if ! command -v cargo-deny >/dev/null 2>&1; then
    left_out "licences of the dependencies" "cargo-deny is missing: INSTALL_TOOLS=1 scripts/deny.sh"
    exit 0
fi
# cargo-deny reads the manifests of every platform's dependencies, also of those never built here.
cargo fetch --quiet --locked
cargo-deny --offline --workspace check bans licenses sources
if [ "${ADVISORIES:-0}" = 0 ]; then
    left_out "known vulnerabilities (cargo deny check advisories)" "the RustSec database is not fetched here; the CI on GitHub does, every day"
else
    cargo-deny --workspace check advisories
fi
