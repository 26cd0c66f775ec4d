#!/usr/bin/env bash
# Manifests and training only.
exec bash "$(dirname "$0")/../train.sh" sls --stop-stage 2 "$@"
