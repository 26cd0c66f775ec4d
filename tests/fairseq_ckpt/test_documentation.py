"""README: every example is run, every command prints what is shown; help fits the terminal."""

import doctest
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fairseq_ckpt
import sls_plugin
from fairseq_ckpt.__main__ import COMMANDS, main
from fairseq_ckpt.identification import LAYOUTS

PACKAGE = Path(fairseq_ckpt.__file__).parent
README = (PACKAGE / "README.md").read_text(encoding="utf-8")
NEW_FILES = dict(re.findall(r"```python\n# (\S+\.py)\n(.*?)```", README, re.DOTALL))
USE_ENERGY = """\
import json, sys
import torch
from fairseq_ckpt.__main__ import main as checkpoints
from fairseq_ckpt.detector import read_detector
from sls_plugin.__main__ import main as sls
torch.save({"classifier.weight": torch.ones(2, 1), "classifier.bias": torch.ones(2)}, "energy.pth")
print(json.dumps(read_detector("energy.pth").config))
sys.exit(checkpoints(["inspect", "energy.pth"]) or sls(["models"]))
"""
USE_MODEL = """\
model = Energy(EnergyConfig())
shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
assert tensors(shapes) == shapes
assert model(torch.ones(3, 100)).shape == (3, 2)
"""


def test_examples_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = doctest.testfile(str(PACKAGE / "README.md"), module_relative=False, encoding="utf-8")
    assert outcome.failed == 0
    assert outcome.attempted > 10


def test_commands_of_the_readme(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(shared / "data" / "weights" / "AASIST.pth", "AASIST.pth")
    shown = "".join(re.findall(r"```console\n(.*?)```", README, re.DOTALL))
    commands = re.findall(r"\$ python -m fairseq_ckpt (.*?)\n(.*?)(?=\$ |\Z)", shown, re.DOTALL)
    assert len(commands) == 5
    for command, output in commands:
        assert main(command.split()) == 0
        assert capsys.readouterr().out == output


def test_the_readme_lists_every_layout_and_command() -> None:
    table = README.partition("## Layouts")[2].partition("## Commands")[0]
    assert all(f"`{layout.name}`" in table for layout in LAYOUTS)
    assert all(re.search(rf"fairseq_ckpt {name}|`{name}", README) for name in COMMANDS)


def test_the_readme_names_files_that_exist() -> None:
    for name in re.findall(r"`([\w/]+\.py|[\w/]+/)`", README.partition("## Map")[2]):
        assert (PACKAGE / name).exists(), name


@pytest.mark.parametrize("arguments", [[], *([name] for name in COMMANDS)], ids=lambda arguments: " ".join(arguments) or "all")
def test_help_shows_an_example_within_100_columns(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([*arguments, "--help"])
    printed = capsys.readouterr().out
    assert f"example:\n  python -m fairseq_ckpt {' '.join(arguments)}" in printed
    assert max(map(len, printed.splitlines())) < 100


def test_a_new_detector_is_a_new_file(tmp_path: Path) -> None:
    """The README's: listed, recognised and given its configuration; no other file of the package changes."""
    for package in (fairseq_ckpt, sls_plugin):
        source = Path(package.__file__).parent
        shutil.copytree(source, tmp_path / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(PACKAGE.parent / "protocols", tmp_path / "protocols", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "fairseq_ckpt" / "detectors" / "energy.py").write_text(NEW_FILES["fairseq_ckpt/detectors/energy.py"])
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", USE_ENERGY], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    config, *lines = done.stdout.splitlines()
    assert json.loads(config)["model"] == {"_name": "energy"}
    assert any(line.split() == ["layout", "energy", "(Energy)"] for line in lines)
    (row,) = [line for line in lines if line.startswith("energy ")]
    assert row.split() == ["energy", "4", "0.0", "any", "-", "-", "-", "-", "yes"]


def test_its_model_has_the_tensors_that_its_file_describes() -> None:
    pytest.importorskip("sls_plugin.modules.fairseq_detector", reason="the contract of detectors is not here yet")
    code = "\n".join(("import torch", *NEW_FILES.values(), USE_MODEL))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_page_on_security_names_tests_that_exist() -> None:
    named = set(re.findall(r"`(test_\w+)`", (PACKAGE / "SECURITY.md").read_text(encoding="utf-8")))
    texts = [file.read_text(encoding="utf-8") for file in Path(__file__).parents[1].rglob("test_*.py")]
    written = {name for text in texts for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)}
    assert named
    assert named <= written
