"""Convolutions with a shortcut, in one dimension (RawNet2) and in two (AASIST, RawGAT-ST)."""

from itertools import pairwise

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Convolution > norm > activation > convolution, plus a shortcut; the sizes other than the channels stay the same."""

    def __init__(self, conv1: nn.Module, bn2: nn.Module, activation: nn.Module, conv2: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.conv1 = conv1
        self.bn2 = bn2
        self.activation = activation
        self.conv2 = conv2
        self.conv_downsample = shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.activation(self.bn2(self.conv1(x)))) + self.conv_downsample(x)

    def _keep_first_norm(self, bn1: nn.Module) -> None:
        # The authors compute this norm but do not use its output: published checkpoints hold its tensors.
        self.bn1 = bn1.requires_grad_(False)


class ResidualBlock1d(ResidualBlock):
    """The block of RawNet2; B x channels x T."""

    def __init__(self, n_in: int, n_out: int, first: bool = False) -> None:
        super().__init__(
            nn.Conv1d(n_in, n_out, 3, padding=1),
            nn.BatchNorm1d(n_out),
            nn.LeakyReLU(0.3),
            nn.Conv1d(n_out, n_out, 3, padding=1),
            nn.Identity() if n_in == n_out else nn.Conv1d(n_in, n_out, 1),
        )
        if not first:
            self._keep_first_norm(nn.BatchNorm1d(n_in))


class ResidualBlock2d(ResidualBlock):
    """The block of AASIST; B x channels x bands x T."""

    def __init__(self, n_in: int, n_out: int, first: bool = False) -> None:
        super().__init__(
            nn.Conv2d(n_in, n_out, (2, 3), padding=1),  # one band more
            nn.BatchNorm2d(n_out),
            nn.SELU(),
            nn.Conv2d(n_out, n_out, (2, 3), padding=(0, 1)),  # and one less
            nn.Identity() if n_in == n_out else nn.Conv2d(n_in, n_out, (1, 3), padding=(0, 1)),
        )
        if not first:
            self._keep_first_norm(nn.BatchNorm2d(n_in))


def residual_encoder(n_channels: int, pool: nn.Module) -> nn.Sequential:
    """Six blocks, each followed by `pool`: B x 1 x bands x T > B x channels x bands x T'."""
    sizes = [1, 32, 32, n_channels, n_channels, n_channels, n_channels]
    blocks = [ResidualBlock2d(n_in, n_out, first=n_in == 1) for n_in, n_out in pairwise(sizes)]
    return nn.Sequential(*(nn.Sequential(block, pool) for block in blocks))
