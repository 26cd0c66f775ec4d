#!/usr/bin/env bash
# Scores a track with any detector, from the organisers' folders to a row of the table.
#
#   bash recipes/score.sh 2021df --checkpoint MMpaper_model.pth --corpora CORPORA --dest OUT
set -euo pipefail
# shellcheck source=recipes/tools/recipe.sh
source "$(dirname "$0")/tools/recipe.sh"

print_help() {
    cat <<EOF
usage: bash recipes/score.sh TRACK --checkpoint CKPT --corpora CORPORA --dest OUT [-- OPTION...]
       bash recipes/score.sh TRACK --checkpoint CKPT --audio DIR [--protocol FILE] [--keys PATH]
                             --dest OUT [-- OPTION...]

Scores a track with any detector, from the organisers' folders to a row of the table.
TRACK is one of ${TRACKS//,/, }, asvspoof5.

Example
  bash recipes/score.sh 2021df --checkpoint MMpaper_model.pth --corpora CORPORA --dest OUT

Files
  --checkpoint CKPT   checkpoint of this project, or the authors' .pth
  --dest DIR          output folder; the same command resumes there
  --corpora DIR       folder of the unpacked corpora (default: \$CORPORA); or, instead of it,
  --audio DIR         the recordings, such as ASVspoof2021_DF_eval,
  --protocol FILE     the list of trials, such as ASVspoof2021.DF.cm.eval.trl.txt,
  --keys PATH         the keys, unless the protocol or In-the-Wild's meta.csv has the labels

Running
  --gpus N            processes of \`sls score\`, one per GPU (default: $gpus)
  --stage N           start with stage N: 1 manifest, 2 scores, 3 metrics
  --stop-stage N      stop after stage N

Options after -- go to \`sls score\`: -- --batch-size 64 --dtype bfloat16
EOF
}

score() {
    checkpoint=$(require_path --checkpoint "a detector, such as checkpoint_best.pt or MMpaper_model.pth" "$checkpoint")
    score_track "$track" "$checkpoint" "$dest" "${overrides[@]}"
}

evaluate() {
    evaluate_track "$track" "$dest"
    write_results "$dest" "Scores of one checkpoint"
}

[ $# -gt 0 ] || usage "name a TRACK: ${TRACKS//,/, } or asvspoof5"
track=$1
[ "$track" = --help ] || shift
read_options "$SCORING_OPTIONS" "$@"
stage "Manifest of $track" prepare_track "$track"
stage "Scores" score
stage "Metrics" evaluate
