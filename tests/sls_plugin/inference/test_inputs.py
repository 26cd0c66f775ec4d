"""What `sls score` is given: which trials it makes of it, in which order, under which ids."""

import gzip
import os
import threading
from pathlib import Path

import pytest

from protocols import DataError, Trial, write_manifest
from sls_plugin.inference.inputs import read_inputs


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def ids_and_paths(*inputs: Path | str) -> list[tuple[str, str]]:
    return [(trial.id, trial.audio) for trial in read_inputs([str(name) for name in inputs])]


def assert_refused(*inputs: Path | str, match: str) -> None:
    with pytest.raises(DataError, match=match) as refusal:
        ids_and_paths(*inputs)
    assert "\n" not in str(refusal.value)


# Manifests


def test_a_manifest_starts_relative_paths_from_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = [
        Trial("LA_E_2", "flac/LA_E_2.flac", "spoof", 100, {"attack": "A07"}),
        Trial("LA_E_1", "/corpus/LA_E_1.flac", "bonafide"),
        Trial("LA_E_3", "../other/LA_E_3.flac"),
    ]
    write_manifest(tmp_path / "data" / "eval.tsv", trials)
    assert ids_and_paths(tmp_path / "data" / "eval.tsv") == [
        ("LA_E_2", f"{tmp_path}/data/flac/LA_E_2.flac"),
        ("LA_E_1", "/corpus/LA_E_1.flac"),
        ("LA_E_3", f"{tmp_path}/data/../other/LA_E_3.flac"),
    ]
    assert read_inputs([f"{tmp_path}/data/eval.tsv"])[0].facts == {"attack": "A07"}
    monkeypatch.chdir(tmp_path / "data")
    assert ids_and_paths("eval.tsv")[0] == ("LA_E_2", "flac/LA_E_2.flac")


def test_a_manifest_is_known_by_its_suffix_in_capitals_too(tmp_path: Path) -> None:
    write_manifest(tmp_path / "EVAL.TSV", [Trial("a", "a.wav")])
    assert ids_and_paths(tmp_path / "EVAL.TSV") == [("a", f"{tmp_path}/a.wav")]


def test_a_broken_manifest_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "eval.tsv"
    path.write_text("id\taudio\tn_frames\nLA_E_1\ta.flac\t0\n")
    assert_refused(path, match=r"eval\.tsv:1: no column label")


# Recordings and folders


@pytest.mark.parametrize("name", ["a.wav", "a.FLAC", "a.mp3", "a.m4a", "two words.ogg", "a.b.opus", "Ü.webm"])
def test_a_recordings_id_is_its_path_as_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    touch(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for given in (name, f"./{name}", f"{tmp_path}/{name}"):
        assert ids_and_paths(given) == [(given, given)]


def test_a_folders_ids_are_relative_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "clips.wav"  # a folder all the same
    touch(folder / "b.wav", folder / "a.flac", folder / "sub" / "deep" / "c.MP3", folder / "notes.txt", folder / ".hidden.wav")
    expected = ["a.flac", "b.wav", "sub/deep/c.MP3"]
    for given in (str(folder), f"{folder}/"):
        assert ids_and_paths(given) == [(name, f"{folder}/{name}") for name in expected]
    monkeypatch.chdir(folder)
    assert ids_and_paths(".") == [(name, name) for name in expected]
    monkeypatch.chdir(folder / "sub")
    assert [name for name, _ in ids_and_paths("..")] == expected


def test_a_folder_without_recordings(tmp_path: Path) -> None:
    touch(tmp_path / "notes.txt")
    assert_refused(tmp_path, match="no audio in this folder")


@pytest.mark.parametrize("name", ["none.wav", "none", "none.tsv", "none.txt"])
def test_what_is_not_there(tmp_path: Path, name: str) -> None:
    assert_refused(tmp_path / name, match=f"{name}: no such file or folder")


def test_an_empty_name_is_not_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "a.wav")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="'': no such file or folder"):
        read_inputs([""])


# Lists


@pytest.mark.parametrize("name", ["list.txt", "list", "list.lst"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_lines_of_a_list_are_paths_and_ids(tmp_path: Path, name: str, line_end: str, mark: str) -> None:
    lines = ["b.wav", "/corpus/two words.flac", "sub/a.wav"]
    (tmp_path / name).write_bytes((mark + line_end.join(lines) + line_end).encode())
    assert ids_and_paths(tmp_path / name) == [(line, line) for line in lines]


@pytest.mark.parametrize("blank", ["", "  ", "\t"])
def test_a_blank_line_between_others_is_refused_with_its_number(tmp_path: Path, blank: str) -> None:
    (tmp_path / "list.txt").write_text(f"a.wav\n{blank}\nb.wav\n")
    assert_refused(tmp_path / "list.txt", match=r"list\.txt:2: ")


def test_lists_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    assert_refused(tmp_path / "empty.txt", match="empty.txt: the file is empty")
    (tmp_path / "checkpoint.pt").write_bytes(b"PK\x03\x04\xff\xfe")
    assert_refused(tmp_path / "checkpoint.pt", match=r"checkpoint\.pt:1: not UTF-8")


@pytest.mark.parametrize("n_lines", [1, 5000])  # more than one reading takes from a pipe
def test_a_list_through_a_pipe_is_whole(tmp_path: Path, n_lines: int) -> None:
    lines = [f"recordings/{number}.wav" for number in range(n_lines)]
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=["\n".join(lines)])
    writer.start()
    assert [name for name, _ in ids_and_paths(tmp_path / "pipe")] == lines
    writer.join()


def test_packed_lists_and_manifests(tmp_path: Path) -> None:
    write_manifest(tmp_path / "eval.tsv", [Trial("a", "a.wav")])
    (tmp_path / "eval.tsv.gz").write_bytes(gzip.compress((tmp_path / "eval.tsv").read_bytes()))
    (tmp_path / "list.txt.gz").write_bytes(gzip.compress(b"b.wav\n"))
    assert ids_and_paths(tmp_path / "eval.tsv.gz", tmp_path / "list.txt.gz") == [("a", f"{tmp_path}/a.wav"), ("b.wav", "b.wav")]


# Several inputs


def test_inputs_keep_their_order(tmp_path: Path) -> None:
    folder, recording, listed, manifest = (tmp_path / name for name in ("folder", "z.wav", "list.txt", "eval.tsv"))
    touch(folder / "b.wav", folder / "a.wav", recording)
    listed.write_text("y.wav\nx.wav\n")
    write_manifest(manifest, [Trial("n", "n.wav"), Trial("m", "m.wav")])
    names = [name for name, _ in ids_and_paths(listed, recording, manifest, folder)]
    assert names == ["y.wav", "x.wav", str(recording), "n", "m", "a.wav", "b.wav"]


def test_an_id_is_given_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "one" / "a.wav", tmp_path / "two" / "a.wav")
    monkeypatch.chdir(tmp_path)
    assert_refused("one", "two", match=r"^two: trial a\.wav is given twice: ")
    assert_refused("one/a.wav", "one/a.wav", match=r"^one/a\.wav: trial one/a\.wav is given twice")
    (tmp_path / "list.txt").write_text("b.wav\nc.wav\nb.wav\n")
    assert_refused("list.txt", match=r"^list\.txt: trial b\.wav is given twice")
    assert len(ids_and_paths("one", "two/a.wav")) == 2


def test_no_input_is_no_trial() -> None:
    assert read_inputs([]) == []
