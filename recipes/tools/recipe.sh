# shellcheck shell=bash disable=SC2034  # options are read by the scripts that source this
# Sourced by train.sh and score.sh: their options, their stages, and the steps that stages are made of.
#
# Everything is written below --dest:
#   data/       manifests
#   seed1234/   a run: training.yaml, train.log, train.jsonl, tensorboard/, checkpoints/, scores/
#   RESULTS.md  all results so far
# Finished work is not repeated. Mixing two experiments in one --dest is refused.
set -euo pipefail
shopt -s inherit_errexit
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
recipe=recipes/$(basename "$0")

# Options of train.sh, to which an experiment may add, and of score.sh.
TRAINING_OPTIONS="corpora dest config seed gpus nodes precision update-freq tracks score-options stage stop-stage"
SCORING_OPTIONS="checkpoint corpora audio protocol keys dest gpus stage stop-stage"
TRACKS=2019la,2021la,2021df,in-the-wild

corpora=${CORPORA:-} w2v_path=${W2V_PATH:-} checkpoint='' audio='' protocol='' keys='' dest=''
config=paper seed=1234 gpus=1 nodes=1 precision=fp32 update_freq=1 tracks=$TRACKS score_options=''
stage=1 stop_stage=99
overrides=()

fail() { echo "$recipe: $*" >&2; exit 1; }
usage() { echo "$recipe: $*: see --help" >&2; exit 2; }

# read_options "NAME..." ARGUMENT...: `--some-name VALUE` sets $some_name; what follows `--` becomes the array `overrides`.
read_options() {
    local known=" $1 " option
    shift
    while [ $# -gt 0 ]; do
        option=${1#--}
        case $1 in
            --help) print_help; exit ;;
            --) overrides=("${@:2}"); break ;;
            --*) [[ $known == *" $option "* ]] || usage "unknown option $1" ;;
            *) usage "unexpected argument '$1'" ;;
        esac
        [ $# -gt 1 ] || usage "$1 needs a value"
        printf -v "${option//-/_}" %s "$2"
        shift 2
    done
    local number
    for number in stage stop_stage gpus nodes update_freq; do
        [[ ${!number} =~ ^[1-9][0-9]*$ ]] || usage "--${number//_/-} '${!number}': must be a whole number >= 1"
    done
    [ -n "$dest" ] || usage "--dest is missing: name the folder to write to"
    [[ $known != *" config "* ]] || [ -f "$(config_file)" ] || usage "--config $config: no $(config_file)"
    mkdir -p "$dest"
    dest=$(cd "$dest" && pwd)
    enter_environment
}

config_file() { echo "$experiment_folder/config/$config.yaml"; }

# Commands come from the checkout's own environment; paths stay relative to the user's folder.
enter_environment() {
    pushd "$root" >/dev/null
    # shellcheck source=recipes/tools/environment.sh
    source recipes/tools/environment.sh >&2
    popd >/dev/null
}

# require_path OPTION WHAT PATH: the absolute path; one line that says what is missing if it does not exist.
require_path() {
    local option=$1 what=$2 path=$3
    [ -n "$path" ] || fail "$option is missing: name $what"
    [ -e "$path" ] || fail "$option $path: no such file or folder: name $what"
    echo "$(cd "$(dirname "$path")" && pwd)/$(basename "$path")"
}

# includes N: whether stage N is to run.
includes() { [ "$1" -ge "$stage" ] && [ "$1" -le "$stop_stage" ]; }

n_stages=0
# stage TITLE COMMAND...: the next stage, unless --stage or --stop-stage leaves it out.
stage() {
    n_stages=$((n_stages + 1))
    if includes "$n_stages"; then
        printf '\n[stage %d] %s\n' "$n_stages" "$1"
        "${@:2}"
    fi
}

# once PRODUCT COMMAND...: runs a command that makes a file, unless the same command has already made it.
once() {
    local product=$1 made_by
    shift
    made_by=$(printf '%q ' "$@")
    if [ -e "$product" ]; then
        [ "$(cat "$product.command" 2>/dev/null)" = "$made_by" ] ||
            fail "$product: was not made by \`$made_by\`: give the same options as before, or another --dest"
        echo "already done: $product"
        return
    fi
    mkdir -p "$(dirname "$product")"
    echo "$made_by" >"$product.command"
    "$@"
}

# found PLACE: the file or folder of that name, below --corpora.
found() {
    local folder place
    folder=$(require_path --corpora "the folder that holds the unpacked corpora (or set CORPORA)" "$corpora")
    place=$(find -L "$folder" -maxdepth 4 -name flac -prune -o -path "*/$1" -print -quit)
    [ -n "$place" ] || fail "$folder: no $1 below it: unpack the organisers' archive there, or name another --corpora"
    echo "$place"
}

# prepare DATA SPLIT CORPUS OPTION...: the manifest DATA/SPLIT.tsv.
prepare() {
    once "$1/$2.tsv" sls prepare "$3" --dest "$1" --split "$2" "${@:4}"
}

