"""The report page: well-formed, on its own, nothing unescaped, and its numbers are those of the scores."""

import base64
import csv
import io
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pytest

from protocols import Trial, write_manifest
from protocols.keys import read_keys
from sls_plugin.metrics.det import equal_error_rate
from sls_plugin.report.page import build_report
from sls_plugin.scoring.score_file import write_scores

VOID = {"meta", "br", "img", "link", "input", "hr"}
EVIL = '<i>$x^2$ id="#010000&'
LONG = "an attack with a name that is longer than an axis can hold"


class Page(HTMLParser):
    """What a test wants to know of a page: tables as rows of text, links, ids, the text of each SVG."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.ids = [], Counter(), [], []
        self.tables, self.headings, self.paragraphs, self.svg_texts = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags[tag] += 1
        attributes = dict(attributes)
        self.attributes.append((tag, attributes))
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag in ("h1", "h2", "h3"):
            self.headings.append("")
        elif tag == "svg":
            self.svg_texts.append([])
        elif tag in ("p", "caption"):
            self.paragraphs.append("")

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open:
            return
        if self.open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data
        elif self.open[-1] in ("h1", "h2", "h3"):
            self.headings[-1] += data
        elif self.open[-1] == "text":
            self.svg_texts[-1].append(data)
        elif self.open[-1] in ("p", "caption"):
            self.paragraphs[-1] += data

    def csv(self, name):
        """The rows of a CSV link, without its header."""
        (link,) = [a["href"] for tag, a in self.attributes if tag == "a" and a["download"] == name]
        text = base64.b64decode(link.removeprefix("data:text/csv;charset=utf-8;base64,")).decode()
        return list(csv.reader(io.StringIO(text)))[1:]

    def table_below(self, column):
        """The rows of the table whose header has this column."""
        (table,) = [table for table in self.tables if column in table[0]]
        return [dict(zip(table[0], row, strict=True)) for row in table[1:]]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Keys of 60 bona fide trials and 90 spoofs of three attacks, and the scores of a good and of a poor system."""
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(3)
    trials = [Trial(f"b{number}", "b.wav", "bonafide", facts={"attack": "-"}) for number in range(60)]
    attacks = ("A1", LONG, EVIL)
    trials += [Trial(f"s{number}", "s.wav", "spoof", facts={"attack": attacks[number % 3]}) for number in range(90)]
    write_manifest(folder / "eval.tsv", trials)
    for name, distance in (("good", 2.5), ("poor", 0.7)):
        scores = rng.normal(size=150) + distance * np.array([trial.label == "bonafide" for trial in trials])
        write_scores(folder / f"{name}.txt", [(t.id, float(f"{s:.9g}")) for t, s in zip(trials, scores, strict=True)])
    return folder


def scores_of(path):
    """Bona fide and spoof scores of a file of the corpus above, as dictionaries."""
    pairs = [line.split() for line in path.read_text().splitlines()]
    return tuple({name: float(score) for name, score in pairs if name[0] == first} for first in "bs")


@pytest.fixture(scope="module")
def two_systems(corpus):
    """The page of both systems with keys."""
    keys = read_keys("labels", corpus / "eval.tsv")
    return build_report([corpus / "good.txt", corpus / "poor.txt"], keys, notes=["A <b>note</b>."])


def test_page_needs_nothing_else(two_systems):
    page = Page(two_systems)
    assert "://" not in two_systems
    assert not {"script", "link", "iframe", "img"} & set(page.tags)
    for tag, attributes in page.attributes:
        for name, target in attributes.items():
            if name in ("src", "href", "xlink:href"):
                assert target.startswith(("#", "data:text/csv")), (tag, target)
    assert "url(" not in two_systems.replace("url(#", "")
    assert "@import" not in two_systems


def test_page_has_every_id_once_and_every_reference_inside(two_systems):
    page = Page(two_systems)
    assert max(Counter(page.ids).values()) == 1
    for _, attributes in page.attributes:
        for target in (attributes.get("xlink:href", ""), attributes.get("clip-path", "").removeprefix("url(")):
            if target.startswith("#"):
                assert target.strip("#)") in page.ids


