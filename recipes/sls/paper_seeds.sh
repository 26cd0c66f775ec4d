#!/usr/bin/env bash
# The published set-up with three seeds, and the mean of their error rates: run.sh with the same options.
exec bash "$(dirname "$0")/run.sh" --config paper --seed 1234,1235,1236 "$@"
