"""What the selective scan costs on this machine, against a loop over single time steps in the same run.

    PYTHONPATH=.:tests python tests/benchmarks/selective_scan.py

Per clip, in ms: the scan of one layer and the whole head of XLSR-Mamba at its published size, on random weights and features.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median
from unittest import mock

import torch
from omegaconf import OmegaConf
from reference.mamba_reference import step_by_step_scan

from fairseq_ckpt.wav2vec.random_backbone import TINY
from sls_plugin.models.xlsr_mamba import XLSRMamba, XLSRMambaConfig
from sls_plugin.modules.selective_scan import selective_scan

SCANS = (step_by_step_scan, selective_scan)


def median_seconds(run: Callable[[Callable], object], repeats: int, device: str) -> list[float]:
    """Medians of `run` with the step loop and with the plugin's scan, turn about, after one call of each that does not count.

    On a CPU these are seconds of computing (with one thread), which other programs disturb less than seconds on the clock.
    """
    clock = time.process_time if device == "cpu" else time.perf_counter
    times = {scan: [] for scan in SCANS}
    for _ in range(repeats + 1):
        for scan in SCANS:
            start = clock()
            run(scan)
            if device != "cpu":
                torch.cuda.synchronize()
            times[scan].append(clock() - start)
    return [median(times[scan][1:]) for scan in SCANS]


def published_head(device: str) -> XLSRMamba:
    """XLSR-Mamba over a backbone as wide as XLS-R 300M, but of one small layer, which the measurements leave out."""
    cfg = OmegaConf.structured(XLSRMambaConfig)
    cfg.w2v_args = TINY | {"encoder_layers": 1, "encoder_embed_dim": 1024}
    return XLSRMamba(cfg).to(device).eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--frames", type=int, default=201, help="201: clips of 64,600 samples (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=11, help="the median of so many calls (default: %(default)s)")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    model = published_head(args.device)
    print("batch  what                       steps   blocks  steps / blocks")
    for batch in args.batch_sizes:
        features = torch.randn(batch, args.frames, 1024, device=args.device)
        x, dt, B, C = (torch.randn(batch, args.frames, size, device=args.device) for size in (288, 288, 16, 16))
        A = -torch.arange(1.0, 17.0, device=args.device).repeat(288, 1)
        scanned = (x, 0.1 * dt.exp(), A, B, C)

        def one_layer(scan: Callable[..., torch.Tensor], scanned: tuple[torch.Tensor, ...] = scanned) -> None:
            with torch.inference_mode():
                scan(*scanned)

        def head(scan: Callable[..., torch.Tensor], features: torch.Tensor = features) -> None:
            with torch.inference_mode(), mock.patch("sls_plugin.modules.mamba.selective_scan", scan):
                model.head(features)

        def head_with_gradients(scan: Callable[..., torch.Tensor], features: torch.Tensor = features) -> None:
            with mock.patch("sls_plugin.modules.mamba.selective_scan", scan):
                model.head(features).sum().backward()

        for what, run in (("scan", one_layer), ("head", head), ("head with its gradients", head_with_gradients)):
            steps, blocks = (1000 * seconds / batch for seconds in median_seconds(run, args.repeats, args.device))
            print(f"{batch:5}  {what:24} {steps:7.2f}  {blocks:7.2f}  {steps / blocks:14.1f}")


if __name__ == "__main__":
    main()
