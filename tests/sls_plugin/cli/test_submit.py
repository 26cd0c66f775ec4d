"""`sls submit`: files as the leaderboards' own programs read them, and what is refused."""

import csv
import gzip
import hashlib
import io
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import naive_metrics
import numpy as np
import pytest
import yaml

from sls_plugin.__main__ import main
from sls_plugin.cli import submit as command
from sls_plugin.evaluation.submission import LEADERBOARDS

N = 60  # trials


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Scores of N trials of In-the-Wild, which overlap, and their keys."""
    rng = np.random.default_rng(3)
    names = [f"{number}.wav" for number in range(N)]
    scores = {name: rng.normal() + 2 * (number % 3 == 0) for number, name in enumerate(names)}
    (tmp_path / "scores.txt").write_text("".join(f"{name} {score!r}\n" for name, score in scores.items()))
    labels = [f"- {name} - - - {'spoof' if number % 3 else 'bona-fide'}\n" for number, name in enumerate(names)]
    (tmp_path / "in_the_wild_key.txt").write_text("".join(labels))
    rows = ["id,label\n", *(f"{name},{'spoof' if number % 3 else 'bonafide'}\n" for number, name in enumerate(names))]
    (tmp_path / "keys.csv").write_text("".join(rows))
    return tmp_path


@pytest.fixture
def submit(folder: Path) -> Callable[..., int]:
    def run(leaderboard: str, *options: str, corpus: str = "in-the-wild") -> int:
        keys = "keys.csv" if corpus == "labels" else "in_the_wild_key.txt"
        files = [str(folder / "scores.txt"), "--corpus", corpus, "--keys", str(folder / keys), "--output", str(folder / "out")]
        return main(["submit", leaderboard, *files, *options])

    return run


def eer_of(folder: Path, scores: Path, corpus: str, keys: Path) -> float:
    assert main(["evaluate", corpus, str(scores), "--keys", str(keys), "--json", str(folder / "figures.json")]) == 0
    return json.loads((folder / "figures.json").read_text())["eer"]


def by_class(folder: Path) -> tuple[list[float], list[float]]:
    scores = [float(line.split()[1]) for line in (folder / "scores.txt").read_text().splitlines()]
    return scores[::3], [score for number, score in enumerate(scores) if number % 3]


@pytest.mark.parametrize(
    ("leaderboard", "options", "file"),
    [
        ("speech-df-arena", [], "in_the_wild.txt"),
        ("anti-spoofing-arena", [], "InTheWild/scores.txt"),
        ("asvspoof5", ["--set", "eval"], "score.tsv"),
    ],
)
def test_the_files_are_read_back_to_the_last_digit(submit, folder, leaderboard, options, file) -> None:
    assert submit(leaderboard, *options) == 0
    expected = naive_metrics.eer(*by_class(folder))[0]
    assert eer_of(folder, folder / "out" / file, "in-the-wild", folder / "in_the_wild_key.txt") == expected
    written = [float(re.split(r"[ \t]", line)[1]) for line in (folder / "out" / file).read_text().splitlines()[-N:]]
    assert written == [float(line.split()[1]) for line in (folder / "scores.txt").read_text().splitlines()]


def test_speech_df_arena_joins_scores_and_labels_by_name(submit, folder, capsys) -> None:
    assert submit("speech-df-arena") == 0
    with open(folder / "out/in_the_wild.csv", newline="") as file:
        labels = {row["file_name"]: row["label"] for row in csv.DictReader(file)}
    scores = dict(line.split(" ") for line in (folder / "out/in_the_wild.txt").read_text().splitlines())
    assert labels.keys() == scores.keys()
    assert list(labels.values()).count("bonafide") == N / 3
    printed = capsys.readouterr()
    assert f"in_the_wild of Speech DF Arena: {N} trials, EER {100 * naive_metrics.eer(*by_class(folder))[0]:.3f} %" in printed.out
    assert f"warning: the keys have {N} trials, and in_the_wild has 31,779" in printed.err


def test_the_anti_spoofing_arena_finds_what_it_recomputes(submit, folder) -> None:
    """Its `reproduce` compares ids, counts, hash, and the EER to 1e-6."""
    assert submit("anti-spoofing-arena") == 0
    scores = folder / "out/InTheWild/scores.txt"
    assert [line.split()[0] for line in scores.read_text().splitlines()] == [f"ITW_{number}" for number in range(N)]
    content = yaml.safe_load((folder / "out/InTheWild/submission.yaml").read_text())
    assert content["artifact"]["scores_sha256"] == hashlib.sha256(scores.read_bytes()).hexdigest()
    assert content["dataset"] == {"id": "SpeechAntiSpoofingBenchmarks/InTheWild", "revision": "", "split": "test"}
    assert {name: content["scores"][name] for name in ("n_trials", "n_skipped")} == {"n_trials": N, "n_skipped": 0}
    assert content["scores"]["eer_percent"] == pytest.approx(100 * naive_metrics.interpolated_eer(*by_class(folder)), abs=1e-9)
    required = {"schema_version", "system", "dataset", "scores", "artifact", "submitter", "submitted_at"}
    assert (content.keys(), content["schema_version"]) == (required, 4)
    assert content["system"].keys() == {"name", "slug", "description", "code", "checkpoint"}


def test_asvspoof5_has_its_header_and_an_archive_without_folders(submit, folder) -> None:
    assert submit("asvspoof5", "--set", "eval") == 0
    table = (folder / "out/score.tsv").read_bytes()
    assert table.startswith(b"filename\tcm-score\n0.wav\t")
    archive = (folder / "out/submission.zip").read_bytes()
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        assert file.namelist() == ["score.tsv"]
        assert file.read("score.tsv") == table
    assert submit("asvspoof5", "--set", "eval", "--overwrite") == 0
    assert (folder / "out/submission.zip").read_bytes() == archive


def test_asvspoof5_reads_the_organisers_protocol(folder) -> None:
    ids = [f"E_{number:010}" for number in range(20)]
    (folder / "scores.txt").write_text("".join(f"{name} {number}.5\n" for number, name in enumerate(ids)))
    lines = [
        f"E_1 {name} F - - - - {'A17 spoof' if number < 9 else 'bonafide bonafide'} -\n" for number, name in enumerate(ids)
    ]
    (folder / "ASVspoof5.eval.track_1.tsv").write_text("".join(lines))
    arguments = [str(folder / "scores.txt"), "--keys", str(folder), "--output", str(folder / "out")]
    assert main(["submit", "asvspoof5", *arguments]) == 0
    assert len((folder / "out/score.tsv").read_text().splitlines()) == 21


def test_all_phases_of_2021_go_to_the_anti_spoofing_arena_and_eval_elsewhere(folder) -> None:
    phases = ("eval", "progress", "hidden")
    lines = [
        f"p1 LA_E_{number} alaw ita_tx {'A07 spoof' if number % 2 else 'bonafide bonafide'} notrim {phases[number // 2 % 3]}\n"
        for number in range(24)
    ]
    (folder / "trial_metadata.txt").write_text("".join(lines))
    (folder / "scores.txt").write_text("".join(f"LA_E_{number} {-(number % 2)}\n" for number in range(24)))
    arguments = [str(folder / "scores.txt"), "--corpus", "2021la", "--keys", str(folder), "--output", str(folder / "out")]
    assert main(["submit", "anti-spoofing-arena", *arguments]) == 0
    assert main(["submit", "speech-df-arena", *arguments]) == 0
    assert len((folder / "out/ASVspoof2021_LA/scores.txt").read_text().splitlines()) == 24
    assert len((folder / "out/asvspoof_2021_la.txt").read_text().splitlines()) == 8


def test_any_other_set_has_a_name_and_a_list_of_labels(submit, folder, capsys) -> None:
    assert submit("anti-spoofing-arena", "--set", "CD-ADD", corpus="labels") == 0
    assert (folder / "out/CD-ADD/scores.txt").read_text().startswith("0.wav ")
    assert "warning" not in capsys.readouterr().err


def replace(folder: Path, line: str | None, number: int = 5) -> None:
    lines = (folder / "scores.txt").read_text().splitlines(keepends=True)
    lines[number : number + 1] = [line] if line else []
    (folder / "scores.txt").write_text("".join(lines))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (None, "1 trial of the keys has no score ('5.wav')"),
        ("5.wav 1\nunknown.wav 1\n", "1 id is not in the keys ('unknown.wav')"),
        ("5.wav nan\n", "1 score that is NaN or infinite (line 6: '5.wav' nan)"),
        ("5.wav -inf\n", "NaN or infinite"),
        ("5.wav 1\n5.wav 2\n", "1 repeated id (line 7: '5.wav' with another score)"),
        ("5.wav\n", "1 malformed line"),
    ],
)
@pytest.mark.parametrize("leaderboard", LEADERBOARDS)
def test_what_a_leaderboard_would_refuse_is_one_line(submit, folder, capsys, leaderboard, line, problem) -> None:
    replace(folder, line)
    assert submit(leaderboard, "--set", "x") == 1
    error = capsys.readouterr().err
    assert problem in error
    assert error.count("\n") == 1
    assert not (folder / "out").exists()


def test_the_wrong_sign_is_refused_and_repaired(submit, folder, capsys) -> None:
    eer = naive_metrics.eer(*by_class(folder))[0]
    lines = [line.split() for line in (folder / "scores.txt").read_text().splitlines()]
    (folder / "scores.txt").write_text("".join(f"{name} {-float(score)!r}\n" for name, score in lines))
    assert submit("speech-df-arena") == 1
    assert re.search(r"the EER is 80.00 %, with the other sign 20.00 %: .*: give --negate\n", capsys.readouterr().err)
    assert submit("speech-df-arena", "--negate") == 0
    assert eer_of(folder, folder / "out/in_the_wild.txt", "labels", folder / "out/in_the_wild.csv") == eer
    (folder / "scores.txt").write_bytes((folder / "out/in_the_wild.txt").read_bytes())
    assert submit("speech-df-arena", "--negate", "--overwrite") == 1
    assert "leave out --negate" in capsys.readouterr().err


def test_equal_scores_have_no_sign(submit, folder) -> None:
    (folder / "scores.txt").write_text("".join(f"{number}.wav 0\n" for number in range(N)))
    assert submit("speech-df-arena") == 0


def test_an_id_with_a_blank_is_refused(folder, capsys) -> None:
    (folder / "scores.txt").write_text("a b 1\nc 0\n")
    (folder / "keys.csv").write_text("id,label\na b,bonafide\nc,spoof\n")
    files = [str(folder / "scores.txt"), "--keys", str(folder / "keys.csv"), "--output", str(folder / "out")]
    assert main(["submit", "speech-df-arena", *files, "--set", "x"]) == 1
    assert "trial 'a b': its id has a blank" in capsys.readouterr().err


def test_files_that_exist_stay(submit, folder, capsys) -> None:
    (folder / "out").mkdir()
    (folder / "out/in_the_wild.csv").write_text("mine\n")
    assert submit("speech-df-arena") == 1
    assert "already exists: give --overwrite" in capsys.readouterr().err
    assert not (folder / "out/in_the_wild.txt").exists()


@pytest.mark.parametrize(
    ("leaderboard", "options", "problem"),
    [
        ("arena", [], "invalid choice: 'arena'"),
        ("speech-df-arena", ["--set", "../x"], "--set ../x: a name has letters"),
        ("speech-df-arena", ["--corpus", "labels"], "Speech DF Arena has no set for the corpus labels: name it with --set"),
        ("asvspoof5", [], "ASVspoof 5, track 1 has no set for the corpus in-the-wild"),
    ],
)
def test_wrong_usage_exits_2(submit, leaderboard, options, problem, capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        submit(leaderboard, *options)
    assert stop.value.code == 2
    assert problem in capsys.readouterr().err


def test_the_help_knows_all_leaderboards() -> None:
    assert tuple(LEADERBOARDS) == command.LEADERBOARDS


def test_needs_no_torch(folder) -> None:
    code = "import sys; from sls_plugin.__main__ import main; main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    files = [folder / "scores.txt", "--corpus", "in-the-wild", "--keys", folder / "in_the_wild_key.txt"]
    for words in (["submit", "speech-df-arena", *files, "--output", folder / "out"], ["anchor", "sls", *files]):
        assert subprocess.run([sys.executable, "-c", code, *map(str, words)], check=False).returncode == 0


def test_published_scores(shared: Path, tmp_path: Path) -> None:
    """The EER that linear interpolation gives for scores of In-the-Wild, from another program."""
    source = shared / "data/scores"
    expected = json.loads((source / "expected.json").read_text())["itw/yash_v1"]
    keys = tmp_path / "in_the_wild_key.txt"
    keys.write_bytes(gzip.decompress((source / "itw/key.txt.gz").read_bytes()))
    files = [str(source / "itw/yash_v1.txt.gz"), "--corpus", "in-the-wild", "--keys", str(keys), "--output", str(tmp_path)]
    assert main(["submit", "anti-spoofing-arena", *files]) == 0
    content = yaml.safe_load((tmp_path / "InTheWild/submission.yaml").read_text())
    assert content["scores"]["eer_percent"] == pytest.approx(100 * expected["eer_linear_interp"], abs=1e-12)
    assert eer_of(tmp_path, tmp_path / "InTheWild/scores.txt", "in-the-wild", keys) == expected["eer"]
