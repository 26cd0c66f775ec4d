import gzip
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from protocols import DataError, files
from protocols.files import find_file, open_regular_file, read_lines, replacing

PLACES = ("keys/LA/key.txt", "LA/key.txt", "key.txt")


def test_a_file_is_taken_as_it_is(tmp_path):
    (tmp_path / "other.txt").touch()
    assert find_file(tmp_path / "other.txt", PLACES, "keys") == tmp_path / "other.txt"
    assert find_file(tmp_path / "absent.txt", PLACES, "keys") == tmp_path / "absent.txt"


def test_the_likeliest_place_that_holds_a_file_is_taken(tmp_path):
    for place in reversed(PLACES):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
        assert find_file(tmp_path, PLACES, "keys") == tmp_path / place


def test_a_packed_file_is_found_too(tmp_path):
    for place in ("LA/key.txt.gz", "key.txt"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).touch()
    assert find_file(tmp_path, PLACES, "keys") == tmp_path / "LA/key.txt.gz"


def test_a_folder_without_the_file_says_what_to_name(tmp_path):
    (tmp_path / "key.txt").mkdir()
    with pytest.raises(DataError) as error:
        find_file(tmp_path, PLACES, "keys of LA")
    assert str(error.value) == f"{tmp_path}: no keys of LA in this folder: name the file, or a folder that holds keys/LA/key.txt"


LINES = ["LA_1 a spoof", "two words", "", "ü"]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_lines_of_a_file_and_of_a_pipe_are_the_same(tmp_path, packed, line_end):
    data = (line_end.join(LINES) + line_end).encode()
    data = gzip.compress(data) if packed else data
    (tmp_path / "list.txt").write_bytes(data)
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=[data])
    writer.start()
    assert read_lines(tmp_path / "list.txt") == read_lines(tmp_path / "pipe") == LINES
    writer.join()


@pytest.mark.parametrize("sign", ["\r", "\v", "\f", "\x1c", "\x1f", "\0", "\x85", "\u2028", "\u2029"])
def test_no_sign_that_may_be_a_line_end_is_read_as_text(tmp_path, sign):
    (tmp_path / "list.txt").write_text(f"a 1\nb{sign}2\n", encoding="utf-8", newline="")
    with pytest.raises(DataError) as error:
        read_lines(tmp_path / "list.txt")
    expected = f"{tmp_path}/list.txt:2: {sign!r} within a line: end lines with LF or CRLF, and separate fields by spaces or tabs"
    assert str(error.value) == expected


def test_damaged_and_endless_gzip_files_are_refused(tmp_path, monkeypatch):
    packed = gzip.compress(b"a spoof\n" * 1000)
    for data in (packed[:-9], packed[:20] + b"\0" * 9 + packed[29:]):
        (tmp_path / "key.txt.gz").write_bytes(data)
        with pytest.raises(DataError, match=r"key.txt.gz: packed with gzip, and damaged: copy it again"):
            read_lines(tmp_path / "key.txt.gz")
    monkeypatch.setattr(files, "MOST_BYTES", 7999)
    (tmp_path / "key.txt.gz").write_bytes(packed)
    with pytest.raises(DataError, match=r"key.txt.gz: unpacks to more than 7,999 bytes: unpack it first"):
        read_lines(tmp_path / "key.txt.gz")


def test_a_file_that_may_be_cut_in_its_last_number_is_reported(tmp_path, caplog):
    (tmp_path / "scores.txt").write_text("a 1.25\nb 1.2")
    assert read_lines(tmp_path / "scores.txt", ends_in_number=True) == ["a 1.25", "b 1.2"]
    assert caplog.messages == [f"{tmp_path}/scores.txt: no line end after 'b 1.2': copy the file again if it was cut off there"]
    (tmp_path / "scores.txt").write_text("a 1.25\nb 1.25\n")
    read_lines(tmp_path / "scores.txt", ends_in_number=True)
    assert len(caplog.messages) == 1
# What a killed process leaves

KILLED = """
import os, signal, sys
from protocols.files import replacing

with replacing(sys.argv[1]) as temporary:
    temporary.write_bytes(bytes(1000))
    os.kill(os.getpid(), getattr(signal, sys.argv[2]))
"""


def killed(path: Path, signal_name: str) -> int:
    return subprocess.run([sys.executable, "-c", KILLED, str(path), signal_name]).returncode


def test_termination_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"old")
    assert killed(tmp_path / "a.pt", "SIGTERM") == 128 + signal.SIGTERM
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a.pt", b"old")]


def test_the_next_run_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    assert killed(path, "SIGKILL") == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    host = left.name.removeprefix(".a.pt.").rpartition(".")[0]
    others = [f".a.pt.{host}.{os.getppid()}", ".a.pt.elsewhere.999999999", f".b.pt.{host}.999999999", f".a.pt.{host}.x"]
    for name in others:  # of a process that runs, of another computer, of another file, of somebody else
        (tmp_path / name).touch()
    with replacing(path) as temporary:
        temporary.write_bytes(b"new")
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([*others, "a.pt"])


def test_the_handler_of_a_program_is_kept(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with replacing(tmp_path / "a") as temporary:
            temporary.touch()
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
    with replacing(tmp_path / "a") as temporary:
        temporary.touch()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_regular_file_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(DataError, match="a folder, device or pipe: name a file"):
            open_regular_file(path)
    (tmp_path / "a").write_bytes(b"x")
    with open_regular_file(tmp_path / "a") as file:
        assert file.read() == b"x"
