#!/usr/bin/env bash
# Prepares the Python environment of this checkout; a second run only looks whether it still holds.
#
#   bash recipes/setup.sh                    a virtual environment in .venv
#   VENV=dir bash recipes/setup.sh           a virtual environment in dir
#   VENV=none bash recipes/setup.sh          the running Python, whose torch is kept
#   PYTHON=python3.12 bash recipes/setup.sh  the interpreter to start from (3.11, 3.12 or 3.13)
#   EXTRAS=onnx,report,test bash recipes/setup.sh  the optional parts (default)
#
# It takes 2.0 GiB of disk with the CPU build of torch, 5.7 GiB with the CUDA build, and about five minutes on two cores. It needs a
# C++ compiler and Python's headers; ffmpeg is wanted for recordings that soundfile does not read, such as M4A.
set -euo pipefail
case "${1:-}" in
    "") ;;
    -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;;
    *) echo "setup.sh: unexpected argument '$1': see --help" >&2; exit 2 ;;
esac
cd "$(dirname "$0")/.."
TORCH=2.13.0
FAIRSEQ=0.12.3.1
VENV=${VENV:-.venv}
EXTRAS=${EXTRAS:-onnx,report,test}

fail() { echo "setup.sh: $*" >&2; exit 1; }

supported() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; }

find_python() {
    local candidate
    local candidates=${PYTHON:-python3.11 python3.12 python3.13 python3 python}
    [ "$VENV" != none ] || candidates=${PYTHON:-python}  # the running one, which the recipes call
    for candidate in $candidates; do
        if supported "$candidate"; then echo "$candidate"; return; fi
    done
    fail "needs Python 3.11, 3.12 or 3.13: install one, or name it with PYTHON=..."
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
    # Its build imports torch; an isolated build would download another one. Not quiet, so that pip shows that it is at work.
    pip --verbose --no-build-isolation "fairseq-fixed==$FAIRSEQ"
}

# fairseq asks for torchaudio, which nothing here uses. Beside a newer torch it cannot be imported, and then the wav2vec 2.0 of
# transformers cannot either.
remove_broken_torchaudio() {
    "$python" -c 'import torchaudio' 2>/dev/null || "$python" -m pip uninstall --quiet --yes torchaudio
}

if [ "$VENV" = none ]; then
    python=$(find_python)
    stamp=$("$python" -c 'import sys; print(sys.prefix)')/.sls_plugin_setup
else
    if [ ! -x "$VENV/bin/pip" ]; then
        python=$(find_python)
        "$python" -m venv "$VENV"
    fi
    python=$(cd "$VENV" && pwd)/bin/python
    supported "$python" || fail "$VENV has another Python than 3.11, 3.12 or 3.13: remove it, or choose another folder with VENV=dir"
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
remove_broken_torchaudio
fingerprint >"$stamp"
echo "setup.sh: installed (VENV=$VENV)"
