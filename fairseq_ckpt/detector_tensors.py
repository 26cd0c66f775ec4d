"""The published detectors: names and shapes of their tensors, sizes taken from a file's own."""

from itertools import pairwise

from .shapes import Shapes, affine, batch_norm, below, count, size, under
from .wav2vec import Wav2Vec

BACKBONE = "ssl_model.model."


def sls(shapes: Shapes) -> Shapes:
    """XLS-R + SLS: Zhang, Wen, Hu, ACM MM 2024."""
    backbone = Wav2Vec.of(below(BACKBONE, shapes))
    n_features = backbone.n_features
    head = batch_norm("first_bn", 1) | affine("fc0", 1, n_features)
    n_pooled = n_features // 3
    pooled_frames = size(shapes, "fc1.weight", 1, 67 * n_pooled) // n_pooled
    head |= affine("fc1", n_features, pooled_frames * n_pooled) | affine("fc3", 2, n_features)
    return under(BACKBONE, backbone.tensors()) | head


def xlsr_aasist(shapes: Shapes) -> Shapes:
    """XLS-R + AASIST: Tak et al., Odyssey 2022."""
    backbone = Wav2Vec.of(below(BACKBONE, shapes))
    head = affine("LL", 128, backbone.n_features) | batch_norm("first_bn1", 64) | affine("attention.0", 128, 64, 1, 1)
    head |= batch_norm("attention.2", 128) | affine("attention.3", 64, 128, 1, 1)
    return under(BACKBONE, backbone.tensors()) | head | _graphs(n_bands=42, n_channels=64)


def xlsr_mamba(shapes: Shapes) -> Shapes:
    """XLSR-Mamba: Xiao, Das, IEEE SPL 2025."""
    backbone = Wav2Vec.of(below(BACKBONE, shapes))
    n_features = size(shapes, "conformer.norm_f.weight", 0, 144)
    head = batch_norm("first_bn", 1) | affine("LL", n_features, backbone.n_features)
    for direction in ("forward_layers", "backward_layers"):
        for number in range(count(shapes, rf"conformer\.{direction}\.(\d+)\.", 6)):
            head |= _mamba(f"conformer.{direction}.{number}", n_features)
    head |= {"conformer.norm_f.weight": (n_features,)}
    for name in ("f_attention_pool", "b_attention_pool"):
        head |= affine(f"conformer.{name}", 1, n_features)
    head |= affine("conformer.LL", n_features, 2 * n_features) | affine("conformer.classifier", 2, n_features)
    return under(BACKBONE, backbone.tensors()) | head


def aasist(shapes: Shapes) -> Shapes:
    """AASIST (64 channels) and AASIST-L (24): Jung et al., ICASSP 2022."""
    return _graphs(n_bands=23, n_channels=size(shapes, "encoder.2.0.conv1.weight", 0, 64))


def rawgat_st(shapes: Shapes) -> Shapes:
    """RawGAT-ST: Tak et al., ASVspoof workshop 2021."""
    n_nodes = size(shapes, "proj_S.weight", 1, 23)  # frames, pooled
    tensors = batch_norm("first_bn", 1) | _encoder("encoder_T", 64) | _encoder("encoder_S", 64)
    tensors |= _graph_attention("GAT_layer_T", 64, 32) | _graph_attention("GAT_layer_S", 64, 32)
    tensors |= _graph_attention("GAT_layer_ST", 32, 16)
    for name, n_features in (("pool_T", 32), ("pool_S", 32), ("pool_ST", 16)):
        tensors |= affine(f"{name}.proj", 1, n_features)
    tensors |= affine("proj_T", 12, 14) | affine("proj_S", 12, n_nodes) | affine("proj_ST", 1, 16)
    return tensors | affine("out_layer", 2, 7)


def rawnet2(shapes: Shapes) -> Shapes:
    """RawNet2 for anti-spoofing: Tak et al., ICASSP 2021."""
    tensors = batch_norm("first_bn", 20) | batch_norm("bn_before_gru", 128)
    channels = (20, 20, 20, 128, 128, 128, 128)
    for number, (n_in, n_out) in enumerate(pairwise(channels)):
        tensors |= _residual_block(f"block{number}.0", n_in, n_out, first=number == 0, kernels=((3,), (3,), (1,)))
        tensors |= affine(f"fc_attention{number}.0", n_out, n_out)
    for number, n_in in enumerate((128, 1024, 1024)):
        tensors |= {f"gru.weight_ih_l{number}": (3072, n_in), f"gru.weight_hh_l{number}": (3072, 1024)}
        tensors |= {f"gru.bias_ih_l{number}": (3072,), f"gru.bias_hh_l{number}": (3072,)}
    return tensors | affine("fc1_gru", 1024, 1024) | affine("fc2_gru", 2, 1024)


