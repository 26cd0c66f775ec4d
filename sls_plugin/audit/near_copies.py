"""Recordings that are nearly the same: at another level or sample rate, coded, shifted, or synthesised from one another."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np

from sls_plugin.audit.clip_facts import ClipFacts
from sls_plugin.audit.findings import Finding, are, pair
from sls_plugin.audit.fingerprint import Fingerprint, distance, from_text

FEWEST_SHARED = 2  # words of candidates: one may be the same by chance
CERTAIN = 8  # shared words; with fewer the whole fingerprints are compared
NEAR = 0.27  # of the bits: the same recording has up to 0.16, others have 0.37 and more
MOST_SHARING = 100  # clips: a word of more is a common pattern
KEPT = 20_000  # fingerprints in memory, of 2 kB


def find_near_copies(clips: Sequence[ClipFacts], read: Callable[[ClipFacts], Fingerprint]) -> list[Finding]:
    """The findings about recordings that are nearly, not exactly, the same; `read` gives the whole fingerprint of a clip."""
    return list(_findings(near_copies(clips, read)))


def near_copies(clips: Sequence[ClipFacts], read: Callable[[ClipFacts], Fingerprint]) -> list[list[ClipFacts]]:
    """Groups of clips that are nearly the same, one clip of each exact copy."""
    distinct = list({clip.sha256: clip for clip in reversed(clips) if clip.fingerprint}.values())[::-1]
    cached = lru_cache(KEPT)(read)
    leaders = list(range(len(distinct)))

    def leader(index: int) -> int:
        while leaders[index] != index:
            leaders[index] = leaders[leaders[index]]
            index = leaders[index]
        return index

    for (first, second), n_shared in sorted(_candidates(distinct).items()):
        if leader(first) != leader(second) and (
            n_shared >= CERTAIN or distance(cached(distinct[first]), cached(distinct[second])) < NEAR
        ):
            leaders[leader(second)] = leader(first)
    groups = defaultdict(list)
    for index, clip in enumerate(distinct):
        groups[leader(index)].append(clip)
    return [group for group in groups.values() if len(group) > 1]


def _candidates(clips: Sequence[ClipFacts]) -> dict[tuple[int, int], int]:
    """The pairs of clips that share `FEWEST_SHARED` words, and how many they share."""
    kept = [from_text(clip.fingerprint) for clip in clips]
    words = np.concatenate([np.zeros(0, np.uint32), *kept])
    owners = np.repeat(np.arange(len(kept), dtype=np.uint64), list(map(len, kept)))
    order = np.argsort(words, kind="stable")  # owners of a word stay in ascending order
    _, starts, sizes = np.unique(words[order], return_index=True, return_counts=True)
    pairs = [np.zeros(0, np.uint64)]
    for size in range(2, MOST_SHARING + 1):
        sharing = owners[order[starts[sizes == size][:, None] + np.arange(size)]]  # words x clips
        first, second = np.triu_indices(size, 1)
        pairs.append((sharing[:, first] << np.uint64(32) | sharing[:, second]).ravel())
    keys, counts = np.unique(np.concatenate(pairs), return_counts=True)
    found = counts >= FEWEST_SHARED
    return {(key >> 32, key & 0xFFFFFFFF): count for key, count in zip(keys[found].tolist(), counts[found].tolist(), strict=True)}


def _findings(groups: Sequence[list[ClipFacts]]) -> Iterator[Finding]:
    both = [group for group in groups if {"bonafide", "spoof"} <= {clip.label for clip in group}]
    if both:
        sentence = f"{are(both, 'recording')} nearly the same with both labels (copy synthesis, or a wrong label)"
        yield Finding("near_copies_with_both_labels", sentence, [pair(group) for group in both])
    across = [group for group in groups if len({clip.split for clip in group}) > 1]
    if across:
        sentence = f"{are(across, 'recording')} nearly the same in several splits"
        yield Finding("near_copies_across_splits", sentence, list(map(pair, across)))
    by_split = defaultdict(list)
    for group in groups:
        if len({clip.split for clip in group}) == 1:
            by_split[group[0].split].append(pair(group))
    for split, names in by_split.items():
        sentence = f"{split}: {are(names, 'recording')} there twice or more, nearly the same"
        yield Finding("near_copies_within_a_split", sentence, names)
