"""Recipes as a user runs them, on miniatures of the corpora, and their results."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SMALL = (
    "common.cpu=true", "common.log_interval=1", "task.max_samples=8000", "dataset.num_workers=1", "optimization.lr=[0.001]",
    "checkpoint.patience=9",
)  # fmt: skip


def recipe_command(script: str | Path, *arguments: object) -> list[str]:
    return ["bash", str(ROOT / "recipes" / script), *map(str, arguments)]


def environment(**variables: str) -> dict[str, str]:
    """The running Python, whether or not it is the first of PATH, and none of the variables that name corpora."""
    kept = {name: value for name, value in os.environ.items() if name not in ("CORPORA", "W2V_PATH")}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]])
    return kept | {"VENV": "none", "OMP_NUM_THREADS": "1", "PATH": path} | variables


def run_recipe(script: str | Path, *arguments: object, status: int = 0, **variables: str) -> str:
    """Run `recipes/SCRIPT`, expect an exit status, return all that it printed."""
    command = recipe_command(script, *arguments)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    outcome = subprocess.run(command, env=environment(**variables), **pipes)
    assert outcome.returncode == status, outcome.stdout
    return outcome.stdout


def rows(dest: Path) -> dict[tuple[str, str], list[str]]:
    """The table of RESULTS.md: the cells of each row, by track and run."""
    table = (dest / "RESULTS.md").read_text().split("\n\n")[1].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]
    return {(row[0], row[2]): row for row in cells}
