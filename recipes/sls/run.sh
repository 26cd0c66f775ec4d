#!/usr/bin/env bash
exec bash "$(dirname "$0")/../train.sh" sls "$@"
