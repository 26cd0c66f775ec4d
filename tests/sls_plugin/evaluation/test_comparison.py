"""Several systems together: the pairs that are compared, and one evaluation each on the same trials."""

import numpy as np
import pytest

from protocols.keys import read_keys
from sls_plugin.evaluation.comparison import evaluate_together
from sls_plugin.evaluation.evaluation import Bootstrap, evaluate


@pytest.fixture
def files(tmp_path):
    """Keys of 40 trials, and a function that writes the scores of systems, each better than the one before."""
    labels = ["bonafide" if number % 2 else "spoof" for number in range(40)]
    (tmp_path / "labels.txt").write_text("".join(f"t{number} {label}\n" for number, label in enumerate(labels)))
    rng = np.random.default_rng(0)
    noise = rng.normal(size=40)

    def write(n_systems):
        paths = []
        for system in range(n_systems):
            scores = noise + 0.2 * system * (np.arange(40) % 2)
            paths.append(tmp_path / f"{system}.txt")
            paths[-1].write_text("".join(f"t{number} {score:.9g}\n" for number, score in enumerate(scores)))
        return paths, read_keys("labels", tmp_path / "labels.txt")

    return write


def test_every_pair_of_few_systems_from_the_best_on_the_worse_first(files):
    evaluations, pairs = evaluate_together(*files(4), Bootstrap(20))
    eers = [evaluation.eer for evaluation in evaluations]
    assert {frozenset((pair.first, pair.second)) for pair in pairs} == {
        frozenset((a, b)) for a in range(4) for b in range(a)
    }  # fmt: skip
    for pair in pairs:
        assert pair.comparison.difference == eers[pair.first] - eers[pair.second] >= 0
    best = eers.index(min(eers))
    assert [best in (pair.first, pair.second) for pair in pairs] == [True] * 3 + [False] * 3


def test_many_systems_are_each_compared_with_the_best(files):
    evaluations, pairs = evaluate_together(*files(7), Bootstrap(20))
    eers = [evaluation.eer for evaluation in evaluations]
    assert len(pairs) == 6
    assert {pair.second for pair in pairs} == {eers.index(min(eers))}
    assert {pair.first for pair in pairs} | {pairs[0].second} == set(range(7))


def test_the_intervals_are_those_of_each_system_alone(files):
    paths, keys = files(2)
    together, _ = evaluate_together(paths, keys, Bootstrap(20))
    assert [e.eer_ci for e in together] == [evaluate(path, keys, bootstrap=Bootstrap(20)).eer_ci for path in paths]


def test_a_system_against_itself_makes_no_difference(files):
    (path,), keys = files(1)
    _, (pair,) = evaluate_together([path, path], keys, Bootstrap(20))
    comparison = pair.comparison
    assert (comparison.difference, comparison.low, comparison.high, comparison.p_value) == (0, 0, 0, 1)


def test_without_a_bootstrap_nothing_is_compared(files):
    evaluations, pairs = evaluate_together(*files(2), None)
    assert ([evaluation.eer_ci for evaluation in evaluations], pairs) == ([None, None], [])
