"""Lists of trials: an id on each line, its label beside it or in a key."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from .columns import read_columns
from .errors import DataError
from .files import find_file, read_lines, split_fields, split_last_field
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
        if not label and len(split_fields(name)) != 1:
            raise DataError(f"{path}:{number}: {line[:60]!r} is neither `id label` nor `id` without blanks: {_LABEL_FIELD}")
        yield Trial(name, "", label)


def read_labelled_list(path: Path) -> Iterator[Trial]:
    """The trials of a list with a label on every line, without recordings; DataError on the first line that is not `id label`."""
    return parse_labelled_list(path, read_lines(path))


def parse_labelled_list(path: Path, lines: Sequence[str]) -> Iterator[Trial]:
    """The trials of the lines of a list, as `read_labelled_list`."""
    for number, line in enumerate(lines, start=1):
        name, label = _id_and_label(line)
        if not label:
            raise DataError(f"{path}:{number}: {line[:60]!r} is not `id label`: {_LABEL_FIELD}")
        yield Trial(name, "", label)


def keyed_reader(
    read_key: Callable[[Path], Iterator[Trial]], places: Sequence[str], what: str
) -> Callable[..., list[Trial]]:
    """A function that reads the trials of a list of ids (labels unknown), of a key, or of a list with a key's labels and facts.

    `keys` is the key, or a folder that has `what` at one of `places`. It raises DataError on the first line that is not a
    trial, on trials of the list that the key does not have, and as `with_recordings` and `find_file` do; TypeError without a
    list or key.
    """

    def read_trials(
        audio: Path, protocol: Path | None = None, keys: Path | None = None, allow_missing: bool = False
    ) -> list[Trial]:
        key = keys and find_file(keys, places, what)
        if protocol and key:
            located = with_line_numbers(protocol, _with_key(protocol, key, read_key))
        elif key:
            located = with_line_numbers(key, read_key(key))
        elif protocol:
            located = with_line_numbers(protocol, _read_ids(protocol))
        else:
            raise TypeError("a list of trials, a key, or both are needed")
        return with_recordings(located, audio, allow_missing)

    return read_trials


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
    name, label = split_last_field(line)
    if name and label in LABEL_SPELLINGS:
        return name.strip(" \t"), LABEL_SPELLINGS[label]
    return line.strip(" \t"), ""
