"""An audit of corpora with planted faults, and of one without."""

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from protocols import DataError, Trial, read_manifest, write_manifest
from sls_plugin.__main__ import main
from sls_plugin.audit import clip_facts
from sls_plugin.audit.clip_facts import ClipFacts, from_line, measure, measure_all, to_line
from sls_plugin.audit.findings import find_problems
from sls_plugin.audit.shortcuts import find_shortcuts

RATE = 16_000


def noise(seed: int, n_samples: int = 8_000, level: float = 0.1) -> np.ndarray:
    return level * np.random.default_rng(seed).standard_normal(n_samples)


def facts_of(folder: Path, waveform: np.ndarray, rate: int = RATE, name: str = "a.wav", **settings: str) -> ClipFacts:
    soundfile.write(folder / name, waveform, rate, **settings)
    return measure(("train", Trial("a", name, label="spoof", facts={"speaker": "p1"}), folder / name))


# The facts of a clip


def test_silence_duration_level_and_offset(tmp_path: Path) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 1_000 * np.arange(RATE) / RATE)
    facts = facts_of(tmp_path, np.concatenate([np.zeros(3_200), tone, np.zeros(6_400)]))
    assert (facts.leading_silence, facts.trailing_silence) == (0.2, 0.4)
    assert facts.duration == 1.6
    assert facts.level == pytest.approx(20 * np.log10(0.5 / np.sqrt(2) * np.sqrt(1 / 1.6)), abs=0.01)
    assert facts.dc == pytest.approx(0, abs=1e-4)
    assert facts_of(tmp_path, tone * 0.1 + 0.25).dc == pytest.approx(0.25, abs=1e-4)
    assert (facts.split, facts.id, facts.label, facts.speaker, facts.problem) == ("train", "a", "spoof", "p1", "")


def test_bandwidth_and_format(tmp_path: Path) -> None:
    wide, narrow = facts_of(tmp_path, noise(1)), facts_of(tmp_path, noise(1, 4_000), rate=8_000)
    assert wide.bandwidth > 7_900
    assert narrow.bandwidth == pytest.approx(4_000, abs=250)
    assert (narrow.sample_rate, narrow.format) == (8_000, "WAV PCM_16 1")
    assert facts_of(tmp_path, noise(1), name="a.flac", subtype="PCM_24").format == "FLAC PCM_24 1"


def test_the_hash_is_that_of_the_samples_whatever_the_file(tmp_path: Path) -> None:
    waveform = np.round(noise(1) * 30_000) / 32_768
    wav, flac, other = (
        facts_of(tmp_path, waveform), facts_of(tmp_path, waveform, name="a.flac"), facts_of(tmp_path, waveform * 0.5)
    )  # fmt: skip
    assert wav.sha256 == flac.sha256 != other.sha256


def test_a_clip_that_cannot_be_read_or_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    broken = measure(("train", Trial("a", "a.wav"), tmp_path / "a.wav"))
    assert (broken.sha256, broken.duration) == ("", 0)
    assert "a.wav" in broken.problem
    assert facts_of(tmp_path, np.zeros(100)).problem.startswith("silent")
    assert np.isfinite(facts_of(tmp_path, np.ones(1)).level)


def test_a_row_of_the_table_is_read_back_as_it_was(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, noise(3))
    assert from_line(to_line(facts)) == facts


# What is found


def clip(number: int, split: str = "train", label: str = "spoof", **settings: object) -> ClipFacts:
    return replace(ClipFacts(split, f"{split}{number}", label, f"{split} p{number}", sha256=f"{split} {number}"), **settings)


BOTH = "is labelled both bona fide and spoof"
CLEAN = [clip(number, split, label) for split in ("train", "dev") for number, label in enumerate(["spoof", "bonafide"] * 3)]


def test_a_clean_corpus_has_no_findings() -> None:
    assert find_problems(CLEAN) == []


