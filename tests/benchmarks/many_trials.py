"""How much time and memory `sls score` takes of its own, beside the detector and the decoding of real recordings.

The detector is a sum, and all trials have the same recording of 100 samples. Memory is the peak of the main process.

    PYTHONPATH=.:tests python tests/benchmarks/many_trials.py                      a million trials
    PYTHONPATH=.:tests python tests/benchmarks/many_trials.py --trials 20000 --workers 0
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

N_SAMPLES = 100


def main() -> None:
    """Make the manifest, score it in a process of its own, print seconds and MiB."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1_000_000, help="lines of the manifest (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="data workers (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=64, help="clips at a time (default: %(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        soundfile.write(folder / "clip.wav", np.random.default_rng(0).uniform(-0.5, 0.5, N_SAMPLES), 16_000)
        (folder / "checkpoint.pt").write_bytes(b"a sum")
        with open(folder / "eval.tsv", "w") as manifest:
            manifest.write("id\taudio\tn_frames\tlabel\n")
            manifest.writelines(f"DF_E_{number:07}\tclip.wav\t{N_SAMPLES}\tspoof\n" for number in range(args.trials))
        process = multiprocessing.get_context("spawn").Process(target=score, args=(folder, args.workers, args.batch_size))
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(process.exitcode)
        n_scores = (folder / "scores.txt").read_bytes().count(b"\n")
    if n_scores != args.trials:
        raise SystemExit(f"{n_scores:,} scores for {args.trials:,} trials")


def score(folder: Path, n_workers: int, batch_size: int) -> None:
    """`sls score` with a sum for a detector."""
    import torch

    from sls_plugin.__main__ import main as sls
    from sls_plugin.data.clip_dataset import Segment
    from sls_plugin.inference import load

    class Sum(torch.nn.Module):
        def forward(self, source: torch.Tensor) -> torch.Tensor:
            return source.sum(dim=1)

        def scores(self, output: torch.Tensor) -> torch.Tensor:
            return output

        def pack_weights(self) -> None:
            """There are none."""

    load.load_detector = lambda path: load.LoadedDetector(Sum(), Segment(N_SAMPLES), load.Card("sum", N_SAMPLES))
    imported = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB on Linux
    start, start_cpu = time.perf_counter(), time.process_time()
    arguments = ["score", str(folder / "checkpoint.pt"), str(folder / "eval.tsv"), "--output", str(folder / "scores.txt")]
    status = sls([*arguments, "--num-workers", str(n_workers), "--batch-size", str(batch_size)])
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{seconds:.1f} s, {cpu:.1f} s of the main process; peak {peak:.0f} MiB, of these {imported:.0f} MiB by importing")
    raise SystemExit(status)


if __name__ == "__main__":
    main()
