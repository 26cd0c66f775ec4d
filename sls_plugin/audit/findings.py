"""What the facts of all clips say about a corpus: copies, conflicts, speakers of several splits, clips that say nothing."""

from collections import defaultdict
from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass

from protocols.recordings import list_names
from sls_plugin.audit.clip_facts import ClipFacts


@dataclass(frozen=True, slots=True)
class Finding:
    """A kind of problem: its name, a sentence with the numbers, and what it is about."""

    kind: str
    sentence: str
    names: Sequence[str]


def find_problems(clips: Sequence[ClipFacts]) -> list[Finding]:
    """The problems of a corpus, the worst first; none where it has none."""
    groups = copies(clips)
    return [*_conflicts(clips, groups), *_across_splits(clips, groups), *_copies_within(groups), *_unusable(clips)]


def copies(clips: Sequence[ClipFacts]) -> list[list[ClipFacts]]:
    """Clips with the same samples, two or more together."""
    by_hash = defaultdict(list)
    for clip in clips:
        if clip.sha256:
            by_hash[clip.sha256].append(clip)
    return [group for group in by_hash.values() if len(group) > 1]


def _conflicts(clips: Sequence[ClipFacts], groups: Sequence[list[ClipFacts]]) -> Iterator[Finding]:
    groups = [group for group in groups if {"bonafide", "spoof"} <= {clip.label for clip in group}]
    if groups:
        sentence = f"{are(groups, 'recording')} labelled both bona fide and spoof"
        yield Finding("label_conflicts", sentence, [pair(group) for group in groups])
    by_id = defaultdict(set)
    for clip in clips:
        by_id[clip.id].add(clip.label)
    if names := sorted(name for name, labels in by_id.items() if {"bonafide", "spoof"} <= labels):
        yield Finding("id_conflicts", f"{are(names, 'id')} labelled both bona fide and spoof", names)


def _across_splits(clips: Sequence[ClipFacts], groups: Sequence[list[ClipFacts]]) -> Iterator[Finding]:
    groups = [group for group in groups if len({clip.split for clip in group}) > 1]
    if groups:
        sentence = f"{are(groups, 'recording')} in several splits"
        yield Finding("copies_across_splits", sentence, [pair(group) for group in groups])
    splits = defaultdict(set)
    for clip in clips:
        if clip.speaker:
            splits[clip.speaker].add(clip.split)
    if names := sorted(speaker for speaker, found in splits.items() if len(found) > 1):
        yield Finding("speakers_across_splits", f"{are(names, 'speaker')} in several splits, of {len(splits):,}", names)


def _copies_within(groups: Sequence[list[ClipFacts]]) -> Iterator[Finding]:
    by_split = defaultdict(list)
    for group in groups:
        if len({clip.split for clip in group}) == 1:
            by_split[group[0].split].append(pair(group))
    for split, names in by_split.items():
        yield Finding("copies_within_a_split", f"{split}: {are(names, 'recording')} there twice or more", names)


def _unusable(clips: Sequence[ClipFacts]) -> Iterator[Finding]:
    broken = [clip for clip in clips if not clip.sha256]
    if broken:
        names = [f"{clip.id} ({clip.problem})" for clip in broken]
        yield Finding("broken", f"{len(broken):,} of {len(clips):,} recordings cannot be read", names)
    by_problem = defaultdict(list)
    for clip in clips:
        if clip.sha256 and clip.problem:
            by_problem[clip.problem].append(clip.id)
    for problem, names in by_problem.items():
        yield Finding("odd", f"{are(names, 'recording')} {problem}", names)


def are(items: Sized, what: str) -> str:
    """The number of items, and the verb that belongs to it."""
    return f"1 {what} is" if len(items) == 1 else f"{len(items):,} {what}s are"


def pair(group: Sequence[ClipFacts]) -> str:
    """The names of clips that are the same."""
    return " = ".join(f"{clip.split}/{clip.id}" for clip in group)


def as_line(finding: Finding) -> str:
    """A finding for the terminal, with the first names."""
    return f"{finding.sentence}: {list_names(finding.names)}"
