#!/usr/bin/env bash
# Scores ASVspoof 5, track 1, with a trained detector: recipes/score.sh with the same options.
exec bash "$(dirname "$0")/../score.sh" asvspoof5 "$@"
