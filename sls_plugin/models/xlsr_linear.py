"""Two-stage XLS-R (github.com/hhuydaugg/wav2vec2): the last hidden state, pooled by attention, and a small classifier.

Stage 1 trains the head on a frozen backbone, 15 epochs at 5e-4; stage 2 goes on from its best epoch and trains the top 8 of 24
layers too, 3 epochs at 2e-5. `recipes/experiments/two_stage` has both. Without the choice of the epoch, and with N updates per
epoch, they are one run:

    --arch xlsr_linear_300m --max-samples 80000 --padding zero_normalized --batch-size 16 --class-weights balanced
    --freeze-backbone-updates 15N --freeze-below-layer 16 --max-update 18N --clip-norm 1.0
    --optimizer adamw --rawboost-algorithm 0 --lr-scheduler two_stage --lr 5e-4,2e-5
"""

from dataclasses import dataclass, field

from fairseq.models import register_model, register_model_architecture
from torch import Tensor, nn

from sls_plugin.modules.output_layer import build_output_layer
from sls_plugin.modules.time_pooling import Pooling, TimePooling

from .backbones import BackboneDetector, BackboneDetectorConfig, build_backbone

N_HIDDEN = 256
DROPOUT = 0.1


@dataclass
class XLSRLinearConfig(BackboneDetectorConfig):
    """How the head pools frames."""

    pooling: Pooling = field(
        default="attention", metadata={"help": "pooling over time: maximum, mean, or mean with attention weights"}
    )


@register_model("xlsr_linear", dataclass=XLSRLinearConfig)
class XLSRLinear(BackboneDetector):
    """Last hidden state > pooling over time > linear > ReLU > dropout > linear.

    The backbone's final norm stays as pre-trained, in the second stage too. Output: logits, B x 2 (spoof, bona fide).
    """

    def __init__(self, cfg: XLSRLinearConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.ssl_model = build_backbone(cfg)
        self.ssl_model.freeze_final_norm()
        self.min_samples = self.ssl_model.min_samples(1)
        n_features = self.ssl_model.n_features
        self.time_pooling = TimePooling(str(cfg.pooling), n_features)
        self.classifier = nn.Sequential(
            nn.Linear(n_features, N_HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT), build_output_layer(self.output_layer, N_HIDDEN)
        )
        self.scale_head_learning_rate()

    def forward(self, source: Tensor) -> Tensor:
        """Logits (B x 2: spoof, bona fide) of waveforms (B x samples, float, 16 kHz)."""
        self.require_samples(source.shape[1])
        return self.head(self.ssl_model.features(source))

    def head(self, features: Tensor) -> Tensor:
        """The classifier on top of the backbone's final output, B x T x C."""
        return self.classifier(self.time_pooling(features)).float()

    def scores(self, output: Tensor) -> Tensor:
        """p(bona fide), as the authors write it, in single precision, or the cosine; B."""
        return output.softmax(dim=1)[:, 1] if self.output_layer == "linear" else super().scores(output)


@register_model_architecture("xlsr_linear", "xlsr_linear_300m")
def xlsr_linear_300m(cfg: XLSRLinearConfig) -> None:
    """The published system; the backbone's size comes from the checkpoint that `--w2v-path` names."""
