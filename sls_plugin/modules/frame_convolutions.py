"""The convolutional front-end of wav2vec 2.0, computed frame by frame."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .packed_weights import PackedLinear


class FrameConvolutions(nn.Module):
    """Blocks of convolution > layer norm > GELU, as fairseq's `extractor_mode=layer_norm` has them; the same tensor names.

    On a CPU the features of a frame stay contiguous in memory: a convolution is a matrix product with the frames under its
    kernel, and the norm needs no copy. fairseq transposes twice in each block, which takes longer than all the rest.
    """

    def __init__(self, conv_layers: nn.ModuleList) -> None:
        super().__init__()
        self.conv_layers = conv_layers
        self.packed: list[PackedLinear] = []

    def pack_weights(self) -> None:
        """Prepare for faster scoring on a CPU; afterwards the module can only be used for inference."""
        self.packed = [PackedLinear(*self._as_linear(convolution)) for convolution, *_ in self.conv_layers]

    def forward(self, source: Tensor) -> Tensor:
        """Waveforms (B x samples) to features (B x C x T)."""
        if source.device.type == "cpu" and not torch.compiler.is_exporting():
            # Clip by clip, because the features of the first blocks are large: memory that is reused stays in the cache.
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
        """Weight (C x kC) and bias of the convolution as a linear layer on the frames under its kernel."""
        return convolution.weight.transpose(1, 2).flatten(1), convolution.bias
