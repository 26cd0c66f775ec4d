"""Every corpus that lists its trials, through `sls prepare`: a sound one, and each fault that a user can meet."""

from dataclasses import dataclass

import pytest

from protocols import read_manifest
from sls_plugin.__main__ import main


@dataclass(frozen=True)
class Layout:
    """How a corpus lists its trials: the file below its folder, the option that names it, the form of a line."""

    corpus: str
    line: str
    option: str = "--protocol"
    file: str = "trials.txt"
    header: str = ""
    id: str = "E_{}"
    recording: str = "audio/flac/{}.flac"
    columns: str = "columns instead of"  # what is said of a line with one column too many
    label: str = "unknown label 'fake'"


MLAAD = "path|original_file|language|is_original_language|duration|training_data|model_name|architecture|transcript\n"
NO_LABEL = "is not `id label`"
NEITHER = "is neither `id label` nor `id`"

LAYOUTS = {
    "2019 LA": Layout("asvspoof2019-la", "p1 {id} - A07 {label}"),
    "2019 PA": Layout("asvspoof2019-pa", "p1 {id} aaa AA {label}"),
    "2021 LA keys": Layout("asvspoof2021-la", "p1 {id} alaw ita_tx A07 {label} notrim eval", "--keys"),
    "2021 LA list": Layout("asvspoof2021-la", "{id}"),
    "2021 DF keys": Layout("asvspoof2021-df", "p1 {id} low_ogg vcc2018 A07 {label} notrim eval unknown - - - -", "--keys"),
    "2021 DF list": Layout("asvspoof2021-df", "{id}"),
    "ASVspoof 5": Layout("asvspoof5", "p1 {id} F C01 1 E_9 AC1 A17 {label} -", recording="audio/flac_E_eval/{}.flac"),
    "In-the-Wild meta.csv": Layout(
        "in-the-wild", "{id},Ann Lee,{label}", "", "audio/meta.csv", "file,speaker,label\n", "E_{}.wav", "audio/{}",
    ),
    "In-the-Wild key": Layout("in-the-wild", "- {id} - - - {label}", "--keys", id="E_{}.wav", recording="audio/{}"),
    "In-the-Wild list": Layout("in-the-wild", "{id}", id="E_{}.wav", recording="audio/{}"),
    "MLAAD": Layout(
        "mlaad", "./{id}|x.wav|de|True|1.0|LJ|vits|VITS|eins", "", "audio/fake/de/vits/meta.csv", MLAAD,
        "fake/de/vits/{}.wav", "audio/{}",
    ),
    "BRSpeech-DF": Layout(
        "brspeech-df", "{id} {label}", id="a b/{}.wav", recording="audio/{}", columns=NO_LABEL, label=NO_LABEL,
    ),
    "list": Layout("list", "{id} {label}", id="a b/{}.wav", recording="audio/{}", columns=NEITHER, label=NEITHER),
}  # fmt: skip
LABELLED = [name for name, layout in LAYOUTS.items() if "{label}" in layout.line]


