"""The content of any checkpoint file, without running code from it."""

import argparse
import collections
import json
import os
import re
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from omegaconf import DictConfig, ListConfig
from omegaconf.base import ContainerMetadata, Metadata
from omegaconf.nodes import AnyNode
from safetensors import safe_open

from protocols import DataError
from protocols.files import open_regular_file

from .archives import is_archive, require_plain_archive, require_plain_legacy
from .errors import CheckpointError, is_out_of_memory
from .pickles import PickleRefusedError

NUMPY_SCALAR = np.float64(0).__reduce__()[0]  # the function that makes a number of a type and its bytes
# All that a pickle may name beside PyTorch's own tensors and plain containers. None of them does more than hold data.
SAFE_GLOBALS = [
    argparse.Namespace,  # `args`, the options of a training run, as fairseq kept them before it had `cfg`
    DictConfig,  # `cfg`, as fairseq kept it before it stored plain dictionaries; the next nine are parts of it
    ListConfig,
    AnyNode,
    ContainerMetadata,
    Metadata,
    Any,
    dict,
    list,
    int,
    collections.defaultdict,
    np.dtype,  # a best score that numpy computed, kept as float64; the next three are parts of it
    type(np.dtype(np.float64)),
    (NUMPY_SCALAR, "numpy.core.multiarray.scalar"),  # as numpy 1 calls it
    (NUMPY_SCALAR, "numpy._core.multiarray.scalar"),  # as numpy 2 does
    # The one enum in the settings of a wav2vec 2.0 task, read as its number: naming it here keeps fairseq itself out.
    # fairseq's other enums (its choices of options) cannot be pickled, so no checkpoint holds them.
    (int, "fairseq.data.text_compressor.TextCompressionLevel"),
]
HUGGING_FACE_FILES = ("model.safetensors", "pytorch_model.bin")
LONGEST_HEADER = 100_000_000  # bytes; what the safetensors library accepts
MAX_HEADER = 8_000_000  # bytes; XLS-R 2B has about 100,000


def checkpoint_file(path: str | Path) -> Path:
    """The file that holds the tensors: the path itself, or the file in a folder of Hugging Face.

    Raises CheckpointError for a folder without one, and for a device or pipe, whose end may never come.
    """
    path = Path(path)
    if not path.is_dir():
        if path.exists() and not path.is_file():
            raise CheckpointError(f"{path}: a device or pipe, not a checkpoint: name a file")
        return path
    for name in HUGGING_FACE_FILES:
        if (path / name).is_file():
            return path / name
    raise CheckpointError(f"{path}: a folder without {' or '.join(HUGGING_FACE_FILES)}: name a checkpoint")


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The dictionary in a PyTorch or safetensors file, on the CPU and memory-mapped; never unpickles arbitrary classes.

    A safetensors file that this package wrote has `cfg` and `model`, another one its tensors by name.
    Raises CheckpointError when the file is missing, damaged, something else, or needs classes that are not plain data.
    """
    path = checkpoint_file(path)
    try:
        with open_file(path) as file:
            content = _read(file)
    except CheckpointError:
        raise
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint: correct the path") from None
    except Exception as error:  # torch fails in many ways on a text or a damaged file, KeyError and UnicodeDecodeError included
        raise CheckpointError(f"{path}: {_refusal(path, error)}") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}, not the dictionary of a checkpoint")
    return content


def require_whole(path: str | Path) -> None:
    """Raises CheckpointError when a part of a PyTorch archive is damaged; other files have no checksums."""
    path = checkpoint_file(path)
    try:
        with open_file(path) as file:
            if not is_archive(file):
                return
            require_plain_archive(file)
            with zipfile.ZipFile(file) as archive:
                broken = archive.testzip()
    except FileNotFoundError:
        return  # which reading it reports
    except (PickleRefusedError, zipfile.BadZipFile, OSError, ValueError, KeyError, IndexError) as error:
        raise CheckpointError(f"{path}: {_refusal(path, error)}") from None
    if broken is not None:
        raise CheckpointError(f"{path}: {broken} in the archive is damaged: fetch the file again")


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors files do: the length of a JSON header, then the header."""
    with open(path, "rb") as file:
        return _header_bytes(file) is not None


def is_web_page(path: Path) -> bool:
    """Whether a file is HTML, as a download that needs a login or a confirmation leaves it."""
    with open(path, "rb") as file:
        return file.read(512).lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html", b"<?xml"))


def open_file(path: Path) -> BinaryIO:
    """The open file; a pipe that has taken its place since is not waited for."""
    try:
        return open_regular_file(path)
    except DataError:
        raise CheckpointError(f"{path}: a device or pipe, not a checkpoint: name a file") from None


def _read(file: BinaryIO) -> Any:
    """The content of an open file. It is read by this name, so that what is checked stays the same when the path is renamed."""
    path = f"/dev/fd/{file.fileno()}"
    n_header = _header_bytes(file)
    if n_header is not None and n_header > MAX_HEADER:
        raise PickleRefusedError(f"a header of {n_header:,} bytes, longer than that of any model: do not trust this file")
    if n_header is not None:
        return _read_safetensors(path)
    archive = is_archive(file)
    require_plain_archive(file) if archive else require_plain_legacy(file)
    with torch.serialization.safe_globals(SAFE_GLOBALS):
        # files older than torch 1.6 are not zip archives and cannot be memory-mapped
        return torch.load(path, map_location="cpu", weights_only=True, mmap=archive)


def _header_bytes(file: BinaryIO) -> int | None:
    """The length of the header of a safetensors file; None for another file."""
    file.seek(0)
    start = file.read(9)
    length = int.from_bytes(start[:8], "little")
    return length if start[8:] == b"{" and length <= LONGEST_HEADER else None


def _read_safetensors(path: str) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        names = getattr(file, "offset_keys", file.keys)()  # in the order of the file; old versions sort them
        tensors = {name: file.get_tensor(name) for name in names}
    return {"cfg": json.loads(metadata["cfg"]), "model": tensors} if "cfg" in metadata else tensors


def _refusal(path: Path, error: Exception) -> str:
    """Why a file is refused and what to do; torch's own text recommends the unsafe way."""
    if isinstance(error, PickleRefusedError):
        return str(error)
    wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
    if wanted:
        return f"refused: unpickling it would run {wanted[1]}, which is not plain data: do not trust this file"
    if is_out_of_memory(error):
        return "out of memory: close other programs, or use a machine with more memory"
    if reason := _reason_of_the_system(error):
        return f"cannot be read ({reason}): look at its permissions, its disk and what else is open"
    if is_web_page(path):
        return "a web page, not a checkpoint: the download failed; fetch it again"
    if zipfile.is_zipfile(path):
        return f"an archive that is not a checkpoint, or a damaged one ({type(error).__name__}): fetch it again"
    return f"not a checkpoint, or cut short ({type(error).__name__}): fetch it again, or name another file"


def _reason_of_the_system(error: Exception) -> str:
    """The system's own reason in an error of Python or PyTorch; empty when it has none."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    number = re.search(r"errno (\d+)", str(error)) if isinstance(error, RuntimeError) else None
    return os.strerror(int(number[1])) if number else ""
