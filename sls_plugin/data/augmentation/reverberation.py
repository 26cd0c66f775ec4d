"""Reverberation by room impulse responses, measured or made."""

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
from scipy.signal import fftconvolve

from protocols import SettingError
from protocols.audio_format import SAMPLE_RATE

from .parameters import Range, chosen, drawn, require_within
from .recordings import recordings_in, response_of


@dataclass(frozen=True)
class Reverberation:
    """The utterance in a room, at its own level and without the delay of the direct sound.

    Responses come from a folder of recordings. Without one they are made by the image-source method (Allen and Berkley 1979) for
    a random shoe-box room of the given reverberation time, by pyroomacoustics.
    """

    dir: Path | None = None
    rt60: Range = (0.2, 0.6)  # seconds

    def __post_init__(self) -> None:
        require_within(self.rt60, 0.1, 1.5, "rt60")
        if self.dir is None:
            _pyroomacoustics()
        object.__setattr__(self, "responses", recordings_in(self.dir, "room impulse responses") if self.dir else ())

    def __call__(self, waveform: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        response = response_of(chosen(self.responses, rng)) if self.responses else self._made(rng)
        direct = np.abs(response).argmax()
        reverberant = fftconvolve(waveform, response)[direct : direct + len(waveform)]
        return reverberant * (np.linalg.norm(waveform) / (np.linalg.norm(reverberant) or 1))

    def _made(self, rng: np.random.RandomState) -> np.ndarray:
        rooms = _pyroomacoustics()
        size = rng.uniform((3, 3, 2.4), (8, 6, 3.5))  # m
        source, microphone = (rng.uniform(0.5, size - 0.5) for _ in range(2))
        absorption, order = rooms.inverse_sabine(max(drawn(self.rt60, rng), shortest_rt60(size)), size)
        room = rooms.ShoeBox(size, fs=SAMPLE_RATE, materials=rooms.Material(absorption), max_order=order)
        room.add_source(source)
        room.add_microphone(microphone)
        room.compute_rir()
        return room.rir[0][0]


def shortest_rt60(size: np.ndarray) -> float:
    """The reverberation time (s) of a room (m) whose walls absorb nearly everything: Sabine's formula."""
    length, width, height = size
    surface = 2 * (length * width + length * height + width * height)
    return 0.1611 * np.prod(size) / (0.99 * surface)


def _pyroomacoustics() -> ModuleType:
    try:
        import pyroomacoustics
    except ImportError:
        raise SettingError("reverberation without dir= makes rooms with pyroomacoustics: pip install pyroomacoustics") from None
    return pyroomacoustics
