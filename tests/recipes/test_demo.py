"""The demo, from a corpus in the layout of ASVspoof 2019 to a report."""

import json
import subprocess
from pathlib import Path

import numpy as np
import soundfile
from recipe_runs import environment

from sls_plugin.scores.score_file import read_scores

CHECKOUT = Path(__file__).parents[2]


def make_corpus(folder: Path) -> None:
    """Noise as bona fide, noise with a tone as spoof, in the folders of the official download."""
    rng = np.random.default_rng(3)
    (folder / "LA_cm_protocols").mkdir(parents=True)
    for split, list_name, n_trials in (("train", "train.trn", 12), ("dev", "dev.trl", 7), ("eval", "eval.trl", 8)):
        audio = folder / f"LA_{split}" / "flac"
        audio.mkdir(parents=True)
        lines = []
        for number in range(n_trials):
            label = ("bonafide", "spoof")[number % 2]
            tone = 0.1 * np.sin(np.arange(16_000) * rng.uniform(0.2, 0.5)) * (label == "spoof")
            soundfile.write(audio / f"{split}_{number}.flac", tone + rng.normal(scale=0.05, size=16_000), 16_000)
            attack = "-" if label == "bonafide" else ("A02" if split == "eval" and number > 6 else "A01")
            lines.append(f"S{number} {split}_{number} - {attack} {label}\n")
        (folder / "LA_cm_protocols" / f"LA.cm.{list_name}.txt").write_text("".join(lines))


def run_demo(*arguments: str, out: Path) -> subprocess.CompletedProcess:
    command = ["bash", str(CHECKOUT / "recipes" / "demo.sh"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment(OUT=str(out)))


def test_demo_on_a_given_corpus(tmp_path: Path) -> None:
    make_corpus(tmp_path / "corpus")
    outcome = run_demo("--data", str(tmp_path / "corpus"), out=tmp_path / "out")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert (result["n_bonafide"], result["n_spoof"]) == (4, 4)
    assert len(read_scores(tmp_path / "out" / "scores.txt")) == 8
    assert "<html" in (tmp_path / "out" / "report.html").read_text()
    assert f"EER {100 * result['eer']:6.2f} %  all: 4 bona fide, 4 spoof" in outcome.stdout
    assert "seen in training: 4 bona fide, 3 spoof" in outcome.stdout
    assert "unseen: 4 bona fide, 1 spoof" in outcome.stdout
    assert "epoch 001  dev EER" in outcome.stdout  # progress


def test_demo_refuses_a_folder_without_protocols(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    outcome = run_demo("--data", str(tmp_path / "empty"), out=tmp_path / "out")
    assert outcome.returncode == 1
    assert "needs exactly one protocol *.cm.train.trn.txt, found: none" in outcome.stderr


def test_demo_does_not_empty_an_unrelated_folder(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    outcome = run_demo(out=tmp_path)
    assert outcome.returncode == 1
    assert "exists and is not an earlier demo" in outcome.stderr
    assert (tmp_path / "thesis.tex").exists()


def test_demo_refuses_unknown_arguments(tmp_path: Path) -> None:
    assert run_demo("--date", str(tmp_path), out=tmp_path / "out").returncode == 2
