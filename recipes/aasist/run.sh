#!/usr/bin/env bash
# AASIST, AASIST-L, RawGAT-ST and RawNet2 on raw waveforms, from the organisers' downloads to the table of results.
#
#   bash recipes/aasist/run.sh --corpora CORPORA --dest OUT [options] [-- SETTING=VALUE...]
#
#   --corpora DIR       folder that holds the unpacked corpora, by default $CORPORA
#   --dest DIR          folder to write to; given again, the recipe goes on there
#   --config NAME       aasist (default), aasist_l, rawgat_st, rawnet2: a file in config/
#   --seed S[,S...]     1234 by default; several seeds make a run each, and their mean
#   --tracks T[,T...]   what to score: 2019la by default; also 2021la, 2021df, in-the-wild, asvspoof5
#   --gpus N, --nodes N, --update-freq K, --precision P, --score-options O
#                       as in recipes/sls/run.sh
#   --stage N           begin there: 1 manifests, 2 training, 3 average, 4 scores, 5 results
#   --stop-stage N      end there
#
# What follows -- overrides settings of the configuration, as fairseq-hydra-train takes them: -- dataset.num_workers=4
set -euo pipefail
# shellcheck source=recipes/recipe.sh
source "$(dirname "$0")/../recipe.sh"
config=aasist tracks=2019la
read_options "$TRAINING_OPTIONS" "$@"

# The mean of the epochs that were the best on dev until then.
averages() {
    local one run
    for one in ${seed//,/ }; do
        run=$dest/seed$one
        once "$run/checkpoints/average.pt" python "$root/recipes/averaging.py" "$run" "$run/checkpoints/average.pt" \
            --metric eer --improving
    done
}

stage "Manifests" prepare_2019la_and_tracks
stage "Training, configuration $config" train_seeds "$dest/data"
stage "Average" averages
stage "Scores" score_seeds checkpoints/average.pt
stage "Results" write_results "Raw waveforms, configuration $config"
