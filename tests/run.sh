#!/usr/bin/env bash
# Lint, then every test. Arguments go to pytest: `bash tests/run.sh tests/protocols -x`.
set -euo pipefail
cd "$(dirname "$0")/.."
source recipes/environment.sh
ruff check .
python -m pytest "$@"
