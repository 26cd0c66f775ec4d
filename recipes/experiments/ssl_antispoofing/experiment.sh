# shellcheck shell=bash
config=la
