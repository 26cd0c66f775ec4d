"""What a command reads is never replaced by what it writes, by whatever path it is named."""

import os
from pathlib import Path

import pytest

from fairseq_ckpt.__main__ import main as fairseq_ckpt
from protocols import SettingError, Trial, write_manifest
from sls_plugin.__main__ import main
from sls_plugin.scores.outputs import refuse_recordings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A detector that is none, recordings, a manifest, a list, scores and keys; each command must stop before it reads much."""
    monkeypatch.chdir(tmp_path)
    for path in ("d/x.wav", "d/sub/y.flac", "model.pt"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(b"\0RIFF")
    Path("list.txt").write_text("d/x.wav\n")
    Path("list.tsv").write_text("x spoof\n")
    Path("scores.txt").write_text("x 1\ny 2\n")
    Path("keys").mkdir()
    write_manifest("keys/eval.tsv", [Trial("x", "../d/x.wav", "spoof"), Trial("y", "../d/sub/y.flac", "bonafide")])
    os.link("d/x.wav", "linked.wav")
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        "score model.pt d --output d/x.wav --overwrite",
        "score model.pt d --output d/../d/sub/y.flac --overwrite",
        "score model.pt list.txt --output linked.wav --resume",
        "score model.pt keys/eval.tsv --output d/x.wav --overwrite",
        "score model.pt list.txt --output list.txt --overwrite",
        "score model.pt d --output model.pt --overwrite",
        "merge scores.txt --manifest keys/eval.tsv --output d/x.wav --overwrite",
        "merge scores.txt --manifest list.txt --output list.txt --overwrite",
        "explain model.pt d --output d/x.wav",
        "calibrate scores.txt --keys keys --apply scores.txt --output keys/eval.tsv --overwrite",
        "report scores.txt --keys keys --output keys/eval.tsv",
        "evaluate labels scores.txt --keys keys --json keys/eval.tsv",
        "prepare list --audio d --protocol list.tsv --dest . --split list",
    ],
)
def test_no_command_replaces_what_it_reads(folder: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(SystemExit) as usage:
        main(command.split())
    assert usage.value.code == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert " is an input: name another file to write" in error or " is the recording of trial " in error
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == files


@pytest.mark.parametrize(
    ("command", "suffix"),
    [
        *(("score model.pt", suffix) for suffix in (".errors.tsv", ".warnings.tsv", ".timeline.tsv", ".run.json", ".partial")),
        *(("merge scores.txt --manifest", suffix) for suffix in (".errors.tsv", ".warnings.tsv", ".timeline.tsv", ".run.json")),
    ],
)
def test_no_file_beside_the_output_is_an_input(folder: Path, command: str, suffix: str, capsys) -> None:
    Path(f"new.txt{suffix}").write_text("d/x.wav\n")
    with pytest.raises(SystemExit):
        main([*command.split(), f"new.txt{suffix}", "--output", "new.txt"])
    assert f"new.txt{suffix} is an input: name another file to write" in capsys.readouterr().err
    assert Path(f"new.txt{suffix}").read_text() == "d/x.wav\n"


def test_a_conversion_keeps_its_checkpoint(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as usage:
        fairseq_ckpt(["convert", "model.pt", "d/../model.pt", "--to", "original"])
    assert usage.value.code == 2
    assert "d/../model.pt is the checkpoint itself: name another file to write" in capsys.readouterr().err


def test_recordings_that_are_not_there_hinder_nothing(folder: Path) -> None:
    trials = [Trial("a", "absent.wav"), Trial("x", "d/x.wav")]
    refuse_recordings(Path("scores.txt"), trials)
    refuse_recordings(Path("new.txt"), trials)
    with pytest.raises(SettingError, match=r"^linked.wav is the recording of trial x: name another file to write$"):
        refuse_recordings(Path("linked.wav"), trials)
