#!/usr/bin/env bash
# Trains XLS-R + SLS and stops there: the first two stages of run.sh, with the same options.
exec bash "$(dirname "$0")/run.sh" --stop-stage 2 "$@"
