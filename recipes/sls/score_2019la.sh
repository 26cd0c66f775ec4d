#!/usr/bin/env bash
# Scores ASVspoof 2019 LA with any detector.
exec bash "$(dirname "$0")/../score.sh" 2019la "$@"
