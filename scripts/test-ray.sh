#!/usr/bin/env bash
# `profiler sweep` on a Ray cluster of several nodes on this machine, of which one is killed while it runs.
#
#   scripts/test-ray.sh            400 points, one node killed (about a minute)
#   scripts/test-ray.sh --long     10,000 runs and 2,500 refused points, a node killed every minute (some minutes)
#
# Ray is installed into .venv-ray if it is not there (about 200 MB). PYTHON chooses the interpreter (3.10 to 3.13). Not part
# of `make test`: a package of that size is not fetched without being asked for.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/report.sh
readonly RAY_VERSION=2.60.0
what="a sweep on a Ray cluster"

venv=.venv-ray
has_ray() { "$venv/bin/python" -c 'import ray, sys; sys.exit(ray.__version__ != "'$RAY_VERSION'")' >/dev/null 2>&1; }
if ! has_ray; then
    say "installing Ray $RAY_VERSION into $venv"
    if ! { "${PYTHON:-python3}" -m venv --clear "$venv" &&
        bounded "${INSTALL_RAY_TIMEOUT:-900}" "$venv/bin/python" -m pip --quiet --disable-pip-version-check install "ray==$RAY_VERSION"; }; then
        not_run "$what" "Ray could not be installed (message above)"
        exit 0
    fi
fi
profiler=${PROFILER:-$(scripts/debug-profiler.sh)}

say "manifests"
"$venv/bin/python" - profiler/cluster/*.yaml <<'PYTHON'
import sys
import yaml

for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        documents = list(yaml.safe_load_all(file))
    assert documents and all(document["apiVersion"] and document["kind"] for document in documents), path
PYTHON
bash -n profiler/cluster/slurm-array.sh

# What Ray writes of every node that dies is pages long.
export RAY_USAGE_STATS_ENABLED=0 RAY_BACKEND_LOG_LEVEL=fatal
test=("$venv/bin/python" profiler/cluster/test_ray_sweep.py "$profiler")
if [ "${1:-}" = --long ]; then
    say "10,000 runs and 2,500 refused points, a node killed every minute"
    "${test[@]}" --points 12500 --prompts "${PROMPTS:-400}" --kill-every 60
else
    say "400 points, one node killed"
    "${test[@]}"
fi
