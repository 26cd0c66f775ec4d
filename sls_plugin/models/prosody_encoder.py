"""The prosody encoder: the student of prosody-content disentanglement, and all that scoring needs of it.

Its adversary, a frozen teacher and a discriminator, is part of training: sls_plugin/criterions/prosody_adversarial.py.
"""

from dataclasses import dataclass, field

from fairseq.dataclass import FairseqDataclass
from fairseq.models import register_model
from torch import Tensor, nn
from torch.nn import functional as F

from sls_plugin.modules.detector import Detector
from sls_plugin.modules.mel_spectrogram import WINDOW, MelSpectrogram

N_FEATURES = 256


@dataclass
class ProsodyEncoderConfig(FairseqDataclass):
    log_mel: bool = field(default=False, metadata={"help": "logarithms of the mel energies; the original takes them as they are"})


class ResidualBlock(nn.Module):
    """Two convolutions beside a projected shortcut: B x channels x bands x T, both sides divided by `stride`."""

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
class ProsodyEncoder(Detector):
    """Mel spectrogram > residual network > mean over bands and time > linear > two classes.

    Tensor names are those of the published model. It was trained on the first 4 s, zeros after the end (`--max-samples 64000
    --padding zero`), and takes any length. Output: logits, B x 2 (spoof, bona fide).
    """

    fewest_samples = WINDOW // 2 + 1  # the spectrogram mirrors half a window at the ends

    def __init__(self, cfg: ProsodyEncoderConfig) -> None:
        super().__init__()
        self.num_updates = 0
        self.mel_spectrogram = MelSpectrogram(cfg.log_mel)
        self.conv1 = nn.Conv2d(1, 64, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = ResidualBlock(64, 64, (1, 2))
        self.layer2 = ResidualBlock(64, 128, (2, 2))
        self.layer3 = ResidualBlock(128, 256, (2, 2))
        self.layer4 = ResidualBlock(256, 512, (2, 2))
        self.fc1 = nn.Linear(512, N_FEATURES)
        self.fc2 = nn.Linear(N_FEATURES, 2)

    def set_num_updates(self, num_updates: int) -> None:
        self.num_updates = num_updates  # the criterion's warm-up looks at it

    def forward(self, source: Tensor, with_features: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Logits (B x 2: spoof, bona fide) of waveforms (B x samples, float, 16 kHz); on request with the features, B x 256."""
        self.require_samples(source.shape[1])
        x = self.mel_spectrogram(source).unsqueeze(1)  # B x 1 x 80 x T
        x = F.relu(self.bn1(self.conv1(x.to(self.conv1.weight.dtype))))  # B x 64 x 80 x T
        x = self.layer2(self.layer1(x))  # B x 128 x 40 x T/4
        x = self.layer4(self.layer3(x))  # B x 512 x 10 x T/16
        features = F.relu(self.fc1(x.mean(dim=(2, 3))))
        # The authors count bona fide as 0 and spoof as 1. Tensors are theirs in every file; from here on the order is ours,
        # and p(bona fide) the score where they write p(spoof).
        logits = self.fc2(features).float().flip(1)
        return (logits, features) if with_features else logits

    def scores(self, output: Tensor) -> Tensor:
        """p(bona fide), one minus what the authors write; B."""
        return output.softmax(dim=1)[:, 1]
