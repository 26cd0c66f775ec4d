"""Corpora from a server on this machine: brought whole, gone on with, or refused in one line; nothing is ever deleted."""

import fnmatch
import hashlib
import http.server
import importlib
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import ClassVar
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile
from file_server import Server, serving
from recipe_runs import environment

from protocols import DataError, read_manifest
from protocols.corpora import CORPORA
from protocols.published import Download, Part, Published, PublishedCount

RECIPES = Path(__file__).parents[2] / "recipes"
KEY = "LA_0023 DF_E_{0} nocodec asvspoof A14 {1} notrim eval traditional_vocoder - - - -\n"


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module behind `download.sh`, as `python recipes/data/download.py` finds it."""
    monkeypatch.syspath_prepend(RECIPES / "data")
    yield importlib.import_module("download")
    sys.modules.pop("download")


def tar(members: dict[str, bytes], compression: str = "gz") -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=f"w:{compression}") as file:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return data.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return data.getvalue()


def recording(seed: int) -> bytes:
    """Noise, which no archive makes smaller."""
    data = io.BytesIO()
    soundfile.write(data, np.random.default_rng(seed).normal(scale=0.1, size=16_000), 16_000, format="FLAC")
    return data.getvalue()


class Tiny:
    """A corpus `tiny` in the layout of ASVspoof 2021 DF: two parts of two recordings each, and their keys."""

    parts = ("part00.tar.gz", "part01.tar.gz")

    def __init__(self, recipe: ModuleType, server: Server, dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.recipe, self.server, self.dest = recipe, server, dest
        self.audio = {
            part: {f"ASVspoof2021_DF_eval/flac/DF_E_{2 * index + i}.flac": recording(2 * index + i) for i in range(2)}
            for index, part in enumerate(self.parts)
        }
        key = "".join(KEY.format(number, "spoof" if number else "bonafide") for number in range(4))
        server.files = {part: tar(members) for part, members in self.audio.items()}
        server.files["keys.tar.gz"] = tar({"keys/DF/CM/trial_metadata.txt": key.encode()})
        self.published = {
            name: Published(name, server.url.replace("model.pth", name), name, md5=hashlib.md5(content).hexdigest())
            for name, content in server.files.items()
        }
        self.like = "asvspoof2021-df"
        self.manifest = "--audio ./ASVspoof2021_DF_eval --keys ./keys --check"
        self.put(monkeypatch)

    def put(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """List the corpus with the files as they are published now."""
        part = Part(0.1, list(self.published.values()), [self.manifest])
        download = Download("https://tiny.org/", "CC0", {"all": part})
        counts = {"": PublishedCount(1, 3, "part*.tar.gz", 2)}
        corpus = replace(CORPORA[self.like], name="tiny", title="Tiny", aliases=(), counts=counts, download=download)
        monkeypatch.setitem(CORPORA, "tiny", corpus)

    def download(self) -> int:
        """Exit status of the command."""
        self.server.ranges.clear()
        return self.recipe.main(["tiny", "--dest", str(self.dest)])

    def recordings(self) -> dict[str, bytes]:
        folder = self.dest / "ASVspoof2021_DF_eval" / "flac"
        return {f"ASVspoof2021_DF_eval/flac/{path.name}": path.read_bytes() for path in sorted(folder.iterdir())}

    def all_audio(self) -> dict[str, bytes]:
        return self.audio["part00.tar.gz"] | self.audio["part01.tar.gz"]


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(b"") as behaviour:
        yield behaviour


@pytest.fixture
def tiny(recipe: ModuleType, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    return Tiny(recipe, server, tmp_path / "my corpora", monkeypatch)


def problem(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that the last command wrote to standard error."""
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert ": error: " in error
    return error


