"""The log of a run, RUN/train.jsonl: a record per line of what fairseq logged, and of each start and end of training.

A record has `split` (train_inner: the latest updates; train: an epoch; or the name of a validation split), `epoch`, and numbers
such as `num_updates`, `loss`, `eer`, `lr`, `wps`. Records of a start or end have `event` (started or finished) instead.
"""

import json
import math
import os
import re
from pathlib import Path
from typing import Any

Record = dict[str, Any]

_LOGGED = re.compile(r'\[(?P<split>[^]]+)\]\[INFO\] - (?P<values>\{"epoch": .*\})$')


def parse_record(line: str) -> Record | None:
    """The record in a line of fairseq's output, None in other lines."""
    logged = _LOGGED.search(line.rstrip())
    if not logged:
        return None
    split = logged["split"]
    values = json.loads(logged["values"])
    return {"split": split} | {name.removeprefix(f"{split}_"): _number(value) for name, value in values.items()}


def progress(record: Record) -> str:
    """The line that the terminal shows for an epoch."""
    facts = [f"epoch {record['epoch']}", f"{record['split']} loss {record['loss']:.6f}"]
    if record.get("eer") is not None:
        facts.append(f"EER {100 * record['eer']:.3f} %")
    return "  ".join(facts)


def add_record(run: Path, record: Record) -> None:
    """Append a record on a line of its own, also after a line that a crash cut off."""
    with open(_path(run), "ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read() != b"\n":
                file.write(b"\n")
        file.write(json.dumps(record, allow_nan=False).encode() + b"\n")


def read_log(run: Path) -> list[Record]:
    """All records of a run so far, none before it starts; a record that a crash cut off is left out."""
    lines = _path(run).read_text(encoding="utf-8").splitlines() if _path(run).exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def validations(log: list[Record]) -> list[Record]:
    """The records of validation, in order; of an epoch that was validated again after a stop, the latest."""
    validated = [record for record in log if not record.get("split", "train").startswith("train")]
    return list({(record["epoch"], record.get("num_updates")): record for record in validated}.values())


def best_epochs(log: list[Record], metric: str, n: int) -> list[int]:
    """The N epochs of lowest loss or error rate, best first; ties go to the earlier."""
    measured = [record for record in validations(log) if record.get(metric) is not None]
    return [record["epoch"] for record in sorted(measured, key=lambda record: (record[metric], record["epoch"]))[:n]]


def is_finished(log: list[Record]) -> bool:
    """Whether training has come to its end."""
    return bool(log) and log[-1].get("event") == "finished"


def _path(run: Path) -> Path:
    return run / "train.jsonl"


def _number(value: Any) -> float | int | None:
    """A number that fairseq logged as text; None when it is not finite."""
    number = float(value)
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() and "." not in str(value) and "e" not in str(value) else number
