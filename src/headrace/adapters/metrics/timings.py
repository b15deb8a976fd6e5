"""How long things take, in histograms that the driver fills and that cost little a batch.

The core has no clock, so these times are not in the report. A stream has one `Timings`: one thread
calls its methods, another one collects from it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from .catalogue import Buckets, Exported

PROCESSING_BOUNDS_S = (1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 1e-3, 1e-2, 1e-1)
AGE_BOUNDS_S = (1.0, 5.0, 15.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 86_400.0)
RETRAIN_BOUNDS_S = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0)


class _Histogram:
    """Counts by bound; the last count is of the values above all bounds."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = np.zeros(len(bounds) + 1, dtype=np.int64)
        self.sum = 0.0

    def count_values(self, value: float, n: int) -> None:
        self.counts[np.searchsorted(self.bounds, value, side="left")] += n
        self.sum += n * value

    def add_all(self, values: NDArray[np.float64]) -> None:
        places = np.searchsorted(self.bounds, values, side="left")
        self.counts += np.bincount(places, minlength=len(self.counts))
        self.sum += float(values.sum())

    def make_buckets(self) -> Buckets:
        return Buckets(self.bounds, self.counts.tolist(), self.sum)


class Timings(Collector):
    """The times of one stream, to be registered beside the report.

    >>> timings = Timings("payments")
    >>> timings.count_fed(1_000, 0.02, ages_s=2.5)
    >>> [family.name for family in timings.collect()][0]
    'headrace_event_processing_seconds'
    """

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self._lock = threading.Lock()
        self._processing = _Histogram(PROCESSING_BOUNDS_S)
        self._age = _Histogram(AGE_BOUNDS_S)
        self._retraining = _Histogram(RETRAIN_BOUNDS_S)

    def count_fed(self, events_n: int, seconds: float, ages_s: NDArray[np.float64] | float) -> None:
        """Count `events_n` events that were fed in `seconds`.

        Each event of the batch counts with the mean time. `ages_s`, shape (events_n,), is the age
        of each event then, or one number for all of them.
        """
        if events_n < 1:
            return
        with self._lock:
            self._processing.count_values(seconds / events_n, events_n)
            if isinstance(ages_s, float):
                self._age.count_values(max(ages_s, 0.0), events_n)
            else:
                self._age.add_all(np.maximum(ages_s, 0.0))

    def count_retraining(self, seconds: float) -> None:
        """Count a retraining that took `seconds`."""
        with self._lock:
            self._retraining.count_values(seconds, 1)

    def collect(self) -> Iterator[Metric]:
        for metric in TIMED:
            with self._lock:
                family = metric.make_family(self, self.stream)
            yield family


def _reader_of(name: str) -> Any:
    return lambda timings: [((), getattr(timings, name).make_buckets())]


TIMED = (
    Exported(
        name="headrace_event_processing_seconds",
        kind="histogram",
        unit="seconds",
        about="Time to score one event and decide on it. Every event of a batch counts with the "
        "batch's mean.",
        read=_reader_of("_processing"),
    ),
    Exported(
        name="headrace_event_age_seconds",
        kind="histogram",
        unit="seconds",
        about="Age of an event, by the time of day, when it was decided on.",
        read=_reader_of("_age"),
    ),
    Exported(
        name="headrace_retrain_seconds",
        kind="histogram",
        unit="seconds",
        about="Time that a retraining took.",
        read=_reader_of("_retraining"),
    ),
)
