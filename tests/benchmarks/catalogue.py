"""What each detector costs, and what an epoch of its published recipe does to it.

    PYTHONPATH=.:tests python tests/benchmarks/catalogue.py                 # scoring, at the published size, random weights
    PYTHONPATH=.:tests python tests/benchmarks/catalogue.py --train DATA    # one epoch on DATA/train.tsv, EER on DATA/dev.tsv

Scoring: clips of 64,600 samples, float32; seconds of computing with one thread, which other programs disturb little, and
seconds on the clock with two.

Training: the published learning rates, losses, clips and augmentation, but for all of them batches of 6, half bona fide and
half spoof, so that the losses of two updates compare; no schedule where the published one spans the whole training; and
XLS-R (also the prosody encoder's teacher) replaced by a small random network of 4 layers. So the four XLS-R detectors show
that they train, not what they can do; the others have their true size. Losses are means over the first and over the last 5
updates. On about 90 clips this is half an hour of computing, most of it for AASIST and RawGAT-ST. Options that this script
does not know go to fairseq-train: `--lr 1e-3`.
"""

import argparse
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median

import torch
from commands import PLUGIN, column, fairseq, logged
from detectors import build_published_size, waveforms

from fairseq_ckpt.detectors import CARDS
from fairseq_ckpt.wav2vec.random_backbone import TINY, make_random
from protocols import read_manifest
from sls_plugin.tasks.generator import score_batch

CLIP = 64_600
SCORED_TOGETHER = 4
BATCH_SIZE = 6
SHOWN_UPDATES = 5
RECIPE = (
    *PLUGIN, "--criterion", "weighted_cross_entropy", "--optimizer", "l2_adam", "--lr", "1e-6", "--weight-decay", "1e-4",
    "--batch-size", str(BATCH_SIZE), "--balanced-batches", "--max-epoch", "1", "--seed", "1234", "--valid-subset", "dev",
    "--no-save", "--log-format", "json", "--log-interval", "1", "--num-workers", "1", "--cpu",
)  # fmt: skip
RAW_WAVEFORM = "--rawboost-algorithm 0 --crop random --lr 1e-4"
PUBLISHED = {
    "sls_xlsr_300m": "--rawboost-algorithm 3",
    "xlsr_aasist_300m": "--rawboost-algorithm 5",
    "xlsr_mamba_300m": "--rawboost-algorithm 5 --max-samples 66800",
    "xlsr_linear_300m": "--rawboost-algorithm 0 --max-samples 80000 --padding zero --normalize --class-weights balanced "
    "--clip-norm 1 --weight-decay 0 --freeze-below-layer 2 --lr-scheduler two_stage --lr 5e-4,2e-5",
    "xlsr_conformer_tcm_300m": "--rawboost-algorithm 5 --max-samples 66800",
    "xlsr_mhfa_300m": "--rawboost-algorithm 3 --freeze-backbone --class-weights balanced --lr 1e-4",
    "xlsr_nes2net_x_300m": "--rawboost-algorithm 4 --lr 2.5e-7",
    "aasist": RAW_WAVEFORM,
    "aasist_l": RAW_WAVEFORM,
    "rawgat_st": RAW_WAVEFORM,
    "rawnet2": RAW_WAVEFORM,
    "prosody_encoder": "--rawboost-algorithm 0 --max-samples 64000 --padding zero --criterion prosody_adversarial --lr 1e-4 "
    "--weight-decay 1e-5 --clip-norm 3",
}


def scoring_seconds(arch: str, repeats: int) -> tuple[float, float]:
    """Medians per clip: of computing with one thread, on the clock with two, turn about; the first call does not count."""
    model = build_published_size(arch)
    clips = waveforms(CLIP, SCORED_TOGETHER)
    of_one: list[float] = []
    of_two: list[float] = []
    for _ in range(repeats + 1):
        for n_threads, clock, times in ((1, time.process_time, of_one), (2, time.perf_counter, of_two)):
            torch.set_num_threads(n_threads)
            start = clock()
            score_batch(model, clips)
            times.append((clock() - start) / len(clips))
    return median(of_one[1:]), median(of_two[1:])


def train_one_epoch(arch: str, data: Path, backbone: Path, options: Sequence[str]) -> tuple[list[float], float, float]:
    """The training loss of each update, the EER of the development split, seconds of computing."""
    chosen = [*RECIPE, *PUBLISHED[arch].split()]
    if "xlsr" in arch:
        chosen += ["--w2v-path", str(backbone)]
    if arch == "prosody_encoder":
        chosen += ["--teacher-path", str(backbone)]
    if arch == "xlsr_linear_300m":  # stages of 15 and 3 epochs, as parts of one
        labels = Counter(trial.label for trial in read_manifest(data / "train.tsv"))
        n_updates = -(-2 * max(labels.values()) // BATCH_SIZE)
        chosen += ["--freeze-backbone-updates", str(15 * n_updates // 18), "--max-update", str(n_updates)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    records = logged(fairseq("train", str(data), "--arch", arch, *chosen, *options))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return column(records, "loss"), column(records, "dev_eer")[0], seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    archs = list(CARDS)
    parser.add_argument("--archs", nargs="+", choices=archs, default=archs, metavar="ARCH", help="default: all")
    parser.add_argument("--repeats", type=int, default=5, help="the median of so many calls (default: %(default)s)")
    parser.add_argument("--train", type=Path, metavar="DATA", help="train instead, on the manifests of a folder")
    args, options = parser.parse_known_args()  # the rest is for fairseq-train
    entries = [CARDS[arch] for arch in args.archs]
    if args.train is None:
        if options:
            parser.error(f"{options[0]}: fairseq-train's options need --train")
        print("detector           parameters   CPU-s per clip, 1 thread   s per clip, 2 threads")
        for entry in entries:
            of_one, of_two = scoring_seconds(entry.arch, args.repeats)
            print(f"{entry.arch:16} {entry.n_parameters:12,} {of_one:26.3f} {of_two:23.3f}", flush=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        backbone = Path(folder) / "backbone.pt"
        make_random(TINY, backbone)
        print("detector          updates  loss, first to last   dev EER     CPU-s")
        for entry in entries:
            losses, eer, seconds = train_one_epoch(entry.arch, args.train, backbone, options)
            first, last = mean(losses[:SHOWN_UPDATES]), mean(losses[-SHOWN_UPDATES:])
            print(f"{entry.arch:16} {len(losses):8} {first:11.4f} {last:8.4f} {100 * eer:8.1f} % {seconds:9.0f}", flush=True)


if __name__ == "__main__":
    main()
