"""Downloads of large files: resumed after a failure, checked, and put in place whole or not at all."""

import hashlib
import http.client
import os
import re
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tqdm import tqdm

from .errors import CheckpointError
from .fingerprint import BLOCK
from .published import Published
from .reading import is_web_page

TIMEOUT = 60  # seconds without a byte
LARGEST = 200 * 10**9  # bytes of a file whose size is not published; the largest archive of a corpus has 38 GB


def download(file: Published, output: str | Path) -> None:
    """Fetch a published file to `output`; what arrived before a failure stays in `output`.part for the next call.

    Without a published hash it goes on only with the same file, by the server's ETag, kept as `output`.part.etag.
    Raises CheckpointError when the server cannot be reached or breaks off, and when it sends something else, which is kept
    as `output`.wrong.
    """
    output = Path(output)
    if output.exists():
        raise CheckpointError(f"{output}: already exists: remove it, or name another file")
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f"{output.name}.part")
    n_there = partial.stat().st_size if partial.exists() else 0
    if n_there != file.n_bytes:  # otherwise it broke off between the last byte and the checks
        try:
            _fetch(file, partial)
        except (OSError, http.client.HTTPException) as error:
            if not _is_whole(file, n_there, error):
                raise CheckpointError(_failure(file.url, output, partial, error)) from None
    if problem := integrity_error(file, partial):
        raise CheckpointError(f"{file.url}: {problem}: kept as {_set_aside(output, partial)}, do not use it: try again later")
    os.replace(partial, output)
    _etag_of(partial).unlink(missing_ok=True)


def integrity_error(file: Published, path: Path) -> str:
    """Why the file at `path` cannot be the published one, by its size and hashes; empty when nothing speaks against it."""
    n_bytes = path.stat().st_size
    if n_bytes == 0:
        return "the server sent an empty file"
    if is_web_page(path):
        return "the server sent a web page, not the file (open the link in a browser)"
    if file.n_bytes is not None and n_bytes != file.n_bytes:
        return f"{n_bytes:,} bytes arrived, the published file has {file.n_bytes:,}"
    for name, published in (("SHA-256", file.sha256), ("MD5", file.md5)):
        if published is not None and _digest(path, name) != published:
            return f"what arrived has another {name} than the published file"
    return ""


def _fetch(file: Published, partial: Path) -> None:
    """Append to `partial` the bytes that it lacks, or start again when that cannot be continued."""
    n_there, etag = partial.stat().st_size if partial.exists() else 0, ""
    if not (file.sha256 or file.md5):
        etag = _etag_of(partial).read_text() if _etag_of(partial).exists() else ""
        n_there = n_there if etag else 0
    headers = {"User-Agent": "fairseq_ckpt", "Accept-Encoding": "identity", "Range": f"bytes={n_there}-"}
    request = urllib.request.Request(file.url, headers=headers | ({"If-Range": etag} if etag else {}))
    limit = file.n_bytes or LARGEST
    with urllib.request.build_opener(_StayOnHTTPS).open(request, timeout=TIMEOUT) as response:
        n_there, n_bytes = _announced(response, file, n_there)
        if n_there == 0:
            _keep_etag(response, partial)
        with (
            open(partial, "ab" if n_there else "wb") as sink,
            tqdm(total=n_bytes, initial=n_there, unit="B", unit_scale=True, disable=not sys.stderr.isatty()) as progress,
        ):
            while block := response.read(BLOCK):
                n_there += len(block)
                if n_there > limit + BLOCK:  # a little more is reported as a wrong size
                    raise CheckpointError(f"{file.url}: more than {limit:,} bytes: look whether the file has moved")
                sink.write(block)
                progress.update(len(block))
    if n_bytes is not None and n_there < n_bytes:
        raise http.client.IncompleteRead(b"", n_bytes - n_there)


def _announced(response: http.client.HTTPResponse, file: Published, n_there: int) -> tuple[int, int | None]:
    """The byte at which an answer begins, 0 or `n_there`, and the size of the whole file, None when the server does not say."""
    if response.headers.get_content_type() == "text/html":
        raise CheckpointError(f"{file.url}: the server sent a web page, not the file (open the link in a browser)")
    if (encoding := response.headers.get("Content-Encoding", "identity")) != "identity":
        raise CheckpointError(f"{file.url}: the server sent the file encoded as {encoding[:20]!a}: try again later")
    length = response.headers.get("Content-Length")
    n_left = int(length) if length else None
    if response.status != http.client.PARTIAL_CONTENT:
        return 0, n_left
    found = re.fullmatch(r"bytes ([0-9]+)-([0-9]+)/([0-9]+|\*)", response.headers.get("Content-Range", ""))
    start, end = (int(found[1]), int(found[2]) + 1) if found else (-1, 0)
    whole = None if not found or found[3] == "*" else int(found[3])
    if start not in (0, n_there) or n_left not in (None, end - start):
        raise CheckpointError(f"{file.url}: the server sent another part than the one asked for: try again later")
    return start, whole or end


class _StayOnHTTPS(urllib.request.HTTPRedirectHandler):
    """Refuses to be sent from an encrypted address to one that is not: anyone on the way could change the file."""

    def redirect_request(self, req: urllib.request.Request, *args: Any) -> urllib.request.Request | None:
        new = super().redirect_request(req, *args)
        if new is not None and req.type == "https" and new.type != "https":
            raise CheckpointError(f"{req.full_url}: the server redirects to {new.host} without encryption: try again later")
        return new


def _etag_of(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.etag")


def _keep_etag(response: http.client.HTTPResponse, partial: Path) -> None:
    """Keep what identifies the version of the file on the server; a weak ETag (W/) does not."""
    etag = response.headers.get("ETag", "")
    if etag.startswith('"') and len(etag) < 1000:
        _etag_of(partial).write_text(etag)
    else:
        _etag_of(partial).unlink(missing_ok=True)


def _failure(url: str, output: Path, partial: Path, error: Exception) -> str:
    host = re.sub(r"^\w+://([^/]+).*", r"\1", url)
    if isinstance(error, urllib.error.HTTPError) and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
        aside = _set_aside(output, partial)
        return f"{partial}: longer than the file on the server, and kept as {aside}: give the same command again"
    if isinstance(error, urllib.error.HTTPError):
        return f"{url}: the server answered {error.code} {error.reason}: look whether the file has moved"
    if isinstance(error, urllib.error.URLError):
        return f"{host} cannot be reached ({error.reason}): check the network, or fetch {url} elsewhere and copy it to {output}"
    n_there = partial.stat().st_size if partial.exists() else 0
    reason = getattr(error, "strerror", None) or "the connection broke off"
    return f"{output}: {reason} after {n_there:,} bytes: give the same command again to resume"


def _is_whole(file: Published, n_there: int, error: Exception) -> bool:
    """Whether a server has no more to send because the first `n_there` bytes are the whole file; the hash shows if it lies."""
    if not isinstance(error, urllib.error.HTTPError) or error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
        return False
    return bool(file.sha256 or file.md5) and error.headers["Content-Range"] == f"bytes */{n_there}"


def _set_aside(output: Path, partial: Path) -> Path:
    """Rename a partial file that cannot be resumed, so that it can still be looked at."""
    aside = output.with_name(f"{output.name}.wrong")
    os.replace(partial, aside)
    _etag_of(partial).unlink(missing_ok=True)
    return aside


def _digest(path: Path, name: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, name.replace("-", "")).hexdigest()
