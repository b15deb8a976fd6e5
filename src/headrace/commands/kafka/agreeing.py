"""A person is asked before a command does what can't be undone."""

from __future__ import annotations

import sys

from ...errors import BadSettings


def is_agreed() -> bool:
    """Whether who sits here types yes. Raises `BadSettings` where there is no terminal."""
    if not sys.stdin.isatty():
        raise BadSettings("nobody can be asked here whether to do this; say --yes")
    sys.stdout.write("Type yes to do this: ")
    sys.stdout.flush()
    if sys.stdin.readline().strip() == "yes":
        return True
    sys.stdout.write("Nothing was changed.\n")
    return False
