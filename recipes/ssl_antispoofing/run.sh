#!/usr/bin/env bash
# XLS-R + AASIST (SSL_Anti-spoofing), from the organisers' downloads to the table of results.
#
#   bash recipes/ssl_antispoofing/run.sh --corpora CORPORA --w2v-path xlsr2_300m.pt --dest OUT [options] [-- SETTING=VALUE...]
#
#   --corpora DIR       folder that holds the unpacked corpora, by default $CORPORA
#   --w2v-path FILE     the pre-trained XLS-R 300M, by default $W2V_PATH
#   --dest DIR          folder to write to; given again, the recipe goes on there
#   --config NAME       la (default) or df: a file in config/, for the published result on that track of 2021
#   --seed S[,S...]     1234 by default; several seeds make a run each, and their mean
#   --tracks T[,T...]   what to score: 2019la,2021la,2021df,in-the-wild by default; also asvspoof5
#   --gpus N, --nodes N, --update-freq K, --precision P, --score-options O
#                       as in recipes/sls/run.sh
#   --stage N           begin there: 1 manifests, 2 training, 3 scores, 4 results
#   --stop-stage N      end there
#
# What follows -- overrides settings of the configuration, as fairseq-hydra-train takes them: -- dataset.num_workers=4
set -euo pipefail
# shellcheck source=recipes/recipe.sh
source "$(dirname "$0")/../recipe.sh"
config=la
read_options "$TRAINING_OPTIONS w2v-path" "$@"

require_w2v_path

stage "Manifests" prepare_2019la_and_tracks
stage "Training, configuration $config" train_seeds "$dest/data" "model.w2v_path=$w2v_path"
stage "Scores" score_seeds checkpoints/checkpoint_best.pt
stage "Results" write_results "XLS-R + AASIST, configuration $config"
