"""Scoring and training with XLS-R + SLS at its published size, beside the loop that its authors published.

    PYTHONPATH=.:tests python tests/benchmarks/published_loop.py score
    PYTHONPATH=.:tests python tests/benchmarks/published_loop.py score --dtype bfloat16
    PYTHONPATH=.:tests python tests/benchmarks/published_loop.py train

The published loop runs its backbone twice per batch, keeps gradients while it scores, and decodes in the main process. A
plain loop stands beside it: fairseq's network once, without gradients when it scores. All take the same clips of noise and
random weights, turn about; the medians are seconds on the clock and of computing, which other programs disturb less.
`--memory` runs each in a process of its own and prints the most memory that it held.
"""

import argparse
import logging
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import librosa
import numpy as np
import soundfile
import torch
from detectors import build_published_size
from reference.sls_reference import ReferenceSLS, reference_loss
from torch import Tensor, nn

from fairseq_ckpt.backbone import build_backbone
from fairseq_ckpt.presets import XLSR_300M
from protocols import Trial
from sls_plugin.data.clip_dataset import Segment
from sls_plugin.scoring.engine import ScoringEngine

N_SAMPLES = 64_600
N_FRAMES = 201
SIDES = ("published", "plain", "plugin")


class OnePassSLS(ReferenceSLS):
    """The reference with a single pass of its backbone."""

    def layer_outputs(self, waveform: Tensor) -> list[Tensor]:
        return [layer[0] for layer in self.ssl_model.model(waveform, mask=False, features_only=True)["layer_results"]]


def build(side: str, other: nn.Module | None, share: bool) -> nn.Module:
    """One side's model, with the very parameters of another side's if there is one, or copies of them."""
    torch.manual_seed(1)
    if side == "plugin":
        model = build_published_size("sls_xlsr_300m")
    else:
        kind = ReferenceSLS if side == "published" else OnePassSLS
        model = kind(build_backbone(XLSR_300M, "the published configuration"), N_FRAMES)
    if other is not None and not share:
        model.load_state_dict(other.state_dict(), strict=True)
    elif other is not None:
        for name, parameter in other.named_parameters():
            module, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(module), leaf, parameter)
    return model


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
    engine = ScoringEngine(model, Segment(N_SAMPLES), device="cpu", dtype=dtype, batch_size=batch_size, num_workers=0)
    trials = [Trial(str(path), str(path)) for path in paths]
    return lambda: [score for _, score in engine.scores(trials)]


def trainer(model: nn.Module, optimizer: torch.optim.Optimizer, batch_size: int) -> Callable[[], list[float]]:
    clips = 0.1 * torch.randn(batch_size, N_SAMPLES, generator=torch.Generator().manual_seed(2))
    labels = torch.arange(batch_size) % 2

    def step() -> list[float]:
        optimizer.zero_grad()
        loss = reference_loss(model.train()(clips), labels)
        loss.backward()
        optimizer.step()
        return [loss.item()]

    return step


def write_noise(folder: Path, n_clips: int) -> list[Path]:
    rng = np.random.default_rng(3)
    paths = [folder / f"{number}.flac" for number in range(n_clips)]
    for path in paths:
        soundfile.write(path, 0.1 * rng.standard_normal(N_SAMPLES + 8_000), 16_000)
    return paths


def measure(sides: dict[str, Callable[[], list[float]]], rounds: int) -> None:
    """Print the medians of each side, called in turn, after one call of each that does not count."""
    seconds: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
    results = {side: np.array(run()) for side, run in sides.items()}
    for _ in range(rounds):
        for side, run in sides.items():
            start = time.perf_counter(), time.process_time()
            run()
            seconds[side].append((time.perf_counter() - start[0], time.process_time() - start[1]))
    medians = {side: [median(column) for column in zip(*times, strict=True)] for side, times in seconds.items()}
    first = next(iter(sides))
    print("                clock  computing   times as fast     largest difference of results")
    for side, (clock, computing) in medians.items():
        ratios = f"{medians[first][0] / clock:5.2f} {medians[first][1] / computing:9.2f}"
        print(f"{side:10} {clock:8.2f} s {computing:8.2f} s {ratios}     {np.abs(results[side] - results[first]).max():.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["score", "train"])
    parser.add_argument("--sides", nargs="+", default=SIDES, choices=SIDES)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"], help="of the plugin's scoring")
    parser.add_argument("--batch-size", type=int, help="by default the authors': 8 to score, 5 to train")
    parser.add_argument("--batches", type=int, default=1, help="batches of a call that scores (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="the median of so many calls (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", action="store_true", help="measure memory in place of time")
    args = parser.parse_args()
    if args.memory:
        for side in args.sides:
            alone = [argument for argument in sys.argv[1:] if argument != "--memory"]
            subprocess.run([sys.executable, __file__, *alone, "--sides", side, "--rounds", "0"], check=True)
        return
    logging.getLogger("numba").setLevel(logging.WARNING)  # librosa's compiler reports each of its steps
    torch.set_num_threads(args.threads)
    batch_size = args.batch_size or {"score": 8, "train": 5}[args.what]
    models: dict[str, nn.Module] = {}
    for side in args.sides:
        models[side] = build(side, next(iter(models.values()), None), share=args.dtype == "float32")
    with tempfile.TemporaryDirectory() as folder:
        if args.what == "score":
            paths = write_noise(Path(folder), args.batches * batch_size)
            dtype = getattr(torch, args.dtype)
            runs = {side: scorer(side, model, paths, batch_size, dtype) for side, model in models.items()}
        else:
            # A rate of 0 costs as much as another, and leaves all sides the same weights.
            optimizer = torch.optim.Adam(next(iter(models.values())).parameters(), lr=0.0, weight_decay=1e-4)
            runs = {side: trainer(model, optimizer, batch_size) for side, model in models.items()}
        if args.rounds:
            measure(runs, args.rounds)
        else:  # a side alone, whose memory is asked for
            runs[args.sides[0]]()
            print(f"{args.sides[0]:10} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:6.2f} GiB")


if __name__ == "__main__":
    main()
