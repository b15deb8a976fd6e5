"""The file that a run reads its events from: the user's, or a copy of events from elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ...adapters.brokers.copying import QueueCopy
from ...adapters.brokers.sources import open_source
from ...adapters.jsonl import Pipe
from ...adapters.tables.records import is_table
from ...errors import BadInput, BadSettings
from ...settings import Settings
from .copying import copy_table
from .places import RunFiles


class Pump(Protocol):
    """Copies events from elsewhere to a file, as they come."""

    has_ended: bool

    def pump(self, timeout_s: float) -> bool:
        """Wait for events for `timeout_s` at most, and copy them; return whether any came."""

    def sync(self) -> None: ...

    def close(self) -> None: ...


def open_events(
    places: RunFiles, settings: Settings, follow: bool, note: Callable[[str], None]
) -> tuple[Path, Pump | None]:
    """Return the file of events, and the pump that copies them into it during the run, if any.

    Raises `BadSettings` and `BadInput`.
    """
    if places.queue is not None:
        if settings.input.decoder:
            raise BadSettings(
                "input.decoder is set, and --events is a stream or a queue: its messages are "
                "copied as lines of JSON; leave input.decoder empty"
            )
        address, source = open_source(places.queue, settings.queue, follow=follow)
        copy = QueueCopy(source, address, places.state, follow=follow, note=note)
        return copy.path, copy
    if places.events is None:
        if sys.stdin is None:
            raise BadInput("--events is -, and standard input is closed; pipe the events in")
        path = places.state / "stdin.jsonl"
        return path, Pipe(sys.stdin.fileno(), path)
    if is_table(places.events):
        return copy_table(places.events, places.state, settings, note), None
    return places.events, None
