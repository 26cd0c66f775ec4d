"""The corpora as commands find them, and a new one that is nothing but a file."""

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from protocols import SettingError
from protocols.corpora import CORPORA, canonical_name, find_corpus
from protocols.corpus import Corpus
from protocols.keys import read_keys

ROOT = Path(__file__).parents[3]
README = (ROOT / "protocols/README.md").read_text(encoding="utf-8")
NAMES = {
    "asvspoof2019-la", "asvspoof2019-pa", "asvspoof2021-la", "asvspoof2021-df", "asvspoof5", "in-the-wild", "mlaad",
    "librispeech", "brspeech-df", "folder", "list", "labels",
}  # fmt: skip
ALIASES = {
    "2019la": "asvspoof2019-la", "asvspoof2019": "asvspoof2019-la", "2021la": "asvspoof2021-la", "2021df": "asvspoof2021-df",
}  # fmt: skip
READERS = [name for name, corpus in CORPORA.items() if corpus.reader]


def test_every_corpus_has_one_name_and_those_of_version_0_3_are_aliases() -> None:
    assert CORPORA.keys() == NAMES
    assert {alias: corpus.name for corpus in CORPORA.values() for alias in corpus.aliases} == ALIASES
    for alias, name in ALIASES.items():
        assert (canonical_name(alias), canonical_name(name)) == (name, name)
        assert find_corpus(alias) is CORPORA[name]
    assert canonical_name("2021pa") == "2021pa"
    with pytest.raises(SettingError, match=r"unknown corpus '2021pa': choose from asvspoof2019-la, "):
        find_corpus("2021pa")


def test_a_corpus_without_keys_says_which_have_some(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"mlaad has no keys: choose from asvspoof2019-la, .*labels"):
        read_keys("mlaad", tmp_path)


@pytest.mark.parametrize("name", READERS)
def test_the_declared_options_are_those_that_the_reader_takes(name: str) -> None:
    reader = CORPORA[name].reader
    parameters = inspect.signature(reader.read).parameters
    assert {*parameters} == {"audio", *reader.options}
    needed = {option for option, parameter in parameters.items() if parameter.default is parameter.empty}
    assert needed == {"audio", *reader.required}
    assert len(set(reader.options)) == len(reader.options)


def test_what_recipes_score_has_labels_in_one_file() -> None:
    tracks = {name: corpus.track for name, corpus in CORPORA.items() if corpus.track}
    assert {*tracks} == {name for name, corpus in CORPORA.items() if corpus.keys} - {"labels"}
    for name, track in tracks.items():
        assert bool(track.protocol) != bool(track.keys)
        assert ("protocol" in CORPORA[name].reader.required) == bool(track.protocol)
        assert any(place.endswith(track.protocol or track.keys) for place in CORPORA[name].keys.places)


# The README


def readme_rows() -> list[list[str]]:
    """The cells of the table of corpora, without their marks of code."""
    section = README[README.index("## Corpora") : README.index("## Phases")]
    rows = [line.split("|")[1:-1] for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip().replace("`", "") for cell in row] for row in rows]


def test_the_readme_lists_every_corpus_with_what_it_needs() -> None:
    described = [
        [name, corpus.reader.files if corpus.reader else "", corpus.keys.files if corpus.keys else ""]
        for name, corpus in CORPORA.items()
    ]
    assert sorted(row[:3] for row in readme_rows()) == sorted([cell.replace("`", "") for cell in row] for row in described)


def test_the_readme_says_what_is_reported() -> None:
    for name, _, _, reported in readme_rows():
        keys = CORPORA[name].keys
        assert ("min t-DCF" in reported) == bool(keys and keys.asv)
        table = keys and keys.table
        tables = [f"{table.row_fact} x {table.column_fact}"] if table else []
        assert re.findall(r"\w+ x \w+", reported) == tables


def test_the_readme_names_every_alias() -> None:
    for alias in ALIASES:
        assert f"`{alias}`" in README


def test_the_readme_writes_and_reads_a_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict = {}
    exec(python_block("write_manifest"), namespace)
    assert [(trial.id, trial.label, trial.facts["attack"]) for trial in namespace["trials"]] == [("call 1", "spoof", "vits")]


def python_block(word: str) -> str:
    """The only block of Python in the README that has this word."""
    (block,) = (block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if word in block)
    return block


# A new corpus


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of this project whose `protocols` has the README's corpus too, and this corpus in miniature."""
    folder = tmp_path_factory.mktemp("toy")
    for package in ("protocols", "fairseq_ckpt", "sls_plugin", "recipes"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "protocols/corpora/toyspoof.py").write_text(python_block("ToySpoof"), encoding="utf-8")
    (folder / "trials.txt").write_text("Ann a - bonafide\nAnn b vits spoof\nBo c vits spoof\n")
    (folder / "toyspoof_audio").mkdir()
    for name in "abc":
        soundfile.write(folder / "toyspoof_audio" / f"{name}.wav", np.zeros(1600), 16000)
    (folder / "scores.txt").write_text("a 1\nb -1\nc 2\n")
    return folder


def run(folder: Path, *arguments: str | Path) -> str:
    """What Python prints in that folder, with the copy of the project."""
    environment = os.environ | {"PYTHONPATH": str(folder)}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_new_file_is_prepared_and_counted(toy: Path) -> None:
    arguments = ["--audio", "toyspoof_audio", "--protocol", "trials.txt", "--dest", "DATA", "--check"]
    printed = run(toy, "-m", "sls_plugin", "prepare", "toyspoof", *arguments)
    assert printed.startswith("3 trials, 1 bona fide, 2 spoof, 0 unknown, 0.00 hours (as published): ")
    assert "\n  toyspoof  " in run(toy, "-m", "sls_plugin", "prepare", "--help")


def test_a_new_file_is_evaluated(toy: Path) -> None:
    run(toy, "-m", "sls_plugin", "evaluate", "toyspoof", "scores.txt", "--keys", ".", "--json", "figures.json")
    figures = json.loads((toy / "figures.json").read_text())
    assert (figures["corpus"], figures["n_bonafide"], figures["n_spoof"]) == ("toyspoof", 1, 2)
    assert figures["per_attack"] == {"vits": 0.25}


def test_a_new_file_can_be_downloaded_and_scored_by_recipes(toy: Path) -> None:
    assert "toyspoof           0.1 GB  ToySpoof\n" in run(toy, "recipes/data/download.py", "--list")
    assert run(toy, "-P", "-m", "protocols.corpora", "toyspoof").splitlines() == [
        "track_corpus=toyspoof", "track_audio_name=toyspoof_audio", "track_list_name=trials.txt", "track_keys_name=''",
    ]  # fmt: skip


def test_only_a_name_is_required() -> None:
    assert Corpus(name="x", title="X").published_count(Path("a"), None) is None
