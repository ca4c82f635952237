#!/usr/bin/env bash
# The Python module: a wheel is built as `pip install ./profiler/python` builds it, but quickly, installed into .venv-python,
# and held against the command line.
#
#   scripts/test-python.sh [arguments of pytest]
#
# EXTRAS=1 (as STRICT=1 has it) also installs pandas, pyarrow, Jupyter's kernel and mypy: tables, the notebook in Jupyter and
# the types of the stubs are tested, too. PYTHON chooses the interpreter (3.10 or newer).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/report.sh
what="the Python module"
export PIP_DISABLE_PIP_VERSION_CHECK=1

python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1 ||
    { not_run "$what" "there is no Python 3.10 or newer (PYTHON=… chooses one)"; exit 0; }
venv=.venv-python
packages=(maturin==1.16.0 pytest==8.4.2)
extras=(pandas pyarrow nbclient ipykernel mypy)
[ "${EXTRAS:-${STRICT:-0}}" = 0 ] || packages+=("${extras[@]}")
stamp=$venv/installed-$(printf '%s\n' "${packages[@]}" | cksum | cut -d' ' -f1)
if [ ! -e "$stamp" ]; then
    say "installing ${packages[*]} into $venv"
    { [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"; } &&
        bounded 600 "$venv/bin/python" -m pip install --quiet "${packages[@]}" && touch "$stamp" ||
        { not_run "$what" "maturin and pytest could not be installed (message above)"; exit 0; }
fi

wheels=${CARGO_TARGET_DIR:-target}/wheels
rm -rf "$wheels"
# Beside the other crates' objects; unoptimised as the tests are.
"$venv/bin/maturin" build --quiet --locked --profile dev --compatibility linux --interpreter "$venv/bin/python" \
    --manifest-path profiler/python/Cargo.toml --out "$wheels"
"$venv/bin/python" -m pip install --quiet --no-index --no-deps --force-reinstall "$wheels"/*.whl
profiler=${PROFILER:-$(scripts/debug-profiler.sh)}
# pytest writes nothing into the project.
PROFILER=$profiler PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" -m pytest -q -rs profiler/python "$@"

if "$venv/bin/python" -c 'import mypy' 2>/dev/null; then
    "$venv/bin/python" -m mypy --config-file profiler/python/pyproject.toml --cache-dir "$wheels/mypy" profiler/python/vllm_simulator
else
    left_out "tables, Jupyter and types of the Python module" "pandas, pyarrow, Jupyter and mypy are large: EXTRAS=1 scripts/test-python.sh"
fi
