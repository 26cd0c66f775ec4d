"""The subcommands of `sls`, one thin module each.

A module has `HELP` (one line), `add_arguments(parser)` and `run(args) -> int` (the exit status). It imports what is
heavy inside `run`, so that `sls --help` and the other subcommands stay quick.
"""
