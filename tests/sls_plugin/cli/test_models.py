"""`sls models`: the catalogue against the models themselves."""

import subprocess
import sys

import pytest
import torch
from detectors import configuration, n_parameters
from fairseq.models import ARCH_MODEL_REGISTRY
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

import sls_plugin.tasks  # noqa: F401  (registers the models)
from fairseq_ckpt.presets import XLSR_300M
from sls_plugin.__main__ import main
from sls_plugin.catalogue import DETECTORS

CLIP = 64_600


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.arch)
def test_parameters_and_cost_are_those_of_the_model(detector):
    cfg = configuration(detector.arch)
    if "w2v_args" in cfg:
        cfg.w2v_args = XLSR_300M
    with FakeTensorMode(), torch.no_grad():  # the true size, without its memory
        model = ARCH_MODEL_REGISTRY[detector.arch].build_model(cfg).eval()
        with FlopCounterMode(display=False) as counter:
            model(torch.zeros(1, CLIP))
    assert n_parameters(model) == detector.n_parameters
    assert round(counter.get_total_flops() / 1e9, 1) == detector.gflop


def test_every_registered_detector_is_listed():
    registered = {arch for arch, model in ARCH_MODEL_REGISTRY.items() if model.__module__.startswith("sls_plugin.")}
    sized = {arch for arch in registered if arch not in ("sls", "xlsr_aasist", "xlsr_mamba", "xlsr_linear")}  # of any backbone
    assert {detector.arch for detector in DETECTORS} == sized


def test_the_table_fits_100_columns_and_needs_no_torch(capsys):
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[1].split()[:3] == ["sls_xlsr_300m", "340,790,021", "145.5"]
    code = "import sys; from sls_plugin.__main__ import main; main(['models']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n")
