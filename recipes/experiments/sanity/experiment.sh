# shellcheck shell=bash
# Does training work here? 100 clips are overfitted: the loss must fall, the layer weights must change, and the error rate of the
# same clips must fall below 5 %. Prints pass or FAIL for each; exit status 1 if one fails.
options="corpora w2v-path dest seed gpus nodes precision update-freq stage stop-stage"
example="--corpora LA --dest OUT"

check_options() {
    start=$dest/start run=$dest/seed$seed
    if [ -n "$w2v_path" ]; then
        config=xlsr w2v_path=$(require_path --w2v-path "the pre-trained XLS-R 300M" "$w2v_path")
    else
        config=tiny w2v_path=$dest/random.pt
    fi
}

manifest() {
    local list folder
    list=$(found "*.cm.train.trn.txt")
    folder=$(find -L "$corpora" -maxdepth 4 -type d -name "*_train" -print -quit)
    folder=$(require_path --corpora "the corpus" "${folder:-$corpora}")
    prepare "$dest/data" train asvspoof2019 --audio "$folder" --protocol "$list" --limit 50
}

# One update with a learning rate of 0: a checkpoint of the weights that training starts from.
start_weights() {
    [ "$config" = xlsr ] || once "$w2v_path" python -m fairseq_ckpt make-random --preset tiny "$w2v_path"
    train_run "$start" "$seed" --path "model.w2v_path=$w2v_path" -- \
        "${overrides[@]}" optimization.max_update=1 'optimization.lr=[0]'
}

train() {
    train_run "$run" "$seed" --path "model.w2v_path=$w2v_path" \
        --path "checkpoint.finetune_from_model=$start/checkpoints/checkpoint_last.pt" -- "${overrides[@]}"
}

checks() {
    local checkpoint=$run/checkpoints/checkpoint_last.pt clips=$dest/data/train.tsv scores=$run/scores/train
    mkdir -p "$run/scores"
    sls score "$checkpoint" "$clips" --output "$scores.txt" --resume
    sls evaluate labels "$scores.txt" --keys "$clips" --bootstrap 1000 --json "$scores.json" >"$scores.figures.txt"
    sls explain "$start/checkpoints/checkpoint_last.pt" "$clips" --output "$start/layers.tsv" >/dev/null
    sls explain "$checkpoint" "$clips" --output "$run/layers.tsv" >/dev/null
    write_results "$dest" "Sanity check: the training clips themselves" >/dev/null
    echo
    python -m recipes.experiments.sanity.checks "$run" "$start"
}

stages() {
    stage "Manifest of 100 clips" manifest
    stage "Weights to start from" start_weights
    stage "Training" train
    stage "Checks" checks
}
