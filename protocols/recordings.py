"""The recordings of a corpus: where a protocol's utterances lie, and how long they are."""

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import product
from multiprocessing.pool import ThreadPool
from pathlib import Path

from .errors import DataError
from .trial import Trial

logger = logging.getLogger(__name__)

SAMPLE_RATE = 16000
FFMPEG_SUFFIXES = frozenset({".m4a", ".mp4", ".aac", ".webm", ".wma", ".amr", ".3gp"})

_SUFFIXES = (".flac", ".wav")
_SUBFOLDERS = ("", "flac/", "wav/")
_MISSING_LISTED = 10
_THREADS = 16  # headers wait for the disk, not for the processor
UNKNOWN_LENGTH = 2**63 - 1  # what libsndfile says of a FLAC stream whose header was never completed


def with_recordings(
    trials: Iterable[Trial], protocol: str | Path, folder: str | Path, allow_missing: bool = False
) -> list[Trial]:
    """The trials of a protocol, one per line from line 1, each with the absolute path of its recording.

    The recording of utterance UTT is `UTT.flac` or `UTT.wav` in `folder`, `folder/flac` or `folder/wav`.
    Raises DataError on a repeated id, an id that leads out of the folder, and recordings that are missing; with
    `allow_missing` their trials are left out and a warning counts them, but some recording must be there.
    """
    root = os.path.abspath(folder)
    if not os.path.isdir(root):
        raise DataError(f"{folder}: no such folder: give the folder of the recordings as --audio")
    found: dict[str, Trial] = {}
    missing: dict[str, int] = {}
    for number, trial in enumerate(trials, start=1):
        if trial.id in found or trial.id in missing:
            raise DataError(f"{protocol}:{number}: repeated id {trial.id!r}: list each utterance once")
        if os.path.isabs(trial.id) or ".." in trial.id.split("/"):
            raise DataError(f"{protocol}:{number}: id {trial.id!r} leads out of {folder}: use names inside the folder")
        if path := _find_recording(root, trial.id):
            found[trial.id] = Trial(trial.id, path, trial.label, trial.n_frames, trial.facts)
        else:
            missing[trial.id] = number
    if missing:
        listed = ", ".join(list(missing)[:_MISSING_LISTED])
        more = f" and {len(missing) - _MISSING_LISTED} more" if len(missing) > _MISSING_LISTED else ""
        what = f"no recording for {len(missing)} of {len(missing) + len(found)} trials ({listed}{more}) in {folder}"
        if not (allow_missing and found):
            remedy = "check --audio" + (", or leave them out with --allow-missing" if found else "")
            raise DataError(f"{protocol}:{next(iter(missing.values()))}: {what}: {remedy}")
        logger.warning("%s: %s: left out", protocol, what)
    return list(found.values())


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


def soundfile_suffixes() -> frozenset[str]:
    """The file suffixes of the formats that soundfile decodes, in lower case and with their dot."""
    import soundfile

    formats = {f".{name.lower()}" for name in soundfile.available_formats()} - {".raw"}  # RAW has no header
    return frozenset(formats | {".aif", ".aifc", ".oga", ".opus", ".snd", ".sph", ".wave"})


def _find_recording(root: str, name: str) -> str:
    """The path of an utterance's recording below `root`; empty when there is none."""
    paths = (f"{root}/{subfolder}{name}{suffix}" for suffix, subfolder in product(_SUFFIXES, _SUBFOLDERS))
    return next(filter(os.path.isfile, paths), "")


def _n_frames(path: str) -> int:
    """The length of a recording in samples at 16 kHz, from its header; 0 when that does not tell."""
    if Path(path).suffix.lower() in FFMPEG_SUFFIXES:
        return 0
    import soundfile

    try:
        header = soundfile.info(path)
    except soundfile.LibsndfileError as error:
        reason = error.error_string.strip(". ")
        raise DataError(f"{path}: its header cannot be read ({reason}): copy it again or remove it") from None
    if header.frames == UNKNOWN_LENGTH:
        return 0
    return -(-header.frames * SAMPLE_RATE // header.samplerate)
