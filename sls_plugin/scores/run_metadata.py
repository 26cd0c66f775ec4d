"""What the scores of a file were computed from: checkpoint, trials and settings, beside it in `<output>.run.json`."""

import json
import os
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from fairseq_ckpt.fingerprint import file_sha256
from protocols import DataError, Trial
from protocols.files import replacing

RunMetadata = dict[str, Any]  # what JSON can hold; two runs with equal metadata give the same scores


def metadata_path(scores_path: str | Path) -> Path:
    """The path of the metadata that belong to a score file."""
    return Path(f"{scores_path}.run.json")


def read_metadata(scores_path: Path) -> RunMetadata | None:
    """The metadata of a score file; None when there are none, or when the file has changed since they were written."""
    path = metadata_path(scores_path)
    if not path.exists():
        return None
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
        return metadata if metadata.pop("scores") == file_sha256(scores_path) else None
    except (ValueError, AttributeError, KeyError, TypeError):
        raise DataError(f"{path}: not the record of a run: remove it") from None


def write_metadata(scores_path: Path, metadata: RunMetadata) -> None:
    """Write the metadata of an existing score file."""
    with replacing(metadata_path(scores_path)) as temporary:
        text = json.dumps(metadata | {"scores": file_sha256(scores_path)}, indent=2)
        temporary.write_text(text + "\n", encoding="utf-8")


def require_same_run(metadata: RunMetadata, earlier: RunMetadata | None, path: Path, remedy: str = "") -> None:
    """DataError, with the settings that differ, when an earlier run at `path` had other metadata, or none."""
    if earlier is None:
        raise DataError(f"{path}: no run record found: {remedy or 'give --overwrite, or another --output'}")
    if differing := [key for key in {**earlier, **metadata} if earlier.get(key) != metadata.get(key)]:
        what = f"of a run that differs in {', '.join(differing)}"
        raise DataError(f"{path}: {what}: {remedy or 'repeat the settings of that run, or give --overwrite to start again'}")


def trials_sha256(trials: Iterable[Trial]) -> str:
    """SHA-256 of the ids and absolute audio paths of trials, in order."""
    digest, folder = sha256(), os.getcwd()
    for trial in trials:
        audio = os.path.normpath(os.path.join(folder, trial.audio))
        digest.update(f"{trial.id}\t{audio}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
