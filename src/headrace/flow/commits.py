"""What a worker has committed to its group and saved, and when either is due again."""

from __future__ import annotations

from collections.abc import Mapping

from .effects import Part, Polled

COMMIT_S = 1.0


class Commits:
    """The offsets we have committed, and where the group's consumer stood when it was last asked.

    `is_under_way` is true while a commit waits for the brokers.
    """

    def __init__(self, elapsed: float) -> None:
        self.is_under_way = False
        self._known: dict[Part, int] = {}
        self._polled: Polled | None = None
        self._at = elapsed

    def is_due(self, elapsed: float) -> bool:
        """Whether it is time to ask where the consumer stands."""
        return elapsed - self._at >= COMMIT_S

    def keep_polled(self, polled: Polled) -> None:
        """Store where the consumer stands."""
        self._polled = polled

    def take_polled(self, elapsed: float) -> Polled | None:
        """Return where the consumer stood, once; then the next commit is due a while later."""
        polled, self._polled = self._polled, None
        if polled is not None:
            self._at = elapsed
        return polled

    def select_new(self, offsets: Mapping[Part, int]) -> dict[Part, int]:
        """Return the offsets that are further than what the group knows."""
        return {
            part: offset for part, offset in offsets.items() if offset > self._known.get(part, -1)
        }

    def keep_known(self, offsets: Mapping[Part, int]) -> None:
        """Note that the group has accepted these offsets."""
        self._known.update(offsets)

    def forget_part(self, part: Part) -> None:
        """Forget a part's offset, so that the group's may be moved back."""
        self._known.pop(part, None)

    def forget_all(self) -> None:
        """Forget all offsets: another worker may have committed meanwhile."""
        self._known = {}


FREEZE_S_MAX = 0.1
"""For how long a worker that saves its state freezes parts of it before it works on."""


class Snapshots:
    """When snapshots were last saved, how large they were, and how often saving failed.

    A save writes some parts at a time: it freezes parts for `freeze_s_max` seconds, one at least,
    and the flow stands still meanwhile. `is_under_way` is true from the beginning of a save to the
    end of its writing, `is_writing` while parts are written; a save that `is_paused` waits with the
    next ones.
    """

    def __init__(self, elapsed: float, freeze_s_max: float) -> None:
        self.freeze_s_max = freeze_s_max
        self.is_under_way = self.is_writing = self.is_paused = False
        self.saved_at: float | None = None
        self.bytes_n: int | None = None
        self.failed_n = 0
        self._begun_at = elapsed

    def begin_if_due(self, elapsed: float, every_s: float) -> bool:
        """Whether it is time to save again; if so, the next save is due a while after this one."""
        is_due = elapsed - self._begun_at >= every_s
        if is_due:
            self._begun_at = elapsed
        return is_due

    def end_writing(self, failure: str | None, wall: float) -> None:
        """Note that the writing ended at this time of day; `failure` is why it failed, or None."""
        self.is_under_way = False
        if failure is None:
            self.saved_at = wall
        else:
            self.failed_n += 1
