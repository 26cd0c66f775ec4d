"""The log of a run, RUN/train.jsonl: what fairseq logged, one record a line, and where each start of the run began and ended.

A record has `split` (train_inner: the latest updates; train: an epoch; or the name of a validation split), `epoch` and numbers
such as `num_updates`, `loss`, `eer`, `lr`, `wps`. The others have `event` (started or finished) instead.
"""

import json
import math
import os
import re
from pathlib import Path
from typing import Any

Record = dict[str, Any]

_LOGGED = re.compile(r'\[(?P<split>[^]]+)\]\[INFO\] - (?P<values>\{"epoch": .*\})$')


def parsed(line: str) -> Record | None:
    """The record in a line of fairseq's output, if there is one."""
    logged = _LOGGED.search(line.rstrip())
    if not logged:
        return None
    split = logged["split"]
    values = json.loads(logged["values"])
    return {"split": split} | {name.removeprefix(f"{split}_"): _number(value) for name, value in values.items()}


def progress(record: Record) -> str:
    """What the terminal shows of an epoch."""
    facts = [f"epoch {record['epoch']}", f"{record['split']} loss {record['loss']:.6f}"]
    if record.get("eer") is not None:
        facts.append(f"EER {100 * record['eer']:.3f} %")
    return "  ".join(facts)


def add_record(run: Path, record: Record) -> None:
    """Append a record as a line of its own, also after a line that a crash cut off."""
    with open(_path(run), "ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read() != b"\n":
                file.write(b"\n")
        file.write(json.dumps(record, allow_nan=False).encode() + b"\n")


def read_log(run: Path) -> list[Record]:
    """All records of a run so far; none where it has not begun. What a crash cut off is left out."""
    lines = _path(run).read_text(encoding="utf-8").splitlines() if _path(run).exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def validations(log: list[Record]) -> list[Record]:
    """The records of validation, in order; what was validated again after a stop counts as it came out in the end."""
    validated = [record for record in log if not record.get("split", "train").startswith("train")]
    return list({(record["epoch"], record.get("num_updates")): record for record in validated}.values())


def best_epochs(log: list[Record], metric: str, n: int) -> list[int]:
    """The N epochs of lowest loss or error rate, best first; of equal ones the earlier."""
    known = [record for record in validations(log) if record.get(metric) is not None]
    return [record["epoch"] for record in sorted(known, key=lambda record: (record[metric], record["epoch"]))[:n]]


def is_finished(log: list[Record]) -> bool:
    """That the last start of the run came to its end."""
    return bool(log) and log[-1].get("event") == "finished"


def _path(run: Path) -> Path:
    return run / "train.jsonl"


def _number(value: Any) -> float | int | None:
    """fairseq logs numbers as text; what is not finite becomes None."""
    number = float(value)
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() and "." not in str(value) and "e" not in str(value) else number
