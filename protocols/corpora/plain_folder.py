"""A plain folder of recordings, without a protocol."""

import os
from pathlib import Path

from protocols.corpus import Corpus, Reader
from protocols.errors import DataError
from protocols.recordings import find_audio
from protocols.trial import LABEL_SPELLINGS, Trial


def read_trials(audio: Path, label: str = "") -> list[Trial]:
    """The recordings of a folder as trials; the id is the path relative to the folder, with its suffix.

    All get `label`. Without it the label is unknown, unless every recording lies in a subfolder that is named after a
    class: `bonafide` or `bona-fide`, `spoof`.
    Raises DataError when there is no recording, or when `label` is given although the subfolders give the labels.
    """
    root = Path(os.path.abspath(audio))
    names = [path.relative_to(root) for path in find_audio(root)]
    labelled = all(name.parts[0] in LABEL_SPELLINGS for name in names)
    if labelled and label:
        raise DataError(f"{audio}: its subfolders already give the labels: leave out --label")
    return [
        Trial(name.as_posix(), str(root / name), LABEL_SPELLINGS[name.parts[0]] if labelled else label)
        for name in names
    ]


CORPUS = Corpus(
    name="folder",
    title="a folder of recordings",
    reader=Reader(
        read_trials,
        "every recording below --audio; its label is given by subfolders bonafide and spoof, or by --label, or unknown",
        optional=["label"],
    ),
)