@pytest.mark.parametrize(
    ("planted", "kind", "sentence", "names"),
    [
        (clip(9, sha256="dev 2"), "copies_across_splits", "1 recording is in several splits", ["dev/dev2 = train/train9"]),
        (clip(9, sha256="train 2"), "copies_within_a_split", "train: 1 recording is there twice or more", None),
        (clip(9, label="bonafide", sha256="train 2"), "label_conflicts", f"1 recording {BOTH}", None),
        (clip(9, id="train2", label="bonafide"), "id_conflicts", f"1 id {BOTH}", ["train2"]),
        (clip(9, speaker="dev p1"), "speakers_across_splits", "1 speaker is in several splits, of 12", ["dev p1"]),
        (clip(9, sha256="", problem="x.wav: no"), "broken", "1 of 13 recordings cannot be read", ["train9 (x.wav: no)"]),
        (clip(9, problem="silent"), "odd", "1 recording is silent", ["train9"]),
    ],
)
def test_a_planted_fault_is_found_and_named(planted: ClipFacts, kind: str, sentence: str, names: list[str] | None) -> None:
    found = {finding.kind: finding for finding in find_problems([*CLEAN, planted])}
    assert kind in found
    assert found[kind].sentence == sentence
    assert names is None or [*map(sorted_pair, found[kind].names)] == [*map(sorted_pair, names)]
    assert {*found} - {kind} <= {"copies_within_a_split"}  # a conflict is a copy too


def sorted_pair(name: str) -> list[str]:
    return sorted(name.split(" = "))


def corpus(seed: int, n: int = 300, **planted: tuple[float, float]) -> list[ClipFacts]:
    """Random facts; of `planted` the mean differs between spoof and bona fide."""
    rng = np.random.default_rng(seed)
    clips = []
    for number in range(n):
        values = {name: rng.normal() for name in ("leading_silence", "trailing_silence", "level", "dc", "bandwidth")}
        values |= {"duration": rng.uniform(2, 4), "n_bytes": int(rng.integers(30_000, 60_000)), "sample_rate": RATE}
        for name, means in planted.items():
            values[name] += means[number % 2]
        clips.append(clip(number, label=("spoof", "bonafide")[number % 2], speaker=f"p{number % 20}", **values))
    return clips


def test_a_planted_shortcut_is_found_and_the_others_are_at_chance() -> None:
    found = {item.name: item for item in find_shortcuts(corpus(1, leading_silence=(0, 3)))}
    assert found["leading silence"].eer == pytest.approx(0.067, abs=0.04)  # two normals three deviations apart
    assert found["leading silence"].is_better_than_chance
    assert found["all together"].is_better_than_chance
    assert not any(found[name].is_better_than_chance for name in ("trailing silence", "duration", "level", "bandwidth"))
    assert "format of the file" not in found  # there is one only


def test_a_spread_is_a_shortcut_as_much_as_a_mean() -> None:
    clips = corpus(2)
    wider = [replace(item, level=item.level * (4 if item.label == "spoof" else 1)) for item in clips]
    (level,) = (item for item in find_shortcuts(wider) if item.name == "level")
    assert level.is_better_than_chance


def test_nothing_is_found_where_there_is_nothing() -> None:
    """Of 20 corpora with seven shortcuts each, as many are found as an interval of 95 % lets pass."""
    found = [item.is_better_than_chance for seed in range(20) for item in find_shortcuts(corpus(seed, n=120))]
    assert np.mean(found) < 0.1


def test_formats_and_speakers() -> None:
    clips = [replace(item, format="WAV" if item.label == "spoof" else "FLAC") for item in corpus(3)]
    (kind,) = (item for item in find_shortcuts(clips) if item.name == "format of the file")
    assert kind.eer == 0
    spoken = [replace(item, speaker=f"{item.label} {number % 24}") for number, item in enumerate(corpus(4))]
    # Each speaker has a level of its own, which tells nothing of other speakers.
    levels = dict(zip(sorted({item.speaker for item in spoken}), np.random.default_rng(5).normal(size=24), strict=True))
    by_speaker = [replace(item, level=levels[item.speaker]) for item in spoken]
    (level,) = (item for item in find_shortcuts(by_speaker) if item.name == "level")
    assert not level.is_better_than_chance


def test_too_few_clips_of_a_class_have_no_shortcuts() -> None:
    assert find_shortcuts([item for item in corpus(1, n=40) if item.label == "spoof" or int(item.id[5:]) < 10]) == []


