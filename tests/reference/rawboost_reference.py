"""RawBoost computed as plainly as possible, for the tests to compare with.

Tak, Kamble, Patino, Todisco, Evans, "RawBoost: A Raw Data Boosting and Augmentation Method applied to Automatic
Speaker Verification Anti-Spoofing", ICASSP 2022. A comment marked "Decided" stands where the words leave a choice:
there the alternatives miss the outputs of the published implementation, and the one written here meets them all.
"""

import re

import numpy as np
from scipy.signal import firwin, freqz, lfilter

SAMPLE_RATE = 16000

PUBLISHED_DEFAULTS = {
    "nBands": 5,
    "minF": 20,
    "maxF": 8000,
    "minBW": 100,
    "maxBW": 1000,
    "minCoeff": 10,
    "maxCoeff": 100,
    "minG": 0,
    "maxG": 0,
    "minBiasLinNonLin": 5,
    "maxBiasLinNonLin": 20,
    "N_f": 5,
    "P": 10,
    "g_sd": 2,
    "SNRmin": 10,
    "SNRmax": 40,
}


def process(waveform: np.ndarray, algorithm: int, rng: np.random.RandomState, **parameters: float) -> np.ndarray:
    """Augment a 16 kHz waveform with algorithm 0 to 8, any published parameter changed by its published name."""
    unknown = set(parameters) - set(PUBLISHED_DEFAULTS)
    if unknown:
        raise TypeError(f"not a RawBoost parameter: {sorted(unknown)}")
    values = {**PUBLISHED_DEFAULTS, **parameters}
    if algorithm == 8:
        # Decided: both hear the original waveform, and the convolutive noise draws first.
        filtered = convolutive_noise(waveform, rng, values)
        struck = impulsive_noise(waveform, rng, values)
        return normalise_if_clipping(filtered + struck)
    series = {
        0: [],
        1: [convolutive_noise],
        2: [impulsive_noise],
        3: [stationary_noise],
        4: [convolutive_noise, impulsive_noise, stationary_noise],
        5: [convolutive_noise, impulsive_noise],
        6: [convolutive_noise, stationary_noise],
        7: [impulsive_noise, stationary_noise],
    }
    for add_noise in series[algorithm]:
        waveform = add_noise(waveform, rng, values)
    return waveform


def convolutive_noise(x: np.ndarray, rng: np.random.RandomState, values: dict[str, float]) -> np.ndarray:
    """Linear and non-linear convolutive noise (LnL): the sum of differently filtered powers of the waveform."""
    total = np.zeros(len(x))
    for order in range(1, int(values["N_f"]) + 1):
        lowest_gain, highest_gain = values["minG"], values["maxG"]
        if order > 1:
            # Decided: -5 dB stands as the lower and -20 dB as the upper bound; sorting them gives other gains.
            lowest_gain = lowest_gain - values["minBiasLinNonLin"]
            highest_gain = highest_gain - values["maxBiasLinNonLin"]
        coefficients = notch_filter(rng, values, lowest_gain, highest_gain)
        total = total + filter_and_align(np.power(x, order), coefficients)
    return normalise_if_clipping(total - np.mean(total))


def impulsive_noise(x: np.ndarray, rng: np.random.RandomState, values: dict[str, float]) -> np.ndarray:
    """Impulsive signal-dependent noise (ISD): single samples changed in proportion to themselves."""
    percent = rng.uniform(0, values["P"])
    # Decided: rounded down, so that a short waveform may be left as it is.
    count = int(len(x) * (percent / 100))
    positions = rng.permutation(len(x))[:count]
    first = 2 * rng.random_sample(count) - 1
    second = 2 * rng.random_sample(count) - 1
    struck = np.array(x)
    struck[positions] = x[positions] + values["g_sd"] * x[positions] * first * second
    return normalise_if_clipping(struck)


def stationary_noise(x: np.ndarray, rng: np.random.RandomState, values: dict[str, float]) -> np.ndarray:
    """Stationary signal-independent noise (SSI): coloured noise at a random signal-to-noise ratio."""
    white = rng.normal(0, 1, len(x))
    noise = filter_and_align(white, notch_filter(rng, values, values["minG"], values["maxG"]))
    noise = noise / np.max(np.abs(noise))
    decibels = rng.uniform(values["SNRmin"], values["SNRmax"])
    return x + noise / np.linalg.norm(noise) * np.linalg.norm(x) / 10 ** (decibels / 20)


def notch_filter(
    rng: np.random.RandomState, values: dict[str, float], lowest_gain: float, highest_gain: float
) -> np.ndarray:
    """Coefficients of several random band-stop filters in a row, with a random gain (dB) at the loudest frequency."""
    coefficients = np.ones(1)
    for _ in range(int(values["nBands"])):
        centre = rng.uniform(values["minF"], values["maxF"])
        width = rng.uniform(values["minBW"], values["maxBW"])
        # Decided: rounded down first, and only then an even number goes up by one.
        taps = int(rng.uniform(values["minCoeff"], values["maxCoeff"]))
        if taps % 2 == 0:
            taps = taps + 1
        lower, upper = centre - width / 2, centre + width / 2
        # Decided: only an edge outside the band moves, and by no more than a thousandth of a hertz into it.
        if lower <= 0:
            lower = 1e-3
        if upper >= SAMPLE_RATE / 2:
            upper = SAMPLE_RATE / 2 - 1e-3
        band_stop = firwin(taps, [lower, upper], window="hamming", fs=SAMPLE_RATE)
        coefficients = np.convolve(band_stop, coefficients)
    gain = rng.uniform(lowest_gain, highest_gain)
    # Decided: the peak is looked for at 512 frequencies from 0 up to, but not at, half the sampling rate.
    _, response = freqz(coefficients, 1, worN=512)
    return 10 ** (gain / 20) * coefficients / np.max(np.abs(response))


def filter_and_align(x: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """The filtered waveform, as long as before, (taps + 1) / 2 samples earlier than the filter gives it."""
    # Decided: the centre of the filter lies (taps - 1) / 2 samples in, so the result is one sample early.
    shift = (len(coefficients) + 1) // 2
    filtered = lfilter(coefficients, 1, np.concatenate([x, np.zeros(2 * shift)]))
    return filtered[shift : shift + len(x)]


def normalise_if_clipping(x: np.ndarray) -> np.ndarray:
    """Divide by the peak where the peak is above 1."""
    peak = np.max(np.abs(x))
    return x / peak if peak > 1 else x


def golden_case(key: str) -> tuple[int, int, dict[str, int]]:
    """Algorithm, seed and changed parameters of an entry `algo<k>_seed<n>[_changed parameters]` of rawboost.npz."""
    algorithm, seed, changed = re.fullmatch(r"algo(\d)_seed(\d+)(?:_(.+))?", key).groups()
    parameters = re.findall(r"([A-Za-z][A-Za-z_]*)(\d+)", changed or "")
    return int(algorithm), int(seed), {name: int(value) for name, value in parameters}
