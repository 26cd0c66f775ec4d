"""Batches from a DataLoader; a killed worker is reported where its batch is awaited."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from torch.utils.data import DataLoader

from protocols import DataError

WORKER_DIED = "DataLoader worker (pid"  # the beginning of torch's messages
REMEDY = "a data loader worker was killed (out of memory?): lower --num-workers or --batch-size"
_END = object()
_torch_handler: Any = None  # of SIGCHLD; torch installs it with the first loader of a process


def iterate(loader: DataLoader) -> Iterator[Any]:
    """The batches of a loader; DataError when one of its workers was killed, most often by the out-of-memory killer.

    torch reports a dead worker from a handler of SIGCHLD, which interrupts the main thread anywhere: in the model, in a
    write to a file, in the caller's code. Here that handler is installed only while a batch is awaited.
    """
    with _dead_workers_reported():
        batches, callers_handler = _start(loader)
    # Without workers none can die. Outside the main thread no handler can be installed: there torch polls its workers.
    has_handler = loader.num_workers > 0 and threading.current_thread() is threading.main_thread()
    while True:
        with _dead_workers_reported(), _handling_deaths(callers_handler) if has_handler else nullcontext():
            batch = next(batches, _END)
        if batch is _END:
            return
        yield batch


def _start(loader: DataLoader) -> tuple[Iterator[Any], Any]:
    """Start the workers: an iterator over the batches, and the handler of SIGCHLD that the caller had."""
    global _torch_handler
    before = signal.getsignal(signal.SIGCHLD)
    batches = iter(loader)
    installed = signal.getsignal(signal.SIGCHLD)
    if installed is not before:
        _torch_handler = installed
        signal.signal(signal.SIGCHLD, before)
    return batches, before


@contextmanager
def _handling_deaths(callers_handler: Any) -> Iterator[None]:
    handler = _torch_handler or callers_handler  # the caller's, if an earlier loader of the process installed torch's
    signal.signal(signal.SIGCHLD, handler)
    try:
        if callable(handler):
            handler(signal.SIGCHLD, None)  # for a worker that died since the last batch
        yield
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL if handler is callers_handler else callers_handler)


@contextmanager
def _dead_workers_reported() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ConnectionError, EOFError) as error:
        if not is_worker_death(error):
            raise
        raise DataError(REMEDY) from None


def is_worker_death(error: BaseException) -> bool:
    """Whether a loader's error means that a worker is dead: torch says so, or the connection to the worker broke."""
    return isinstance(error, (ConnectionError, EOFError)) or str(error).startswith(WORKER_DIED)
