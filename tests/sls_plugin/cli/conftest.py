"""A small detector for the commands that score."""

from pathlib import Path

import pytest
from detectors import write_detector


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SLS on the small random backbone, for clips of 4,000 samples."""
    path = tmp_path_factory.mktemp("detector") / "sls.pt"
    write_detector(path, "sls_xlsr_300m", 4_000, "--w2v-path", str(tiny_checkpoint))
    return path
