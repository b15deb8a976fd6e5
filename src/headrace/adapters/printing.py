"""How commands write to a terminal, a file or a pipe: texts from outside stand as they are.

A column, a stream or a file may be called `load [kg]` or `:warning:`, which rich would read as
marks of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress

PLAIN_WIDTH = 120
"""Lines for a file or another program are not broken to fit a screen."""


def make_console(*, stderr: bool = False, width: int | None = None) -> Console:
    """A console that prints texts as they are, without marks, emoji names or colours for numbers.

    >>> make_console(width=30).print("load [kg] [/odd] :warning:")
    load [kg] [/odd] :warning:
    """
    return Console(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)


def make_wide_console(*, stderr: bool = False) -> Console:
    """The same, `PLAIN_WIDTH` wide where it writes to no terminal."""
    console = make_console(stderr=stderr)
    return console if console.is_terminal else make_console(stderr=stderr, width=PLAIN_WIDTH)


@contextmanager
def show_progress(what: str, *, is_shown: bool = True) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal while this lasts: call what it gives with how much is done, and of all.

    `what` stands beside the bar.
    """
    console = make_console(stderr=True)
    is_bar = is_shown and console.is_terminal
    with Progress(console=console, transient=True, disable=not is_bar) as progress:
        bar = progress.add_task(what, total=None)
        yield lambda done, of: progress.update(bar, completed=done, total=of)


def say(sentence: str) -> None:
    """Tell the person at the terminal, beside what a command prints."""
    sys.stderr.write(f"headrace: {sentence}\n")
    sys.stderr.flush()


def decorate(what: str, draw: Callable[[], object]) -> bool:
    """Do what no result depends on; where it fails, say so, and go on. True when it was done.

    After hours of runs the results are written first; a page or a table comes after them, and is
    never worth a traceback.
    """
    try:
        draw()
    except Exception as error:
        # Whatever a plot, a font or a terminal may raise: the results stand already.
        said = f"{type(error).__name__}: {error}"[:300]
        say(f"{what} could not be made: {said}")
        return False
    return True
