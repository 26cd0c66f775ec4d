"""Additive noise at a signal-to-noise ratio."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.fft import irfft, rfft

from protocols import SettingError

from .parameters import Choice, Range, chosen, drawn, require_within
from .recordings import excerpt, recordings_in

KINDS = ("white", "pink", "recorded", "babble")


@dataclass(frozen=True)
class Noise:
    """White or pink noise, a recording from a folder (such as MUSAN), or the babble of several.

    The ratio is that of the powers of the whole utterance and of the noise.
    """

    kind: Choice = ()  # recorded where there is a folder, else white
    snr: Range = (5.0, 20.0)  # dB
    dir: Path | None = None  # of recorded noise, or of speech for babble
    talkers: float = 6

    def __post_init__(self) -> None:
        if not self.kind:
            object.__setattr__(self, "kind", ("recorded",) if self.dir else ("white",))
        if unknown := {*self.kind} - {*KINDS}:
            raise SettingError(f"kind {min(unknown)!r}: choose from {', '.join(KINDS)}")
        require_within((self.talkers, self.talkers), 1, 100, "talkers")
        recorded = {"recorded", "babble"} & {*self.kind}
        object.__setattr__(self, "recordings", recordings_in(self.dir, "noise") if recorded else ())

    def __call__(self, waveform: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        kind, snr = chosen(self.kind, rng), drawn(self.snr, rng)
        noise = self._noise(kind, len(waveform), rng)
        return waveform + noise * (np.linalg.norm(waveform) / np.linalg.norm(noise) / 10 ** (snr / 20))

    def _noise(self, kind: str, n_samples: int, rng: np.random.RandomState) -> np.ndarray:
        if kind == "white":
            return rng.standard_normal(n_samples)
        if kind == "pink":
            spectrum = rfft(rng.standard_normal(n_samples))
            return irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))), n_samples)  # power falls as 1 / f
        paths = [chosen(self.recordings, rng) for _ in range(int(self.talkers) if kind == "babble" else 1)]
        voices = [excerpt(path, n_samples, rng) for path in paths]
        return sum(voice / (np.linalg.norm(voice) or 1) for voice in voices)
