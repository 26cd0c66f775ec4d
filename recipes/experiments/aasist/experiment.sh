# shellcheck shell=bash
# AASIST and its relatives: the average of some epochs is scored.
config=aasist tracks=2019la

# For each seed the mean of those epochs that were the best on dev so far when they ended.
average_epochs() {
    local one run
    for one in $(items "$seed"); do
        run=$dest/seed$one
        once "$run/checkpoints/average.pt" \
            python -m recipes.tools.averaging "$run" "$run/checkpoints/average.pt" --improving
    done
}

stages() {
    stage "Manifests" prepare_2019la_and_tracks
    stage "Training" train_seeds
    stage "Average" average_epochs
    stage "Scores" score_seeds checkpoints/average.pt
    stage "Results" write_results "$dest" "Raw waveforms, configuration $config"
}
