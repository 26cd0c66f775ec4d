"""The convolutional front-end of wav2vec 2.0, computed frame by frame."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .packed_weights import PackedLinear


class FrameConvolutions(nn.Module):
    """Convolution > layer norm > GELU, block after block, of a front-end that is built so; tensor names are fairseq's.

    On a CPU a frame's features stay side by side in memory: a convolution is a matrix product with the frames that it covers,
    and a norm needs no copy. fairseq turns features and frames around twice in each block, which costs more than the rest.
    """

    def __init__(self, conv_layers: nn.ModuleList) -> None:
        super().__init__()
        self.conv_layers = conv_layers
        self.packed: list[PackedLinear] = []

    def pack_weights(self) -> None:
        """Make ready to score on a CPU, and for that alone."""
        self.packed = [PackedLinear(*self._as_linear(convolution)) for convolution, *_ in self.conv_layers]

    def forward(self, source: Tensor) -> Tensor:
        """Waveforms (B x samples) to features (B x C x T)."""
        if source.device.type == "cpu" and not torch.compiler.is_exporting():
            # The first blocks' features are large: those of a single clip are written to the same memory again and again.
            return torch.stack([self._features(clip) for clip in source]).transpose(1, 2)
        x = source.unsqueeze(1)
        for block in self.conv_layers:
            x = block(x)
        return x

    def _features(self, clip: Tensor) -> Tensor:
        x = clip.unsqueeze(1)  # samples x 1
        for number, (convolution, _, (_, norm, _), _) in enumerate(self.conv_layers):
            covered = x.unfold(0, convolution.kernel_size[0], convolution.stride[0]).transpose(1, 2).flatten(1)  # T x kC
            x = self.packed[number](covered) if self.packed else F.linear(covered, *self._as_linear(convolution))  # T x C
            x = F.gelu(F.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps))
        return x

    @staticmethod
    def _as_linear(convolution: nn.Conv1d) -> tuple[Tensor, Tensor | None]:
        """Weight (C x kC) and bias of the same sums over what a frame covers."""
        return convolution.weight.transpose(1, 2).flatten(1), convolution.bias
