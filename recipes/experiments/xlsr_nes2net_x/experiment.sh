# shellcheck shell=bash
# Nes2Net-X: the average of the five epochs of lowest dev EER is scored.
seed=12345

stages() {
    stage "Manifests" prepare_2019la_and_tracks
    stage "Training" train_seeds
    stage "Average" average_seeds
    stage "Scores" score_seeds average.pt
    stage "Results" write_results "$dest" "$title, configuration $config"
}
