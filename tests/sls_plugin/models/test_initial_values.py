"""The values that every head starts its training with, as the originals draw them: bounds, mean and spread."""

import math
import re
from collections import defaultdict
from collections.abc import Iterator

import pytest
import torch
from detectors import SEEDS, configuration
from fairseq.models import ARCH_MODEL_REGISTRY
from torch import Tensor, nn
from torch.nn import functional as F

from fairseq_ckpt.wav2vec.random_backbone import TINY
from sls_plugin.modules.conformer import sinusoids

# What is not drawn as torch draws it by default: uniformly, within 1 / sqrt(inputs of an output). First match counts.
NORMAL = {
    r"(pos_S|master\d)": lambda tensor: 1.0,
    r"att_weight(\d\d|M)?": lambda tensor: math.sqrt(2 / (len(tensor) + 1)),  # Xavier, n x 1
}
CONFORMERS_NORM = r"(ff\d\.fn|attn)\.norm|ht_norm|post_norm|conv\.net\.[05]"
NORM = rf"({CONFORMERS_NORM}|bns\.\d+|bn\d?|first_bn\d?|bn_before_gru|norm|norm_f|(?<!time_pooling\.)attention\.2|shortcut\.1)"
CONSTANT = {
    rf"{NORM}\.(weight|running_var)": 1.0,
    rf"{NORM}\.(bias|running_mean|num_batches_tracked)": 0.0,
    r"mixer\.D": 1.0,
    r"pos_embed": 0.0,
    r"mhfa\.weights_[kv]": 0.0,
} | {rf"weighted_sum\.{number}": 1 / (number + 2) for number in range(7)}
UNIFORM = {
    r"mixer\.out_proj\.weight": lambda inputs: 1 / math.sqrt(6 * inputs),  # six layers add to a residual stream
    r"gru\.\w+": lambda inputs: 1 / math.sqrt(1024),  # the size of its state
}
HEADS = (
    "sls_xlsr_300m", "xlsr_aasist_300m", "xlsr_mamba_300m", "xlsr_linear_300m", "xlsr_nes2net_x_300m",
    "xlsr_conformer_tcm_300m", "xlsr_mhfa_300m",
    "aasist", "rawgat_st", "rawnet2", "prosody_encoder",
)  # fmt: skip


def head(arch: str, seed: int) -> nn.Module:
    cfg = configuration(arch)
    if "w2v_args" in cfg:
        cfg.w2v_args = TINY | {"encoder_embed_dim": 64}
    torch.manual_seed(seed)
    return ARCH_MODEL_REGISTRY[arch].build_model(cfg)


def drawn(arch: str) -> Iterator[tuple[str, Tensor, int]]:
    """Name, values and, for weights and biases, the number of inputs of an output; the same tensor of several seeds."""
    for seed in SEEDS:
        state = head(arch, seed).state_dict()
        for name, tensor in state.items():
            weight = state.get(f"{name.removesuffix('bias')}weight", tensor)
            if not name.startswith("ssl_model."):
                yield name, tensor, math.prod(weight.shape[1:])


def rule(table: dict, name: str) -> object | None:
    return next((value for pattern, value in table.items() if re.search(rf"(^|\.){pattern}$", name)), None)


@pytest.mark.parametrize("arch", HEADS)
def test_every_tensor_starts_as_the_originals(arch: str) -> None:
    scaled: dict[str, list[Tensor]] = defaultdict(list)  # by its name without numbers: to mean 0 and spread 1
    for name, tensor, inputs in drawn(arch):
        if (constant := rule(CONSTANT, name)) is not None:
            assert (tensor == constant).all(), name
        elif name.endswith("positional_emb"):  # a fixed table
            torch.testing.assert_close(tensor[0], sinusoids(*tensor.shape[1:]))
        elif name.endswith("class_token"):  # uniform between 0 and 1
            assert 0 <= tensor.min() <= tensor.max() <= 1
            scaled[name].append((tensor - 0.5) * math.sqrt(12))
        elif name.endswith("mixer.A_log"):
            torch.testing.assert_close(tensor, torch.arange(1.0, 17).log().expand_as(tensor))
        elif name.endswith("dt_proj.bias"):  # softplus of it is spread over the logarithms of 0.001 to 0.1
            logarithms = F.softplus(tensor.double()).log10()
            assert -3 - 1e-3 <= logarithms.min() <= logarithms.max() <= -1 + 1e-3, name
            scaled[re.sub(r"\d+", "N", name)].append((logarithms + 2) * math.sqrt(3))
        elif normal := rule(NORMAL, name):
            scaled[re.sub(r"\d+", "N", name)].append(tensor.flatten() / normal(tensor))
        else:
            bound = (rule(UNIFORM, name) or (lambda inputs: 1 / math.sqrt(inputs)))(inputs)
            assert tensor.abs().max() <= bound * (1 + 1e-6), name
            scaled[re.sub(r"\d+", "N", name)].append(tensor.flatten() / bound * math.sqrt(3))
    for name, tensors in scaled.items():
        values = torch.cat([tensor.flatten().double() for tensor in tensors])
        assert abs(values.mean()) < 6 / math.sqrt(len(values)), name
        if len(values) >= 100:
            assert values.std().item() == pytest.approx(1, abs=6 / math.sqrt(2 * len(values))), name