def test_plots_take_their_colours_from_the_page(two_systems):
    page = Page(two_systems)
    assert page.tags["svg"] == 4  # DET, two histograms, attacks
    style = two_systems[two_systems.index("<style>") : two_systems.index("</style>")]
    for _, attributes in page.attributes:
        for colour in attributes.get("style", "").split("var(")[1:]:
            assert f"{colour.split(')')[0]}:" in style
    drawn = "".join(attributes.get("style", "") for _, attributes in page.attributes)
    assert "currentColor" in drawn
    assert "#" not in drawn.replace("url(#", "")


def test_names_are_escaped(two_systems, tmp_path):
    page = Page(two_systems)
    assert "A <b>note</b>." in page.paragraphs
    assert {EVIL, f"{LONG[:23]}…"} <= set(page.svg_texts[-1])  # attacks on their axis
    assert any(EVIL in row for table in page.tables for row in table)
    path = tmp_path / "a<b>$c$_&.txt"
    write_scores(path, [("<script>alert(1)</script>", 1.0), ("<img src=x>", 2.0)])
    page = Page(build_report([path], title="<script>"))
    assert page.headings[0] == "<script>"
    assert not {"script", "img", "b"} & set(page.tags)
    assert ["<img src=x>", "2"] in page.tables[-1]
    assert "Distribution of scores: a<b>$c$_&" in page.headings


def test_summary_tells_the_eer_and_the_errors_at_its_threshold(two_systems, corpus):
    rows = Page(two_systems).table_below("EER (%)")
    assert [row["system"] for row in rows] == ["good", "poor"]
    for row in rows:
        bonafide, spoof = (list(scores.values()) for scores in scores_of(corpus / f"{row['system']}.txt"))
        eer, threshold = equal_error_rate(bonafide, spoof)
        rejected, accepted = sum(s <= threshold for s in bonafide), sum(s > threshold for s in spoof)
        assert (row["trials"], row["bona fide"], row["spoof"]) == ("150", "60", "90")
        assert (row["EER (%)"], row["EER threshold"]) == (f"{100 * eer:.2f}", f"{threshold:.6g}")
        assert row["bona fide judged spoof"] == f"{rejected} ({100 * rejected / 60:.2f} %)"
        assert row["spoof judged bona fide"] == f"{accepted} ({100 * accepted / 90:.2f} %)"


def test_a_threshold_decides_the_verdicts(corpus):
    keys = read_keys("labels", corpus / "eval.tsv")
    page = Page(build_report([corpus / "good.txt"], keys, threshold=2.0))
    bonafide, spoof = scores_of(corpus / "good.txt")
    (row,) = page.table_below("EER (%)")
    assert row["bona fide judged spoof"].startswith(f"{sum(s <= 2 for s in bonafide.values())} (")
    assert row["spoof judged bona fide"].startswith(f"{sum(s > 2 for s in spoof.values())} (")
    assert "A trial is judged bona fide when its score is above 2." in page.paragraphs


def test_histogram_counts_every_trial(two_systems, corpus):
    bonafide, spoof = scores_of(corpus / "poor.txt")
    rows = [[float(cell) for cell in row] for row in Page(two_systems).csv("scores-2.csv")]
    last = len(rows) - 1
    for index, (low, high, n_bonafide, n_spoof) in enumerate(rows):
        for scores, count in ((bonafide, n_bonafide), (spoof, n_spoof)):
            assert count == sum(low <= s < high or (index == last and s == high) for s in scores.values())
    assert (sum(row[2] for row in rows), sum(row[3] for row in rows)) == (60, 90)


def test_det_points_are_rates_at_their_thresholds(two_systems, corpus):
    rows = Page(two_systems).csv("det.csv")
    for system in ("good", "poor"):
        bonafide, spoof = (np.array(list(scores.values())) for scores in scores_of(corpus / f"{system}.txt"))
        points = [[float(cell) for cell in row[1:]] for row in rows if row[0] == system]
        assert len(points) > 50
        for threshold, acceptance, rejection in points:
            assert acceptance == pytest.approx((spoof > threshold).mean(), abs=1e-12)
            assert rejection == pytest.approx((bonafide <= threshold).mean(), abs=1e-12)


