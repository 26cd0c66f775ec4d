"""Scores against keys: the checks before any figure, the figures, and the table for the terminal."""

import numpy as np
import pytest

from protocols import DataError, Trial
from protocols.keys import Keys
from sls_plugin.evaluation.evaluation import evaluate
from sls_plugin.metrics.det import equal_error_rate
from sls_plugin.report.text import evaluation_text


def keys_of(labels, path, attacks=(), other_phases=()):
    """Keys from a mapping of ids to labels and one of ids to attacks."""
    attacks = dict(attacks)
    trials = [
        Trial(name, "", label, facts={"attack": attacks[name]} if name in attacks else {})
        for name, label in labels.items()
    ]
    return Keys("labels", path / "keys.txt", "all", trials, frozenset(other_phases))


def ids(result):
    return [trial.id for trial in result.scored.trials]


@pytest.fixture
def scored(tmp_path):
    """A function that writes scores and evaluates them against keys."""

    def run(scores, labels, attacks=(), other_phases=(), **options):
        path = tmp_path / "scores.txt"
        path.write_text("".join(f"{name} {score}\n" for name, score in scores.items()))
        return evaluate(path, keys_of(labels, tmp_path, attacks, other_phases), **options)

    return run


FOUR = {"a": "bonafide", "b": "spoof", "c": "bonafide", "d": "spoof"}


def test_scores_are_joined_by_id_and_not_by_order(scored):
    result = scored({"d": 4, "c": 3, "b": 2, "a": 1}, FOUR)
    assert ids(result) == ["a", "b", "c", "d"]
    assert result.scored.scores.tolist() == [1, 2, 3, 4]
    assert result.scored.bonafide.tolist() == [1, 3]
    assert result.scored.spoof.tolist() == [2, 4]
    assert (result.eer, result.eer_threshold) == equal_error_rate([1, 3], [2, 4])


def test_ids_match_with_and_without_the_suffix_of_a_recording(scored):
    labels = {"0.wav": "bonafide", "1": "spoof", "2.wav": "bonafide", "3": "spoof", "4": "spoof"}
    result = scored({"0": 0, "1.wav": 1, "2.wav": 2, "3": 3, "4.flac": 4}, labels)
    assert result.scored.scores.tolist() == [0, 1, 2, 3, 4]


def test_ids_that_would_be_the_same_trial_are_not_merged(scored):
    with pytest.raises(DataError, match=r"1 id is not in the keys \('a.wav'\)"):
        scored({"a": 1, "a.wav": 2, "b": 3, "c": 4, "d": 5}, FOUR)
    with pytest.raises(DataError, match=r"1 id is not in the keys \('a.flac'\)"):
        scored({"a.wav": 1, "a.flac": 2, "b": 3, "c": 4, "d": 5}, FOUR)


def test_counts_missing_and_unknown_trials_in_one_line(scored):
    labels = FOUR | {f"m{number}": "spoof" for number in range(1500)}
    with pytest.raises(DataError) as error:
        scored({"a": 1, "b": 2, "c": 3, "x": 4, "d": 5}, labels)
    assert "scores.txt: 1 id is not in the keys ('x'), 1,500 trials of the keys have no score" in str(error.value)
    assert "('m0', 'm1', 'm2', ...)" in str(error.value)
    assert "\n" not in str(error.value)


def test_repeating_as_many_trials_as_are_missing_does_not_pass(tmp_path):
    path = tmp_path / "scores.txt"
    path.write_text("a 1\na 1\nc 2\nd 3\n")
    with pytest.raises(DataError, match="1 repeated id"):
        evaluate(path, keys_of(FOUR, tmp_path))


def test_allow_missing_leaves_out_and_counts(scored):
    result = scored({"a": 2, "b": 1}, FOUR, allow_missing=True)
    assert (result.scored.n_missing, ids(result), result.eer) == (2, ["a", "b"], 0.0)
    with pytest.raises(DataError, match="1 id is not in the keys"):
        scored({"a": 2, "b": 1, "x": 0}, FOUR, allow_missing=True)


def test_missing_trials_name_the_remedy(scored):
    with pytest.raises(DataError, match="--allow-missing"):
        scored({"a": 2, "b": 1}, FOUR)


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ("{name} A01 {label} {score}", "column 4 has numbers: use `awk '{print $1, $4}'`"),
        ("{name} {score} {is_bonafide}", "column 2 has numbers, column 3 has at most two numbers: use `awk '{print $1, $2}'`"),
        ("{name} {is_bonafide} {score}", "column 2 has at most two numbers, column 3 has numbers: use `awk '{print $1, $3}'`"),
        ("{name} {is_bonafide} 0 1", "4 has at most two numbers: keep the id and the score only"),
        ("{name} {score} {other}", "column 2 has numbers, column 3 has numbers: keep the id and the score only"),
        ("{name} {score} {label}", "4 malformed lines"),
        ("{name} {score} {label}", "column 2 has numbers: use `awk '{print $1, $2}'`"),
    ],
)
def test_a_column_of_labels_is_never_proposed_as_the_score(tmp_path, line, remedy):
    path = tmp_path / "scores.txt"
    columns = zip(FOUR.items(), (0.5, -1.5, 2, 1), (3, 4, 6, 5), strict=True)
    lines = [
        line.format(name=name, label=label, score=score, other=other, is_bonafide=int(label == "bonafide"))
        for (name, label), score, other in columns
    ]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError) as error:
        evaluate(path, keys_of(FOUR, tmp_path))
    assert remedy in str(error.value)
    assert "\n" not in str(error.value)


