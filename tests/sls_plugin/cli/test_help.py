"""What `--help` prints: of every command of `sls` and `python -m fairseq_ckpt`, and of the recipes."""

import argparse
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import fairseq_ckpt.__main__
import sls_plugin.__main__
from fairseq_ckpt.cli.common import add_command

ROOT = Path(sls_plugin.__main__.__file__).parents[1]
COMMANDS = [
    (program, main, name)
    for program, main in (("sls", sls_plugin.__main__), ("python -m fairseq_ckpt", fairseq_ckpt.__main__))
    for name in main.COMMANDS
]
each_command = pytest.mark.parametrize(("program", "package", "name"), COMMANDS, ids=[f"{c[0]} {c[2]}" for c in COMMANDS])


@pytest.fixture
def help_text(capsys, monkeypatch) -> Callable[..., str]:
    """What a command prints for --help, in terminals of two widths."""

    def of(main: Callable, *arguments: str) -> str:
        texts = set()
        for columns in ("40", "200"):
            monkeypatch.setenv("COLUMNS", columns)
            with pytest.raises(SystemExit, match="0"):
                main([*arguments, "--help"])
            texts.add(capsys.readouterr().out)
        (text,) = texts
        return text

    return of


def require_style(text: str) -> None:
    assert max(map(len, text.splitlines())) < 100
    assert re.search(r"^examples?:?$", text, re.MULTILINE | re.IGNORECASE), "no example"
    assert "positional arguments:" not in text
    assert "\noptions:" not in text


@each_command
def test_a_command_has_a_sentence_an_example_and_groups(help_text, program, package, name) -> None:
    text = help_text(package.main, name)
    require_style(text)
    assert text.startswith(f"usage: {program} {name} ")
    assert re.search(r"\n\n[A-Z][^\n]*\.\n\n", text), "no sentence on what it does"
    assert f"\n  {program} {name}" in text.partition("example")[2], "no example"
    assert "\nhelp:\n  -h, --help" in text


@each_command
def test_the_help_of_an_option_is_a_phrase(program, package, name) -> None:
    subparsers = argparse.ArgumentParser(prog=program).add_subparsers()
    add_command(subparsers, name, package.COMMANDS[name])
    for action in subparsers.choices[name]._actions:
        assert action.help, action.dest
        assert not action.help.endswith("."), action.help
        first = action.help.split()[0]
        assert first == first.lower() or first[:2].isupper(), action.help  # SHA-256, HTML
        assert action.metavar or action.nargs == 0 or action.choices, f"{action.dest}: its value has no name"


def test_the_programs_list_their_commands(help_text) -> None:
    for program, package in (("sls", sls_plugin.__main__), ("python -m fairseq_ckpt", fairseq_ckpt.__main__)):
        text = help_text(package.main)
        require_style(text)
        assert f"\n  {program} " in text
        for name, command in package.COMMANDS.items():
            assert re.search(rf"^ +{name}\s+{re.escape(command.HELP[:40])}", text, re.MULTILINE), name


def test_sls_alone_lists_its_commands_by_what_they_are_for_and_returns_2(capsys) -> None:
    assert sls_plugin.__main__.main([]) == 2
    printed = capsys.readouterr().err
    for purpose, name in (("data", "prepare"), ("scoring", "score"), ("evaluation", "evaluate"), ("models", "models")):
        assert f"\n{purpose}:\n  {name} " in printed
    assert printed.count("\n  ") >= len(sls_plugin.__main__.COMMANDS)


def test_sls_prints_its_version(capsys) -> None:
    assert sls_plugin.__main__.main(["--version"]) == 0
    assert capsys.readouterr().out == f"sls {sls_plugin.__version__}\n"


def test_recipes_download(help_text, monkeypatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "recipes" / "data")
    import download

    text = help_text(download.main)
    require_style(text)
    assert "\n  bash recipes/data/download.sh asvspoof2019-la --dest CORPORA\n" in text


@pytest.mark.parametrize("recipe", ["train.sh", "score.sh"])
def test_recipes(recipe: str) -> None:
    done = subprocess.run(["bash", ROOT / "recipes" / recipe, "--help"], capture_output=True, text=True, check=True)
    require_style(done.stdout)
    assert f"\n  bash recipes/{recipe} " in done.stdout
    options = re.findall(r"^  --[\w-]+ \w.*?  +(\S.*)$", done.stdout, re.MULTILINE)
    assert len(options) > 5
    assert not [text for text in options if text.endswith(".")]
