"""Write DEST/RESULTS.md, the error rates of every lambda beside each other; print it.

python recipes/prosody/table.py DEST
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from results import percent, table
from training_log import read_log, validations

from protocols.files import replacing

HEADER = ("lambda", "run", "dev EER (%)", "track", "EER (%)", "95 % interval", "more")
ABOUT = """# Prosody without content

Lambda 0 is the baseline: the same encoder, without an adversary. The dev EER is the lowest of the training, of MLAAD's held-out
architectures and LibriSpeech's dev-clean; the checkpoint of that moment is the one tested.
"""


def main() -> int:
    """A row for each lambda, seed and track; exit status 1 where there is none."""
    (dest,) = map(Path, sys.argv[1:])
    runs = sorted(dest.glob("lambda*/seed*"), key=lambda run: (strength(run.parent), run.name))
    measured = [row for run in runs for row in rows(run)]
    if not measured:
        print(f"table.py: error: {dest}: no lambda*/seed*/scores/*.json in it: begin with stage 3", file=sys.stderr)
        return 1
    lines = table(HEADER, measured)
    with replacing(dest / "RESULTS.md") as temporary:
        temporary.write_text("\n".join([ABOUT, *lines, ""]), encoding="utf-8")
    print("\n".join(lines))
    print(f"written: {dest / 'RESULTS.md'}")
    return 0


def strength(folder: Path) -> float:
    return float(folder.name.removeprefix("lambda"))


def rows(run: Path) -> Iterator[tuple[str, ...]]:
    """What a run has come to on each track."""
    folder = run.parent
    of_dev = min(record["eer"] for record in validations(read_log(run)) if record["eer"] is not None)
    for path in sorted(run.glob("scores/*.json")):
        if not path.name.endswith(".run.json"):
            figures = json.loads(path.read_text(encoding="utf-8"))
            eer, interval = percent(figures["eer"], figures["eer_ci"])
            more = f"[RESULTS.md]({folder.name}/RESULTS.md)"
            yield (f"{strength(folder):g}", run.name, f"{100 * of_dev:.2f}", path.stem, eer, interval, more)


if __name__ == "__main__":
    sys.exit(main())
