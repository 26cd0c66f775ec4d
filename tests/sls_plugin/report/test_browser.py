"""The report in a browser, on a desk and on a phone: it fits, it is whole, it asks for nothing, and nothing complains."""

import html
import json
import re
import shutil
import subprocess
from collections.abc import Iterator

import numpy as np
import pytest

from protocols import Trial, write_manifest
from protocols.keys import read_keys
from sls_plugin.evaluation.evaluation import Bootstrap
from sls_plugin.report.page import build_report
from sls_plugin.scores.score_file import write_scores

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
WIDTHS = (1280, 390)  # a desk and a phone
LONG = "a_system_whose_name_is_longer_than_a_phone_is_wide_and_has_no_space_to_break_it_at"

pytestmark = pytest.mark.skipif(BROWSER is None, reason=f"no browser: none of {', '.join(BROWSERS)} is on the PATH")

# A frame of each width holds the report; what is seen of it is written where --dump-dom shows it.
WRAPPER = """<!DOCTYPE html><body>{frames}<pre></pre><script>
const visible = page => [...page.querySelectorAll("#trials tbody tr")].filter(row => row.offsetHeight > 0);
const first = page => visible(page)[0].cells[0].textContent;
function use(page) {{
  const heading = page.querySelector("#trials th button");
  const search = page.querySelector("#trials input");
  const slider = page.querySelector("#threshold input");
  const seen = {{ all: visible(page).length }};
  heading.click();
  seen.ascending = first(page);
  heading.click();
  seen.descending = first(page);
  search.value = "0 TRIAL_1";
  search.dispatchEvent(new Event("input"));
  seen.found = visible(page).map(row => row.cells[0].textContent);
  seen.count = page.querySelector("#trials output").textContent;
  search.value = "";
  search.dispatchEvent(new Event("input"));
  if (slider) {{
    seen.before = page.querySelector("#threshold p").innerText;
    slider.value = 0;
    slider.dispatchEvent(new Event("input"));
    seen.after = page.querySelector("#threshold p").innerText;
  }}
  return seen;
}}
addEventListener("load", () => {{
  const seen = [...document.querySelectorAll("iframe")].map(({{contentDocument: page, contentWindow: window}}) => ({{
    width: page.documentElement.clientWidth,
    content: page.documentElement.scrollWidth,
    sections: [...page.querySelectorAll("main > section")].filter(part => part.offsetHeight > 0).map(part => part.id),
    plots: [...page.querySelectorAll("figure")].map(figure => figure.id),
    drawn: [...page.querySelectorAll("figure svg")].every(svg => svg.getBoundingClientRect().width > 200),
    trials: use(page),
    loaded: window.performance.getEntriesByType("resource").map(entry => entry.name),
  }}));
  document.querySelector("pre").textContent = JSON.stringify(seen);
}});
</script></body>"""


@pytest.fixture(scope="module")
def corpus_page(tmp_path_factory):
    """The report of three systems on trials with attacks, codecs and durations."""
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(2)
    is_bonafide = rng.random(400) < 0.4
    trials = [
        Trial(
            f"trial_{number}", "t.wav", "bonafide" if label else "spoof", int(rng.integers(8_000, 80_000)),
            {"attack": "-" if label else f"A{number % 35}", "codec": f"C{number % 3}"},
        )
        for number, label in enumerate(is_bonafide)
    ]  # fmt: skip
    write_manifest(folder / "eval.tsv", trials)
    for name in ("a", "b", LONG):
        scores = rng.normal(size=400) + 2 * is_bonafide
        pairs = zip(trials, scores, strict=True)
        write_scores(folder / f"{name}.txt", [(trial.id, float(f"{score:.9g}")) for trial, score in pairs])
    files = [folder / f"{name}.txt" for name in ("a", "b", LONG)]
    return build_report(files, read_keys("labels", folder), notes=[LONG], bootstrap=Bootstrap(5))


