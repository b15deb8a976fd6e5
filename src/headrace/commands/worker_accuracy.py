"""The accuracy that a desk beside workers on Kafka shows, read every few seconds.

It is estimated over all workers from their snapshots, or read from the /metrics of one worker.
"""

from __future__ import annotations

import threading
import time
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from http.client import HTTPException
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

from ..bridges.desk.bridge import Estimated
from ..errors import BadInput, BadSettings
from ..settings import Settings
from .tracked import TrackedWorkers

EVERY_S = 5.0
TIMEOUT_S = 3.0
STALE_S = 60.0
BYTES_MAX = 8 << 20


class Accuracy(ABC):
    """Reads an accuracy in a thread of its own, so that the desk never waits for a slow source.

    `who` names the source. `note` is called once with a sentence when the source can't be read any
    more. `clock` returns seconds; `every_s` seconds pass from one look to the next.
    """

    def __init__(
        self,
        who: str,
        note: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        *,
        every_s: float = EVERY_S,
    ) -> None:
        self._who = who
        self._note = note
        self._clock = clock
        self._every_s = every_s
        self._told: Estimated | None = None
        self._told_at = -STALE_S
        self._is_away = False
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._poll_estimates, name="headrace-accuracy", daemon=True
        )

    @abstractmethod
    def _read_estimate(self) -> Estimated | None: ...

    def start(self) -> None:
        self._thread.start()

    @property
    def latest(self) -> Estimated | None:
        """The last estimate; None if older than a minute, or than three reads if that is longer."""
        stale_s = max(STALE_S, 3 * self._every_s)
        return self._told if self._clock() - self._told_at < stale_s else None

    def update_estimate(self) -> None:
        """Read once; if that fails, note it and keep the last estimate."""
        try:
            estimate = self._read_estimate()
        except (OSError, HTTPException, ValueError, BadInput) as error:
            if not self._is_away:
                self._note(f"{self._who} tells no accuracy: {error}; trying again")
            self._is_away = True
            return
        self._is_away = False
        self._told, self._told_at = estimate, self._clock()

    def close(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _poll_estimates(self) -> None:
        while not self._stop.is_set():
            self.update_estimate()
            self._stop.wait(self._every_s)


class WorkerAccuracy(Accuracy):
    """One worker's accuracy, over the partitions it has. Raises `BadSettings` for a bad address.

    >>> WorkerAccuracy("worker-1:9100", print)
    Traceback (most recent call last):
    headrace.errors.BadSettings: bridges.desk.metrics is 'worker-1:9100'; must be an address such...
    """

    def __init__(
        self, url: str, note: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.password:
            raise BadSettings(
                f"bridges.desk.metrics is {url.rpartition('@')[2]!r}; must be an address such as "
                "http://worker-1:9100/metrics, without a password"
            )
        super().__init__(url, note, clock)
        self._url = url

    def _read_estimate(self) -> Estimated | None:
        # The constructor has checked the scheme.
        with urllib.request.urlopen(self._url, timeout=TIMEOUT_S) as reply:
            text = reply.read(BYTES_MAX).decode()
        return accuracy_in(text)


class SavedAccuracy(Accuracy):
    """The accuracy of all workers, estimated over all shards as they were saved last."""

    def __init__(self, settings: Settings, note: Callable[[str], None]) -> None:
        every_s = max(EVERY_S, settings.worker.snapshot_every_s / 2)
        super().__init__(settings.worker.snapshots, note, every_s=every_s)
        self._settings = settings
        self._workers: TrackedWorkers | None = None

    def _read_estimate(self) -> Estimated | None:
        if self._workers is None:
            self._workers = TrackedWorkers(self._settings, self._note)
        self._workers.read_snapshots()
        latest = None if self._workers.report is None else self._workers.report.estimates.accuracy
        if latest is None or latest.accuracy is None or latest.low is None or latest.high is None:
            return None
        return Estimated(latest.accuracy, latest.low, latest.high, latest.labels_n)


def accuracy_in(text: str) -> Estimated | None:
    """Parse the accuracy in a page of metrics; None where it is not known yet.

    Raises `ValueError` for a text that is no such page.

    >>> accuracy_in("# TYPE headrace_accuracy_ratio gauge") is None
    True
    """
    samples = dict(_parse_samples(text))
    names = ("value", "low", "high", "labels")
    if not all(name in samples for name in names):
        return None
    return Estimated(samples["value"], samples["low"], samples["high"], int(samples["labels"]))


def _parse_samples(text: str) -> Iterator[tuple[str, float]]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "headrace_accuracy_ratio":
                yield sample.labels.get("estimate", ""), sample.value
            elif sample.name == "headrace_accuracy_labels":
                yield "labels", sample.value
