"""The learning curve of a run: `curve.jsonl` in its folder, one point a line, by labels so far.

A point is written after every ten labels that were learned, and with each snapshot, if there is a
new label: so it depends on what was fed, not on the clock. It is for plots and trackers; the engine
never reads it back, and a run that is killed goes on with the next point.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ...adapters.jsonl import write_all
from ...adapters.metrics.model import LEVELS
from ...engine import Engine
from ...report import Report

CURVE = "curve.jsonl"
EVERY_N = 10
"""How many labels are learned from one point to the next."""
LINE_BYTES_MAX = 1 << 14


class CurvePoint(msgspec.Struct, frozen=True):
    """A run's numbers, `values`, by name, after `labels_n` labels; `at` is its clock, seconds."""

    labels_n: int
    events_n: int
    at: float
    values: dict[str, float]


class CurveWriter:
    """Appends points to the file of a run."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / CURVE
        self._file = self._path.open("a+b", buffering=0)
        size = os.fstat(self._file.fileno()).st_size
        tail = os.pread(self._file.fileno(), LINE_BYTES_MAX, max(0, size - LINE_BYTES_MAX))
        whole = tail[: tail.rfind(b"\n") + 1]
        # A kill may have cut the last line.
        self._file.truncate(size - len(tail) + len(whole))
        self._learned_n = 0
        self._labels_n = _last_labels_n(whole)

    def add_point(self, engine: Engine, *, every_n: int = EVERY_N) -> None:
        """Write a point if `every_n` labels were learned since the last one."""
        learned_n = engine.trainer.champion.learned_n
        if learned_n - self._learned_n < every_n:
            return
        self._learned_n = learned_n
        point = point_of(engine.report)
        if point is not None and point.labels_n > self._labels_n:
            self._labels_n = point.labels_n
            write_all(self._file, msgspec.json.encode(point) + b"\n", self._path)

    def close(self) -> None:
        self._file.close()


def _last_labels_n(lines: bytes) -> int:
    last = lines.rstrip(b"\n").rpartition(b"\n")[2]
    return msgspec.json.decode(last, type=CurvePoint).labels_n if last else 0


def point_of(report: Report) -> CurvePoint | None:
    """Return the point of a report; None before there is a clock.

    Shares are 0 to 1. `accuracy` is over the whole stream, `window_accuracy` over the latest
    events, both of `evaluation.judged`, with the bounds of their 95 % intervals.
    """
    if report.events.last_at is None or not math.isfinite(report.events.last_at):
        return None
    values: dict[str, float | None] = {}
    for name, estimate in (
        ("accuracy", report.estimates.accuracy_all),
        ("window_accuracy", report.estimates.accuracy),
    ):
        values[name] = estimate.accuracy
        values[f"{name}_low"], values[f"{name}_high"] = estimate.low, estimate.high
    quality = report.estimates.quality
    for name, rate in (
        ("balanced_accuracy", quality.balanced_accuracy),
        ("kappa", quality.kappa),
        ("macro_f1", quality.macro_f1),
    ):
        values[name], values[f"{name}_low"], values[f"{name}_high"] = (
            rate.value,
            rate.low,
            rate.high,
        )
    values |= {
        "events": report.events.observed_n,
        "labels_asked": report.asking.requests_n,
        "labels_learned": report.model.learned_n,
        "labels_open": report.labels.open_n,
        "labels_disputed": report.labels.disputed_n,
        "labels_expired": report.labels.expired_n,
        "budget_available": report.budget.available_n,
        "budget_held": report.budget.held_n,
        "labels_per_event": report.budget.labels_per_event,
        "agreement": report.annotators.agreement,
        "answer_error": report.noise.answer_share,
        "gain_of_choosing": report.estimates.choosing.gain,
        "temperature": report.model.temperature,
        "drift_level": LEVELS.index(report.drift.level),
        "drift_alarms": sum(report.drift.alarms_n.values()),
        "retrained": report.retraining.ordered_n,
        "adopted": report.retraining.adopted_n,
        "rolled_back": report.retraining.rolled_back_n,
        "model_version": report.model.version,
    }
    return CurvePoint(
        report.labels.settled_n,
        report.events.observed_n,
        report.events.last_at,
        _keep_finite(values),
    )


def _keep_finite(values: Mapping[str, float | None]) -> dict[str, float]:
    """Return the values that are known and finite."""
    known = {name: value for name, value in values.items() if value is not None}
    return {name: float(value) for name, value in known.items() if math.isfinite(value)}
