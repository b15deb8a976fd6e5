"""Rows to figures and tables: means with intervals over seeds, paired differences, Markdown.

Shares become percent here. An interval is Student's t over seeds, 95 %. What was not run is a dash.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.experiments.runs import BLOCK_N, Row, Run
from bench.experiments.streams import STREAMS

from headrace.commands.pilot.compare import Interval, t_interval

DASH = "–"
Figure = Callable[[Row], float | None]


def accuracy(row: Row) -> float:
    """Percent right, over the whole stream."""
    return 100.0 * row.accuracy


def kappa(row: Row) -> float:
    """Cohen's kappa in percent."""
    return 100.0 * row.kappa


def accuracy_late(row: Row) -> float | None:
    """Percent right from the event on at which late labels are judged."""
    return None if row.accuracy_late is None else 100.0 * row.accuracy_late


def macro_recall(row: Row) -> float:
    """The mean of the percent right by class."""
    return 100.0 * row.macro_recall


def log_loss(row: Row) -> float:
    """Mean of minus the natural logarithm of the probability of the truth."""
    return row.log_loss


def us_event(row: Row) -> float:
    """Processor microseconds an event."""
    return row.us_event


def ms_label(row: Row) -> float:
    """Processor milliseconds a label."""
    return row.ms_label


def ms_label_in_all(row: Row) -> float:
    """Processor milliseconds of the whole run, divided by its labels."""
    return row.ms_label + row.us_event * row.events_n / max(1, row.labels_n) / 1000.0


@dataclass(frozen=True)
class Pick:
    """What rows are wanted: all seeds of one way to run one budget."""

    budget: float
    strategy: str = "default"
    model: str = "default"
    variant: str = ""
    latency: int = 0


class Results:
    """All rows, and the streams that means are over."""

    def __init__(self, rows: Mapping[Run, Row], names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._by_pick: dict[tuple[str, Pick], dict[int, Row]] = {}
        for run, row in rows.items():
            pick = Pick(run.budget, run.strategy, run.model, run.variant, run.latency)
            self._by_pick.setdefault((run.stream, pick), {})[run.seed] = row

    def rows(self, stream: str, pick: Pick) -> dict[int, Row]:
        """By seed, in order of the seeds."""
        return dict(sorted(self._by_pick.get((stream, pick), {}).items()))

    def values(self, stream: str, pick: Pick, figure: Figure = accuracy) -> dict[int, float]:
        """The figure by seed."""
        found = {seed: figure(row) for seed, row in self.rows(stream, pick).items()}
        return {seed: value for seed, value in found.items() if value is not None}

    def mean(self, stream: str, pick: Pick, figure: Figure = accuracy) -> Interval | None:
        """Over the seeds that were run."""
        return over(self.values(stream, pick, figure))

    def difference(
        self, stream: str, ours: Pick, theirs: Pick, figure: Figure = accuracy
    ) -> Interval | None:
        """Ours minus theirs, seed by seed, over the seeds that both were run with."""
        a, b = self.values(stream, ours, figure), self.values(stream, theirs, figure)
        return over({seed: a[seed] - b[seed] for seed in a if seed in b})

    def overall(
        self, pick: Pick, figure: Figure = accuracy, names: Sequence[str] | None = None
    ) -> dict[int, float]:
        """The mean over the streams by seed, for the seeds that were run on all of them."""
        columns = [self.values(name, pick, figure) for name in names or self.names]
        seeds = [seed for seed in columns[0] if all(seed in column for column in columns)]
        return {seed: math.fsum(c[seed] for c in columns) / len(columns) for seed in seeds}

    def overall_difference(
        self, ours: Pick, theirs: Pick, figure: Figure = accuracy
    ) -> Interval | None:
        """Ours minus theirs in the mean over the streams."""
        a, b = self.overall(ours, figure), self.overall(theirs, figure)
        return over({seed: a[seed] - b[seed] for seed in a if seed in b})

    def played(self, picks: Iterable[Pick]) -> list[Row]:
        """All rows of these picks on the streams."""
        return [
            row for pick in picks for name in self.names for row in self.rows(name, pick).values()
        ]


def over(values: Mapping[int, float]) -> Interval | None:
    """Mean and interval of values by seed; None without values."""
    return t_interval(list(values.values())) if values else None


def told(found: Interval | None, digits: int = 1) -> str:
    """63.0 ± 2.4, without the interval where there is one seed."""
    if found is None:
        return DASH
    half = "" if math.isnan(found.half) else f" ± {found.half:.{digits}f}"
    return f"{found.mean:.{digits}f}{half}"


def told_difference(found: Interval | None, digits: int = 1) -> str:
    """+1.8 ± 0.7, bold where the interval does not hold 0."""
    if found is None:
        return DASH
    half = "" if math.isnan(found.half) else f" ± {found.half:.{digits}f}"
    text = f"{found.mean:+.{digits}f}{half}"
    is_sure = found.low is not None and found.high is not None and found.low * found.high > 0
    return f"**{text}**" if is_sure else text


def number(value: float | None, digits: int = 1, sign: str = "") -> str:
    """A number, or a dash."""
    return DASH if value is None else f"{value:{sign}.{digits}f}"


def percent(share: float, digits: int = 0) -> str:
    """5 % for 0.05."""
    return f"{100.0 * share:.{digits}f} %"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """The lines of a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]


BURST_N = 300
"""Events after a known change that are judged."""


def right_after(stream: str) -> Figure:
    """Percent right in the first `BURST_N` events after a known change, mean over the changes."""
    return lambda row: _per_change(row.right_n, STREAMS[stream].changes, 100.0 / BURST_N)


def asked_after(stream: str) -> Figure:
    """Labels asked about the first `BURST_N` events after a known change, mean of the changes."""
    return lambda row: _per_change(row.asked_n, STREAMS[stream].changes, 1.0)


def _per_change(counts: Sequence[int], changes: Sequence[int], unit: float) -> float | None:
    if not counts:
        return None
    found = [sum(counts[at // BLOCK_N : (at + BURST_N) // BLOCK_N]) * unit for at in changes]
    return math.fsum(found) / len(found)


@dataclass(frozen=True)
class Honesty:
    """The live intervals of all seeds together: percent covered, bias and half-widths in points."""

    looks_n: int
    covered: float
    bias: float
    half: float
    blind: float


def honesty(results: Results, stream: str, pick: Pick) -> Honesty | None:
    """None where nothing was looked at."""
    found = [row.looks for row in results.rows(stream, pick).values() if row.looks.looks_n]
    if not found:
        return None
    n = sum(looks.looks_n for looks in found)

    def mean(name: str) -> float:
        return 100.0 * math.fsum(getattr(looks, name) * looks.looks_n for looks in found) / n

    covered = 100.0 * sum(looks.covered_n for looks in found) / n
    return Honesty(n, covered, mean("bias"), mean("half"), mean("blind"))
