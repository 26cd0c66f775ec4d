"""How a run shares the processor's cores between the network and the processes that decode."""

import logging
import os
import warnings
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

SMALL = 20_000_000  # parameters; the networks below it are no faster on all cores
logger = logging.getLogger(__name__)


def n_cores() -> int:
    """The cores that this process may use; a container or Slurm may allow fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def set_threads(model: "nn.Module") -> None:
    """Let a small network compute on half of the cores, so that its threads do not wait for each other beside the decoders.

    OMP_NUM_THREADS decides where it is set. On a GPU, and for networks of the size of XLS-R, torch's default stays.
    """
    import torch  # late: the number of cores is also needed where torch is not

    if "OMP_NUM_THREADS" in os.environ or torch.cuda.is_available():
        return
    if sum(parameter.numel() for parameter in model.parameters()) < SMALL:
        torch.set_num_threads(max(1, n_cores() // 2))


@cache
def warn_of_many_workers(n_workers: int) -> None:
    """Warn in one line, once, where more processes decode than there are cores; torch's own warning has five lines."""
    warnings.filterwarnings("ignore", message="This DataLoader will create")
    if n_workers > n_cores():
        logger.warning(f"--num-workers {n_workers} on {n_cores()} cores slows the run down: give at most {n_cores()}")
