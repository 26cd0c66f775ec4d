#!/usr/bin/env bash
# The published configuration with three seeds, and mean, deviation and best of their error rates.
exec bash "$(dirname "$0")/../train.sh" sls --config paper --seed 1234,1235,1236 "$@"
