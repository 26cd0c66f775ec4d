"""Batches from a DataLoader, without shared memory; a killed worker is reported where its batch is awaited."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from multiprocessing.reduction import ForkingPickler
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch.multiprocessing.reductions import reduce_tensor
from torch.utils.data import DataLoader

from protocols import DataError, UserError

WORKER_DIED = "DataLoader worker (pid"  # the beginning of torch's messages
REMEDY = "a data loader worker was killed (out of memory?): lower --num-workers or --batch-size"
_END = object()
_torch_handler: Any = None  # of SIGCHLD; torch installs it with the first loader of a process


def iterate(loader: DataLoader) -> Iterator[Any]:
    """The batches of a loader; DataError when one of its workers was killed, most often by the out-of-memory killer.

    A UserError of a worker is raised with its own message.

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
    with _inherited(_only_errors_of_their_own):
        send_tensors_by_value()
        try:
            batches = iter(loader)
        finally:
            ForkingPickler.register(torch.Tensor, reduce_tensor)  # only the workers send by value, not the caller's processes
    installed = signal.getsignal(signal.SIGCHLD)
    if installed is not before:
        _torch_handler = installed
        signal.signal(signal.SIGCHLD, before)
    return batches, before


def send_tensors_by_value() -> None:
    """Let this process, and the workers that it forks, send tensors through pipes instead of shared memory.

    A container has 64 MiB of shared memory by default, and a worker that finds it full neither dies nor delivers.
    """
    ForkingPickler.register(torch.Tensor, _reduce_by_value)


def _reduce_by_value(tensor: torch.Tensor) -> tuple[Callable[[np.ndarray], torch.Tensor], tuple[np.ndarray]]:
    return torch.from_numpy, (tensor.numpy(),)


@contextmanager
def _inherited(excepthook: Callable[..., None]) -> Iterator[None]:
    """Workers that are forked meanwhile print with this hook what no code of theirs caught."""
    before, sys.excepthook = sys.excepthook, excepthook
    try:
        yield
    finally:
        sys.excepthook = before


def _only_errors_of_their_own(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """A run that ends breaks its connections to the workers: their thread that hands over tensors has nothing to report."""
    if not isinstance(error, (ConnectionError, EOFError)):
        sys.__excepthook__(kind, error, traceback)


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
    except UserError as error:
        raise type(error)(own_words(error)) from None
    except (RuntimeError, ConnectionError, EOFError) as error:
        if not is_worker_death(error):
            raise
        raise DataError(REMEDY) from None


def own_words(error: BaseException) -> str:
    """The message of an error, also of one that a worker raised: torch puts the worker's traceback before it."""
    last_line = (str(error).strip().splitlines() or [""])[-1]
    for kind in UserError.__subclasses__():
        last_line = last_line.removeprefix(f"{kind.__module__}.{kind.__qualname__}: ")
    return last_line


def is_worker_death(error: BaseException) -> bool:
    """Whether a loader's error means that a worker is dead: torch says so, or the connection to the worker broke."""
    return isinstance(error, (ConnectionError, EOFError)) or str(error).startswith(WORKER_DIED)
