"""`sls calibrate` from the command line."""

import numpy as np
import pytest

from sls_plugin.__main__ import main
from sls_plugin.metrics.dcf import act_dcf, cllr, min_dcf
from sls_plugin.metrics.det import equal_error_rate
from sls_plugin.scores.score_file import read_scores


@pytest.fixture
def corpus(tmp_path):
    """Labels, and the scores of two systems with errors of their own, for a development and an evaluation set."""
    rng = np.random.default_rng(7)
    for split in ("dev", "eval"):
        is_bonafide = np.arange(2000) % 2 == 0
        labels = np.where(is_bonafide, "bonafide", "spoof")
        names = [f"{split} {i}" for i in range(2000)]
        (tmp_path / f"{split}.keys").write_text("".join(f"{n} {label}\n" for n, label in zip(names, labels, strict=True)))
        for system, (slope, offset) in {"a": (0.1, -7), "b": (30, 200)}.items():
            scores = slope * (rng.normal(size=2000) + is_bonafide * 2) + offset
            lines = [f"{n} {score}\n" for n, score in zip(names, scores, strict=True)]
            (tmp_path / f"{split}_{system}.txt").write_text("".join(lines[::-1] if system == "b" else lines))
    return tmp_path


def calibrate(corpus, systems, *options):
    dev, evaluation = ([str(corpus / f"{split}_{system}.txt") for system in systems] for split in ("dev", "eval"))
    output = ["--output", str(corpus / "llr.txt")]
    return main(["calibrate", *dev, "--keys", str(corpus / "dev.keys"), "--apply", *evaluation, *output, *options])


def by_class(path):
    """Bona fide scores and spoof scores; even numbers are bona fide."""
    scores = read_scores(path)
    return tuple(np.array([score for name, score in scores.items() if int(name.split()[1]) % 2 == i]) for i in (0, 1))


def test_scores_become_calibrated_and_keep_their_order(corpus, capsys):
    assert calibrate(corpus, "b") == 0
    before, after = by_class(corpus / "eval_b.txt"), by_class(corpus / "llr.txt")
    assert list(read_scores(corpus / "llr.txt")) == list(read_scores(corpus / "eval_b.txt"))
    assert equal_error_rate(*after)[0] == pytest.approx(equal_error_rate(*before)[0], abs=1e-3)  # 9 digits may tie
    assert act_dcf(*before) > 0.9
    assert act_dcf(*after) < min_dcf(*after)[0] + 0.03
    # Two normal classes, two standard deviations apart: the ratio is 2 x - 2, whose cost is 0.51 bits.
    assert cllr(*after) == pytest.approx(0.51, abs=0.05)
    output = capsys.readouterr().out
    assert "x dev_b.txt" in output
    assert "2,000 log-likelihood ratios" in output


def test_fusion_beats_both_systems(corpus):
    costs = []
    for systems in ("a", "b", "ab"):
        assert calibrate(corpus, systems, "--overwrite") == 0
        costs.append(cllr(*by_class(corpus / "llr.txt")))
    assert costs[2] < min(costs[:2]) - 0.1


def test_an_inverted_system_is_reported(corpus, capsys):
    text = (corpus / "dev_a.txt").read_text().splitlines()
    inverted = [(name, -float(score)) for name, score in (line.rsplit(maxsplit=1) for line in text)]
    (corpus / "dev_a.txt").write_text("".join(f"{name} {score}\n" for name, score in inverted))
    assert calibrate(corpus, "a") == 0
    assert "dev_a.txt has the weight -" in capsys.readouterr().err


def test_fusion_needs_the_same_trials(corpus, capsys):
    (corpus / "eval_b.txt").write_text("eval 0 1\nother 2\n")
    assert calibrate(corpus, "ab") == 1
    error = capsys.readouterr().err
    assert "2,000 trials are only in it or only in" in error
    assert "eval_b.txt" in error
    assert not (corpus / "llr.txt").exists()


def test_an_existing_output_stays(corpus, capsys):
    (corpus / "llr.txt").write_text("mine\n")
    assert calibrate(corpus, "a") == 1
    assert "already exists: give --overwrite" in capsys.readouterr().err
    assert (corpus / "llr.txt").read_text() == "mine\n"


def test_wrong_usage_exits_2(corpus):
    for arguments in (["--apply", "one.txt"], []):
        with pytest.raises(SystemExit) as stop:
            main(["calibrate", "a.txt", "b.txt", "--keys", "k", "--output", "o", *arguments])
        assert stop.value.code == 2
