#!/usr/bin/env bash
# Scores In-the-Wild with a trained detector: recipes/score.sh with the same options.
exec bash "$(dirname "$0")/../score.sh" in-the-wild "$@"
