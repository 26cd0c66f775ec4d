"""`sls models`: the cards of the detectors against the models themselves."""

import re
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import pytest
import torch
from detectors import build_published_size, n_parameters
from fairseq.models import ARCH_MODEL_NAME_REGISTRY, ARCH_MODEL_REGISTRY
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

import sls_plugin.tasks  # noqa: F401  (registers the models)
from fairseq_ckpt.detectors import CARDS, DETECTORS, find_detector
from fairseq_ckpt.identification import PRETRAINED
from sls_plugin.__main__ import main
from sls_plugin.cli.models import table

CLIP = 64_600
README = Path(__file__).parents[3] / "README.md"


def printed_table(capsys):
    """The cells of `sls models`, a list per line, its header first."""
    assert main(["models"]) == 0
    table, _ = capsys.readouterr().out.split("\n\n", maxsplit=1)
    return [re.split(r"  +", line) for line in table.splitlines()]


def readme_table():
    """The same from the README: cells without code marks and remarks, a dash for an empty one."""
    lines = README.read_text(encoding="utf-8").splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("| `--arch` | parameters"))
    header, _, *rows = takewhile(lambda line: line.startswith("|"), lines[first:])
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in (header, *rows)]
    return [[re.sub(r"`([^`]*)`(: .*)?", r"\1", cell) or "-" for cell in line] for line in cells]


@pytest.mark.parametrize("card", CARDS.values(), ids=lambda card: card.arch)
def test_parameters_and_cost_are_those_of_the_model(card):
    with FakeTensorMode(), torch.no_grad():  # the true size, without its memory
        model = build_published_size(card.arch).eval()
        with FlopCounterMode(display=False) as counter:
            model(torch.zeros(1, CLIP))
    assert n_parameters(model) == card.n_parameters
    assert round(counter.get_total_flops() / 1e9, 1) == card.gflop


def test_every_registered_detector_is_listed():
    registered = {arch for arch, model in ARCH_MODEL_REGISTRY.items() if model.__module__.startswith("sls_plugin.")}
    of_any_backbone = {"sls", "xlsr_aasist", "xlsr_mamba", "xlsr_linear", "xlsr_nes2net_x", "xlsr_conformer_tcm", "xlsr_mhfa"}
    sized = registered - of_any_backbone
    assert CARDS.keys() == sized
    assert set.union(*(detector.names for detector in DETECTORS)) == registered


def test_the_readme_says_the_same(capsys):
    """Row by row, in any order."""
    header, *rows = readme_table()
    printed_header, *printed_rows = printed_table(capsys)
    assert sorted(rows) == sorted(printed_rows) == sorted(list(row) for row in table())
    assert [column.replace("In-the-Wild", "wild").split(" (")[0] for column in header] == printed_header


def test_every_detector_whose_original_files_are_read_says_so(capsys):
    """The model that such a file becomes is this one."""
    for arch, is_read in zip(CARDS, [row[-1] for row in printed_table(capsys)[1:]], strict=True):
        layout = find_detector(arch).layout
        assert is_read == ("yes" if layout else "-")
        assert layout is None or layout.name == ARCH_MODEL_NAME_REGISTRY[arch]


def test_the_readable_layouts_of_a_backbone_are_named(capsys):
    assert main(["models"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert f"`--w2v-path` takes the layouts {' and '.join(layout.name for layout in PRETRAINED)}." in printed


def test_the_table_fits_100_columns_and_needs_no_torch(capsys):
    assert main(["models"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 100
    code = "import sys; from sls_plugin.__main__ import main; main(['models']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n")
