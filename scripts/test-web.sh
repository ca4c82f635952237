#!/usr/bin/env bash
# The unit tests of `web` that need a browser, in headless Chromium. Arguments go on to the runner: a part of a name.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/report.sh
. scripts/find-browser.sh
what="unit tests in a browser"

need_wasm "$what" || exit 0
need_browser "$what" || exit 0
scripts/wasm-tools.sh
export RUSTUP_TOOLCHAIN PATH="$PWD/.tools/bin:$PATH"
export WASM_BINDGEN_TEST_TIMEOUT=${WASM_BINDGEN_TEST_TIMEOUT:-120}
# The page's code is compiled three times for this, and is not what takes long in the tests: fast is what it should be made.
export CARGO_PROFILE_DEV_DEBUG=false CARGO_PROFILE_DEV_OPT_LEVEL=0
# Flags of Chromium: web/webdriver.json.
# Not --quiet: it would go on to the runner, which does not know it.
wasm-pack test --headless --chrome --chromedriver "$CHROMEDRIVER" --mode no-install web --locked ${1:+-- "$@"}
