"""PyTorch's files, looked at before PyTorch reads them: every tensor must lie in the file, whole and uncompressed.

PyTorch maps a file into memory and takes a tensor from where its member of the archive begins. It does not compare the two
lengths, nor look whether the member is compressed, so that a changed archive would give other weights without an error.
"""

import os
import zipfile
from io import BytesIO
from typing import BinaryIO

from .pickles import PickleRefusedError, require_plain_pickle

MAX_MEMBERS = 70_000  # a file for each tensor; with the state of Adam there are three for each parameter
MAX_PICKLE = 16_000_000  # bytes; of XLS-R 2B with the state of its optimiser less than 1 MB
NOT_AS_WRITTEN = "its archive is not as PyTorch writes them"
START = b"PK\x03\x04"  # as PyTorch recognises an archive
LEGACY_PICKLES = 5  # of a file from before PyTorch 1.6; its numbers follow


def is_archive(file: BinaryIO) -> bool:
    """Whether a file is what PyTorch has written from version 1.6 on."""
    file.seek(0)
    return file.read(len(START)) == START


def require_plain_archive(file: BinaryIO) -> None:
    """Raises PickleRefusedError unless an archive is as PyTorch writes them, and its tensors lie in it.

    Raises BadZipFile and others on a damaged archive.
    """
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        _require_stored(members)
        if archive.comment or members[0].header_offset:
            raise PickleRefusedError(f"{NOT_AS_WRITTEN}: fetch the original file")
        folder = members[0].filename.partition("/")[0]
        sizes = {member.filename: member.file_size for member in members}
        if len(sizes) < len(members) or not all(name.startswith(f"{folder}/") for name in sizes):
            raise PickleRefusedError(f"{NOT_AS_WRITTEN}: fetch the original file")
        if sizes[f"{folder}/data.pkl"] > MAX_PICKLE:
            raise PickleRefusedError(f"its pickle is larger than {MAX_PICKLE:,} bytes: do not trust this file")
        storages = require_plain_pickle(BytesIO(archive.read(f"{folder}/data.pkl")))
    for key, n_bytes in storages:
        if sizes.get(f"{folder}/data/{key}", -1) < n_bytes:
            raise PickleRefusedError(f"a tensor is larger than its part of the archive (data/{key[:20]!a}): fetch the file again")


def require_plain_legacy(file: BinaryIO) -> None:
    """The same for a file from before PyTorch 1.6, a row of pickles."""
    file.seek(0)
    storages = [storage for _ in range(LEGACY_PICKLES) for storage in require_plain_pickle(file)]
    if sum(dict(sorted(storages)).values()) > os.fstat(file.fileno()).st_size:
        raise PickleRefusedError("its tensors are larger than the file: fetch it again")


def _require_stored(members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MAX_MEMBERS:
        raise PickleRefusedError(f"{len(members):,} tensors, more than any model has: name another file")
    end = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            raise PickleRefusedError("its archive is compressed, and PyTorch would read other numbers: fetch the original file")
        if member.header_offset < end or member.flag_bits & 1:
            raise PickleRefusedError(f"{NOT_AS_WRITTEN}: fetch the original file")
        end = member.header_offset + member.file_size
