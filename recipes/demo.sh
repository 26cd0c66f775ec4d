#!/usr/bin/env bash
# From nothing to a trained detector, its scores, their EER and a report.
#
#   bash recipes/demo.sh              on a synthetic corpus that it makes itself
#   bash recipes/demo.sh --data DIR   on a corpus in the layout of ASVspoof 2019: protocols *.cm.{train.trn,dev.trl,eval.trl}.txt and
#                                     FLAC files in DIR/flac or in folders *_train, *_dev, *_eval, anywhere below DIR
#   OUT=dir bash recipes/demo.sh      writes to dir, which it empties first (default: outputs/demo)
#
# The backbone is small and random, so that this runs on two CPU cores in minutes. What it shows is that every step works;
# the error rates say nothing about XLS-R 300M.
set -euo pipefail

usage() { echo "usage: bash recipes/demo.sh [--data DIR]" >&2; exit 2; }
corpus=
if [ $# -gt 0 ]; then
    [ $# = 2 ] && [ "$1" = --data ] || usage
    [ -d "$2" ] || { echo "demo.sh: $2: no such folder: give a corpus in the layout of ASVspoof 2019" >&2; exit 1; }
    corpus=$(cd "$2" && pwd)
fi
cd "$(dirname "$0")/.."
source recipes/environment.sh
started=$SECONDS
out=${OUT:-outputs/demo}
data=$out/data
rm -rf "$out"
mkdir -p "$out"

step() { echo; echo "[$((SECONDS - started)) s] $*"; }

if [ -z "$corpus" ]; then
    step "Making a synthetic corpus: a source-filter voice as bona fide, four kinds of vocoder faults as spoof. No person speaks here."
    corpus=$out/corpus
    python recipes/demo_corpus.py $corpus
    note="The corpus is synthetic, made by the demo itself. These figures say nothing about real speech."
else
    note="The detector is a small network with random beginnings, trained for minutes: a trial run, not a result."
fi

step "Writing manifests"
for split in train:train.trn dev:dev.trl eval:eval.trl; do
    name=${split%:*}
    protocols=$(find -L "$corpus" -name "*.cm.${split#*:}.txt")
    [ "$(grep -c . <<<"$protocols")" = 1 ] ||
        { echo "demo.sh: $corpus: needs exactly one protocol *.cm.${split#*:}.txt, found: ${protocols:-none}" >&2; exit 1; }
    audio=$(find -L "$corpus" -type d -name "*_$name" -print -quit)
    sls prepare asvspoof2019 --audio "${audio:-$corpus}" --protocol "$protocols" --dest $data --split $name
done

step "Making a small random backbone in the layout of xlsr2_300m.pt"
python -W ignore -m fairseq_ckpt make-random --preset tiny $out/backbone.pt

step "Training (the whole log: $out/train.log)"
fairseq-train $data --user-dir sls_plugin --task asvspoof --arch sls_xlsr_300m --w2v-path $out/backbone.pt \
    --criterion weighted_cross_entropy --class-weights balanced --optimizer l2_adam --lr 3e-4 --lr-scheduler fixed \
    --warmup-updates 50 --max-epoch 16 --batch-size 12 --crop random --rawboost-algorithm 0 --seed 1234 \
    --valid-subset dev --best-checkpoint-metric eer --no-epoch-checkpoints --save-dir $out/checkpoints \
    --num-workers 2 --no-progress-bar --log-format simple --log-interval 1000 >$out/train.log 2>&1 &
training=$!
tail --pid=$training -n +1 -F $out/train.log 2>/dev/null |
    sed -un 's/.*INFO | train | \(epoch [0-9]*\) | \(loss [0-9.]*\).*/  \1: training \2/p; s/.*INFO | dev | \(epoch [0-9]*\).* \(loss [0-9.]*\) .*\(eer [0-9.]*\) .*/  \1: dev \2, \3/p'
wait $training || { tail -n 3 $out/train.log >&2; echo "demo.sh: training failed; the whole log is $out/train.log" >&2; exit 1; }

step "Scoring the eval split"
sls score $out/checkpoints/checkpoint_best.pt $data/eval.tsv --output $out/scores.txt

step "Result"
sls evaluate labels $out/scores.txt --keys $data/eval.tsv --json $out/result.json
python recipes/demo_result.py $data $out/scores.txt
sls report $out/scores.txt --keys $data/eval.tsv --output $out/report.html --title "Demo" --note "$note"
echo
echo "$note"
cat <<EOF
  checkpoint  $out/checkpoints/checkpoint_best.pt
  scores      $out/scores.txt
  figures     $out/result.json
  report      $out/report.html
Score your own recordings:  source .venv/bin/activate; sls score $out/checkpoints/checkpoint_best.pt FOLDER --output my_scores.txt
EOF
