"""`sls score`: recordings to a score file."""

import argparse
import sys
from pathlib import Path

from protocols import SettingError
from protocols.audio_format import SAMPLE_RATE
from sls_plugin.cli.common import add_computing, add_recordings, duration, positive, print_summary, shard_of

HELP = "score recordings with a trained detector"

EPILOG = """\
examples:
  sls score checkpoint_best.pt recordings/ --output scores.txt
  sls score checkpoint_best.pt DATA/eval.tsv --output scores.txt \\
      --batch-size 32 --device cuda --dtype bfloat16

several GPUs, of one or more machines that share the folder of the output:
  torchrun --nproc-per-node 4 -m sls_plugin score checkpoint_best.pt DATA/eval.tsv \\
      --output scores.txt --resume

a Slurm array (sbatch --array=0-15), merged afterwards:
  sls score checkpoint_best.pt DATA/eval.tsv --resume --output scores.$SLURM_ARRAY_TASK_ID.txt \\
      --shard $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT
  sls merge scores.{0..15}.txt --output scores.txt --manifest DATA/eval.tsv

long recordings, a window of 4.04 s every 2 s; their scores go to scores.txt.timeline.tsv:
  sls score checkpoint_best.pt interview.flac --windows 4.04 --hop 2 --output scores.txt

verdicts, as `sls threshold` learned them from recordings of known label:
  sls score checkpoint_best.pt recordings/ --decision decision.json --output scores.csv

a stream, such as a microphone: a row per second, of the 4.04 s before it:
  ffmpeg -loglevel error -f alsa -i default -f wav - | \\
      sls score checkpoint_best.pt - --stream --windows 4.04 --hop 1

A higher score means more bona fide. It is the score that the detector's authors publish:
log p(bona fide) for SLS and RawNet2, p(bona fide) for xlsr_linear and the prosody encoder, the
cosine after training with oc_softmax or am_softmax, else a logit.

Scores are kept in FILE.partial until all trials are scored; --resume continues a run that was
stopped, and gives the same scores; it also tries broken recordings again, and refuses recordings
that changed since they were scored. FILE.run.json records the checkpoint, trials and settings.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `sls score`."""
    parser.epilog = EPILOG
    files = parser.add_argument_group("files")
    files.add_argument(
        "checkpoint", metavar="CKPT", help="checkpoint of this project, the authors' .pth, or .onnx of `sls export`"
    )
    add_recordings(files)
    files.add_argument(
        "--output", metavar="FILE", type=Path,
        help="score file to write: `id score` per line, or a table named .csv, .jsonl or .parquet",
    )
    files.add_argument(
        "--decision", metavar="FILE", type=Path,
        help="result of `sls threshold`: add llr, probability (of bona fide) and verdict to the table",
    )
    add_computing(parser)
    model = parser.add_argument_group("the score")
    model.add_argument(
        "--dtype", choices=("float32", "bfloat16", "float16"), default="float32",
        help="arithmetic of the model; half precision is first compared with float32 on 4 clips (default: %(default)s)",
    )
    model.add_argument("--llr", action="store_true", help="write uncalibrated log-likelihood ratios (logit differences) instead")
    windows = parser.add_argument_group("long recordings")
    windows.add_argument(
        "--windows", metavar="SECONDS", type=duration,
        help="score whole recordings, in windows of this length (default with --hop: the detector's own clip)",
    )
    windows.add_argument(
        "--hop", metavar="SECONDS", type=duration, help="step from one window to the next (default with --windows: half a window)"
    )
    windows.add_argument(
        "--windows-score", choices=("mean", "min"), default="mean",
        help="the score of a recording: the mean or the lowest score of its windows (default: %(default)s)",
    )
    streams = parser.add_argument_group("a recording that is still being made")
    streams.add_argument(
        "--stream", action="store_true",
        help="score standard input, which is INPUT - then, and print a row per window as soon as it is complete",
    )
    streams.add_argument(
        "--sample-rate", metavar="HZ", type=positive,
        help=f"of a stream that is no WAV but raw 16-bit samples of one channel (default: {SAMPLE_RATE})",
    )
    runs = parser.add_argument_group("large runs")
    runs.add_argument(
        "--shard", metavar="I/N", type=shard_of, default=(0, 1), help="score only part I, from 0, of N; merge with `sls merge`"
    )
    again = runs.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="continue a run that was stopped, or start one")
    again.add_argument("--overwrite", action="store_true", help="start again, and replace the output if it exists")
    runs.add_argument(
        "--skip-broken", action="store_true", help="score the rest, list broken recordings in FILE.errors.tsv, exit with 1"
    )
    runs.add_argument(
        "--strict", action="store_true", help="stop at a recording that is silent, clipped, or longer than the detector's clip"
    )


def run(args: argparse.Namespace) -> int:
    """Score every trial of the inputs, in their order; under torchrun, each process its share."""
    detectors = [name for name in args.inputs if Path(name).suffix in (".pt", ".pth", ".onnx")]
    if detectors and Path(args.checkpoint).suffix not in (".pt", ".pth", ".onnx"):
        order = f"sls score {detectors[0]} {args.checkpoint} --output FILE"
        raise SettingError(f"{args.checkpoint}: the detector comes first: {order}")
    if args.stream:
        return _stream(args)
    if args.sample_rate:
        raise argparse.ArgumentError(None, "--sample-rate is about --stream: files have their own")
    if args.output is None:
        raise argparse.ArgumentError(None, "--output is missing: name a score file, such as --output scores.txt")
    from sls_plugin.inference.run import ScoringRun

    summary = ScoringRun(
        args.checkpoint,
        args.inputs,
        args.output,
        batch_size=args.batch_size,
        device=args.device,
        num_workers=args.num_workers,
        dtype=args.dtype,
        llr=args.llr,
        window=args.windows,
        hop=args.hop,
        windows_score=args.windows_score,
        shard=args.shard,
        resume=args.resume,
        overwrite=args.overwrite,
        strict=args.strict,
        skip_broken=args.skip_broken,
        decision=args.decision,
        show_progress=True,
    ).run()
    if summary.is_share:
        return 0
    if summary.n_scores is None:
        print(f"nothing left to do: {args.output}")
        return 0
    return print_summary(args.output, summary.n_scores, summary.n_broken)


def _stream(args: argparse.Namespace) -> int:
    """Print the windows of standard input as they come."""
    if args.inputs != ["-"]:
        raise argparse.ArgumentError(None, "--stream scores standard input: give - as INPUT")
    unused = {"output": None, "llr": False, "resume": False, "overwrite": False, "skip_broken": False, "strict": False}
    for option, default in (unused | {"decision": None, "shard": (0, 1), "windows_score": "mean"}).items():
        if getattr(args, option) != default:
            raise argparse.ArgumentError(None, f"--{option.replace('_', '-')} is not for --stream, which prints rows")
    import sls_plugin
    from sls_plugin.data.pcm_stream import read_stream
    from sls_plugin.inference.device import usable_device

    detector = sls_plugin.load(args.checkpoint, usable_device(args.device), args.dtype)
    sample_rate, blocks = read_stream(sys.stdin.buffer, args.sample_rate or SAMPLE_RATE)
    print("start\tend\tscore", flush=True)
    for start, end, score in detector.stream(blocks, args.windows, args.hop, sample_rate):
        print(f"{start}\t{end}\t{score:.9g}", flush=True)
    return 0
