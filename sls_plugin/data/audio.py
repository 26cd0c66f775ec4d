"""Recordings to waveforms: decode, mix to mono, resample, cut or fill to a length."""

import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from protocols import DataError
from protocols.recordings import SAMPLE_RATE, UNKNOWN_LENGTH, soundfile_suffixes

# What libsndfile notes when a file ends before the length in its header: WAV, AIFF, AU, W64, RF64; then OGG, VOC. A writer
# that streams cannot know the length and puts a size near 2^31 or 2^32 there: that is no sign of a truncated file.
_SHORT_DATA = re.compile(r"^\s*(?:data|SSND|Data Size|riff|Riff size)\s*:\s*(\d+) \(should be (\d+)\)", re.MULTILINE)
_CUT_OFF = re.compile(r"lacks an end-of-stream bit|Seems to be a truncated file")
_STREAMED_SIZE = 0x7FFF_0000


def read_audio(path: str | Path) -> np.ndarray:
    """The waveform of a recording: float32, mono, 16 kHz, in [-1, 1]; shape (samples,).

    Equals `librosa.load(path, sr=16000)`: channels are averaged, then resampled with soxr's high-quality filter.
    Containers that soundfile does not know (M4A, WebM, ...) are decoded by ffmpeg. Raises DataError, naming the file, when
    it is missing, broken, truncated, empty, or holds values that are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such audio file: correct the path, or the manifest that names it")
    known = path.suffix.lower() in soundfile_suffixes()
    samples, sample_rate = _decode(path) if known else _decode_with_ffmpeg(path)
    if len(samples) == 0:
        raise DataError(f"{path}: the recording has no samples: remove it or record it again")
    if not np.isfinite(samples).all():
        raise DataError(f"{path}: the recording has samples that are not finite (NaN or infinite): export it again")
    waveform = samples.mean(axis=1)
    if sample_rate == SAMPLE_RATE:
        return waveform
    import librosa  # slow to import and needed for other rates only

    return librosa.resample(waveform, orig_sr=sample_rate, target_sr=SAMPLE_RATE)


def fit_length(waveform: np.ndarray, n_samples: int, padding: str = "tile", start: int = 0) -> np.ndarray:
    """`n_samples` of a waveform from `start` on; a shorter one is repeated ("tile") or followed by zeros ("zero")."""
    if len(waveform) >= n_samples:
        return waveform[start : start + n_samples]
    if padding == "zero":
        return np.pad(waveform, (0, n_samples - len(waveform)))
    return np.resize(waveform, n_samples)  # numpy repeats the clip as often as needed


def _decode(path: Path, source: Path | None = None) -> tuple[np.ndarray, int]:
    """Samples (frames, channels) and rate as soundfile reads them from `source`; errors name `path`."""
    try:
        with soundfile.SoundFile(source or path) as recording:
            claimed, notes, sample_rate = recording.frames, recording.extra_info, recording.samplerate
            if claimed == UNKNOWN_LENGTH:
                raise DataError(f"{path}: its header does not tell its length: export it again")
            samples = recording.read(claimed, dtype="float32", always_2d=True)  # in one go: MP3 decoders restart between reads
    except soundfile.LibsndfileError as error:
        raise DataError(f"{path}: cannot be decoded ({error.error_string.strip('. ')}): copy or export it again") from None
    except MemoryError:
        raise DataError(f"{path}: its header promises {claimed:,} samples, more than the memory holds: copy it again") from None
    short = _SHORT_DATA.search(notes)
    cut_off = _CUT_OFF.search(notes) or (short and int(short[2]) < int(short[1]) < _STREAMED_SIZE)
    if cut_off or len(samples) < claimed:
        raise DataError(f"{path}: truncated, the header promises more samples than the file has: copy it again")
    return samples, sample_rate


def _decode_with_ffmpeg(path: Path) -> tuple[np.ndarray, int]:
    """The same for containers that only ffmpeg knows, through a temporary WAV file at the recording's own rate."""
    with tempfile.TemporaryDirectory() as folder:
        decoded = Path(folder) / "decoded.wav"
        command = ["ffmpeg", "-v", "error", "-xerror", "-i", f"file:{path}", "-vn", "-c:a", "pcm_f32le", str(decoded)]
        try:
            outcome = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
        except FileNotFoundError:
            raise DataError(f"{path}: soundfile does not know {path.suffix or 'this format'}: install ffmpeg") from None
        if outcome.returncode != 0 or outcome.stderr:  # of a truncated WebM file it complains, and exits with 0
            reason = (outcome.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise DataError(f"{path}: ffmpeg cannot decode it ({reason}): copy or export it again")
        return _decode(path, decoded)
