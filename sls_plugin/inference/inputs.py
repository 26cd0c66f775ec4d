"""The inputs of `sls score` (recordings, folders, manifests, lists of paths) as trials."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from protocols import DataError, Trial, read_manifest
from protocols.audio_format import FFMPEG_SUFFIXES, soundfile_suffixes
from protocols.files import read_lines, table_suffix
from protocols.recordings import find_audio


def read_inputs(inputs: Sequence[str]) -> list[Trial]:
    """The trials of all inputs, in order; their audio paths are relative to the current folder, or absolute.

    The id is the manifest's; for a recording the path as given; inside a folder the path relative to that folder.
    """
    trials: list[Trial] = []
    ids: set[str] = set()
    for name in inputs:
        for trial in _read_input(name):
            if trial.id in ids:
                raise DataError(f"{name}: trial {trial.id} is given twice: score it in a separate run")
            ids.add(trial.id)
            trials.append(trial)
    return trials


def _read_input(name: str) -> Iterable[Trial]:
    path = Path(name)
    if not os.path.exists(name):  # Path("") would be the current folder
        raise DataError(f"{name or repr(name)}: no such file or folder: correct the path")
    if path.is_dir():
        return (Trial(str(file.relative_to(path)), str(file)) for file in find_audio(path))
    suffix = table_suffix(path)
    if suffix == ".tsv":
        folder = os.path.dirname(name)
        return (
            Trial(trial.id, os.path.join(folder, trial.audio), trial.label, trial.n_frames, trial.facts)
            for trial in read_manifest(path)
        )
    if suffix in soundfile_suffixes() | FFMPEG_SUFFIXES or _is_binary(path):
        return [Trial(name, name)]
    lines = read_lines(path)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise DataError(f"{name}:{number}: blank line: give one recording per line")
    return (Trial(line, line) for line in lines)


def _is_binary(path: Path) -> bool:
    """Whether a file is not text, such as a recording in a container that only ffmpeg reads; a pipe is not touched."""
    if not path.is_file() or path.suffix.lower() == ".gz":
        return False
    with open(path, "rb") as file:
        return b"\0" in file.read(4096)
