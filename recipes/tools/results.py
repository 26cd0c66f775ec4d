"""Write DEST/RESULTS.md: the metrics of all runs so far, their training, configuration and versions; print its table.

python -m recipes.tools.results DEST --title TITLE [--published published.yaml --config NAME]

A run is a folder DEST/seed*, or DEST itself after scoring without training. The page is made of its scores/*.json (written by
`sls evaluate`), train.jsonl and training.yaml. DEST/RESULTS.json has the EER of each run, and what several runs give together.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from protocols import DataError, read_manifest
from protocols.corpora import find_corpus
from protocols.files import replacing
from recipes.tools.command import exit_status
from recipes.tools.provenance import provenance
from recipes.tools.seeds import Published, over_seeds, read_published
from recipes.tools.training_log import Record, is_finished, read_log, validations

Rows = list[tuple[str, ...]]
Metrics = dict[str, dict[str, dict[str, Any]]]  # by track and run, as `sls evaluate --json` writes them
HEADER = ("track", "phase", "run", "bona fide", "spoof", "EER (%)", "95 % interval", "min t-DCF")


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status 0, or 1 when nothing has been evaluated."""
    parser = argparse.ArgumentParser(prog="results.py", description=__doc__.splitlines()[0])
    parser.add_argument("dest", metavar="DEST", type=Path)
    parser.add_argument("--title", required=True)
    parser.add_argument("--published", metavar="FILE", type=Path, help="published.yaml of the experiment")
    parser.add_argument("--config", default="", help="configuration of the experiment, of which the published figures are")
    args = parser.parse_args(argv)
    return exit_status("results.py", write_results, args.dest, args.title, args.published, args.config)


def write_results(dest: Path, title: str, published: Path | None = None, config: str = "") -> None:
    """Write the page of all runs below a folder. Raises DataError when there are no scores."""
    runs = sorted(dest.glob("seed*"), key=lambda run: int(run.name.removeprefix("seed"))) or [dest]
    measured, reported = read_metrics(runs), read_published(published, config)
    rows = score_rows(measured, reported)
    text = f"# {title}\n\n" + "\n".join(chain.from_iterable(sections(runs, rows)))
    with replacing(dest / "RESULTS.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    with replacing(dest / "RESULTS.json") as temporary:
        temporary.write_text(json.dumps(summary(measured, reported), indent=2) + "\n", encoding="utf-8")
    print("\n".join(table(HEADER, rows)))
    print(f"written: {dest / 'RESULTS.md'}")


def read_metrics(runs: Sequence[Path]) -> Metrics:
    """What has been evaluated. Raises DataError when nothing has."""
    tracks = sorted({path.stem for run in runs for path in run.glob("scores/*.json") if not path.name.endswith(".run.json")})
    if not tracks:
        raise DataError(f"{runs[0]}: no scores/*.json in it: score a track first")
    paths = {track: {run.name: run / "scores" / f"{track}.json" for run in runs} for track in tracks}
    return {
        track: {run: json.loads(path.read_text(encoding="utf-8")) for run, path in of_runs.items() if path.exists()}
        for track, of_runs in paths.items()
    }


def score_rows(measured: Metrics, reported: Mapping[str, Published]) -> Rows:
    """A row for each track and run; for each track statistics over several runs, and the published figures."""
    rows: Rows = []
    for track, of_runs in measured.items():
        rows += [_score_row(track, run, metrics) for run, metrics in of_runs.items()]
        if len(of_runs) > 1:
            together = over_seeds([metrics["eer"] for metrics in of_runs.values()])
            n_runs = together.n_runs
            rows.append((track, "", f"mean of {n_runs}", "", "", *percent(together.mean, together.mean_interval), ""))
            rows.append((track, "", f"standard deviation of {n_runs}", "", "", _percent(together.standard_deviation), "", ""))
            rows.append((track, "", f"best of {n_runs}", "", "", _percent(together.best), "", ""))
        if track in reported:
            rows += [(track, "", name, "", "", _percent(eer), "", "") for name, eer in reported[track].rows()]
    return rows


def summary(measured: Metrics, reported: Mapping[str, Published]) -> dict[str, Any]:
    """By track, as fractions: EERs of the runs, statistics over several, published figures; None for what is not known."""
    return {
        track: {
            "runs": (eers := {run: metrics["eer"] for run, metrics in of_runs.items()}),
            "over_seeds": asdict(over_seeds(list(eers.values()))) if len(eers) > 1 else None,
            "published": asdict(reported[track]) if track in reported else None,
        }
        for track, of_runs in measured.items()
    }


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
    return _percent(eer), f"[{_percent(interval[0])}, {_percent(interval[1])}]"


def _percent(rate: float) -> str:
    return f"{100 * rate:.2f}"


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
