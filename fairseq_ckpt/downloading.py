"""Downloads of large files: resumed after a failure, checked, and put in place whole or not at all."""

import hashlib
import http.client
import os
import re
import sys
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from .errors import CheckpointError
from .fingerprint import BLOCK
from .published import Published
from .reading import is_web_page

TIMEOUT = 60  # seconds without a byte


def download(file: Published, output: str | Path) -> None:
    """Fetch a published file to `output`; what arrived before a failure stays in `output`.part for the next call.

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
            _fetch(file.url, partial, n_there)
        except (OSError, http.client.HTTPException) as error:
            if not _is_whole(n_there, error):
                raise CheckpointError(_failure(file.url, output, partial, error)) from None
    if problem := integrity_error(file, partial):
        raise CheckpointError(f"{file.url}: {problem}: kept as {_set_aside(output, partial)}, do not use it: try again later")
    os.replace(partial, output)


def integrity_error(file: Published, path: Path) -> str:
    """Why the file at `path` cannot be the published one, by its size and hashes; empty when nothing speaks against it."""
    n_bytes = path.stat().st_size
    if is_web_page(path):
        return "the server sent a web page, not the file (open the link in a browser)"
    if file.n_bytes is not None and n_bytes != file.n_bytes:
        return f"{n_bytes:,} bytes arrived, the published file has {file.n_bytes:,}"
    for name, published in (("SHA-256", file.sha256), ("MD5", file.md5)):
        if published is not None and _digest(path, name) != published:
            return f"what arrived has another {name} than the published file"
    return ""


def _fetch(url: str, partial: Path, n_there: int) -> None:
    """Append to `partial` the bytes that it lacks, or start again when the server cannot resume."""
    request = urllib.request.Request(url, headers={"User-Agent": "fairseq_ckpt", "Range": f"bytes={n_there}-"})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        if response.headers.get_content_type() == "text/html":
            raise CheckpointError(f"{url}: the server sent a web page, not the file (open the link in a browser)")
        continued = response.status == http.client.PARTIAL_CONTENT
        n_there = n_there if continued else 0
        n_left = response.headers.get("Content-Length")
        n_bytes = n_there + int(n_left) if n_left else None
        with (
            open(partial, "ab" if continued else "wb") as file,
            tqdm(total=n_bytes, initial=n_there, unit="B", unit_scale=True, disable=not sys.stderr.isatty()) as progress,
        ):
            while block := response.read(BLOCK):
                file.write(block)
                progress.update(len(block))
    n_there = partial.stat().st_size
    if n_bytes is not None and n_there < n_bytes:
        raise http.client.IncompleteRead(b"", n_bytes - n_there)


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


def _is_whole(n_there: int, error: Exception) -> bool:
    """Whether a server has no more to send because the first `n_there` bytes are the whole file."""
    if not isinstance(error, urllib.error.HTTPError) or error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
        return False
    return error.headers["Content-Range"] == f"bytes */{n_there}"


def _set_aside(output: Path, partial: Path) -> Path:
    """Rename a partial file that cannot be resumed, so that it can still be looked at."""
    aside = output.with_name(f"{output.name}.wrong")
    os.replace(partial, aside)
    return aside


def _digest(path: Path, name: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, name.replace("-", "")).hexdigest()
