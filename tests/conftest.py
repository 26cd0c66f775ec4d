"""Fixtures that several folders of tests share."""

from pathlib import Path

import pytest
from hypothesis import settings

SHARED = Path(__file__).resolve().parents[2] / "shared"
settings.register_profile("steady", deadline=None, derandomize=True)  # the same examples on every machine, however slow
settings.load_profile("steady")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The reference data beside the checkout; what it holds is for tests only and never part of the project."""
    if not SHARED.is_dir():
        pytest.skip("the reference data (../shared) is not beside this checkout")
    return SHARED


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random backbone (4 layers of 48 features) in the layout of `xlsr2_300m.pt`."""
    from fairseq_ckpt.wav2vec.random_backbone import TINY, make_random  # slow to import, and not every test needs it

    path = tmp_path_factory.mktemp("checkpoint") / "tiny.pt"
    make_random(TINY, path)
    return path
