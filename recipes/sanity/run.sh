#!/usr/bin/env bash
# Does training work here? 100 clips are learnt by heart: the loss falls, the layer weights move away from their start, and the
# error rate of the very same clips goes below 5 %. Says pass or fail for each; exit status 1 when one fails.
#
#   bash recipes/sanity/run.sh --corpora DIR --dest OUT [options] [-- SETTING=VALUE...]
#
#   --corpora DIR       folder with a corpus in the layout of ASVspoof 2019, such as LA, by default $CORPORA
#   --w2v-path FILE     the pre-trained XLS-R 300M, by default $W2V_PATH; without one, a small random network
#   --dest DIR          folder to write to; given again, the recipe goes on there
#   --gpus N, --nodes N, --update-freq K, --precision P, --seed S
#                       as in recipes/sls/run.sh
#   --stage N           begin there: 1 manifest, 2 start, 3 training, 4 checks
#   --stop-stage N      end there
#
# What follows -- overrides settings of the configuration: -- common.cpu=true
set -euo pipefail
# shellcheck source=recipes/recipe.sh
source "$(dirname "$0")/../recipe.sh"
read_options "corpora w2v-path dest seed gpus nodes precision update-freq stage stop-stage" "$@"
start=$dest/start run=$dest/seed$seed
if [ -n "$w2v_path" ]; then
    config=xlsr w2v_path=$(require_path --w2v-path "the pre-trained XLS-R 300M" "$w2v_path")
else
    config=tiny w2v_path=$dest/random.pt
fi

manifest() {
    local list folder
    list=$(found "*.cm.train.trn.txt")
    folder=$(find -L "$corpora" -maxdepth 4 -type d -name "*_train" -print -quit)
    folder=$(require_path --corpora "the corpus" "${folder:-$corpora}")
    prepare "$dest/data" train asvspoof2019 --audio "$folder" --protocol "$list" --limit 50
}

# One update that changes no weight: what it leaves is what training begins with.
make_start() {
    local overrides=("${overrides[@]}" optimization.max_update=1 'optimization.lr=[0]')
    [ "$config" = xlsr ] || once "$w2v_path" python -m fairseq_ckpt make-random --preset tiny "$w2v_path"
    train_run "$start" "$seed" "$dest/data" "model.w2v_path=$w2v_path"
}

training() {
    train_run "$run" "$seed" "$dest/data" "model.w2v_path=$w2v_path" \
        "checkpoint.finetune_from_model=$start/checkpoints/checkpoint_last.pt"
}

checks() {
    local checkpoint=$run/checkpoints/checkpoint_last.pt clips=$dest/data/train.tsv scores=$run/scores/train
    mkdir -p "$run/scores"
    sls score "$checkpoint" "$clips" --output "$scores.txt" --resume
    sls evaluate labels "$scores.txt" --keys "$clips" --bootstrap 1000 --json "$scores.json" >"$scores.figures.txt"
    sls explain "$start/checkpoints/checkpoint_last.pt" "$clips" --output "$start/layers.tsv" >/dev/null
    sls explain "$checkpoint" "$clips" --output "$run/layers.tsv" >/dev/null
    write_results "Sanity check: the training clips themselves" >/dev/null
    echo
    python "$root/recipes/sanity/checks.py" "$run" "$start"
}

stage "Manifest of 100 clips" manifest
stage "Weights to begin with" make_start
stage "Training, configuration $config" training
stage "Checks" checks
