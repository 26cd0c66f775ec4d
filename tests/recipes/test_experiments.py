"""What holds for every experiment, a folder of `recipes/` with a `run.sh`; and how the options that they share are refused."""

from pathlib import Path

import pytest
from recipe_runs import ROOT, run_recipe

RECIPES = ROOT / "recipes"
TOOLS = {"data", "slurm"}  # folders that hold no experiment
EXPERIMENTS = sorted(path.name for path in RECIPES.iterdir() if path.is_dir() and path.name not in TOOLS | {"__pycache__"})


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_has_a_page_a_script_and_a_test(name) -> None:
    folder = RECIPES / name
    assert (folder / "README.md").is_file()
    assert (folder / "run.sh").is_file()
    assert list(folder.glob("config/*.yaml"))
    tests = [path.read_text() for path in Path(__file__).parent.glob("test_*.py")]
    for script in folder.glob("*.sh"):
        assert any(f'"{name}/{script.name}"' in text or f'("{script.name}"' in text for text in tests), script


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_nothing_is_tied_to_a_machine(name) -> None:
    for path in (RECIPES / name).rglob("*"):
        if path.suffix in (".sh", ".yaml", ".md"):
            text = path.read_text()
            assert not [word for word in ("/home/", "/root", "/mnt", "/scratch") if word in text], path


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_help_tells_the_options(name) -> None:
    printed = run_recipe(f"{name}/run.sh", "--help")
    assert printed.count("\n") > 5
    for option in ("--dest DIR", "--stage N"):
        assert option in printed
    assert "set -euo" not in printed


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([], 2, "--dest is missing: name the folder to write to"),
        (["--dest", "{tmp}", "--gpu", "1"], 2, "unknown option --gpu"),
        (["--dest", "{tmp}", "--gpus"], 2, "--gpus needs a value"),
        (["--dest", "{tmp}", "--gpus", "two"], 2, "--gpus 'two': give a number from 1 on"),
        (["--dest", "{tmp}", "--config", "papers"], 2, "--config papers: no "),
        (["OUT"], 2, "unexpected argument 'OUT'"),
        (["--dest", "{tmp}", "--w2v-path", "{tmp}"], 1, "--corpora is missing: name the folder that holds the unpacked corpora"),
        (["--dest", "{tmp}", "--w2v-path", "{tmp}", "--corpora", "{tmp}/x"], 1, "--corpora {tmp}/x: no such file or folder"),
        (["--dest", "{tmp}", "--w2v-path", "{tmp}", "--corpora", "{tmp}"], 1, "{tmp}: no ASVspoof2019_LA_train below it: unpack"),
        (
            ["--dest", "{tmp}", "--corpora", "{tmp}"],
            1,
            "--w2v-path is missing: name the pre-trained XLS-R 300M (or set W2V_PATH)",
        ),
        (["--dest", "{tmp}", "--w2v-path", "{tmp}/x"], 1, "--w2v-path {tmp}/x: no such file or folder"),
    ],
)
def test_what_is_missing_is_told_in_one_line(arguments, status, message, tmp_path) -> None:
    printed = run_recipe("sls/run.sh", *(argument.format(tmp=tmp_path) for argument in arguments), status=status)
    problem = printed.splitlines()[-1]
    assert problem.startswith(f"recipes/sls/run.sh: {message.format(tmp=tmp_path)}")
    assert len([line for line in printed.splitlines() if line.startswith("recipes/sls/run.sh:")]) == 1


def test_a_track_that_does_not_exist_is_refused(tmp_path) -> None:
    printed = run_recipe("score.sh", "2021pa", "--dest", tmp_path, "--corpora", tmp_path, status=2)
    assert "unknown track '2021pa': choose from asvspoof2019-la, asvspoof2019-pa, asvspoof2021-df, " in printed


@pytest.mark.parametrize(
    ("track", "message"),
    [
        ("2019la", "--protocol is missing: name ASVspoof2019.LA.cm.eval.trl.txt"),
        ("2021df", "--keys is missing: name the folder that holds DF/CM/trial_metadata.txt"),
    ],
)
def test_recordings_alone_are_not_enough(track, message, tmp_path) -> None:
    printed = run_recipe("score.sh", track, "--dest", tmp_path, "--audio", tmp_path, status=1)
    assert printed.splitlines()[-1] == f"recipes/score.sh: {message}"


def test_corpora_can_be_named_by_the_environment(corpora, tmp_path) -> None:
    run_recipe("sls/score_wild.sh", "--dest", tmp_path, "--stop-stage", 1, CORPORA=str(corpora))
    assert (tmp_path / "data" / "in-the-wild" / "eval.tsv").is_file()


@pytest.mark.parametrize("track", ["asvspoof2019-la", "asvspoof2021-la"])
def test_a_track_goes_by_the_name_of_its_corpus_too(track, corpora, tmp_path) -> None:
    run_recipe("score.sh", track, "--corpora", corpora, "--dest", tmp_path, "--stop-stage", 1)
    assert [path.parent.name for path in tmp_path.rglob("eval.tsv")] == [track]
