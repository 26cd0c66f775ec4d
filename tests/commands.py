"""fairseq's commands as a user runs them, and what they log."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import sls_plugin

USER_DIR = Path(sls_plugin.__file__).parent
SPLITS = {"train": 22, "dev": 13, "eval": 9}  # no multiple of any batch size used here
PLUGIN = ("--user-dir", str(USER_DIR), "--task", "asvspoof")
RECIPE = (
    *PLUGIN, "--arch", "sls_xlsr_300m", "--max-samples", "8000", "--criterion", "weighted_cross_entropy",
    "--optimizer", "l2_adam", "--lr", "1e-3", "--batch-size", "4", "--max-epoch", "3",
    "--valid-subset", "dev", "--best-checkpoint-metric", "eer",
    "--log-format", "json", "--log-interval", "1", "--num-workers", "2", "--cpu",
)  # fmt: skip


def train(data: Path, backbone: Path, save_dir: Path, *options: str) -> list[dict]:
    """Run `fairseq-train` to its end; returns what it logged, one record per line."""
    return logged(fairseq("train", str(data), "--w2v-path", str(backbone), "--save-dir", str(save_dir), *RECIPE, *options))


def fairseq(command: str, *arguments: str, status: int = 0) -> str:
    """Run a command of fairseq, expect an exit status, return all that it printed."""
    # fairseq's data loaders set PYTHONWARNINGS in the process of the tests; a command would take it for the user's wish.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    outcome = subprocess.run(fairseq_command(command, *arguments), capture_output=True, text=True, env=environment)
    printed = outcome.stdout + outcome.stderr
    assert outcome.returncode == status, printed
    return printed


def fairseq_command(command: str, *arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name(f"fairseq-{command}")), *arguments]


def logged(printed: str) -> list[dict]:
    records = [line[line.index("{") :] for line in printed.splitlines() if " | {" in line and line.endswith("}")]
    return [json.loads(record) for record in records if record.startswith('{"')]


def column(records: Sequence[dict], key: str) -> list[float]:
    """The values of a logged key, in order."""
    return [float(record[key]) for record in records if key in record]
