# shellcheck shell=bash
# XLSR-Mamba: the average of the best epochs is scored; for In-the-Wild a copy of it that takes shorter clips.
#
#   --averaging HOW     mean of the best epochs, or published: as the authors' code does it, which
#                       counts the second best twice and drops the best (default: mean);
#                       the results of published go to DEST/published
config=la averaging=mean
options+=" averaging"

check_options() {
    case $averaging in
        mean) averages=$dest average_options=() ;;
        published) averages=$dest/published average_options=(--as-published) ;;
        *) usage "--averaging $averaging: choose mean or published" ;;
    esac
    require_backbone
}

# seedS/average.pt, and average_64600.pt for the clip length that the authors score In-the-Wild with.
average_epochs() {
    local one average
    for one in $(items "$seed"); do
        average=$averages/seed$one/average
        once "$average.pt" \
            python -m recipes.tools.averaging "$dest/seed$one" "$average.pt" "${average_options[@]}"
        once "${average}_64600.pt" \
            python -m recipes.experiments.xlsr_mamba.clip_length "$average.pt" 64600 "${average}_64600.pt"
    done
}

score_averages() {
    local one run track length options
    read -ra options <<<"$score_options"
    for one in $(items "$seed"); do
        run=$averages/seed$one
        for track in $(items "$tracks"); do
            [ "$track" = in-the-wild ] && length=_64600 || length=''
            score_track "$track" "$run/average$length.pt" "$run" "${options[@]}"
            evaluate_track "$track" "$run"
        done
    done
}

results() {
    write_results "$averages" "$title, configuration $config, averaging: $averaging"
}

stages() {
    stage "Manifests" prepare_2019la_and_tracks
    stage "Training" train_seeds
    stage "Average" average_epochs
    stage "Scores" score_averages
    stage "Results" results
}
