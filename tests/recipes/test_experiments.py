"""What holds for every experiment, a folder of `recipes/experiments`, and how wrong options are refused."""

import os
import re
import shutil
from pathlib import Path

import pytest
from miniatures import COUNTS
from recipe_runs import ROOT, SMALL, rows, run_recipe

RECIPES = ROOT / "recipes"
EXPERIMENTS = sorted(path.name for path in (RECIPES / "experiments").iterdir() if path.name != "__pycache__")
OF_0_3 = sorted({path.parent.name for path in RECIPES.glob("*/run.sh")})
FORWARDED = ["sls/train.sh", *(f"{name}/run.sh" for name in OF_0_3)]
PAGES = sorted(path.relative_to(RECIPES) for path in RECIPES.rglob("README.md"))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_has_a_page_configurations_and_a_test(name) -> None:
    folder = RECIPES / "experiments" / name
    assert (folder / "README.md").read_text().startswith("# ")
    assert list(folder.glob("config/*.yaml"))
    tests = [path.read_text() for path in Path(__file__).parent.glob("test_*.py")]
    assert any(f'run_recipe("train.sh", "{name}"' in text for text in tests)


@pytest.mark.parametrize("script", sorted(path.relative_to(RECIPES) for path in RECIPES.glob("sls/*.sh")))
def test_every_script_of_a_track_is_tested(script) -> None:
    tests = [path.read_text() for path in Path(__file__).parent.glob("test_*.py")]
    assert any(f'"{script}"' in text or f'("{script.name}"' in text for text in tests)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_nothing_is_tied_to_a_machine(name) -> None:
    for path in (RECIPES / "experiments" / name).rglob("*"):
        if path.suffix in (".sh", ".yaml", ".md"):
            text = path.read_text()
            assert not [word for word in ("/home/", "/root", "/mnt", "/scratch") if word in text], path


@pytest.mark.parametrize("command", [["train.sh"], ["score.sh"], *(["train.sh", name] for name in EXPERIMENTS)])
def test_help_has_one_example_and_grouped_options(command) -> None:
    printed = run_recipe(*command, "--help")
    assert printed.count(f"\nExample\n  bash recipes/{' '.join(command)} ") == 1
    assert re.search(r"^Files\n  --\w.*\n(  .*\n)*\n\w+\n  --", printed, flags=re.MULTILINE)
    assert max(map(len, printed.splitlines())) < 100
    assert "unbound variable" not in printed
    for option in ("--dest DIR", "--stage N"):
        assert option in printed


def test_help_shows_the_stages_and_the_options_that_an_experiment_has() -> None:
    printed = run_recipe("train.sh", "softmax_fusion", "--help")
    assert "1 Manifests, 2 Training, 3 Scores, 4 Layer weights, 5 Results" in printed
    assert "(default: 4)" in printed
    assert "--w2v-path" in printed
    printed = run_recipe("train.sh", "prosody", "--help")
    assert "--lambdas L[,L...]" in printed
    assert "--w2v-path" not in printed


@pytest.mark.parametrize("script", FORWARDED)
def test_commands_of_version_0_3_still_work(script) -> None:
    assert len(OF_0_3) == 8
    name = script.split("/")[0]
    assert run_recipe(script, "--help") == run_recipe("train.sh", name, "--help")


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_exist(page) -> None:
    """Scripts, experiments, configurations and modules that the page names."""
    text = (RECIPES / page).read_text()
    for script in re.findall(r"(?:bash|sbatch|python) (recipes/[\w/.]+)", text):
        assert (ROOT / script).is_file(), script
    for module in re.findall(r"python -m (recipes[\w.]+)", text):
        assert (ROOT / module.replace(".", "/")).with_suffix(".py").is_file(), module
    for name, config in re.findall(r"recipes/train\.sh (\w+)(?:[^\n`]*--config (\w+))?", text):
        assert name == "EXPERIMENT" or name in EXPERIMENTS, name
        assert not config or (RECIPES / "experiments" / name / "config" / f"{config}.yaml").is_file(), config


def test_an_unknown_experiment_is_refused_with_the_known_ones() -> None:
    printed = run_recipe("train.sh", "slss", "--dest", "OUT", status=2)
    assert printed == f"recipes/train.sh: no experiment 'slss': choose from {', '.join(EXPERIMENTS)}: see --help\n"


def test_without_an_experiment_the_usage_is_printed() -> None:
    printed = run_recipe("train.sh", status=2)
    assert printed == run_recipe("train.sh", "--help")
    assert all(f"\n  {name} " in printed for name in EXPERIMENTS)


def test_a_new_experiment_is_one_folder(corpora, backbone, tmp_path) -> None:
    """A page and a configuration below `experiments/`: nothing else in the checkout is edited."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for path in ROOT.iterdir():
        if path.name != "recipes":
            (checkout / path.name).symlink_to(path)
    shutil.copytree(RECIPES, checkout / "recipes")
    toy = checkout / "recipes" / "experiments" / "toy"
    (toy / "config").mkdir(parents=True)
    (toy / "README.md").write_text("# Toy detector\n")
    config = (RECIPES / "experiments" / "sls" / "config" / "paper.yaml").read_text()
    (toy / "config" / "paper.yaml").write_text(config.replace("max_epoch: 50", "max_epoch: 1"))
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, [str(checkout), os.environ.get("PYTHONPATH")]))}
    arguments = ["--corpora", corpora, "--w2v-path", backbone, "--dest", tmp_path / "out", "--tracks", "in-the-wild"]
    run_recipe(checkout / "recipes" / "train.sh", "toy", *arguments, "--", *SMALL, **paths)
    assert (tmp_path / "out" / "RESULTS.md").read_text().startswith("# Toy detector, configuration paper\n")
    assert [int(cell) for cell in rows(tmp_path / "out")["in-the-wild", "seed1234"][3:5]] == list(COUNTS["in-the-wild"])
    assert "  toy                 Toy detector\n" in run_recipe(checkout / "recipes" / "train.sh", "--help")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([], 2, "--dest is missing: name the folder to write to"),
        (["--dest", "{tmp}", "--gpu", "1"], 2, "unknown option --gpu"),
        (["--dest", "{tmp}", "--gpus"], 2, "--gpus needs a value"),
        (["--dest", "{tmp}", "--gpus", "two"], 2, "--gpus 'two': must be a whole number >= 1"),
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
def test_wrong_arguments_are_reported_in_one_line(arguments, status, message, tmp_path) -> None:
    printed = run_recipe("sls/run.sh", *(argument.format(tmp=tmp_path) for argument in arguments), status=status)
    problem = printed.splitlines()[-1]
    assert problem.startswith(f"recipes/train.sh: {message.format(tmp=tmp_path)}")
    assert len([line for line in printed.splitlines() if line.startswith("recipes/train.sh:")]) == 1


def test_an_option_of_another_experiment_is_refused(tmp_path) -> None:
    """Raw waveforms have no backbone."""
    printed = run_recipe("train.sh", "aasist", "--dest", tmp_path, "--w2v-path", "xlsr2_300m.pt", status=2)
    assert printed == "recipes/train.sh: unknown option --w2v-path: see --help\n"


def test_a_track_that_does_not_exist_is_refused(tmp_path) -> None:
    printed = run_recipe("score.sh", "2021pa", "--dest", tmp_path, "--corpora", tmp_path, status=2)
    assert "unknown track '2021pa': choose from asvspoof2019-la, asvspoof2019-pa, asvspoof2021-df, " in printed
    assert "recipes/score.sh: name a TRACK: " in run_recipe("score.sh", status=2)


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
