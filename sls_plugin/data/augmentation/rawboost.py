"""RawBoost: raw-waveform noise for training (Tak et al., ICASSP 2022), with the draws and the output of the authors' code."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, repeat

import numpy as np
from fairseq.dataclass import FairseqDataclass
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import irfft, rfft
from scipy.signal import freqz

from protocols import SettingError
from protocols.audio_format import SAMPLE_RATE

NYQUIST = SAMPLE_RATE / 2


@dataclass
class RawBoostConfig(FairseqDataclass):
    """RawBoost, with the authors' name of each parameter in parentheses."""

    rawboost_algorithm: int = field(
        default=3,
        metadata={
            "help": "RawBoost: 0 none, 1 linear and non-linear convolutive noise (LnL), 2 impulsive signal-dependent "
            "noise (ISD), 3 stationary signal-independent noise (SSI), 4 LnL+ISD+SSI, 5 LnL+ISD, 6 LnL+SSI, "
            "7 ISD+SSI, 8 LnL and ISD in parallel"
        },
    )
    rawboost_n_bands: int = field(default=5, metadata={"help": "notch filters per filter (nBands)"})
    rawboost_min_frequency: float = field(default=20, metadata={"help": "lowest centre of a notch, Hz (minF)"})
    rawboost_max_frequency: float = field(default=8000, metadata={"help": "highest centre of a notch, Hz (maxF)"})
    rawboost_min_bandwidth: float = field(default=100, metadata={"help": "narrowest notch, Hz (minBW)"})
    rawboost_max_bandwidth: float = field(default=1000, metadata={"help": "widest notch, Hz (maxBW)"})
    rawboost_min_coefficients: int = field(default=10, metadata={"help": "fewest taps of a notch filter (minCoeff)"})
    rawboost_max_coefficients: int = field(default=100, metadata={"help": "most taps of a notch filter (maxCoeff)"})
    rawboost_min_gain: float = field(default=0, metadata={"help": "lowest gain of the linear part, dB (minG)"})
    rawboost_max_gain: float = field(default=0, metadata={"help": "highest gain of the linear part, dB (maxG)"})
    rawboost_min_bias: float = field(
        default=5, metadata={"help": "taken from the lowest gain for the non-linear parts, dB (minBiasLinNonLin)"}
    )
    rawboost_max_bias: float = field(
        default=20, metadata={"help": "taken from the highest gain for the non-linear parts, dB (maxBiasLinNonLin)"}
    )
    rawboost_n_orders: int = field(default=5, metadata={"help": "powers of the waveform in LnL (N_f)"})
    rawboost_max_impulses: float = field(default=10, metadata={"help": "largest share of samples hit by ISD, %% (P)"})
    rawboost_impulse_gain: float = field(default=2, metadata={"help": "gain of ISD (g_sd)"})
    rawboost_min_snr: float = field(default=10, metadata={"help": "lowest signal-to-noise ratio of SSI, dB (SNRmin)"})
    rawboost_max_snr: float = field(default=40, metadata={"help": "highest signal-to-noise ratio of SSI, dB (SNRmax)"})


