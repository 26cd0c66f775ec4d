"""The subcommands of `sls`, one module each: parse, call, print.

A module has `HELP` (one line), `add_arguments(parser)` and `run(args) -> int` (the exit status). Slow imports are inside
`run`, so that `sls --help` and the other subcommands stay quick.
"""
