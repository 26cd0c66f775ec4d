"""`sls models`: the detectors to choose from."""

import argparse

from sls_plugin.catalogue import DETECTORS

HELP = "list the detectors, their cost, their published error rates and checkpoints"

EPILOG = """\
--arch is what `fairseq-train --arch` takes. GFLOP: one clip of 64,600 samples (4.04 s). Clips:
samples at 16 kHz that the model takes; after a semicolon the published length, for --max-samples.
EER (%) on the evaluation sets of ASVspoof 2019 LA, 2021 LA, 2021 DF and In-the-Wild: as published
by the authors, who trained on ASVspoof 2019 LA. Layout: the authors' own files that are scored as
they are, by the name that `python -m fairseq_ckpt inspect FILE` gives them. Detectors with xlsr in
their name are trained from XLS-R: `--w2v-path` takes the layouts xlsr and huggingface.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `sls models`: none."""
    parser.epilog = EPILOG


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    columns = ("--arch", "parameters", "GFLOP", "clips", "19 LA", "21 LA", "21 DF", "wild", "layout")
    rows = [
        (
            entry.arch,
            f"{entry.n_parameters:,}",
            f"{entry.gflop:.1f}",
            entry.clips,
            *(
                "-" if eer is None else f"{eer:.2f}"
                for eer in (entry.eer_2019_la, entry.eer_2021_la, entry.eer_2021_df, entry.eer_in_the_wild)
            ),
            entry.layout or "-",
        )
        for entry in DETECTORS
    ]
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    left = ("--arch", "clips", "layout")
    for row in (columns, *rows):
        cells = zip(columns, row, widths, strict=True)
        padded = (cell.ljust(width) if column in left else cell.rjust(width) for column, cell, width in cells)
        print("  ".join(padded).rstrip())
    print(f"\n{EPILOG.rstrip()}")
    return 0
