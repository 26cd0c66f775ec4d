"""Names and shapes of the blocks that several detectors share: residual encoders and graph attention."""

from itertools import pairwise

from .shapes import Shapes, batch_norm, weight_and_bias

# The first norm of each residual block. Its output is discarded in the authors' code, so that it is never trained.
UNUSED_FIRST_NORM = r"(encoder(_[ST])?\.|block)\d\.(0\.)?bn1\."


def spectro_temporal_graphs(n_bands: int, n_channels: int) -> Shapes:
    """The part that AASIST and XLS-R + AASIST share: encoder, spectral and temporal graph, attention between the two."""
    tensors: Shapes = {"pos_S": (1, n_bands, n_channels)} | batch_norm("first_bn", 1) | residual_encoder("encoder", n_channels)
    for name in ("master1", "master2"):
        tensors[name] = (1, 1, n_channels)
    for name in ("GAT_layer_S", "GAT_layer_T"):
        tensors |= graph_attention(name, n_channels, n_channels)
    for name in ("HtrgGAT_layer_ST11", "HtrgGAT_layer_ST21"):
        tensors |= _joint_attention(name, n_channels, 32)
    for name in ("HtrgGAT_layer_ST12", "HtrgGAT_layer_ST22"):
        tensors |= _joint_attention(name, 32, 32)
    for name in ("pool_S", "pool_T"):
        tensors |= weight_and_bias(f"{name}.proj", 1, n_channels)
    for name in ("pool_hS1", "pool_hT1", "pool_hS2", "pool_hT2"):
        tensors |= weight_and_bias(f"{name}.proj", 1, 32)
    return tensors | weight_and_bias("out_layer", 2, 5 * 32)


def residual_encoder(name: str, n_channels: int) -> Shapes:
    """Six two-dimensional residual blocks; the last four have `n_channels`."""
    tensors: Shapes = {}
    channels = (1, 32, 32, *(n_channels,) * 4)
    for number, (n_in, n_out) in enumerate(pairwise(channels)):
        kernels = ((2, 3), (2, 3), (1, 3))
        tensors |= residual_block(f"{name}.{number}.0", n_in, n_out, first=number == 0, kernels=kernels)
    return tensors


def residual_block(name: str, n_in: int, n_out: int, first: bool, kernels: tuple[tuple[int, ...], ...]) -> Shapes:
    """Two convolutions and a shortcut, with one kernel each; the first block of an encoder has no norm in front."""
    tensors = {} if first else batch_norm(f"{name}.bn1", n_in)
    tensors |= weight_and_bias(f"{name}.conv1", n_out, n_in, *kernels[0]) | batch_norm(f"{name}.bn2", n_out)
    tensors |= weight_and_bias(f"{name}.conv2", n_out, n_out, *kernels[1])
    return tensors | (weight_and_bias(f"{name}.conv_downsample", n_out, n_in, *kernels[2]) if n_in != n_out else {})


def graph_attention(name: str, n_in: int, n_out: int) -> Shapes:
    tensors: Shapes = {f"{name}.att_weight": (n_out, 1)} | batch_norm(f"{name}.bn", n_out)
    for projection in ("att_proj", "proj_with_att", "proj_without_att"):
        tensors |= weight_and_bias(f"{name}.{projection}", n_out, n_in)
    return tensors


def _joint_attention(name: str, n_in: int, n_out: int) -> Shapes:
    """Attention over the nodes of both graphs and a master node."""
    tensors: Shapes = {f"{name}.att_weight{kind}": (n_out, 1) for kind in ("11", "22", "12", "M")}
    tensors |= weight_and_bias(f"{name}.proj_type1", n_in, n_in) | weight_and_bias(f"{name}.proj_type2", n_in, n_in)
    for projection in ("att_proj", "proj_with_att", "proj_without_att"):
        tensors |= weight_and_bias(f"{name}.{projection}", n_out, n_in)
        tensors |= weight_and_bias(f"{name}.{projection}M", n_out, n_in)
    return tensors | batch_norm(f"{name}.bn", n_out)
