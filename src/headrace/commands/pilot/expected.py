"""How long the runs of a pilot will take, measured on the first events before any is started."""

from __future__ import annotations

from dataclasses import dataclass

from ...settings import Settings
from .history import History
from .runs import Case, RunOutcome, play_case

PROBE_N = 1_000
"""Events of a probe; the cost of longer runs is extrapolated from probes."""

SHARES = (0.02, 0.3)
"""Budgets of the probes: of a thousand events 20 and 300 labels, the committee's whole memory."""

START_S = 1.5
"""Seconds to start a process."""


@dataclass(frozen=True)
class Costs:
    """Seconds of one process for each event that is watched, and for each label beside that."""

    event_s: float
    label_s: float

    def of_run(self, events_n: int, labels_n: float) -> float:
        """Seconds of a run over `events_n` events that buys `labels_n` labels."""
        return events_n * self.event_s + labels_n * self.label_s


def measure_costs(history: History, settings: Settings) -> Costs:
    """Play the first events with few labels and with many; two runs give the two costs.

    Raises `BadSettings` as the runs would.
    """
    first = history.take_first(PROBE_N)
    few, many = (_measure_run(first, settings, share) for share in SHARES)
    more_n = many.labels_n - few.labels_n
    label_s = max(0.0, many.run_s - few.run_s) / more_n if more_n > 0 else 0.0
    event_s = max(0.0, few.run_s - few.labels_n * label_s) / len(first)
    return Costs(event_s=event_s, label_s=label_s)


def expected_s(costs: Costs, events_n: int, jobs: list[Case | None], processes_n: int) -> float:
    """Estimate the seconds until the last run ends; a job of None learns every label.

    The processes share the time of all runs, and need no less than the longest run.
    """
    runs_s = [
        costs.of_run(events_n, events_n * (1.0 if job is None else job.budget)) for job in jobs
    ]
    start_s = START_S if processes_n > 1 else 0.0
    return start_s + max(sum(runs_s) / processes_n, *runs_s)


def describe_expected(
    costs: Costs, events_n: int, jobs: list[Case | None], processes_n: int
) -> str:
    """The sentence about the time that the runs will take."""
    shared = "one process" if processes_n == 1 else f"{processes_n} processes"
    seconds = expected_s(costs, events_n, jobs, processes_n)
    return f"{len(jobs)} runs of {events_n:,} events on {shared}: about {_in_words(seconds)}."


def _measure_run(history: History, settings: Settings, share: float) -> RunOutcome:
    # In a short history the share is larger, since a run needs two labels.
    budget = min(1.0, max(share, 2 / max(1, len(history))))
    case = Case(budget=budget, latency=0.0, strategy=settings.query.strategy, seed=0)
    return play_case(history, settings, case, lambda events_n: None)


def _in_words(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
