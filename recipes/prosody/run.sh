#!/usr/bin/env bash
# Prosody without content: a detector for each lambda, trained on MLAAD and LibriSpeech, tested on ASVspoof 2019 LA; one table of all.
#
#   bash recipes/prosody/run.sh --corpora CORPORA --teacher-path wav2vec_small.pt --dest OUT [options] [-- SETTING=VALUE...]
#
#   --corpora DIR       folder that holds the unpacked corpora, by default $CORPORA: MLAAD*/fake, LibriSpeech (train-clean-100 and
#                       dev-clean), LA/ of ASVspoof 2019
#   --teacher-path FILE the pre-trained wav2vec 2.0 base that hears the content, by default $TEACHER_PATH
#   --dest DIR          folder to write to; given again, the recipe goes on there
#   --lambdas L[,L...]  strengths of the adversary: 0,0.01,0.1,1 by default; 0 is the baseline
#   --seed S[,S...]     1234 by default; several seeds make a run each, and their mean
#   --tracks T[,T...]   what to score: 2019la by default; also 2021la, 2021df, in-the-wild, asvspoof5
#   --gpus N, --nodes N, --update-freq K, --precision P, --score-options O
#                       as in recipes/sls/run.sh
#   --stage N           begin there: 1 manifests, 2 training, 3 scores, 4 results
#   --stop-stage N      end there
#
# What follows -- overrides settings of the configuration, as fairseq-hydra-train takes them: -- dataset.num_workers=4
set -euo pipefail
# shellcheck source=recipes/recipe.sh
source "$(dirname "$0")/../recipe.sh"
tracks=2019la lambdas=0,0.01,0.1,1 teacher_path=${TEACHER_PATH:-}
read_options "$TRAINING_OPTIONS teacher-path lambdas" "$@"
[[ $lambdas =~ ^[0-9.]+(,[0-9.]+)*$ ]] || usage "--lambdas '$lambdas': give numbers from 0 on, with commas between them"

if includes 2; then
    teacher_path=$(require_path --teacher-path "the pre-trained wav2vec 2.0 base (or set TEACHER_PATH)" "$teacher_path")
fi

manifests() {
    local data=$dest/data folder split
    folder=$(found "MLAAD*/fake")
    prepare "$data" mlaad mlaad --audio "$folder" --no-durations
    once "$data/mlaad_dev.tsv" python "$root/recipes/prosody/split_mlaad.py" "$data"
    for split in train:train-clean-100 dev:dev-clean; do
        folder=$(found "LibriSpeech/${split#*:}")
        prepare "$data" "librispeech_${split%:*}" librispeech --audio "$folder" --no-durations
    done
    prepare_tracks
}

# for_each_run COMMAND...: the command with each lambda and seed in $strength and $one, and the folder of their run in $run.
for_each_run() {
    local strength one run
    for strength in ${lambdas//,/ }; do
        for one in ${seed//,/ }; do
            run=$dest/lambda$strength/seed$one
            "$@"
        done
    done
}

train() {
    local overrides=("${overrides[@]}" "criterion.adversarial_lambda=$strength")
    train_run "$run" "$one" "$dest/data" "criterion.teacher_path=$teacher_path"
}

scores() {
    local track options
    read -ra options <<<"$score_options"
    for track in ${tracks//,/ }; do
        score_track "$track" "$run/checkpoints/checkpoint_best.pt" "$run" "${options[@]}"
        evaluate_track "$track" "$run"
    done
}

results() {
    local strength
    for strength in ${lambdas//,/ }; do
        dest=$dest/lambda$strength write_results "Prosody without content, lambda $strength" >/dev/null
    done
    python "$root/recipes/prosody/table.py" "$dest"
}

stage "Manifests" manifests
stage "Training, lambda $lambdas" for_each_run train
stage "Scores" for_each_run scores
stage "Results" results
