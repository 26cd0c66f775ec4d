"""`sls options`: what the plugin adds to the options of fairseq-train."""

import argparse
import textwrap
from typing import TYPE_CHECKING

from fairseq_ckpt.cli.common import WIDTH
from protocols import SettingError

if TYPE_CHECKING:
    from sls_plugin.tasks.options import Option, Section

HELP = "explain the options that the plugin adds to fairseq-train"

EPILOG = """\
examples:
  sls options train
  sls options asvspoof sls_xlsr_300m weighted_cross_entropy
  sls options

`fairseq-train --help` stops before the options of a user directory; this command prints them. The
last example lists the names. fairseq-hydra-train has the same settings, with underscores:
task.max_samples=64600 for --max-samples 64600.
"""
COLUMN = 32  # where the help of an option begins
NO_BREAK = "\N{NO-BREAK SPACE}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `sls options`."""
    parser.epilog = EPILOG
    group = parser.add_argument_group("what to explain")
    group.add_argument(
        "names", metavar="NAME", nargs="*", help="train for all of them, or a task, model, criterion, optimiser or schedule"
    )


def run(args: argparse.Namespace) -> int:
    """Print the options of what is named, section by section."""
    import sls_plugin.tasks  # noqa: F401  (slow to import; registers everything)
    from sls_plugin.tasks.options import registered_names, sections

    if not args.names:
        raise SettingError(f"name what to explain: train for all options, or some of {', '.join(registered_names())}")
    found = sections([] if "train" in args.names else args.names)
    print("\n\n".join(map(_section_text, found)))
    return 0


def _section_text(section: "Section") -> str:
    """The options of a section below what selects them."""
    title = textwrap.fill(f"{section.selector} {', '.join(section.names)}", WIDTH, subsequent_indent="    ")
    lines = [title, textwrap.fill(section.description, WIDTH)]
    lines += [_option_text(option) for option in section.options]
    for name, preset in section.presets.items():
        settings = " ".join(f"{option} {value}" for option, value in preset.items())
        lines.append(textwrap.fill(f"{section.selector} {name} sets {settings}", WIDTH))
    return "\n".join(lines)


def _option_text(option: "Option") -> str:
    """An option and its help, as argparse would print them."""
    values = "{" + ",".join(option.choices) + "}" if option.choices else option.value
    head = f"  {option.name} {values}".rstrip()
    indent = " " * COLUMN
    default = f" (default:{NO_BREAK}{option.default.replace(' ', NO_BREAK)})" if option.default else ""
    text = textwrap.fill(option.help + default, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
    text = text.replace(NO_BREAK, " ")
    return head.ljust(COLUMN) + text[COLUMN:] if len(head) < COLUMN - 1 else f"{head}\n{text}"
