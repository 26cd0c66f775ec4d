"""Folders with the names of our packages where the user works, or on an empty entry of PYTHONPATH."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMES = ("protocols", "recipes", "tests")


@pytest.fixture(params=["folder", "package", "file"])
def work(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A working folder in which these names mean something else."""
    for name in NAMES:
        if request.param == "file":
            (tmp_path / f"{name}.py").write_text("raise SystemExit('the file of the user was imported')\n")
        else:
            (tmp_path / name).mkdir()
            (tmp_path / name / "ASVspoof2019.LA.cm.dev.trl.txt").touch()
        if request.param == "package":
            (tmp_path / name / "__init__.py").write_text("raise SystemExit('the package of the user was imported')\n")
    return tmp_path


def python(work: Path, *words: str, path: str = f"{ROOT}") -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.run([sys.executable, *words], cwd=work, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    "words",
    [
        ("-m", "sls_plugin", "models"),
        ("-c", "import sys; from sls_plugin.__main__ import main; sys.exit(main(['models']))"),
        ("-m", "fairseq_ckpt", "--help"),
        ("-c", "import sls_plugin; sls_plugin.UserError; import fairseq_ckpt.identification"),
    ],
)
@pytest.mark.parametrize("path", [f"{ROOT}", f":{ROOT}"])
def test_ours_are_imported(words: tuple[str, ...], path: str, work: Path) -> None:
    outcome = python(work, *words, path=path)
    assert (outcome.returncode, outcome.stderr) == (0, "")


def test_torchrun_and_fairseq(tmp_path: Path) -> None:
    """Neither starts anything here: the plugin is imported, and its wrong use reported."""
    for name in ("protocols", "DATA"):
        (tmp_path / name).mkdir()
    run = "torch.distributed.run", "--nproc-per-node", "1", "-m", "sls_plugin", "merge", "none.txt", "--output", "o"
    assert "sls merge: error: none.txt" in python(tmp_path, "-m", *run, path=f":{ROOT}").stderr
    words = "fairseq_cli.train", "DATA", "--user-dir", f"{ROOT}/sls_plugin", "--task", "asvspoof", "--arch", "aasist"
    words += "--cpu", "--batch-size", "1", "--criterion", "weighted_cross_entropy", "--optimizer", "adam"
    assert "DATA/valid.tsv: no such manifest" in python(tmp_path, "-m", *words, path=f":{ROOT}").stderr


def test_recipes_run_their_own_tools(work: Path) -> None:
    source = f"cd {ROOT}; VENV=none source recipes/tools/environment.sh; cd -; python -m recipes.tools.results --help"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PYTHONPATH": "", "PATH": path, "VENV": "none"}
    source = source.replace("source recipes", "source <(grep -v setup.sh recipes").replace("environment.sh;", "environment.sh);")
    outcome = subprocess.run(["bash", "-c", source], cwd=work, env=environment, capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stderr
    assert "usage: " in outcome.stdout


def test_a_module_of_that_name_that_is_imported_already_is_named(tmp_path: Path) -> None:
    (tmp_path / "protocols.py").touch()
    outcome = python(tmp_path, "-c", "import protocols, sls_plugin", path=f":{ROOT}")
    line = f"{tmp_path}/protocols.py: has the name of a package of sls_plugin: rename it, or import sls_plugin before it"
    assert outcome.stderr.splitlines()[-1] == f"ImportError: {line}"
