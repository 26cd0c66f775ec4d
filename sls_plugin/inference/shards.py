"""Divides trials among runs and processes."""

import datetime
import os
from collections.abc import Sequence
from typing import Any

from protocols import DataError, Trial

LONGEST_WAIT = datetime.timedelta(days=30)  # for slower processes; a dead process is noticed at once


def shard(trials: Sequence[Trial], index: int, n_shards: int, batch_size: int) -> Sequence[Trial]:
    """Shard `index` (from 0) of `n_shards`: consecutive whole batches, so that they are the same without shards."""
    n_batches = -(-len(trials) // batch_size)
    first, end = (n_batches * number // n_shards for number in (index, index + 1))
    return trials[first * batch_size : end * batch_size]


class ProcessGroup:
    """The processes that `torchrun` started for one run, on one or several machines; without torchrun a single process.

    Used as a context, at whose end the threads that connect the processes stop: otherwise they may abort the interpreter.
    """

    def __init__(self) -> None:
        self.size = int(os.environ.get("WORLD_SIZE", 1))
        self.rank = int(os.environ["RANK"]) if self.size > 1 else 0

    def __enter__(self) -> "ProcessGroup":
        if self.size > 1:
            from torch import distributed  # slow to import

            distributed.init_process_group("gloo", timeout=LONGEST_WAIT)
        return self

    def __exit__(self, *_: object) -> None:
        if self.size > 1:
            from torch import distributed

            distributed.destroy_process_group()

    def gather(self, value: Any) -> list[Any]:
        """The value of each process, by rank, once all have called this; DataError when one of them has died."""
        if self.size == 1:
            return [value]
        from torch import distributed

        values = [None] * self.size
        try:
            distributed.all_gather_object(values, value)
        except RuntimeError:
            raise DataError("another rank failed: fix the error it reported, then rerun with --resume") from None
        return values
