#!/usr/bin/env bash
# Runs an experiment, from the organisers' downloads to the table of results.
#
#   bash recipes/train.sh sls --corpora CORPORA --w2v-path xlsr2_300m.pt --dest OUT
#   bash recipes/train.sh --help         the experiments
#   bash recipes/train.sh sls --help     the stages and options of one
#
# An experiment is a folder of recipes/experiments with a README.md and config/*.yaml. Its experiment.sh, if there is one,
# holds what is special: other defaults, added options, other definitions of check_options and stages.
set -euo pipefail
# shellcheck source=recipes/tools/recipe.sh
source "$(dirname "$0")/tools/recipe.sh"
# shellcheck source=recipes/tools/help.sh
source "$root/recipes/tools/help.sh"

# Most experiments train on ASVspoof 2019 LA and score every track with the best checkpoint.
stages() {
    stage "Manifests" prepare_2019la_and_tracks
    stage "Training" train_seeds
    stage "Scores" score_seeds checkpoints/checkpoint_best.pt
    stage "Results" write_results "$dest" "$title, configuration $config"
}

# Called once the options are read, so that a missing file is reported before the first stage.
check_options() { require_backbone; }

require_backbone() {
    if needs_backbone && includes 2; then
        w2v_path=$(require_path --w2v-path "the pre-trained XLS-R 300M (or set W2V_PATH)" "$w2v_path")
    fi
}

# Whether the configurations leave `w2v_path: ???` open.
needs_backbone() { grep -qF 'w2v_path: ???' "$experiment_folder"/config/*.yaml; }

experiment=${1:---help}
if [ "$experiment" = --help ]; then
    print_usage
    exit $(($# == 0 ? 2 : 0))
fi
experiment_folder=$root/recipes/experiments/$experiment
[ -f "$experiment_folder/README.md" ] || usage "no experiment '$experiment': choose from $(list_experiments)"
title=$(title_of "$experiment")
options=$TRAINING_OPTIONS example="--corpora CORPORA --dest OUT"
if needs_backbone; then
    options+=" w2v-path" example="--corpora CORPORA --w2v-path xlsr2_300m.pt --dest OUT"
fi
if [ -f "$experiment_folder/experiment.sh" ]; then
    # shellcheck disable=SC1091
    source "$experiment_folder/experiment.sh"
fi
read_options "$options" "${@:2}"
check_options
stages
