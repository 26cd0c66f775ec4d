"""The examples in docstrings: all of them run, and print what they show."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import fairseq_ckpt
import protocols
import sls_plugin

MODULES = [
    module.name
    for package in (fairseq_ckpt, protocols, sls_plugin)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.name.endswith("__main__")
]


WITH_EXAMPLES = {
    "protocols.corpora",
    "protocols.published",
    "protocols.trial",
    "sls_plugin.data.audio",
    "sls_plugin.data.augmentation.rawboost",
    "sls_plugin.data.waveform",
    "sls_plugin.inference.windows",
    "sls_plugin.metrics.bootstrap",
    "sls_plugin.metrics.calibration",
    "sls_plugin.metrics.dcf",
    "sls_plugin.metrics.det",
    "sls_plugin.metrics.tdcf",
    "sls_plugin.scores.score_file",
}


@pytest.mark.parametrize("name", ["sls_plugin", *MODULES])
def test_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = doctest.testmod(importlib.import_module(name))
    assert outcome.failed == 0
    assert outcome.attempted > 0 or name not in WITH_EXAMPLES


def test_the_modules_with_examples_are_among_them() -> None:
    assert set(MODULES) >= WITH_EXAMPLES
