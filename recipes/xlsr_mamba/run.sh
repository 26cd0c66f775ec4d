#!/usr/bin/env bash
# XLSR-Mamba, from the organisers' downloads to the table of results.
#
#   bash recipes/xlsr_mamba/run.sh --corpora CORPORA --w2v-path xlsr2_300m.pt --dest OUT [options] [-- SETTING=VALUE...]
#
#   --corpora DIR       folder that holds the unpacked corpora, by default $CORPORA
#   --w2v-path FILE     the pre-trained XLS-R 300M, by default $W2V_PATH
#   --dest DIR          folder to write to; given again, the recipe goes on there
#   --config NAME       la (default), for 2021 LA and In-the-Wild, or df: a file in config/
#   --averaging HOW     mean (default) of the five best epochs, or published: the authors' code loses the best and counts the second
#                       twice; its results are in DEST/published, beside those of the mean
#   --seed S[,S...]     1234 by default; several seeds make a run each, and their mean
#   --tracks T[,T...]   what to score: 2019la,2021la,2021df,in-the-wild by default; also asvspoof5
#   --gpus N, --nodes N, --update-freq K, --precision P, --score-options O
#                       as in recipes/sls/run.sh
#   --stage N           begin there: 1 manifests, 2 training, 3 average, 4 scores, 5 results
#   --stop-stage N      end there
#
# What follows -- overrides settings of the configuration, as fairseq-hydra-train takes them: -- dataset.num_workers=4
set -euo pipefail
# shellcheck source=recipes/recipe.sh
source "$(dirname "$0")/../recipe.sh"
config=la averaging=mean
read_options "$TRAINING_OPTIONS w2v-path averaging" "$@"
case $averaging in
    mean) scored=$dest how=() ;;
    published) scored=$dest/published how=(--as-published) ;;
    *) usage "--averaging $averaging: mean or published" ;;
esac

require_w2v_path

# DEST/seedS/average.pt, and the same for clips as long as the authors take them from In-the-Wild.
averages() {
    local one average
    for one in ${seed//,/ }; do
        average=$scored/seed$one/average
        once "$average.pt" python "$root/recipes/averaging.py" "$dest/seed$one" "$average.pt" --metric loss --best 5 "${how[@]}"
        once "${average}_64600.pt" python "$root/recipes/xlsr_mamba/clip_length.py" "$average.pt" 64600 "${average}_64600.pt"
    done
}

scores() {
    local one track length options
    read -ra options <<<"$score_options"
    for one in ${seed//,/ }; do
        for track in ${tracks//,/ }; do
            [ "$track" = in-the-wild ] && length=_64600 || length=''
            score_track "$track" "$scored/seed$one/average$length.pt" "$scored/seed$one" "${options[@]}"
            evaluate_track "$track" "$scored/seed$one"
        done
    done
}

results() {
    dest=$scored write_results "XLSR-Mamba, configuration $config, averaging: $averaging"
}

stage "Manifests" prepare_2019la_and_tracks
stage "Training, configuration $config" train_seeds "$dest/data" "model.w2v_path=$w2v_path"
stage "Average" averages
stage "Scores" scores
stage "Results" results
