"""What an audit takes for each clip of 4 s, on one core, and what it takes to find near copies among many clips.

    OMP_NUM_THREADS=1 PYTHONPATH=. python tests/benchmarks/audit.py

The clips are made, as FLAC of 16 bits. Fingerprints of the many clips are random, with about as many words the same by chance as
two of 10,000 pairs of recordings have.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from protocols import Trial
from sls_plugin.audit.clip_facts import ClipFacts, measure
from sls_plugin.audit.fingerprint import N_WORDS, as_text, fingerprint, kept_words
from sls_plugin.audit.near_copies import near_copies

N_COMMON = 12_000_000  # words that all clips choose from: the chance of a pair to share one is N_WORDS**2 / N_COMMON


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=611_829, help="clips to search for copies (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=50, help="clips that are measured (default: %(default)s)")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    clips = [(0.1 * np.cumsum(rng.standard_normal(64_600)) / 30).clip(-1, 1) for _ in range(args.repeats)]
    with tempfile.TemporaryDirectory() as folder:
        for number, clip in enumerate(clips):
            soundfile.write(Path(folder, f"{number}.flac"), clip, 16_000)
        print(f"all facts:    {_ms(lambda number: measure(_clip(folder, number)), args.repeats):.1f} ms per clip")
    print(f"fingerprints: {_ms(lambda number: kept_words(fingerprint(clips[number])), args.repeats):.1f} ms of it")

    words = rng.integers(1, N_COMMON, size=(args.clips, N_WORDS), dtype=np.uint32)
    words[1] = words[0]
    many = [
        ClipFacts("eval", str(number), "", "", sha256=str(number), fingerprint=as_text(row)) for number, row in enumerate(words)
    ]
    start = time.perf_counter()
    found = near_copies(many, lambda facts: fingerprint(clips[int(facts.id) % len(clips)]))
    seconds, peak = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    assert any(len(group) > 1 for group in found)
    print(f"near copies among {args.clips:,} clips: {seconds:.0f} s, at most {peak:.1f} GB of memory")


def _clip(folder: str, number: int) -> tuple[str, Trial, Path]:
    return "eval", Trial(str(number), f"{number}.flac"), Path(folder, f"{number}.flac")


def _ms(function: Callable[[int], object], n: int) -> float:
    function(0)
    start = time.perf_counter()
    for number in range(n):
        function(number)
    return 1_000 * (time.perf_counter() - start) / n


if __name__ == "__main__":
    main()
