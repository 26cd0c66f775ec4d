# shellcheck shell=bash
# Sourced by train.sh: what --help prints.

list_experiments() {
    local names=("$root"/recipes/experiments/*/README.md)
    names=("${names[@]%/README.md}")
    names=("${names[@]##*/}")
    (IFS=,; echo "${names[*]}") | sed 's/,/, /g'
}

# title_of EXPERIMENT: the heading of its README.md.
title_of() { sed -n '1s/^# //p' "$root/recipes/experiments/$1/README.md"; }

# Without an experiment.
print_usage() {
    local name
    cat <<EOF
usage: bash recipes/train.sh EXPERIMENT --corpora CORPORA --dest OUT [OPTION...] [-- SETTING...]

Runs an experiment, from the organisers' downloads to the table of results.

Example
  bash recipes/train.sh sls --corpora CORPORA --w2v-path xlsr2_300m.pt --dest OUT

Experiments (bash recipes/train.sh EXPERIMENT --help: the stages, defaults and own options of one)
EOF
    for name in $(list_experiments | tr -d ,); do printf '  %-18s  %s\n' "$name" "$(title_of "$name")"; done
    print_options "$TRAINING_OPTIONS w2v-path" "a file in the experiment's config/" ""
}

# Of $experiment.
print_help() {
    local configs
    configs=$(cd "$experiment_folder/config" && echo *.yaml | sed 's/.yaml//g; s/ /, /g')
    cat <<EOF
$title (recipes/experiments/$experiment/README.md)

Example
  bash recipes/train.sh $experiment $example
EOF
    if grep -qs '^#   --' "$experiment_folder/experiment.sh"; then
        printf '\nOptions of this experiment\n'
        sed -n 's/^# \(  .*\)/\1/p' "$experiment_folder/experiment.sh"
    fi
    print_options "$options" "$configs (default: $config)" ": $(stage_titles)"
}

stage_titles() {
    local n=0 titles=''
    stage() { n=$((n + 1)) titles+=", $n $1"; }
    stages
    echo "${titles#, }"
}

# print_options "NAME..." CONFIGS STAGES: the options with these names.
print_options() {
    local line name visible=yes
    while IFS= read -r line; do
        case $line in
            "  --"*)
                name=${line#  --}
                case " $1 " in *" ${name%% *} "*) visible=yes ;; *) visible=no ;; esac
                ;;
            "   "*) ;; # continues the option above
            *) visible=yes ;;
        esac
        [ $visible = no ] || echo "$line"
    done <<EOF

Files
  --corpora DIR       folder of the unpacked corpora (default: \$CORPORA)
  --w2v-path FILE     pre-trained XLS-R 300M (default: \$W2V_PATH)
  --dest DIR          output folder; the same command resumes there

Experiment
  --config NAME       $2
  --seed S[,S...]     a run per seed, and their mean (default: $seed)
  --tracks T[,T...]   tracks to score, also asvspoof5
                      (default: $tracks)
  --score-options O   options of \`sls score\`, such as "--batch-size 64 --num-workers 8"

Hardware
  --precision P       fp32 as published, bf16 or fp16 (default: $precision)
  --gpus N            GPUs per node; the batch of an update stays the same (default: $gpus)
  --nodes N           nodes, under Slurm (default: $nodes)
  --update-freq K     batches per update, in place of K times as many GPUs (default: $update_freq)

Stages$3
  --stage N           start with stage N
  --stop-stage N      stop after stage N

Settings after -- override the YAML file, as in fairseq-hydra-train: -- dataset.num_workers=4
EOF
}
