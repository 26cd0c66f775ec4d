"""Decisions: what a score means, and a file of which nothing is believed."""

import json
import math
from dataclasses import asdict, replace

import pytest

from protocols import DataError
from sls_plugin.metrics.operating_point import Share
from sls_plugin.scores.decision import (
    Decision,
    ExpectedErrors,
    ScoreCalibration,
    ScoreSettings,
    Source,
    read_decision,
    write_decision,
)

SHARE = Share(0.02, (0.01, 0.04), 2, 100, 290)
SETTINGS = ScoreSettings("ab" * 32, False, None, None, "mean")
DECISION = Decision(
    rule="equal error rates",
    prior=0.9,
    calibration=ScoreCalibration(2.0, (1.5, 2.5), -1.0, (-1.5, -0.5)),
    threshold=0.5,
    threshold_interval=(0.25, 0.75),
    max_error=0.02,
    spoof_up_to=-0.5,
    bonafide_above=1.5,
    auc=0.97,
    chance_p_value=1e-12,
    errors=ExpectedErrors(SHARE, SHARE, SHARE, SHARE),
    source=Source("dev.txt", "cd" * 32, "dev.tsv", None, "labels", "all", 100, 100, "trials", None, 1000, SETTINGS),
)
TEXT = json.dumps({"decision": 1, **asdict(DECISION)})


@pytest.fixture
def path(tmp_path):
    write_decision(tmp_path / "decision.json", DECISION)
    return tmp_path / "decision.json"


def test_a_decision_that_is_written_is_read(path):
    assert read_decision(path) == DECISION
    assert read_decision(path).sha256 == DECISION.sha256 != replace(DECISION, prior=0.5).sha256


@pytest.mark.parametrize(
    ("score", "verdict"), [(-0.5, "spoof"), (-0.49, "undecided"), (1.5, "undecided"), (1.51, "bonafide"), (-1e9, "spoof")]
)
def test_verdicts_change_at_the_ends_of_the_band(score, verdict):
    assert DECISION.verdict(score).verdict == verdict
    assert DECISION.verdict(score).llr == 2 * score - 1


def test_a_probability_is_the_posterior_at_the_prior():
    likelihood = math.exp(2 * 0.25 - 1)
    posterior = likelihood * 0.9 / (likelihood * 0.9 + 0.1)
    assert DECISION.verdict(0.25).probability == pytest.approx(posterior, rel=1e-12)
    assert [DECISION.verdict(score).probability for score in (-1e9, 1e9)] == [0, 1]


def changed(*keys, value):
    """The text of the file with the value in one place."""
    content = json.loads(TEXT)
    part = content
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    return json.dumps(content)


def without(*keys):
    content = json.loads(TEXT)
    part = content
    for key in keys[:-1]:
        part = part[key]
    del part[keys[-1]]
    return json.dumps(content)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Expecting value: line 1 column 1 (char 0)"),
        ("[" * 60_000, ""),
        ("\udcff", "can't decode byte"),
        ("1" * 5000, "integer string"),
        (" " * 70_000, "more than 65,536 bytes"),
        ("[]", "no decision of `sls threshold`"),
        ("{}", "no decision of `sls threshold`"),
        (changed("decision", value=2), "version 2, and this program reads version 1"),
        (changed("threshold", value="0.5"), "threshold is '0.5', not float"),
        (changed("threshold", value=math.nan), "threshold is nan, not float"),
        (changed("threshold", value=math.inf), "threshold is inf, not float"),
        (changed("threshold", value=10**400), "threshold is 1000"),
        (changed("threshold", value=True), "threshold is True, not float"),
        (changed("prior", value=0), "the prior 0 is not between 0 and 1"),
        (changed("prior", value=1), "the prior 1 is not between 0 and 1"),
        (changed("calibration", "weight", value=-1), "the weight -1 is not above 0"),
        (changed("calibration", "weight_interval", value=[1]), "weight_interval is [1], not a list of numbers"),
        (changed("calibration", value=[]), "calibration is [], not an object"),
        (changed("spoof_up_to", value=0.6), "spoof_up_to, threshold and bonafide_above are not in order"),
        (changed("errors", "misses", "value", value=1.5), "a rate is not between 0 and 1"),
        (changed("errors", "misses", "count", value=-1), "count is -1, not int"),
        (changed("source", "n_spoof", value=1.0), "n_spoof is 1.0, not int"),
        (changed("source", "scores", value="x" * 2000), "scores is 'xxxx"),
        (changed("source", "settings", "llr", value=0), "llr is 0, not bool"),
        (changed("more", value=1), "decision has the unknown 'more'"),
        (without("calibration", "offset"), "calibration lacks 'offset'"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_decision_gives_one_line(tmp_path, text, problem):
    path = tmp_path / "decision.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError) as error:
        read_decision(path)
    assert str(error.value).startswith(f"{path}: ")
    assert problem in str(error.value)
    assert str(error.value).endswith(": write it again with `sls threshold`")
    assert len(str(error.value)) < 300 + len(str(path))
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_gives_one_line(tmp_path):
    with pytest.raises(DataError, match=r"none\.json: No such file or directory: name a file that `sls threshold` wrote"):
        read_decision(tmp_path / "none.json")


def test_a_device_is_no_decision():
    with pytest.raises(DataError, match="a folder, device or pipe"):
        read_decision("/dev/zero")


RECORD = {"checkpoint": "ab" * 32, "llr": False, "windows": None, "hop": None, "windows_score": "mean", "dtype": "float32"}


def test_other_scores_than_those_learned_from_are_refused(path, caplog):
    DECISION.require_same_scores(RECORD, path)
    assert not caplog.messages
    with pytest.raises(DataError, match=r"decision\.json: learned from scores that differ in checkpoint, llr: score"):
        DECISION.require_same_scores(RECORD | {"checkpoint": "ef" * 32, "llr": True}, path)


def test_scores_of_unknown_origin_give_a_warning(path, caplog):
    DECISION.require_same_scores(None, path)
    replace(DECISION, source=replace(DECISION.source, settings=None)).require_same_scores(RECORD, path)
    for message, scores in zip(caplog.messages, ("these scores", "dev.txt, which it was learned from,"), strict=True):
        assert message == f"{path}: no run record says which detector {scores} came from: make sure that it is the same"


@pytest.mark.parametrize(
    ("record", "settings"),
    [
        (RECORD, SETTINGS), (None, None), ({"checkpoint": "ab" * 32}, None), (RECORD | {"llr": "no"}, None),
        (RECORD | {"windows": 32_000}, replace(SETTINGS, windows=32_000)),
    ],
)  # fmt: skip
def test_settings_are_those_of_the_run_record(record, settings):
    assert ScoreSettings.of_run(record) == settings
