"""Fixtures that several folders of tests share."""

import os
import platform
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

TESTS = Path(__file__).resolve().parent
SHARED = TESTS.parents[1] / "shared"
# The same examples on every machine, however slow or busy it is.
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

CPUINFO = Path("/proc/cpuinfo")
INSTRUCTION_SETS = ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_fp16")  # those that arithmetic depends on
VARIABLES = ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "OMP_NUM_THREADS")


def pytest_report_header() -> list[str]:
    """The processor and the build of torch: the last digits of all results depend on them."""
    import torch

    cpuinfo = CPUINFO.read_text() if CPUINFO.exists() else ""
    model = re.search(r"^model name\s*: (.+)", cpuinfo, re.MULTILINE)
    flags = re.search(r"^flags\s*: (.+)", cpuinfo, re.MULTILINE)
    found = [name for name in INSTRUCTION_SETS if flags and name in flags[1].split()]
    onednn = re.search(r"MKL-DNN (v\S+)", torch.__config__.show())
    settings_given = [f"{name}={os.environ[name]}" for name in VARIABLES if name in os.environ]
    return [
        f"processor: {model[1] if model else platform.machine()}, {os.cpu_count()} cores, {' '.join(found) or 'no flags known'}",
        f"torch: {torch.__version__}, git {torch.version.git_version[:10]}, oneDNN {onednn[1] if onednn else 'none'}, "
        f"kernels for {torch.backends.cpu.get_cpu_capability()}, threads: {torch.get_num_threads()}",
        f"environment: {' '.join(settings_given) or 'none'}",
    ]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Trainings first: a file of them that starts last leaves the other cores idle."""
    items.sort(key=lambda item: not item.path.is_relative_to(TESTS / "recipes") and item.path.parent.name != "tasks")


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


@pytest.fixture
def patched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """fairseq as its own commands have it when they run our task; all of it is put back after the test."""
    from fairseq import checkpoint_utils, trainer
    from fairseq.distributed import utils
    from fairseq.file_io import PathManager
    from fairseq.logging.progress_bar import BaseProgressBar

    from sls_plugin.tasks.fairseq_patches import patch_fairseq

    replaced = {
        PathManager: ["copy"], sys: ["excepthook"], BaseProgressBar: ["_str_pipes"], trainer: ["build_ema"],
        utils: ["call_main", "_broadcast_object_slow"],
        checkpoint_utils: ["load_checkpoint_to_cpu", "load_model_ensemble_and_task", "save_checkpoint", "torch_persistent_save"],
    }  # fmt: skip
    for module, names in replaced.items():
        for name in names:
            monkeypatch.setattr(module, name, getattr(module, name))
    with warnings.catch_warnings():
        patch_fairseq()
        yield
