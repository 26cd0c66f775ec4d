#!/usr/bin/env bash
# Downloads a corpus or a pre-trained model, checks it, unpacks it and writes its manifests.
#
#   bash recipes/data/download.sh --list                              what there is, its size and licence
#   bash recipes/data/download.sh asvspoof2019-la --dest CORPORA      the whole corpus
#   bash recipes/data/download.sh asvspoof5 train dev --dest CORPORA  parts of it
#
# Given again it resumes where it broke off, and does nothing when everything is there. It deletes nothing.
set -euo pipefail
case " $* " in
    *" -h "* | *" --help "*) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;;  # without installing anything
esac
here=$PWD
cd "$(dirname "$0")/../.."
root=$PWD
source recipes/tools/environment.sh
cd "$here"
exec python "$root/recipes/data/download.py" "$@"
