"""The options that the plugin adds to fairseq's commands, read from the dataclasses that it registers."""

import inspect
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fairseq.dataclass import FairseqDataclass
from fairseq.dataclass.utils import gen_parser_from_dataclass
from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_NAME_REGISTRY, MODEL_DATACLASS_REGISTRY
from fairseq.registry import REGISTRIES
from fairseq.tasks import TASK_DATACLASS_REGISTRY
from omegaconf import MISSING

from protocols import SettingError

PLUGIN = __name__.partition(".")[0]


@dataclass(frozen=True)
class Option:
    """An option of fairseq-train, or its positional argument `data`.

    `value` stands for what it takes, such as N, and is empty for a flag; `default` is None where nothing is set.
    """

    name: str
    value: str
    default: str | None
    choices: tuple[str, ...]
    help: str

    @property
    def field(self) -> str:
        """The field of the dataclass."""
        return self.name.removeprefix("--").replace("-", "_")


@dataclass(frozen=True)
class Section:
    """The options that one dataclass declares.

    They are accepted with `selector`, such as --arch, when its value is one of `names`. `presets` has the defaults that
    some of these replace.
    """

    selector: str
    names: tuple[str, ...]
    description: str
    options: tuple[Option, ...]
    presets: dict[str, dict[str, str]]


def sections(names: Sequence[str] = ()) -> list[Section]:
    """The sections of these tasks, models, criterions, optimisers and schedules; without names all of them.

    What several models share, such as the settings of the backbone, is one section, after those of the single models.
    Raises SettingError on a name that has no options of the plugin.

    >>> [option.name for section in sections(["two_stage"]) for option in section.options]
    ['--warmup-fraction']
    """
    known = registered_names()
    for name in names:
        if name not in known:
            raise SettingError(f"{name} has no options of the plugin: choose from {', '.join(known)}")
    found: dict[type, Section] = {}
    shared = set()
    for selector, name, config in _registered():
        for cls in config.__mro__:
            if options := _own_options(cls):
                section = found.get(cls) or Section(selector, (), _first_line(cls), options, {})
                presets = section.presets | _presets(selector, name, options)
                found[cls] = replace(section, names=(*section.names, name), presets=presets)
                if cls is not config:
                    shared.add(cls)
    selectors = [section.selector for section in found.values()]
    in_order = sorted(found, key=lambda cls: (selectors.index(found[cls].selector), cls in shared))
    return [found[cls] for cls in in_order if not names or set(names) & set(found[cls].names)]


def registered_names() -> list[str]:
    """All names that `sections` takes."""
    return [name for _, name, config in _registered() if any(map(_own_options, config.__mro__))]


def _registered() -> Iterator[tuple[str, str, type[FairseqDataclass]]]:
    """The plugin's dataclasses: the option that selects one, the name that it is registered by, and the class."""
    models = {arch: MODEL_DATACLASS_REGISTRY.get(model) for arch, model in sorted(ARCH_MODEL_NAME_REGISTRY.items())}
    registries = {"--task": TASK_DATACLASS_REGISTRY, "--arch": models}
    registries |= {f"--{kind.replace('_', '-')}": registry["dataclass_registry"] for kind, registry in REGISTRIES.items()}
    for selector, registry in registries.items():
        for name, config in registry.items():
            if config and config.__module__.partition(".")[0] == PLUGIN:
                yield selector, name, config


def _first_line(cls: type) -> str:
    return inspect.getdoc(cls).partition("\n")[0]


def _own_options(cls: type) -> tuple[Option, ...]:
    """The options of the fields that a dataclass declares itself, as fairseq reads them."""
    if cls is FairseqDataclass or not issubclass(cls, FairseqDataclass):
        return ()
    parser = _Parser()
    gen_parser_from_dataclass(parser, cls())
    return tuple(option for option in parser.options if option.field in inspect.get_annotations(cls))


class _Parser:
    """Stands in for the ArgumentParser that fairseq fills."""

    def __init__(self) -> None:
        self.options: list[Option] = []

    def add_argument(self, name: str, **settings: Any) -> None:
        choices = tuple(settings.get("choices", ()))
        default = settings.get("default")
        is_flag = "action" in settings
        value = "" if is_flag or choices or name == "data" else {int: "N", float: "X"}.get(settings["type"], "VALUE")
        default = None if is_flag or default in (None, MISSING) else f"{default}"
        self.options.append(Option(name, value, default, choices, settings["help"].replace("%%", "%")))


def _presets(selector: str, name: str, options: Sequence[Option]) -> dict[str, dict[str, str]]:
    """The defaults of these options that an architecture replaces."""
    if selector != "--arch":
        return {}
    preset = Namespace()
    ARCH_CONFIG_REGISTRY[name](preset)
    replaced = {option.name: str(getattr(preset, option.field)) for option in options if hasattr(preset, option.field)}
    return {name: replaced} if replaced else {}
