"""`sls explain`: how much weight a trained SLS gives each layer."""

import argparse
from collections import Counter
from pathlib import Path

from sls_plugin.cli.common import add_computing, add_recordings
from sls_plugin.scores.outputs import refuse_inputs, refuse_recordings

HELP = "show the weight of each layer of a trained SLS, class by class"

EPILOG = """\
examples:
  sls explain checkpoint_best.pt DATA/eval.tsv
  sls explain checkpoint_best.pt recordings/ --output layers.tsv

A weight is the gate of a layer (0 to 1), or its share where a softmax weights the layers, averaged
over the trials of a class: bonafide, spoof, or unknown without a label. The bar of a layer shows
its highest weight, relative to the highest of all layers. Layers are counted from 0, the lowest;
with a softmax over all hidden states, 0 is the input of the lowest layer.
"""
BAR = 40  # characters


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `sls explain`."""
    parser.epilog = EPILOG
    files = parser.add_argument_group("files")
    files.add_argument("checkpoint", metavar="CKPT", help="checkpoint of SLS")
    add_recordings(files)
    files.add_argument("--output", metavar="FILE", type=Path, help="also write the weights as a tab-separated table")
    add_computing(parser)


def run(args: argparse.Namespace) -> int:
    """Print the mean weights as a table with bars."""
    from sls_plugin.inference.inputs import read_inputs

    refuse_inputs(args.output, map(Path, (args.checkpoint, *args.inputs)))
    trials = read_inputs(args.inputs)
    refuse_recordings(args.output, trials)

    from sls_plugin.inference.layer_weights import layer_weights_of, write_layer_weights  # slow to import

    weights = layer_weights_of(args.checkpoint, trials, args.batch_size, args.device, args.num_workers)
    n_trials = Counter(trial.label or "unknown" for trial in trials)
    print(f"mean weights over {', '.join(f'{n_trials[label]:,} {label}' for label in weights)} trials")
    print("layer" + "".join(f"{label:>12}" for label in weights))
    highest = max(float(class_weights.max()) for class_weights in weights.values()) or 1.0  # closed gates have no bars
    for layer, row in enumerate(zip(*weights.values(), strict=True)):
        bar = "#" * round(BAR * max(row) / highest)
        print(f"{layer:>5}" + "".join(f"{weight:>12.6f}" for weight in row) + f"  {bar}")
    if args.output:
        write_layer_weights(args.output, weights)
    return 0
