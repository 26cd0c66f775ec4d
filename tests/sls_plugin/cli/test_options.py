"""`sls options`: the plugin's options of fairseq-train, against the parser of fairseq-train itself."""

import re
from argparse import Namespace

import pytest
from fairseq import options as fairseq_options

import sls_plugin.tasks  # noqa: F401  (registers everything)
from sls_plugin.__main__ import main
from sls_plugin.tasks.options import Option, Section, registered_names, sections

SELECTIONS = {"--task": "asvspoof", "--arch": "aasist", "--criterion": "weighted_cross_entropy"}


def parse(section: Section, name: str, arguments: list[str]) -> Namespace:
    """What fairseq-train reads from arguments, with one of the names of the section selected."""
    selections = [word for selection in (SELECTIONS | {section.selector: name}).items() for word in selection]
    parser = fairseq_options.get_training_parser()
    return fairseq_options.parse_args_and_arch(parser, ["DATA", *selections, *arguments])


def takes_value(option: Option) -> bool:
    return bool(option.value or option.choices)


def a_value(option: Option) -> str:
    return {"N": "7", "X": "0.25"}.get(option.value, "text") if not option.choices else option.choices[-1]


@pytest.fixture
def printed(capsys):
    def of(*names: str) -> str:
        assert main(["options", *names]) == 0
        return capsys.readouterr().out

    return of


@pytest.mark.parametrize("section", sections(), ids=lambda section: "-".join((section.names[0], section.options[0].name)))
def test_fairseq_train_accepts_every_option_with_the_default_that_is_printed(section: Section) -> None:
    options = [option for option in section.options if option.name != "data"]
    given = [word for option in options for word in (option.name, a_value(option))[: 1 + takes_value(option)]]
    for name in section.names:
        parsed, defaults = parse(section, name, given), parse(section, name, [])
        for option in options:
            value = getattr(parsed, option.field)
            assert value is True if not takes_value(option) else str(value) == a_value(option)
            default = section.presets.get(name, {}).get(option.name, option.default)
            by_fairseq = getattr(defaults, option.field, option.default)  # None, or absent where the dataclass decides
            assert str(by_fairseq) == str(default) or by_fairseq is False


def destinations(*selections: str) -> set[str]:
    """The names of all arguments of fairseq-train with these tasks, models and so on."""
    parser = fairseq_options.get_training_parser()
    fairseq_options.parse_args_and_arch(parser, ["DATA", *selections])
    return {action.dest for action in parser._actions}


def test_no_option_of_the_plugin_is_left_out() -> None:
    without = destinations("--arch", "transformer")
    for section in sections():
        for name in section.names:
            listed = {option.field for found in sections([name]) for option in found.options}
            assert destinations("--arch", "transformer", section.selector, name) - without <= listed


def test_all_options_are_printed_once_for_all_that_share_them_in_100_columns(printed) -> None:
    text = printed("train")
    assert max(map(len, text.splitlines())) < 100
    for name in ("--w2v-path", "--rawboost-algorithm", "--frequency-masking", "--class-weights", "--warmup-fraction"):
        assert len(re.findall(rf"^  {name}\b", text, re.MULTILINE)) == 1, name
    titles = [line for line in text.splitlines() if re.match(r"--[a-z-]+ [\w, ]+$", line)]
    selectors = [title.split()[0] for title in titles]
    assert list(dict.fromkeys(selectors)) == ["--task", "--arch", "--criterion", "--optimizer", "--lr-scheduler"]
    assert sorted(selectors, key=list(dict.fromkeys(selectors)).index) == selectors
    assert "  --crop {start,random}         where a training clip begins; other clips begin at the start" in text
    assert "  --freeze-backbone             train the head only\n" in text
    assert "  --rawboost-max-impulses X     largest share of samples hit by ISD, % (P) (default: 10)\n" in text


def test_an_option_that_is_set_elsewhere_is_not_printed(printed) -> None:
    text = printed("train")
    for name in ("--seed", "--train-subset", "--results-path", "--lr", "--max-update"):  # fairseq-train --help has these
        assert not re.search(rf"^  {name}\b(?!-)", text, re.MULTILINE), name


def test_one_model_has_its_own_options_and_those_of_its_backbone(printed) -> None:
    text = printed("sls_xlsr_300m")
    assert text.startswith("--arch sls, sls_xlsr_300m\n")
    assert all(f"\n  {name} " in text for name in ("--layer-fusion", "--head-lr-scale", "--w2v-path"))
    assert "--mamba-layers" not in text
    assert "--task" not in text


def test_an_architecture_names_the_defaults_that_it_replaces(printed) -> None:
    assert "\n--arch aasist_l sets --encoder-channels 24 --spectral-pool-ratio 0.4 " in printed("aasist_l")


@pytest.mark.parametrize(
    ("names", "problem"), [([], "name what to explain: "), (["slss"], "slss has no options of the plugin: ")]
)
def test_without_a_known_name_the_names_are_listed(capsys, names: list[str], problem: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["options", *names])
    usage, message = capsys.readouterr().err.splitlines()
    assert usage == "usage: sls options [-h] [NAME ...]"
    assert message.startswith(f"sls options: error: {problem}")
    assert message.endswith(", ".join(registered_names()))


def test_every_section_is_described() -> None:
    for section in sections():
        assert section.description.endswith("."), section.description
        assert "(_name:" not in section.description, f"no docstring of its own: {section.names}"
