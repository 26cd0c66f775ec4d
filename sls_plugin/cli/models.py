"""`sls models`: the detectors to choose from."""

import argparse

from fairseq_ckpt.detectors import DETECTORS

HELP = "list the detectors, their cost, their published error rates and checkpoints"

EPILOG = """\
--arch is what `fairseq-train --arch` takes. GFLOP: one clip of 64,600 samples (4.04 s). Clips:
samples at 16 kHz that the model takes; after a semicolon the published length, for --max-samples.
EER (%) on the evaluation sets of ASVspoof 2019 LA, 2021 LA, 2021 DF and In-the-Wild: as published
by the authors, who trained on ASVspoof 2019 LA. File: whether the authors' own file is scored as
it is. Detectors with xlsr in their name are trained from XLS-R: `--w2v-path` takes the layouts
xlsr and huggingface.

example:
  sls models
"""
COLUMNS = ("--arch", "parameters", "GFLOP", "clips", "19 LA", "21 LA", "21 DF", "wild", "file")
LEFT = ("--arch", "clips", "file")  # columns of text; the others hold numbers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `sls models`: none."""
    parser.epilog = EPILOG


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    rows = table()
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    for row in (COLUMNS, *rows):
        cells = zip(COLUMNS, row, widths, strict=True)
        padded = (cell.ljust(width) if column in LEFT else cell.rjust(width) for column, cell, width in cells)
        print("  ".join(padded).rstrip())
    print(f"\n{EPILOG.partition('example:')[0].rstrip()}")
    return 0


def table() -> list[tuple[str, ...]]:
    """A row per architecture, a dash for what was not published."""
    return [
        (
            card.arch,
            f"{card.n_parameters:,}",
            f"{card.gflop:.1f}",
            card.clips,
            *(
                "-" if eer is None else f"{eer:.2f}"
                for eer in (card.eer_2019_la, card.eer_2021_la, card.eer_2021_df, card.eer_in_the_wild)
            ),
            "yes" if detector.layout else "-",
        )
        for detector in DETECTORS
        for card in detector.cards
    ]
