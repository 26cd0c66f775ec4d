"""The contract between self-supervised networks and the heads on top of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from protocols import SettingError

from .freezing import Freezable


class Backbone(Freezable, ABC):
    """A self-supervised network: waveforms (B x samples, 16 kHz) to the outputs of all its transformer layers.

    A subclass builds the network in `__init__`, defines the attributes below (as attributes or properties) and `embed`, and
    sets `cfg.w2v_args` to all that it needs to build the same network again without its pre-trained file. A network whose
    layers do not simply follow each other also overrides `states`.

    Waveforms may be float32 whatever the type of the weights.
    """

    n_features: int
    layers: Sequence[nn.Module]  # from the lowest on; each maps T x B x C to the same shape
    front_end: Sequence[nn.Module]  # all modules that come before the layers
    convolutions: Sequence[tuple[int, int]]  # kernel and stride of each stage from samples to frames
    final_norm: nn.Module  # behind the last layer; nn.Identity() in a network without one
    layerdrop: float = 0.0  # probability of skipping a layer in training

    @abstractmethod
    def embed(self, source: Tensor) -> Tensor:
        """Waveforms (B x samples) to the input of the first layer, T x B x C."""

    def run_layer(self, layer: nn.Module, x: Tensor) -> Tensor:
        """The output of a layer for its input, both T x B x C."""
        return layer(x)

    def attention_projections(self) -> Iterator[nn.Linear]:
        """Yields the projections of queries and values in all layers, for `--lora-rank`."""
        raise SettingError(f"--lora-rank: the backbone {type(self).__name__} takes no adapters: leave it out")

    def pack_weights(self) -> None:
        """Prepare for faster scoring on a CPU; afterwards the network can only be used for inference."""

    # What heads use

    @property
    def n_layers(self) -> int:
        return len(self.layers)

    def n_frames(self, n_samples: int) -> int:
        """The number of frames of a clip of `n_samples`."""
        for kernel, stride in self.convolutions:
            n_samples = (n_samples - kernel) // stride + 1
        return n_samples

    def min_samples(self, n_frames: int) -> int:
        """The smallest number of samples that gives `n_frames`."""
        for kernel, stride in reversed(self.convolutions):
            n_frames = (n_frames - 1) * stride + kernel
        return n_frames

    def layer_outputs(self, source: Tensor) -> Iterator[Tensor]:
        """Yields the output of each layer, T x B x C, before the final norm.

        Outputs are yielded one by one, so that callers can accumulate them without storing all of them. A layer that
        layerdrop skips in training is left out.
        """
        return islice(self.states(source), 1, None)

    def features(self, source: Tensor) -> Tensor:
        """The network's final output, B x T x C: that of the last layer, after the final norm."""
        for state in self.states(source):
            last = state
        return self.run(self.final_norm, last).transpose(0, 1)

    def hidden_states(self, source: Tensor) -> Iterator[Tensor]:
        """Yields the input of the first layer, the outputs of all layers but the last, and the final output, each T x B x C.

        25 for the 24 layers of XLS-R 300M, the last one after the final norm: the `hidden_states` of `transformers` before
        version 5. Versions 5.23 and 5.24 give the last one before that norm.
        """
        states = self.states(source)
        last = next(states)
        for state in states:
            yield last
            last = state
        yield self.run(self.final_norm, last)

    def freeze_final_norm(self) -> None:
        """Keep the final norm as pre-trained."""
        self.final_norm.requires_grad_(False)

    # The forward pass

    def states(self, source: Tensor) -> Iterator[Tensor]:
        """Yields the input of the first layer and the output of each layer, T x B x C."""
        if self.cfg.normalize:
            source = F.layer_norm(source, source.shape[1:])
        x = self.run(self.embed, source.to(next(self.parameters()).dtype))
        yield x
        for layer in self.layers:
            if layer.training and self.layerdrop > 0 and np.random.random() <= self.layerdrop:  # from numpy, as in fairseq
                continue
            x = self.run(partial(self.run_layer, layer), x)
            yield x

    def run(self, part: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """The output of a part of the network, without gradients while it is frozen.

        Gradients are switched here and not around `states`: a generator would switch them for its caller too.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.is_trained):
            if self.cfg.checkpoint_activations and torch.is_grad_enabled():
                return checkpoint(part, x, use_reentrant=False)
            return part(x)
