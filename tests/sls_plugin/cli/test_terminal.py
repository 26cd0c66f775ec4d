"""Names have no effect on the terminal, whatever command prints them."""

import logging
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from tqdm import tqdm

from fairseq_ckpt.__main__ import main as fairseq_ckpt
from fairseq_ckpt.cli.common import escaped_streams
from protocols import Trial, write_manifest
from sls_plugin.__main__ import main

EVIL = "\x1b]0;title\x07\x1b[2J\u202egpj"
SHOWN = r"\x1b]0;title\x07\x1b[2J\u202egpj"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keys whose attack, id and file have terminal sequences in their names."""
    monkeypatch.chdir(tmp_path)
    write_manifest("keys.tsv", [Trial("a", "a.wav", "bonafide"), Trial(EVIL, "b.wav", "spoof", facts={"attack": EVIL})])
    Path(f"{EVIL}.txt").write_text(f"a 1\n{EVIL} 0\n")
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        ["evaluate", "labels", f"{EVIL}.txt", "--keys", "keys.tsv"],  # a table
        ["evaluate", "labels", f"{EVIL}.txt", "--keys", f"{EVIL}.txt"],  # a message
        ["report", f"{EVIL}.txt", "--output", f"{EVIL}.html"],  # a line on what was written
        ["merge", f"{EVIL}.txt", "--output", "all.txt"],  # a warning
        ["evaluate", EVIL, "scores.txt", "--keys", "keys.tsv"],  # wrong usage
        ["score", f"{EVIL}.pt", "a.wav", "--output", "new.txt"],
    ],
)
def test_what_is_printed_shows_them(folder: Path, command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger().handlers.clear()  # warnings as outside of pytest
    stdout, stderr = sys.stdout, sys.stderr
    with suppress(SystemExit):
        main(command)
    assert (sys.stdout, sys.stderr) == (stdout, stderr)
    output = "".join(capsys.readouterr())
    assert SHOWN in output
    assert not {"\x1b", "\x07", "\u202e"} & set(output)


def test_checkpoints_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fairseq_ckpt(["inspect", EVIL]) == 1
    assert SHOWN in capsys.readouterr().err


def test_progress_bars_and_letters_of_all_scripts_stay(capsys: pytest.CaptureFixture[str]) -> None:
    with escaped_streams():
        for _ in tqdm(range(2), desc="مقابلة"):
            print("ü\tمقابلة")
    output = capsys.readouterr()
    assert output.out == "ü\tمقابلة\n" * 2
    assert "\rمقابلة: 100%" in output.err
    assert "\\r" not in output.err
