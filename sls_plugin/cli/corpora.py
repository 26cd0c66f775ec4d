"""The corpora in the help of a command."""

import textwrap
from collections.abc import Mapping


def help_table(texts: Mapping[str, str]) -> str:
    """A line or more for each corpus, of at most 100 columns: its name, and a text beside it."""
    width = max(map(len, texts)) + 4
    wrapper = textwrap.TextWrapper(100, subsequent_indent=" " * width, break_on_hyphens=False)
    lines = []
    for name, text in texts.items():
        wrapper.initial_indent = f"  {name}".ljust(width)
        lines.append(wrapper.fill(text))
    return "\n".join(lines)
