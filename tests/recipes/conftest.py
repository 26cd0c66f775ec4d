"""Miniatures of the corpora and a small backbone, for every experiment."""

from pathlib import Path

import pytest
from miniatures import make_corpora


@pytest.fixture(scope="session")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All corpora, below a folder with a blank in its name."""
    return make_corpora(tmp_path_factory.mktemp("all corpora"))


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random network of two layers in the layout of `xlsr2_300m.pt`."""
    from fairseq_ckpt.wav2vec.random_backbone import TINY, make_random  # slow to import, and not every test needs it

    path = tmp_path_factory.mktemp("backbone") / "random.pt"
    make_random(TINY | {"encoder_layers": 2, "encoder_embed_dim": 16, "encoder_ffn_embed_dim": 16}, path)
    return path
