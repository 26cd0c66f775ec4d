#!/usr/bin/env bash
# SLS with one learnt weight for each hidden state, softmax-normalised; from the downloads to the table of results.
#
#   bash recipes/softmax_fusion/run.sh --corpora CORPORA --w2v-path xlsr2_300m.pt --dest OUT [options] [-- SETTING=VALUE...]
#
#   --corpora DIR       folder that holds the unpacked corpora, by default $CORPORA
#   --w2v-path FILE     the pre-trained XLS-R 300M, by default $W2V_PATH
#   --dest DIR          folder to write to; given again, the recipe goes on there
#   --seed S[,S...]     1234 by default; several seeds make a run each, and their mean
#   --tracks T[,T...]   what to score: 2019la,2021la,2021df,in-the-wild by default; also asvspoof5
#   --gpus N, --nodes N, --update-freq K, --precision P, --score-options O
#                       as in recipes/sls/run.sh; K is 4 by default, so that a GPU holds 5 of the 20 clips of an update
#   --stage N           begin there: 1 manifests, 2 training, 3 scores, 4 layer weights, 5 results
#   --stop-stage N      end there
#
# What follows -- overrides settings of the configuration, as fairseq-hydra-train takes them: -- dataset.num_workers=4
set -euo pipefail
# shellcheck source=recipes/recipe.sh
source "$(dirname "$0")/../recipe.sh"
update_freq=4
read_options "$TRAINING_OPTIONS w2v-path" "$@"

require_w2v_path

# The weight of each hidden state, DEST/seedS/layers.tsv: equal ones, 0.04, say that it has learnt nothing of them.
layer_weights() {
    local one
    for one in ${seed//,/ }; do
        once "$dest/seed$one/layers.tsv" sls explain "$dest/seed$one/checkpoints/checkpoint_best.pt" "$dest/data/dev.tsv" \
            --output "$dest/seed$one/layers.tsv"
    done
}

stage "Manifests" prepare_2019la_and_tracks
stage "Training, configuration $config" train_seeds "$dest/data" "model.w2v_path=$w2v_path"
stage "Scores" score_seeds checkpoints/checkpoint_best.pt
stage "Layer weights" layer_weights
stage "Results" write_results "SLS, softmax fusion of all hidden states"
