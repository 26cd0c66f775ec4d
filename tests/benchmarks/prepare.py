"""How long `sls prepare` takes, and how much memory, for a corpus of the size of ASVspoof 2021 DF.

Its key has 62,604 different sets of facts: 47 speakers, 37 attacks, 9 codecs and 4 phases in turn.

    PYTHONPATH=.:tests python tests/benchmarks/prepare.py                              611,829 empty recordings, without durations
    PYTHONPATH=.:tests python tests/benchmarks/prepare.py --durations --trials 5000    real recordings, whose headers are read
"""

import argparse
import itertools
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

CODECS = ("nocodec", "low_mp3", "high_mp3", "low_m4a", "high_m4a", "low_ogg", "high_ogg", "mp3m4a", "oggm4a")
PHASES = ("progress", "eval", "hidden", "hidden_track")


def main() -> None:
    """Make the corpus, prepare it in a process of its own, print seconds and MiB."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=611_829, help="size of the corpus (default: %(default)s)")
    parser.add_argument("--durations", action="store_true", help="write 4 s of noise to every recording and read the headers")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_corpus(folder, args.trials, audible=args.durations)
        options = [] if args.durations else ["--no-durations"]
        paths = ["--audio", folder, "--keys", folder / "trial_metadata.txt", "--dest", folder / "DATA"]
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "sls_plugin", "prepare", "asvspoof2021-df", *paths, *options], check=True)
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024  # KiB on Linux
    print(f"{args.trials:,} trials: {seconds:.1f} s, peak {peak:.0f} MiB")


def write_corpus(folder: Path, n_trials: int, audible: bool) -> None:
    """A key in the form of the DF track's, and its recordings in `flac`: empty, or noise of 4 s."""
    (folder / "flac").mkdir()
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 64_000)
    speakers = (f"LA_{number:04}" for number in itertools.cycle(range(47)))
    attacks = (f"A{number:03}" for number in itertools.cycle(range(37)))
    conditions = zip(speakers, attacks, itertools.cycle(CODECS), itertools.cycle(PHASES), strict=False)
    with (folder / "trial_metadata.txt").open("w") as key:
        for number, (speaker, attack, codec, phase) in zip(range(n_trials), conditions, strict=False):
            trial = f"DF_E_{number:07}"
            key.write(f"{speaker} {trial} {codec} vcc2020 {attack} spoof notrim {phase} neural_vocoder Task1 team01 FF E\n")
            path = folder / "flac" / f"{trial}.flac"
            if audible:
                soundfile.write(path, noise, 16_000)
            else:
                path.touch()


if __name__ == "__main__":
    main()
