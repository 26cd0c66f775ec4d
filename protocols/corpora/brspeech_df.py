"""BRSpeech-DF: Brazilian Portuguese, bona fide and cloned voices."""

from pathlib import Path

from protocols.corpus import Corpus, Reader
from protocols.errors import DataError
from protocols.recordings import with_line_numbers, with_recordings
from protocols.trial import Trial
from protocols.trial_list import read_labelled_list

from . import plain_folder


def read_trials(audio: Path, protocol: Path | None = None, allow_missing: bool = False) -> list[Trial]:
    """The trials of a list with a line `path label` each, or of the subfolders `bonafide` and `spoof` when there is none.

    Raises DataError as `read_labelled_list`, `with_recordings` and `plain_folder.read_trials` do, and on other subfolders.
    """
    if protocol:
        return with_recordings(with_line_numbers(protocol, read_labelled_list(protocol)), audio, allow_missing)
    trials = plain_folder.read_trials(audio)
    if not all(trial.label for trial in trials):
        raise DataError(f"{audio}: recordings outside the subfolders bonafide and spoof: give a list as --protocol")
    return trials


CORPUS = Corpus(
    name="brspeech-df",
    title="BRSpeech-DF",
    reader=Reader(
        read_trials,
        "--protocol FILE, a line `path label` each; or else subfolders bonafide and spoof",
        optional=["protocol", "allow_missing"],
    ),
)
