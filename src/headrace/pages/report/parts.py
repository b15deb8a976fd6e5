"""What the sections of a run's page share: the x axis, and numbers in words.

`report.page` has the sections.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from ...learn.estimate import Estimate
from ...learn.intervals import Z, wilson
from ...messages import LabelDisputed, LabelSettled, RequestExpired, RequestWithdrawn
from ...observe.schema import Schema
from ...observe.signals import is_wrong, likeliest_of
from ...report import Report
from ...settings import Settings
from ...settings.reading import differing_fields
from ..chronicle import AskedRequest, Chronicle, ChroniclePoint, Happened
from ..drawing import Band
from ..markup import NumberText, count, interval, percent

Points = tuple[list[float], list[float]]
Cells = list[str | None]

NAMES_MAX = 20
"""The most features of a kind that are named."""


def describe_features(schema: Schema) -> list[tuple[str, str]]:
    """List the names of the features of each kind, the first ones.

    >>> from headrace.settings import SchemaSettings
    >>> describe_features(Schema(SchemaSettings(features={"x": "numeric", "y": "numeric"})))
    [('numeric', 'x, y')]
    """
    named: dict[str, list[str]] = {}
    for name, kind in zip(schema.names, schema.kinds, strict=True):
        named.setdefault(kind, []).append(name)
    return [
        (kind, ", ".join(names[:NAMES_MAX]) + _and_more(len(names) - NAMES_MAX))
        for kind, names in sorted(named.items())
    ]


def _and_more(n: int) -> str:
    return f" and {n:,} more" if n > 0 else ""


class Axis:
    """The x axis of the plots: dates where the events have dates, else numbers of events."""

    def __init__(self, chronicle: Chronicle) -> None:
        self.is_time = chronicle.is_dated
        self.label = "time" if self.is_time else "events"
        self._events = [float(sample.events_n) for sample in chronicle.samples] or [0.0]
        self._ats = [sample.at for sample in chronicle.samples] or [0.0]

    @property
    def low(self) -> float:
        return self._ats[0] if self.is_time else 0.0

    @property
    def high(self) -> float:
        return self._ats[-1] if self.is_time else self._events[-1]

    def place_of(self, thing: ChroniclePoint | Happened[Any]) -> float:
        """The place of something that happened on the axis."""
        return thing.at if self.is_time else float(thing.events_n)

    def of_seq(self, seq: float) -> float:
        """The place of the event with this number, interpolated between samples."""
        return float(np.interp(seq, self._events, self._ats)) if self.is_time else seq

    def points_of(self, values: Sequence[tuple[Estimate, float | None]]) -> Points:
        """Places and values of estimates, each at the last event that it covers, in order.

        Of several that end at the same event the last one counts. An unknown value is a gap.
        """
        latest: dict[int, float] = {}
        for estimate, value in values:
            if estimate.to_seq is not None:
                latest[estimate.to_seq] = math.nan if value is None else value
        ends = sorted(latest)
        return [self.of_seq(end) for end in ends], [latest[end] for end in ends]

    def format_time(self, at: float) -> str:
        """Format a time: a date, or seconds where the events have no dates."""
        return format_date(at) if self.is_time else f"{count(at)} s"

    def describe_time(self, thing: Happened[Any]) -> str:
        """Describe when a thing happened; its event number is the end of the piece it is from."""
        number = f"about event {count(thing.events_n)}"
        return f"{format_date(thing.at)}, {number}" if self.is_time else number


def format_date(at: float) -> str:
    """Format a date in UTC; a time beyond the calendar in seconds.

    >>> format_date(1_788_000_000.0)
    '2026-08-29 10:40'
    """
    try:
        return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):
        return f"{at:g} s"


def bands_of(chronicle: Chronicle, axis: Axis) -> list[Band]:
    """The stretches where the drift level was above STABLE."""
    bands: list[Band] = []
    start, level = axis.low, ""
    for change in chronicle.changes:
        x = axis.place_of(change)
        _close_band(bands, start, x, level or change.output.previous)
        start, level = x, change.output.level
    _close_band(bands, start, axis.high, level)
    return bands


def over_time(chronicle: Chronicle, axis: Axis) -> dict[str, Any]:
    """Arguments that all plots over the run share: x axis and bands of the drift level."""
    bands = bands_of(chronicle, axis)
    return {"x_label": axis.label, "time_x": axis.is_time, "bands": bands}


def _close_band(bands: list[Band], start: float, stop: float, level: str) -> None:
    if level == "WARNING":
        bands.append(Band(start, stop, "warning"))
    elif level == "DRIFT":
        bands.append(Band(start, stop, "drift"))


# ---------------------------------------------------------------------------------- in words


def half_of(estimate: Estimate) -> float | None:
    """Half the width of the interval."""
    if estimate.low is None or estimate.high is None:
        return None
    return (estimate.high - estimate.low) / 2.0


def half_blind(estimate: Estimate) -> float | None:
    """The half width that as many labels give when their events are drawn blindly.

    >>> round(half_blind(Estimate(accuracy=0.8, labels_n=100)), 3)
    0.078
    """
    if estimate.accuracy is None or not estimate.labels_n:
        return None
    low, high = wilson(estimate.accuracy, estimate.labels_n, Z)
    return (high - low) / 2.0


def make_sureness_row(name: str, estimate: Estimate) -> Cells:
    """Make a table row: name, labels, accuracy, interval, half width."""
    half = half_of(estimate)
    if estimate.accuracy is None or estimate.low is None or estimate.high is None or half is None:
        return [name, count(estimate.labels_n), None, None, None]
    return [
        name,
        count(estimate.labels_n),
        percent(estimate.accuracy),
        interval(estimate.low, estimate.high),
        NumberText(f"± {100 * half:.1f}", half),
    ]


def explain_control(is_twin: bool) -> list[str]:
    """Explain the comparison with control draws, and its limits for a run without a twin."""
    text = (
        "The control draws are events taken by lot on arrival, whatever they look like. The share "
        "right among them alone, each counting 1 / its chance, is what somebody would know who "
        "asks at random and has only these labels. The calculated width is that of as many labels "
        "as all that judge, had their events been drawn blindly: what choosing costs the estimate, "
        "or saves."
    )
    if is_twin:
        return [text]
    return [
        "A run can't be its own random twin, since it has labels only for what it asked. "
        f"{text} What choosing does for the model, small twins tell below; headrace pilot more."
    ]


def describe_calibration(report: Report) -> str:
    """Describe in a sentence how well confidence is calibrated."""
    error, floor = (
        report.estimates.quality.calibration_error,
        report.estimates.quality.calibration_floor,
    )
    scaled = (
        f"The temperature that corrects the model's confidence is {report.model.temperature:.2f}"
    )
    if error is None or floor is None:
        return f"{scaled}."
    return (
        f"{scaled} (above 1: it was too sure). After that, confidence and the share right differ "
        f"by {100 * error:.1f} points on average; {100 * floor:.1f} would be chance with so few "
        "labels."
    )


def describe_choosing(report: Report) -> str:
    """Say in a sentence whether choosing pays, and how this is known."""
    sentence = report.estimates.choosing.sentence
    return (
        f"{sentence[0].upper()}{sentence[1:]}. Small twins of the model tell it on control "
        "labels: some learn one in three by lot, the others choose one in three by their own doubt."
    )


def describe_prediction(prediction: dict[str, float]) -> str | None:
    """The likeliest class with its probability; None where nothing was predicted."""
    if not prediction:
        return None
    likely = likeliest_of(prediction)
    return f"{likely[:40]} {100 * prediction[likely]:.0f}%"


def describe_outcome(asked: AskedRequest) -> str:
    """Describe how a request ended."""
    match asked.end:
        case LabelSettled() as settled:
            is_right = not is_wrong(asked.request.prediction, settled.label)
            return f"{settled.label[:40]}, {'as' if is_right else 'not as'} predicted"
        case LabelDisputed():
            return "disputed"
        case RequestExpired():
            return "expired"
        case RequestWithdrawn(reason=reason):
            return reason
        case _:
            return "open"


def changed_settings(settings: Settings) -> list[tuple[str, str]]:
    """The settings that are not at their defaults: dotted name and value."""
    default, now = msgspec.to_builtins(Settings()), msgspec.to_builtins(settings)
    return [(path, str(value)) for path, _, value in differing_fields(default, now)]