class Corpus:
    """A corpus of two trials, 1 spoof and 2 bona fide, with empty recordings."""

    def __init__(self, root, layout):
        self.root, self.layout = root, layout
        self.file = root / layout.file
        self.ids = [layout.id.format(number) for number in (1, 2)]
        self.lines = [self.line(*trial) for trial in zip(self.ids, ("spoof", "bonafide"), strict=True)]
        for name in self.ids:
            path = root / layout.recording.format(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    def line(self, name, label="spoof"):
        return self.layout.line.format(id=name, label=label)

    def where(self, number):
        """The place of a trial, counted from 1, as an error names it."""
        return f"{self.file}:{number + bool(self.layout.header)}: "

    def prepare(self, *options, lines=(), ending="\n"):
        """Exit status of `sls prepare` with more lines after the two."""
        text = self.layout.header + "".join(f"{line}\n" for line in (*self.lines, *lines))
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_bytes(text.replace("\n", ending).encode("utf-8", "surrogateescape"))
        listed = [self.layout.option, str(self.file)] if self.layout.option else []
        paths = ["--audio", str(self.root / "audio"), "--dest", str(self.root / "DATA"), *listed]
        return main(["prepare", self.layout.corpus, *paths, "--no-durations", *options])

    def trials(self):
        return [(trial.id, trial.label, trial.audio) for trial in read_manifest(self.root / "DATA" / "eval.tsv")]


@pytest.fixture(params=LAYOUTS)
def corpus(request, tmp_path):
    return Corpus(tmp_path, LAYOUTS[request.param])


@pytest.fixture(params=LABELLED)
def labelled_corpus(request, tmp_path):
    return Corpus(tmp_path, LAYOUTS[request.param])


def assert_problem(corpus, capsys, start, *parts):
    """That one line on standard error, and no manifest, came of the last command."""
    captured = capsys.readouterr()
    assert captured.err.startswith(f"sls prepare: error: {start}")
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    for part in parts:
        assert part in captured.err
    assert not list(corpus.root.glob("DATA/*"))


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_sound_corpus_becomes_a_manifest(corpus, ending):
    assert corpus.prepare(ending=ending) == 0
    unlabelled = ("spoof", "spoof") if corpus.layout.corpus == "mlaad" else ("", "")
    labels = ("spoof", "bonafide") if "{label}" in corpus.layout.line else unlabelled
    assert corpus.trials() == [
        (name, label, str(corpus.root / corpus.layout.recording.format(name)))
        for name, label in zip(corpus.ids, labels, strict=True)
    ]


def test_a_wrong_number_of_columns(corpus, capsys):
    delimiter = next((sign for sign in ",|" if sign in corpus.layout.line), " ")
    assert corpus.prepare(lines=[f"{corpus.line('E_3')}{delimiter}x"]) == 1
    assert_problem(corpus, capsys, corpus.where(3), corpus.layout.columns)


def test_a_blank_line_between_others(corpus, capsys):
    assert corpus.prepare(lines=["", corpus.line("E_3")]) == 1
    assert_problem(corpus, capsys, corpus.where(3))


def test_an_unknown_label(labelled_corpus, capsys):
    assert labelled_corpus.prepare(lines=[labelled_corpus.line("E_3", "fake")]) == 1
    assert_problem(labelled_corpus, capsys, labelled_corpus.where(3), labelled_corpus.layout.label)


def test_a_repeated_id(corpus, capsys):
    assert corpus.prepare(lines=[corpus.lines[0]]) == 1
    assert_problem(corpus, capsys, corpus.where(3), f"repeated id {corpus.ids[0]!r}: list each utterance once")


@pytest.mark.parametrize("name", ["../audio/E_1", "flac/../E_1"])
def test_an_id_that_leads_out_of_the_folder(corpus, capsys, name):
    assert corpus.prepare(lines=[corpus.line(name)]) == 1
    assert_problem(corpus, capsys, corpus.where(3), f"id {name!r} leads out of ")


def test_an_absolute_id(corpus, capsys):
    line = corpus.line("/E_1").replace("./", "")  # MLAAD's own start of a path
    assert corpus.prepare(lines=[line]) == 1
    assert_problem(corpus, capsys, corpus.where(3), "id '/E_1' leads out of ")


def test_missing_recordings(corpus, capsys):
    missing = [corpus.layout.id.format(f"x{number}") for number in range(12)]
    lines = [corpus.line(name) for name in missing]
    assert corpus.prepare(lines=lines) == 1
    what = f"no recording for 12 of 14 trials ({', '.join(missing[:10])} and 2 more) in {corpus.root / 'audio'}"
    assert_problem(corpus, capsys, corpus.where(3), f"{what}: check --audio, or leave them out with --allow-missing")
    assert corpus.prepare("--allow-missing", lines=lines) == 0
    assert [name for name, _, _ in corpus.trials()] == corpus.ids


def test_a_file_that_is_not_utf8(corpus, capsys):
    assert corpus.prepare(lines=[corpus.line("M\udcfcller")]) == 1
    assert_problem(corpus, capsys, corpus.where(3), "not UTF-8: convert the file to UTF-8")


def test_a_list_without_a_trial(corpus, capsys):
    corpus.lines = []
    assert corpus.prepare() == 1
    assert_problem(corpus, capsys, f"{corpus.file}:", "copy the file again" if corpus.layout.header else "the file is empty")