# The command


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two splits; a recording of train is in dev too, one is broken."""
    folder = tmp_path / "DATA"
    folder.mkdir()
    for split in ("train", "dev"):
        trials = []
        for number in range(24):
            name = f"{split}{number}.wav"
            lead = np.zeros(4_000 if number % 2 else 0)
            soundfile.write(folder / name, np.concatenate([lead, noise(number + 100 * (split == "dev"))]), RATE)
            facts = {"speaker": f"{split}{number % 12}"}
            trials.append(Trial(f"{split}{number}", name, label=("spoof", "bonafide")[number % 2], facts=facts))
        write_manifest(folder / f"{split}.tsv", trials)
    (folder / "dev3.wav").write_bytes((folder / "train4.wav").read_bytes())
    (folder / "dev5.wav").write_bytes(b"RIFF")
    return folder


def audit(data: Path, output: Path, *options: str) -> int:
    return main(["audit", str(data), "--output", str(output), "--num-workers", "0", *options])


def test_all_that_is_planted_is_reported(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert audit(data, tmp_path / "out") == 0
    printed = capsys.readouterr().out
    assert "1 recording is in several splits: dev/dev3 = train/train4\n" in printed
    assert "1 recording is labelled both bona fide and spoof" in printed
    assert "1 of 48 recordings cannot be read: dev5 (" in printed
    assert "leading silence     EER   0.0 %" in printed
    content = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert content["n_clips"] == 48
    assert {finding["kind"] for finding in content["findings"]} == {"label_conflicts", "copies_across_splits", "broken"}
    assert {row["shortcut"] for row in content["shortcuts"]} >= {"leading silence", "duration", "all together"}


def test_shards_and_processes_give_the_same_files(data: Path, tmp_path: Path) -> None:
    assert audit(data, tmp_path / "whole") == 0
    assert audit(data, tmp_path / "parts", "--shard", "1/2") == 0
    assert not (tmp_path / "parts" / "audit.json").exists()
    assert audit(data, tmp_path / "parts", "--shard", "0/2", "--num-workers", "2") == 0
    assert audit(data, tmp_path / "parts") == 0
    for name in ("clips.tsv", "audit.json"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == ["audit.json", "clips.tsv"]


def test_an_audit_that_was_killed_measures_only_the_rest(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert audit(data, tmp_path / "whole") == 0
    lines = (tmp_path / "whole" / "clips.tsv").read_text().splitlines(keepends=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "clips.part.tsv").write_text("".join(lines[1:20]) + lines[20][:30])
    seen = []

    def counting(clips, num_workers: int) -> Iterator[ClipFacts]:
        seen.extend(clips)
        return measure_all(clips, num_workers)

    monkeypatch.setattr(clip_facts, "measure_all", counting)
    assert audit(data, tmp_path / "out") == 0
    assert len(seen) == 48 - 19
    assert (tmp_path / "out" / "clips.tsv").read_bytes() == (tmp_path / "whole" / "clips.tsv").read_bytes()


def test_what_changed_since_an_earlier_audit_is_seen(data: Path, tmp_path: Path) -> None:
    """Labels and speakers are the manifest's; a recording of another size is measured again."""
    assert audit(data, tmp_path / "out") == 0
    train = [replace(trial, label="bonafide") for trial in read_manifest(data / "train.tsv")]
    write_manifest(data / "train.tsv", train)
    soundfile.write(data / "dev5.wav", noise(105), RATE)
    soundfile.write(data / "dev6.wav", noise(106, 9_000), RATE)
    assert audit(data, tmp_path / "out") == 0
    assert audit(data, tmp_path / "anew") == 0
    for name in ("clips.tsv", "audit.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "anew" / name).read_bytes()


def die(clip: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the out-of-memory killer does it."""
    monkeypatch.setattr(clip_facts, "measure", die)
    monkeypatch.setattr(clip_facts, "get_context", lambda _: __import__("multiprocessing").get_context("fork"))
    with pytest.raises(DataError, match=r"^a process that decodes was killed \(out of memory\?\): lower --num-workers; the same"):
        list(measure_all([("train", Trial("a", "a.wav"), Path("a.wav"))] * 3, num_workers=1))


@pytest.mark.parametrize(
    ("options", "problem"),
    [(["--splits", "eval"], "eval.tsv"), ([], "no manifests (.tsv): write them with `sls prepare`")],
)
def test_a_folder_without_manifests_is_one_line(options: list[str], problem: str, tmp_path: Path, capsys) -> None:
    assert audit(tmp_path, tmp_path / "out", *options) == 1
    assert problem in capsys.readouterr().err


def test_a_manifest_or_a_missing_folder_in_place_of_the_folder_is_one_line(tmp_path: Path, capsys) -> None:
    (tmp_path / "train.tsv").write_text("")
    assert audit(tmp_path / "train.tsv", tmp_path / "out") == 1
    assert "train.tsv: a file, not the folder of manifests" in capsys.readouterr().err
    assert audit(tmp_path / "none", tmp_path / "out") == 1
    assert "none: no such folder" in capsys.readouterr().err
