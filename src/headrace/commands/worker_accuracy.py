"""The accuracy that a desk beside workers on Kafka shows: read now and then.

Of all workers it is estimated from what they saved; or one of them tells its own on its /metrics.
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
    """Read in a thread of its own, so that nobody waits for whoever is slow.

    `note` is told once when it can't be read any more.
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
        self._thread = threading.Thread(target=self._run, name="headrace-accuracy", daemon=True)

    @abstractmethod
    def _read(self) -> Estimated | None: ...

    def start(self) -> None:
        self._thread.start()

    @property
    def latest(self) -> Estimated | None:
        """What was read last, if that was within a minute, or three reads where these are rare."""
        stale_s = max(STALE_S, 3 * self._every_s)
        return self._told if self._clock() - self._told_at < stale_s else None

    def look(self) -> None:
        """Read once."""
        try:
            told = self._read()
        except (OSError, HTTPException, ValueError, BadInput) as error:
            if not self._is_away:
                self._note(f"{self._who} tells no accuracy: {error}; trying again")
            self._is_away = True
            return
        self._is_away = False
        self._told, self._told_at = told, self._clock()

    def close(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            self.look()
            self._stop.wait(self._every_s)


class WorkerAccuracy(Accuracy):
    """That of one worker, of the partitions that it has. Raises `BadSettings` for a bad address.

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

    def _read(self) -> Estimated | None:
        # The scheme was looked at.
        with urllib.request.urlopen(self._url, timeout=TIMEOUT_S) as reply:
            text = reply.read(BYTES_MAX).decode()
        return accuracy_in(text)


class SavedAccuracy(Accuracy):
    """That of all workers, estimated over all shards as they saved them last."""

    def __init__(
        self,
        settings: Settings,
        note: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        every_s = max(EVERY_S, settings.worker.snapshot_every_s / 2)
        super().__init__(settings.worker.snapshots, note, clock, every_s=every_s)
        self._settings = settings
        self._workers: TrackedWorkers | None = None

    def _read(self) -> Estimated | None:
        if self._workers is None:
            self._workers = TrackedWorkers(self._settings, self._note)
        self._workers.look()
        found = None if self._workers.report is None else self._workers.report.estimates.accuracy
        if found is None or found.accuracy is None or found.low is None or found.high is None:
            return None
        return Estimated(found.accuracy, found.low, found.high, found.labels_n)


def accuracy_in(text: str) -> Estimated | None:
    """The accuracy in a page of metrics; None where nothing is known yet.

    Raises `ValueError` for a page that is none.

    >>> accuracy_in("# TYPE headrace_accuracy_ratio gauge") is None
    True
    """
    found = dict(_parse_samples(text))
    names = ("value", "low", "high", "labels")
    if not all(name in found for name in names):
        return None
    return Estimated(found["value"], found["low"], found["high"], int(found["labels"]))


def _parse_samples(text: str) -> Iterator[tuple[str, float]]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "headrace_accuracy_ratio":
                yield sample.labels.get("estimate", ""), sample.value
            elif sample.name == "headrace_accuracy_labels":
                yield "labels", sample.value
