"""MLAAD, the Multi-Language Audio Anti-Spoofing Dataset: speech of many synthesis models, all spoof."""

from collections.abc import Iterator
from itertools import chain
from os.path import abspath
from pathlib import Path

from protocols.columns import read_table
from protocols.corpus import Corpus, Reader
from protocols.errors import DataError
from protocols.published import HubDownload
from protocols.recordings import with_line_numbers, with_recordings
from protocols.trial import Trial

COLUMNS = {"path": "id", "language": "language", "model_name": "attack", "architecture": "architecture"}


def read_trials(audio: Path, allow_missing: bool = False) -> list[Trial]:
    """The trials of every `fake/LANGUAGE/MODEL/meta.csv`, all spoof; facts: language, attack (the model), architecture.

    `audio` is the folder that holds `fake`, or `fake` itself. The id is the path below the former, `fake/...`.
    Raises DataError when there is no `meta.csv`, on the first line that is not a trial, and as `with_recordings` does.
    """
    folder = Path(abspath(audio))
    tables = sorted(folder.rglob("meta.csv"))
    if not tables:
        raise DataError(f"{audio}: no meta.csv below this folder: give the folder that holds fake/LANGUAGE/MODEL/meta.csv")
    root = folder.parent if folder.name == "fake" else folder
    located = chain.from_iterable(with_line_numbers(table, _read_table(table)) for table in tables)
    return with_recordings(located, root, allow_missing)


def _read_table(path: Path) -> Iterator[Trial]:
    """The trials of one model; the releases write their paths as `./fake/...`."""
    for trial in read_table(path, COLUMNS, delimiter="|"):
        yield Trial(trial.id.removeprefix("./"), "", "spoof", facts=trial.facts)


CORPUS = Corpus(
    name="mlaad",
    title="MLAAD",
    reader=Reader(read_trials, "fake/LANGUAGE/MODEL/meta.csv below --audio", optional=["allow_missing"]),
    download=HubDownload(
        "mueller91/MLAAD",
        "CC BY-NC 4.0, gated: its terms must be accepted",
        240,
        folder="MLAAD",
        parts_folder="fake",
        manifests=["--audio ./fake --split mlaad"],
    ),
)
