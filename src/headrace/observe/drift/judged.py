"""Labels that judge the model, as far as drift is concerned, and the alarms that there were."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from ...messages import DriftChanged
from .glr import MEMORY_N
from .watch_set import ON_LABELS


class JudgedLabels:
    """How many labels each signal was told, and the latest ones with what was predicted."""

    def __init__(self) -> None:
        self.labels_n = dict.fromkeys(ON_LABELS, 0)
        self.class_number: dict[str, int] = {}
        # When their event was, the label, and what was predicted.
        self.latest: deque[tuple[float, str, Mapping[str, float]]] = deque(maxlen=MEMORY_N)

    def number_of(self, label: str) -> int:
        """The number of a class, in order of first sight."""
        return self.class_number.setdefault(label, len(self.class_number))

    def count(self, signal: str, events_n: int) -> float:
        """One label more for a signal; its labels an event, 1 at most, after so many events."""
        self.labels_n[signal] += 1
        return min(1.0, self.labels_n[signal] / max(1, events_n))

    def keep(self, event_at: float, label: str, prediction: Mapping[str, float]) -> None:
        """A label of an event at this time, and what was predicted."""
        self.latest.append((event_at, label, prediction))

    def list_since(self, at: float) -> list[tuple[str, Mapping[str, float]]]:
        """The latest labels of events from this moment on, with what was predicted."""
        return [(label, prediction) for then, label, prediction in self.latest if then >= at]


class AlarmRecord:
    """Alarms and changes of the level, counted and dated.

    `alarms_n` is by signal, detector and level; an alarm that prolongs another is not counted.
    `last_rise` is the latest change that raised the level: it has the causes.
    """

    def __init__(self) -> None:
        self.alarms_n: dict[tuple[str, str, str], int] = {}
        self.alarmed_at: dict[tuple[str, str], float] = {}
        self.changes_n: dict[str, int] = {}
        self.changed_at: dict[str, float] = {}
        self.last_rise: DriftChanged | None = None

    def count_alarm(self, signal: str, detector: str, level: str, at: float) -> None:
        """An alarm was raised."""
        name = (signal, detector, level)
        self.alarms_n[name] = self.alarms_n.get(name, 0) + 1
        self.alarmed_at[signal, detector] = at

    def keep_change(self, change: DriftChanged, *, is_rise: bool) -> None:
        """The level has changed."""
        self.changes_n[change.level] = self.changes_n.get(change.level, 0) + 1
        self.changed_at[change.level] = change.at
        self.last_rise = change if is_rise else self.last_rise
