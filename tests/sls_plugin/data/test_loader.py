"""Batches of a DataLoader whose workers are killed, as the out-of-memory killer does it."""

import multiprocessing
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from protocols import DataError
from sls_plugin.data.loader import _reduce_by_value, iterate

KILLED = r"^a data loader worker was killed \(out of memory\?\): lower --num-workers or --batch-size$"


class Clips:
    """Takes as long for an item as decoding does, and kills the worker that decodes item `fatal` after some time.

    A worker that is killed from outside may hold a lock of torch's at that moment, a few microseconds of each batch, and
    leaves the main process waiting: torch itself has no remedy. The out-of-memory killer comes while memory is taken.
    """

    def __init__(self, fatal: int | None = None, after: float = 0.0, signal_to_die: Event | None = None) -> None:
        self.fatal, self.after, self.signal_to_die = fatal, after, signal_to_die

    def __len__(self) -> int:
        return 200

    def __getitem__(self, index: int) -> torch.Tensor:
        time.sleep(0.002)
        if index == self.fatal:
            time.sleep(self.after)
            if self.signal_to_die is not None:
                self.signal_to_die.wait()
            os.kill(os.getpid(), signal.SIGKILL)
        return torch.full((16_000,), float(index))


def loader(num_workers: int = 1, **fate: Any) -> DataLoader:
    return DataLoader(Clips(**fate), batch_size=1, num_workers=num_workers)


@pytest.mark.parametrize("num_workers", [0, 1, 2])
def test_all_batches_in_order(num_workers: int) -> None:
    assert [int(batch[0, 0]) for batch in iterate(loader(num_workers))] == list(range(200))


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_worker_that_dies_between_batches_is_reported_at_the_next(num_workers: int) -> None:
    """What runs between batches is not interrupted, wherever it is."""
    first_received = multiprocessing.Event()
    batches = iterate(loader(num_workers, fatal=num_workers, signal_to_die=first_received))
    next(batches)
    first_received.set()
    until = time.monotonic() + 0.3
    while time.monotonic() < until:  # the worker dies here
        sum(range(100))
    with pytest.raises(DataError, match=KILLED):
        list(batches)


def test_a_worker_that_dies_while_a_batch_is_awaited() -> None:
    with pytest.raises(DataError, match=KILLED):
        next(iterate(loader(fatal=0, after=0.5)))


def slowly(batch: object) -> object:
    time.sleep(0.001)
    return batch


def test_twenty_kills_at_any_moment_are_data_errors_of_the_loop() -> None:
    draws = random.Random(3)
    for _ in range(20):
        with pytest.raises(DataError, match=KILLED):
            list(map(slowly, iterate(loader(fatal=draws.randrange(10), after=draws.uniform(0, 0.02)))))


ENDS_WITH_A_KILLED_WORKER = """
import sys
from protocols import DataError
from test_loader import iterate, loader, slowly
try:
    list(map(slowly, iterate(loader(num_workers=2, fatal=int(sys.argv[1])))))
except DataError:
    print("reported")
"""


def test_a_program_that_ends_leaves_no_traceback_of_the_other_worker() -> None:
    """Its thread that hands over tensors finds the connection broken."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    for fatal in range(3, 7):
        command = [sys.executable, "-c", ENDS_WITH_A_KILLED_WORKER, str(fatal)]
        outcome = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
        assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "reported\n", "")


def test_outside_the_main_thread() -> None:
    """There Python installs no handlers; torch looks after its workers every five seconds."""
    outcome = []

    def run() -> None:
        try:
            list(iterate(loader(fatal=1)))
        except DataError as error:
            outcome.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert len(outcome) == 1
    assert outcome[0].startswith("a data loader worker was killed")


def test_a_handler_of_the_caller_is_called_and_kept() -> None:
    program = """if True:
        import signal, subprocess, sys
        from torch.utils.data import DataLoader
        from sls_plugin.data.loader import iterate
        calls = []
        signal.signal(signal.SIGCHLD, lambda *_: calls.append(1))
        for batch in iterate(DataLoader(range(5), num_workers=1)):
            pass
        calls.clear()
        subprocess.run(["true"])
        print(len(calls) > 0)
    """
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert outcome.stdout == "True\n"


def test_other_errors_of_a_worker_stay_what_they_are() -> None:
    class Faulty:
        def __len__(self) -> int:
            return 1

        def __getitem__(self, index: int) -> int:
            raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ") as refusal:
        list(iterate(DataLoader(Faulty(), num_workers=1)))
    assert not isinstance(refusal.value, DataError)


def test_a_loop_that_is_left_early_leaves_no_worker_and_no_signal() -> None:
    before = {*multiprocessing.active_children()}
    batches = iterate(loader())
    next(batches)
    assert len({*multiprocessing.active_children()} - before) == 1
    batches.close()
    assert {*multiprocessing.active_children()} <= before
    os.kill(os.getpid(), signal.SIGCHLD)


# Shared memory

IN_A_CONTAINER = """
import torch
from torch.utils.data import DataLoader
from sls_plugin.data.loader import _reduce_by_value, iterate

class Clips:
    def __len__(self):
        return 4
    def __getitem__(self, index):
        return torch.full((1_000_000,), float(index))  # 4 MB

loader = DataLoader(Clips(), batch_size=2, num_workers=2, collate_fn=torch.stack)
print([batch[:, -1].tolist() for batch in iterate(loader)])
"""


def test_batches_need_no_shared_memory() -> None:
    """As in a container, whose /dev/shm is small: a worker that found it full would never deliver."""
    small = "mount -t tmpfs -o size=1m tmpfs /dev/shm"
    if not shutil.which("unshare") or subprocess.run(["unshare", "-m", "sh", "-c", small], capture_output=True).returncode:
        pytest.skip("mounting a small /dev/shm needs root and unshare")
    command = ["unshare", "-m", "sh", "-c", f'{small} && exec "$0" -c "$1"', sys.executable, IN_A_CONTAINER]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert outcome.stdout == "[[0.0, 1.0], [2.0, 3.0]]\n", outcome.stderr


def test_a_callers_own_loaders_keep_shared_memory() -> None:
    for _ in iterate(loader()):
        break
    (batch,) = DataLoader([torch.zeros(3)], num_workers=1)
    assert batch.is_shared()


@pytest.mark.parametrize("tensor", [torch.arange(4).float(), torch.tensor(3), torch.zeros(0, 5), torch.ones(3, 4).T])
def test_tensors_that_are_sent_by_value_are_equal_and_writable(tensor: torch.Tensor) -> None:
    build, arguments = _reduce_by_value(tensor)
    sent = build(*pickle.loads(pickle.dumps(arguments)))
    assert sent.dtype == tensor.dtype
    assert torch.equal(sent, tensor)
    sent += 1  # augmentation on the receiving side may write to it
