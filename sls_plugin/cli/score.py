"""`sls score`: recordings to a score file."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fairseq_ckpt.errors import CheckpointError
from protocols import DataError, Trial
from protocols.audio_format import SAMPLE_RATE

from .arguments import add_recordings, duration, refuse_inputs, require_free, shard_of, usable_device

if TYPE_CHECKING:
    from sls_plugin.inference.engine import ScoringEngine
    from sls_plugin.scores.journal import Journal, Outcome
    from sls_plugin.scores.run_metadata import Record

HELP = "score recordings with a trained detector"
MANY_TRIALS = 64  # from here on it pays to make a model ready for long
DTYPES = ("float32", "bfloat16", "float16")

EPILOG = """\
examples:
  sls score checkpoint_best.pt recordings/ --output scores.txt
  sls score checkpoint_best.pt DATA/eval.tsv --output scores.txt \\
      --batch-size 32 --device cuda --dtype bfloat16

on several GPUs, of one or more machines that share the folder of the output:
  torchrun --nproc-per-node 4 -m sls_plugin score checkpoint_best.pt DATA/eval.tsv \\
      --output scores.txt --resume

as a Slurm array (sbatch --array=0-15), put together afterwards:
  sls score checkpoint_best.pt DATA/eval.tsv --resume --output scores.$SLURM_ARRAY_TASK_ID.txt \\
      --shard $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT
  sls merge scores.{0..15}.txt --output scores.txt --manifest DATA/eval.tsv

long recordings, a window of 4.04 s every 2 s; the windows' scores go to scores.txt.timeline.tsv:
  sls score checkpoint_best.pt interview.flac --windows 4.04 --hop 2 --output scores.txt

A higher score means more bona fide. It is the score that the detector's authors write: log p(bona
fide) for SLS and RawNet2, p(bona fide) for xlsr_linear and the prosody encoder, else a logit.

