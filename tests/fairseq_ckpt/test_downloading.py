"""Downloads from a server on this machine: whole, resumed, or refused in one line; never a wrong file in place."""

import hashlib
import socket
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from file_server import Server, serving

from fairseq_ckpt import CheckpointError, downloading
from fairseq_ckpt.__main__ import main
from fairseq_ckpt.downloading import download
from fairseq_ckpt.published import PAGES, PUBLISHED, Published

CONTENT = bytes(range(256)) * 20_000  # 5 MB


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(CONTENT) as behaviour:
        yield behaviour


def published(server: Server) -> Published:
    return Published("a model", server.url, "model.pth", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


def refusal(file: Published, output: Path) -> str:
    with pytest.raises(CheckpointError) as error:
        download(file, output)
    assert "\n" not in str(error.value)
    assert not output.exists()
    return str(error.value)


@pytest.mark.parametrize("says_length", [True, False])
@pytest.mark.parametrize("knows_ranges", [True, False])
def test_a_whole_file(server: Server, tmp_path: Path, knows_ranges: bool, says_length: bool) -> None:
    server.knows_ranges, server.says_length = knows_ranges, says_length
    download(published(server), tmp_path / "new" / "model.pth")
    assert (tmp_path / "new" / "model.pth").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["model.pth"]


def test_it_goes_on_where_it_broke_off(server: Server, tmp_path: Path) -> None:
    output = tmp_path / "model.pth"
    server.breaks_after = 1_500_000
    for n_there in (1_500_000, 3_000_000, 4_500_000):
        message = refusal(published(server), output)
        assert message.startswith(f"{output}: ")
        assert f"after {n_there:,} bytes: give the same command again" in message
        assert (tmp_path / "model.pth.part").stat().st_size == n_there
    server.breaks_after = None
    download(published(server), output)
    assert output.read_bytes() == CONTENT
    assert server.ranges == ["bytes=0-", "bytes=1500000-", "bytes=3000000-", "bytes=4500000-"]
    assert list(tmp_path.iterdir()) == [output]


def test_it_begins_anew_where_the_server_cannot_go_on(server: Server, tmp_path: Path) -> None:
    server.knows_ranges = False
    (tmp_path / "model.pth.part").write_bytes(b"the first part of an older file")
    download(published(server), tmp_path / "model.pth")
    assert (tmp_path / "model.pth").read_bytes() == CONTENT


def test_a_file_that_only_waits_for_its_checks(server: Server, tmp_path: Path) -> None:
    (tmp_path / "model.pth.part").write_bytes(CONTENT)
    download(published(server), tmp_path / "model.pth")
    assert (tmp_path / "model.pth").read_bytes() == CONTENT
    assert server.ranges == []


def test_a_server_that_hangs_up_without_having_said_the_length(server: Server, tmp_path: Path) -> None:
    server.says_length, server.knows_ranges, server.breaks_after = False, False, 1000
    message = refusal(published(server), tmp_path / "model.pth")
    assert "1,000 bytes arrived, the published file has 5,120,000" in message


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/octet-stream"])
def test_a_web_page_instead_of_the_file(server: Server, tmp_path: Path, content_type: str) -> None:
    server.content, server.content_type = b"<!DOCTYPE html><html>Too many people have read this file</html>", content_type
    for file in (published(server), replace(published(server), n_bytes=None, sha256=None)):
        message = refusal(file, tmp_path / "model.pth")
        assert message.startswith(f"{server.url}: the server sent a web page, not the file (open the link in a browser)")
    assert not (tmp_path / "model.pth.part").exists()


@pytest.mark.parametrize("name", ["SHA-256", "MD5"])
def test_another_file_of_the_same_size_is_kept_aside(server: Server, tmp_path: Path, name: str) -> None:
    server.content = bytes(len(CONTENT))
    digests = {"SHA-256": {}, "MD5": {"sha256": None, "md5": hashlib.md5(CONTENT).hexdigest()}}
    file = replace(published(server), **digests[name])
    message = refusal(file, tmp_path / "model.pth")
    assert f"another {name} than the published file: kept as {tmp_path / 'model.pth.wrong'}, do not use it" in message
    assert [path.name for path in tmp_path.iterdir()] == ["model.pth.wrong"]  # going on from there would never end well
    assert (tmp_path / "model.pth.wrong").read_bytes() == server.content
    server.content = CONTENT
    download(file, tmp_path / "model.pth")
    assert (tmp_path / "model.pth").read_bytes() == CONTENT


def test_another_size(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT + b"more"
    file = replace(published(server), sha256=None)
    assert "5,120,004 bytes arrived, the published file has 5,120,000" in refusal(file, tmp_path / "model.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["model.pth.wrong"]


def test_a_file_of_which_nothing_is_known(server: Server, tmp_path: Path) -> None:
    download(Published("a model", server.url, "model.pth"), tmp_path / "model.pth")
    assert (tmp_path / "model.pth").read_bytes() == CONTENT


@pytest.mark.parametrize("status", [403, 404, 503])
def test_a_server_that_refuses(server: Server, tmp_path: Path, status: int) -> None:
    server.status = status
    assert f"{server.url}: the server answered {status}" in refusal(published(server), tmp_path / "model.pth")


def test_offline(server: Server, tmp_path: Path) -> None:
    file = replace(published(server), url="http://nowhere.invalid/model.pth")
    message = refusal(file, tmp_path / "model.pth")
    assert message.startswith("nowhere.invalid cannot be reached (")
    assert f"fetch {file.url} elsewhere and copy it to {tmp_path / 'model.pth'}" in message


def test_a_file_that_is_there_is_left_alone(server: Server, tmp_path: Path) -> None:
    (tmp_path / "model.pth").write_bytes(b"mine")
    with pytest.raises(CheckpointError, match="already exists"):
        download(published(server), tmp_path / "model.pth")
    assert (tmp_path / "model.pth").read_bytes() == b"mine"
    assert server.ranges == []


@pytest.mark.parametrize("says_length", [True, False])
def test_a_first_part_that_is_too_long_to_be_one(server: Server, tmp_path: Path, says_length: bool) -> None:
    server.says_length = says_length
    file = replace(published(server), n_bytes=None)
    (tmp_path / "model.pth.part").write_bytes(CONTENT + b"more")
    assert "longer than the file on the server, and kept as" in refusal(file, tmp_path / "model.pth")
    assert (tmp_path / "model.pth.wrong").read_bytes() == CONTENT + b"more"
    download(file, tmp_path / "model.pth")
    assert (tmp_path / "model.pth").read_bytes() == CONTENT


def test_a_whole_first_part_of_a_file_of_unknown_size_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "model.pth.part").write_bytes(CONTENT)
    download(replace(published(server), n_bytes=None), tmp_path / "model.pth")
    assert server.ranges == [f"bytes={len(CONTENT)}-"]
    assert (tmp_path / "model.pth").read_bytes() == CONTENT


# Without a published hash


@pytest.fixture
def unknown(server: Server) -> Published:
    """A file of which neither size nor hash is published."""
    return Published("a model", server.url, "model.pth")


def test_it_goes_on_with_the_same_file_only(server: Server, unknown: Published, tmp_path: Path) -> None:
    server.breaks_after, server.etag = 1_500_000, '"first"'
    refusal(unknown, tmp_path / "model.pth")
    refusal(unknown, tmp_path / "model.pth")
    assert server.ranges == ["bytes=0-", "bytes=1500000-"]
    server.breaks_after, server.etag, server.content = None, '"second"', bytes(len(CONTENT))
    download(unknown, tmp_path / "model.pth")
    assert (tmp_path / "model.pth").read_bytes() == server.content
    assert [path.name for path in tmp_path.iterdir()] == ["model.pth"]


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_it_starts_again_when_the_file_may_be_another(server: Server, unknown: Published, tmp_path: Path, etag: str) -> None:
    server.breaks_after, server.etag = 1_500_000, etag
    refusal(unknown, tmp_path / "model.pth")
    server.breaks_after = None
    download(unknown, tmp_path / "model.pth")
    assert server.ranges == ["bytes=0-", "bytes=0-"]
    assert (tmp_path / "model.pth").read_bytes() == CONTENT


def test_a_server_that_calls_any_part_the_whole(server: Server, unknown: Published, tmp_path: Path) -> None:
    (tmp_path / "model.pth.part").write_bytes(CONTENT[:1000])
    (tmp_path / "model.pth.part.etag").write_text('"x"')
    server.content, server.etag = CONTENT[:1000], '"x"'
    assert "longer than the file on the server" in refusal(unknown, tmp_path / "model.pth")
    server.content = CONTENT
    download(unknown, tmp_path / "model.pth")
    assert (tmp_path / "model.pth").read_bytes() == CONTENT


def test_a_part_from_the_start_is_not_appended(server: Server, tmp_path: Path) -> None:
    (tmp_path / "model.pth.part").write_bytes(CONTENT[:1000])
    server.knows_ranges, server.status = False, 206
    server.headers = {"Content-Range": f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}"}
    download(replace(published(server), sha256=hashlib.sha256(CONTENT).hexdigest()), tmp_path / "model.pth")
    assert (tmp_path / "model.pth").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "content_range",
    ["", "bytes 7-5119999/5120000", "bytes 0-99/5120000", "bytes */5120000", "bytes x-y/z", "items 0-1/2"],
)
def test_another_part_than_the_one_asked_for(server: Server, tmp_path: Path, content_range: str) -> None:
    server.headers = {"Content-Range": content_range}
    message = refusal(published(server), tmp_path / "model.pth")
    assert message == f"{server.url}: the server sent another part than the one asked for: try again later"


@pytest.mark.parametrize("encoding", ["gzip", "br", "\x1b[2J"])
def test_an_encoded_body(server: Server, unknown: Published, tmp_path: Path, encoding: str) -> None:
    server.headers = {"Content-Encoding": encoding}
    message = refusal(unknown, tmp_path / "model.pth")
    assert message == f"{server.url}: the server sent the file encoded as {encoding!a}: try again later"


@pytest.mark.parametrize("says_length", [True, False])
def test_an_empty_body(server: Server, unknown: Published, tmp_path: Path, says_length: bool) -> None:
    server.content, server.knows_ranges, server.says_length = b"", False, says_length
    assert "the server sent an empty file: kept as" in refusal(unknown, tmp_path / "model.pth")


def test_a_body_without_end(server: Server, unknown: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.is_endless, server.says_length, server.knows_ranges = True, False, False
    monkeypatch.setattr(downloading, "LARGEST", 20_000_000)
    assert "more than 20,000,000 bytes" in refusal(unknown, tmp_path / "model.pth")
    (tmp_path / "model.pth.part").unlink()
    assert f"more than {len(CONTENT):,} bytes" in refusal(published(server), tmp_path / "model.pth")
    assert (tmp_path / "model.pth.part").stat().st_size < 20_000_000


def test_a_redirect_without_encryption() -> None:
    handler = downloading._StayOnHTTPS()
    request = urllib.request.Request("https://example.org/a")
    arguments = (request, None, 302, "Found", {})
    assert handler.redirect_request(*arguments, "https://example.com/b").full_url == "https://example.com/b"
    with pytest.raises(CheckpointError, match=r"https://example\.org/a: the server redirects to example\.com without encryption"):
        handler.redirect_request(*arguments, "http://example.com/b")


def test_a_server_that_stalls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloading, "TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:  # accepts, and says nothing
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/model.pth"
        message = refusal(Published("a model", url, "model.pth"), tmp_path / "model.pth")
    assert "timed out" in message or "the connection broke off" in message


# The command


def test_the_command(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(PUBLISHED, "sls", published(server))
    assert main(["download", "sls"]) == 0
    assert "model.pth: a model; its SHA-256 is right" in capsys.readouterr().out
    assert main(["download", "sls"]) == 1
    assert capsys.readouterr().err == "error: model.pth: already exists: remove it, or name another file\n"
    assert main(["download", "sls", "other.pth"]) == 0
    assert (tmp_path / "other.pth").read_bytes() == CONTENT
    with pytest.raises(SystemExit, match="2"):
        main(["download", "something"])


def test_the_table_of_public_files() -> None:
    for file in PUBLISHED.values():
        assert file.url.startswith("https://")
        assert file.sha256 is None or len(bytes.fromhex(file.sha256)) == 32
    assert len({file.file_name for file in PUBLISHED.values()}) == len(PUBLISHED)


def test_a_checkpoint_to_be_downloaded_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    for name, (title, page) in PAGES.items():
        assert name not in PUBLISHED
        assert main(["download", name]) == 1
        assert capsys.readouterr().err == f"error: {name}: {title}: download the file by hand from {page}, then `verify` it\n"
