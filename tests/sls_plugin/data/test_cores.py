"""Threads and data workers by the cores that a process may use."""

import logging
import os
import warnings
from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from sls_plugin.data import cores


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(4), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    cores.warn_of_many_workers.cache_clear()
    with warnings.catch_warnings():
        yield
    torch.set_num_threads(before)
    cores.warn_of_many_workers.cache_clear()


@pytest.mark.usefixtures("four_cores")
def test_a_small_network_computes_on_half_of_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    cores.set_threads(nn.Linear(3, 2))
    assert torch.get_num_threads() == 2
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(1), raising=False)
    cores.set_threads(nn.Linear(3, 2))
    assert torch.get_num_threads() == 1


@pytest.mark.usefixtures("four_cores")
def test_a_large_network_and_the_users_choice_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    cores.set_threads(nn.Linear(20_000, 1_000, device="meta"))
    assert torch.get_num_threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    cores.set_threads(nn.Linear(3, 2))
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("four_cores")
def test_more_workers_than_cores_are_one_line_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), warnings.catch_warnings(record=True) as of_torch:
        warnings.simplefilter("always")
        for n_workers in (4, 5, 5, 0):
            cores.warn_of_many_workers(n_workers)
        DataLoader([1], num_workers=5)
    assert [record.message for record in caplog.records] == ["--num-workers 5 on 4 cores slows the run down: give at most 4"]
    assert [str(warning.message) for warning in of_torch] == []
