"""Has a run forget what is too old, before the first event of each step (see `privacy.retention`).

So nothing ever stays longer, and what is forgotten depends on the events alone and not on how they
are read. The age is by the clock of the stream.
"""

from __future__ import annotations

import math
from pathlib import Path

from ...messages import ErasureOrdered
from ...privacy.retention import KEY, order_to_forget, step_of, step_s_of
from ...settings.retention import RetentionSettings
from .erasing import ErasureRecord, describe_erased, erased_of, note_erased


class Retention:
    """When data of a run is too old, and the order to forget it.

    >>> retention = Retention(RetentionSettings(days=5), Path("no-run-yet"))
    >>> retention.step_s, retention.due_at
    (43200.0, -inf)
    >>> order = retention.make_order(10 * 86_400.0 + 5.0, events_n=17)
    >>> order.before == 5.5 * 86_400.0, order.key, retention.due_at == 10.5 * 86_400.0
    (True, 'retention 20/17', True)
    """

    def __init__(self, settings: RetentionSettings, state: Path) -> None:
        self._settings, self._state = settings, state
        self.step_s = step_s_of(settings)
        self._is_kept = math.isfinite(self.step_s)
        self._step = _latest_step(state) if self._is_kept else None
        self._clock = math.inf

    @property
    def due_at(self) -> float:
        """The clock's time at which something is forgotten next, seconds."""
        if not self._is_kept:
            return math.inf
        return -math.inf if self._step is None else (self._step + 1) * self.step_s

    def begin(self, clock: float) -> None:
        """Note at the first event that nothing can be too old yet."""
        self._step = step_of(clock, self.step_s)
        key = f"{KEY} {self._step}/0"
        began = ErasureRecord(at=clock, key=key, memory={}, is_refitted=False, lines={}, bridges={})
        note_erased(self._state, [began])

    def is_due(self, clock: float) -> bool:
        """Whether the clock is in a later step than when something was forgotten last."""
        if not self._is_kept or not math.isfinite(clock):
            return False
        step, is_back = step_of(clock, self.step_s), clock < self._clock
        self._clock = clock
        if self._step is not None and is_back and step < self._step:
            # The clock was wrong and was set anew, or a kill came before the event that moved it.
            self._step = step
        return self._step is None or step > self._step

    def make_order(self, clock: float, *, events_n: int) -> ErasureOrdered:
        """Return the order to forget what is too old, or would be before the next order."""
        self._step = step_of(clock, self.step_s)
        return order_to_forget(self._settings, clock, f"{KEY} {self._step}/{events_n}")


def _latest_step(state: Path) -> int | None:
    """Return the step in which something was forgotten last; None if nothing was."""
    keys = [erased.key for erased in erased_of(state) if erased.key.startswith(f"{KEY} ")]
    return int(keys[-1].removeprefix(KEY).partition("/")[0]) if keys else None


def sentence_of(done: ErasureRecord) -> str:
    """Describe what an erasure did, and whether somebody ordered it."""
    if done.key.startswith(f"{KEY} "):
        return f"forgotten by its age, as [retention] says: {describe_erased(done)}"
    return f"erased, key {done.key}: {describe_erased(done)}"
