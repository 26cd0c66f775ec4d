"""Lists of trials: an id on each line, its label beside it or in a key."""

from collections.abc import Callable, Iterator
from pathlib import Path

from .columns import read_columns
from .errors import DataError
from .files import read_lines
from .recordings import check_unique, list_names, with_line_numbers, with_recordings
from .trial import LABEL_SPELLINGS, Trial

_LABEL_FIELD = f"the last field of a line is {' or '.join(LABEL_SPELLINGS)}"


def read_list(path: Path) -> Iterator[Trial]:
    """The trials of a list, without recordings; a line is `id label`, or `id` when the label is unknown.

    The label is the last field and the id everything before it. Raises DataError on a blank line, and on an id with blanks
    that has no label, because its last word may be a misspelt one.
    """
    for number, line in enumerate(read_lines(path), start=1):
        name, label = _id_and_label(line)
        if not label and len(name.split()) != 1:
            raise DataError(f"{path}:{number}: {line[:60]!r} is neither `id label` nor `id` without blanks: {_LABEL_FIELD}")
        yield Trial(name, "", label)


def read_labelled_list(path: Path) -> Iterator[Trial]:
    """The trials of a list with a label on every line, without recordings; DataError on the first line that is not `id label`."""
    for number, line in enumerate(read_lines(path), start=1):
        name, label = _id_and_label(line)
        if not label:
            raise DataError(f"{path}:{number}: {line[:60]!r} is not `id label`: {_LABEL_FIELD}")
        yield Trial(name, "", label)


def read_keyed_trials(
    audio: Path,
    protocol: Path | None,
    key: Path | None,
    read_key: Callable[[Path], Iterator[Trial]],
    allow_missing: bool = False,
) -> list[Trial]:
    """The trials of a list of ids (labels unknown), of a key, or of a list with the labels and facts of a key.

    Raises DataError on the first line that is not a trial, on trials of the list that the key does not have, and as
    `with_recordings` does; TypeError without a list or key.
    """
    if protocol and key:
        located = with_line_numbers(protocol, _with_key(protocol, key, read_key))
    elif key:
        located = with_line_numbers(key, read_key(key))
    elif protocol:
        located = with_line_numbers(protocol, _read_ids(protocol))
    else:
        raise TypeError("a list of trials, a key, or both are needed")
    return with_recordings(located, audio, allow_missing)


def _with_key(protocol: Path, key: Path, read_key: Callable[[Path], Iterator[Trial]]) -> list[Trial]:
    """The key's trials that a list names, in the order of the list."""
    known = {trial.id: trial for _, trial in check_unique(with_line_numbers(key, read_key(key)))}
    names = [trial.id for trial in _read_ids(protocol)]
    if unknown := {name: number for number, name in enumerate(names, start=1) if name not in known}:
        what = f"{len(unknown):,} of {len(names):,} trials are not in {key} ({list_names(unknown)})"
        raise DataError(f"{protocol}:{next(iter(unknown.values()))}: {what}: give the list and the keys of the same corpus")
    return [known[name] for name in names]


def _read_ids(path: Path) -> Iterator[Trial]:
    """The trials of a list that has an id on each line and nothing else."""
    return read_columns(path, ("id",))


def _id_and_label(line: str) -> tuple[str, str]:
    """A line's id and label; the whole line and an empty label where the last of several fields is no label."""
    fields = line.rsplit(maxsplit=1)
    if len(fields) == 2 and fields[1] in LABEL_SPELLINGS:
        return fields[0].strip(), LABEL_SPELLINGS[fields[1]]
    return line.strip(), ""
