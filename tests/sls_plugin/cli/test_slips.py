"""Slips of the hand: a misspelt command, arguments in the wrong order."""

from collections.abc import Callable

import pytest

from fairseq_ckpt.__main__ import main as fairseq_ckpt
from sls_plugin.__main__ import main as sls


@pytest.mark.parametrize(
    ("command", "words", "problem"),
    [
        (sls, "scroe", "did you mean score?"),
        (sls, "evalaute x", "did you mean evaluate?"),
        (sls, "evaluate 2021-la scores.txt", "did you mean asvspoof2021-la?"),
        (sls, "score a.pt b.wav --ouptut scores.txt", "no option --ouptut: did you mean --output?"),
        (sls, "score a.pt b.wav --ouptut=scores.txt", "no option --ouptut: did you mean --output?"),
        (sls, "score a.pt b.wav --xyz", "no option --xyz: see --help"),
        (fairseq_ckpt, "inspct a.pt", "did you mean inspect?"),
        (fairseq_ckpt, "make-random --ot a.pt", "no option --ot: see --help"),
    ],
)
def test_a_misspelt_word(command: Callable, words: str, problem: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit, match="2"):
        command(words.split())
    assert capsys.readouterr().err.splitlines()[-1].endswith(f": {problem}")


def test_options_may_be_shortened_and_names_may_begin_with_dashes(capsys: pytest.CaptureFixture) -> None:
    assert sls(["merge", "--out", "x.txt", "--", "--output"]) == 1
    assert capsys.readouterr().err == "sls merge: error: --output: No such file or directory\n"


def test_a_recording_before_the_detector(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit, match="2"):
        sls(["score", "interview.wav", "checkpoint_best.pt", "--output", "scores.txt"])
    line = "interview.wav: the detector comes first: sls score checkpoint_best.pt interview.wav --output FILE"
    assert capsys.readouterr().err.splitlines()[-1] == f"sls score: error: {line}"
