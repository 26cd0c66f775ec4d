"""Memory and time of updates that train all of XLS-R 300M + MHFA, adapters and the head, or the head alone.

    PYTHONPATH=.:tests python tests/benchmarks/trained_parts.py [--batch-size 5]

Random weights at the true size, clips of 64,600 samples, Adam, on the CPU; each in a process of its own. Memory is the most after
two updates, seconds are those of computing, of the second.
"""

import argparse
import subprocess
import sys
import time
from resource import RUSAGE_SELF, getrusage

import torch
from detectors import configuration, waveforms
from fairseq.models import ARCH_MODEL_REGISTRY
from torch.nn import functional as F

from fairseq_ckpt.wav2vec.spec import XLSR_300M

SETTINGS = {"all": {}, "adapters, rank 8": {"lora_rank": 8}, "the head": {"freeze_backbone": True}}


def measure(trained: str, batch_size: int) -> str:
    cfg = configuration("xlsr_mhfa_300m")
    cfg.w2v_args = XLSR_300M
    cfg.update(SETTINGS[trained])
    model = ARCH_MODEL_REGISTRY["xlsr_mhfa_300m"].build_model(cfg).train()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=1e-6)
    clips, labels = waveforms(64_600, batch_size), torch.arange(batch_size) % 2
    for _ in range(2):
        start = time.process_time()
        F.cross_entropy(model(clips), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds = time.process_time() - start
    memory = getrusage(RUSAGE_SELF).ru_maxrss / 2**20
    return f"{trained}: {sum(map(torch.numel, parameters)):,} parameters, {memory:.1f} GiB, {seconds:.1f} CPU-s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batch-size", type=int, default=5)
    parser.add_argument("--only", choices=SETTINGS, help="measure this, in this process")
    args = parser.parse_args()
    if args.only:
        print(measure(args.only, args.batch_size))
        return
    for trained in SETTINGS:
        subprocess.run([sys.executable, __file__, "--only", trained, "--batch-size", str(args.batch_size)], check=True)


if __name__ == "__main__":
    main()
