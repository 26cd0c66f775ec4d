"""The front-end of the prosody encoder."""

import torch
from torch import Tensor, nn

from protocols.recordings import SAMPLE_RATE

N_BANDS = 80
WINDOW, HOP = 400, 160  # samples: 25 ms every 10 ms
SILENCE = 1e-10  # less than the energy of 16-bit rounding noise in a band; smaller energies are raised to it


class MelSpectrogram(nn.Module):
    """Waveforms, B x samples > energies in mel bands, B x 80 x (samples // 160 + 1), float32; `log` for their logarithms.

    Power of the Fourier transform under a periodic Hann window; the first frame is centred on the first sample, and the
    waveform is mirrored at its ends. The bands are triangles with a peak of 1, equally wide on HTK's mel scale from 0 to
    8 kHz (as in torchaudio's MelSpectrogram with these sizes). It needs more than 200 samples.
    """

    def __init__(self, log: bool = False) -> None:
        super().__init__()
        from librosa.filters import mel  # slow to import, and only this detector needs it

        # Neither parameters nor buffers: no checkpoint holds them, and `.to(bfloat16)` must not round them.
        self.bands = torch.from_numpy(mel(sr=SAMPLE_RATE, n_fft=WINDOW, n_mels=N_BANDS, htk=True, norm=None))  # 80 x 201
        self.window = torch.hann_window(WINDOW)
        self.log = log

    def forward(self, source: Tensor) -> Tensor:
        self.bands, self.window = self.bands.to(source.device), self.window.to(source.device)
        spectrum = torch.stft(source.float(), WINDOW, HOP, window=self.window, return_complex=True)  # B x 201 x T
        energies = self.bands @ torch.view_as_real(spectrum).square().sum(dim=3)  # B x 80 x T
        return energies.clamp(min=SILENCE).log() if self.log else energies
