"""The front-end of the prosody encoder."""

import numpy as np
import torch
from torch import Tensor, nn

from protocols.audio_format import SAMPLE_RATE

N_BANDS = 80
WINDOW, HOP = 400, 160  # samples: 25 ms every 10 ms
SILENCE = 1e-10  # less than the energy of 16-bit rounding noise in a band; smaller energies are raised to it


def mel_bands() -> Tensor:
    """Triangles over the frequencies of a spectrum, equally wide on HTK's mel scale from 0 to 8 kHz; 80 x 201, float32.

    The peak of each is 1, at its centre. Equal to librosa.filters.mel(sr=16_000, n_fft=400, n_mels=80, htk=True, norm=None),
    bit for bit; calling that would take 3 to 4 seconds in every process, for numba compiles parts of librosa.
    """
    highest = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, highest, N_BANDS + 2)[:, np.newaxis] / 2595) - 1)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    frequencies = np.linspace(0, SAMPLE_RATE / 2, WINDOW // 2 + 1)
    triangles = np.minimum((frequencies - low) / (centre - low), (high - frequencies) / (high - centre))
    return torch.from_numpy(triangles.clip(min=0).astype(np.float32))


class MelSpectrogram(nn.Module):
    """Waveforms, B x samples > energies in mel bands, B x 80 x (samples // 160 + 1), float32; `log` for their logarithms.

    Power of the Fourier transform under a periodic Hann window; the first frame is centred on the first sample, and the
    waveform is mirrored at its ends (as in torchaudio's MelSpectrogram with these sizes). It needs more than 200 samples.
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
