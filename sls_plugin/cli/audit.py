"""`sls audit`: what is wrong with a corpus before anyone trains on it."""

import argparse
import itertools
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from protocols import DataError
from protocols.files import replacing
from protocols.manifest import read_manifest
from sls_plugin.cli.common import not_negative, shard_of
from sls_plugin.data.cores import n_cores

if TYPE_CHECKING:
    from sls_plugin.audit.clip_facts import Clip, ClipFacts
    from sls_plugin.audit.findings import Finding
    from sls_plugin.audit.label_noise import LabelNoise
    from sls_plugin.audit.shortcuts import Shortcut

HELP = "look for copies, conflicts, broken clips, shortcuts and wrong labels in a corpus"

EPILOG = """\
examples:
  sls audit DATA --output audit/
  sls audit DATA --splits train dev --output audit/ --num-workers 16
  sls audit DATA --splits eval --scores scores.txt --output audit/

on several machines, then the findings of all:
  sls audit DATA --output audit/ --shard 0/4
  sls audit DATA --output audit/

A shortcut is something that tells the classes apart without the voice, such as the silence before
it: a logistic regression on it, cross-validated (over speakers where these are known), should be
at chance, an EER of 50 %. DIR/clips.tsv has the facts of every clip, DIR/audit.json all that was
found. The same command continues an audit that was stopped.

--scores compares labels with the scores of a detector that was not trained on these trials. Those
that score beyond the median of the other class are printed: listen to them. Of wrong labels about
half are there, the rest further down in DIR/contradictions.tsv, which has all errors, worst first.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `sls audit`."""
    parser.epilog = EPILOG
    files = parser.add_argument_group("files")
    files.add_argument("data", metavar="DATA", type=Path, help="folder of manifests, as `sls prepare` writes them")
    files.add_argument("--splits", metavar="SPLIT", nargs="+", help="manifests to look at (default: all in DATA)")
    files.add_argument("--scores", metavar="SCORES", type=Path, help="score file, to look for wrong labels")
    files.add_argument("--output", metavar="DIR", type=Path, required=True, help="folder to write to")
    runs = parser.add_argument_group("large corpora")
    runs.add_argument("--shard", metavar="I/N", type=shard_of, help="measure only part I, from 0, of N, and find nothing yet")
    runs.add_argument(
        "--num-workers", metavar="N", type=not_negative, default=n_cores(), help="processes that decode (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Measure the clips that are not measured yet, then print and write what was found."""
    if args.scores and args.shard:
        raise argparse.ArgumentError(None, "--scores with --shard: give it to the last command, which has all parts")
    clips = list(_clips(args.data, args.splits))
    noise = _label_noise(args, clips)
    measured = _measure(args, clips)
    if args.shard:
        print(f"measured: {args.output}; without --shard the findings of all parts are written")
        return 0
    from sls_plugin.audit.findings import as_line, find_problems
    from sls_plugin.audit.fingerprint import fingerprint
    from sls_plugin.audit.label_noise import as_lines
    from sls_plugin.audit.near_copies import find_near_copies
    from sls_plugin.audit.shortcuts import find_shortcuts
    from sls_plugin.data.audio import read_audio

    paths = {(split, trial.id): path for split, trial, path in clips}
    findings = find_problems(measured)
    findings += find_near_copies(measured, lambda facts: fingerprint(read_audio(paths[facts.split, facts.id])))
    for finding in findings:
        print(as_line(finding))
    shortcuts = {}
    for split in dict.fromkeys(clip.split for clip in measured):
        shortcuts[split] = find_shortcuts([clip for clip in measured if clip.split == split])
        _print_shortcuts(split, shortcuts[split])
    for line in itertools.chain.from_iterable(map(as_lines, noise)):
        print(line)
    if args.scores:
        _write_contradictions(args.output / "contradictions.tsv", noise)
    _write(args.output, measured, findings, shortcuts, noise)
    print(f"{len(measured):,} clips: {args.output / 'audit.json'}")
    return 0


def _clips(data: Path, splits: Sequence[str] | None) -> "Iterator[Clip]":
    manifests = [data / f"{split}.tsv" for split in splits] if splits else sorted(data.glob("*.tsv"))
    if not manifests:
        if data.is_file():
            raise DataError(f"{data}: a file, not the folder of manifests: name its folder, and the file's split with --splits")
        problem = "no manifests (.tsv)" if data.is_dir() else "no such folder"
        raise DataError(f"{data}: {problem}: write them with `sls prepare`")
    for manifest in manifests:
        for trial in read_manifest(manifest):
            yield manifest.stem, trial, data / trial.audio


def _label_noise(args: argparse.Namespace, clips: "Sequence[Clip]") -> "list[LabelNoise]":
    """What the scores say of each split; before anything is measured, so that a wrong score file costs nothing."""
    if not args.scores:
        return []
    from sls_plugin.audit.label_noise import find_label_noise

    splits = {split: (args.data / f"{split}.tsv", []) for split, _, _ in clips}
    for split, trial, _ in clips:
        splits[split][1].append(trial)
    return list(find_label_noise(args.scores, splits))


def _measure(args: argparse.Namespace, clips: "Sequence[Clip]") -> "list[ClipFacts]":
    """The facts of all clips, of those of a shard where one is given; measures what no earlier run has measured."""
    from tqdm import tqdm

    from sls_plugin.audit.clip_facts import measure_all, still_true, to_line

    args.output.mkdir(parents=True, exist_ok=True)
    name = "clips.part.tsv" if args.shard is None else f"clips.part-{args.shard[0]}-of-{args.shard[1]}.tsv"
    earlier = {(facts.split, facts.id): facts for path in sorted(args.output.glob("clips*.tsv")) for facts in _read(path)}
    own = clips if args.shard is None else clips[args.shard[0] :: args.shard[1]]
    known = {(split, trial.id): still_true(earlier.get((split, trial.id)), trial, path) for split, trial, path in own}
    left = [clip for clip in own if known[clip[0], clip[1].id] is None]
    with open(args.output / name, "a", encoding="utf-8") as file:
        for facts in tqdm(measure_all(left, args.num_workers), total=len(left), unit="clip", disable=not sys.stderr.isatty()):
            file.write(to_line(facts))
            known[facts.split, facts.id] = facts
    return [known[split, trial.id] for split, trial, _ in own]


def _read(path: Path) -> "Iterator[ClipFacts]":
    from sls_plugin.audit.clip_facts import COLUMNS, from_line

    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n") and line.split("\t", 1)[0] != COLUMNS[0]:  # the last may be cut off where a run was killed
            try:
                yield from_line(line)
            except ValueError:
                raise DataError(f"{path}: {line[:60]!r} is no row of facts: remove the file") from None


def _print_shortcuts(split: str, shortcuts: "Sequence[Shortcut]") -> None:
    for item in shortcuts:
        verdict = "tells the classes apart" if item.is_better_than_chance else "at chance"
        interval = f"[{100 * item.low:.1f}, {100 * item.high:.1f}]"
        print(f"{split}: {item.name:<19} EER {100 * item.eer:5.1f} % {interval:<13} {verdict}")


def _write_contradictions(path: Path, noise: "Sequence[LabelNoise]") -> None:
    from sls_plugin.audit.label_noise import HEADER, as_rows

    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        rows = itertools.chain([HEADER], *map(as_rows, noise))
        file.writelines("\t".join(row) + "\n" for row in rows)


def _write(
    output: Path,
    clips: "Sequence[ClipFacts]",
    findings: "Sequence[Finding]",
    shortcuts: "dict[str, list[Shortcut]]",
    noise: "Sequence[LabelNoise]",
) -> None:
    from sls_plugin.audit.clip_facts import COLUMNS, to_line
    from sls_plugin.audit.label_noise import as_json
    from sls_plugin.audit.shortcuts import as_rows

    with replacing(output / "clips.tsv") as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write("\t".join(COLUMNS) + "\n")
        file.writelines(map(to_line, clips))
    for path in output.glob("clips.part*.tsv"):
        os.unlink(path)
    content = {"n_clips": len(clips), "findings": list(map(asdict, findings)), "shortcuts": as_rows(shortcuts)}
    content["label_noise"] = list(map(as_json, noise))
    with replacing(output / "audit.json") as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
