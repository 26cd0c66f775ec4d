#!/usr/bin/env bash
# XLS-R + SLS, from the organisers' downloads to the table of results.
#
#   bash recipes/sls/run.sh --corpora CORPORA --w2v-path xlsr2_300m.pt --dest OUT [options] [-- SETTING=VALUE...]
#
#   --corpora DIR       folder that holds the unpacked corpora, by default $CORPORA: LA/ of ASVspoof 2019, ASVspoof2021_LA_eval,
#                       ASVspoof2021_DF_eval, keys/LA, keys/DF, release_in_the_wild
#   --w2v-path FILE     the pre-trained XLS-R 300M, by default $W2V_PATH
#   --dest DIR          folder to write to; given again, the recipe goes on there
#   --config NAME       paper (default), v1, v2, v2_clean_validation: a file in config/
#   --seed S[,S...]     1234 by default; several seeds make a run each, and their mean
#   --tracks T[,T...]   what to score: 2019la,2021la,2021df,in-the-wild by default; also asvspoof5
#   --gpus N            GPUs on each node; the batch of an update stays that of the configuration
#   --nodes N           nodes, under Slurm
#   --update-freq K     batches per update, in place of K times as many GPUs
#   --precision P       fp32 (default, as published), bf16 or fp16
#   --score-options O   of `sls score`, such as "--batch-size 64 --num-workers 8"
#   --stage N           begin there: 1 manifests, 2 training, 3 scores, 4 results
#   --stop-stage N      end there
#
# What follows -- overrides settings of the configuration, as fairseq-hydra-train takes them: -- dataset.num_workers=4
set -euo pipefail
# shellcheck source=recipes/recipe.sh
source "$(dirname "$0")/../recipe.sh"
read_options "$TRAINING_OPTIONS w2v-path" "$@"

require_w2v_path

stage "Manifests" prepare_2019la_and_tracks
stage "Training, configuration $config" train_seeds "$dest/data" "model.w2v_path=$w2v_path"
stage "Scores" score_seeds checkpoints/checkpoint_best.pt
stage "Results" write_results "XLS-R + SLS, configuration $config"
