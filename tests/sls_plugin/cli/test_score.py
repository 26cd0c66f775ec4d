"""`sls score` and `sls merge`: no score is lost, doubled or taken from another run, whatever stops the command."""

import csv
import importlib
import io
import json
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import soundfile
from torch.distributed import TCPStore

import sls_plugin
from protocols import Trial, write_manifest
from sls_plugin.__main__ import main
from sls_plugin.scores.decision import read_decision
from sls_plugin.scores.score_file import read_scores, read_warnings

N_TRIALS = 150  # no multiple of the batch size
BATCH = ("--batch-size", "4", "--num-workers", "0")
SLS = (sys.executable, "-m", "sls_plugin")
HANGS = 900  # seconds, so many that no load of the machine is taken for a hang


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest and its recordings, one of them broken."""
    folder = tmp_path_factory.mktemp("corpus")
    rng, trials = np.random.default_rng(0), []
    for number in range(N_TRIALS):
        soundfile.write(folder / f"{number}.wav", rng.uniform(-0.5, 0.5, rng.integers(2000, 6000)), 16_000)
        trials.append(Trial(f"two words {number}", f"{number}.wav"))
    (folder / f"{N_TRIALS - 50}.wav").write_bytes(b"RIFF")
    write_manifest(folder / "eval.tsv", trials)
    write_manifest(folder / "sound.tsv", [trial for trial in trials if trial.audio != f"{N_TRIALS - 50}.wav"])
    return folder


@pytest.fixture(scope="module")
def undisturbed(corpus: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The score file of all recordings but the broken one, which is in its file of errors."""
    output = tmp_path_factory.mktemp("undisturbed") / "scores.txt"
    assert main([*score(checkpoint, corpus / "eval.tsv", output), "--skip-broken"]) == 1
    return output


def score(checkpoint: Path, manifest: Path | str, output: Path) -> list[str]:
    return ["score", str(checkpoint), str(manifest), "--output", str(output), *BATCH]


def assert_same_run(output: Path, undisturbed: Path) -> None:
    """The same bytes in all files, and no others."""
    for suffix in ("", ".errors.tsv", ".run.json"):
        assert Path(f"{output}{suffix}").read_bytes() == Path(f"{undisturbed}{suffix}").read_bytes()
    assert not list(output.parent.glob("*.partial*"))


def n_kept(output: Path, rank: str = "") -> int:
    """The trials in the journal of a resumed run."""
    journal = Path(f"{output}.partial{rank}")
    return max(0, journal.read_bytes().count(b"\n") - 1) if journal.exists() else 0


# `sls` with arguments, but that a process of a run sends a signal to itself after its sixth outcome: whoever looks at it from
# outside may come too late on a busy machine.
SIGNALLED = """
import os, signal, sys
from sls_plugin.__main__ import main
from sls_plugin.scores.journal import Journal

def add(journal, name, *outcome):
    whole(journal, name, *outcome)
    if journal.n_done == 6 and os.environ.get("RANK", "0") == rank:
        os.kill(os.getpid(), getattr(signal, which))

signal.signal(signal.SIGINT, signal.default_int_handler)  # the tests may run in a background job, where it is ignored
_, which, rank, *arguments = sys.argv
whole, Journal.add = Journal.add, add
sys.exit(main(arguments))
"""


def signalled(which: str, command: Sequence[str], rank: int = 0) -> list[str]:
    return [sys.executable, "-c", SIGNALLED, which, str(rank), *command]


# Replacing and resuming


def test_the_scores_and_the_broken_trial(corpus: Path, undisturbed: Path) -> None:
    scores = read_scores(undisturbed)
    assert list(scores) == [f"two words {number}" for number in range(N_TRIALS) if number != N_TRIALS - 50]
    assert len(set(scores.values())) == len(scores)
    header, *lines = Path(f"{undisturbed}.errors.tsv").read_text().splitlines()
    assert header == "id\treason"
    assert [line.split("\t")[0] for line in lines] == [f"two words {N_TRIALS - 50}"]
    assert json.loads(Path(f"{undisturbed}.run.json").read_text())["n_trials"] == N_TRIALS