Until all is scored, the scores are in FILE.partial; a run that was stopped goes on with --resume,
to the same scores. FILE.run.json tells what they were made of: checkpoint, trials and settings.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `sls score`."""
    parser.epilog = EPILOG
    parser.add_argument(
        "checkpoint", metavar="CKPT", help="a detector: checkpoint of this project, the authors' .pth, or .onnx of `sls export`"
    )
    parser.add_argument("--output", metavar="FILE", type=Path, required=True, help="score file to write: `id score` per line")
    add_recordings(parser)
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="arithmetic of the model (default: %(default)s)")
    parser.add_argument("--llr", action="store_true", help="write logit differences instead: log-likelihood ratios, uncalibrated")
    parser.add_argument(
        "--windows", metavar="SECONDS", type=duration,
        help="score recordings to their end, in windows of this length (default with --hop: the detector's own clip)",
    )
    parser.add_argument(
        "--hop", metavar="SECONDS", type=duration, help="from one window to the next (default with --windows: half a window)"
    )
    parser.add_argument(
        "--windows-score", choices=("mean", "min"), default="mean",
        help="the score of a recording: the mean or the lowest of its windows' scores (default: %(default)s)",
    )
    parser.add_argument(
        "--shard", metavar="I/N", type=shard_of, default=(0, 1), help="score only part I, from 0, of N; `sls merge` joins them"
    )
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on with a run that was stopped; start where there is none")
    again.add_argument("--overwrite", action="store_true", help="start again, and replace the output if it exists")
    parser.add_argument(
        "--skip-broken", action="store_true", help="score the rest, list broken recordings in FILE.errors.tsv, exit with 1"
    )


def run(args: argparse.Namespace) -> int:
    """Score every trial of the inputs, in their order; under torchrun, each process its share."""
    from sls_plugin.inference.inputs import read_inputs
    from sls_plugin.inference.shards import ProcessGroup, shard
    from sls_plugin.scores.journal import Journal, journal_path
    from sls_plugin.scores.run_metadata import read_record, require_same
    from sls_plugin.scores.score_file import errors_path, require_writable

    if args.windows_score != "mean" and not _in_windows(args):
        raise argparse.ArgumentError(None, f"--windows-score {args.windows_score} is about windows: give --windows or --hop")
    refuse_inputs(args.output, map(Path, (args.checkpoint, *args.inputs)))
    require_free(args.output, args.resume or args.overwrite)
    if not Path(args.checkpoint).exists():
        raise CheckpointError(f"{args.checkpoint}: no such checkpoint: correct the path")
    group = ProcessGroup()
    trials = read_inputs(args.inputs)
    require_writable(args.output, (trial.id for trial in trials))
    with ThreadPoolExecutor(1) as reader:  # both take a second, and the problems above are told first
        checkpoint_sha256 = reader.submit(_sha256, Path(args.checkpoint))
        args.device = usable_device(args.device)

    record = _record(args, trials, checkpoint_sha256.result())
    trials = shard(trials, *args.shard, args.batch_size)
    own = shard(trials, group.rank, group.size, args.batch_size)
    part = journal_path(args.output, group.rank)
    of_part = record | {"processes": [group.rank, group.size]}
    with Journal(part, of_part, own, args.batch_size, resume=args.resume, overwrite=args.overwrite) as journal:
        n_done = group.gather(journal.n_done)
        require_free(args.output, args.resume or args.overwrite)  # still
        if args.resume and args.output.exists() and not any(n_done):
            require_same(record, read_record(args.output), args.output)
            print(f"nothing left to do: {args.output}")
            return int(errors_path(args.output).exists())
        _score(args, own, journal, record["n_trials"], show=group.rank == 0)
        n_done = group.gather(journal.n_done)
        if group.rank:
            return 0
        try:
            numbers = _finish(args, journal, n_done, record)
        except OSError as error:
            kept = "all trials are done and kept: --resume goes on with them"
            raise DataError(f"{error.filename or args.output}: {error.strerror}: {kept}") from None
    return tell_written(args.output, *numbers)


def _in_windows(args: argparse.Namespace) -> bool:
    return bool(args.windows or args.hop)


def _sha256(checkpoint: Path) -> str:
    from fairseq_ckpt.fingerprint import file_sha256

    if checkpoint.is_dir():
        from fairseq_ckpt.reading import checkpoint_file  # it needs packages of fairseq, and an exported detector does not

        checkpoint = checkpoint_file(checkpoint)
    return file_sha256(checkpoint)


def _record(args: argparse.Namespace, trials: Sequence[Trial], checkpoint_sha256: str) -> "Record":
    """All that the scores depend on."""
    from sls_plugin.scores.run_metadata import trials_sha256

    return {
        "checkpoint": checkpoint_sha256,
        "trials": trials_sha256(trials),
        "n_trials": len(trials),
        "shard": list(args.shard),
        "batch_size": args.batch_size,
        "device": args.device.partition(":")[0],
        "dtype": args.dtype,
        "llr": args.llr,
        "windows": args.windows,
        "hop": args.hop,
        "windows_score": args.windows_score,
    }


def _score(args: argparse.Namespace, trials: Sequence[Trial], journal: "Journal", n_trials: int, show: bool) -> None:
    """Score the trials that the journal does not have yet; what stops this says how many it has by then.

    `n_trials` are those of the whole run, all shards and processes together, whose scores must not depend on the parts.
    """
    import torch
    from tqdm import tqdm

    from sls_plugin.inference.engine import ScoringEngine, load_detector

    model, segment = load_detector(args.checkpoint)
    if args.windows:
        segment = replace(segment, n_samples=args.windows)
    engine = ScoringEngine(
        model,
        segment,
        device=args.device,
        dtype=getattr(torch, args.dtype),
        batch_size=args.batch_size,
        num_workers=args.num_workers,
        llr=args.llr,
        skip_broken=args.skip_broken,
        pack_weights=_in_windows(args) or n_trials >= MANY_TRIALS,
    )
    progress = tqdm(total=len(trials), initial=journal.n_done, unit="clip", disable=not (show and sys.stderr.isatty()))
    with progress:
        try:
            for name, outcome in _outcomes(args, engine, trials[journal.n_done :]):
                journal.add(name, outcome)
                progress.update()
        except (DataError, KeyboardInterrupt) as stop:
            n_done = sum(1 for _ in journal.outcomes())  # an interrupt may come between a line and its count
            if n_done == 0:
                raise
            kept = f"{n_done:,} of {len(trials):,} trials are done and kept: --resume goes on with them"
            raise type(stop)(": ".join(filter(None, (str(stop), kept)))) from None
    journal.sync()


def _outcomes(args: argparse.Namespace, engine: "ScoringEngine", trials: Sequence[Trial]) -> "Iterator[tuple[str, Outcome]]":
    """Ids of trials, and their scores, those of their windows, or why there are none."""
    if not _in_windows(args):
        return engine.scores(trials)
    from sls_plugin.inference.windows import score_windows

    length = engine.segment.n_samples
    hop = args.hop or (length + 1) // 2
    if hop > length:
        between = f"--hop {hop / SAMPLE_RATE:g} is longer than the windows of {length / SAMPLE_RATE:g} s"
        raise argparse.ArgumentError(None, f"{between}: what lies between them would not be heard")
    return score_windows(engine, trials, hop)


def _finish(args: argparse.Namespace, journal: "Journal", n_done: Sequence[int], record: "Record") -> tuple[int, int]:
    """Join the parts of all processes into the output, and remove them; returns the numbers of scores and of broken trials."""
    from sls_plugin.scores.journal import joined, journals
    from sls_plugin.scores.run_metadata import write_record
    from sls_plugin.scores.score_file import write_outcomes
    from sls_plugin.scores.timeline import recording_scores, timeline_path, write_timeline

    output = args.output
    if _in_windows(args):
        write_timeline(output, joined(output, journal, n_done))
        numbers = write_outcomes(output, lambda: recording_scores(joined(output, journal, n_done), args.windows_score))
    else:
        timeline_path(output).unlink(missing_ok=True)  # of an earlier run
        numbers = write_outcomes(output, lambda: joined(output, journal, n_done))
    write_record(output, record)
    for path in journals(output):
        path.unlink(missing_ok=True)
    return numbers


def tell_written(output: Path, n_scores: int, n_broken: int) -> int:
    """Say what was written; returns the exit status, 1 where broken recordings have no score."""
    from sls_plugin.scores.score_file import errors_path
    from sls_plugin.scores.timeline import timeline_path

    written = f"{n_scores:,} scores: {output}"
    if timeline_path(output).exists():
        written += f"; of their windows: {timeline_path(output)}"
    if not n_broken:
        print(written)
        return 0
    print(f"{written}; {n_broken:,} broken, with reasons: {errors_path(output)}", file=sys.stderr)
    return 1
