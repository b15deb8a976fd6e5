"""Being told to stop: SIGTERM and Ctrl-C, as an event that a loop looks at."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def catch_stop_signals() -> Iterator[threading.Event]:
    """Set by SIGTERM and by Ctrl-C; the same once more ends the process at once."""
    stop = threading.Event()

    def told(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    before = {n: signal.signal(n, told) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, taken in before.items():
            signal.signal(number, taken)
