"""The front-end of the prosody encoder."""

import numpy as np
import torch
from torch import Tensor, nn

from protocols.audio_format import SAMPLE_RATE

N_BANDS = 80
WINDOW, HOP = 400, 160  # samples: 25 ms every 10 ms
SILENCE = 1e-10  # below what the rounding to 16 bits leaves in a band; the logarithm goes no lower


def mel_bands() -> Tensor:
    """Triangles over the frequencies of a spectrum, equally wide on HTK's mel scale from 0 to 8 kHz; 80 x 201, float32.

    Each would reach 1 at its centre, if a frequency of the spectrum lay just there.
    """
    highest = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, highest, N_BANDS + 2)[:, np.newaxis] / 2595) - 1)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    frequencies = np.linspace(0, SAMPLE_RATE / 2, WINDOW // 2 + 1)
    triangles = np.minimum((frequencies - low) / (centre - low), (high - frequencies) / (high - centre))
    return torch.from_numpy(triangles.clip(min=0).astype(np.float32))


class MelSpectrogram(nn.Module):
    """Waveforms, B x samples > energies in mel bands, B x 80 x (samples // 160 + 1), float32; `log` for their logarithms.

    Power of the Fourier transform under a periodic Hann window, its first frame centred on the first sample; the ends of
    the waveform are mirrored (as torchaudio's MelSpectrogram does with these sizes). It needs more than 200 samples.
    """

    def __init__(self, log: bool = False) -> None:
        super().__init__()
        # Neither parameters nor buffers: no checkpoint holds them, and `.to(bfloat16)` must not round them.
        self.bands = mel_bands()
        self.window = torch.hann_window(WINDOW)
        self.log = log

    def forward(self, source: Tensor) -> Tensor:
        self.bands, self.window = self.bands.to(source.device), self.window.to(source.device)
        spectrum = torch.stft(source.float(), WINDOW, HOP, window=self.window, return_complex=True)  # B x 201 x T
        energies = self.bands @ torch.view_as_real(spectrum).square().sum(dim=3)  # B x 80 x T
        return energies.clamp(min=SILENCE).log() if self.log else energies
