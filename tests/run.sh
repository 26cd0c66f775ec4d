#!/usr/bin/env bash
# Lint, then every test. Arguments go to pytest: `bash tests/run.sh tests/protocols -x`.
set -euo pipefail
cd "$(dirname "$0")/.."
source recipes/tools/environment.sh
export OMP_NUM_THREADS=1  # small networks; threads that wait for each other only slow the tests down
ruff check .
python -m pytest "$@"
