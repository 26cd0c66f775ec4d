#!/usr/bin/env bash
# Scores a track with any detector, from the organisers' folders to the row of a table.
#
#   bash recipes/score.sh TRACK --checkpoint CKPT --corpora CORPORA --dest OUT [-- OPTION...]
#   bash recipes/score.sh TRACK --checkpoint CKPT --audio DIR [--protocol FILE] [--keys PATH] --dest OUT [-- OPTION...]
#
#   TRACK               2019la, 2021la, 2021df, in-the-wild or asvspoof5; sls/score_df.sh and its like name it themselves
#   --checkpoint CKPT   checkpoint of this project, or the authors' .pth
#   --corpora DIR       folder that holds the unpacked corpora, by default $CORPORA
#   --audio DIR         or else the recordings, such as ASVspoof2021_DF_eval, with
#   --protocol FILE     the list of trials, such as ASVspoof2021.DF.cm.eval.trl.txt, and
#   --keys PATH         the keys, such as keys; not needed where the protocol or In-the-Wild's meta.csv has the labels
#   --dest DIR          folder to write to; given again, the recipe goes on there
#   --gpus N            as many processes of `sls score`
#   --stage N           begin there: 1 manifest, 2 scores, 3 figures
#   --stop-stage N      end there
#
# What follows -- goes to `sls score`: -- --batch-size 64 --dtype bfloat16
set -euo pipefail
# shellcheck source=recipes/recipe.sh
source "$(dirname "$0")/recipe.sh"
track=${1:---help}
[ "$track" = --help ] || shift
read_options "$SCORING_OPTIONS" "$@"

score() {
    checkpoint=$(require_path --checkpoint "a detector, such as checkpoint_best.pt or MMpaper_model.pth" "$checkpoint")
    score_track "$track" "$checkpoint" "$dest" "${overrides[@]}"
}

figures() {
    evaluate_track "$track" "$dest"
    write_results "Scores of one checkpoint"
}

stage "Manifest of $track" prepare_track "$track"
stage "Scores" score
stage "Figures" figures
