# shellcheck shell=bash
# XLS-R + MHFA: on a frozen backbone unless --config says otherwise.
config=frozen