def test_a_corpus_is_brought_unpacked_counted_and_listed(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    assert tiny.download() == 0
    assert tiny.recordings() == tiny.all_audio()
    trials = read_manifest(tiny.dest / "manifests" / "tiny" / "eval.tsv")
    assert [(trial.id, trial.label, trial.n_frames) for trial in trials] == [
        ("DF_E_0", "bonafide", 16_000), ("DF_E_1", "spoof", 16_000), ("DF_E_2", "spoof", 16_000), ("DF_E_3", "spoof", 16_000),
    ]  # fmt: skip
    printed = capsys.readouterr().out
    size, licence, *_, last = printed.splitlines()
    assert size.startswith("Tiny: 0.1 GB to download; ")
    assert licence == "licence: CC0; more: https://tiny.org/"
    assert "4 trials, 1 bona fide, 3 spoof, 0 unknown, 0.00 hours (as published)" in last
    assert f"sls prepare tiny --audio '{tiny.dest}/ASVspoof2021_DF_eval'" in printed


def test_given_again_it_does_nothing(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    assert tiny.download() == 0
    before = {path: path.stat().st_mtime_ns for path in tiny.dest.rglob("*.*") if "manifests" not in path.parts}
    capsys.readouterr()
    assert tiny.download() == 0
    assert tiny.server.ranges == []
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert capsys.readouterr().out.count("unpacked already") == 3


def test_it_goes_on_where_it_broke_off(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.server.breaks_after = 20_000
    assert tiny.download() == 1
    assert "after 20,000 bytes: give the same command again to resume" in problem(capsys)
    tiny.server.breaks_after = None
    assert tiny.download() == 0
    assert tiny.server.ranges[0] == "bytes=20000-"
    assert tiny.recordings() == tiny.all_audio()


def test_another_file_than_the_published_one_is_kept_aside(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    name = tiny.parts[1]
    right, wrong = tiny.server.files[name], bytes(len(tiny.server.files[name]))
    tiny.server.files[name] = wrong
    assert tiny.download() == 1
    message = problem(capsys)
    assert f"another MD5 than the published file: kept as {tiny.dest / name}.wrong" in message
    assert "the files are listed on https://tiny.org/" in message
    assert (tiny.dest / f"{name}.wrong").read_bytes() == wrong
    assert len(tiny.recordings()) == 2
    assert not (tiny.dest / "manifests").exists()
    tiny.server.files[name] = right
    assert tiny.download() == 0


def test_archives_that_a_user_brought(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.dest.mkdir()
    for name, content in tiny.server.files.items():
        (tiny.dest / name).write_bytes(content)
    (tiny.dest / tiny.parts[1]).write_bytes(b"from elsewhere")
    assert tiny.download() == 1
    remedy = "another MD5 than the published file: move it away and give the same command again"
    assert f"{tiny.dest / tiny.parts[1]}: what arrived has {remedy}" in problem(capsys)
    assert (tiny.dest / tiny.parts[1]).read_bytes() == b"from elsewhere"
    (tiny.dest / tiny.parts[1]).write_bytes(tiny.server.files[tiny.parts[1]])
    assert tiny.download() == 0
    assert tiny.server.ranges == []


def test_unpacking_that_was_cut_short_is_gone_on_with(tiny: Tiny) -> None:
    assert tiny.download() == 0
    short, whole = (tiny.dest / name for name in tiny.audio[tiny.parts[0]])
    short.write_bytes(short.read_bytes()[:100])
    whole_before = whole.stat().st_mtime_ns
    (tiny.dest / "ASVspoof2021_DF_eval" / "notes.txt").write_text("mine")
    (tiny.dest / f"{tiny.parts[0]}.unpacked").unlink()
    assert tiny.download() == 0
    assert tiny.recordings() == tiny.all_audio()
    assert whole.stat().st_mtime_ns == whole_before
    assert (tiny.dest / "ASVspoof2021_DF_eval" / "notes.txt").read_text() == "mine"
    assert tiny.server.ranges == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cut.tar.gz", tar({"a/1.flac": recording(1), "a/2.flac": recording(2)})[:-20_000]),
        ("sum.tar.gz", tar({"a/1.flac": recording(1)})[:-8] + bytes(4) + tar({"a/1.flac": recording(1)})[-4:]),
        ("cut.tar", tar({"a/1.flac": recording(1)}, "")[:20_000]),
        ("text.tar", b"no archive at all"),
        ("cut.zip", zipped({"a/1.flac": recording(1)})[:-100]),
        ("sum.zip", zipped({"a/1.flac": b"one wave"}).replace(b"one wave", b"two wave")),
        ("out.tar", tar({"../out.flac": b"somewhere else"}, "")),
        ("link.tar.gz", None),
    ],
)
def test_a_damaged_archive_is_one_line(
    tiny: Tiny, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, content: bytes | None
) -> None:
    if content is None:
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w:gz") as file:
            member = tarfile.TarInfo("a")
            member.type, member.linkname = tarfile.SYMTYPE, "/etc"
            file.addfile(member)
        content = data.getvalue()
    tiny.server.files[name] = content
    tiny.published = {name: Published(name, tiny.server.url.replace("model.pth", name), name)}
    tiny.put(monkeypatch)
    assert tiny.download() == 1
    assert f"{tiny.dest / name}: cannot be unpacked (" in problem(capsys)
    assert (tiny.dest / name).read_bytes() == content
    assert not (tiny.dest / f"{name}.unpacked").exists()
    assert not (tiny.dest.parent / "out.flac").exists()
    assert not (tiny.dest / "manifests").exists()


def test_recordings_that_no_archive_held_are_told(
    tiny: Tiny, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    del tiny.published[tiny.parts[1]]
    tiny.put(monkeypatch)
    assert tiny.download() == 1
    message = problem(capsys)
    assert message.startswith("sls prepare: error: ")
    assert "no recording for 2 of 4 trials (DF_E_2, DF_E_3)" in message
    assert "as many as 1 of the 2 archives part*.tar.gz hold: unpack all of them" in message
    assert not (tiny.dest / "manifests").exists()


def test_without_a_server(tiny: Tiny, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    file = tiny.published[tiny.parts[0]]
    tiny.published = {tiny.parts[0]: replace(file, url="http://nowhere.invalid/part00.tar.gz")}
    tiny.put(monkeypatch)
    assert tiny.download() == 1
    message = problem(capsys)
    assert "nowhere.invalid cannot be reached" in message
    assert f"copy it to {tiny.dest / tiny.parts[0]}" in message


def test_a_zip_and_a_model(tiny: Tiny, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    members = {"release/meta.csv": b"file,speaker,label\n", "release/with space.wav": recording(1), "release/empty/": b""}
    tiny.server.files |= {"release.zip": zipped(members), "model.pth": b"weights"}
    names = ("release.zip", "model.pth")
    tiny.published = {name: Published(name, tiny.server.url.replace("model.pth", name), name) for name in names}
    tiny.like, tiny.manifest = "in-the-wild", "--audio ./rel*"
    tiny.put(monkeypatch)
    assert tiny.download() == 1  # a table without a trial
    assert {name: (tiny.dest / name).read_bytes() for name in members if not name.endswith("/")} == {
        name: content for name, content in members.items() if content
    }
    assert (tiny.dest / "model.pth").read_bytes() == b"weights"
    assert not (tiny.dest / "model.pth.unpacked").exists()
    assert f"{tiny.dest}/release/meta.csv:1: no trial after the header" in capsys.readouterr().err
    assert tiny.download() == 1
    assert tiny.server.ranges == []


@pytest.mark.parametrize("place", ["ASVspoof5.train.tsv", "ASVspoof5_protocols/ASVspoof5.train.tsv"])
def test_a_protocol_is_found_where_its_archive_has_put_it(recipe: ModuleType, tmp_path: Path, place: str) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).touch()
    assert recipe.first_match("./**/ASVspoof5.train.tsv", tmp_path) == str(tmp_path / place)
    assert recipe.first_match("./flac_T", tmp_path) == str(tmp_path / "flac_T")


def test_without_the_client_of_the_hub(
    recipe: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert recipe.main(["mlaad", "--dest", str(tmp_path)]) == 1
    assert "EXTRAS=onnx,report,test,data bash recipes/setup.sh installs it" in problem(capsys)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a CORPUS and --dest, or --list"),
        (["asvspoof5"], "give a CORPUS and --dest, or --list"),
        (["asvspoof5", "--dest", "D", "train", "test"], "asvspoof5 has no part test: choose from train, dev, eval"),
        (["asvspoof1999", "--dest", "D"], "invalid choice: 'asvspoof1999'"),
    ],
)
def test_wrong_usage(recipe: ModuleType, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        recipe.main(arguments)
    assert message in capsys.readouterr().err


def test_the_script_lists_every_corpus_from_any_folder(recipe: ModuleType, tmp_path: Path) -> None:
    command = ["bash", str(RECIPES / "data" / "download.sh"), "--list"]
    outcome = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment())
    assert outcome.returncode == 0, outcome.stderr
    offers = recipe.offers()
    assert {"asvspoof2019-la", "mlaad", "xlsr_300m"} <= offers.keys()
    for name, (title, download) in offers.items():
        assert f"{name} " in outcome.stdout
        assert f"GB  {title}\n" in outcome.stdout
        assert f" {download.licence}\n" in outcome.stdout
        assert f" {download.page}\n" in outcome.stdout


def test_the_list_may_be_cut_off_by_its_reader(recipe: ModuleType) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, str(RECIPES / "data" / "download.py"), "--list"]
    outcome = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (outcome.returncode, outcome.stderr) == (1, "")


# The table


def test_the_table_of_corpora(recipe: ModuleType) -> None:
    for _, download in recipe.offers().values():
        assert download.page.startswith("https://")
        for part in getattr(download, "parts", {}).values():
            assert len({file.file_name for file in part.files}) == len(part.files)
            known = sum(file.n_bytes or 0 for file in part.files) / 1e9
            assert known <= part.gigabytes + 0.05
            for file in part.files:
                assert file.url.startswith("https://")
                assert file.md5 is None or len(bytes.fromhex(file.md5)) == 16


@pytest.mark.parametrize("name", [name for name, corpus in CORPORA.items() if isinstance(corpus.download, Download)])
def test_the_archives_of_each_count_are_those_that_are_downloaded(name: str) -> None:
    corpus, checked = CORPORA[name], set()
    for part in corpus.download.parts.values():
        for manifest in part.manifests:
            *options, check = manifest.split()
            assert check == "--check"
            given = dict(zip(options[::2], options[1::2], strict=True))
            protocol = given.get("--protocol")
            count = corpus.published_count(Path(given["--audio"]), Path(protocol) if protocol else None)
            assert len(fnmatch.filter([file.file_name for file in part.files], count.archives)) == count.n_archives
            checked.add(id(count))
    assert checked == {id(count) for count in corpus.counts.values()}


# The Hugging Face Hub


class Hub:
    """A hub on this machine with one gated dataset, which it shows to the token `right` only."""

    files: ClassVar = {
        "README.md": b"# MLAAD\n",
        "fake/en/vits model/meta.csv": b"path|language|model_name|architecture\n./fake/en/vits model/1.wav|en|vits|VITS\n",
        "fake/en/vits model/1.wav": recording(1),
        "fake/de/vits/meta.csv": b"path|language|model_name|architecture\n./fake/de/vits/1.wav|de|vits|VITS\n",
        "fake/de/vits/1.wav": recording(2),
    }

    def __init__(self) -> None:
        self.status = 200
        self.sent: list[str] = []
        hub, commit = self, 40 * "0"

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = unquote(self.path.partition("?")[0])
                headers = {"X-Repo-Commit": commit}
                if path == "/api/datasets/mueller91/MLAAD":
                    self.answer(hub.status, json.dumps({"id": "mueller91/MLAAD", "sha": commit}).encode())
                elif path.startswith("/api/datasets/mueller91/MLAAD/tree/"):
                    tree = [{"type": "file", "path": name, "size": len(hub.files[name]), "oid": name} for name in hub.files]
                    self.answer(hub.status, json.dumps(tree).encode())
                elif path.startswith("/datasets/mueller91/MLAAD/resolve/"):
                    name = path.removeprefix(f"/datasets/mueller91/MLAAD/resolve/{commit}/")
                    token = self.headers.get("Authorization")
                    if token != "Bearer right":
                        self.answer(403 if token else 401, b"", {"X-Error-Code": "GatedRepo"} | headers)
                        return
                    if self.command == "GET":
                        hub.sent.append(name)
                    etag = hashlib.sha256(hub.files[name]).hexdigest()
                    self.answer(200, hub.files[name], {"ETag": f'"{etag}"'} | headers)
                else:
                    self.answer(404, b"")

            do_HEAD = do_GET

            def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def hub() -> Iterator[Hub]:
    pytest.importorskip("huggingface_hub")
    hub = Hub()
    yield hub
    hub.server.shutdown()


def download_mlaad(hub: Hub, dest: Path, *languages: str, token: str = "") -> subprocess.CompletedProcess:
    variables = os.environ | {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(dest.parent / "home"), "HF_TOKEN": token}
    command = [sys.executable, str(RECIPES / "data" / "download.py"), "mlaad", *languages, "--dest", str(dest)]
    return subprocess.run(command, capture_output=True, text=True, env=variables)


def test_languages_come_from_the_hub(hub: Hub, tmp_path: Path) -> None:
    dest = tmp_path / "my corpora"
    outcome = download_mlaad(hub, dest, "en", token="right")
    assert outcome.returncode == 0, outcome.stderr
    assert "1 trials, 0 bona fide, 1 spoof" in outcome.stdout
    recordings = [path.relative_to(dest / "MLAAD").as_posix() for path in (dest / "MLAAD").rglob("*.wav")]
    assert recordings == ["fake/en/vits model/1.wav"]
    assert (dest / "MLAAD" / recordings[0]).read_bytes() == hub.files[recordings[0]]
    hub.sent.clear()
    outcome = download_mlaad(hub, dest, token="right")
    assert outcome.returncode == 0, outcome.stderr
    assert sorted(hub.sent) == ["README.md", "fake/de/vits/1.wav", "fake/de/vits/meta.csv"]
    assert len(read_manifest(dest / "manifests" / "mlaad" / "mlaad.tsv")) == 2


@pytest.mark.parametrize(
    ("token", "languages", "status", "message"),
    [
        ("", ["en"], 200, "needs an account that has accepted the terms there, and its token: make one on https://"),
        ("wrong", ["en"], 200, "refused to your token (403): accept the terms there"),
        ("right", ["xx"], 200, "no part 'xx': choose from the folders below fake/ there"),
        ("right", ["en"], 500, "the Hub answered 500: give the same command again later to resume"),
    ],
)
def test_what_the_hub_refuses_is_one_line(
    hub: Hub, tmp_path: Path, token: str, languages: list[str], status: int, message: str
) -> None:
    hub.status = status
    outcome = download_mlaad(hub, tmp_path / "corpora", *languages, token=token)
    assert outcome.returncode == 1
    page = "https://huggingface.co/datasets/mueller91/MLAAD"
    errors = [line for line in outcome.stderr.splitlines() if "error" in line]
    assert errors == [line for line in errors if line.startswith(f"download.sh: error: {page}: {message}")] != []
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize("partly_there", [False, True])
def test_a_hub_that_cannot_be_reached(tmp_path: Path, hub: Hub, partly_there: bool) -> None:
    if partly_there:  # which the Hub's client would be content with
        path = tmp_path / "corpora" / "MLAAD" / "fake/en/vits model/meta.csv"
        path.parent.mkdir(parents=True)
        path.write_bytes(hub.files["fake/en/vits model/meta.csv"])
    hub.endpoint = "http://127.0.0.1:9"
    outcome = download_mlaad(hub, tmp_path / "corpora", "en")
    assert outcome.returncode == 1
    assert "the Hub cannot be reached (ConnectError): give the same command again" in outcome.stderr
    assert "Traceback" not in outcome.stderr


# Archives that someone changed


def link(name: str, kind: bytes = tarfile.SYMTYPE) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as file:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        file.addfile(member)
    return data.getvalue()


def zip_link() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        member = zipfile.ZipInfo("a")
        member.external_attr = 0o120777 << 16
        file.writestr(member, "/etc/passwd")
    return data.getvalue()


def encrypted() -> bytes:
    data = bytearray(zipped({"a": b"x"}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(signature) + offset] |= 1
    return bytes(data)


CHANGED = {
    "a.tar.gz": [
        (tar({"../outside": b"x"}), "../outside leads out of the folder"),
        (tar({"/elsewhere/outside": b"x"}), "/elsewhere/outside leads out of the folder"),
        (tar({"b.tar.gz.unpacked": b""}), "b.tar.gz.unpacked has a name that marks the state of a download"),
        (tar({"./b.tar.gz.unpacked/": b""}), "has a name that marks"),
        (tar({"b.tar.gz.part": b""}), "has a name that marks"),
        (link("a"), "a is neither a file nor a folder"),
        (link("a", tarfile.LNKTYPE), "a is neither a file nor a folder"),
        (link("a", tarfile.CHRTYPE), "a is neither a file nor a folder"),
        (link("a", tarfile.FIFOTYPE), "a is neither a file nor a folder"),
        (link("\x1b[2J"), "'\\x1b[2J' is neither a file nor a folder"),
        (tar({"zeros": bytes(20_000_000)}), "it unpacks to more than 50 times its size"),
        (tar(dict.fromkeys(map(str, range(11)), b"")), "or to too many files"),
    ],
    "a.zip": [
        (zipped({"../outside": b"x"}), "../outside leads out of the folder"),
        (zipped({"/elsewhere/outside": b"x"}), "/elsewhere/outside leads out of the folder"),
        (zipped({"..\\outside": b"x"}), "leads out of the folder"),
        (zipped({"B.ZIP.UNPACKED": b"x"}), "has a name that marks"),
        (zip_link(), "a is neither a file nor a folder"),
        (encrypted(), "encrypted"),
        (zipped(dict.fromkeys(map(str, range(11)), b"")), "or to too many files"),
    ],
}


@pytest.mark.parametrize(("name", "number"), [(name, number) for name, cases in CHANGED.items() for number in range(len(cases))])
def test_a_changed_archive(recipe: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int) -> None:
    content, reason = CHANGED[name][number]
    monkeypatch.setattr(recipe, "SMALLEST_LIMIT", 1_000_000)
    monkeypatch.setattr(recipe, "MAX_MEMBERS", 10)
    folder = tmp_path / "corpora"
    folder.mkdir()
    (folder / name).write_bytes(content)
    with pytest.raises(DataError) as error:
        recipe.unpack(folder / name, folder)
    assert str(error.value).startswith(f"{folder / name}: cannot be unpacked (")
    assert reason in str(error.value)
    assert str(error.value).isprintable()
    assert {path.name for path in tmp_path.rglob("*")} <= {"corpora", name, *map(str, range(10))}
