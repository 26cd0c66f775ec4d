"""README files: links lead somewhere, commands parse, the Python examples run, and the front page stays one."""

import ast
import doctest
import itertools
import re
import shlex
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile
from detectors import write_detector
from fairseq import options

import sls_plugin.tasks  # noqa: F401  (registers the plugin with fairseq)
from fairseq_ckpt import __main__ as fairseq_ckpt
from sls_plugin import __main__ as sls
from sls_plugin.scores.score_file import write_scores

ROOT = Path(__file__).parents[1]
FRONT_PAGE = ROOT / "README.md"
PACKAGE_PAGE = ROOT / "sls_plugin" / "README.md"
FOLDERS = ("fairseq_ckpt", "protocols", "recipes", "sls_plugin", "tests")
PAGES = [FRONT_PAGE, *itertools.chain.from_iterable(sorted((ROOT / folder).rglob("*.md")) for folder in FOLDERS)]
FAIRSEQ_PARSERS = {
    "fairseq-train": options.get_training_parser,
    "fairseq-validate": options.get_validation_parser,
    "fairseq-generate": options.get_generation_parser,
}
WELL_KNOWN = {"cat", "cd", "export", "ffmpeg", "ln", "pip", "source", "tar"}  # commands that are not ours
WRONG = (
    "sls score checkpoint_best.pt",
    "sls evaluate 2021pa scores.txt --keys keys",
    "python -m fairseq_ckpt inspect FILE --no-such-option",
    "bash recipes/none.sh",
    "bash recipes/train.sh none",
    "fairseq-train DATA --task asvspoof --arch sls_xlsr_300m --no-such-option 1",
    "undocumented FILE",
)


def page_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def shown_commands(page: Path) -> Iterator[list[str]]:
    """The words of each command in the blocks of shell: scripts, and sessions with a prompt."""
    sessions = "\n".join(blocks(page, "console"))
    for text in [*blocks(page, "bash"), *re.findall(r"^\$ (.*)", sessions, re.MULTILINE)]:
        for line in text.replace("\\\n", " ").splitlines():
            lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|")
            lexer.whitespace_split = True
            for is_operator, words in itertools.groupby(lexer, key=lambda word: set(word) <= set(";&|")):
                if not is_operator:
                    yield list(words)


COMMANDS = [
    pytest.param(words, id=f"{page_name(page)}: {' '.join(words)[:60]}")
    for page in PAGES
    for words in shown_commands(page)
]


def test_the_front_page_fits_150_lines() -> None:
    assert len(FRONT_PAGE.read_text(encoding="utf-8").splitlines()) <= 150


# Links


def headings(page: Path) -> set[str]:
    """The anchors of a page as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.*)", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_relative_links_lead_to_files_and_headings(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if re.match(r"\w+:", link):
            continue
        name, _, heading = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not heading or heading in headings(target), link


def test_the_front_page_links_every_package_and_the_changelog() -> None:
    links = re.findall(r"\]\(([^)#]+)", FRONT_PAGE.read_text(encoding="utf-8"))
    pages = [f"{folder}/README.md" for folder in FOLDERS if (ROOT / folder / "README.md").exists()]
    assert {*pages, "recipes/CHANGELOG.md", "tests/benchmarks/RESULTS.md", "LICENSE"} <= set(links)


# Commands


@pytest.fixture
def parse(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], None]:
    """Parses the words of a command and runs nothing; SystemExit or AssertionError where it would not be understood."""
    monkeypatch.chdir(ROOT)  # --user-dir is relative
    for command in (*sls.COMMANDS.values(), *fairseq_ckpt.COMMANDS.values()):
        monkeypatch.setattr(command, "run", lambda args: 0)
    return parse_command


def parse_command(words: list[str]) -> None:
    words = list(itertools.dropwhile(lambda word: re.match(r"\w+=", word), words))  # variables for this command
    command, *arguments = words
    if command == "torchrun" or words[:2] == ["python", "-m"]:
        command, *arguments = words[words.index("-m") + 1 :]
    if command in ("sls", "sls_plugin"):
        assert sls.main(arguments) == 0
    elif command == "fairseq_ckpt":
        assert fairseq_ckpt.main(arguments) == 0
    elif command in FAIRSEQ_PARSERS:
        options.parse_args_and_arch(FAIRSEQ_PARSERS[command](default_task="asvspoof"), arguments)
    elif command == "fairseq-hydra-train":  # that it trains is tested with fairseq
        given = dict(zip(arguments[::2], arguments[1::2], strict=False))
        assert (ROOT / given["--config-dir"] / f"{given['--config-name']}.yaml").is_file(), given
    elif command.startswith("recipes."):
        assert find_spec(command), command
    elif command in ("bash", "python"):
        assert (ROOT / arguments[0]).is_file(), arguments[0]
        if arguments[0] == "recipes/train.sh":
            assert (ROOT / "recipes" / "experiments" / arguments[1]).is_dir() or arguments[1] == "EXPERIMENT", arguments[1]
    else:
        assert command in WELL_KNOWN, command


@pytest.mark.parametrize("words", COMMANDS)
def test_commands_parse(parse: Callable[[list[str]], None], words: list[str]) -> None:
    parse(words)


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_command_is_noticed(parse: Callable[[list[str]], None], wrong: str) -> None:
    with pytest.raises((SystemExit, AssertionError)):
        parse(wrong.split())


# Python


@pytest.fixture
def desk(tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of the examples: a detector for clips of 2 s, a long recording at 48 kHz, a folder of calls."""
    monkeypatch.chdir(tmp_path)
    write_detector(tmp_path / "checkpoint_best.pt", "sls_xlsr_300m", 32_000, "--w2v-path", str(tiny_checkpoint))
    rng = np.random.default_rng(0)
    soundfile.write("interview.flac", rng.uniform(-0.5, 0.5, (3 * 48_000, 2)), 48_000)
    Path("recordings").mkdir()
    for name in ("call 1.wav", "call 2.wav"):
        soundfile.write(Path("recordings", name), rng.uniform(-0.5, 0.5, 16_000), 16_000)
    write_scores("dev.txt", [(str(number), float(number)) for number in range(20)])
    Path("dev.keys").write_text("".join(f"{number} {'bonafide' if number > 9 else 'spoof'}\n" for number in range(20)))
    assert sls.main(["threshold", "dev.txt", "--keys", "dev.keys", "--output", "decision.json", "--bootstrap", "100"]) == 0
    return tmp_path


def test_python_of_the_front_page_runs(desk: Path) -> None:
    (block,) = blocks(FRONT_PAGE, "python")
    namespace: dict = {}
    values = []
    for statement in ast.parse(block).body:
        if isinstance(statement, ast.Expr):
            values.append(eval(ast.unparse(statement), namespace))
        else:
            exec(ast.unparse(statement), namespace)
    score, scores, timeline, card = values
    assert list(scores) == ["interview.flac", "call 1.wav", "call 2.wav"]
    assert score == pytest.approx(scores["interview.flac"], abs=1e-6)
    assert [row[:2] for row in timeline] == [(0.0, 2.0), (1.0, 3.0)]
    assert timeline[0][2] == pytest.approx(score, abs=1e-6)
    assert (card.name, card.clip_samples) == ("XLS-R + SLS", 32_000)


def test_examples_of_the_package_page_run(desk: Path) -> None:
    outcome = doctest.testfile(
        str(PACKAGE_PAGE), module_relative=False, encoding="utf-8", optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
    )
    assert outcome.failed == 0
    assert outcome.attempted > 12
