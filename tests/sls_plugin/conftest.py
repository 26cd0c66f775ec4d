"""Data that the tests of the report share."""

import numpy as np
import pytest

from sls_plugin.scores.score_file import write_scores


@pytest.fixture(scope="session")
def la_2021_folder(tmp_path_factory):
    """A small key of 2021 LA with ASV scores, two attacks under two codecs, and the scores of a good and of a poor system."""
    folder = tmp_path_factory.mktemp("la2021")
    rng = np.random.default_rng(5)
    kinds = [(label, codec) for label in ("bonafide", "A07", "A19") for codec in ("alaw", "none")] * 20
    key, asv_key, asv_scores = [], [], []
    for number, (kind, codec) in enumerate(kinds):
        label = "bonafide" if kind == "bonafide" else "spoof"
        key.append(f"LA_1 LA_E_{number} {codec} x {kind} {label} notrim eval")
        for verification in ("target", "nontarget") if label == "bonafide" else ("spoof",):
            asv_key.append(f"LA_1 LA_E_{number} {codec} x {kind} {verification} notrim eval")
            asv_scores.append(f"LA_1 LA_E_{number} {rng.normal({'target': 4, 'nontarget': -4, 'spoof': 1}[verification])}")
    for path, lines in (
        ("CM/trial_metadata.txt", key),
        ("ASV/trial_metadata.txt", asv_key),
        ("ASV/ASVTorch_Kaldi/score.txt", asv_scores),
    ):
        (folder / "LA" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "LA" / path).write_text("\n".join(lines) + "\n")
    for name, distance in (("good", 3), ("poor", 1)):
        scores = [(f"LA_E_{n}", rng.normal(distance * (kind == "bonafide"))) for n, (kind, _) in enumerate(kinds)]
        write_scores(folder / f"{name}.txt", [(trial, float(f"{score:.9g}")) for trial, score in scores])
    return folder
