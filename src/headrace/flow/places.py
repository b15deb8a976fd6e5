"""Whether a place in a log is still one: between its first record and its last.

A place beyond the end is of another log of that name; one before the first record has lost what
lay between. Neither is passed over in silence.
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
    """Judges places; counts in `lost_n`, by log, what was deleted unread, and warns of it."""

    def __init__(
        self, kafka: KafkaSettings, warn: Callable[[str], None], lost_n: dict[str, int]
    ) -> None:
        self.lost_n = lost_n
        self.topic_ids = TopicIds(kafka)
        self._logs = {getattr(kafka, name): name for name in LOGS_READ}
        self._warn = warn

    def lose(self, part: Part, start: int, stop: int, result: str) -> None:
        """Count and tell that these records were deleted before they were read."""
        log = self._logs[part.topic]
        self.lost_n[log] = self.lost_n.get(log, 0) + stop - start
        self._warn(
            f"{part.topic}, partition {part.partition}: {stop - start} records from {start} on "
            f"were deleted before they were read: {result}. Keep that topic longer (retention.ms)"
        )

    def is_made_anew(self, part: Part, bounds: Bounds) -> bool:
        """Whether answers or drift are another log of that name now, which is told then."""
        is_other = self.topic_ids.is_other(part, bounds)
        if is_other:
            self._warn(f"{part.topic} was made anew; it is read from its beginning")
        return is_other

    def of_group(self, part: Part, bounds: Bounds) -> int:
        """Where to go on in a topic whose place is what the group committed."""
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
            self.lose(part, committed, first, "nobody hears of them")
        return max(committed, first)


def check_place(part: Part, position: int, end: int) -> None:
    """A place beyond the end of its log is of another log of that name, or of a longer one.

    Raises `BadInput`: nobody can say which records of what is there now were seen.
    """
    if position > end:
        raise BadInput(
            f"{part[0]}, partition {part[1]}, ends at {end}, and our state stands at "
            f"{position}: it was deleted, cut or made anew. Put it back, give the topic a new name "
            "in [kafka], or begin anew with headrace reset"
        )
