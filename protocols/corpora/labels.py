"""Labels as keys: a manifest, or a list."""

from collections.abc import Iterable
from pathlib import Path

from protocols.columns import named_columns, parse_table
from protocols.corpus import Corpus, KeyLayout
from protocols.files import read_lines
from protocols.manifest import parse_manifest
from protocols.trial import Trial
from protocols.trial_list import parse_labelled_list


def read_labels(path: Path) -> Iterable[Trial]:
    """The trials of a manifest, of a table whose header names the ids and labels, or of a list with a line `id label` for each.

    Raises DataError as `read_manifest`, `read_table` and `read_labelled_list` do.
    """
    lines = read_lines(path)
    header = lines[0].split("\t")
    if "audio" in header:
        return parse_manifest(path, lines)
    columns, delimiter = named_columns(lines[0], "id", "label")
    if columns:
        return parse_table(path, lines, columns, delimiter)
    return parse_manifest(path, lines) if len(header) > 1 and "id" in header else parse_labelled_list(path, lines)


CORPUS = Corpus(
    name="labels",
    title="a manifest or a list with labels",
    keys=KeyLayout(
        ("eval.tsv",),
        read_labels,
        "any manifest, a list with a line `id label` per trial, or a table with a header such as `id,label`",
    ),
)
