"""What RawBoost takes on a clip of 4 s, beside the same noise by plain scipy calls, as the published code makes them.

    OMP_NUM_THREADS=1 PYTHONPATH=.:tests python tests/benchmarks/rawboost.py

Milliseconds of computing: medians over seeds, turn about, draws included. The plain calls are firwin, lfilter, freqz, and
np.power of float32, which alone takes much of LnL's time: the last column leaves it out.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np
from reference.rawboost_reference import process

from sls_plugin.data.augmentation.rawboost import RawBoost, RawBoostConfig

N_SAMPLES = 64_600


def milliseconds(call: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """How long a call computes, and what it gives."""
    start = time.process_time()
    result = call()
    return 1000 * (time.process_time() - start), result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--algorithms", type=int, nargs="+", default=[1, 2, 3, 4, 5, 6, 7, 8])
    parser.add_argument("--repeats", type=int, default=101, help="seeds (default: %(default)s)")
    args = parser.parse_args()
    clip = (0.1 * np.random.default_rng(1).standard_normal(N_SAMPLES)).clip(-1, 1).astype(np.float32)
    powers = median(milliseconds(lambda: [np.power(clip, order) for order in range(1, 6)])[0] for _ in range(args.repeats))
    print("algorithm   plain    here  plain / here  without np.power  largest difference")
    for algorithm in args.algorithms:
        augment = RawBoost(RawBoostConfig(rawboost_algorithm=algorithm))
        plain, here, difference = [], [], 0.0
        for seed in range(args.repeats):
            first, second = np.random.RandomState(seed), np.random.RandomState(seed)
            spent, expected = milliseconds(lambda first=first, algorithm=algorithm: process(clip, algorithm, first))
            plain.append(spent)
            spent, augmented = milliseconds(lambda second=second, augment=augment: augment(clip, second))
            here.append(spent)
            difference = max(difference, np.abs(augmented - expected).max())
        before, now = median(plain), median(here)
        without = before - powers if algorithm in (1, 4, 5, 6, 8) else before
        print(f"{algorithm:9} {before:7.2f} {now:7.2f} {before / now:13.1f} {without / now:17.1f} {difference:19.1e}")


if __name__ == "__main__":
    main()
