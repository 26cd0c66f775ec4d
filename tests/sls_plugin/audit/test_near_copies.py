"""Copies of made speech that was changed are found, and other utterances of the same voice are not."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import resample_poly

from protocols import Trial, write_manifest
from sls_plugin.__main__ import main
from sls_plugin.audit.clip_facts import ClipFacts, from_line, to_line
from sls_plugin.audit.fingerprint import N_WORDS, as_text, distance, fingerprint, from_text, kept_words
from sls_plugin.audit.near_copies import NEAR, find_near_copies, near_copies
from sls_plugin.data.audio import read_audio
from sls_plugin.data.augmentation.codec import Codec

RATE = 16_000


def utterance(seed: int, seconds: float = 3.0, pitch: float = 120.0) -> np.ndarray:
    """A buzz of one pitch through three resonances that move from syllable to syllable, with pauses: one voice, other words."""
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE)
    times = np.arange(n) / RATE
    knots = np.linspace(0, seconds, round(6 * seconds))

    def track(low: float, high: float) -> np.ndarray:
        return np.interp(times, knots, rng.uniform(low, high, len(knots)))

    phase = 2 * np.pi * np.cumsum(pitch * track(0.9, 1.1)) / RATE
    formants = [track(300, 900), track(900, 2_300), track(2_200, 3_300)]
    speech = np.zeros(n)
    for harmonic in range(1, 32):
        frequency = harmonic * pitch
        gain = sum(1 / (1 + ((frequency - formant) / 120) ** 2) for formant in formants)
        speech += gain * np.sin(harmonic * phase)
    loudness = np.clip(track(-0.3, 1), 0.01, None)
    speech = speech * loudness + 0.002 * rng.standard_normal(n)
    return (0.3 * speech / np.abs(speech).max()).astype(np.float32)


def resampled(waveform: np.ndarray, rate: int) -> np.ndarray:
    return resample_poly(resample_poly(waveform, rate, RATE), RATE, rate)[: len(waveform)]


def mp3(waveform: np.ndarray, kbps: float) -> np.ndarray:
    return Codec(("mp3",), (kbps, kbps))(waveform, np.random.RandomState(0))


def later(waveform: np.ndarray, ms: float) -> np.ndarray:
    return np.concatenate([np.zeros(round(ms * RATE / 1_000), np.float32), waveform])


def sooner(waveform: np.ndarray, ms: float) -> np.ndarray:
    return waveform[round(ms * RATE / 1_000) :]


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "level": lambda waveform: np.round(0.05 * waveform * 32_767).astype(np.float32) / 32_767,
    "8 kHz": lambda waveform: resampled(waveform, 8_000),
    "22.05 kHz": lambda waveform: resampled(waveform, 22_050),
    "MP3, 128 kbit/s": lambda waveform: mp3(waveform, 128),
    "MP3, 32 kbit/s": lambda waveform: mp3(waveform, 32),
    "3 ms later": lambda waveform: later(waveform, 3),
    "24 ms sooner": lambda waveform: sooner(waveform, 24),
    "49 ms later": lambda waveform: later(waveform, 49),
    "all of it": lambda waveform: sooner(mp3(0.3 * resampled(waveform, 8_000), 48), 40),
}
N_UTTERANCES = 12
UTTERANCES = [utterance(seed) for seed in range(N_UTTERANCES)]


def facts(name: str, waveform: np.ndarray, **settings: str) -> ClipFacts:
    clip = ClipFacts("train", name, "spoof", "p1", sha256=name, fingerprint=as_text(kept_words(fingerprint(waveform))))
    return replace(clip, **settings)


def groups_of(waveforms: dict[str, np.ndarray]) -> list[set[str]]:
    clips = [facts(name, waveform) for name, waveform in waveforms.items()]
    found = near_copies(clips, lambda clip: fingerprint(waveforms[clip.id]))
    return [{clip.id for clip in group} for group in found]


# Fingerprints


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_copy_is_found_among_other_utterances_of_the_voice(change) -> None:
    waveforms = {f"original {number}": waveform for number, waveform in enumerate(UTTERANCES)}
    for number in (0, 5):
        waveforms[f"copy {number}"] = change(UTTERANCES[number])
    assert groups_of(waveforms) == [{"original 0", "copy 0"}, {"original 5", "copy 5"}]


def test_other_utterances_of_the_voice_are_far() -> None:
    prints = [fingerprint(waveform) for waveform in UTTERANCES]
    others = [distance(prints[a], prints[b]) for a in range(N_UTTERANCES) for b in range(a)]
    assert min(others) > NEAR + 0.05
    copies = [distance(prints[0], fingerprint(change(UTTERANCES[0]))) for change in CHANGES.values()]
    assert max(copies) < NEAR - 0.05


def test_a_distance_is_symmetric_and_0_to_itself() -> None:
    first, second = fingerprint(UTTERANCES[0]), fingerprint(UTTERANCES[1][:40_000])
    assert distance(first, first) == 0
    assert distance(first, second) == distance(second, first)


def test_a_multiple_of_a_waveform_has_the_same_words() -> None:
    first, second = fingerprint(UTTERANCES[0]), fingerprint(UTTERANCES[0] * 2)  # exactly, in binary arithmetic
    np.testing.assert_array_equal(first.words, second.words)
    assert len(kept_words(first)) == N_WORDS


@pytest.mark.parametrize(
    "waveform",
    [np.zeros(0), np.zeros(100), np.ones(1), np.zeros(3 * RATE), np.full(3 * RATE, 0.5), UTTERANCES[0][:6_000]],
    ids=["empty", "short silence", "a sample", "silence", "constant", "short"],
)
def test_clips_that_say_nothing_have_no_words_or_few(waveform: np.ndarray) -> None:
    whole = fingerprint(waveform.astype(np.float32))
    assert len(kept_words(whole)) <= 4
    assert distance(whole, whole) in (0, 1)


@given(st.lists(st.integers(0, 2**32 - 1), max_size=60))
def test_words_are_read_back(words: list[int]) -> None:
    assert from_text(as_text(np.array(words, np.uint32))).tolist() == words


@pytest.mark.parametrize("text", ["0", "xy", "00000001ff", "0000000g"])
def test_a_damaged_row_of_the_table_of_clips_is_noticed(text: str) -> None:
    line = to_line(facts("a", UTTERANCES[0], fingerprint=text))
    with pytest.raises(ValueError):  # noqa: PT011  (of several kinds; the command names the file)
        from_line(line)


# Groups and findings


def test_no_clips_and_clips_without_words_have_no_groups() -> None:
    assert near_copies([], lambda clip: pytest.fail("nothing to read")) == []
    assert near_copies([facts("a", np.zeros(100)), facts("b", np.zeros(100))], lambda clip: pytest.fail("nothing to read")) == []


def test_exact_copies_are_left_to_the_other_finding() -> None:
    first = facts("a", UTTERANCES[0], sha256="x")
    assert near_copies([first, replace(first, id="b")], lambda clip: fingerprint(UTTERANCES[0])) == []


def test_candidates_are_compared_as_a_whole_unless_they_share_many_words() -> None:
    words = kept_words(fingerprint(UTTERANCES[0]))
    mixed = np.sort(np.concatenate([words[:3], kept_words(fingerprint(UTTERANCES[1]))[:40]]))
    clips = [facts("a", UTTERANCES[0]), replace(facts("b", UTTERANCES[1]), fingerprint=as_text(mixed))]
    waveforms = {"a": UTTERANCES[0], "b": UTTERANCES[1]}
    read = []

    def reading(clip: ClipFacts):
        read.append(clip.id)
        return fingerprint(waveforms[clip.id])

    assert near_copies(clips, reading) == []
    assert sorted(read) == ["a", "b"]
    read.clear()
    assert len(near_copies([clips[0], facts("c", 0.5 * UTTERANCES[0])], reading)) == 1
    assert read == []


def test_copies_of_a_copy_are_one_group() -> None:
    first = UTTERANCES[0]
    steps = [first, sooner(first, 40), sooner(first, 80), sooner(first, 120)]
    assert groups_of({str(number): waveform for number, waveform in enumerate(steps)}) == [{"0", "1", "2", "3"}]


def test_what_is_said_of_labels_and_splits() -> None:
    waveforms = {"a": UTTERANCES[0], "b": 0.4 * UTTERANCES[0], "c": UTTERANCES[1], "d": 0.4 * UTTERANCES[1]}
    clips = [facts(name, waveform) for name, waveform in waveforms.items()]
    clips[1] = replace(clips[1], label="bonafide")
    clips[3] = replace(clips[3], split="dev")
    found = find_near_copies(clips, lambda clip: fingerprint(waveforms[clip.id]))
    ab, sentence = ["train/a = train/b"], "1 recording is nearly the same"
    assert {item.kind: (item.sentence, item.names) for item in found} == {
        "near_copies_with_both_labels": (f"{sentence} with both labels (copy synthesis, or a wrong label)", ab),
        "near_copies_across_splits": (f"{sentence} in several splits", ["train/c = dev/d"]),
        "near_copies_within_a_split": ("train: 1 recording is there twice or more, nearly the same", ab),
    }


# The command


def test_the_command_reports_near_copies_and_continues(tmp_path: Path, capsys) -> None:
    data = tmp_path / "DATA"
    data.mkdir()
    for split, waveforms in {"train": UTTERANCES[:4], "dev": [*UTTERANCES[4:7], mp3(UTTERANCES[2], 48)]}.items():
        trials = []
        for number, waveform in enumerate(waveforms):
            soundfile.write(data / f"{split}{number}.wav", waveform, RATE)
            trials.append(Trial(f"{split}{number}", f"{split}{number}.wav", label=("spoof", "bonafide")[number % 2]))
        write_manifest(data / f"{split}.tsv", trials)
    arguments = ["audit", str(data), "--output", str(tmp_path / "out"), "--num-workers", "0"]
    assert main(arguments) == 0
    assert "1 recording is nearly the same in several splits: dev/dev3 = train/train2\n" in capsys.readouterr().out
    content = (tmp_path / "out/audit.json").read_bytes()
    assert "near_copies_across_splits" in {finding["kind"] for finding in json.loads(content)["findings"]}
    assert main(arguments) == 0
    assert (tmp_path / "out/audit.json").read_bytes() == content


# Real speech


def test_changed_copies_of_real_speech_are_found_and_no_others(shared: Path) -> None:
    """What else is near was synthesised from the same recording: it has the same file name at its source."""
    folder = shared / "data/mini"
    sources = {}
    for line in (folder / "SOURCES.tsv").read_text().splitlines()[1:]:
        name, _, _, _, _, path = line.split("\t")[:6]
        sources[name] = Path(path).name
    originals = {path.stem: read_audio(path) for path in sorted((folder / "flac").iterdir())}
    for group in groups_of(originals):
        assert len({sources[name] for name in group}) == 1
    chosen = [*originals][::12]
    for label, change in CHANGES.items():
        copies = {name: change(originals[name]) for name in chosen}
        found = groups_of(originals | {f"copy {name}": waveform for name, waveform in copies.items()})
        for name in chosen:
            assert any({name, f"copy {name}"} <= group for group in found), (label, name)
        for group in found:
            assert len({sources[name.removeprefix("copy ")] for name in group}) == 1, label
