"""`sls explain`: which layers a trained SLS listens to."""

import argparse
from collections import Counter
from pathlib import Path

from sls_plugin.cli.common import add_computing, add_recordings
from sls_plugin.scores.outputs import refuse_inputs

HELP = "show the weight of each layer of a trained SLS, class by class"

EPILOG = """\
examples:
  sls explain checkpoint_best.pt DATA/eval.tsv
  sls explain checkpoint_best.pt recordings/ --output layers.tsv

A weight is the gate of a layer (0 to 1), or its share where a softmax weights the layers, averaged
over the trials of a class: bonafide, spoof, or unknown without a label. The bar shows the highest
weight of the layer, relative to that of all layers. Layers are counted from 0, the lowest; with a
softmax over all hidden states, 0 is the input of the lowest layer.
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

    import torch  # slow to import: the problems above are told first

    from protocols.files import replacing
    from sls_plugin.inference.device import usable_device
    from sls_plugin.inference.engine import ScoringEngine
    from sls_plugin.inference.layer_weights import mean_layer_weights
    from sls_plugin.inference.load import load_detector

    device = usable_device(args.device)
    detector = load_detector(args.checkpoint)
    settings = {"device": device, "dtype": torch.float32, "batch_size": args.batch_size, "num_workers": args.num_workers}
    engine = ScoringEngine(detector.model, detector.segment, **settings)
    weights = mean_layer_weights(engine, trials)
    rows = list(enumerate(zip(*(of_class.tolist() for of_class in weights.values()), strict=True)))
    highest = max(max(row) for _, row in rows) or 1.0  # closed gates have no bars
    n_trials = Counter(trial.label or "unknown" for trial in trials)
    print(f"mean weights over {', '.join(f'{n_trials[label]:,} {label}' for label in weights)} trials")
    print("layer" + "".join(f"{label:>12}" for label in weights))
    for layer, row in rows:
        bar = "#" * round(BAR * max(row) / highest)
        print(f"{layer:>5}" + "".join(f"{weight:>12.6f}" for weight in row) + f"  {bar}")
    if args.output:
        with replacing(args.output) as temporary:
            lines = ["\t".join(("layer", *weights)), *("\t".join(map(repr, (layer, *row))) for layer, row in rows)]
            temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0
