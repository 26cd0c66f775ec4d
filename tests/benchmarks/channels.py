"""What each channel takes on a clip of 4 s, on one core: how many data workers feed a GPU.

    OMP_NUM_THREADS=1 PYTHONPATH=. python tests/benchmarks/channels.py

Milliseconds of wall time: medians over seeds, turn about; the first call, which imports libraries, is left out.
"""

import argparse
import time
from statistics import median

import numpy as np
from omegaconf import OmegaConf

from sls_plugin.data.augmentation.chain import CHANNELS, parse_chain
from sls_plugin.data.augmentation.codec import CODECS

EXPERIMENT = "recipes/experiments/channels/config/paper.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=31, help="seeds (default: %(default)s)")
    parser.add_argument("--codecs", nargs="+", default=[name for name in CODECS if name != "amr"], choices=CODECS)
    args = parser.parse_args()
    texts = ["rawboost:3", "rawboost:5", *(name for name in CHANNELS if name != "codec")]
    texts += [f"codec:{name}" for name in args.codecs]
    chains = {text: parse_chain(text) for text in texts}
    chains["the chain of the experiment"] = parse_chain(OmegaConf.load(EXPERIMENT).task.augment)
    rng = np.random.RandomState(1)
    clip = (0.1 * np.cumsum(rng.standard_normal(64_600)) / 30).clip(-1, 1).astype(np.float32)
    spent: dict[str, list[float]] = {name: [] for name in chains}
    for seed in range(args.repeats + 1):
        for name, chain in chains.items():
            start = time.perf_counter()
            chain(clip, np.random.RandomState(seed))
            spent[name].append(1_000 * (time.perf_counter() - start))
    for name, times in spent.items():
        print(f"{name:30} {median(times[1:]):7.1f} ms, mean {sum(times[1:]) / args.repeats:7.1f} ms")


if __name__ == "__main__":
    main()
