"""The content of any checkpoint file, without running code from it."""

import argparse
import collections
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, ListConfig
from omegaconf.base import ContainerMetadata, Metadata
from omegaconf.nodes import AnyNode
from safetensors import safe_open

from .errors import CheckpointError

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
        content = _read_safetensors(path) if is_safetensors(path) else _unpickle(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint: correct the path") from None
    except Exception as error:  # torch fails in many ways on a text or a damaged file, KeyError and UnicodeDecodeError included
        raise CheckpointError(f"{path}: {_refusal(path, error)}") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}, not the dictionary of a checkpoint")
    return content


def require_whole(path: str | Path) -> None:
    """Raises CheckpointError when a part of a PyTorch archive is damaged; other files have no checksums."""
    file = checkpoint_file(path)
    if not zipfile.is_zipfile(file):
        return
    try:
        with zipfile.ZipFile(file) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, OSError) as error:
        raise CheckpointError(f"{file}: a damaged archive ({error}): fetch it again") from None
    if broken is not None:
        raise CheckpointError(f"{file}: {broken} in the archive is damaged: fetch the file again")


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors files do: the length of a JSON header, then the header."""
    with open(path, "rb") as file:
        start = file.read(9)
    return len(start) == 9 and start[8:] == b"{" and int.from_bytes(start[:8], "little") <= LONGEST_HEADER


def is_web_page(path: Path) -> bool:
    """Whether a file is HTML, as a download that needs a login or a confirmation leaves it."""
    with open(path, "rb") as file:
        return file.read(512).lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html", b"<?xml"))


def _unpickle(path: Path) -> Any:
    with torch.serialization.safe_globals(SAFE_GLOBALS):
        # files older than torch 1.6 are not zip archives and cannot be memory-mapped
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))


def _read_safetensors(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        names = getattr(file, "offset_keys", file.keys)()  # in the order of the file; old versions sort them
        tensors = {name: file.get_tensor(name) for name in names}
    return {"cfg": json.loads(metadata["cfg"]), "model": tensors} if "cfg" in metadata else tensors


def _refusal(path: Path, error: Exception) -> str:
    """Why a file is refused and what to do; torch's own text recommends the unsafe way."""
    wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
    if wanted:
        return f"refused: unpickling it would run {wanted[1]}, which is not plain data: do not trust this file"
    if path.is_file() and is_web_page(path):
        return "a web page, not a checkpoint: the download failed; fetch it again"
    if path.is_file() and zipfile.is_zipfile(path):
        return f"an archive that is not a checkpoint, or a damaged one ({type(error).__name__}): fetch it again"
    return f"not a checkpoint, or cut short ({type(error).__name__}): fetch it again, or name another file"
