"""Labels that scores contradict: injected label errors are on top, and nothing is left out."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import naive_metrics
import numpy as np
import pytest
import soundfile

from protocols import DataError, Trial, read_manifest, write_manifest
from protocols.keys import Keys
from sls_plugin.__main__ import main
from sls_plugin.audit.label_noise import LabelNoise, as_lines, contradictions, find_label_noise, shares_outdone
from sls_plugin.evaluation.scored_trials import ScoredTrials


def scored(bonafide: np.ndarray, spoof: np.ndarray) -> ScoredTrials:
    trials = [Trial(f"b{number}", "", "bonafide") for number in range(len(bonafide))]
    trials += [Trial(f"s{number}", "", "spoof") for number in range(len(spoof))]
    is_bonafide = np.arange(len(trials)) < len(bonafide)
    return ScoredTrials(Keys("labels", Path("k"), "all", trials, frozenset()), trials, np.r_[bonafide, spoof], is_bonafide, 0)


def noise_of(bonafide: np.ndarray, spoof: np.ndarray) -> LabelNoise:
    return contradictions("eval", Path("s.txt"), scored(bonafide, spoof))


def with_wrong_labels(separation: float, n_wrong: int, n: int = 1_000) -> LabelNoise:
    """Two normal classes; the last `n_wrong` trials of each are really of the other."""
    rng = np.random.default_rng(7)
    bonafide, spoof = rng.normal(separation, 1, n), rng.normal(0, 1, n)
    bonafide[n - n_wrong :], spoof[n - n_wrong :] = spoof[n - n_wrong :].copy(), bonafide[n - n_wrong :].copy()
    return noise_of(bonafide, spoof)


def test_injected_errors_are_on_top() -> None:
    n_wrong = 20
    found = with_wrong_labels(separation=5, n_wrong=n_wrong)
    wrong = {f"{letter}{number}" for letter in "bs" for number in range(1_000 - n_wrong, 1_000)}
    worst = [item.trial.id for item in found.contradictions[: 2 * n_wrong]]
    assert len(wrong & {*worst}) >= 2 * n_wrong - 2  # a wrong label may hide where the classes meet
    assert {*worst[: n_wrong - 5]} <= wrong
    suspects = {item.trial.id for item in found.suspects}
    assert suspects <= wrong
    assert len(suspects) == pytest.approx(n_wrong, abs=9)  # half of them, give or take three deviations
    assert found.eer == pytest.approx(0.026, abs=0.005)
    assert found.eer_without < found.eer - 0.005


def test_right_labels_of_a_good_detector_are_not_suspect() -> None:
    found = with_wrong_labels(separation=5, n_wrong=0)
    assert found.suspects == []
    assert found.eer_without == found.eer


def test_the_eer_without_suspects_is_that_of_the_rest() -> None:
    found = with_wrong_labels(separation=3, n_wrong=30)
    rng = np.random.default_rng(7)
    bonafide, spoof = rng.normal(3, 1, 1_000), rng.normal(0, 1, 1_000)
    bonafide[970:], spoof[970:] = spoof[970:].copy(), bonafide[970:].copy()
    suspects = {item.trial.id for item in found.suspects}
    rest = [[score for number, score in enumerate(scores) if f"{letter}{number}" not in suspects]
            for letter, scores in (("b", bonafide), ("s", spoof))]  # fmt: skip
    assert found.eer == naive_metrics.eer(bonafide, spoof)[0]
    assert found.eer_without == naive_metrics.eer(*rest)[0]


def test_shares_are_counts_of_the_other_class() -> None:
    shares = shares_outdone(scored(np.array([0.0, 2.0, 2.0, 5.0]), np.array([1.0, 2.0, 3.0])))
    assert shares.tolist() == pytest.approx([1, 1 / 3, 1 / 3, 0, 1 / 4, 1 / 4, 3 / 4])


def test_the_order_of_scores_is_all_that_counts() -> None:
    rng = np.random.default_rng(2)
    bonafide, spoof = rng.normal(2, 1, 200), rng.normal(0, 1, 200)
    plain, curved = noise_of(bonafide, spoof), noise_of(np.exp(3 * bonafide), np.exp(3 * spoof))
    assert [item.trial.id for item in plain.contradictions] == [item.trial.id for item in curved.contradictions]
    assert (plain.eer, plain.eer_without) == (curved.eer, curved.eer_without)


def test_every_error_is_listed_and_nothing_else() -> None:
    rng = np.random.default_rng(3)
    bonafide, spoof = rng.normal(2, 1, 300), rng.normal(0, 1, 300)
    found = noise_of(bonafide, spoof)
    threshold = naive_metrics.eer(bonafide, spoof)[1]
    errors = {f"b{number}" for number in np.flatnonzero(bonafide <= threshold)}
    errors |= {f"s{number}" for number in np.flatnonzero(spoof > threshold)}
    assert {item.trial.id for item in found.contradictions} == errors
    assert [item.share for item in found.contradictions] == sorted((item.share for item in found.contradictions), reverse=True)


def test_a_poor_detector_is_said_to_be_one() -> None:
    assert "errs too often" in "\n".join(as_lines(with_wrong_labels(separation=1, n_wrong=0)))
    assert "errs too often" not in "\n".join(as_lines(with_wrong_labels(separation=5, n_wrong=0)))


def test_scores_of_the_wrong_sign_are_refused() -> None:
    with pytest.raises(DataError, match=r"^s.txt: eval: the EER is 100.00 %: higher must mean more bona fide: negate"):
        noise_of(np.array([0.0, 1.0]), np.array([2.0, 3.0]))


# The command


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Splits dev and eval of 40 recordings each, with scores; the label of eval/eval3 is wrong."""
    folder, rng = tmp_path / "DATA", np.random.default_rng(1)
    folder.mkdir()
    scores = []
    for split in ("dev", "eval"):
        trials = []
        for number in range(40):
            name, is_bonafide = f"{split}{number}", number % 2 == 0
            soundfile.write(folder / f"{name}.wav", 0.1 * rng.standard_normal(2_000), 16_000)
            label = "bonafide" if is_bonafide != (name == "eval3") else "spoof"
            trials.append(Trial(name, f"{name}.wav", label=label))
            score = (3 if is_bonafide else -3) + rng.uniform(-1, 1)
            scores.append(f"{name} {-3.9 if name == 'eval3' else score:.6f}\n")
        write_manifest(folder / f"{split}.tsv", trials)
    (tmp_path / "scores.txt").write_text("".join(scores))
    return folder


