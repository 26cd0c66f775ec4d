"""What is said of the clips that a detector hears."""

import numpy as np
import pytest

from sls_plugin.data.conditions import Signal, conditions

N_SAMPLES = 1_000
NOISE = np.random.default_rng(1).uniform(-0.5, 0.5, N_SAMPLES).astype(np.float32)


def with_full_scale(n_clipped: int) -> np.ndarray:
    waveform = NOISE.copy()
    waveform[:n_clipped] = np.where(np.arange(n_clipped) % 2, 1.0, -1.0)
    return waveform


@pytest.mark.parametrize(
    ("waveform", "expected"),
    [
        (NOISE, []),
        (NOISE[:10], []),
        (0.0019 * NOISE, ["silent"]),  # at most 0.00095
        (0.003 * NOISE, []),
        (np.zeros(N_SAMPLES), ["silent"]),
        (np.zeros(1), ["silent"]),
        (np.full(1, 0.3), ["constant"]),
        (np.full(N_SAMPLES, -0.3), ["constant"]),
        (np.ones(N_SAMPLES), ["constant"]),
        (with_full_scale(10), []),
        (with_full_scale(11), ["clipped"]),
        (np.append(NOISE, 0.0), ["long"]),
        (np.concatenate([np.zeros(N_SAMPLES), NOISE]), ["long", "silent"]),  # heard is the silence alone
        (np.concatenate([NOISE, np.zeros(N_SAMPLES)]), ["long"]),
    ],
)
def test_conditions_are_those_of_the_part_that_is_heard(waveform: np.ndarray, expected: list[str]) -> None:
    assert conditions(waveform.astype(np.float32), N_SAMPLES) == expected


@pytest.mark.parametrize(
    "waveform", [NOISE, np.zeros(N_SAMPLES), np.full(N_SAMPLES, -0.3), with_full_scale(10), with_full_scale(11)]
)
@pytest.mark.parametrize("n_in_block", [1, 7, N_SAMPLES])
def test_blocks_are_judged_as_the_whole(waveform: np.ndarray, n_in_block: int) -> None:
    signal = Signal()
    blocks = np.split(waveform, range(n_in_block, N_SAMPLES, n_in_block))
    passed = list(signal.heard([*blocks, waveform[:0]]))
    assert np.array_equal(np.concatenate(passed), waveform)
    assert signal.conditions() == conditions(waveform, N_SAMPLES)
