"""What `sls score` is given to trials: manifests, recordings, lists of paths, folders."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from protocols import DataError, Trial, read_manifest
from protocols.audio_format import FFMPEG_SUFFIXES, soundfile_suffixes
from protocols.files import read_lines
from protocols.recordings import find_audio


def read_inputs(inputs: Sequence[str]) -> list[Trial]:
    """The trials of all inputs, in order, with audio paths that hold from the current folder.

    The id is the manifest's; for a recording the path as given; inside a folder the path relative to that folder.
    """
    trials: list[Trial] = []
    known: set[str] = set()
    for name in inputs:
        for trial in _read_input(name):
            if trial.id in known:
                raise DataError(f"{name}: trial {trial.id} is given twice: score it in a run of its own")
            known.add(trial.id)
            trials.append(trial)
    return trials


def _read_input(name: str) -> Iterable[Trial]:
    path = Path(name)
    if not os.path.exists(name):  # an empty name, of a shell variable that is not set, is no folder
        raise DataError(f"{name or repr(name)}: no such file or folder: correct the path")
    if path.is_dir():
        return (Trial(str(file.relative_to(path)), str(file)) for file in find_audio(path))
    if path.suffix.lower() == ".tsv":
        folder = os.path.dirname(name)
        return (
            Trial(trial.id, os.path.join(folder, trial.audio), trial.label, trial.n_frames, trial.facts)
            for trial in read_manifest(path)
        )
    if path.suffix.lower() in soundfile_suffixes() | FFMPEG_SUFFIXES or _is_binary(path):
        return [Trial(name, name)]
    lines = read_lines(path)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise DataError(f"{name}:{number}: blank line: name one recording per line")
    return (Trial(line, line) for line in lines)


def _is_binary(path: Path) -> bool:
    """Whether a file is no text: a recording in a container that only ffmpeg knows, say."""
    with open(path, "rb") as file:
        return b"\0" in file.read(4096)
