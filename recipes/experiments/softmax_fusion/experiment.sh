# shellcheck shell=bash
# SLS with softmax fusion: an update is four batches of 5 clips, so that it fits one GPU, and the learnt layer weights are written.
update_freq=4

# DEST/seedS/layers.tsv: the weight of each hidden state.
layer_weights() {
    local one run
    for one in $(items "$seed"); do
        run=$dest/seed$one
        once "$run/layers.tsv" sls explain "$run/checkpoints/checkpoint_best.pt" "$dest/data/dev.tsv" --output "$run/layers.tsv"
    done
}

stages() {
    stage "Manifests" prepare_2019la_and_tracks
    stage "Training" train_seeds
    stage "Scores" score_seeds checkpoints/checkpoint_best.pt
    stage "Layer weights" layer_weights
    stage "Results" write_results "$dest" "$title"
}
