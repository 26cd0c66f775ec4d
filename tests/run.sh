#!/usr/bin/env bash
# Lint, then every test, one process per core. Arguments go to pytest: `bash tests/run.sh tests/protocols -x`,
# `-n 0` for a single process.
set -euo pipefail
cd "$(dirname "$0")/.."
source recipes/tools/environment.sh
export OMP_NUM_THREADS=1  # small networks; threads that wait for each other only slow the tests down
ruff check .
case " $* " in
    *" -n"* | *" --numprocesses"* | *" no:xdist "*) ;;
    *) set -- -n auto --dist loadfile --no-loadscope-reorder "$@" ;;  # files whole: their fixtures are expensive
esac
python -m pytest "$@"
