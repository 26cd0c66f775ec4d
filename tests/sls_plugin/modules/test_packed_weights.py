"""Packed weights, against the parts of torch and fairseq that they stand for."""

import copy

import pytest
import torch
from fairseq.modules import MultiheadAttention
from torch import nn

from sls_plugin.modules.countermeasure import Countermeasure
from sls_plugin.modules.packed_weights import PackedLinear, PackedSelfAttention, pack_weights

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this build of torch has no oneDNN")
needs_bfloat16 = pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="this processor has no products of bfloat16"
)


@pytest.mark.parametrize("shape", [(1, 7), (201, 7), (5, 3, 7)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.bfloat16, marks=needs_bfloat16)])
def test_a_packed_layer_is_no_farther_from_the_truth(shape: tuple[int, ...], bias: bool, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    linear = nn.Linear(7, 33, bias=bias).to(dtype)
    packed = PackedLinear(linear.weight, linear.bias)
    x = torch.randn(shape).to(dtype)
    with torch.inference_mode():
        truth = copy.deepcopy(linear).double()(x.double())
        assert packed(x).dtype == dtype
        allowed = (linear(x) - truth).abs().max() * 1.5 + 1e-6
        assert (packed(x) - truth).abs().max() <= allowed


def test_a_copy_is_packed() -> None:
    linear = nn.Linear(4, 4)
    packed = PackedLinear(linear.weight, linear.bias)
    x = torch.randn(2, 4)
    with torch.inference_mode():
        before = packed(x)
        linear.weight.zero_()
        assert torch.equal(packed(x), before)


@pytest.mark.parametrize(("n_frames", "n_clips", "n_features", "n_heads"), [(1, 1, 8, 2), (9, 3, 24, 4), (201, 2, 64, 1)])
def test_attention_is_fairseqs(n_frames: int, n_clips: int, n_features: int, n_heads: int) -> None:
    torch.manual_seed(2)
    original = MultiheadAttention(n_features, n_heads, dropout=0.3, self_attention=True).eval()
    for parameter in original.parameters():
        nn.init.normal_(parameter, 0.1, n_features**-0.5)  # larger weights would make one key win, and rounding choose it
    x = torch.randn(n_frames, n_clips, n_features)
    with torch.inference_mode():
        expected, _ = original(x, x, x, need_weights=False)
        ours, _ = PackedSelfAttention(original)(query=x, key=x, value=x, key_padding_mask=None, need_weights=False)
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


def test_only_what_the_processor_can_multiply_is_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Packable(Countermeasure):
        packed = 0

        def pack_weights(self) -> None:
            self.packed += 1

    def packed(device: str, dtype: torch.dtype) -> int:
        model = Packable()
        pack_weights(model, device, dtype)
        return model.packed

    assert packed("cpu", torch.float32) == 1
    assert packed("cuda", torch.float32) == packed("cpu", torch.float16) == packed("cpu", torch.float64) == 0
    for supported in (True, False):
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda answer=supported: answer)
        assert packed("cpu", torch.bfloat16) == supported
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert packed("cpu", torch.float32) == 0
