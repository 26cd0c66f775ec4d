#!/usr/bin/env bash
# Prepares the Python environment of this checkout; a second run only looks whether it still holds.
#
#   bash recipes/setup.sh                    a virtual environment in .venv
#   VENV=dir bash recipes/setup.sh           a virtual environment in dir
#   VENV=none bash recipes/setup.sh          the running Python, whose torch is kept
#   PYTHON=python3.12 bash recipes/setup.sh  the interpreter to start from (3.11 or 3.12)
#   EXTRAS=onnx,report,test bash recipes/setup.sh  the optional parts (default)
set -euo pipefail
cd "$(dirname "$0")/.."
TORCH=2.13.0
FAIRSEQ=0.12.3.1
VENV=${VENV:-.venv}
EXTRAS=${EXTRAS:-onnx,report,test}

fail() { echo "setup.sh: $*" >&2; exit 1; }

supported() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null; }

find_python() {
    local candidate
    local candidates=${PYTHON:-python3.11 python3.12 python3 python}
    [ "$VENV" != none ] || candidates=${PYTHON:-python}  # the running one, which the recipes call
    for candidate in $candidates; do
        if supported "$candidate"; then echo "$candidate"; return; fi
    done
    fail "needs Python 3.11 or 3.12: install one, or name it with PYTHON=..."
}

# What was installed, so that a change of this file, of setup.py or of the extras installs again.
fingerprint() { { cat setup.py recipes/setup.sh; echo "$EXTRAS"; } | cksum; }

# The packages are importable and come from this checkout, not from another one that shares the environment.
holds() {
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(fingerprint)" ] &&
        [ "$(cd / && "$python" -c 'import sls_plugin, pathlib; print(pathlib.Path(sls_plugin.__file__).parents[1])' 2>/dev/null)" = "$PWD" ]
}

pip() { "$python" -m pip --disable-pip-version-check install --quiet "$@"; }

install_torch() {
    "$python" -c 'import torch' 2>/dev/null && return
    if command -v nvidia-smi >/dev/null || [ "$(uname -s)" != Linux ]; then
        pip "torch==$TORCH"
        return
    fi
    echo "setup.sh: no NVIDIA driver found: installing the CPU build of torch"
    pip "torch==$TORCH+cpu" 2>/dev/null || pip "torch==$TORCH+cpu" --index-url https://download.pytorch.org/whl/cpu ||
        { echo "setup.sh: no CPU build to be had: installing the default build, which is large"; pip "torch==$TORCH"; }
}

install_fairseq() {
    [ "$("$python" -c 'from importlib.metadata import version as v; print(v("fairseq-fixed"))' 2>/dev/null)" = "$FAIRSEQ" ] && return
    command -v "${CXX:-c++}" >/dev/null || fail "compiling fairseq needs a C++ compiler: install one (Debian: g++)"
    [ -f "$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ] ||
        fail "compiling fairseq needs Python's headers: install them (Debian: python3-dev)"
    echo "setup.sh: compiling fairseq (about 2.5 minutes on 2 cores)"
    # Its build imports torch; an isolated build would download another one.
    pip --no-build-isolation "fairseq-fixed==$FAIRSEQ"
}

if [ "$VENV" = none ]; then
    python=$(find_python)
    stamp=$("$python" -c 'import sys; print(sys.prefix)')/.sls_plugin_setup
else
    [ -x "$VENV/bin/pip" ] || { python=$(find_python) && "$python" -m venv "$VENV"; }
    python=$(cd "$VENV" && pwd)/bin/python
    supported "$python" || fail "$VENV has another Python than 3.11 or 3.12: remove it, or choose another folder with VENV=dir"
    stamp=$VENV/.sls_plugin_setup
fi

if holds; then
    echo "setup.sh: ready (VENV=$VENV)"
    exit
fi
install_torch
pip setuptools wheel cython numpy
install_fairseq
pip --no-build-isolation -e ".[$EXTRAS]"
fingerprint >"$stamp"
echo "setup.sh: installed (VENV=$VENV)"
