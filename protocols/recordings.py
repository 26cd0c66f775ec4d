"""The recordings of a corpus: where a protocol's utterances lie, and how long they are."""

import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice
from multiprocessing.pool import ThreadPool
from pathlib import Path

from .errors import DataError
from .trial import Trial

logger = logging.getLogger(__name__)

SAMPLE_RATE = 16000
FFMPEG_SUFFIXES = frozenset({".m4a", ".mp4", ".aac", ".webm", ".wma", ".amr", ".3gp"})

_SUFFIXES = ("", ".flac", ".wav")
_SUBFOLDERS = ("flac", "wav")
_LISTED = 10
_THREADS = 16  # headers wait for the disk, not for the processor
UNKNOWN_LENGTH = 2**63 - 1  # what libsndfile says of a FLAC stream whose header was never completed

Listed = tuple[str, Trial]  # a trial and where it is listed, `file:line`


class MissingRecordings(DataError):
    """Some of `n_listed` trials, `n_missing` of them, have no recording."""

    def __init__(self, problem: str, n_missing: int, n_listed: int) -> None:
        super().__init__(problem)
        self.n_missing, self.n_listed = n_missing, n_listed


def numbered(path: str | Path, trials: Iterable[Trial]) -> Iterator[Listed]:
    """The trials of a file, one on each line, with their lines; a CSV table begins with its header."""
    first = 2 if Path(path).suffix == ".csv" else 1
    return ((f"{path}:{number}", trial) for number, trial in enumerate(trials, start=first))


def unique(listed: Iterable[Listed]) -> Iterator[Listed]:
    """The same trials; raises DataError at the first id that returns."""
    known = set()
    for where, trial in listed:
        if trial.id in known:
            raise DataError(f"{where}: repeated id {trial.id!r}: list each utterance once")
        known.add(trial.id)
        yield where, trial


def with_recordings(listed: Iterable[Listed], folder: str | Path, allow_missing: bool = False) -> list[Trial]:
    """The listed trials, each with the absolute path of its recording.

    The recording of utterance UTT is `UTT`, `UTT.flac` or `UTT.wav` in `folder` or a subfolder whose name begins with
    `flac` or `wav`, such as `flac_T`; UTT may itself be a path.
    Raises DataError on a repeated id and an id that leads out of the folder, MissingRecordings where there are; with
    `allow_missing` their trials are left out and a warning counts them, but some recording must be there.
    """
    root = os.path.abspath(folder)
    if not os.path.isdir(root):
        raise DataError(f"{folder}: no such folder: give the folder of the recordings as --audio")
    find = _recordings(root)
    found: list[Trial] = []
    taken: set[str] = set()
    missing: dict[str, str] = {}
    for where, trial in unique(listed):
        if os.path.isabs(trial.id) or ".." in trial.id.split("/"):
            raise DataError(f"{where}: id {trial.id!r} leads out of {folder}: use names inside the folder")
        if path := find(os.path.normpath(trial.id)):
            if path in taken:
                raise DataError(f"{where}: {trial.id!r} has the same recording as a trial before it: list each utterance once")
            taken.add(path)
            found.append(Trial(trial.id, path, trial.label, trial.n_frames, trial.facts))
        else:
            missing[trial.id] = where
    if missing:
        n_listed = len(missing) + len(found)
        what = f"no recording for {len(missing)} of {n_listed} trials ({shortened(missing)}) in {folder}"
        problem = f"{next(iter(missing.values()))}: {what}"
        if not (allow_missing and found):
            remedy = "check --audio" + (", or leave them out with --allow-missing" if found else "")
            raise MissingRecordings(f"{problem}: {remedy}", len(missing), n_listed)
        logger.warning("%s: left out", problem)
    return found


def shortened(names: Collection[str]) -> str:
    """The first ten names, and how many more there are."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(islice(names, _LISTED)) + more


def with_durations(trials: Sequence[Trial]) -> list[Trial]:
    """The trials with `n_frames` from the headers of their recordings; nothing is decoded.

    Samples at 16 kHz, rounded up as resampling does; 0 where the header does not tell, or where only ffmpeg knows the
    container. Shows its progress on a terminal. Raises DataError on a recording that is absent or broken.
    """
    from tqdm import tqdm  # like soundfile below, not for those who only read manifests

    with ThreadPool(_THREADS) as pool:
        lengths = pool.imap(_n_frames, [trial.audio for trial in trials], chunksize=64)
        shown = tqdm(lengths, total=len(trials), desc="lengths", unit="file", leave=False, disable=None)
        return [replace(trial, n_frames=n_frames) for trial, n_frames in zip(trials, shown, strict=True)]


@cache
def soundfile_suffixes() -> frozenset[str]:
    """The file suffixes of the formats that soundfile decodes, in lower case and with their dot."""
    import soundfile

    formats = {f".{name.lower()}" for name in soundfile.available_formats()} - {".raw"}  # RAW has no header
    return frozenset(formats | {".aif", ".aifc", ".oga", ".opus", ".snd", ".sph", ".wave"})


def _recordings(root: str) -> Callable[[str], str]:
    """A function that gives the path of an utterance's recording below `root`; empty when there is none."""
    subfolders = sorted(entry.path for entry in os.scandir(root) if entry.is_dir() and entry.name.startswith(_SUBFOLDERS))

    @cache
    def listings(parent: str) -> list[tuple[str, frozenset[str]]]:
        folders = (os.path.join(folder, parent) for folder in (root, *subfolders))
        return [(folder, _files(folder)) for folder in folders]

    def find(name: str) -> str:
        parent, _, file = name.rpartition("/")
        for suffix in _SUFFIXES:
            for folder, files in listings(parent):
                if file + suffix in files:
                    return os.path.join(folder, file + suffix)
        return ""

    return find


def _files(folder: str) -> frozenset[str]:
    """The names of the files in a folder, none when there is no such folder; one look instead of one for each utterance."""
    if not os.path.isdir(folder):
        return frozenset()
    return frozenset(entry.name for entry in os.scandir(folder) if entry.is_file())


def _n_frames(path: str) -> int:
    """The length of a recording in samples at 16 kHz, from its header; 0 when that does not tell."""
    if Path(path).suffix.lower() in FFMPEG_SUFFIXES:
        return 0
    import soundfile

    try:
        header = soundfile.info(os.fsencode(path))  # soundfile would not take a name that is not UTF-8
    except soundfile.LibsndfileError as error:
        reason = error.error_string.strip(". ")
        raise DataError(f"{path}: its header cannot be read ({reason}): copy it again or remove it") from None
    if header.frames == UNKNOWN_LENGTH:
        return 0
    return -(-header.frames * SAMPLE_RATE // header.samplerate)
