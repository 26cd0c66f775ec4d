"""SLS computed as plainly as possible, with the published double pass, for the tests to compare with.

Zhang, Wen, Hu, "Audio Deepfake Detection with Self-Supervised XLS-R and SLS Classifier", ACM Multimedia 2024.
"""

import torch
from fairseq.models.wav2vec import Wav2Vec2Model
from torch import nn
from torch.nn import functional as F


class ReferenceSLS(nn.Module):
    """XLS-R > every layer's states > sigmoid gate per layer > sum > BN, SELU, max-pool > fc1 > fc3 > log-softmax."""

    def __init__(self, wav2vec2_model: Wav2Vec2Model, n_frames: int) -> None:
        super().__init__()
        n_features = wav2vec2_model.cfg.encoder_embed_dim
        self.ssl_model = nn.Module()
        self.ssl_model.model = wav2vec2_model
        self.first_bn = nn.BatchNorm2d(1)
        self.fc0 = nn.Linear(n_features, 1)
        self.fc1 = nn.Linear((n_frames // 3) * (n_features // 3), n_features)
        self.fc3 = nn.Linear(n_features, 2)

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """Waveforms (B, samples) to log-probabilities (B, 2) of spoof and bona fide."""
        return self.head(self.layer_outputs(waveform))

    def layer_outputs(self, waveform: torch.Tensor) -> list[torch.Tensor]:
        """Each transformer layer's output (T, B, C), before the final layer norm."""
        # The published model runs its backbone twice, and the first result reaches nothing.
        self.ssl_model.model(waveform, mask=False, features_only=True)["x"]
        layer_results = self.ssl_model.model(waveform, mask=False, features_only=True)["layer_results"]
        return [layer[0] for layer in layer_results]

    def head(self, layer_outputs: list[torch.Tensor]) -> torch.Tensor:
        """Layer outputs, each (T, B, C), to log-probabilities (B, 2)."""
        pooled = []
        full = []
        for layer in layer_outputs:
            frames = layer.transpose(0, 1)  # B x T x C
            pooled.append(frames.mean(dim=1))
            full.append(frames)
        pooled = torch.stack(pooled, dim=1)  # B x L x C
        full = torch.stack(full, dim=1)  # B x L x T x C

        gate = torch.sigmoid(self.fc0(pooled))  # B x L x 1
        fused = torch.sum(gate.unsqueeze(3) * full, dim=1)  # B x T x C

        image = fused.unsqueeze(1)  # B x 1 x T x C
        image = F.selu(self.first_bn(image))
        image = F.max_pool2d(image, (3, 3))
        flat = torch.flatten(image, start_dim=1)
        hidden = F.selu(self.fc1(flat))
        # The published model also applies SELU to its two logits.
        logits = F.selu(self.fc3(hidden))
        return F.log_softmax(logits, dim=1)


def reference_loss(
    log_probabilities: torch.Tensor, labels: torch.Tensor, class_weights: tuple[float, float] = (0.1, 0.9)
) -> torch.Tensor:
    """Cross-entropy of (B, 2) log-probabilities, weighted (spoof, bona fide), divided by the weights in the batch."""
    weight = torch.tensor(class_weights, dtype=log_probabilities.dtype)
    return nn.CrossEntropyLoss(weight=weight)(log_probabilities, labels)
