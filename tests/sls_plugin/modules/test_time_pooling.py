"""Pooling over time against loops over clips and frames."""

import math

import numpy as np
import pytest
import torch

from sls_plugin.modules.time_pooling import TimePooling


def frames(n_frames: int = 7) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(4).standard_normal((3, n_frames, 5)))


def naive_attention(pooling: TimePooling, clip: np.ndarray) -> np.ndarray:
    """The mean of a clip's frames (T x C), each weighted by the exponential of its score."""
    inner, _, outer = pooling.attention
    scores = [outer(torch.tanh(inner(torch.from_numpy(frame)))).item() for frame in clip]
    total = sum(math.exp(score) for score in scores)
    return sum(math.exp(score) / total * frame for score, frame in zip(scores, clip, strict=True))


@pytest.mark.parametrize("n_frames", [1, 7])
def test_pooled_clips_are_those_of_plain_loops(n_frames: int) -> None:
    torch.manual_seed(1)
    attention = TimePooling("attention", 5).double()
    x = frames(n_frames)
    naive = {
        "max": lambda clip: np.array([max(column) for column in clip.T]),
        "mean": lambda clip: sum(clip) / len(clip),
        "attention": lambda clip: naive_attention(attention, clip),
    }
    for name, expected in naive.items():
        pooling = attention if name == "attention" else TimePooling(name, 5)
        with torch.no_grad():
            pooled = pooling(x)
        assert pooled.shape == (3, 5)
        np.testing.assert_allclose(pooled, [expected(clip) for clip in x.numpy()], rtol=1e-12, atol=1e-12)


def test_only_attention_learns() -> None:
    assert {name: len(list(TimePooling(name, 5).parameters())) for name in ("max", "mean", "attention")} == {
        "max": 0,
        "mean": 0,
        "attention": 4,
    }


def test_attention_of_the_published_size() -> None:
    shapes = [tuple(parameter.shape) for parameter in TimePooling("attention", 1024).parameters()]
    assert shapes == [(128, 1024), (128,), (1, 128), (1,)]
