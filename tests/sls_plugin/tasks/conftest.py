"""A small made corpus and a small backbone to train on."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from commands import SPLITS

from fairseq_ckpt.wav2vec.random_backbone import TINY, make_random
from protocols import Trial, write_manifest


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifests and recordings: coloured noise is bona fide, tones in noise are spoof; shorter and longer than a clip."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(7)
    for split, n_trials in SPLITS.items():
        trials = []
        for number in range(n_trials):
            name, label = f"{split}_{number}", ("bonafide", "spoof", "spoof")[number % 3]
            samples = rng.normal(scale=0.1, size=rng.integers(4_800, 14_400))
            if label == "spoof":
                samples += 0.1 * np.sin(np.arange(len(samples)) * rng.uniform(0.05, 0.5))
            soundfile.write(folder / f"{name}.flac", samples, 16_000)
            trials.append(Trial(name, f"{name}.flac", label, len(samples)))
        write_manifest(folder / f"{split}.tsv", trials)
    return folder


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("backbone") / "random.pt"
    make_random(TINY | {"encoder_layers": 2, "encoder_embed_dim": 16, "encoder_ffn_embed_dim": 16}, path)
    return path
