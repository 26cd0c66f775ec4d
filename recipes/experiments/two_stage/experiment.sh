# shellcheck shell=bash
# Two-stage XLS-R: the head on a frozen backbone, in DEST/seedS/head; then, from its best epoch on,
# the head and the top 8 layers.

train_heads() {
    local one
    for one in $(items "$seed"); do
        train_run "$dest/seed$one/head" "$one" --config "$experiment_folder/config/head.yaml" --path "model.w2v_path=$w2v_path" \
            -- "${overrides[@]}"
    done
}

train_upper_layers() {
    local one
    for one in $(items "$seed"); do
        train_run "$dest/seed$one" "$one" --path "model.w2v_path=$w2v_path" \
            --path "checkpoint.finetune_from_model=$dest/seed$one/head/checkpoints/checkpoint_best.pt" -- "${overrides[@]}"
    done
}

stages() {
    stage "Manifests" prepare_2019la_and_tracks
    stage "Training of the head" train_heads
    stage "Training with upper layers" train_upper_layers
    stage "Scores" score_seeds checkpoints/checkpoint_best.pt
    stage "Results" write_results "$dest" "$title, configuration $config"
}
