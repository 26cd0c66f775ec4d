"""A plain folder of recordings, without a protocol."""

import os
from pathlib import Path

from .errors import DataError
from .recordings import FFMPEG_SUFFIXES, soundfile_suffixes
from .trial import LABEL_SPELLINGS, Trial


def read_trials(audio: Path, label: str = "") -> list[Trial]:
    """The recordings of a folder as trials; the id is the path relative to the folder, with its suffix.

    All get `label`. Without it the label is unknown, unless every recording lies in a subfolder that is named after a
    class: `bonafide` or `bona-fide`, `spoof`.
    Raises DataError when there is no recording, or when `label` is given although the subfolders tell.
    """
    root = Path(os.path.abspath(audio))
    names = [path.relative_to(root) for path in find_audio(root)]
    labelled = all(name.parts[0] in LABEL_SPELLINGS for name in names)
    if labelled and label:
        raise DataError(f"{audio}: its subfolders already tell the labels: leave out --label")
    return [
        Trial(name.as_posix(), str(root / name), LABEL_SPELLINGS[name.parts[0]] if labelled else label)
        for name in names
    ]


def find_audio(folder: str | Path) -> list[Path]:
    """The recordings below a folder, sorted; known by their suffix, whatever its case.

    Links are followed; hidden files and folders (`.name`) are passed over, as they hold no recordings of the corpus.
    Raises DataError when the folder is none or has no recording, OSError when a part of it cannot be read.
    """
    if not os.path.isdir(folder):
        raise DataError(f"{folder}: no such folder: give a folder of recordings")
    suffixes = soundfile_suffixes() | FFMPEG_SUFFIXES
    paths = []
    for parent, subfolders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        here = Path(parent)
        # A link to a folder above would never end.
        subfolders[:] = [
            name for name in subfolders
            if not name.startswith(".") and not here.resolve().is_relative_to((here / name).resolve())
        ]
        paths += [
            here / name for name in names
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in suffixes
        ]
    if not paths:
        raise DataError(f"{folder}: no audio in this folder: give a folder with files such as .wav, .flac or .mp3")
    return sorted(paths)


def _refuse(error: OSError) -> None:
    """Let os.walk stop at a folder that it cannot read, instead of passing it over."""
    raise error
