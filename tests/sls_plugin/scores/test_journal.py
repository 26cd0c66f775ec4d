"""The journal of a run: what a crash, a full disk and a second process do to it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols import DataError, Trial
from sls_plugin.scores.journal import Journal, iter_all_ranks, journal_path, warnings_of_all_ranks

RECORD = {"checkpoint": "0123", "batch_size": 3, "shard": [0, 1]}
IDS = ["LA_E_1", "two words.wav", "Ü", "tab\tin it", "\udcff.wav", '"quoted"', "7", "8"]
TRIALS = [Trial(name, f"{number}.flac") for number, name in enumerate(IDS)]
OUTCOMES = [(IDS[0], -1 / 3), (IDS[1], "broken:\nwhy"), (IDS[2], 2.0), (IDS[3], 1e-45), (IDS[4], 3.4e38)]
OUTCOMES += [(IDS[5], -0.0), (IDS[6], "5"), (IDS[7], 0.1)]


def opened(path: Path, record: dict = RECORD, **options: bool) -> Journal:
    return Journal(path, record, TRIALS, RECORD["batch_size"], **options)


def written(path: Path, n_outcomes: int = len(OUTCOMES)) -> bytes:
    """The bytes of a journal that holds the first outcomes."""
    with opened(path) as journal:
        for name, outcome in OUTCOMES[:n_outcomes]:
            journal.add(name, outcome)
    return path.read_bytes()


def test_outcomes_come_back_as_they_were(tmp_path: Path) -> None:
    written(tmp_path / "partial")
    with opened(tmp_path / "partial", resume=True) as journal:
        assert journal.n_done == len(TRIALS)
        assert repr(list(journal.outcomes())) == repr(OUTCOMES)  # repr: -0.0 differs from 0.0


def test_cut_anywhere_it_resumes_at_a_whole_batch(tmp_path: Path) -> None:
    """At every byte where a crash may have ended the file, and with a block of zeros there, as after a loss of power."""
    path = tmp_path / "partial"
    whole = written(path)
    ends = [position + 1 for position, byte in enumerate(whole) if byte == ord("\n")]
    for end in range(len(whole) + 1):
        for rest in (b"", b"\0" * 9, b'["half'):
            path.write_bytes(whole[:end] + rest)
            n_whole = sum(position <= end for position in ends[1:])
            with opened(path, resume=True) as journal:
                assert journal.n_done == (n_whole if n_whole == len(TRIALS) else n_whole // 3 * 3)
                for name, outcome in OUTCOMES[journal.n_done :]:
                    journal.add(name, outcome)
            assert path.read_bytes() == whole


@given(st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=30)), min_size=1, max_size=3))
@settings(derandomize=True, max_examples=50)
def test_damaged_lines_are_no_outcomes(tmp_path_factory: pytest.TempPathFactory, damage: list) -> None:
    path = tmp_path_factory.mktemp("journal") / "partial"
    whole = bytearray(written(path))
    start = whole.index(b"\n") + 1
    for where, what in damage:
        position = start + int(where * (len(whole) - start))
        whole[position : position + len(what)] = what
    path.write_bytes(whole)
    with opened(path, resume=True) as journal:
        kept = list(journal.outcomes())
    assert len(kept) == journal.n_done
    assert [name for name, _ in kept] == IDS[: journal.n_done]
    assert all(isinstance(outcome, float | str) for _, outcome in kept)


def test_lines_of_other_trials_are_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "partial"
    lines = written(path).splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:5], lines[6], lines[5], *lines[7:]]))  # two lines of the second batch changed places
    with opened(path, resume=True) as journal:
        assert journal.n_done == 3


def test_an_earlier_run_is_not_touched_without_leave(tmp_path: Path) -> None:
    path = tmp_path / "partial"
    before = written(path, 4)
    with pytest.raises(DataError, match=r"partial: left by a run that was stopped: --resume .*, --overwrite "):
        opened(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("record", "named"),
    [
        (RECORD | {"checkpoint": "4567"}, "checkpoint: "),
        (RECORD | {"shard": [1, 2], "batch_size": 4}, "batch_size, shard: "),
        (RECORD | {"llr": True}, "llr: "),
        ({"checkpoint": "0123", "batch_size": 3}, "shard: "),
    ],
)
def test_a_run_with_other_metadata_is_refused(tmp_path: Path, record: dict, named: str) -> None:
    path = tmp_path / "partial"
    before = written(path, 4)
    with pytest.raises(DataError, match=f"partial: of a run that differs in {named}"):
        opened(path, record, resume=True)
    assert path.read_bytes() == before
    with opened(path, record, overwrite=True) as journal:
        assert journal.n_done == 0
        journal.add(*OUTCOMES[0])
        assert list(journal.outcomes()) == OUTCOMES[:1]
    assert json.loads(path.read_bytes().splitlines()[0]) == record


def test_what_is_no_journal_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "partial"
    path.write_bytes(b"a text\nof two lines\n")
    for options in ({}, {"resume": True}):
        with pytest.raises(DataError, match="partial: "):
            opened(path, **options)
    assert path.read_bytes() == b"a text\nof two lines\n"


def test_a_run_without_outcomes_leaves_nothing(tmp_path: Path) -> None:
    with opened(tmp_path / "new" / "partial"):
        assert (tmp_path / "new" / "partial").exists()
    assert not (tmp_path / "new" / "partial").exists()
    (tmp_path / "partial").write_bytes(json.dumps({"another": "run"}).encode() + b"\n")  # killed before its first outcome
    assert written(tmp_path / "partial")


# Recordings


def made(folder: Path, n_trials: int = 7) -> list[Trial]:
    for number in range(n_trials):
        (folder / f"{number}.wav").write_bytes(b"sound" * number)
    return [Trial(str(number), f"{folder}/{number}.wav") for number in range(n_trials)]


def scored(path: Path, trials: list[Trial], n_scored: int) -> None:
    with Journal(path, RECORD, trials, 3) as journal:
        for trial in trials[:n_scored]:
            journal.add(trial.id, 0.5)


@pytest.mark.parametrize("same", ["size", "time"])
def test_a_recording_that_changed_is_named(tmp_path: Path, same: str) -> None:
    trials, path = made(tmp_path), tmp_path / "partial"
    scored(path, trials, 6)
    before, recording = path.read_bytes(), tmp_path / "4.wav"
    earlier = recording.stat()
    recording.write_bytes(b"noise" * 4 if same == "size" else b"noise")
    os.utime(recording, ns=(0, earlier.st_mtime_ns + (same == "size")))
    with pytest.raises(DataError) as error:
        Journal(path, RECORD, trials, 3, resume=True)
    what = "changed since it was scored (its size or modification time): give --overwrite to score all recordings again"
    assert str(error.value) == f"{recording}: {what}"
    assert path.read_bytes() == before


def test_a_recording_that_is_scored_again_may_change(tmp_path: Path) -> None:
    trials, path = made(tmp_path), tmp_path / "partial"
    scored(path, trials, 5)  # a batch, and two trials of the next
    (tmp_path / "4.wav").write_bytes(b"other")
    with Journal(path, RECORD, trials, 3, resume=True) as journal:
        assert journal.n_done == 3


def test_a_journal_of_an_earlier_version_resumes(tmp_path: Path) -> None:
    trials, path = made(tmp_path), tmp_path / "partial"
    scored(path, trials, 6)
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header, *(json.dumps(json.loads(line)[:2]) for line in lines)]) + "\n")
    with Journal(path, RECORD, trials, 3, resume=True) as journal:
        assert journal.n_done == 6
        journal.add("6", 1.0)
        assert journal.recordings() is None
        assert [name for name, _ in journal.outcomes()] == [trial.id for trial in trials]


def test_replaced_outcomes_keep_their_place_and_the_lock(tmp_path: Path) -> None:
    trials, path = made(tmp_path), tmp_path / "partial"
    with Journal(path, RECORD, trials, 3) as journal:
        for number, trial in enumerate(trials):
            journal.add(trial.id, "broken" if number in (1, 6) else float(number))
    with Journal(path, RECORD, trials, 3, resume=True) as journal:
        assert journal.broken == [1, 6]
        journal.replace({"0": (-1.0, ()), "1": (-2.0, ["clipped"]), "2": (-3.0, ()), "6": ("still broken", ())})
        expected = [("0", -1.0), ("1", -2.0), ("2", -3.0), ("3", 3.0), ("4", 4.0), ("5", 5.0), ("6", "still broken")]
        assert list(journal.outcomes()) == expected
        assert warnings_of_all_ranks(path.with_suffix(""), journal, [7]) == {"1": "clipped"}
        outcome = subprocess.run([sys.executable, "-c", WRITE + "    pass", str(path)], capture_output=True, text=True)
        assert "another process is writing it" in outcome.stderr
    assert sorted(os.listdir(tmp_path)) == [*(f"{number}.wav" for number in range(7)), "partial"]
    with Journal(path, RECORD, trials, 3, resume=True) as journal:
        assert (journal.n_done, journal.broken) == (7, [6])


# Other processes


WRITE = f"""
import os, sys, time
from protocols import Trial
from sls_plugin.scores.journal import Journal
from pathlib import Path
trials = [Trial(str(number), "a.wav") for number in range(10_000)]
with Journal(Path(sys.argv[1]), {RECORD!r}, trials, 3) as journal:
"""


def test_a_second_process_is_refused_until_the_first_dies(tmp_path: Path) -> None:
    """Even when the first one leaves a child behind that inherited the open file, as data workers do."""
    path = tmp_path / "partial"
    code = WRITE + "    if child := os.fork(): print(child, flush=True)\n    time.sleep(900)"
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as first:
        orphan = int(first.stdout.readline())
        try:
            for options in ({}, {"resume": True}, {"overwrite": True}):
                with pytest.raises(DataError, match="partial: another process is writing it"):
                    opened(path, **options)
            first.kill()
            first.wait()
            os.kill(orphan, 0)  # is still there
            with opened(path, overwrite=True) as journal:
                journal.add(*OUTCOMES[0])
                list(journal.outcomes())  # reading does not give up the lock
                outcome = subprocess.run([sys.executable, "-c", WRITE + "    pass", str(path)], capture_output=True, text=True)
                assert "another process is writing it" in outcome.stderr
        finally:
            os.kill(orphan, signal.SIGKILL)


def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "partial"
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
    code = limit + WRITE + "    for trial in trials: journal.add(trial.id, 0.123456789)"
    outcome = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert f"DataError: {path}: File too large: free some disk space" in outcome.stderr
    header, *lines = path.read_bytes().splitlines(keepends=True)
    assert json.loads(header) == RECORD
    assert [json.loads(line) for line in lines] == [[str(number), 0.123456789, None] for number in range(len(lines))]
    assert 1000 - len(lines[-1]) - 1 <= path.stat().st_size <= 1000  # the next line did not fit
    assert lines[-1].endswith(b"\n")


def test_all_ranks_are_read_in_order_and_counted(tmp_path: Path) -> None:
    output = tmp_path / "scores.txt"
    for rank, part in ((1, OUTCOMES[3:5]), (3, OUTCOMES[5:])):
        with opened(journal_path(output, rank)) as journal:
            for name, outcome in part:
                journal.add(name, outcome)
    with opened(journal_path(output, 0)) as own:
        for name, outcome in OUTCOMES[:3]:
            own.add(name, outcome)
        assert list(iter_all_ranks(output, own, [3, 2, 0, 3])) == OUTCOMES
        for n_done in ([3, 3, 0, 3], [3, 2, 1, 3]):
            with pytest.raises(DataError, match="name an --output in a folder that all machines share"):
                list(iter_all_ranks(output, own, n_done))
