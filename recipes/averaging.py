"""Average the epochs of a run that validation chose: RUN/checkpoints/checkpointE.pt of these E to one detector.

python recipes/averaging.py RUN OUT --metric loss --best 5       # the five epochs of lowest loss
python recipes/averaging.py RUN OUT --metric eer --improving     # every epoch that was the best until then
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from training_log import Record, best_epochs, is_finished, read_log, validations

from fairseq_ckpt.averaging import average
from protocols import DataError, UserError


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status 0 when OUT is written, 1 on a problem, told in one line."""
    args = _parser().parse_args(argv)
    try:
        epochs = chosen_epochs(args)
        average([args.run / "checkpoints" / f"checkpoint{epoch}.pt" for epoch in epochs], args.out)
    except UserError as error:
        print(f"averaging.py: error: {error}", file=sys.stderr)
        return 1
    print(f"{args.out}: the mean of epochs {', '.join(map(str, epochs))}")
    return 0


def chosen_epochs(args: argparse.Namespace) -> list[int]:
    """The epochs to average; one may count twice. Raises DataError when there are too few, or more are to come."""
    log = read_log(args.run)
    if not is_finished(log):
        raise DataError(f"{args.run}: its training has not come to its end: go on with it first")
    if args.improving:
        return improving_epochs(log, args.metric)
    best = best_epochs(log, args.metric, args.best)
    if len(best) < args.best:
        raise DataError(f"{args.run}: validated after {len(best)} epochs, which leaves no {args.best} best: train longer")
    return as_published(best) if args.as_published else best


def improving_epochs(log: list[Record], metric: str) -> list[int]:
    """The epochs that were not worse than any before, in order."""
    epochs, best = [], float("inf")
    for record in validations(log):
        if record.get(metric) is not None and record[metric] <= best:
            epochs.append(record["epoch"])
            best = record[metric]
    return epochs


def as_published(best: Sequence[int]) -> list[int]:
    """What XLSR-Mamba's code makes of the best epochs: loading the second overwrites the first, so that it counts twice."""
    _, second, *others = best
    return [second, second, *others]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="averaging.py", description=__doc__.splitlines()[0])
    parser.add_argument("run", metavar="RUN", type=Path, help="folder of a finished run of recipes/training.py")
    parser.add_argument("out", metavar="OUT", type=Path, help="checkpoint to write")
    parser.add_argument("--metric", required=True, help="what validation logged, such as loss or eer: the lower, the better")
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--best", metavar="N", type=int, help="the N best epochs")
    choice.add_argument("--improving", action="store_true", help="every epoch that was the best until then")
    parser.add_argument("--as-published", action="store_true", help="with --best: as XLSR-Mamba's authors, by mistake, do it")
    return parser


if __name__ == "__main__":
    sys.exit(main())
