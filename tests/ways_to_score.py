"""The scores of one checkpoint by every way that there is."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import PLUGIN, fairseq

import sls_plugin
from sls_plugin.__main__ import main
from sls_plugin.scores.score_file import read_scores


def ways_to_score(checkpoint: Path, data: Path, folder: Path) -> Iterator[list[float]]:
    """Scores of DATA/eval.tsv by `fairseq-generate`, `sls score`, from Python, and by an exported file, each when asked for."""
    generate = ("--path", str(checkpoint), "--gen-subset", "eval", "--batch-size", "4", "--results-path", str(folder), "--cpu")
    fairseq("generate", str(data), *PLUGIN, *generate)
    yield list(read_scores(folder / "scores-eval.txt").values())

    assert main(["score", str(checkpoint), str(data / "eval.tsv"), "--output", str(folder / "scores.txt")]) == 0
    yield list(read_scores(folder / "scores.txt").values())

    yield [score for _, score in sls_plugin.load(checkpoint).score_many(data / "eval.tsv")]

    pytest.importorskip("onnxruntime", reason="exported detectors need the packages of the extra `onnx`")
    pytest.importorskip("onnxscript", reason="exporting needs the packages of the extra `onnx`")
    assert main(["export", str(checkpoint), str(folder / "detector.onnx")]) == 0
    yield [score for _, score in sls_plugin.load(folder / "detector.onnx").score_many(data / "eval.tsv")]
