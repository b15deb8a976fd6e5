"""The accuracy that a worker tells on its /metrics, for a desk beside it: read now and then."""

from __future__ import annotations

import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPException
from urllib.parse import urlsplit

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from ..errors import BadSettings

EVERY_S = 5.0
TIMEOUT_S = 3.0
STALE_S = 60.0
BYTES_MAX = 8 << 20


class Told(msgspec.Struct, frozen=True):
    """An accuracy with its 95 % bounds, from so many labels."""

    accuracy: float
    low: float
    high: float
    labels_n: int


class WorkerAccuracy:
    """Asks an address in a thread of its own, so that nobody waits for a worker that is slow.

    `note` is told once when the worker stops answering. Raises `BadSettings` for an address that
    is none.

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
        self._url = url
        self._note = note
        self._clock = clock
        self._told: Told | None = None
        self._told_at = -STALE_S
        self._is_away = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="headrace-accuracy", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def latest(self) -> Told | None:
        """What the worker told, if that was within a minute."""
        return self._told if self._clock() - self._told_at < STALE_S else None

    def look(self) -> None:
        """Ask once."""
        try:
            # The scheme was looked at.
            with urllib.request.urlopen(self._url, timeout=TIMEOUT_S) as reply:
                text = reply.read(BYTES_MAX).decode()
            told = accuracy_in(text)
        except (OSError, HTTPException, ValueError) as error:
            if not self._is_away:
                self._note(f"{self._url} tells no accuracy: {error}; trying again")
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
            self._stop.wait(EVERY_S)


def accuracy_in(text: str) -> Told | None:
    """The accuracy in a page of metrics; None where nothing is known yet.

    Raises `ValueError` for a page that is none.

    >>> accuracy_in("# TYPE headrace_accuracy_ratio gauge") is None
    True
    """
    found = dict(_samples(text))
    names = ("value", "low", "high", "labels")
    if not all(name in found for name in names):
        return None
    return Told(found["value"], found["low"], found["high"], int(found["labels"]))


def _samples(text: str) -> Iterator[tuple[str, float]]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "headrace_accuracy_ratio":
                yield sample.labels.get("estimate", ""), sample.value
            elif sample.name == "headrace_accuracy_labels":
                yield "labels", sample.value
