"""A list of recordings, with or without labels."""

from pathlib import Path

from protocols.corpus import Corpus, Reader
from protocols.recordings import with_line_numbers, with_recordings
from protocols.trial import Trial
from protocols.trial_list import read_list


def read_trials(audio: Path, protocol: Path, allow_missing: bool = False) -> list[Trial]:
    """The trials of a list, `id label` or `id` on each line; the ids are paths below `audio`, with or without suffix.

    Raises DataError as `read_list` and `with_recordings` do.
    """
    return with_recordings(with_line_numbers(protocol, read_list(protocol)), audio, allow_missing)


CORPUS = Corpus(
    name="list",
    title="a list of recordings",
    reader=Reader(
        read_trials,
        "--protocol FILE, a line `path label` or `path` each",
        required=["protocol"],
        optional=["allow_missing"],
    ),
)
