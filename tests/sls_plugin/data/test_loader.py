"""Batches of a DataLoader whose workers are killed, as the out-of-memory killer does it."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from torch.utils.data import DataLoader

from protocols import DataError
from sls_plugin.data.loader import iterate

KILLED = r"^a data loader worker was killed \(out of memory\?\): lower --num-workers or --batch-size$"


class Numbers:
    """Takes as long for an item as decoding does: a worker is killed there, as the out-of-memory killer does it.

    In torch itself a worker that dies in the microseconds in which it holds a lock leaves the main process waiting.
    """

    def __len__(self) -> int:
        return 200

    def __getitem__(self, index: int) -> int:
        time.sleep(0.005)
        return index


def loader(num_workers: int = 1) -> DataLoader:
    return DataLoader(Numbers(), batch_size=1, num_workers=num_workers)


def kill_a_worker() -> None:
    multiprocessing.active_children()[0].kill()


@pytest.mark.parametrize("num_workers", [0, 1, 2])
def test_all_batches_in_order(num_workers: int) -> None:
    assert [int(batch) for batch in iterate(loader(num_workers))] == list(range(200))


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_worker_that_dies_between_batches_is_reported_at_the_next(num_workers: int) -> None:
    """What runs between batches is not interrupted, wherever it is."""
    batches = iterate(loader(num_workers))
    next(batches)
    kill_a_worker()
    until = time.monotonic() + 0.3
    while time.monotonic() < until:  # the signal has come long before the end
        sum(range(100))
    with pytest.raises(DataError, match=KILLED):
        list(batches)


def test_a_worker_that_dies_while_a_batch_is_awaited(tmp_path: Path) -> None:
    class Slow:
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> int:
            (tmp_path / "started").touch()
            time.sleep(600)
            return index

    def kill_once_started() -> None:
        while not (tmp_path / "started").exists():
            time.sleep(0.01)
        kill_a_worker()

    killer = threading.Thread(target=kill_once_started)
    killer.start()
    with pytest.raises(DataError, match=KILLED):
        list(iterate(DataLoader(Slow(), batch_size=1, num_workers=1)))
    killer.join()


def slowly(batch: object) -> object:
    time.sleep(0.001)
    return batch


def test_twenty_kills_at_any_moment_are_data_errors_of_the_loop() -> None:
    draws = random.Random(3)
    for _ in range(20):
        batches = iterate(loader())
        next(batches)
        killer = threading.Timer(draws.uniform(0, 0.02), kill_a_worker)
        killer.start()
        with pytest.raises(DataError, match=KILLED):
            list(map(slowly, batches))
        killer.join()


def test_outside_the_main_thread(tmp_path: Path) -> None:
    """There Python installs no handlers; torch looks after its workers every five seconds."""
    outcome = []

    def run() -> None:
        batches = iterate(loader())
        next(batches)
        kill_a_worker()
        try:
            list(batches)
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
