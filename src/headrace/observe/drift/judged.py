"""Remembers, for drift, the latest labels that judge the model, and all alarms."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from ...messages import DriftChanged
from .glr import MEMORY_N
from .watch_set import ON_LABELS


class JudgedLabels:
    """The number of labels of each signal, and the latest labels with their predictions."""

    def __init__(self) -> None:
        self.labels_n = dict.fromkeys(ON_LABELS, 0)
        self.class_number: dict[str, int] = {}
        # The time of the event, the label, and the predicted probabilities.
        self.latest: deque[tuple[float, str, Mapping[str, float]]] = deque(maxlen=MEMORY_N)

    def number_of(self, label: str) -> int:
        """Return the number of a class; classes are numbered in order of first sight."""
        return self.class_number.setdefault(label, len(self.class_number))

    def count_label(self, signal: str, events_n: int) -> float:
        """Count a label of a signal; return its labels per event so far, at most 1."""
        self.labels_n[signal] += 1
        return min(1.0, self.labels_n[signal] / max(1, events_n))

    def remember_label(self, event_at: float, label: str, prediction: Mapping[str, float]) -> None:
        """Remember a label, the time of its event, in seconds, and the prediction."""
        self.latest.append((event_at, label, prediction))

    def list_since(self, at: float) -> list[tuple[str, Mapping[str, float]]]:
        """Return the latest labels of events from time `at`, seconds, with their predictions."""
        return [(label, prediction) for then, label, prediction in self.latest if then >= at]


class AlarmRecord:
    """Alarms and changes of the level, counted and dated.

    `alarms_n` is by signal, detector and level; an alarm that prolongs another is not counted.
    `last_rise` is the latest change that raised the level; it names the causes.
    """

    def __init__(self) -> None:
        self.alarms_n: dict[tuple[str, str, str], int] = {}
        self.alarmed_at: dict[tuple[str, str], float] = {}
        self.changes_n: dict[str, int] = {}
        self.changed_at: dict[str, float] = {}
        self.last_rise: DriftChanged | None = None

    def count_alarm(self, signal: str, detector: str, level: str, at: float) -> None:
        """Count and date an alarm."""
        name = (signal, detector, level)
        self.alarms_n[name] = self.alarms_n.get(name, 0) + 1
        self.alarmed_at[signal, detector] = at

    def keep_change(self, change: DriftChanged, *, is_rise: bool) -> None:
        """Count and date a change of the level."""
        self.changes_n[change.level] = self.changes_n.get(change.level, 0) + 1
        self.changed_at[change.level] = change.at
        self.last_rise = change if is_rise else self.last_rise
