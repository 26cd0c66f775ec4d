"""Scoring and training with XLS-R + SLS at its published size, beside the loop that its authors published.

    PYTHONPATH=.:tests python tests/benchmarks/published_loop.py score
    PYTHONPATH=.:tests python tests/benchmarks/published_loop.py score --dtype bfloat16
    PYTHONPATH=.:tests python tests/benchmarks/published_loop.py train

The published loop runs its backbone twice per batch, keeps gradients while it scores, and decodes in the main process. A
plain loop stands beside it: fairseq's network once, without gradients when it scores. All take the same clips of noise and
random weights, turn about, each in a process of its own; the medians are seconds on the clock and of computing, which other
programs disturb less. Three sides that train need more than 24 GiB: `--sides published plugin`, then `--sides plain plugin`.
"""

import argparse
import logging
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import librosa
import numpy as np
import soundfile
import torch
from detectors import build_published_size
from reference.sls_reference import ReferenceSLS, reference_loss
from torch import Tensor, nn

from fairseq_ckpt.wav2vec.backbone import build_backbone
from fairseq_ckpt.wav2vec.spec import XLSR_300M
from protocols import Trial
from sls_plugin.data.clip_dataset import Segment
from sls_plugin.inference.engine import ScoringEngine

N_SAMPLES = 64_600
N_FRAMES = 201
SIDES = ("published", "plain", "plugin")


class OnePassSLS(ReferenceSLS):
    """The reference with a single pass of its backbone."""

    def layer_outputs(self, waveform: Tensor) -> list[Tensor]:
        return [layer[0] for layer in self.ssl_model.model(waveform, mask=False, features_only=True)["layer_results"]]


def build(side: str) -> nn.Module:
    torch.manual_seed(1)
    if side == "plugin":
        return build_published_size("sls_xlsr_300m")
    kind = ReferenceSLS if side == "published" else OnePassSLS
    return kind(build_backbone(XLSR_300M, "the published configuration"), N_FRAMES)


def plain_scores(model: nn.Module, paths: Sequence[Path], batch_size: int) -> list[float]:
    """A loop as it is usually written: decode a batch, score it, keep the numbers."""
    scores = []
    for start in range(0, len(paths), batch_size):
        clips = [librosa.load(path, sr=16_000)[0][:N_SAMPLES] for path in paths[start : start + batch_size]]
        scores.extend(model(torch.from_numpy(np.stack(clips)))[:, 1].tolist())
    return scores


def scorer(side: str, model: nn.Module, paths: Sequence[Path], batch_size: int, dtype: torch.dtype) -> Callable[[], list[float]]:
    model.eval()
    if side == "published":
        return lambda: plain_scores(model, paths, batch_size)
    if side == "plain":
        return torch.inference_mode()(lambda: plain_scores(model, paths, batch_size))
    settings = {"device": "cpu", "dtype": dtype, "batch_size": batch_size, "num_workers": 0, "pack_weights": True}
    engine = ScoringEngine(model, Segment(N_SAMPLES), **settings)
    trials = [Trial(str(path), str(path)) for path in paths]
    return lambda: [score for _, score, _ in engine.scores(trials)]


def trainer(model: nn.Module, batch_size: int) -> Callable[[], list[float]]:
    # A rate of 0 costs as much as another, and leaves all sides the same weights.
    optimizer = torch.optim.Adam(model.parameters(), lr=0.0, weight_decay=1e-4)
    clips = 0.1 * torch.randn(batch_size, N_SAMPLES, generator=torch.Generator().manual_seed(2))
    labels = torch.arange(batch_size) % 2

    def step() -> list[float]:
        optimizer.zero_grad()
        loss = reference_loss(model.train()(clips), labels)
        loss.backward()
        optimizer.step()
        return [loss.item()]

    return step


def write_noise(folder: Path, n_clips: int) -> None:
    rng = np.random.default_rng(3)
    for number in range(n_clips):
        soundfile.write(folder / f"{number}.flac", 0.1 * rng.standard_normal(N_SAMPLES + 8_000), 16_000)


def run_side(side: str, args: argparse.Namespace, folder: Path, parent: Connection) -> None:
    """Do a side's work whenever the parent asks for it; return the wall-clock and CPU seconds, and the results."""
    logging.getLogger("numba").setLevel(logging.WARNING)  # librosa's compiler reports each of its steps
    torch.set_num_threads(args.threads)
    model = build(side)
    weights = torch.load(folder / "weights.pt", mmap=True)
    nn.Module.load_state_dict(model, weights, strict=True, assign=True)  # in place of copies, which would be the most memory
    if args.what == "score":
        run = scorer(side, model, sorted(folder.glob("*.flac")), args.batch_size, getattr(torch, args.dtype))
    else:
        run = trainer(model, args.batch_size)
    while parent.recv():
        start = time.perf_counter(), time.process_time()
        results = run()
        times = time.perf_counter() - start[0], time.process_time() - start[1]
        parent.send((times, results, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20))


def start(side: str, args: argparse.Namespace, folder: Path) -> Connection:
    # The plugin asks for large pages as it is imported, and it is imported here and for every side.
    os.environ["THP_MEM_ALLOC_ENABLE"] = str(int(side == "plugin"))
    ours, theirs = multiprocessing.Pipe()
    multiprocessing.get_context("spawn").Process(target=run_side, args=(side, args, folder, theirs), daemon=True).start()
    return ours


def measure(sides: dict[str, Connection], rounds: int) -> None:
    """Print the medians of each side, called in turn, after one call of each that does not count."""
    seconds: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
    results, memory = {}, {}
    for _ in range(1 + rounds):
        for side, process in sides.items():
            process.send(True)
            times, results[side], memory[side] = process.recv()
            seconds[side].append(times)
    for process in sides.values():
        process.send(False)
    medians = {side: [median(column) for column in zip(*times[1:], strict=True)] for side, times in seconds.items()}
    first = next(iter(sides))
    print("                clock  computing   times as fast     difference of results   most memory")
    for side, (clock, computing) in medians.items():
        ratios = f"{medians[first][0] / clock:5.2f} {medians[first][1] / computing:9.2f}"
        difference = np.abs(np.subtract(results[side], results[first])).max()
        print(f"{side:10} {clock:8.2f} s {computing:8.2f} s {ratios} {difference:20.1e} {memory[side]:16.2f} GiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["score", "train"])
    parser.add_argument("--sides", nargs="+", default=SIDES, choices=SIDES)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"], help="of the plugin's scoring")
    parser.add_argument("--batch-size", type=int, help="by default the authors': 8 to score, 5 to train")
    parser.add_argument("--batches", type=int, default=1, help="batches of a call that scores (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="the median of so many calls (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    args.batch_size = args.batch_size or {"score": 8, "train": 5}[args.what]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_noise(folder, args.batches * args.batch_size)
        torch.save(build("plugin").state_dict(), folder / "weights.pt")
        measure({side: start(side, args, folder) for side in args.sides}, args.rounds)


if __name__ == "__main__":
    main()