@pytest.fixture
def look(tmp_path):
    """A function that shows a page to the browser: what is seen at each width, and what the console says."""

    def run(page: str) -> tuple[list[dict], list[str]]:
        frames = (f'<iframe srcdoc="{html.escape(page)}" style="width: {width}px; height: 900px; border: 0"></iframe>'
                  for width in WIDTHS)  # fmt: skip
        (tmp_path / "wrapper.html").write_text(WRAPPER.format(frames="".join(frames)), encoding="utf-8")
        options = [
            "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'user'}",
        ]  # fmt: skip
        command = [BROWSER, *options, "--dump-dom", (tmp_path / "wrapper.html").as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=900)
        seen = json.loads(html.unescape(re.search(r"<pre>(.+?)</pre>", done.stdout)[1]))
        return seen, [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    return run


def faults(seen: list[dict], console: list[str]) -> Iterator[str]:
    """What must not be seen of any report."""
    for frame, width in zip(seen, WIDTHS, strict=True):
        assert abs(frame["width"] - width) < 20  # a scroll bar
        if frame["content"] > frame["width"]:
            yield "overflow"
        if frame["loaded"]:
            yield "loaded"
        if not frame["drawn"]:
            yield "not drawn"
    if console:
        yield "console"


def test_a_report_fits_and_is_whole(look, corpus_page):
    seen, console = look(corpus_page)
    assert list(faults(seen, console)) == []
    for frame in seen:
        assert frame["sections"] == ["summary", "threshold", "comparison", "plots", "worst", "trials", "provenance"]
        assert frame["plots"] == ["det", "risk-coverage", "scores-1", "scores-2", "scores-3", "attacks", "codecs", "durations"]


def test_official_tables_fit_too(look, la_2021_folder):
    files = [la_2021_folder / "good.txt", la_2021_folder / "poor.txt"]
    seen, console = look(build_report(files, read_keys("2021la", la_2021_folder), bootstrap=Bootstrap(5)))
    assert list(faults(seen, console)) == []
    sections = ["summary", "threshold", "comparison", "plots", "tables", "worst", "trials", "provenance"]
    assert [frame["sections"] for frame in seen] == [sections] * 2


def test_a_report_without_keys_fits_too(look, tmp_path):
    write_scores(tmp_path / f"{LONG}.txt", [(f"folder/{LONG}/{number}.wav", float(number)) for number in range(30)])
    seen, console = look(build_report([tmp_path / f"{LONG}.txt"], threshold=3.0))
    assert list(faults(seen, console)) == []
    assert [frame["sections"] for frame in seen] == [["summary", "plots", "trials", "provenance"]] * 2


def test_trials_are_sorted_and_searched_and_the_threshold_slides(look, corpus_page):
    seen, _ = look(corpus_page)
    for frame in seen:
        trials = frame["trials"]
        assert trials["all"] == 400
        assert (trials["ascending"], trials["descending"]) == ("trial_0", "trial_399")  # by number, not as text
        assert "trial_10" in trials["found"]
        assert all("trial_1" in name for name in trials["found"])
        assert trials["count"] == f"{len(trials['found'])} of 400 trials"
        assert re.fullmatch(r"Above -?[\d.]+ bona fide: [\d.]+ % of the spoofs .*, [\d.]+ % of the bona fide trials spoof\.",
                            trials["before"].replace("\n", " "))  # fmt: skip
        assert "100.00 % of the spoofs are judged bona fide" in trials["after"].replace("\n", " ")
        assert "0.00 % of the bona fide trials spoof" in trials["after"].replace("\n", " ")

POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda page: page.replace("<main>", '<main><div style="width: 1300px">wide</div>'), "overflow"),
        (lambda page: page.replace("<main>", '<main><img src="http://127.0.0.1:9/a.png">'), "console"),
        (lambda page: POLICY.sub("", page).replace("<main>", '<main><img src="http://127.0.0.1:9/a.png">'), "loaded"),
        (lambda page: POLICY.sub("", page).replace("<main>", "<main><script>fail()</script>"), "console"),
        (lambda page: page.replace("figure svg {", "figure svg { width: 9px !important;"), "not drawn"),
    ],
    ids=["wide", "asks", "loads", "script", "small"],
)
def test_a_spoiled_report_is_seen(look, corpus_page, spoil, fault):
    assert fault in faults(*look(spoil(corpus_page)))
