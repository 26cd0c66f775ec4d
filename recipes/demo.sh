#!/usr/bin/env bash
# From nothing to a trained detector, its scores, their EER and a report.
#
#   bash recipes/demo.sh              on a synthetic corpus that it makes itself
#   bash recipes/demo.sh --data DIR   on a corpus in the layout of ASVspoof 2019: protocols *.cm.{train.trn,dev.trl,eval.trl}.txt and
#                                     FLAC files in DIR/flac or in folders *_train, *_dev, *_eval, anywhere below DIR
#   OUT=dir bash recipes/demo.sh      writes to dir (default: outputs/demo), in place of an earlier demo there
#
# The backbone is small and random, so that this runs in minutes on two CPU cores. It shows that every step works; the error rates
# say nothing about XLS-R 300M.
set -euo pipefail

fail() { echo "demo.sh: $*" >&2; exit 1; }
usage() { echo "usage: bash recipes/demo.sh [--data DIR]" >&2; exit 2; }
corpus=
case " $* " in *" -h "* | *" --help "*) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
if [ $# -gt 0 ]; then
    [ $# = 2 ] && [ "$1" = --data ] || usage
    [ -d "$2" ] || fail "$2: no such folder: give a corpus in the layout of ASVspoof 2019"
    corpus=$(cd "$2" && pwd)
fi
root=$(cd "$(dirname "$0")/.." && pwd)
out=${OUT:-$root/outputs/demo}
case $out in /*) ;; *) out=$PWD/$out ;; esac
[ ! -e "$out" ] || [ -e "$out/.demo" ] || fail "$out: exists and is not an earlier demo: choose another OUT"
cd "$root"
source recipes/tools/environment.sh
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}  # the figures of a run that is repeated do not depend on the cores
started=$SECONDS
data=$out/data
rm -rf "$out"
mkdir -p "$out"
touch "$out/.demo"

step() { echo; echo "[$((SECONDS - started)) s] $*"; }

if [ -z "$corpus" ]; then
    step "Making a synthetic corpus: a source-filter voice as bona fide, four kinds of vocoder faults as spoof. No person speaks here."
    corpus=$out/corpus
    python recipes/demo/corpus.py "$corpus"
    note="The corpus is synthetic, made by the demo itself. These figures say nothing about real speech."
else
    note="The detector is a small network trained from random weights for minutes: a trial run, not a result."
fi

step "Writing manifests"
for split in train:train.trn dev:dev.trl eval:eval.trl; do
    name=${split%:*}
    protocol=$(find -L "$corpus" -name "*.cm.${split#*:}.txt")
    [ -f "$protocol" ] || fail "$corpus: needs exactly one protocol *.cm.${split#*:}.txt, found: ${protocol:-none}"
    audio=$(find -L "$corpus" -type d -name "*_$name" | head -n 1)
    sls prepare asvspoof2019 --audio "${audio:-$corpus}" --protocol "$protocol" --dest "$data" --split $name
done

step "Making a small random backbone in the layout of xlsr2_300m.pt"
python -m fairseq_ckpt make-random --preset tiny "$out/backbone.pt"

# Small corpora get as many updates as the synthetic one, within limits: the first few hundred hardly lower the loss.
epochs=$((8000 / $(wc -l <"$data/train.tsv")))
epochs=$((epochs < 5 ? 5 : epochs > 80 ? 80 : epochs))
step "Training for $epochs epochs (full log: $out/train.log)"
fairseq-train "$data" --user-dir sls_plugin --task asvspoof --arch sls_xlsr_300m --w2v-path "$out/backbone.pt" \
    --criterion weighted_cross_entropy --class-weights balanced \
    --optimizer l2_adam --lr 1e-3 --head-lr-scale 0.1 --clip-norm 5 --warmup-updates 100 \
    --batch-size 8 --max-epoch $epochs --max-samples 32000 --crop random --rawboost-algorithm 0 --seed 1234 \
    --valid-subset dev --best-checkpoint-metric eer --no-epoch-checkpoints --save-dir "$out/checkpoints" \
    --num-workers 1 --no-progress-bar --log-format simple --log-interval 1000 2>&1 |
    tee "$out/train.log" |
    python recipes/demo/progress.py || { tail -n 1 "$out/train.log" >&2; fail "training failed; the full log is $out/train.log"; }

step "Scoring the eval split"
sls score "$out/checkpoints/checkpoint_best.pt" "$data/eval.tsv" --output "$out/scores.txt"

step "Result"
sls evaluate labels "$out/scores.txt" --keys "$data/eval.tsv" --json "$out/result.json"
echo
python recipes/demo/result.py "$data" "$out/scores.txt"
sls report "$out/scores.txt" --keys "$data/eval.tsv" --output "$out/report.html" --title "Demo" --note "$note"
cat <<EOF

An EER of 5 % means: at the threshold where both errors are equal, 5 of 100 spoofed recordings pass as bona fide, and 5 of 100 bona fide
ones are rejected. Rounding decides the course of so short a training: on the synthetic corpus, runs on several processors ended between
4.2 and 11.7 %. Open the report in a browser.

$note
  checkpoint  $out/checkpoints/checkpoint_best.pt
  scores      $out/scores.txt
  figures     $out/result.json
  report      $out/report.html

[$((SECONDS - started)) s] Done. Score your own recordings:
  $([ "$VENV" = none ] || echo "source $VENV/bin/activate; ")sls score "$out/checkpoints/checkpoint_best.pt" FOLDER --output my_scores.txt
EOF