def test_an_output_is_not_touched_without_leave(corpus, checkpoint, tmp_path, capsys) -> None:
    output = tmp_path / "scores.txt"
    output.write_text("mine 1\n")
    assert main(score(checkpoint, corpus / "sound.tsv", output)) == 1
    assert "scores.txt: already exists: give --overwrite to replace it" in capsys.readouterr().err
    assert main([*score(checkpoint, corpus / "sound.tsv", output), "--resume"]) == 1  # of whatever run it may be
    assert "scores.txt: no run record found: give --overwrite" in capsys.readouterr().err
    assert output.read_text() == "mine 1\n"
    assert os.listdir(tmp_path) == ["scores.txt"]
    assert main([*score(checkpoint, corpus / "sound.tsv", output), "--overwrite"]) == 0
    assert len(read_scores(output)) == N_TRIALS - 1


def test_a_folder_is_no_output(corpus, checkpoint, tmp_path, capsys) -> None:
    assert main([*score(checkpoint, corpus / "sound.tsv", tmp_path), "--overwrite"]) == 1
    assert "is a folder, device or pipe: name a file to write" in capsys.readouterr().err


@pytest.mark.parametrize("device", ["cpu:1", "nowhere"])
def test_a_device_that_is_not_there(corpus, checkpoint, tmp_path, capsys, device: str) -> None:
    with pytest.raises(SystemExit) as usage:
        main([*score(checkpoint, corpus / "sound.tsv", tmp_path / "scores.txt"), "--device", device])
    assert usage.value.code == 2
    assert f"--device {device}: there is none here" in capsys.readouterr().err
    assert not os.listdir(tmp_path)


def test_resume_and_overwrite_exclude_each_other(corpus, checkpoint, tmp_path) -> None:
    with pytest.raises(SystemExit) as usage:
        main([*score(checkpoint, corpus / "sound.tsv", tmp_path / "scores.txt"), "--resume", "--overwrite"])
    assert usage.value.code == 2


def test_a_broken_recording_keeps_what_is_scored(corpus, checkpoint, undisturbed, tmp_path, capsys) -> None:
    """The run stops with one line; rerunning it resumes, also past the recording with --skip-broken."""
    output = tmp_path / "scores.txt"
    command = score(checkpoint, corpus / "eval.tsv", output)
    assert main(command) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"{N_TRIALS - 50}.wav: cannot be decoded" in error
    assert "100 of 150 trials are scored and kept: --resume continues with them" in error
    assert not output.exists()
    assert n_kept(output) == 100
    assert main(command) == 1
    assert "scores.txt.partial: left by a run that was stopped: --resume continues it" in capsys.readouterr().err
    assert main([*command, "--resume", "--skip-broken"]) == 1
    assert_same_run(output, undisturbed)
    assert main([*command, "--resume", "--skip-broken"]) == 1  # it is still broken
    assert "149 scores: " in capsys.readouterr().err
    assert_same_run(output, undisturbed)


def test_a_recording_that_is_broken_at_once_leaves_nothing(checkpoint, tmp_path, capsys) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    assert main(score(checkpoint, tmp_path / "a.wav", tmp_path / "out" / "scores.txt")) == 1
    assert "a.wav: cannot be decoded" in capsys.readouterr().err
    assert not os.listdir(tmp_path / "out")


def test_resume_without_an_earlier_run_starts(corpus, checkpoint, undisturbed, tmp_path) -> None:
    output = tmp_path / "new" / "scores.txt"
    assert main([*score(checkpoint, corpus / "eval.tsv", output), "--resume", "--skip-broken"]) == 1
    assert_same_run(output, undisturbed)


def altered(checkpoint: Path, path: Path) -> Path:
    """The same detector in another file, as further training would leave it."""
    path.write_bytes(checkpoint.read_bytes() + b"\0")
    return path


