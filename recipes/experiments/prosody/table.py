"""Write DEST/RESULTS.md, the error rates of all lambdas side by side, and print it.

python -m recipes.experiments.prosody.table DEST
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from protocols import DataError
from protocols.files import replacing
from recipes.tools.command import exit_status
from recipes.tools.results import percent, table
from recipes.tools.training_log import read_log, validations

HEADER = ("lambda", "run", "dev EER (%)", "track", "EER (%)", "95 % interval", "more")
ABOUT = """# Prosody without content

Lambda 0 is the baseline: the same encoder without an adversary. The dev EER is the lowest during training, on MLAAD's held-out
architectures and LibriSpeech's dev-clean; the checkpoint with that EER is the one tested.
"""


def write_table(dest: Path) -> None:
    """A row for each lambda, seed and track. Raises DataError when nothing has been evaluated."""
    runs = sorted(dest.glob("lambda*/seed*"), key=lambda run: (strength(run.parent), run.name))
    measured = [row for run in runs for row in rows(run)]
    if not measured:
        raise DataError(f"{dest}: no lambda*/seed*/scores/*.json in it: start with stage 3")
    lines = table(HEADER, measured)
    with replacing(dest / "RESULTS.md") as temporary:
        temporary.write_text("\n".join([ABOUT, *lines, ""]), encoding="utf-8")
    print("\n".join(lines))
    print(f"written: {dest / 'RESULTS.md'}")


def strength(folder: Path) -> float:
    """The lambda in the name of a folder."""
    return float(folder.name.removeprefix("lambda"))


def rows(run: Path) -> Iterator[tuple[str, ...]]:
    """A row for each track that was evaluated."""
    folder = run.parent
    dev_eer = min(record["eer"] for record in validations(read_log(run)) if record["eer"] is not None)
    for path in sorted(run.glob("scores/*.json")):
        if not path.name.endswith(".run.json"):
            metrics = json.loads(path.read_text(encoding="utf-8"))
            eer, interval = percent(metrics["eer"], metrics["eer_ci"])
            more = f"[RESULTS.md]({folder.name}/RESULTS.md)"
            yield (f"{strength(folder):g}", run.name, f"{100 * dev_eer:.2f}", path.stem, eer, interval, more)


if __name__ == "__main__":
    sys.exit(exit_status("table.py", write_table, Path(sys.argv[1])))