def prosody_encoder(shapes: Shapes) -> Shapes:
    """The prosody encoder of the prosody-content disentangled detector."""
    tensors = affine("conv1", 64, 1, 3, 3) | batch_norm("bn1", 64)
    channels = (64, 64, 128, 256, 512)
    for number, (n_in, n_out) in enumerate(pairwise(channels), start=1):
        name = f"layer{number}"
        tensors |= affine(f"{name}.conv1", n_out, n_in, 3, 3) | batch_norm(f"{name}.bn1", n_out)
        tensors |= affine(f"{name}.conv2", n_out, n_out, 3, 3) | batch_norm(f"{name}.bn2", n_out)
        tensors |= affine(f"{name}.shortcut.0", n_out, n_in, 1, 1) | batch_norm(f"{name}.shortcut.1", n_out)
    return tensors | affine("fc1", 256, 512) | affine("fc2", 2, 256)


def _graphs(n_bands: int, n_channels: int) -> Shapes:
    """What AASIST and XLS-R + AASIST share: the encoder, a graph of bands and one of frames, attention between them."""
    tensors: Shapes = {"pos_S": (1, n_bands, n_channels)} | batch_norm("first_bn", 1) | _encoder("encoder", n_channels)
    for name in ("master1", "master2"):
        tensors[name] = (1, 1, n_channels)
    for name in ("GAT_layer_S", "GAT_layer_T"):
        tensors |= _graph_attention(name, n_channels, n_channels)
    for name in ("HtrgGAT_layer_ST11", "HtrgGAT_layer_ST21"):
        tensors |= _joint_attention(name, n_channels, 32)
    for name in ("HtrgGAT_layer_ST12", "HtrgGAT_layer_ST22"):
        tensors |= _joint_attention(name, 32, 32)
    for name in ("pool_S", "pool_T"):
        tensors |= affine(f"{name}.proj", 1, n_channels)
    for name in ("pool_hS1", "pool_hT1", "pool_hS2", "pool_hT2"):
        tensors |= affine(f"{name}.proj", 1, 32)
    return tensors | affine("out_layer", 2, 5 * 32)


def _encoder(name: str, n_channels: int) -> Shapes:
    tensors: Shapes = {}
    channels = (1, 32, 32, *(n_channels,) * 4)
    for number, (n_in, n_out) in enumerate(pairwise(channels)):
        kernels = ((2, 3), (2, 3), (1, 3))
        tensors |= _residual_block(f"{name}.{number}.0", n_in, n_out, first=number == 0, kernels=kernels)
    return tensors


def _residual_block(name: str, n_in: int, n_out: int, first: bool, kernels: tuple[tuple[int, ...], ...]) -> Shapes:
    tensors = {} if first else batch_norm(f"{name}.bn1", n_in)
    tensors |= affine(f"{name}.conv1", n_out, n_in, *kernels[0]) | batch_norm(f"{name}.bn2", n_out)
    tensors |= affine(f"{name}.conv2", n_out, n_out, *kernels[1])
    return tensors | (affine(f"{name}.conv_downsample", n_out, n_in, *kernels[2]) if n_in != n_out else {})


def _graph_attention(name: str, n_in: int, n_out: int) -> Shapes:
    tensors: Shapes = {f"{name}.att_weight": (n_out, 1)} | batch_norm(f"{name}.bn", n_out)
    for projection in ("att_proj", "proj_with_att", "proj_without_att"):
        tensors |= affine(f"{name}.{projection}", n_out, n_in)
    return tensors


def _joint_attention(name: str, n_in: int, n_out: int) -> Shapes:
    tensors: Shapes = {f"{name}.att_weight{kind}": (n_out, 1) for kind in ("11", "22", "12", "M")}
    tensors |= affine(f"{name}.proj_type1", n_in, n_in) | affine(f"{name}.proj_type2", n_in, n_in)
    for projection in ("att_proj", "proj_with_att", "proj_without_att"):
        tensors |= affine(f"{name}.{projection}", n_out, n_in) | affine(f"{name}.{projection}M", n_out, n_in)
    return tensors | batch_norm(f"{name}.bn", n_out)


def _mamba(name: str, n_features: int) -> Shapes:
    """A layer of "Mamba" (Gu, Dao, 2023) with its defaults: state of 16, twice as wide inside, steps of rank 1/16."""
    n_inner, n_rank, n_states = 2 * n_features, -(-n_features // 16), 16
    tensors: Shapes = {
        f"{name}.mixer.A_log": (n_inner, n_states),
        f"{name}.mixer.D": (n_inner,),
        f"{name}.mixer.in_proj.weight": (2 * n_inner, n_features),
        f"{name}.mixer.x_proj.weight": (n_rank + 2 * n_states, n_inner),
        f"{name}.mixer.out_proj.weight": (n_features, n_inner),
        f"{name}.norm.weight": (n_features,),
    }
    return tensors | affine(f"{name}.mixer.conv1d", n_inner, 1, 4) | affine(f"{name}.mixer.dt_proj", n_inner, n_rank)
