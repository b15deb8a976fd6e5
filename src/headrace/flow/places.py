"""Whether a place (an offset) in a log is still valid: between its first record and its end.

A place beyond the end is of another log of that name; after one before the first record, records
were lost. Neither is passed over in silence.
"""

from __future__ import annotations

from collections.abc import Callable

from ..errors import BadInput
from ..settings.kafka import KafkaSettings
from .effects import Bounds, Part
from .topic_ids import TopicIds

LOGS_READ = ("events", "answers", "drift", "desk")
"""Settings in [kafka] of the logs that may go on without records that were deleted unread."""


class Places:
    """Checks places; counts in `lost_n`, by log, records deleted unread, and warns of them."""

    def __init__(
        self, kafka: KafkaSettings, warn: Callable[[str], None], lost_n: dict[str, int]
    ) -> None:
        self.lost_n = lost_n
        self.topic_ids = TopicIds(kafka)
        self._logs = {getattr(kafka, name): name for name in LOGS_READ}
        self._warn = warn

    def count_lost(self, part: Part, start: int, stop: int, result: str) -> None:
        """Count records that were deleted before they were read, and warn of the `result`."""
        log = self._logs[part.topic]
        self.lost_n[log] = self.lost_n.get(log, 0) + stop - start
        self._warn(
            f"{part.topic}, partition {part.partition}: {stop - start} records from {start} on "
            f"were deleted before they were read: {result}. Keep that topic longer (retention.ms)"
        )

    def is_made_anew(self, part: Part, bounds: Bounds) -> bool:
        """Whether answers or drift are another topic of that name now; if so, warn of it."""
        is_other = self.topic_ids.is_other(part, bounds)
        if is_other:
            self._warn(f"{part.topic} was made anew; it is read from its beginning")
        return is_other

    def of_group(self, part: Part, bounds: Bounds) -> int:
        """Return where to go on in a topic whose place is what the group committed."""
        first, end, committed = bounds.first, bounds.end, bounds.committed
        if committed is None:
            return first
        if committed > end:
            self._warn(
                f"{part.topic}, partition {part.partition}, ends at {end}, and the group stands "
                f"at {committed}: it was made anew; it is read from its beginning"
            )
            return first
        if committed < first:
            self.count_lost(part, committed, first, "nobody hears of them")
        return max(committed, first)


def check_place(part: Part, position: int, end: int) -> None:
    """Raise `BadInput` for a place beyond the end of its log.

    It is of another log of that name, or of a longer one: nobody can say which of the records that
    are there now were seen.
    """
    if position > end:
        raise BadInput(
            f"{part[0]}, partition {part[1]}, ends at {end}, and our state stands at "
            f"{position}: it was deleted, cut or made anew. Put it back, give the topic a new name "
            "in [kafka], or begin anew with headrace reset"
        )
