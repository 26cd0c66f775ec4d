#!/usr/bin/env bash
# Scores ASVspoof 2021 LA with any detector.
exec bash "$(dirname "$0")/../score.sh" 2021la "$@"
