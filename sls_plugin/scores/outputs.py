"""Checks on the files that a command will write."""

import os
from collections.abc import Iterable
from pathlib import Path

from protocols import DataError, SettingError, Trial


def refuse_inputs(output: Path | None, inputs: Iterable[Path]) -> None:
    """SettingError when a command would replace one of the files that it reads."""
    if output and output.resolve() in {path.resolve() for path in inputs}:
        raise SettingError(f"{output} is an input: name another file to write")


def refuse_recordings(output: Path | None, trials: Iterable[Trial]) -> None:
    """SettingError when a command would replace a recording of the trials that it reads, by whatever path."""
    if output and output.exists():
        place = output.stat()
        for trial in trials:
            if os.path.exists(trial.audio) and os.path.samestat(os.stat(trial.audio), place):
                raise SettingError(f"{output} is the recording of trial {trial.id}: name another file to write")


def require_free(output: Path, replace: bool) -> None:
    """DataError when there is an output that may not be replaced."""
    if not output.exists():
        return
    if not output.is_file():
        raise DataError(f"{output}: is a folder, device or pipe: name a file to write")
    if not replace:
        raise DataError(f"{output}: already exists: give --overwrite to replace it, or name another file")