class RawBoost:
    """Adds the noise of one RawBoost algorithm to a whole utterance at 16 kHz.

    >>> add_noise = RawBoost(RawBoostConfig(rawboost_algorithm=3))
    >>> waveform = np.sin(np.arange(16_000, dtype=np.float32))
    >>> noisy = add_noise(waveform, np.random.RandomState(1))
    >>> noisy.shape, noisy.dtype
    ((16000,), dtype('float32'))
    """

    def __init__(self, cfg: RawBoostConfig) -> None:
        lnl, isd, ssi = self._convolutive, self._impulsive, self._stationary
        chains = [(), (lnl,), (isd,), (ssi,), (lnl, isd, ssi), (lnl, isd), (lnl, ssi), (isd, ssi), (self._parallel,)]
        if not 0 <= cfg.rawboost_algorithm < len(chains):
            raise SettingError(f"--rawboost-algorithm {cfg.rawboost_algorithm}: RawBoost has algorithms 0 to 8")
        for end in ("min", "max"):
            centre, width = getattr(cfg, f"rawboost_{end}_frequency"), getattr(cfg, f"rawboost_{end}_bandwidth")
            if not 0 <= centre <= NYQUIST:
                raise SettingError(f"--rawboost-{end}-frequency {centre}: a notch lies between 0 and {NYQUIST:,.0f} Hz")
            if width <= 0:
                raise SettingError(f"--rawboost-{end}-bandwidth {width}: a notch is wider than 0 Hz")
        self.cfg = cfg
        self.chain = chains[cfg.rawboost_algorithm]

    def __call__(self, waveform: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """A noisy float32 copy of a float waveform (samples,); draws come from `rng` in the order of the authors' code.

        SSI alone does not normalise: its output may leave [-1, 1], as published.
        """
        if not np.issubdtype(waveform.dtype, np.floating):
            raise TypeError(f"RawBoost takes float samples in [-1, 1], not {waveform.dtype}: powers of integers wrap around")
        if len(waveform) == 0:
            raise ValueError("RawBoost takes no empty waveform")
        for noise in self.chain:
            waveform = noise(waveform, rng)
        return waveform.astype(np.float32)

    def _convolutive(self, waveform: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """LnL, paper section 2.1: a sum of powers of the waveform, each through a multi-band notch filter of its own."""
        cfg = self.cfg
        lower = cfg.rawboost_min_gain - cfg.rawboost_min_bias
        upper = cfg.rawboost_max_gain - cfg.rawboost_max_bias  # below `lower` by default, as published
        filters = [self._notch_filter(rng, cfg.rawboost_min_gain, cfg.rawboost_max_gain)]
        filters += [self._notch_filter(rng, lower, upper) for _ in range(1, cfg.rawboost_n_orders)]
        powers = accumulate(repeat(waveform.astype(np.float64), len(filters)), np.multiply)
        filtered = _filter(powers, filters)
        return _limit_peak(filtered - filtered.mean())

    def _impulsive(self, waveform: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """ISD, paper section 2.2: random samples, each changed in proportion to itself."""
        share = rng.uniform(0, self.cfg.rawboost_max_impulses) / 100
        hit = rng.permutation(len(waveform))[: int(len(waveform) * share)]
        factor = (2 * rng.rand(len(hit)) - 1) * (2 * rng.rand(len(hit)) - 1)
        noisy = waveform.copy()
        noisy[hit] += self.cfg.rawboost_impulse_gain * waveform[hit] * factor
        return _limit_peak(noisy)

    def _stationary(self, waveform: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """SSI, paper section 2.3: coloured stationary noise at a random signal-to-noise ratio."""
        cfg = self.cfg
        white = rng.standard_normal(len(waveform)).astype(np.float32)  # float32 is enough for noise far below the waveform
        noise = _filter([white], [self._notch_filter(rng, cfg.rawboost_min_gain, cfg.rawboost_max_gain)])
        snr = rng.uniform(cfg.rawboost_min_snr, cfg.rawboost_max_snr)
        return waveform + noise * (np.linalg.norm(waveform) / np.linalg.norm(noise) / 10 ** (snr / 20))

    def _parallel(self, waveform: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """Algorithm 8: LnL and ISD of the same waveform, summed; both contain the speech."""
        return _limit_peak(self._convolutive(waveform, rng) + self._impulsive(waveform, rng))

    def _notch_filter(self, rng: np.random.RandomState, min_gain: float, max_gain: float) -> np.ndarray:
        """Coefficients of random band-stop filters in series, scaled to a random gain (dB) at their spectral peak."""
        cfg, edge = self.cfg, 1e-3
        lowest = cfg.rawboost_min_frequency, cfg.rawboost_min_bandwidth, cfg.rawboost_min_coefficients
        highest = cfg.rawboost_max_frequency, cfg.rawboost_max_bandwidth, cfg.rawboost_max_coefficients
        coefficients = np.ones(1)
        for centre, width, n_taps in rng.uniform(lowest, highest, (cfg.rawboost_n_bands, 3)).tolist():
            low = centre - width / 2 if centre > width / 2 else edge
            high = centre + width / 2 if centre + width / 2 < NYQUIST else NYQUIST - edge
            coefficients = np.convolve(_band_stop(int(n_taps) | 1, low / NYQUIST, high / NYQUIST), coefficients)
        gain = rng.uniform(min_gain, max_gain)
        _, response = freqz(coefficients)
        return 10 ** (gain / 20) * coefficients / np.abs(response).max()


def _band_stop(n_taps: int, low: float, high: float) -> np.ndarray:
    """Taps of a band-stop filter between two frequencies (1 is Nyquist's): the ideal ones in a Hamming window, 0 dB at 0 Hz.

    The same as `scipy.signal.firwin`'s in a fifth of the time: LnL designs 25 filters for each waveform.
    """
    position = np.arange(n_taps) - n_taps // 2
    coefficients = low * np.sinc(low * position) - high * np.sinc(high * position)
    coefficients[n_taps // 2] += 1
    coefficients *= np.hamming(n_taps)
    return coefficients / coefficients.sum()


def _filter(waveforms: Iterable[np.ndarray], filters: Sequence[np.ndarray]) -> np.ndarray:
    """The sum of waveforms of one length, each through its own FIR filter, in their length and precision.

    Overlap-save: overlapping blocks are filtered and summed as spectra, and the start of each block, where circular
    convolution wraps around, is dropped. Like the published code this aligns one sample before a filter's centre.
    """
    lag = (max(map(len, filters)) + 1) // 2
    block = 16 << lag.bit_length()  # longer ones do not fit into the cache, shorter ones overlap too much
    step = block - 2 * lag
    spectra = 0
    for waveform, coefficients in zip(waveforms, filters, strict=True):
        blocks = sliding_window_view(np.pad(waveform, (lag, lag + -len(waveform) % step)), block)[::step]
        early = (len(coefficients) + 1) // 2
        response = rfft(np.pad(coefficients, (lag - early, 0)).astype(waveform.dtype), block)
        spectra = spectra + rfft(blocks) * response  # blocks x frequencies
    return irfft(spectra, block)[:, 2 * lag :].reshape(-1)[: len(waveform)]


def _limit_peak(waveform: np.ndarray) -> np.ndarray:
    """The waveform, scaled to a peak of 1 when it exceeds 1."""
    return waveform / max(1.0, np.abs(waveform).max())
