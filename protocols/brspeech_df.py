"""BRSpeech-DF: Brazilian Portuguese, bona fide and cloned voices."""

from pathlib import Path

from . import folder
from .errors import DataError
from .recordings import numbered, with_recordings
from .trial import Trial
from .trial_list import read_labelled_list


def read_trials(audio: Path, protocol: Path | None = None, allow_missing: bool = False) -> list[Trial]:
    """The trials of a list with a line `path label` each, or of the subfolders `bonafide` and `spoof` when there is none.

    Raises DataError as `read_labelled_list`, `with_recordings` and `folder.read_trials` do, and on other subfolders.
    """
    if protocol:
        return with_recordings(numbered(protocol, read_labelled_list(protocol)), audio, allow_missing)
    trials = folder.read_trials(audio)
    if not all(trial.label for trial in trials):
        raise DataError(f"{audio}: recordings outside the subfolders bonafide and spoof: give a list as --protocol")
    return trials