# prepare_2019la DATA: the training and development trials of ASVspoof 2019 LA, DATA/train.tsv and DATA/dev.tsv.
prepare_2019la() {
    local split list_name audio_folder list
    for split in train:trn dev:trl; do
        list_name=${split#*:} split=${split%:*}
        audio_folder=$(found "ASVspoof2019_LA_$split")
        list=$(found "ASVspoof2019.LA.cm.$split.$list_name.txt")
        prepare "$1" "$split" asvspoof2019 --audio "$audio_folder" --protocol "$list"
    done
}

# locate_track TRACK: sets track_corpus, track_audio, track_list and track_keys from the options, or else from --corpora.
# What a track needs, protocols/corpora knows: track_audio_name, and track_list_name or track_keys_name, which has the labels.
locate_track() {
    local needs
    needs=$(python -P -m protocols.corpora "$1") || usage "$needs"
    eval "$needs"
    if [ -n "$audio" ]; then
        track_audio=$(require_path --audio "the recordings of $1" "$audio")
        track_list=${protocol:+$(require_path --protocol "the list of trials of $1" "$protocol")}
        [ -z "$track_list_name" ] || [ -n "$track_list" ] || fail "--protocol is missing: name $track_list_name"
        [ -n "$track_list_name$keys" ] || [[ $track_keys_name == "$track_audio_name"/* ]] ||
            fail "--keys is missing: name the folder that holds $track_keys_name"
        track_keys=$(require_path --keys "the keys of $1" "${keys:-${track_list:-$track_audio}}")
    else
        track_audio=$(found "$track_audio_name")
        track_list=${track_list_name:+$(found "$track_list_name")}
        track_keys=${track_keys_name:+$(found "$track_keys_name")}
        track_keys=${track_keys:-$track_list}
    fi
}

# prepare_track TRACK: its manifest, data/TRACK/eval.tsv.
prepare_track() {
    local listed
    locate_track "$1"
    listed=(${track_list:+--protocol "$track_list"})
    [ -n "$track_list_name" ] || listed+=(--keys "$track_keys")
    prepare "$dest/data/$1" eval "$track_corpus" --audio "$track_audio" "${listed[@]}" --no-durations
}

# score_track TRACK CHECKPOINT RUN OPTION...: RUN/scores/TRACK.txt, by `sls score` with these options.
score_track() {
    local score=(sls)
    [ "$gpus" = 1 ] || score=(torchrun --standalone --nproc-per-node "$gpus" -m sls_plugin)
    mkdir -p "$3/scores"
    "${score[@]}" score "$2" "$dest/data/$1/eval.tsv" --output "$3/scores/$1.txt" --resume "${@:4}"
}

# evaluate_track TRACK RUN: the metrics of its scores, RUN/scores/TRACK.json.
evaluate_track() {
    locate_track "$1"
    sls evaluate "$1" "$2/scores/$1.txt" --keys "$track_keys" --bootstrap 1000 --json "$2/scores/$1.json" >"$2/scores/$1.figures.txt"
}

# write_results DEST TITLE: DEST/RESULTS.md and RESULTS.json with all results so far, beside what is published; prints the table.
write_results() {
    local published=()
    [ -z "${experiment_folder:-}" ] || published=(--published "$experiment_folder/published.yaml" --config "$config")
    python -m recipes.tools.results "$1" --title "$2" "${published[@]}"
}

# The steps of a training recipe. Lists such as --seed and --tracks have commas between their items.

items() { echo "${1//,/ }"; }

prepare_tracks() {
    local track
    for track in $(items "$tracks"); do prepare_track "$track"; done
}

# The manifests of a recipe that trains on ASVspoof 2019 LA, and of the tracks that it scores.
prepare_2019la_and_tracks() {
    prepare_2019la "$dest/data"
    prepare_tracks
}

# train_run RUN SEED [--path SETTING=FILE]... -- SETTING=VALUE...: one training run.
train_run() {
    python -m recipes.tools.training --config "$(config_file)" --run "$1" --seed "$2" --data "$dest/data" \
        --precision "$precision" --gpus "$gpus" --nodes "$nodes" --update-freq "$update_freq" "${@:3}"
}

# train_seeds: DEST/seedS for each seed.
train_seeds() {
    local one files=()
    ! needs_backbone || files=(--path "model.w2v_path=$w2v_path")
    for one in $(items "$seed"); do train_run "$dest/seed$one" "$one" "${files[@]}" -- "${overrides[@]}"; done
}

# average_seeds: DEST/seedS/average.pt, the mean of the epochs that were the best in validation, of each seed.
average_seeds() {
    local one
    for one in $(items "$seed"); do
        once "$dest/seed$one/average.pt" python -m recipes.tools.averaging "$dest/seed$one" "$dest/seed$one/average.pt"
    done
}

# score_run RUN CHECKPOINT: every track with a checkpoint, and the metrics of its scores.
score_run() {
    local track options
    read -ra options <<<"$score_options"
    for track in $(items "$tracks"); do
        score_track "$track" "$2" "$1" "${options[@]}"
        evaluate_track "$track" "$1"
    done
}

# score_seeds CHECKPOINT: every track with that checkpoint, named relative to the run's folder, of each seed.
score_seeds() {
    local one
    for one in $(items "$seed"); do score_run "$dest/seed$one" "$dest/seed$one/$1"; done
}
