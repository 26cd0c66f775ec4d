"""In-the-Wild: recordings of public figures, bona fide and spoofed."""

from collections.abc import Iterator
from pathlib import Path

from .columns import read_columns, read_table
from .places import find_file
from .trial import Trial
from .trial_list import read_keyed_trials

KEY_PLACES = ("meta.csv", "in_the_wild_key.txt", "release_in_the_wild/meta.csv", "keys/in_the_wild_key.txt")


def read_key(path: Path) -> Iterator[Trial]:
    """The trials of the corpus's `meta.csv` (fact: speaker) or of the SLS authors' `in_the_wild_key.txt`, without recordings.

    The id is the recording's file name with its suffix. Raises DataError on the first line that is not a trial.
    """
    if path.suffix == ".csv":
        return read_table(path, {"file": "id", "speaker": "speaker", "label": "label"})
    return read_columns(path, ("-", "id", "-", "-", "-", "label"))


def read_trials(
    audio: Path, protocol: Path | None = None, keys: Path | None = None, allow_missing: bool = False
) -> list[Trial]:
    """The trials of the list `in_the_wild.eval.txt`, of a key (file or folder), or of both; by default of `meta.csv` in `audio`.

    With a list alone the labels are unknown. Raises DataError as `read_keyed_trials` and `find_file` do.
    """
    if keys:
        keys = find_file(keys, KEY_PLACES, "keys of In-the-Wild")
    elif not protocol:
        keys = find_file(audio, ("meta.csv",), "key of In-the-Wild")
    return read_keyed_trials(audio, protocol, keys, read_key, allow_missing)
