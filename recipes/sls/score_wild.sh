#!/usr/bin/env bash
# Scores In-the-Wild with any detector.
exec bash "$(dirname "$0")/../score.sh" in-the-wild "$@"
