"""The naive reference of the graph family gives what the original implementations gave; one clip each."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reference import graph_reference
from reference.synthetic_weights import synthetic_tensor


def waveform() -> np.ndarray:
    return (0.05 * np.random.default_rng(5).standard_normal((2, 64_600), dtype=np.float32))[0].astype(np.float64)


def features() -> np.ndarray:
    return np.random.default_rng(2).standard_normal((2, 201, 1024), dtype=np.float32)[0].astype(np.float64)


@pytest.mark.parametrize(
    ("model", "seed", "keys", "output"),
    [
        ("aasist", 5, "AASIST", lambda w: graph_reference.aasist(w, waveform(), (0.5, 0.7, 0.5))),
        ("rawnet2", 5, "RawNet2_baseline", lambda w: graph_reference.rawnet2(w, waveform())),
        ("xlsr_aasist", 2, "ssl_aasist_full", lambda w: graph_reference.xlsr_aasist_head(w, features())),
    ],
)
def test_the_originals_output(model: str, seed: int, keys: str, output: Callable, shared: Path) -> None:
    shapes = json.loads((shared / "reference" / "keys" / f"{keys}.json").read_text())
    weights = {
        name: synthetic_tensor(name, entry["shape"]).double().numpy()
        for name, entry in shapes.items()
        if not name.startswith("ssl_model.")
    }
    expected = json.loads((shared / "reference" / "golden" / "heads.json").read_text())[model][str(seed)][0]
    np.testing.assert_allclose(output(weights), expected, rtol=0, atol=1e-5)
