"""A fingerprint of a recording that level, sample rate, lossy coding and small shifts change little.

Source: Haitsma and Kalker, "A Highly Robust Audio Fingerprinting System" (ISMIR 2002): a bit for each band and frame says whether
the difference of energy to the next band has grown since an earlier frame. Frames, bands and distances are set for speech of
telephone bandwidth. To find copies among many clips each keeps a few of these words, always the same ones (Broder, "On the
resemblance and containment of documents", 1997).
"""

from dataclasses import dataclass

import numpy as np
from scipy.fft import rfft

from protocols.audio_format import SAMPLE_RATE

FRAME, HOP = 4_096, 256  # samples: a shift by half a hop, at worst, changes little of so long a frame
LAG = 8  # frames
N_BITS = 28  # of a word: more are the same less often in a coded copy, fewer are often the same by chance
BANDS = np.geomspace(300, 3_400, N_BITS + 2)  # Hz
LOUD_DB = 30  # below the loudest frame; more silent ones say nothing
N_WORDS = 48  # that a clip keeps
LONGEST_SHIFT = 20  # frames, 0.32 s
FEWEST_FRAMES = 16  # that two clips must have in common

_EDGES = np.round(BANDS * FRAME / SAMPLE_RATE).astype(int)
_WINDOW = np.hanning(FRAME).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprint:
    """A word for each frame, whose first `N_BITS` bits count, and whether the frame is loud enough to say something."""

    words: np.ndarray
    is_loud: np.ndarray


def fingerprint(waveform: np.ndarray) -> Fingerprint:
    """The fingerprint of a waveform at 16 kHz; it is empty below 0.4 s."""
    n_frames = (len(waveform) - FRAME) // HOP + 1
    if n_frames <= LAG:
        return Fingerprint(np.zeros(0, np.uint32), np.zeros(0, bool))
    frames = np.lib.stride_tricks.sliding_window_view(waveform.astype(np.float32), FRAME)[::HOP]
    power = np.abs(rfft(frames * _WINDOW, axis=1)[:, : _EDGES[-1]]) ** 2
    energies = np.add.reduceat(power, _EDGES[:-1], axis=1)
    slopes = np.diff(energies, axis=1)
    bits = np.zeros((n_frames - LAG, 32), bool)
    bits[:, :N_BITS] = slopes[LAG:] > slopes[:-LAG]
    loudness = energies[LAG:].sum(axis=1)
    is_loud = (loudness > 0) & (loudness >= loudness.max() / 10 ** (LOUD_DB / 10))
    return Fingerprint(np.packbits(bits, axis=1).view(">u4").ravel().astype(np.uint32), is_loud)


def kept_words(whole: Fingerprint) -> np.ndarray:
    """At most `N_WORDS` different words of loud frames: those whose hashes are lowest, so that copies keep the same ones."""
    words = np.unique(whole.words[whole.is_loud])
    words = words[words != 0]  # of no change at all, as in a tone
    return np.sort(words[np.argsort(_hashes(words), kind="stable")[:N_WORDS]])


def _hashes(words: np.ndarray) -> np.ndarray:
    """Well-mixed numbers of 64 bits (the finaliser of SplitMix64)."""
    mixed = words.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def distance(first: Fingerprint, second: Fingerprint) -> float:
    """The share of bits that differ where the clips are best aligned: 0 of copies, about 0.5 of others; 1 without an overlap."""
    shortest = min(len(first.words), len(second.words))
    found = [1.0]
    for shift in range(-LONGEST_SHIFT, LONGEST_SHIFT + 1):
        a, b = slice(max(shift, 0), None), slice(max(-shift, 0), None)
        n = min(len(first.words[a]), len(second.words[b]))
        loud = first.is_loud[a][:n] & second.is_loud[b][:n]
        if 2 * n >= shortest and loud.sum() >= FEWEST_FRAMES:
            differing = (first.words[a][:n] ^ second.words[b][:n])[loud]
            found.append(float(np.unpackbits(differing.view(np.uint8)).sum() / (N_BITS * differing.size)))
    return min(found)


def as_text(words: np.ndarray) -> str:
    """Words as hexadecimal digits, 8 each."""
    return words.astype(">u4").tobytes().hex()


def from_text(text: str) -> np.ndarray:
    """The words of `as_text`; ValueError where it is none of its texts."""
    return np.frombuffer(bytes.fromhex(text), ">u4").astype(np.uint32)