def test_attacks_have_a_bar_each_with_their_eer(two_systems, corpus):
    page = Page(two_systems)
    rows = page.csv("attacks.csv")
    assert [row[:2] for row in rows] == [[EVIL, "30"], ["A1", "30"], [LONG, "30"]]
    for column, system in enumerate(("good", "poor"), start=2):
        bonafide, spoof = scores_of(corpus / f"{system}.txt")
        for row, attack in zip(rows, (2, 0, 1), strict=True):
            of_attack = [score for name, score in spoof.items() if int(name[1:]) % 3 == attack]
            eer = equal_error_rate(list(bonafide.values()), of_attack)[0]
            assert float(row[column]) == eer
            assert f"{100 * eer:.2f}" in page.svg_texts[-1]


def test_most_mistaken_trials_are_the_worst_errors(two_systems, corpus):
    page = Page(two_systems)
    bonafide, spoof = scores_of(corpus / "poor.txt")
    threshold = equal_error_rate(list(bonafide.values()), list(spoof.values()))[1]
    rejected = sorted((score, name) for name, score in bonafide.items() if score <= threshold)
    accepted = sorted(((score, name) for name, score in spoof.items() if score > threshold), reverse=True)
    assert page.tables[-2][1:] == [[name, f"{score:.6g}"] for score, name in rejected[:10]]
    assert page.tables[-1][1:] == [[name, f"{score:.6g}"] for score, name in accepted[:10]]
    assert page.paragraphs[-2:] == [
        f"{len(rejected)} of 60 trials; the 10 most mistaken.", f"{len(accepted)} of 90 trials; the 10 most mistaken.",
    ]  # fmt: skip


def test_perfect_scores_have_a_page_too(tmp_path):
    (tmp_path / "labels.txt").write_text("a bonafide\nb spoof\n")
    (tmp_path / "scores.txt").write_text("a 1\nb 0\n")
    page = Page(build_report([tmp_path / "scores.txt"], read_keys("labels", tmp_path / "labels.txt")))
    (row,) = page.table_below("EER (%)")
    assert (row["EER (%)"], row["EER threshold"]) == ("0.00", "0")
    assert page.paragraphs[-2:] == ["0 of 1 trials.", "0 of 1 trials."]


def test_warnings_are_shown_with_their_system(tmp_path):
    (tmp_path / "labels.txt").write_text("a bonafide\nb spoof\n")
    (tmp_path / "upside_down.txt").write_text("a 0\nb 1\n")
    page = Page(build_report([tmp_path / "upside_down.txt"], read_keys("labels", tmp_path / "labels.txt")))
    assert any(text.startswith("upside_down: the EER of 100.00 % is above 50 %") for text in page.paragraphs)


@pytest.mark.parametrize("threshold", [None, 0.25])
def test_without_keys_there_are_extremes_and_perhaps_verdicts(corpus, threshold):
    page = Page(build_report([corpus / "good.txt"], threshold=threshold))
    bonafide, spoof = scores_of(corpus / "good.txt")
    scores = sorted(((score, name) for name, score in (bonafide | spoof).items()), reverse=True)
    assert page.tags["svg"] == 1
    assert page.tables[-2][1:] == [[name, f"{score:.6g}"] for score, name in scores[:10]]
    assert page.tables[-1][1:] == [[name, f"{score:.6g}"] for score, name in scores[:-11:-1]]
    (row,) = page.table_below("median")
    assert (row["trials"], row["lowest score"]) == ("150", f"{scores[-1][0]:.6g}")
    if threshold is None:
        assert "judged spoof" not in row
    else:
        above = sum(score > threshold for score, _ in scores)
        assert (row["judged bona fide"], row["judged spoof"]) == (str(above), str(150 - above))


def test_files_of_one_name_are_told_apart_by_their_paths(tmp_path):
    paths = [tmp_path / name / "scores.txt" for name in ("a", "b")]
    for path in paths:
        write_scores(path, [("x", 1.0)])
    rows = Page(build_report(paths)).table_below("median")
    assert [row["system"] for row in rows] == [str(path) for path in paths]


def test_the_same_scores_give_the_same_page(corpus, two_systems):
    keys = read_keys("labels", corpus / "eval.tsv")
    assert build_report([corpus / "good.txt", corpus / "poor.txt"], keys, notes=["A <b>note</b>."]) == two_systems