def test_scores_of_other_phases_are_ignored(scored):
    result = scored({"a": 3, "b": 1, "c": 4, "d": 2, "p": 9}, FOUR, other_phases=["p", "q"])
    assert ids(result) == ["a", "b", "c", "d"]
    assert result.scored.n_missing == 0


@pytest.mark.parametrize("label", ["bonafide", "spoof"])
def test_one_class_is_an_error(scored, label):
    with pytest.raises(DataError, match="trials of both classes"):
        scored({"a": 1, "b": 2}, {"a": label, "b": label})


def test_each_attack_is_measured_against_all_bona_fide_trials(scored):
    rng = np.random.default_rng(0)
    labels = {f"u{number}": "bonafide" if number % 3 else "spoof" for number in range(90)}
    attacks = {name: f"A{index % 2}" for index, name in enumerate(labels) if labels[name] == "spoof"}
    scores = {name: float(score) for name, score in zip(labels, rng.normal(size=90).round(6), strict=True)}
    result = scored(scores, labels, attacks)
    bonafide = [score for name, score in scores.items() if labels[name] == "bonafide"]
    assert list(result.per_attack) == ["A0", "A1"]
    for attack, of_attack in result.per_attack.items():
        spoof = [scores[name] for name in attacks if attacks[name] == attack]
        assert (of_attack.n_spoof, of_attack.eer) == (len(spoof), equal_error_rate(bonafide, spoof)[0])


def test_spoofs_without_an_attack_are_named_unknown(scored):
    result = scored({"a": 1, "b": 2, "c": 3, "d": 4}, FOUR, attacks={"b": "A1"})
    assert set(result.per_attack) == {"A1", "unknown"}
    assert not scored({"a": 1, "b": 2, "c": 3, "d": 4}, FOUR).per_attack


def test_inverted_scores_are_reported_and_negated(scored):
    scores = {"a": -2, "b": 1, "c": -3, "d": 2}
    inverted = scored(scores, FOUR)
    assert inverted.eer == 1.0
    assert "100.00 % is above 50 %" in inverted.warnings[0]
    assert "with --negate gives 0.00 %" in inverted.warnings[0]
    negated = scored(scores, FOUR, negate=True)
    assert (negated.eer, negated.eer_threshold, negated.warnings) == (0.0, -1.0, ())
    assert "without --negate gives 0.00 %" in scored({"a": 2, "b": 1, "c": 3, "d": 0}, FOUR, negate=True).warnings[0]


def test_many_ties_are_reported_with_their_effect(scored):
    warning = scored(dict.fromkeys(FOUR, 0.5), FOUR).warnings[-1]
    assert "2 bona fide trials and 2 spoofs share a score" in warning
    assert "(100.00 %)" in warning
    assert "50.00 %" in warning


def test_few_ties_are_ignored(scored):
    labels = {f"b{number}": "bonafide" for number in range(200)} | {f"s{number}": "spoof" for number in range(200)}
    scores = {name: number + 0.5 * name.startswith("s") for number, name in enumerate(labels)}
    scores = {name: -score for name, score in scores.items()}
    scores["s0"] = scores["b199"]
    assert not scored(scores, labels).warnings


def test_table_shows_counts_phase_and_rates_within_100_columns(scored):
    labels = FOUR | {"e": "spoof"}
    attacks = {"b": "A1", "d": "attack with a long name " * 9}
    result = scored({"a": -3, "b": -1, "c": -1.5, "d": -2}, labels, attacks, allow_missing=True, negate=True)
    table = evaluation_text(result, "folder/" + "long name" * 30 + ".txt")
    lines = table.splitlines()
    assert max(map(len, lines)) <= 100
    words = [line.split() for line in lines]
    assert ["corpus", "labels"] in words
    assert ["phase", "all"] in words
    assert ["trials", "4:", "2", "bona", "fide,", "2", "spoof"] in words
    assert ["EER", "50.000", "%", "at", "threshold", "1.5"] in words
    assert ["left", "out", "1", "trials", "of", "the", "keys", "that", "have", "no", "score"] in words
    assert ["A1", "2", "1", "0.000"] in words
    assert lines[0].endswith("(negated)")
