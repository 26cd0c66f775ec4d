"""Fusion of score files from a script, as `sls calibrate` does it."""

from pathlib import Path

import numpy as np
import pytest

from protocols import DataError
from protocols.keys import Keys, read_keys
from sls_plugin.evaluation.fusion import learn_fusion
from sls_plugin.metrics.calibration import fit_calibration
from sls_plugin.metrics.dcf import cllr

N_TRIALS = 400
IS_BONAFIDE = np.arange(N_TRIALS) % 2 == 0


def write_scores(path: Path, scores: np.ndarray) -> Path:
    path.write_text("".join(f"t{number} {float(score)!r}\n" for number, score in enumerate(scores)))
    return path


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    labels = np.where(IS_BONAFIDE, "bonafide", "spoof")
    (tmp_path / "keys.txt").write_text("".join(f"t{number} {label}\n" for number, label in enumerate(labels)))
    return read_keys("labels", tmp_path / "keys.txt", None)


def test_the_ratios_are_those_of_the_calibration(tmp_path: Path, keys: Keys) -> None:
    a, b = np.random.default_rng(1).normal(size=(2, N_TRIALS)) + IS_BONAFIDE
    fusion = learn_fusion([write_scores(tmp_path / "a.txt", a), write_scores(tmp_path / "b.txt", b)], keys)
    scores = np.stack([a, b], axis=1)
    expected = fit_calibration(scores[IS_BONAFIDE], scores[~IS_BONAFIDE])
    np.testing.assert_array_equal(fusion.calibration.weights, expected.weights)
    assert fusion.cllr == cllr(expected.apply(scores[IS_BONAFIDE]), expected.apply(scores[~IS_BONAFIDE]))
    assert not fusion.warnings
    ratios = fusion.likelihood_ratios(fusion.systems)
    assert list(ratios) == [f"t{number}" for number in range(N_TRIALS)]
    np.testing.assert_allclose(list(ratios.values()), expected.apply(scores))
    weights = [f"{weight:+.6g} x {name}.txt" for weight, name in zip(expected.weights, "ab", strict=True)]
    assert fusion.formula == f"LLR = {expected.offset:.6g} {' '.join(weights)}"


def test_inverted_and_uninformative_systems_are_named(tmp_path: Path, keys: Keys) -> None:
    noisy = np.random.default_rng(2).normal(size=N_TRIALS) + IS_BONAFIDE
    inverted, constant = write_scores(tmp_path / "a.txt", -noisy), write_scores(tmp_path / "b.txt", np.ones(N_TRIALS))
    first, second = learn_fusion([inverted, constant], keys).warnings
    assert first.startswith(f"{inverted} has the weight -")
    assert first.endswith(": is its sign inverted?")
    assert second == f"{constant} has the weight 0: its scores are uninformative"


def test_other_trials_of_a_system_are_refused(tmp_path: Path, keys: Keys) -> None:
    fusion = learn_fusion([write_scores(tmp_path / "a.txt", np.arange(N_TRIALS) + 9.0 * IS_BONAFIDE)] * 2, keys)
    (tmp_path / "b.txt").write_text("t0 1\nother 2\n")
    with pytest.raises(DataError, match=r"b\.txt: 400 trials are only in it or only in .*a\.txt, such as 'other'"):
        fusion.likelihood_ratios([tmp_path / "a.txt", tmp_path / "b.txt"])
