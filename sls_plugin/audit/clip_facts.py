"""What an audit needs to know of a clip; none of it tells real speech from synthetic speech by its sound."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import astuple, dataclass, fields, replace
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import welch

from protocols import DataError, Trial
from protocols.audio_format import SAMPLE_RATE
from sls_plugin.audit.fingerprint import as_text, fingerprint, from_text, kept_words
from sls_plugin.data.audio import read_audio
from sls_plugin.data.conditions import MEANINGS, conditions

FRAME = 320  # samples, 20 ms
SILENCE_DB = 40  # below the loudest frame
BAND_DB = 60  # below the strongest frequency
PORTION = 16  # clips that a process takes at a time


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """A clip of a split. Where it cannot be read `problem` says why, and all numbers but its size are 0; else what is odd.

    `sha256` is that of the decoded samples at 16 kHz and 16 bits. Silences at both ends and the duration are in seconds, the
    level (of the samples' root mean square) in dB of full scale, the bandwidth in Hz. Of the fingerprint some words are kept.
    """

    split: str
    id: str
    label: str
    speaker: str
    problem: str = ""
    sha256: str = ""
    duration: float = 0.0
    leading_silence: float = 0.0
    trailing_silence: float = 0.0
    level: float = 0.0
    dc: float = 0.0
    bandwidth: float = 0.0
    sample_rate: int = 0
    format: str = ""
    n_bytes: int = 0
    fingerprint: str = ""


COLUMNS = tuple(field.name for field in fields(ClipFacts))
Clip = tuple[str, Trial, Path]  # the split, the trial, and where its audio is


def measure(clip: Clip) -> ClipFacts:
    """The facts of a clip."""
    split, trial, path = clip
    names = split, trial.id, trial.label, trial.facts.get("speaker", "")
    try:
        waveform = read_audio(path)
    except DataError as error:
        return ClipFacts(*names, problem=" ".join(str(error).split()), n_bytes=_size(path))
    leading, trailing = _silences(waveform)
    rate, kind = _format(path)
    return ClipFacts(
        *names,
        problem="; ".join(MEANINGS[word] for word in conditions(waveform, len(waveform))),
        sha256=sha256((waveform * 32_767).round().astype("<i2").tobytes()).hexdigest(),
        duration=len(waveform) / SAMPLE_RATE,
        leading_silence=leading,
        trailing_silence=trailing,
        level=_decibels(np.sqrt(np.mean(waveform.astype(np.float64) ** 2))),
        dc=float(waveform.mean(dtype=np.float64)),
        bandwidth=_bandwidth(waveform),
        sample_rate=rate,
        format=kind,
        n_bytes=_size(path),
        fingerprint=as_text(kept_words(fingerprint(waveform))),
    )


def measure_all(clips: Iterable[Clip], num_workers: int) -> Iterator[ClipFacts]:
    """The facts of clips, in order, by several processes."""
    if num_workers == 0:
        yield from map(measure, clips)
        return
    with ProcessPoolExecutor(num_workers, mp_context=get_context("forkserver")) as pool:
        try:
            yield from pool.map(measure, clips, chunksize=PORTION)
        except BrokenProcessPool:
            killed = "a process that decodes was killed (out of memory?): lower --num-workers"
            raise DataError(f"{killed}; the same command continues") from None


def still_true(earlier: ClipFacts | None, trial: Trial, path: Path) -> ClipFacts | None:
    """The facts of an earlier audit, with what the manifest now says; None without any, or when the file has another size."""
    if earlier is None or _size(path) != earlier.n_bytes:
        return None
    return replace(earlier, label=trial.label, speaker=trial.facts.get("speaker", ""))


def to_line(facts: ClipFacts) -> str:
    """A row of the table of clips; floats read back are the same."""
    return "\t".join(repr(value) if isinstance(value, float) else str(value) for value in astuple(facts)) + "\n"


def from_line(line: str) -> ClipFacts:
    """The facts of a row; ValueError where it is none."""
    cells = line.removesuffix("\n").split("\t")
    if len(cells) != len(COLUMNS):
        raise ValueError(line)
    facts = ClipFacts(*(field.type(cell) for field, cell in zip(fields(ClipFacts), cells, strict=True)))
    from_text(facts.fingerprint)  # a damaged one is noticed here, where the file is known
    return facts


def _silences(waveform: np.ndarray) -> tuple[float, float]:
    """The seconds before the first and after the last frame that is within `SILENCE_DB` of the loudest."""
    n_frames = max(1, len(waveform) // FRAME)
    frames = np.resize(waveform, n_frames * FRAME).reshape(n_frames, FRAME).astype(np.float64)
    power = np.mean(frames**2, axis=1)
    (loud,) = np.nonzero(power >= power.max() / 10 ** (SILENCE_DB / 10))
    return int(loud[0]) * FRAME / SAMPLE_RATE, (n_frames - 1 - int(loud[-1])) * FRAME / SAMPLE_RATE


def _bandwidth(waveform: np.ndarray) -> float:
    """The highest frequency whose mean power is within `BAND_DB` of the strongest one's."""
    frequencies, power = welch(waveform, SAMPLE_RATE, nperseg=min(512, len(waveform)))
    return float(frequencies[np.nonzero(power >= power.max() / 10 ** (BAND_DB / 10))[0][-1]])


def _decibels(amplitude: float) -> float:
    return 20 * float(np.log10(max(amplitude, 1e-10)))


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _format(path: Path) -> tuple[int, str]:
    """The sample rate of the file, and its format; of what soundfile does not know 0 and the suffix."""
    try:
        info = soundfile.info(path)
    except soundfile.LibsndfileError:
        return 0, path.suffix.lower()
    return info.samplerate, f"{info.format} {info.subtype} {info.channels}"