@pytest.fixture
def audit(data: Path, tmp_path: Path) -> Callable[..., int]:
    def run(*options: str) -> int:
        scores = ["--scores", str(tmp_path / "scores.txt")]
        return main(["audit", str(data), *scores, "--output", str(tmp_path / "out"), "--num-workers", "0", *options])

    return run


def test_a_wrong_label_is_printed_and_written(audit, tmp_path, capsys) -> None:
    assert audit() == 0
    printed = capsys.readouterr().out
    assert "dev: 40 scored trials, 0 beyond the median of the other class: EER 0.00 % with them, 0.00 % without" in printed
    assert "eval: 40 scored trials, 1 beyond the median of the other class: EER 5." in printed
    assert "  eval3 (bonafide) scores lower than " in printed
    content = json.loads((tmp_path / "out/audit.json").read_text())
    assert [found["suspects"] for found in content["label_noise"]] == [[], ["eval3"]]
    with open(tmp_path / "out/contradictions.tsv", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert (rows[0]["split"], rows[0]["id"], rows[0]["label"], rows[0]["audio"]) == ("eval", "eval3", "bonafide", "eval3.wav")
    assert content["n_clips"] == 80  # of all splits: the suspect is not left out


def test_scores_of_one_split_or_of_some_trials(audit, tmp_path, capsys) -> None:
    lines = (tmp_path / "scores.txt").read_text().splitlines(keepends=True)
    (tmp_path / "scores.txt").write_text("".join([*lines[40:43], *lines[48:]]))
    assert audit() == 0
    printed = capsys.readouterr().out
    assert "eval: 35 scored trials (5 have no score), 0 beyond" in printed
    assert "dev: 40 scored" not in printed


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("unknown 1\n", "1 id is not in the keys ('unknown')"),
        ("dev1 nan\n", "NaN or infinite"),
        ("dev1 1\ndev3 2\n", "error rates need trials of both classes"),
    ],
)
def test_a_wrong_score_file_is_one_line_before_anything_is_measured(audit, tmp_path, capsys, content, problem) -> None:
    (tmp_path / "scores.txt").write_text(content)
    assert audit() == 1
    error = capsys.readouterr().err
    assert problem in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_shard_takes_no_scores(audit, capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        audit("--shard", "0/2")
    assert "--scores with --shard" in capsys.readouterr().err


def test_the_api_reads_the_manifests_splits(data, tmp_path) -> None:
    manifest = data / "eval.tsv"
    (found,) = find_label_noise(_only(tmp_path, "eval"), {"eval": (manifest, read_manifest(manifest))})
    assert (found.split, found.n_trials, found.n_missing) == ("eval", 40, 0)


def _only(folder: Path, split: str) -> Path:
    lines = [line for line in (folder / "scores.txt").read_text().splitlines(keepends=True) if line.startswith(split)]
    (folder / "only.txt").write_text("".join(lines))
    return folder / "only.txt"
