"""`sls robustness` on a small detector, from the manifest to the page."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from protocols import Trial, read_manifest, write_manifest
from sls_plugin.__main__ import main
from sls_plugin.scores.score_file import read_scores

CONDITIONS = ("quiet", "turned=phase:180", "louder=noise:white,snr=0|level:-1")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    rng, trials = np.random.default_rng(0), []
    for number in range(12):
        soundfile.write(folder / f"{number}.wav", rng.uniform(-0.5, 0.5, 5_000), 16_000)
        trials.append(Trial(f"t{number}", f"{number}.wav", label="bonafide" if number % 3 else "spoof"))
    write_manifest(folder / "eval.tsv", trials)
    return folder / "eval.tsv"


def robustness(checkpoint: Path, manifest: Path, output: Path, *options: str) -> int:
    words = ["robustness", str(checkpoint), str(manifest), "--output", str(output), "--num-workers", "0", "--bootstrap", "100"]
    return main([*words, "--conditions", *(options or CONDITIONS)])


@pytest.fixture(scope="module")
def finished(checkpoint: Path, manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("robustness")
    assert robustness(checkpoint, manifest, output) == 0
    return output


def test_a_row_for_each_condition_in_every_form(finished: Path) -> None:
    names = ["clean", "quiet", "turned", "louder"]
    content = json.loads((finished / "robustness.json").read_text())
    assert content["trials"] == 12
    assert [row["condition"] for row in content["conditions"]] == names
    assert [row["channel"] for row in content["conditions"]] == [None, "level:-40", "phase:180", "noise:white,snr=0|level:-1"]
    with open(finished / "robustness.tsv") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [float(row["eer"]) for row in rows] == [row["eer"] for row in content["conditions"]]
    page = (finished / "robustness.html").read_text()
    assert all(f">{name}<" in page for name in names)
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_clean_scores_are_those_of_sls_score_and_channels_change_them(finished, checkpoint, manifest, tmp_path) -> None:
    output = tmp_path / "scores.txt"
    assert main(["score", str(checkpoint), str(manifest), "--output", str(output), "--num-workers", "0"]) == 0
    assert (finished / "scores" / "clean.txt").read_bytes() == output.read_bytes()
    clean = read_scores(output)
    for name in ("turned", "louder"):
        assert read_scores(finished / "scores" / f"{name}.txt").keys() == clean.keys()
        assert read_scores(finished / "scores" / f"{name}.txt") != clean


def test_a_second_run_scores_nothing_again_and_another_chain_is_refused(finished, checkpoint, manifest, capsys) -> None:
    before = {path: path.stat().st_mtime_ns for path in (finished / "scores").iterdir()}
    assert robustness(checkpoint, manifest, finished) == 0
    assert {path: path.stat().st_mtime_ns for path in (finished / "scores").iterdir()} == before
    assert robustness(checkpoint, manifest, finished, "turned=phase:90") == 1
    assert "turned.txt: of a run that differs in channel" in capsys.readouterr().err


def test_draws_depend_on_the_trial_alone(finished, checkpoint, manifest, tmp_path) -> None:
    """Whatever the batch, the order and the process that decodes."""
    words = ["robustness", str(checkpoint), str(manifest), "--output", str(tmp_path), "--batch-size", "5", "--num-workers", "2"]
    assert main([*words, "--bootstrap", "0", "--conditions", CONDITIONS[2]]) == 0
    again, once = (read_scores(folder / "scores" / "louder.txt") for folder in (tmp_path, finished))
    assert again == pytest.approx(once, abs=1e-4)


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ("tape", "--conditions tape: no such condition: choose from alaw, ulaw, "),
        ("../x=phase:180", "--conditions ../x=phase:180: a name has letters, digits, _ and -, and is not clean"),
        ("clean=phase:180", "--conditions clean=phase:180: a name has letters, digits, _ and -, and is not clean"),
        ("mine=fase:180", "augmentation 'fase:180': no such channel: choose from "),
    ],
)
def test_a_condition_that_cannot_be_is_one_line(condition, problem, checkpoint, manifest, tmp_path, capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        robustness(checkpoint, manifest, tmp_path / "out", condition)
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"sls robustness: error: {problem}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("label", ["bonafide", ""])
def test_trials_of_one_class_or_none_are_refused_before_anything_is_scored(label, checkpoint, manifest, tmp_path, capsys) -> None:
    write_manifest(tmp_path / "one.tsv", [Trial("t", str(manifest.parent / "0.wav"), label=label)])
    assert robustness(checkpoint, tmp_path / "one.tsv", tmp_path / "out") == 1
    assert "one.tsv" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_broken_recording_stops_or_is_left_out_of_all_conditions(checkpoint, manifest, tmp_path, capsys) -> None:
    (manifest.parent / "broken.wav").write_bytes(b"RIFF")
    trials = [replace(trial, audio=str(manifest.parent / trial.audio)) for trial in read_manifest(manifest)]
    write_manifest(tmp_path / "all.tsv", [*trials, Trial("broken", str(manifest.parent / "broken.wav"), label="spoof")])
    assert robustness(checkpoint, tmp_path / "all.tsv", tmp_path / "out", "quiet") == 1
    assert "; --skip-broken scores the rest" in capsys.readouterr().err
    assert robustness(checkpoint, tmp_path / "all.tsv", tmp_path / "out", "quiet", "--skip-broken") == 0
    assert robustness(checkpoint, manifest, tmp_path / "sound", "quiet") == 0
    left, sound = ((tmp_path / name / "robustness.tsv").read_bytes() for name in ("out", "sound"))
    assert left == sound


def test_a_set_of_broken_recordings_alone_ends_after_the_first_condition(checkpoint, tmp_path, capsys) -> None:
    trials = [Trial(name, str(tmp_path / f"{name}.wav"), label=name) for name in ("bonafide", "spoof")]
    for trial in trials:
        Path(trial.audio).write_bytes(b"RIFF")
    write_manifest(tmp_path / "all.tsv", trials)
    for _ in range(2):  # the second continues the first
        assert robustness(checkpoint, tmp_path / "all.tsv", tmp_path / "out", "quiet", "--skip-broken") == 1
        assert "clean.txt.errors.tsv: no recording can be read: the reasons are in this file" in capsys.readouterr().err
        assert not (tmp_path / "out" / "scores" / "quiet.txt").exists()
