"""What the commands of the recipes share."""

import sys
from collections.abc import Callable

from protocols import UserError


def exit_status(program: str, command: Callable[..., object], *arguments: object) -> int:
    """Call a command: 0, or 1 when it raises a UserError, which is printed in one line."""
    try:
        command(*arguments)
    except UserError as error:
        print(f"{program}: error: {error}", file=sys.stderr)
        return 1
    return 0