def test_the_same_trials_by_another_path_are_gone_on_with(corpus, checkpoint, undisturbed, tmp_path, capsys, monkeypatch) -> None:
    output = tmp_path / "scores.txt"
    assert main(score(checkpoint, corpus / "eval.tsv", output)) == 1
    monkeypatch.chdir(corpus)
    for manifest in ("eval.tsv", f"./../{corpus.name}/eval.tsv"):
        assert main([*score(checkpoint, manifest, output), "--skip-broken", "--resume"]) == 1
        assert output.read_bytes() == undisturbed.read_bytes()


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--llr"], "llr"),
        (["--dtype", "bfloat16"], "dtype"),
        (["--shard", "0/2"], "shard"),
        (["--batch-size", "8"], "batch_size"),
        (["--hop", "0.1"], "hop"),
        (None, "checkpoint"),
    ],
)
def test_scores_of_another_run_are_not_gone_on_with(
    corpus, checkpoint, tmp_path, capsys, options: list[str] | None, named: str, finished: bool
) -> None:
    output = tmp_path / "scores.txt"
    manifest = corpus / "sound.tsv" if finished else corpus / "eval.tsv"
    assert main(score(checkpoint, manifest, output)) == (0 if finished else 1)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert main([*score(checkpoint, manifest, output), "--resume"]) == (0 if finished else 1)
    capsys.readouterr()
    other = checkpoint if options else altered(checkpoint, tmp_path.parent / f"{tmp_path.name}.pt")
    assert main([*score(other, manifest, output), *(options or []), "--resume"]) == 1
    assert f"scores.txt{'' if finished else '.partial'}: of a run that differs in {named}" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_other_trials_are_not_gone_on_with(corpus, checkpoint, tmp_path, capsys) -> None:
    output = tmp_path / "scores.txt"
    assert main(score(checkpoint, corpus / "eval.tsv", output)) == 1
    lines = (corpus / "eval.tsv").read_text().splitlines(keepends=True)
    for number, other in enumerate((lines[:-1], [*lines[:-2], lines[-1], lines[-2]])):
        manifest = corpus / f"other{number}.tsv"
        manifest.write_text("".join(other))
        capsys.readouterr()
        assert main([*score(checkpoint, manifest, output), "--resume"]) == 1
        assert "scores.txt.partial: of a run that differs in trials" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "told"), [("line\nbreak.wav", "a line of a score file cannot hold its id"), ("a\ttab.wav", "a tab in its id")]
)
def test_an_id_that_cannot_be_written_is_told_before_any_score(
    checkpoint, corpus, tmp_path, capsys, name: str, told: str
) -> None:
    """A tab in an id would end it in the file of errors and in the timeline."""
    folder = tmp_path / "clips"
    folder.mkdir()
    shutil.copy(corpus / "0.wav", folder / "a.wav")
    shutil.copy(corpus / "0.wav", folder / name)
    assert main(score(checkpoint, folder, tmp_path / "scores.txt")) == 1
    assert f"{name!r}: {told}: rename it" in capsys.readouterr().err
    assert not list(tmp_path.glob("scores*"))


# Recordings that change


@pytest.fixture
def few(corpus: Path, tmp_path: Path) -> Path:
    """A folder of ten recordings, the last of which is broken."""
    folder = tmp_path / "few"
    folder.mkdir()
    for number in range(9):
        shutil.copy(corpus / f"{number}.wav", folder)
    (folder / "9.wav").write_bytes(b"RIFF")
    return folder


