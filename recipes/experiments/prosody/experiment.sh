# shellcheck shell=bash
# Prosody without content: a detector for each lambda, trained on MLAAD and LibriSpeech, tested on ASVspoof 2019 LA.
#
#   --teacher-path FILE pre-trained wav2vec 2.0 base (default: $TEACHER_PATH)
#   --lambdas L[,L...]  weights of the adversarial loss; 0 is the baseline (default: 0,0.01,0.1,1)
lambdas=0,0.01,0.1,1 teacher_path=${TEACHER_PATH:-} tracks=2019la
options+=" teacher-path lambdas" example="--corpora CORPORA --teacher-path wav2vec_small.pt --dest OUT"

check_options() {
    [[ $lambdas =~ ^[0-9.]+(,[0-9.]+)*$ ]] || usage "--lambdas '$lambdas': must be numbers >= 0, separated by commas"
    if includes 2; then
        teacher_path=$(require_path --teacher-path "the pre-trained wav2vec 2.0 base (or set TEACHER_PATH)" "$teacher_path")
    fi
}

manifests() {
    local data=$dest/data folder split
    folder=$(found "MLAAD*/fake")
    prepare "$data" mlaad mlaad --audio "$folder" --no-durations
    once "$data/mlaad_dev.tsv" python -m recipes.experiments.prosody.split_mlaad "$data"
    for split in train:train-clean-100 dev:dev-clean; do
        folder=$(found "LibriSpeech/${split#*:}")
        prepare "$data" "librispeech_${split%:*}" librispeech --audio "$folder" --no-durations
    done
    prepare_tracks
}

train() {
    local lambda one
    for lambda in $(items "$lambdas"); do
        for one in $(items "$seed"); do
            train_run "$dest/lambda$lambda/seed$one" "$one" --path "criterion.teacher_path=$teacher_path" -- \
                "${overrides[@]}" "criterion.adversarial_lambda=$lambda"
        done
    done
}

score() {
    local lambda one run
    for lambda in $(items "$lambdas"); do
        for one in $(items "$seed"); do
            run=$dest/lambda$lambda/seed$one
            score_run "$run" "$run/checkpoints/checkpoint_best.pt"
        done
    done
}

results() {
    local lambda
    for lambda in $(items "$lambdas"); do
        write_results "$dest/lambda$lambda" "$title, lambda $lambda" >/dev/null
    done
    python -m recipes.experiments.prosody.table "$dest"
}

stages() {
    stage "Manifests" manifests
    stage "Training" train
    stage "Scores" score
    stage "Results" results
}
