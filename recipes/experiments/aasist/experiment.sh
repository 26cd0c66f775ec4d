# shellcheck shell=bash
# AASIST and its relatives: the average of some epochs is scored.
#
#   --averaging HOW     published: the epochs that were the best on dev when they ended, none
#                       before one with an EER of at most 1 %, BatchNorm estimated again; or
#                       improving: from the first epoch on, BatchNorm averaged, results in
#                       DEST/improving (default: published)
config=aasist tracks=2019la averaging=published
options+=" averaging"

check_options() {
    case $averaging in
        published) averages=$dest average_options=(--at-most 0.01 --estimate-batch-norm) ;;
        improving) averages=$dest/improving average_options=() ;;
        *) usage "--averaging $averaging: choose published or improving" ;;
    esac
}

average_epochs() {
    local one
    for one in $(items "$seed"); do
        once "$averages/seed$one/average.pt" python -m recipes.tools.averaging "$dest/seed$one" "$averages/seed$one/average.pt" \
            --improving "${average_options[@]}"
    done
}

score_averages() {
    local one
    for one in $(items "$seed"); do score_run "$averages/seed$one" "$averages/seed$one/average.pt"; done
}

results() { write_results "$averages" "Raw waveforms, configuration $config, average $averaging"; }

stages() {
    stage "Manifests" prepare_2019la_and_tracks
    stage "Training" train_seeds
    stage "Average" average_epochs
    stage "Scores" score_averages
    stage "Results" results
}
