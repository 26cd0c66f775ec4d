"""How long the measures take on as many made trials as ASVspoof 2021 DF has, beside plain loops after their definitions.

    OMP_NUM_THREADS=1 PYTHONPATH=.:tests python tests/benchmarks/metrics.py
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import astuple

import naive_metrics
import numpy as np

from protocols.corpora import CORPORA
from sls_plugin.metrics.bootstrap import bootstrap_eers
from sls_plugin.metrics.conditions import eer_table
from sls_plugin.metrics.det import equal_error_rate
from sls_plugin.metrics.tdcf import ASVErrorRates, min_tdcf_2019, min_tdcf_2021

N_BONAFIDE_IN_DF, N_TRIALS_IN_DF = 22_617, 611_829
DF_TABLE = CORPORA["asvspoof2021-df"].keys.table
N_ROWS, N_COLUMNS = len(DF_TABLE.rows), len(DF_TABLE.columns)
ASV_RATES = ASVErrorRates(miss=0.0246, false_acceptance=0.0246, spoof_acceptance=0.7606)  # about those of 2019 LA


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=N_TRIALS_IN_DF, help="default: %(default)s, as in 2021 DF")
    parser.add_argument("--samples", type=int, default=1000, help="bootstrap samples (default: %(default)s)")
    parser.add_argument("--loop-samples", type=int, default=3, help="samples that a loop draws (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="times are medians of so many (default: %(default)s)")
    args = parser.parse_args()

    generator = np.random.default_rng(0)
    is_bonafide = generator.permutation(args.trials) < args.trials * N_BONAFIDE_IN_DF // N_TRIALS_IN_DF
    scores = generator.normal(size=args.trials) + 4 * is_bonafide
    codes = generator.integers(N_ROWS, size=args.trials), generator.integers(N_COLUMNS, size=args.trials)
    table = scores, is_bonafide, *codes
    arrays = scores[is_bonafide], scores[~is_bonafide]
    lists = [array.tolist() for array in arrays]  # a loop over an array would be slower still
    table_of_lists = [array.tolist() for array in table]

    def seconds(measure: Callable[[], object]) -> float:
        times = []
        for _ in range(args.repeats):
            start = time.perf_counter()
            measure()
            times.append(time.perf_counter() - start)
        return statistics.median(times)

    def array_tdcfs() -> None:
        min_tdcf_2019(*arrays, ASV_RATES)
        min_tdcf_2021(*arrays, ASV_RATES)

    def loop_tdcfs() -> None:
        of_asv = astuple(ASV_RATES)
        for tdcf in (naive_metrics.tdcf_2019, naive_metrics.tdcf_2021):
            min(tdcf(point, of_asv) for point in naive_metrics.det_points(*lists))

    def loop_bootstrap() -> None:
        for _ in range(args.loop_samples):
            naive_metrics.eer(*(random.choices(scores, k=len(scores)) for scores in lists))

    def array_bootstrap() -> None:
        for _ in range(args.loop_samples):
            equal_error_rate(*(scores[generator.integers(scores.size, size=scores.size)] for scores in arrays))

    eer = seconds(lambda: equal_error_rate(*arrays)), seconds(lambda: naive_metrics.eer(*lists))
    tdcfs = seconds(array_tdcfs), seconds(loop_tdcfs)
    cells = (
        seconds(lambda: eer_table(*table, N_ROWS, N_COLUMNS)),
        seconds(lambda: naive_metrics.eer_table(*table_of_lists, N_ROWS, N_COLUMNS)),
    )
    samples = seconds(lambda: bootstrap_eers(scores, is_bonafide, args.samples))
    scale = args.samples / args.loop_samples

    print(f"{args.trials:,} trials, medians of {args.repeats}")
    print(f"{'':44}{'this':>10}{'loop':>12}{'ratio':>8}")
    for what, (this, loop) in {
        "EER": eer,
        "min t-DCF, 2019 and 2021": tdcfs,
        f"DF table, {(N_ROWS + 1) * (N_COLUMNS + 1)} cells": cells,
        "all of these": tuple(map(sum, zip(eer, tdcfs, cells, strict=True))),
        f"{args.samples:,} bootstrap samples *": (samples, seconds(loop_bootstrap) * scale),
        "  beside a loop over equal_error_rate *": (samples, seconds(array_bootstrap) * scale),
    }.items():
        print(f"{what:44}{this:>8.3f} s{loop:>10.2f} s{loop / this:>8.0f}")
    print(f"* loops drew {args.loop_samples} samples; their time is scaled to {args.samples:,}")


if __name__ == "__main__":
    main()
