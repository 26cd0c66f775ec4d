#!/usr/bin/env bash
# Scores ASVspoof 2021 LA with a trained detector: recipes/score.sh with the same options.
exec bash "$(dirname "$0")/../score.sh" 2021la "$@"
