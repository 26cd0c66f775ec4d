"""How far scores in bfloat16 are from those in float32: their ranks, the EER, the largest difference.

    PYTHONPATH=.:tests python tests/benchmarks/half_precision.py checkpoint_best.pt DATA/eval.tsv
"""

import argparse

import numpy as np
import torch
from scipy.stats import spearmanr

from sls_plugin.inference.engine import ScoringEngine
from sls_plugin.inference.inputs import read_inputs
from sls_plugin.inference.load import load_detector
from sls_plugin.metrics.det import equal_error_rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("manifest", help="of trials whose labels are known")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    trials = read_inputs([args.manifest])
    bonafide = np.array([trial.label == "bonafide" for trial in trials])
    scores = {}
    for dtype in (torch.float32, torch.bfloat16):
        detector = load_detector(args.checkpoint)
        model, segment = detector.model, detector.segment
        settings = {"device": args.device, "dtype": dtype, "batch_size": 8, "num_workers": 0, "pack_weights": True}
        engine = ScoringEngine(model, segment, **settings)
        scores[dtype] = np.array([score for _, score, _ in engine.scores(trials)])
        eer, _ = equal_error_rate(scores[dtype][bonafide], scores[dtype][~bonafide])
        print(f"{dtype}: EER {100 * eer:.3f} %, scores from {scores[dtype].min():.4g} to {scores[dtype].max():.4g}", flush=True)
    single, half = scores.values()
    ranks, difference = spearmanr(single, half).statistic, np.abs(single - half).max()
    print(f"Spearman's rank correlation {ranks:.6f}, largest difference {difference:.2g}")


if __name__ == "__main__":
    main()
