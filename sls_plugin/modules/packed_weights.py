"""Linear layers with weights in the memory layout of the CPU's matrix products: faster inference, no training.

These are oneDNN's own linear operators, which torch.compile uses too; here they need neither compiling nor a compiler.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .countermeasure import Countermeasure


def pack_weights(model: Countermeasure, device: str, dtype: torch.dtype) -> None:
    """Pack the weights of a detector if this processor and this build of torch can use them."""
    on_cpu = device == "cpu" and torch.backends.mkldnn.is_available()
    if on_cpu and (dtype == torch.float32 or (dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported())):
        model.pack_weights()


class PackedLinear(nn.Module):
    """nn.Linear with a copy of the given weight (out x in) and bias."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach())
        self.bias = None if bias is None else bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")


class PackedSelfAttention(nn.Module):
    """fairseq's MultiheadAttention for the attention of a whole sequence to itself."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.num_heads = attention.num_heads
        projections = (attention.q_proj, attention.k_proj, attention.v_proj, attention.out_proj)
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (PackedLinear(each.weight, each.bias) for each in projections)

    def forward(self, query: Tensor, **as_fairseq: object) -> tuple[Tensor, None]:
        """T x B x C to the same; key and value are the query."""
        n_frames, n_clips, n_features = query.shape
        heads = (n_frames, n_clips, self.num_heads, n_features // self.num_heads)
        projected = (project(query).view(heads).permute(1, 2, 0, 3) for project in (self.q_proj, self.k_proj, self.v_proj))
        attended = F.scaled_dot_product_attention(*projected)  # B x heads x T x C / heads
        return self.out_proj(attended.permute(2, 0, 1, 3).reshape(query.shape)), None
