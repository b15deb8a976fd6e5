"""How commands write to a terminal, a file or a pipe: texts from outside are printed unchanged.

A column, a stream or a file may be called `load [kg]` or `:warning:`, which rich would take for
markup.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress

PLAIN_WIDTH = 120
"""The width for files and pipes, so that lines are not broken to fit a screen."""


def make_console(*, stderr: bool = False, width: int | None = None) -> Console:
    """Return a console that prints texts unchanged: no markup, emoji names or coloured numbers.

    >>> make_console(width=30).print("load [kg] [/odd] :warning:")
    load [kg] [/odd] :warning:
    """
    return Console(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)


def make_wide_console(*, stderr: bool = False) -> Console:
    """Return the same console, but `PLAIN_WIDTH` wide where it does not write to a terminal."""
    console = make_console(stderr=stderr)
    return console if console.is_terminal else make_console(stderr=stderr, width=PLAIN_WIDTH)


@contextmanager
def show_progress(what: str, *, is_shown: bool = True) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on a terminal; yield a function to call with `done` and `of`, the total.

    `what` is written beside the bar.
    """
    console = make_console(stderr=True)
    is_bar = is_shown and console.is_terminal
    with Progress(console=console, transient=True, disable=not is_bar) as progress:
        bar = progress.add_task(what, total=None)
        yield lambda done, of: progress.update(bar, completed=done, total=of)


def say(sentence: str) -> None:
    """Write a sentence to standard error, for the person at the terminal."""
    sys.stderr.write(f"headrace: {sentence}\n")
    sys.stderr.flush()


def try_drawing(what: str, draw: Callable[[], object]) -> bool:
    """Draw something that no result depends on; if it fails, say so and return False.

    After hours of runs the results are written first; a page or a table follows, and is never worth
    a traceback.
    """
    try:
        draw()
    except Exception as error:
        # A plot, a font or a terminal may raise anything, and the results are written already.
        reason = f"{type(error).__name__}: {error}"[:300]
        say(f"{what} could not be made: {reason}")
        return False
    return True
