"""What is said of the clips that a detector hears."""

import numpy as np
import pytest

from sls_plugin.data.conditions import CLIPPED, CONSTANT, LONGER, SILENT, conditions

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
        (0.0019 * NOISE, [SILENT]),  # at most 0.00095
        (0.003 * NOISE, []),
        (np.zeros(N_SAMPLES), [SILENT]),
        (np.zeros(1), [SILENT]),
        (np.full(1, 0.3), [CONSTANT]),
        (np.full(N_SAMPLES, -0.3), [CONSTANT]),
        (np.ones(N_SAMPLES), [CONSTANT]),
        (with_full_scale(10), []),
        (with_full_scale(11), [CLIPPED]),
        (np.append(NOISE, 0.0), [LONGER]),
        (np.concatenate([np.zeros(N_SAMPLES), NOISE]), [LONGER, SILENT]),  # heard is the silence alone
        (np.concatenate([NOISE, np.zeros(N_SAMPLES)]), [LONGER]),
    ],
)
def test_conditions_are_those_of_the_part_that_is_heard(waveform: np.ndarray, expected: list[str]) -> None:
    assert conditions(waveform.astype(np.float32), N_SAMPLES) == expected
