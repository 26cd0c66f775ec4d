"""Shards: every trial in one of them, in whole batches."""

from hypothesis import given
from hypothesis import strategies as st

from protocols import Trial
from sls_plugin.inference.shards import shard


@given(st.integers(0, 200), st.integers(1, 12), st.integers(1, 9))
def test_shards_in_a_row_are_the_trials_in_the_same_batches(n_trials: int, n_shards: int, batch_size: int) -> None:
    trials = [Trial(str(number), "a.wav") for number in range(n_trials)]

    def batches(part: list[Trial]) -> list[list[Trial]]:
        return [part[start : start + batch_size] for start in range(0, len(part), batch_size)]

    shards = [batches(shard(trials, index, n_shards, batch_size)) for index in range(n_shards)]
    assert [batch for of_shard in shards for batch in of_shard] == batches(trials)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
