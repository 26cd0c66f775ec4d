"""Published score files with the values that the official scripts give for them."""

import gzip
import json

import numpy as np
import pytest

SYSTEMS_2019 = tuple(
    f"la19_eval/{name}" for name in ("RawGAT_ST_mul", "RawGAT_ST_add", "ocsoftmax", "ocsoftmax_test_results", "softmax")
)
SYSTEMS = ("itw/yash_v1", "itw/yash_v2", *SYSTEMS_2019)


@pytest.fixture(scope="session", params=SYSTEMS)
def published(request, shared):
    """Bona fide scores, spoof scores, attacks of the spoofs and the official values of one system."""
    folder = shared / "data/scores"
    expected = json.loads((folder / "expected.json").read_text())[request.param]
    with gzip.open(folder / f"{request.param}.txt.gz", "rt") as file:
        rows = [line.split() for line in file]
    if request.param.startswith("itw"):
        with gzip.open(folder / "itw/key.txt.gz", "rt") as file:
            labels = {line.split()[1]: line.split()[5] for line in file}
        rows = [(name, "-", labels[name].replace("-", ""), score) for name, score in rows]
    scores = np.array([float(row[-1]) for row in rows])
    is_bonafide = np.array([row[2] == "bonafide" for row in rows])
    attacks = np.array([row[1] for row in rows])[~is_bonafide]
    return scores[is_bonafide], scores[~is_bonafide], attacks, expected


@pytest.fixture(scope="session")
def asv_2019(shared):
    """The scores of the organisers' ASV system on ASVspoof 2019 LA eval by kind, and the attacks of its spoof trials."""
    with gzip.open(shared / "data/scores/la19_eval/asv_scores.txt.gz", "rt") as file:
        attacks, kinds, scores = zip(*(line.split() for line in file), strict=True)
    scores, kinds, attacks = np.array(scores, dtype=float), np.array(kinds), np.array(attacks)
    by_kind = {kind: scores[kinds == kind] for kind in ("target", "nontarget", "spoof")}
    return by_kind, attacks[kinds == "spoof"]
