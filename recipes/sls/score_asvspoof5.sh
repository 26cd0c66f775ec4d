#!/usr/bin/env bash
# Scores ASVspoof 5, track 1 with any detector.
exec bash "$(dirname "$0")/../score.sh" asvspoof5 "$@"
