"""The front-end of detectors on raw waveforms: fixed band-pass filters."""

from dataclasses import dataclass, field

import numpy as np
import torch
from fairseq.dataclass import FairseqDataclass
from torch import Tensor, nn
from torch.nn import functional as F

from protocols.audio_format import SAMPLE_RATE

N_FILTERS, N_TAPS = 70, 129  # of AASIST and RawGAT-ST
MAX_MASKED = 19  # neighbouring filters that frequency masking silences at a time


@dataclass
class FilterBankConfig(FairseqDataclass):
    """The front-end of AASIST and RawGAT-ST."""

    frequency_masking: bool = field(
        default=False, metadata={"help": "silence up to 19 neighbouring filters of the front-end in training"}
    )


def mel_filters(n_filters: int, n_taps: int) -> Tensor:
    """Band-pass FIR filters side by side from 0 to 8 kHz, equally wide on the mel scale; filters x taps, float32.

    Each is the difference of two ideal low-pass responses under a Hamming window (Ravanelli and Bengio, SLT 2018).
    """
    highest = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, highest, n_filters + 1)[:, np.newaxis] / 2595) - 1)
    # Rounded to float32 at this point, like the filters that the published weights were trained with.
    periods = (2 * edges).astype(np.float32) * (np.arange(n_taps, dtype=np.float32) - n_taps // 2) / np.float32(SAMPLE_RATE)
    low_pass = 2 * edges / SAMPLE_RATE * np.sinc(periods)  # filters + 1 x taps
    return torch.from_numpy(np.hamming(n_taps).astype(np.float32) * np.diff(low_pass, axis=0).astype(np.float32))


class SincConvolution(nn.Module):
    """Waveforms, B x samples > magnitudes in frequency bands, B x filters x (samples - taps + 1), float32.

    With `frequency_masking` up to 19 neighbouring filters are silenced in training, the same ones for a whole batch.
    """

    def __init__(self, n_filters: int, n_taps: int, frequency_masking: bool = False) -> None:
        super().__init__()
        self.filters = mel_filters(n_filters, n_taps)
        self.frequency_masking = frequency_masking

    def forward(self, source: Tensor) -> Tensor:
        # Neither parameter nor buffer: no checkpoint holds the filters, and `.to(bfloat16)` must not round them.
        self.filters = self.filters.to(source.device)
        filters = self.filters
        if self.training and self.frequency_masking:
            filters = filters * self._mask().to(source.device)
        return F.conv1d(source.to(filters.dtype).unsqueeze(1), filters.unsqueeze(1)).abs()

    def _mask(self) -> Tensor:
        n_filters = len(self.filters)
        n_masked = int(torch.randint(MAX_MASKED + 1, ()))
        first = int(torch.randint(n_filters - n_masked + 1, ()))
        number = torch.arange(n_filters).unsqueeze(1)
        return (number < first) | (number >= first + n_masked)
