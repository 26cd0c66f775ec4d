"""Labels as keys: a manifest, or a list."""

from collections.abc import Iterable
from pathlib import Path

from protocols.corpus import Corpus, KeyLayout
from protocols.files import read_lines
from protocols.manifest import read_manifest
from protocols.trial import Trial
from protocols.trial_list import read_labelled_list


def read_labels(path: Path) -> Iterable[Trial]:
    """The trials of a manifest, or of a list with a line `id label` for each.

    Raises DataError as `read_manifest` and `read_labelled_list` do.
    """
    header = read_lines(path)[0].split("\t")
    return read_manifest(path) if len(header) > 1 and "id" in header else read_labelled_list(path)


CORPUS = Corpus(
    name="labels",
    title="a manifest or a list with labels",
    keys=KeyLayout(("eval.tsv",), read_labels, "any manifest, or a list with a line `id label` per trial"),
)
