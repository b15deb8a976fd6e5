"""The live view's line of health: what is wrong, the pace, the lag, the age of the newest event.

It shows the numbers of a `Report` and a `Pulse`, and reads no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from rich.text import Text

from ...messages import Reason
from ...report import Report

REJECTED_SHARE = 0.01
"""A larger share of events that are rejected, or far behind the clock, is a concern."""
EXPIRED_SHARE = 0.5
STALE_SHARE = 0.5
ENDED_MIN = 20
"""The fewest ended requests for which the share of expired ones is looked at."""
DATED_FROM = 315_532_800.0
"""1980: earlier times are no dates, but seconds since something other than the epoch."""
PRESENT_S = 86_400.0
"""Events older than this are shown with their date instead of their age."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """What a report can't know; None where the caller does not know it either.

    `events_n` may be newer than the report's. `per_s` is events a second. `lag_n` is how far the
    reader is behind its input, in `lag_unit`; None: the report's partitions have it. `age_s` is the
    age of the newest event by the wall clock, seconds.
    """

    events_n: int | None = None
    per_s: float | None = None
    lag_n: int | None = None
    lag_unit: str = "bytes"
    age_s: float | None = None


def list_concerns(report: Report) -> list[str]:
    """List what is wrong with a run, the worst first; drift is shown elsewhere.

    >>> from headrace import Engine
    >>> list_concerns(Engine().report)
    []
    """
    concerns = []
    if report.model.fault:
        concerns.append(report.model.fault)
    else:
        concerns += [failure.sentence for failure in report.model.failures]
    # Records that the settings leave out are no concern.
    rejected = {name: n for name, n in report.events.rejected_n.items() if name != Reason.LEFT_OUT}
    rejected_n = sum(rejected.values())
    if rejected_n > REJECTED_SHARE * (report.events.observed_n + rejected_n):
        reason = max(rejected, key=lambda name: rejected[name])
        concerns.append(f"{rejected_n:,} rejected, most {reason}")
    if report.events.behind_n > REJECTED_SHARE * report.events.observed_n:
        concerns.append(f"{report.events.behind_n:,} events far behind the clock")
    if report.schema.vanished:
        more_n = len(report.schema.vanished) - 1
        more = f" and {more_n:,} more" if more_n else ""
        concerns.append(f"feature {report.schema.vanished[0][:20]} vanished{more}")
    labels = report.labels
    ended_n = labels.settled_n + labels.disputed_n + labels.expired_n
    if ended_n >= ENDED_MIN and labels.expired_n > EXPIRED_SHARE * ended_n:
        concerns.append(f"{labels.expired_n:,} of {ended_n:,} requests expired")
    if labels.stale_n > STALE_SHARE * labels.open_n:
        concerns.append(
            f"{labels.stale_n:,} of {labels.open_n:,} open requests past half of their time"
        )
    if failed_n := report.worker.snapshots.failed_n:
        concerns.append(f"{failed_n:,} snapshots could not be written")
    if report.budget.is_exhausted:
        concerns.append("the budget is used up")
    concerns += [limit.sentence for limit in report.limits]
    return concerns


def health_line(report: Report, pulse: Pulse) -> Text:
    """The first concern, if any, the pace, the lag, and the age of the newest event."""
    concerns = list_concerns(report)
    if concerns:
        more = f" (and {len(concerns) - 1} more)" if len(concerns) > 1 else ""
        line = Text.assemble((f"▲ {concerns[0]}{more}", "bold yellow"))
    else:
        line = Text.assemble(("● healthy", "green"))
    if pulse.per_s is not None:
        line.append(f"   {pulse.per_s:,.0f} events/s")
    lags = [part.lag_n for part in report.worker.partitions if part.lag_n is not None]
    if pulse.lag_n is not None:
        line.append(f"   {_format_lag(pulse.lag_n, pulse.lag_unit)}")
    elif lags:
        line.append(f"   {_format_lag(sum(lags), 'records')}")
    if report.events.last_at is not None:
        line.append(f"   newest event {_format_age(report.events.last_at, pulse.age_s)}")
    return line


def _format_lag(n: int, unit: str) -> str:
    if n <= 0:
        return "up to date"
    if unit != "bytes":
        return f"{n:,} {unit} behind"
    size, power = float(n), 0
    while size >= 999.5 and power < len(_POWERS) - 1:
        size, power = size / 1_000, power + 1
    return f"{size:.{1 if power and size < 99.5 else 0}f} {_POWERS[power]} behind"


_POWERS = ("B", "kB", "MB", "GB", "TB")


def _format_age(at: float, age_s: float | None) -> str:
    if age_s is not None and -PRESENT_S < age_s < PRESENT_S:
        return (
            f"{shorten_span(age_s)} ago"
            if age_s >= 0
            else f"{shorten_span(-age_s)} ahead of the clock"
        )
    if at < DATED_FROM:
        return f"at {at:,.0f} s"
    try:
        return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):
        return f"at {at:g} s"  # A time beyond the calendar.


def shorten_span(seconds: float) -> str:
    """Format a length of time in its largest fitting unit.

    >>> shorten_span(4), shorten_span(600), shorten_span(7_200), shorten_span(600_000)
    ('4 s', '10 min', '2 h', '7 d')
    """
    for name, unit_s in (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {name}"
    return f"{seconds:.0f} s"
