"""Write DEST/RESULTS.md: the metrics of all runs so far, their training, configuration and versions; print its table.

python -m recipes.tools.results DEST --title TITLE

A run is a folder DEST/seed*, or DEST itself after scoring without training. The page is made of its scores/*.json (written by
`sls evaluate`), train.jsonl and training.yaml.
"""

import argparse
import json
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import chain
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from omegaconf import DictConfig, OmegaConf

from protocols import DataError, read_manifest
from protocols.corpora import find_corpus
from protocols.files import replacing
from recipes.tools.command import exit_status
from recipes.tools.provenance import provenance
from recipes.tools.training_log import Record, is_finished, read_log, validations

Rows = list[tuple[str, ...]]
HEADER = ("track", "phase", "run", "bona fide", "spoof", "EER (%)", "95 % interval", "min t-DCF")


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status 0, or 1 when nothing has been evaluated."""
    parser = argparse.ArgumentParser(prog="results.py", description=__doc__.splitlines()[0])
    parser.add_argument("dest", metavar="DEST", type=Path)
    parser.add_argument("--title", required=True)
    args = parser.parse_args(argv)
    return exit_status("results.py", write_results, args.dest, args.title)


def write_results(dest: Path, title: str) -> None:
    """Write the page of all runs below a folder. Raises DataError when there are no scores."""
    runs = sorted(dest.glob("seed*"), key=lambda run: int(run.name.removeprefix("seed"))) or [dest]
    rows = score_rows(runs)
    text = f"# {title}\n\n" + "\n".join(chain.from_iterable(sections(runs, rows)))
    with replacing(dest / "RESULTS.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    print("\n".join(table(HEADER, rows)))
    print(f"written: {dest / 'RESULTS.md'}")


def score_rows(runs: Sequence[Path]) -> Rows:
    """A row for each track and run, and for each track the mean over runs. Raises DataError when there are no scores."""
    rows: Rows = []
    eers = defaultdict(list)
    tracks = sorted({path.stem for run in runs for path in run.glob("scores/*.json") if not path.name.endswith(".run.json")})
    if not tracks:
        raise DataError(f"{runs[0]}: no scores/*.json in it: score a track first")
    for track in tracks:
        for run in runs:
            path = run / "scores" / f"{track}.json"
            if path.exists():
                metrics = json.loads(path.read_text(encoding="utf-8"))
                eers[track].append(metrics["eer"])
                rows.append(_score_row(track, run.name, metrics))
        if (n_runs := len(eers[track])) > 1:
            rows.append((track, "", f"mean of {n_runs}", "", "", *percent(mean(eers[track]), mean_interval(eers[track])), ""))
    return rows


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % confidence interval of the mean of a few rates (Student's t), clipped to [0, 1]."""
    from scipy.stats import t  # slow to import

    half = t.ppf(0.975, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return max(0.0, mean(values) - half), min(1.0, mean(values) + half)


def sections(runs: Sequence[Path], rows: Rows) -> Iterator[list[str]]:
    """The parts of RESULTS.md, as lines."""
    yield [*table(HEADER, rows), ""]
    yield [
        "The interval of a run comes from 1,000 bootstrap samples of its trials, that of a mean from Student's t over the seeds.",
        "min t-DCF: the 2019 form for 2019 LA, the 2021 form for 2021 LA. Breakdown by condition: `scores/*.figures.txt`.", "",
    ]  # fmt: skip
    trained = {run: log for run in runs if (log := read_log(run))}
    if trained:
        config = OmegaConf.load(runs[0] / "training.yaml")
        metric = config.checkpoint.get("best_checkpoint_metric", "loss")
        header = ("run", "epochs", f"best ({metric})", "training loss", "dev loss", "dev EER (%)", "wall time", "GPUs", "state")
        yield ["## Training", "", *table(header, [_training_row(run.name, log, metric) for run, log in trained.items()]), ""]
        yield [*table(("manifest", "trials", "bona fide", "spoof"), list(_data_rows(config))), ""]
    yield ["## Made with", "", *(f"- {fact}" for fact in _made_with(trained, runs)), ""]
    if trained:
        yield ["## Configuration", "", "Of the first run; the others differ only in their seed.", "", "```yaml"]
        yield [OmegaConf.to_yaml(config) + "```", ""]


def table(header: Sequence[str], rows: Rows) -> list[str]:
    """The lines of a Markdown table."""
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]


def _score_row(track: str, run: str, metrics: Mapping[str, Any]) -> tuple[str, ...]:
    counts = (f"{metrics['n_bonafide']:,}", f"{metrics['n_spoof']:,}")
    asv = find_corpus(metrics["corpus"]).keys.asv
    min_tdcf = metrics["min_tdcf_2019" if asv and asv.tdcf_form == 2019 else "min_tdcf"]
    tdcf = "" if min_tdcf is None else f"{min_tdcf:.4f}"
    return (track, metrics["phase"], run, *counts, *percent(metrics["eer"], metrics["eer_ci"]), tdcf)


def percent(eer: float, interval: Sequence[float]) -> tuple[str, str]:
    return f"{100 * eer:.2f}", f"[{100 * interval[0]:.2f}, {100 * interval[1]:.2f}]"


def _training_row(run: str, log: Sequence[Record], metric: str) -> tuple[str, ...]:
    """Losses and EER of the best epoch (the last, if nothing was validated), and the time that training took."""
    # Of an epoch that was trained again after a stop, the latest record counts.
    trained = {record["epoch"]: record for record in log if record.get("split") == "train"}
    measured = [record for record in validations(log) if record.get(metric) is not None]
    best = min(measured, key=lambda record: record[metric], default={"epoch": max(trained, default=0)})
    eer = best.get("eer")
    facts = (trained.get(best["epoch"], {}).get("loss"), best.get("loss"), None if eer is None else 100 * eer)
    wall = timedelta(seconds=round(max((record["wall"] for record in log if "wall" in record), default=0)))
    (*_, start) = (record for record in log if record.get("event") == "started")
    return (
        run, str(max(trained, default=0)), str(best["epoch"]), *("" if fact is None else f"{fact:.6g}" for fact in facts),
        str(wall), str(start["n_gpus"]), "finished" if is_finished(log) else "not finished",
    )  # fmt: skip


def _data_rows(config: DictConfig) -> Iterator[tuple[str, ...]]:
    for manifest in sorted(Path(config.task.data).glob("*.tsv")):
        counts = Counter(trial.label for trial in read_manifest(manifest))
        yield (manifest.name, f"{counts.total():,}", f"{counts['bonafide']:,}", f"{counts['spoof']:,}")


def _made_with(trained: Mapping[Path, list[Record]], runs: Sequence[Path]) -> Iterator[str]:
    """Revision, device and versions of training and of this evaluation, and the checkpoint of each run."""
    started = [record for log in trained.values() for record in log if record.get("event") == "started"]
    for fact, value in provenance().items():
        in_training = dict.fromkeys(record[fact] for record in started)
        if list(in_training) in ([], [value]):
            yield f"{fact}: {value}"
        else:
            yield f"{fact} of training: {'; '.join(in_training)}"
            yield f"{fact} of evaluation: {value}"
    for run in runs:
        hashes = {json.loads(path.read_text())["checkpoint"] for path in run.glob("scores/*.run.json")}
        yield f"checkpoint of {run.name}: SHA-256 {', '.join(sorted(hashes))}"


if __name__ == "__main__":
    sys.exit(main())