@pytest.mark.parametrize("finished", [True, False])
def test_a_recording_of_the_same_name_is_not_mixed_in(few, corpus, checkpoint, tmp_path, capsys, finished: bool) -> None:
    output = tmp_path / "scores.txt"
    command = score(checkpoint, few, output)
    assert main([*command, "--skip-broken"] if finished else command) == 1
    before = {path.name: path.read_bytes() for path in tmp_path.glob("scores*")}
    shutil.copy(corpus / "20.wav", few / "3.wav")
    capsys.readouterr()
    assert main([*command, "--resume", "--skip-broken"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"sls score: error: {few}/3.wav: ")
    what = "changed since it was scored (its size or modification time): give --overwrite to score all recordings again"
    assert error.endswith(f"{what}\n")
    assert error.count("\n") == 1
    assert {path.name: path.read_bytes() for path in tmp_path.glob("scores*")} == before
    assert main([*command, "--overwrite", "--skip-broken"]) == 1
    assert len(read_scores(output)) == 9


def test_a_finished_run_of_an_earlier_version_is_still_finished(corpus, checkpoint, tmp_path, capsys) -> None:
    """Its record does not say which recordings were scored."""
    output = tmp_path / "scores.txt"
    shutil.copy(corpus / "0.wav", tmp_path / "a.wav")
    assert main(score(checkpoint, tmp_path / "a.wav", output)) == 0
    record = json.loads(Path(f"{output}.run.json").read_text())
    del record["recordings"]
    Path(f"{output}.run.json").write_text(json.dumps(record))
    shutil.copy(corpus / "1.wav", tmp_path / "a.wav")
    assert main([*score(checkpoint, tmp_path / "a.wav", output), "--resume"]) == 0
    assert "nothing left to do" in capsys.readouterr().out


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("options", [[], ["--hop", "0.1"], ["--shard", "1/2"]])
def test_broken_recordings_are_tried_again(few, corpus, checkpoint, tmp_path, finished: bool, options: list[str]) -> None:
    """As after a passing fault of the disk: the scores are those of a run without the fault."""
    output, whole = tmp_path / "scores.txt", tmp_path / "whole.txt"
    shutil.move(few / "9.wav", few / "5.wav")
    command = [*score(checkpoint, few, output), *options, "--skip-broken"]
    if finished:
        assert main(command) == 1
    else:
        Path(f"{output}.run.json").mkdir()  # the last step fails, and leaves the journal
        assert main(command) == 1
        Path(f"{output}.run.json").rmdir()
    shutil.copy(corpus / "5.wav", few)
    assert main([*command, "--resume"]) == 0
    assert main([*score(checkpoint, few, whole), *options]) == 0
    for suffix in ("", ".timeline.tsv", ".run.json"):
        if Path(f"{whole}{suffix}").exists():
            assert Path(f"{output}{suffix}").read_bytes() == Path(f"{whole}{suffix}").read_bytes()
    assert sorted(path.name.removeprefix("scores") for path in tmp_path.glob("scores*")) == sorted(
        path.name.removeprefix("whole") for path in tmp_path.glob("whole*")
    )


# Shards


@pytest.mark.parametrize("n_shards", [2, 5])
def test_shards_merge_to_the_undisturbed_run(corpus, checkpoint, undisturbed, tmp_path, capsys, n_shards: int) -> None:
    parts = [tmp_path / f"scores.{index}.txt" for index in range(n_shards)]
    statuses = [
        main([*score(checkpoint, corpus / "eval.tsv", part), "--skip-broken", "--shard", f"{index}/{n_shards}"])
        for index, part in enumerate(parts)
    ]
    assert sorted(statuses) == [0] * (n_shards - 1) + [1]
    for options in ([], ["--manifest", str(corpus / "eval.tsv"), "--overwrite"]):
        assert main(["merge", *map(str, reversed(parts)), "--output", str(tmp_path / "all.txt"), *options]) == 1
        assert "149 scores: " in capsys.readouterr().err
        assert_same_run(tmp_path / "all.txt", undisturbed)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_tables_resume_and_merge_as_text_does(corpus, checkpoint, undisturbed, tmp_path, suffix: str) -> None:
    parts = [str(tmp_path / f"scores.{index}{suffix}") for index in (0, 1)]
    for index, part in enumerate(parts):
        command = [*score(checkpoint, corpus / "eval.tsv", Path(part)), "--shard", f"{index}/2"]
        assert main(command) == index  # the second stops at the broken recording
    assert main([*command, "--resume", "--skip-broken"]) == 1
    assert main(["merge", *parts, "--output", str(tmp_path / f"all{suffix}")]) == 1
    assert list(read_scores(tmp_path / f"all{suffix}").items()) == list(read_scores(undisturbed).items())


# Verdicts


@pytest.fixture(scope="module")
def decision(corpus: Path, checkpoint: Path, undisturbed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `sls threshold` learns from the scores of the corpus, with labels that they predict but for some."""
    folder = tmp_path_factory.mktemp("decision")
    scores = read_scores(undisturbed)
    middle = sorted(scores.values())[len(scores) // 2]
    labels = {name: (score > middle) != (number % 10 == 0) for number, (name, score) in enumerate(scores.items())}
    (folder / "keys").write_text("".join(f"{name} {'bonafide' if label else 'spoof'}\n" for name, label in labels.items()))
    options = ["--keys", str(folder / "keys"), "--output", str(folder / "decision.json"), "--max-error", "0.05"]
    assert main(["threshold", str(undisturbed), *options, "--bootstrap", "100"]) == 0
    return folder / "decision.json"


def rows(path: Path) -> list[dict]:
    """The rows of a table, numbers as such."""
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    if path.suffix == ".parquet":
        return importlib.import_module("pyarrow.parquet").read_table(path).to_pylist()
    with open(path, newline="") as file:
        table = list(csv.DictReader(file))
    return [row | {name: float(row[name]) for name in ("score", "llr", "probability")} for row in table]


def with_verdicts(undisturbed: Path, decision: Path) -> list[dict]:
    """What the rows must be."""
    learned, warnings, expected = read_decision(decision), read_warnings(undisturbed), []
    for name, score in read_scores(undisturbed).items():
        llr = learned.calibration.weight * score + learned.calibration.offset
        verdict = "bonafide" if score > learned.bonafide_above else "spoof" if score <= learned.spoof_up_to else "undecided"
        numbers = {"score": score, "llr": llr, "probability": 1 / (1 + math.exp(-llr))}
        approximate = {key: pytest.approx(value, rel=1e-6, abs=1e-5) for key, value in numbers.items()}
        expected.append({"id": name, **approximate, "verdict": verdict, "warnings": warnings.get(name, "")})
    assert {row["verdict"] for row in expected} == {"bonafide", "spoof", "undecided"}
    return expected


@pytest.fixture(params=[".csv", ".jsonl", ".parquet"])
def suffix(request) -> str:
    if request.param == ".parquet":
        pytest.importorskip("pyarrow")
    return request.param


def test_verdicts_are_the_same_in_one_run_resumed_and_in_shards(
    corpus, checkpoint, undisturbed, decision, tmp_path, suffix
) -> None:
    options = ["--decision", str(decision)]
    parts = [str(tmp_path / f"scores.{index}{suffix}") for index in (0, 1)]
    for index, part in enumerate(parts):
        command = [*score(checkpoint, corpus / "eval.tsv", Path(part)), *options, "--shard", f"{index}/2"]
        assert main(command) == index  # the second stops at the broken recording
    assert main([*command, "--resume", "--skip-broken"]) == 1
    assert main(["merge", *parts, *options, "--output", str(tmp_path / f"all{suffix}")]) == 1
    assert rows(tmp_path / f"all{suffix}") == with_verdicts(undisturbed, decision)
    assert list(read_scores(tmp_path / f"all{suffix}").items()) == list(read_scores(undisturbed).items())
    once = tmp_path / f"once{suffix}"
    assert main([*score(checkpoint, corpus / "eval.tsv", once), *options, "--skip-broken"]) == 1
    assert once.read_bytes() == (tmp_path / f"all{suffix}").read_bytes()


def test_verdicts_are_not_lost_in_silence(corpus, checkpoint, decision, tmp_path, capsys) -> None:
    part, options = tmp_path / "part.csv", ["--decision", str(decision)]
    command = ["score", str(checkpoint), str(corpus / "0.wav"), "--output", str(part)]
    assert main([*command, *options]) == 0
    assert main(["merge", str(part), "--output", str(tmp_path / "all.csv")]) == 1
    assert "part.csv: has verdicts: give the --decision that they are from" in capsys.readouterr().err
    assert main([*command, *options, "--resume"]) == 0
    assert "nothing left to do" in capsys.readouterr().out
    assert main([*command, "--resume"]) == 1
    assert f"part.csv: its scores have verdicts of another decision, or none: `sls merge {part} --d" in capsys.readouterr().err


def test_scores_get_their_verdicts_afterwards(undisturbed, decision, tmp_path) -> None:
    assert main(["merge", str(undisturbed), "--decision", str(decision), "--output", str(tmp_path / "verdicts.csv")]) == 1
    assert rows(tmp_path / "verdicts.csv") == with_verdicts(undisturbed, decision)


def test_text_has_no_verdicts(corpus, checkpoint, decision, tmp_path, capsys) -> None:
    output = tmp_path / "a.txt"
    for command in (score(checkpoint, corpus / "eval.tsv", output), ["merge", "b.txt", "--output", str(output)]):
        with pytest.raises(SystemExit, match="2"):
            main([*command, "--decision", str(decision)])
        assert "a.txt has none: name an output .csv, .jsonl, .parquet" in capsys.readouterr().err


def test_verdicts_on_other_scores_than_were_learned_from_are_refused(corpus, checkpoint, decision, tmp_path, capsys) -> None:
    command = [*score(checkpoint, corpus / "eval.tsv", tmp_path / "scores.csv"), "--decision", str(decision)]
    for options, differing in ((["--llr"], "llr"), (["--hop", "0.1"], "hop")):
        assert main([*command, *options]) == 1
        error = capsys.readouterr().err
        assert f"decision.json: learned from scores that differ in {differing}: score the labelled trials" in error
        assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_python_gives_the_verdicts_of_the_command(corpus, checkpoint, undisturbed, decision) -> None:
    detector = sls_plugin.load(checkpoint, decision=decision)
    for number, expected in enumerate(with_verdicts(undisturbed, decision)[:3]):
        assert expected | detector.verdict(corpus / f"{number}.wav")._asdict() == expected
    with pytest.raises(sls_plugin.UserError, match="no decision: load the detector with decision=FILE"):
        sls_plugin.load(checkpoint).verdict(corpus / "0.wav")


def test_python_takes_the_scores_that_the_decision_is_about(corpus, checkpoint, decision, tmp_path) -> None:
    content = json.loads(decision.read_text())
    content["source"]["settings"]["llr"] = True
    (tmp_path / "llr.json").write_text(json.dumps(content))
    command = [*score(checkpoint, corpus / "0.wav", tmp_path / "llr.csv"), "--llr", "--decision", str(tmp_path / "llr.json")]
    assert main(command) == 0
    detector = sls_plugin.load(checkpoint, decision=tmp_path / "llr.json")
    (row,) = rows(tmp_path / "llr.csv")
    assert detector.verdict(corpus / "0.wav").score == pytest.approx(row["score"], abs=1e-6)
    content["source"]["settings"]["checkpoint"] = "0" * 64
    (tmp_path / "llr.json").write_text(json.dumps(content))
    with pytest.raises(sls_plugin.UserError, match="differ in checkpoint: score the labelled trials with this detector"):
        sls_plugin.load(checkpoint, decision=tmp_path / "llr.json")


def test_parquet_without_pyarrow_is_refused_before_anything_is_scored(corpus, checkpoint, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(SystemExit, match="2"):
        main(score(checkpoint, corpus / "eval.tsv", tmp_path / "a.parquet"))
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.endswith("/a.parquet: a Parquet file needs pyarrow: pip install pyarrow, or name a .csv file")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.xlsx", "a.json", "a.TSV", "a.csv.gz"])
def test_no_text_gets_the_name_of_another_format(corpus, checkpoint, tmp_path, capsys, name: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(score(checkpoint, corpus / "eval.tsv", tmp_path / name))
    assert "name an output .txt, .csv, .jsonl, .parquet" in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_more_shards_than_batches(corpus, checkpoint, tmp_path) -> None:
    parts = [tmp_path / f"scores.{index}.txt" for index in range(3)]
    for index, part in enumerate(parts):
        command = ["score", str(checkpoint), str(corpus / "0.wav"), "--output", str(part), "--shard", f"{index}/3"]
        assert main(command) == 0
    assert sorted(part.stat().st_size for part in parts)[:2] == [0, 0]
    assert main(["merge", *map(str, parts), "--output", str(tmp_path / "all.txt")]) == 0
    assert list(read_scores(tmp_path / "all.txt")) == [str(corpus / "0.wav")]


@pytest.mark.parametrize("shard", ["", "1", "2/2", "-1/2", "0/0", "1/2/3", "a/b", "0,2"])
def test_what_is_no_shard(corpus, checkpoint, tmp_path, capsys, shard: str) -> None:
    with pytest.raises(SystemExit) as usage:
        main([*score(checkpoint, corpus / "eval.tsv", tmp_path / "scores.txt"), f"--shard={shard}"])
    assert usage.value.code == 2
    assert "is not I/N with I from 0 to N-1" in capsys.readouterr().err


# Killed, interrupted, without room


KILLED = """
import os, random, signal, sys
import sls_plugin.tasks
from sls_plugin.__main__ import main
import sls_plugin.inference.engine
from sls_plugin.inference import run as scoring
from sls_plugin.scores.journal import Journal

*arguments, output = sys.argv[1:]
rng = random.Random(1)


def run(module, name, killed_from):
    # A process that is killed up to 20 ms after a call of this function, if it has not ended before; returns its status.
    # The alarm is its own and ends it as SIGKILL does, so that no other process must be quick enough to kill it.
    delay, process = rng.uniform(1e-6, 0.02), os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    whole = getattr(module, name)

    def called(*arguments):
        if killed_from(*arguments) and not any(signal.getitimer(signal.ITIMER_REAL)):
            signal.setitimer(signal.ITIMER_REAL, delay)
        return whole(*arguments)

    setattr(module, name, called)
    os._exit(main([*arguments, "--output", output, "--resume"]))


n_killed = 0
for kill in range(20):
    n_killed += run(Journal, "add", lambda journal, *_: journal.n_done >= kill * 7) == -signal.SIGALRM
n_killed += run(scoring, "write_metadata", lambda *_: True) == -signal.SIGALRM  # the last step
print(n_killed)
sys.exit(run(Journal, "add", lambda *_: False))
"""


def test_killed_twenty_times_the_scores_are_those_of_an_undisturbed_run(corpus, checkpoint, undisturbed, tmp_path) -> None:
    output = tmp_path / "scores.txt"
    arguments = ["score", str(checkpoint), str(corpus / "eval.tsv"), "--skip-broken", *BATCH]
    outcome = subprocess.run([sys.executable, "-c", KILLED, *arguments, str(output)], capture_output=True, text=True)
    assert outcome.returncode == 1, outcome.stderr  # for the broken recording
    assert int(outcome.stdout.splitlines()[0]) >= 18
    assert_same_run(output, undisturbed)


def test_no_second_process_writes_the_output_and_ctrl_c_says_what_is_kept(
    corpus, checkpoint, undisturbed, tmp_path, capsys
) -> None:
    output = tmp_path / "scores.txt"
    workers = ("--num-workers", "1")  # torch warns of more workers than cores
    command = [*score(checkpoint, corpus / "eval.tsv", output), "--skip-broken", *workers]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(signalled("SIGSTOP", command), **pipes, start_new_session=True) as process:
        state = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        assert state.si_code == os.CLD_STOPPED, process.communicate()
        for options in ([], ["--resume"], ["--overwrite"]):
            assert main([*command, *options]) == 1
            assert "scores.txt.partial: another process is writing it" in capsys.readouterr().err
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the data workers too
        process.send_signal(signal.SIGCONT)
        printed = "".join(process.communicate(timeout=HANGS))
    assert process.returncode == 130, printed
    kept = f"{n_kept(output)} of 150 trials are scored and kept: --resume continues with them"
    assert printed == f"sls score: interrupted: {kept}\n"
    assert main([*command, "--resume"]) == 1
    assert_same_run(output, undisturbed)


def test_nothing_is_left_of_a_run_with_more_processes(corpus, checkpoint, tmp_path) -> None:
    output = tmp_path / "scores[1].txt"  # a name that is a pattern too
    for name in (".partial.1", ".partial.12", ".partial.copy"):
        Path(f"{output}{name}").write_text("of an earlier run\n")
    assert main([*score(checkpoint, corpus / "eval.tsv", output), "--skip-broken", "--overwrite"]) == 1
    assert [path.name for path in sorted(tmp_path.glob("*.partial*"))] == ["scores[1].txt.partial.copy"]


def test_a_full_disk_keeps_what_is_scored(corpus, checkpoint, undisturbed, tmp_path, capsys) -> None:
    output = tmp_path / "scores.txt"
    command = [*score(checkpoint, corpus / "eval.tsv", output), "--skip-broken"]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        assert main(command) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    kept = f"{n_kept(output)} of 150 trials are scored and kept: --resume continues with them"
    assert capsys.readouterr().err == f"sls score: error: {output}.partial: File too large: free some disk space: {kept}\n"
    assert Path(f"{output}.partial").read_bytes().endswith(b"\n")
    assert main([*command, "--resume"]) == 1
    assert_same_run(output, undisturbed)


def test_what_hinders_the_last_step_costs_no_score(corpus, checkpoint, undisturbed, tmp_path, capsys) -> None:
    output = tmp_path / "scores.txt"
    command = [*score(checkpoint, corpus / "eval.tsv", output), "--skip-broken"]
    Path(f"{output}.errors.tsv").mkdir()  # in its place nothing can be written
    assert main(command) == 1
    assert "scores.txt.errors.tsv: is a folder" in capsys.readouterr().err
    assert n_kept(output) == N_TRIALS
    Path(f"{output}.errors.tsv").rmdir()
    assert main([*command, "--resume"]) == 1
    assert_same_run(output, undisturbed)


def test_a_full_disk_behind_the_terminal_is_not_taken_for_that_of_the_output(corpus, checkpoint, tmp_path, capsys) -> None:
    output = tmp_path / "scores.txt"
    full = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
    with io.TextIOWrapper(full, write_through=True) as printed, redirect_stdout(printed):
        assert main(score(checkpoint, corpus / "0.wav", output)) == 1
    assert capsys.readouterr().err == "sls score: error: output: No space left on device\n"
    assert len(read_scores(output)) == 1
    assert not list(tmp_path.glob("*.partial*"))


# Several processes


def test_processes_of_torchrun_give_the_scores_of_one(corpus, checkpoint, undisturbed, tmp_path) -> None:
    output = tmp_path / "scores.txt"
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "sls_plugin")
    command = [*torchrun, *score(checkpoint, corpus / "eval.tsv", output), "--skip-broken"]
    assert subprocess.run(command, capture_output=True, timeout=HANGS).returncode == 1  # for the broken recording
    assert_same_run(output, undisturbed)


@contextmanager
def processes_of(command: Sequence[str], n_processes: int) -> Iterator[list[subprocess.Popen]]:
    """The processes that torchrun would start, without the watch that it keeps on them.

    Like torchrun's, their meeting place is a server that is there before them, and so has a port for certain.
    """
    server = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    common = {"WORLD_SIZE": str(n_processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(server.port)}
    common = os.environ | common | {"TORCHELASTIC_USE_AGENT_STORE": "True"}
    with ExitStack() as processes:
        yield [
            processes.enter_context(
                subprocess.Popen(
                    command, env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)}, stderr=subprocess.PIPE, text=True
                )
            )
            for rank in range(n_processes)
        ]


def test_a_dead_process_hangs_no_other_and_loses_nothing(corpus, checkpoint, tmp_path, capsys) -> None:
    output = tmp_path / "scores.txt"
    command = score(checkpoint, corpus / "sound.tsv", output)
    with processes_of(signalled("SIGKILL", command, rank=1), 2) as (first, second):
        _, error = first.communicate(timeout=HANGS)
    assert (first.returncode, second.returncode) == (1, -signal.SIGKILL)
    assert error.endswith("sls score: error: another rank failed: fix the error it reported, then rerun with --resume\n")
    assert n_kept(output) == 76  # all its share
    assert main([*command, "--resume"]) == 1  # as a single process, for which the shares are others
    assert "scores.txt.partial: of a run that differs in processes: " in capsys.readouterr().err
    with processes_of([*SLS, *command, "--resume"], 2) as processes:
        assert [process.wait(timeout=HANGS) for process in processes] == [0, 0]
    assert list(read_scores(output)) == [f"two words {number}" for number in range(N_TRIALS) if number != N_TRIALS - 50]
    assert not list(tmp_path.glob("*.partial*"))


def test_processes_that_read_different_lists_score_nothing(corpus, checkpoint, tmp_path) -> None:
    """As when they share a pipe, of which each reads a part."""
    for rank in (0, 1):
        (tmp_path / f"list.{rank}").write_text(f"{corpus}/{rank}.wav\n")
    command = " ".join([*SLS, *score(checkpoint, f"{tmp_path}/list.$RANK", tmp_path / "scores.txt")])
    with processes_of(["bash", "-c", f"exec {command}"], 2) as processes:
        errors = [process.communicate(timeout=HANGS)[1] for process in processes]
    for rank, error in enumerate(errors):
        what = "the processes of this run read different trials: give a file that all of them see, not a pipe"
        assert error.endswith(f"sls score: error: {tmp_path}/list.{rank}: {what}\n")
    assert not list(tmp_path.glob("scores.txt*"))
