"""Average the epochs of a run that were best in validation, by the metric of its configuration, into one detector.

python -m recipes.tools.averaging RUN OUT                # the best epochs, as many as checkpoint.keep_best_checkpoints says
python -m recipes.tools.averaging RUN OUT --improving    # every epoch that was the best so far when it ended
"""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from fairseq_ckpt.averaging import average
from fairseq_ckpt.writing import fairseq_dictionary, write_pickled
from protocols import DataError
from protocols.files import replacing
from recipes.tools.batch_norm import with_batch_norm_estimated
from recipes.tools.command import exit_status
from recipes.tools.training_log import Record, best_epochs, is_finished, read_log, validations


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status 0 when OUT is written, 1 on a problem."""
    args = _parser().parse_args(argv)
    return exit_status("averaging.py", write_average, args)


def write_average(args: argparse.Namespace) -> None:
    """Average RUN/checkpoints/checkpointE.pt of the selected epochs E, and print them."""
    epochs = select_epochs(args)
    with replacing(args.out) as temporary:
        averaged = average([args.run / "checkpoints" / f"checkpoint{epoch}.pt" for epoch in epochs], temporary)
        if args.estimate_batch_norm:
            model = with_batch_norm_estimated(temporary, OmegaConf.load(args.run / "training.yaml"))
            write_pickled(fairseq_dictionary(averaged.config, model.cpu().state_dict()), temporary)
    print(f"{args.out}: the mean of epochs {', '.join(map(str, epochs))}")


def select_epochs(args: argparse.Namespace) -> list[int]:
    """The epochs to average, one of which may count twice. Raises DataError if training has not ended, or ended too soon."""
    log = read_log(args.run)
    if not is_finished(log):
        raise DataError(f"{args.run}: its training has not finished: resume it first")
    settings = OmegaConf.load(args.run / "training.yaml").checkpoint
    if args.improving:
        return improving_epochs(log, settings.best_checkpoint_metric, args.at_most)
    n_best = settings.get("keep_best_checkpoints", 0)
    if n_best < 1:
        raise DataError(f"{args.run}/training.yaml: checkpoint.keep_best_checkpoints is not set: set it, or give --improving")
    best = best_epochs(log, settings.best_checkpoint_metric, n_best)
    if len(best) < n_best:
        raise DataError(f"{args.run}: {len(best)} epochs were validated, too few to average the {n_best} best: train longer")
    return as_published(best) if args.as_published else best


def improving_epochs(log: Sequence[Record], metric: str, at_most: float = math.inf) -> list[int]:
    """The epochs that were not worse than any before them, in order, once one is not worse than `at_most`."""
    epochs, best = [], at_most
    for record in validations(log):
        if record.get(metric) is not None and record[metric] <= best:
            epochs.append(record["epoch"])
            best = record[metric]
    if not epochs:
        raise DataError(f"no epoch reached {metric} {at_most:g} on the development split: train longer, or raise --at-most")
    return epochs


def as_published(best: Sequence[int]) -> list[int]:
    """The average that XLSR-Mamba's code computes: loading the second best overwrites the best, so it counts twice.

    >>> as_published([4, 2, 6, 7, 3])
    [2, 2, 6, 7, 3]
    """
    _, second, *others = best
    return [second, second, *others]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="averaging.py", description=__doc__.splitlines()[0])
    parser.add_argument("run", metavar="RUN", type=Path, help="folder of a finished run of recipes/tools/training.py")
    parser.add_argument("out", metavar="OUT", type=Path, help="checkpoint to write")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--improving", action="store_true", help="every epoch that was the best so far when it ended")
    choice.add_argument("--as-published", action="store_true", help="count the second best twice, as XLSR-Mamba's code does")
    parser.add_argument(
        "--at-most", metavar="VALUE", type=float, default=math.inf, help="with --improving: no epoch before the first this good"
    )
    parser.add_argument(
        "--estimate-batch-norm", action="store_true", help="BatchNorm's statistics from one more pass over the training data"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
