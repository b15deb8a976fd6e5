"""What a run reads: the events, the answers and the orders, each from where it was fed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from ...adapters.journal import Spans
from ...adapters.jsonl import Tail
from ...adapters.tables.records import is_export, is_table
from .ahead import EventsAhead
from .copying import FileMark, copy_answers
from .feeding import Feeder
from .inputs import open_events
from .orders import ORDERS
from .places import RunFiles, is_whole, recorded_path
from .waiting import Answers

NO_SOURCE = -1
"""Where a run has no file of answers, their number in the journal."""


class RunInputs:
    """The inputs of `feeder`; `opened` closes them, `note` is called with sentences.

    `table` is the mark of a table that a run follows, `pipe` copies events from elsewhere.
    """

    def __init__(
        self,
        feeder: Feeder,
        places: RunFiles,
        opened: ExitStack,
        *,
        follow: bool,
        note: Callable[[str], None],
    ) -> None:
        # Made before the table is read, so that a change while it is read is told too.
        path = places.events
        self.table = FileMark(path) if follow and path and is_table(path) else None
        events, self.pipe = open_events(places, feeder.settings, follow, note)
        if self.pipe is not None:
            opened.callback(self.pipe.close)
        longest = feeder.settings.input.line_bytes_max
        journal, player = feeder.journal, feeder.player

        def open_tail(path: Path, fed: Spans) -> Tail:
            tail = Tail(path, position=fed.first_gap, length_max=longest, is_whole=is_whole)
            opened.callback(tail.close)
            return tail

        def is_known(request_id: str) -> bool:
            return feeder.engine.desk.knows(request_id)

        number = journal.number_source("events", recorded_path(events, places.state))
        self.events = EventsAhead(open_tail(events, feeder.find_fed(number)), number, player)
        self.answers, self.answers_source = Answers(), NO_SOURCE
        if places.answers is not None:
            answers, decoder = places.answers, player.answers_decoder
            if is_export(answers):
                answers = copy_answers(answers, places.state, feeder.settings, decoder)
            number = journal.number_source("answers", recorded_path(answers, places.state))
            self.answers_source, fed = number, feeder.find_fed(number)
            self.answers = Answers(open_tail(answers, fed), fed, is_known, decoder)
        self.orders_source = journal.number_source("orders", ORDERS)
        self.orders = open_tail(places.state / ORDERS, feeder.find_fed(self.orders_source))

    @property
    def read_bytes(self) -> int:
        """The bytes of the events' file that were fed."""
        return self.events.tail.position

    @property
    def lag_bytes(self) -> int:
        """The bytes of the events' file that were not fed yet."""
        return max(0, self.events.tail.size - self.read_bytes)

    def has_ended(self, *, follow: bool) -> bool:
        """Whether the files are complete: no more comes than what is in them."""
        return not follow if self.pipe is None else self.pipe.has_ended

    def wait(self, stop: threading.Event, timeout_s: float) -> None:
        """Wait until there may be something to read."""
        wait = stop.wait if self.pipe is None else self.pipe.pump
        wait(timeout_s)

    def sync(self) -> None:
        """Make the copy of a pipe or a queue durable."""
        if self.pipe is not None:
            self.pipe.sync()
