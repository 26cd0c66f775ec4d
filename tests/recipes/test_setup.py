"""What the scripts of a newcomer's first minutes print, without installing anything."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from recipe_runs import ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the scripts, in which an installation would leave traces or fail."""
    for name in ("setup.sh", "demo.sh", "data/download.sh", "tools/environment.sh"):
        (tmp_path / "recipes" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "recipes" / name).write_bytes((ROOT / "recipes" / name).read_bytes())
    return tmp_path


def bash(checkout: Path, *words: str, **variables: str) -> subprocess.CompletedProcess:
    return subprocess.run(["bash", *words], cwd=checkout, env=os.environ | variables, capture_output=True, text=True)


@pytest.mark.parametrize("script", ["setup.sh", "demo.sh", "data/download.sh"])
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_installs_nothing(script: str, option: str, checkout: Path) -> None:
    before = sorted(checkout.rglob("*"))
    outcome = bash(checkout, f"recipes/{script}", option, PYTHON="/bin/false", VENV=".venv")
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert f"bash recipes/{script}" in outcome.stdout
    assert "set -euo" not in outcome.stdout
    assert sorted(checkout.rglob("*")) == before


def test_without_a_supported_python_setup_ends_in_one_line(checkout: Path) -> None:
    outcome = bash(checkout, "recipes/setup.sh", PYTHON="/bin/false", VENV=".venv")
    assert outcome.returncode == 1
    assert outcome.stderr == "setup.sh: needs Python 3.11, 3.12 or 3.13: install one, or name it with PYTHON=...\n"


def test_setup_refuses_arguments(checkout: Path) -> None:
    outcome = bash(checkout, "recipes/setup.sh", "onnx")
    assert (outcome.returncode, outcome.stderr) == (2, "setup.sh: unexpected argument 'onnx': see --help\n")


def test_the_demo_prints_an_epoch_as_soon_as_it_ends() -> None:
    """While training goes on, its output stays open."""
    command = [sys.executable, ROOT / "recipes" / "demo" / "progress.py"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as progress:
        for line, expected in (
            ("x | INFO | train | epoch 001 | loss 0.691 | lr 1e-05", "  epoch 001  training loss 0.691\n"),
            ("x | INFO | dev | epoch 001 | valid on 'dev' subset | loss 0.6 | eer 0.05", "  epoch 001  dev EER 5 %, loss 0.6\n"),
        ):
            progress.stdin.write(f"{line}\n")
            progress.stdin.flush()
            assert progress.stdout.readline() == expected
