"""What the scores of a file were made of: checkpoint, trials and settings, beside it in `<output>.run.json`."""

import json
import os
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from fairseq_ckpt.fingerprint import file_sha256
from protocols import DataError, Trial
from protocols.files import replacing

Record = dict[str, Any]  # what JSON can hold; two runs with the same one give the same scores


def record_path(scores_path: str | Path) -> Path:
    """Where the record of a score file stands."""
    return Path(f"{scores_path}.run.json")


def read_record(scores_path: Path) -> Record | None:
    """The record of a score file; None when there is none, or when the file is no longer the one that it tells of."""
    path = record_path(scores_path)
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return record if record.pop("scores") == file_sha256(scores_path) else None
    except (ValueError, AttributeError, KeyError, TypeError):
        raise DataError(f"{path}: not the record of a run: remove it") from None


def write_record(scores_path: Path, record: Record) -> None:
    """Write the record of a score file that is there."""
    with replacing(record_path(scores_path)) as temporary:
        text = json.dumps(record | {"scores": file_sha256(scores_path)}, indent=2)
        temporary.write_text(text + "\n", encoding="utf-8")


def require_same(record: Record, earlier: Record | None, path: Path, remedy: str = "") -> None:
    """DataError, with the settings that differ, when an earlier run at `path` had another record, or none."""
    if earlier is None:
        raise DataError(f"{path}: nothing tells of which run it is: {remedy or 'give --overwrite, or another --output'}")
    if differing := [key for key in {**earlier, **record} if earlier.get(key) != record.get(key)]:
        what = f"of a run that differs in {', '.join(differing)}"
        raise DataError(f"{path}: {what}: {remedy or 'give what that run was given, or --overwrite to start again'}")


def trials_sha256(trials: Iterable[Trial]) -> str:
    """SHA-256 of the ids and audio paths of trials, in order; of whole paths, in whatever way they were given."""
    digest, folder = sha256(), os.getcwd()
    for trial in trials:
        audio = os.path.normpath(os.path.join(folder, trial.audio))
        digest.update(f"{trial.id}\t{audio}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
