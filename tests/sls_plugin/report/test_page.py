"""The report page: well-formed, on its own, nothing unescaped, and its numbers are those of the scores."""

import base64
import csv
import hashlib
import io
import json
import os
import re
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pytest

from protocols import DataError, Trial, write_manifest
from protocols.keys import read_keys
from sls_plugin.evaluation.evaluation import Bootstrap
from sls_plugin.metrics.bootstrap import bootstrap_eers
from sls_plugin.metrics.det import equal_error_rate
from sls_plugin.metrics.operating_point import risk_coverage
from sls_plugin.report.drawing import highest_shown
from sls_plugin.report.histogram import score_histogram
from sls_plugin.report.page import build_report
from sls_plugin.report.text import in_words
from sls_plugin.scores.run_metadata import write_metadata
from sls_plugin.scores.score_file import write_scores
from sls_plugin.scores.timeline import write_timeline

VOID = {"meta", "br", "img", "link", "input", "hr"}
EVIL = '<i>$x^2$ id="#010000&'
LONG = "an attack with a name that is longer than an axis can hold"
N_SAMPLES = 40


class Page(HTMLParser):
    """What a test wants to know of a page: tables as rows of text, links, ids, the text of each SVG."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.ids = [], Counter(), [], []
        self.tables, self.headings, self.paragraphs, self.svg_texts, self.heats = [], [], [], [], []
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
            if "--heat: " in attributes.get("style", ""):
                self.heats.append(float(attributes["style"].removeprefix("--heat: ").removesuffix("%")))
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

    def table_rows(self, column):
        """The rows of the table whose header begins with this column and is the last such one."""
        return [table for table in self.tables if table[0][0] == column][-1][1:]

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
    """The page of both systems with keys and a bootstrap."""
    return report_on_both(corpus)


def report_on_both(corpus):
    keys = read_keys("labels", corpus / "eval.tsv")
    files = [corpus / "good.txt", corpus / "poor.txt"]
    return build_report(files, keys, notes=["A <b>note</b>."], bootstrap=Bootstrap(N_SAMPLES))


def test_page_needs_nothing_else(two_systems):
    page = Page(two_systems)
    assert "://" not in two_systems
    assert not {"link", "iframe", "img"} & set(page.tags)
    for tag, attributes in page.attributes:
        for name, target in attributes.items():
            if name in ("src", "href", "xlink:href"):
                assert target.startswith(("#", "data:text/csv")), (tag, target)
    assert "url(" not in two_systems.replace("url(#", "")
    assert "@import" not in two_systems


def test_the_page_runs_its_own_script_only(two_systems):
    assert re.findall("<script[^>]*>", two_systems) == ["<script>"]
    script = two_systems[two_systems.index("<script>") + 8 : two_systems.index("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="(.*?)">', two_systems)
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def test_page_has_every_id_once_and_every_reference_inside(two_systems):
    page = Page(two_systems)
    assert max(Counter(page.ids).values()) == 1
    for _, attributes in page.attributes:
        for target in (attributes.get("xlink:href", ""), attributes.get("clip-path", "").removeprefix("url(")):
            if target.startswith("#"):
                assert target.strip("#)") in page.ids


def test_plots_take_their_colours_from_the_page(two_systems):
    page = Page(two_systems)
    assert page.tags["svg"] == 5  # DET, risk and coverage, two histograms, attacks
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
    assert not {"img", "b"} & set(page.tags)
    assert page.tags["script"] == 1  # the page's own
    assert ["<img src=x>", "2"] in page.table_rows("trial")
    assert "Distribution of scores: a<b>$c$_&" in page.headings


def test_summary_shows_the_eer_and_the_errors_at_its_threshold(two_systems, corpus):
    page = Page(two_systems)
    rows = page.table_below("EER (%)")
    counts = "150 trials, 60 bona fide and 90 spoof. A higher score means more bona fide."
    assert f"Corpus labels, phase all, keys eval.tsv: {counts}" in page.paragraphs
    assert [row["system"] for row in rows] == ["good", "poor"]
    for row in rows:
        bonafide, spoof = (list(scores.values()) for scores in scores_of(corpus / f"{row['system']}.txt"))
        eer, threshold = equal_error_rate(bonafide, spoof)
        rejected, accepted = sum(s <= threshold for s in bonafide), sum(s > threshold for s in spoof)
        assert (row["EER (%)"], row["EER threshold"]) == (f"{100 * eer:.2f}", f"{threshold:.6g}")
        assert row["bona fide judged spoof"] == f"{rejected} ({100 * rejected / 60:.2f} %)"
        assert row["spoof judged bona fide"] == f"{accepted} ({100 * accepted / 90:.2f} %)"


def test_intervals_and_the_comparison_are_of_one_bootstrap(two_systems, corpus):
    page = Page(two_systems)
    systems = [{**bonafide, **spoof} for bonafide, spoof in (scores_of(corpus / f"{name}.txt") for name in ("good", "poor"))]
    is_bonafide = [name[0] == "b" for name in systems[0]]
    samples = bootstrap_eers([list(system.values()) for system in systems], is_bonafide, N_SAMPLES)
    low, high = np.percentile(samples, [2.5, 97.5], axis=0)
    for row, *ends in zip(page.table_below("EER (%)"), low, high, strict=True):
        assert row["95 % interval"] == "[{:.2f}, {:.2f}]".format(*(100 * end for end in ends))
    ((worse, better, difference, *ends, p_value),) = page.csv("comparison.csv")
    assert (worse, better) == ("poor", "good")
    points = {row["system"]: float(row["EER (%)"]) for row in page.table_below("EER (%)")}
    assert 100 * float(difference) == pytest.approx(points["poor"] - points["good"], abs=0.011)
    np.testing.assert_allclose([float(end) for end in ends], np.percentile(samples[:, 1] - samples[:, 0], [2.5, 97.5]))
    assert float(p_value) == 2 / (N_SAMPLES + 1)
    (row,) = page.table_below("p-value")
    assert row["difference of the EER (points)"] == f"{100 * float(difference):.2f}"
    assert row["p-value"] == "< 0.049"  # as low as 40 samples can show


def test_without_a_bootstrap_there_is_no_interval_and_no_comparison(corpus):
    keys = read_keys("labels", corpus / "eval.tsv")
    page = Page(build_report([corpus / "good.txt", corpus / "poor.txt"], keys))
    assert "95 % interval" not in page.table_below("EER (%)")[0]
    assert "Paired comparison" not in page.headings


def test_one_system_is_compared_with_none(corpus):
    keys = read_keys("labels", corpus / "eval.tsv")
    page = Page(build_report([corpus / "good.txt"], keys, bootstrap=Bootstrap(5)))
    assert "95 % interval" in page.table_below("EER (%)")[0]
    assert "Paired comparison" not in page.headings


def test_trials_that_a_system_does_not_score_are_in_no_figure(corpus, tmp_path):
    for system, left_out in (("good", "b1"), ("poor", "s2")):
        lines = (corpus / f"{system}.txt").read_text().splitlines()
        (tmp_path / f"{system}.txt").write_text("\n".join(line for line in lines if line.split()[0] != left_out))
    files = [tmp_path / "good.txt", tmp_path / "poor.txt"]
    keys = read_keys("labels", corpus / "eval.tsv")
    with pytest.raises(DataError, match="1 trial of the keys has no score"):
        build_report(files, keys)
    page = Page(build_report(files, keys, allow_missing=True, bootstrap=Bootstrap(5)))
    left_out = "2 of 150 trials of the keys are not scored by every system and are left out of all figures"
    assert sum(text.startswith(left_out) for text in page.paragraphs) == 1
    assert any("148 trials, 59 bona fide and 89 spoof." in text for text in page.paragraphs)
    for row in page.table_below("EER (%)"):
        bonafide, spoof = scores_of(corpus / f"{row['system']}.txt")
        eer, _ = equal_error_rate([s for n, s in bonafide.items() if n != "b1"], [s for n, s in spoof.items() if n != "s2"])
        assert row["EER (%)"] == f"{100 * eer:.2f}"


def test_a_threshold_decides_the_verdicts(corpus):
    keys = read_keys("labels", corpus / "eval.tsv")
    page = Page(build_report([corpus / "good.txt"], keys, threshold=2.0))
    bonafide, spoof = scores_of(corpus / "good.txt")
    (row,) = page.table_below("EER (%)")
    assert row["bona fide judged spoof"].startswith(f"{sum(s <= 2 for s in bonafide.values())} (")
    assert row["spoof judged bona fide"].startswith(f"{sum(s > 2 for s in spoof.values())} (")
    assert any(text.startswith("A trial is judged bona fide when its score is above 2. ") for text in page.paragraphs)


def test_histogram_counts_every_trial(two_systems, corpus):
    bonafide, spoof = scores_of(corpus / "poor.txt")
    rows = [[float(cell) for cell in row] for row in Page(two_systems).csv("scores-2.csv")]
    last = len(rows) - 1
    for index, (low, high, n_bonafide, n_spoof) in enumerate(rows):
        for scores, count in ((bonafide, n_bonafide), (spoof, n_spoof)):
            assert count == sum(low <= s < high or (index == last and s == high) for s in scores.values())
    assert (sum(row[2] for row in rows), sum(row[3] for row in rows)) == (60, 90)


CROWDED = {
    "log-probabilities": lambda odds: -np.log1p(np.exp(-odds)),
    "probabilities": lambda odds: 1 / (1 + np.exp(-odds)),
    "outliers": lambda odds: np.where(np.arange(odds.size) % 99 == 0, 1e6 * odds, odds),
}


@pytest.mark.parametrize("spoil", CROWDED.values(), ids=CROWDED)
def test_scores_do_not_fall_into_one_bin(spoil):
    rng = np.random.default_rng(6)
    classes = {"bona fide": spoil(rng.normal(6, 1.5, 400)), "spoof": spoil(rng.normal(-6, 1.5, 400))}
    with np.errstate(all="raise"):
        plot = score_histogram("scores", "Scores", classes, threshold=float(spoil(np.zeros(2))[1]))
    counts = np.array([row[2:] for row in plot.data.rows])
    assert counts.sum(axis=0).tolist() == [400, 400]
    assert counts.max() < 100
    (threshold,) = re.findall(r'<path d="M ([\d.]+) [\d.]+ L \1 [^>]*stroke-dasharray', " ".join(plot.svg.split()))
    assert 100 < float(threshold) < 230  # of 331 points: between the classes, not on the frame


def test_trials_are_left_beyond_the_bins_only_where_that_helps():
    rng = np.random.default_rng(8)
    scores = np.concatenate([rng.normal(-1, 0.02, 10), rng.normal(0, 0.05, 20)])  # two narrow groups, no outlier
    plot = score_histogram("scores", "Scores", {"trials": scores}, None)
    assert plot.caption == "11 bins of equal width."
    assert (plot.data.rows[0][0], plot.data.rows[-1][1]) == (scores.min(), scores.max())


def test_scores_that_are_seen_well_are_drawn_as_they_are(two_systems):
    assert "log-odds" not in two_systems


@pytest.mark.parametrize("threshold", [-5.0, 0.0, 2.0, 1e30])
def test_a_threshold_beyond_the_scores_is_drawn(threshold):
    odds = np.random.default_rng(7).normal(6, 1, 400)
    for scores in (-np.log1p(np.exp(-odds)), 1 / (1 + np.exp(-odds))):
        with np.errstate(invalid="raise"):
            assert "nan" not in score_histogram("scores", "Scores", {"trials": scores}, threshold).svg.lower()


def test_an_inverted_system_leaves_the_others_their_axes(corpus, tmp_path):
    text = (corpus / "good.txt").read_text().splitlines()
    negated = [(name, -float(score)) for name, score in map(str.split, text)]
    write_scores(tmp_path / "inverted.txt", negated)
    keys = read_keys("labels", corpus / "eval.tsv")
    alone = Page(build_report([corpus / "good.txt", corpus / "poor.txt"], keys))
    page = Page(build_report([corpus / "good.txt", corpus / "poor.txt", tmp_path / "inverted.txt"], keys))
    assert page.svg_texts[0] == alone.svg_texts[0]  # the ticks of the DET plot
    ticks = [float(text) for text in page.svg_texts[-1] if text.isdigit()]
    assert max(ticks) <= 50
    assert sum(text.endswith(" ▸") for text in page.svg_texts[-1]) == 3  # an attack each
    assert page.csv("attacks.csv")[0][-1] == str(equal_error_rate(*inverted_attack(corpus))[0])


def inverted_attack(corpus):
    """The scores of the inverted system: bona fide, and spoofs of the first attack of the page."""
    bonafide, spoof = scores_of(corpus / "good.txt")
    return [-score for score in bonafide.values()], [-score for name, score in spoof.items() if int(name[1:]) % 3 == 2]


@pytest.mark.parametrize(
    ("rates", "highest"),
    [
        ([[0.1, 0.3], [0.99]], 0.3), ([[0.9, 0.7]], 0.9), ([[0.0], [0.8]], 0.8), ([[np.nan, 0.2]], 0.2), ([[np.nan]], 0),
        ([[0.5]], 0.5),
    ],
)  # fmt: skip
def test_the_highest_rate_that_is_shown(rates, highest):
    assert highest_shown(rates) == highest


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
    assert [row[:3] for row in rows] == [[EVIL, "60", "30"], ["A1", "60", "30"], [LONG, "60", "30"]]
    for column, system in enumerate(("good", "poor"), start=3):
        bonafide, spoof = scores_of(corpus / f"{system}.txt")
        for row, attack in zip(rows, (2, 0, 1), strict=True):
            of_attack = [score for name, score in spoof.items() if int(name[1:]) % 3 == attack]
            eer = equal_error_rate(list(bonafide.values()), of_attack)[0]
            assert float(row[column]) == eer
            assert f"{100 * eer:.2f}" in page.svg_texts[-1]


def test_the_worst_errors_are_listed(two_systems, corpus):
    page = Page(two_systems)
    bonafide, spoof = scores_of(corpus / "poor.txt")
    threshold = equal_error_rate(list(bonafide.values()), list(spoof.values()))[1]
    rejected = sorted((score, name) for name, score in bonafide.items() if score <= threshold)
    accepted = sorted(((score, name) for name, score in spoof.items() if score > threshold), reverse=True)
    tables = [table[1:] for table in page.tables if table[0] == ["trial", "score"]]
    assert tables[-2:] == [[[name, f"{score:.6g}"] for score, name in errors[:10]] for errors in (rejected, accepted)]
    captions = [text for text in page.paragraphs if "trials; the 10 worst." in text]
    assert captions[-2:] == [
        f"{len(rejected)} of 60 trials; the 10 worst.", f"{len(accepted)} of 90 trials; the 10 worst.",
    ]  # fmt: skip


def test_all_trials_are_listed_with_what_is_known(two_systems, corpus):
    page = Page(two_systems)
    (table,) = [table for table in page.tables if "judged wrongly by" in table[0]]
    assert table[0] == ["trial", "label", "good", "poor", "judged wrongly by", "attack"]
    good, poor = ({**b, **s} for b, s in (scores_of(corpus / f"{name}.txt") for name in ("good", "poor")))
    assert [row[0] for row in table[1:]] == sorted(good, key=good.__getitem__)
    thresholds = [float(row["EER threshold"]) for row in page.table_below("EER (%)")]
    for name, label, *scores, wrong, attack in table[1:]:
        assert (label, attack == "-") == (("bonafide", True) if name[0] == "b" else ("spoof", False))
        assert scores == [f"{good[name]:.6g}", f"{poor[name]:.6g}"]
        expected = [
            system for system, score, threshold in zip(("good", "poor"), (good[name], poor[name]), thresholds, strict=True)
            if (score > threshold * (1 + 1e-6)) != (name[0] == "b") and abs(score / threshold - 1) > 1e-5
        ]  # fmt: skip
        if all(abs(score / threshold - 1) > 1e-5 for score, threshold in zip((good[name], poor[name]), thresholds, strict=True)):
            assert wrong == ", ".join(expected)


def test_the_slider_has_the_errors_at_its_thresholds(two_systems, corpus):
    page = Page(two_systems)
    sliders = [attributes for _, attributes in page.attributes if "data-points" in attributes]
    inputs = [attributes for tag, attributes in page.attributes if tag == "input" and attributes["type"] == "range"]
    for system, slider, chosen, row in zip(("good", "poor"), sliders, inputs, page.table_below("EER (%)"), strict=True):
        bonafide, spoof = (np.array(list(scores.values())) for scores in scores_of(corpus / f"{system}.txt"))
        points = json.loads(slider["data-points"])
        assert len(points) == int(chosen["max"]) + 1 > 100
        for threshold, misses, false_alarms in points:
            assert misses == pytest.approx(100 * np.mean(spoof > threshold))
            assert false_alarms == pytest.approx(100 * np.mean(bonafide <= threshold))
        assert (points[0][1:], points[-1][1:]) == ([100, 0], [0, 100])
        assert f"{points[int(chosen['value'])][0]:.6g}" == row["EER threshold"]


def test_the_page_begins_with_its_meaning_in_words(two_systems, corpus):
    page = Page(two_systems)
    for row in page.table_below("EER (%)"):
        columns = ("spoof judged bona fide", "bona fide judged spoof")
        misses, false_alarms = (float(re.search(r"\((.*) %", row[column])[1]) for column in columns)
        words = in_words(misses / 100, false_alarms / 100)
        assert f"{row['system']}: {words}." in page.paragraphs


@pytest.mark.parametrize(
    ("misses", "false_alarms", "words"),
    [
        (0.07, 0.072, "of 100 fakes it lets 7 pass, and of 100 real recordings it rejects 7"),
        (0, 0.5, "of 100 fakes it lets none pass, and of 100 real recordings it rejects 50"),
        (0.009, 0.2, "of 1,000 fakes it lets 9 pass, and of 1,000 real recordings it rejects 200"),
        (0.00001, 0.2, "of 100,000 fakes it lets 1 pass, and of 100,000 real recordings it rejects 20,000"),
        (0, 0, "of 100 fakes it lets none pass, and of 100 real recordings it rejects none"),
        (1, 0, "of 100 fakes it lets 100 pass, and of 100 real recordings it rejects none"),
    ],
)
def test_error_rates_in_words(misses, false_alarms, words):
    assert in_words(misses, false_alarms) == words


def test_risk_and_coverage_are_those_of_the_scores(two_systems, corpus):
    rows = [row for row in Page(two_systems).csv("risk-coverage.csv") if row[0] == "poor"]
    bonafide, spoof = (np.array(list(scores.values())) for scores in scores_of(corpus / "poor.txt"))
    expected = risk_coverage(np.concatenate([bonafide, spoof]), np.arange(150) < 60)
    points = {tuple(point) for point in np.transpose(expected).tolist()}
    assert len(rows) > 20
    assert {tuple(float(cell) for cell in row[1:]) for row in rows} <= points


def test_the_page_says_where_it_is_from(tmp_path):
    scores, keys = tmp_path / "scores.txt", tmp_path / "labels.txt"
    keys.write_text("a bonafide\nb spoof\n")
    scores.write_text("a 1\nb 0\n")
    os.utime(scores, (0, 86_400))
    write_metadata(scores, {"checkpoint": "ab" * 32, "batch_size": 8, "device": "cpu", "llr": False, "windows": 64_600})
    page = Page(build_report([scores], read_keys("labels", keys)))
    first, second = page.table_below("SHA-256")
    assert first["file"] == "scores.txt"
    assert first["last changed (UTC)"] == "1970-01-02 00:00:00"
    assert first["SHA-256"] == hashlib.sha256(scores.read_bytes()).hexdigest()
    assert first["checkpoint (SHA-256)"] == "ab" * 32
    assert first["settings"] == "batch_size 8, device cpu, windows 64600"
    assert (second["file"], second["SHA-256"]) == ("labels.txt", hashlib.sha256(keys.read_bytes()).hexdigest())
    scores.write_text("a 2\nb 0\n")  # the record is no longer of this file
    first, _ = Page(build_report([scores], read_keys("labels", keys))).table_below("SHA-256")
    assert first["checkpoint (SHA-256)"] == "unknown: no run record beside the scores"


@pytest.fixture(scope="module")
def la_2021(la_2021_folder):
    """The page of two systems on a small key of 2021 LA with ASV scores."""
    files = [la_2021_folder / "good.txt", la_2021_folder / "poor.txt"]
    return Page(build_report(files, read_keys("2021la", la_2021_folder)))


def test_official_tables_of_each_system_have_coloured_cells(la_2021):
    titles = [f"{measure}: {system}" for system in ("good", "poor") for measure in ("EER (%)", "min t-DCF (2021 form)")]
    assert [heading for heading in la_2021.headings if heading in titles] == titles
    summary = la_2021.table_below("min t-DCF (2021)")
    official = [table for table in la_2021.tables if table[0][0] == "" and table[0][-1] == "pooled"]
    for row, eers, costs in zip(summary, official[::2], official[1::2], strict=True):
        assert (row["EER (%)"], row["min t-DCF (2021)"]) == (eers[-1][-1], costs[-1][-1])  # all pooled
    for name, table in zip(("eer-table-1", "min-tdcf-table-1", "eer-table-2", "min-tdcf-table-2"), official, strict=True):
        assert [row[0] for row in la_2021.csv(f"{name}.csv")] == [row[0] for row in table[1:]]
    cells = [cell for table in official for row in table[1:] for cell in row[1:]]
    for cell, heat in zip(cells, la_2021.heats, strict=True):
        assert (cell == "–") == (heat == 0)


def test_costs_are_shown_where_there_is_an_asv_system(la_2021, two_systems):
    assert any("160 scores of the organisers' system" in text for text in la_2021.paragraphs)
    assert any("papers on this corpus report that of 2021." in text for text in la_2021.paragraphs)
    assert {"min t-DCF (2021)", "min t-DCF (2019)", "minDCF"} < set(la_2021.table_below("EER (%)")[0])
    columns = set(Page(two_systems).table_below("EER (%)")[0])
    assert "minDCF" in columns
    assert not {"min t-DCF (2021)", "min t-DCF (2019)"} & columns


def test_the_page_stays_small(tmp_path):
    rng = np.random.default_rng(0)
    n = 60_000
    labels = ["bonafide" if number % 10 == 0 else "spoof" for number in range(n)]
    (tmp_path / "labels.txt").write_text("".join(f"{number} {label}\n" for number, label in enumerate(labels)))
    for system in "ab":
        scores = rng.normal(size=n) + 3 * (np.array(labels) == "bonafide")
        (tmp_path / f"{system}.txt").write_text("".join(f"{number} {score:.9g}\n" for number, score in enumerate(scores)))
    page = build_report([tmp_path / "a.txt", tmp_path / "b.txt"], read_keys("labels", tmp_path / "labels.txt"))
    assert len(page) < 1_000_000
    assert any(text == "The 5,000 lowest scores of 60,000; the score files have all." for text in Page(page).paragraphs)


def test_perfect_scores_have_a_page_too(tmp_path):
    (tmp_path / "labels.txt").write_text("a bonafide\nb spoof\n")
    (tmp_path / "scores.txt").write_text("a 1\nb 0\n")
    page = Page(build_report([tmp_path / "scores.txt"], read_keys("labels", tmp_path / "labels.txt")))
    (row,) = page.table_below("EER (%)")
    assert (row["EER (%)"], row["EER threshold"]) == ("0.00", "0")
    assert page.paragraphs.count("0 of 1 trials.") == 2


def test_warnings_are_shown_with_their_system(tmp_path):
    (tmp_path / "labels.txt").write_text("a bonafide\nb spoof\n")
    (tmp_path / "upside_down.txt").write_text("a 0\nb 1\n")
    page = Page(build_report([tmp_path / "upside_down.txt"], read_keys("labels", tmp_path / "labels.txt")))
    assert any(text.startswith("upside_down: the EER of 100.00 % is above 50 %") for text in page.paragraphs)


@pytest.mark.parametrize("threshold", [None, 0.25])
def test_without_keys_all_trials_are_listed_and_perhaps_judged(corpus, threshold):
    page = Page(build_report([corpus / "good.txt"], threshold=threshold))
    bonafide, spoof = scores_of(corpus / "good.txt")
    scores = sorted((score, name) for name, score in (bonafide | spoof).items())
    assert page.tags["svg"] == 1
    verdicts = [[] if threshold is None else ["bona fide" if score > threshold else "spoof"] for score, _ in scores]
    listed = [[name, f"{score:.6g}", *verdict] for (score, name), verdict in zip(scores, verdicts, strict=True)]
    assert page.table_rows("trial") == listed
    (row,) = page.table_below("median")
    assert (row["trials"], row["lowest score"]) == ("150", f"{scores[0][0]:.6g}")
    if threshold is None:
        assert "judged spoof" not in row
    else:
        above = sum(score > threshold for score, _ in scores)
        assert (row["judged bona fide"], row["judged spoof"]) == (str(above), str(150 - above))


@pytest.mark.parametrize("with_keys", [True, False])
def test_timelines_are_drawn_beside_the_scores(tmp_path, with_keys):
    for name, worst in (("a", -7.0), ("b", -3.5)):
        write_scores(tmp_path / f"{name}.txt", [("x", 0.0), ("y", -1.0)])
        long = [0.0] * 400
        long[123] = worst  # a short passage
        rows = [("x", [(0.0, 2.0, 0.0), (1.0, 3.0, worst), (2.0, 4.0, -0.9)]), ("y", [(0.0, 2.0, score) for score in long])]
        write_timeline(tmp_path / f"{name}.txt", rows)
    (tmp_path / "keys").write_text("x bonafide\ny spoof\n")
    keys = read_keys("labels", tmp_path / "keys") if with_keys else None
    page = Page(build_report([tmp_path / "a.txt"], keys))
    rows = {row["trial"]: row["timeline"] for row in page.table_below("timeline")}
    assert rows["x"] == "█▁▇"
    assert rows["y"] == "".join("▁" if number == 12 else "█" for number in range(40))
    assert any("A bar of a timeline is the lowest score" in text for text in page.paragraphs)
    write_scores(tmp_path / "none.txt", [("x", 0.0), ("y", -1.0)])
    page = Page(build_report([tmp_path / "a.txt", tmp_path / "none.txt", tmp_path / "b.txt"], keys))
    row = page.table_below("timeline of a")[-1]
    assert (row["timeline of a"], row["timeline of b"]) == ("█▁▇", "█▁▆")
    assert "timeline of none" not in row


def test_files_with_other_trials_share_a_table(tmp_path):
    write_scores(tmp_path / "a.txt", [("x", 1.0), ("y", -1.0)])
    write_scores(tmp_path / "b.txt", [("y", 2.0), ("z", 0.5)])
    page = Page(build_report([tmp_path / "a.txt", tmp_path / "b.txt"], threshold=0.0))
    expected = [["y", "-1", "2", "spoof", "bona fide"], ["x", "1", "", "bona fide", ""], ["z", "", "0.5", "", "bona fide"]]
    assert page.table_rows("trial") == expected


def test_files_of_one_name_are_named_by_their_paths(tmp_path):
    paths = [tmp_path / name / "scores.txt" for name in ("a", "b")]
    for path in paths:
        write_scores(path, [("x", 1.0)])
    rows = Page(build_report(paths)).table_below("median")
    assert [row["system"] for row in rows] == [str(path) for path in paths]


def test_the_same_scores_give_the_same_page(corpus, two_systems):
    assert report_on_both(corpus) == two_systems


HOSTILE = ["=HYPERLINK(1)", "+1+1", "-2+3", "@SUM(A1)"]
UNSEEN = {"\x1b[31mred": "\\x1b[31mred", "fpj\u202egpj": "fpj\\u202egpj", "a\u2066b": "a\\u2066b"}


def report_on_attacks(tmp_path, attacks):
    trials = [Trial("b1", "x", "bonafide"), Trial("b2", "x", "bonafide")]
    trials += [Trial(f"s{number}", "x", "spoof", facts={"attack": attack}) for number, attack in enumerate(attacks)]
    write_manifest(tmp_path / "eval.tsv", trials)
    write_scores(tmp_path / "scores.txt", [(trial.id, -number / 7) for number, trial in enumerate(trials)])
    return build_report([tmp_path / "scores.txt"], read_keys("labels", tmp_path / "eval.tsv"))


def test_no_cell_of_a_csv_file_is_a_formula(tmp_path):
    page = Page(report_on_attacks(tmp_path, HOSTILE))
    links = [attributes["href"] for _, attributes in page.attributes if attributes.get("href", "").startswith("data:text/csv")]
    files = [base64.b64decode(link.partition(",")[2]).decode() for link in links]
    cells = {cell for file in files for row in csv.reader(io.StringIO(file)) for cell in row}
    assert {f"'{attack}" for attack in HOSTILE} <= cells
    assert not cells & set(HOSTILE)
    numbers = [cell for cell in cells if cell.lstrip("-").replace(".", "").isdigit()]
    assert any(float(number) < 0 for number in numbers)  # a negative number stays one


@pytest.mark.filterwarnings("ignore:Glyph")
def test_no_name_reverses_the_text_of_the_page(tmp_path):
    page = report_on_attacks(tmp_path, UNSEEN)
    for name, shown in UNSEEN.items():
        assert name not in page
        assert shown in page
