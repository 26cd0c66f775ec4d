"""The recordings of a corpus: where they lie, and how long they are."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice
from multiprocessing.pool import ThreadPool
from pathlib import Path

from .audio_format import FFMPEG_SUFFIXES, SAMPLE_RATE, UNKNOWN_LENGTH, format_of, soundfile_suffixes
from .containers import probe, soundfile_knows
from .errors import DataError, MachineError
from .files import table_suffix
from .streams import streams_of
from .trial import Trial

logger = logging.getLogger(__name__)

_SUFFIXES = ("", ".flac", ".wav")
_SUBFOLDERS = ("flac", "wav")
_MAX_LISTED = 10
_N_THREADS = 16  # reading headers waits for the disk, not for the processor

LocatedTrial = tuple[str, Trial]  # where a trial is listed, `file:line`, and the trial


class MissingRecordings(DataError):
    """`n_missing` of `n_listed` trials have no recording."""

    def __init__(self, problem: str, n_missing: int, n_listed: int) -> None:
        super().__init__(problem)
        self.n_missing, self.n_listed = n_missing, n_listed


def with_line_numbers(path: str | Path, trials: Iterable[Trial]) -> Iterator[LocatedTrial]:
    """The trials of a file that has one on each line, after the header in a CSV table, each with its `file:line`."""
    first = 2 if table_suffix(path) == ".csv" else 1
    return ((f"{path}:{number}", trial) for number, trial in enumerate(trials, start=first))


def check_unique(located: Iterable[LocatedTrial]) -> Iterator[LocatedTrial]:
    """The same trials; raises DataError at the first repeated id."""
    known = set()
    for where, trial in located:
        if trial.id in known:
            raise DataError(f"{where}: repeated id {trial.id!r}: list each utterance once")
        known.add(trial.id)
        yield where, trial


def with_recordings(located: Iterable[LocatedTrial], folder: str | Path, allow_missing: bool = False) -> list[Trial]:
    """The trials, each with the absolute path of its recording.

    The recording of utterance UTT is `UTT`, `UTT.flac` or `UTT.wav` in `folder` or a subfolder whose name begins with
    `flac` or `wav`, such as `flac_T`; UTT may itself be a path.
    Raises DataError on a repeated id, a repeated recording and an id that leads out of the folder, MissingRecordings on
    trials without a recording; `allow_missing` leaves these out with a warning, unless no trial has one.
    """
    root = os.path.abspath(folder)
    if not os.path.isdir(root):
        raise DataError(f"{folder}: no such folder: give the folder of the recordings as --audio")
    find = _recordings(root)
    found: dict[str, Trial] = {}  # by path
    missing: dict[str, str] = {}  # id to `file:line`
    for where, trial in check_unique(located):
        if os.path.isabs(trial.id) or ".." in trial.id.split("/"):
            raise DataError(f"{where}: id {trial.id!r} leads out of {folder}: use names inside the folder")
        path = find(os.path.normpath(trial.id))
        if path in found:
            raise DataError(f"{where}: {trial.id!r} has the same recording as a trial before it: list each utterance once")
        if path:
            found[path] = Trial(trial.id, path, trial.label, trial.n_frames, trial.facts)
        else:
            missing[trial.id] = where
    if missing:
        n_listed = len(missing) + len(found)
        what = f"no recording for {len(missing)} of {n_listed} trials ({list_names(missing)}) in {folder}"
        problem = f"{next(iter(missing.values()))}: {what}"
        if not (allow_missing and found):
            remedy = "check --audio" + (", or leave them out with --allow-missing" if found else "")
            raise MissingRecordings(f"{problem}: {remedy}", len(missing), n_listed)
        logger.warning("%s: left out", problem)
    return list(found.values())


def list_names(names: Collection[str]) -> str:
    """The first ten names, and how many more there are."""
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return ", ".join(islice(names, _MAX_LISTED)) + more


def find_audio(folder: str | Path) -> list[Path]:
    """The recordings below a folder, sorted: found by their suffix in upper or lower case or, without one, by their content.

    Symbolic links are followed; hidden files and folders (`.name`) are skipped. A warning counts all other files.
    Raises DataError when there is no such folder or no recording in it, OSError when a part of it cannot be read.
    """
    if not os.path.isdir(folder):
        raise DataError(f"{folder}: no such folder: give a folder of recordings")
    paths: list[Path] = []
    passed_over: Counter[str] = Counter()  # by suffix
    for parent, subfolders, names in os.walk(folder, onerror=_raise, followlinks=True):
        here = Path(parent)
        # A link to a folder above would never end.
        subfolders[:] = [
            name for name in subfolders
            if not name.startswith(".") and not here.resolve().is_relative_to((here / name).resolve())
        ]
        for path in (here / name for name in names if not name.startswith(".")):
            if _is_recording(path):
                paths.append(path)
            else:
                passed_over[path.suffix.lower() or "without suffix"] += 1
    if passed_over:
        kinds = ", ".join(f"{count:,} {suffix}" for suffix, count in passed_over.most_common())
        logger.warning("%s: files passed over as no recordings: %s", folder, kinds)
    if not paths:
        raise DataError(f"{folder}: no audio in this folder: give a folder with files such as .wav, .flac or .mp3")
    return sorted(paths)


def _is_recording(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix:
        return suffix in soundfile_suffixes() | FFMPEG_SUFFIXES
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return format_of(file.read(12)) is not None


def with_durations(trials: Sequence[Trial]) -> list[Trial]:
    """The trials with `n_frames` from the headers of their recordings; nothing is decoded.

    Samples at 16 kHz, rounded up as resampling does; 0 where the header has no length or not that of all the sound, or only
    ffmpeg reads the container. Shows a progress bar on a terminal. Raises DataError on a recording that is absent or broken.
    """
    from tqdm import tqdm  # as soundfile below: reading a manifest needs neither

    with ThreadPool(_N_THREADS) as pool:
        lengths = pool.imap(_n_frames, [trial.audio for trial in trials], chunksize=64)
        progress = tqdm(lengths, total=len(trials), desc="lengths", unit="file", leave=False, disable=None)
        return [replace(trial, n_frames=n_frames) for trial, n_frames in zip(trials, progress, strict=True)]


def _recordings(root: str) -> Callable[[str], str]:
    """A function that returns the path of an utterance's recording below `root`, or nothing when there is none."""
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
    """The names of the files in a folder, none when there is no such folder."""
    if not os.path.isdir(folder):
        return frozenset()
    return frozenset(entry.name for entry in os.scandir(folder) if entry.is_file())


def _n_frames(path: str) -> int:
    """The length of a recording in samples at 16 kHz, from its header; 0 when that is not the length of all its sound."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise DataError(f"{path}: no audio file, but a pipe or device: name a recording")
    if Path(path).suffix.lower() in FFMPEG_SUFFIXES:
        return 0
    import soundfile

    try:
        header = soundfile.info(os.fsencode(path))  # as bytes, for names that are not UTF-8
    except soundfile.LibsndfileError as error:
        if os.path.exists(path) and _only_ffmpeg_reads(path):
            return 0
        reason = error.error_string.strip(". ")
        raise DataError(f"{path}: its header cannot be read ({reason}): copy it again or remove it") from None
    streams = streams_of(path, header.format)
    if len(streams) > 1 or not streams[0].has_length or header.frames == UNKNOWN_LENGTH:
        return 0
    return -(-header.frames * SAMPLE_RATE // header.samplerate)


def _only_ffmpeg_reads(path: str) -> bool:
    try:
        return not soundfile_knows(path) and probe(Path(path)) is not None
    except MachineError:  # no ffmpeg: soundfile has the word
        return False


def _raise(error: OSError) -> None:
    """Let os.walk stop at a folder that it cannot read, instead of skipping it."""
    raise error
