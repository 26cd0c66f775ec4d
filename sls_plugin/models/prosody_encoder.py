"""The prosody encoder: the student of prosody-content disentanglement.

The frozen teacher and the discriminator are needed in training only: sls_plugin/criterions/prosody_adversarial.py.
"""

from dataclasses import dataclass, field

from fairseq.dataclass import FairseqDataclass
from fairseq.models import register_model
from torch import Tensor, nn
from torch.nn import functional as F

from sls_plugin.modules.fairseq_detector import FairseqDetector
from sls_plugin.modules.mel_spectrogram import WINDOW, MelSpectrogram

N_FEATURES = 256


@dataclass
class ProsodyEncoderConfig(FairseqDataclass):
    """The input of the network."""

    log_mel: bool = field(
        default=False, metadata={"help": "use the logarithm of the mel energies (the original uses the energies)"}
    )


class StridedResidualBlock(nn.Module):
    """Two convolutions and a projected shortcut: B x channels x bands x T, where `stride` divides bands and T."""

    def __init__(self, n_in: int, n_out: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, padding=1)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.shortcut = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride), nn.BatchNorm2d(n_out))

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(inner)) + self.shortcut(x))


@register_model("prosody_encoder", dataclass=ProsodyEncoderConfig)
class ProsodyEncoder(FairseqDetector):
    """Mel spectrogram > residual network > mean over bands and time > linear > two classes.

    Tensor names are those of the published model. It was trained on the first 4 s, padded with zeros (`--max-samples 64000
    --padding zero`), and takes clips of any length. Output: logits, B x 2 (spoof, bona fide).
    """

    min_samples = WINDOW // 2 + 1  # the spectrogram mirrors half a window at the ends
    returns_features = True

    def __init__(self, cfg: ProsodyEncoderConfig) -> None:
        super().__init__()
        self.mel_spectrogram = MelSpectrogram(cfg.log_mel)
        self.conv1 = nn.Conv2d(1, 64, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = StridedResidualBlock(64, 64, (1, 2))
        self.layer2 = StridedResidualBlock(64, 128, (2, 2))
        self.layer3 = StridedResidualBlock(128, 256, (2, 2))
        self.layer4 = StridedResidualBlock(256, 512, (2, 2))
        self.fc1 = nn.Linear(512, N_FEATURES)
        self.fc2 = nn.Linear(N_FEATURES, 2)

    def forward(self, source: Tensor, with_features: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Logits (B x 2: spoof, bona fide) of waveforms (B x samples, float, 16 kHz), and on request features, B x 256."""
        self.require_samples(source.shape[1])
        x = self.mel_spectrogram(source).unsqueeze(1)  # B x 1 x 80 x T
        x = F.relu(self.bn1(self.conv1(x.to(self.conv1.weight.dtype))))  # B x 64 x 80 x T
        x = self.layer2(self.layer1(x))  # B x 128 x 40 x T/4
        x = self.layer4(self.layer3(x))  # B x 512 x 10 x T/16
        features = F.relu(self.fc1(x.mean(dim=(2, 3))))
        # The authors' classes are 0: bona fide, 1: spoof, and their checkpoints keep that order; our outputs are flipped.
        # The score is p(bona fide) where they write p(spoof).
        logits = self.fc2(features).float().flip(1)
        return (logits, features) if with_features else logits

    def scores(self, output: Tensor) -> Tensor:
        """p(bona fide), one minus the authors' score; B."""
        return output.softmax(dim=1)[:, 1]
