"""How long the runs of a pilot will take, measured on the first events before any is started."""

from __future__ import annotations

from dataclasses import dataclass

from ...settings import Settings
from .history import History
from .runs import Case, RunOutcome, play_all, play_case, spacing_of

PROBE_N = 1_000
"""Events of a probe; the cost of longer runs is extrapolated from probes."""

LONG_N = 100_000
LONG_PROBE_N = 10_000
"""Of a history of more than `LONG_N` events the probes are longer: labels cost most at first."""

SHARES = (0.02, 0.3)
LONG_SHARES = (0.002, 0.1)
"""Budgets of the probes: 20 labels, and 300, the committee's whole memory, or 1,000."""

REFERENCE_PART = 5
"""The reference, which learns all labels, is measured on a fifth of the events of a probe."""

START_S = 1.5
"""Seconds to start a process."""


@dataclass(frozen=True)
class Costs:
    """Seconds of one process for each event that is watched, and for each label beside that.

    `reference_s` is of each label of the reference, which decides nothing.
    """

    event_s: float
    label_s: float
    reference_s: float

    def of_run(self, events_n: int, job: Case | None) -> float:
        """Seconds of a run over `events_n` events; a job of None is the reference."""
        label_s = self.reference_s if job is None else self.label_s
        return events_n * (self.event_s + share_of(job, events_n) * label_s)


def share_of(job: Case | None, events_n: int) -> float:
    """The share of events whose labels a job learns; a job of None is the reference."""
    return 1.0 / spacing_of(events_n) if job is None else job.budget


def measure_costs(history: History, settings: Settings) -> Costs:
    """Play the first events with few labels, with many and with all; three runs give three costs.

    Raises `BadSettings` as the runs would.
    """
    is_long = len(history) > LONG_N
    first = history.take_first(LONG_PROBE_N if is_long else PROBE_N)
    shares = LONG_SHARES if is_long else SHARES
    few, many = (_measure_run(first, settings, share) for share in shares)
    more_n = many.labels_n - few.labels_n
    label_s = max(0.0, many.run_s - few.run_s) / more_n if more_n > 0 else 0.0
    event_s = max(0.0, few.run_s - few.labels_n * label_s) / len(first)
    head = first.take_first(max(1, len(first) // REFERENCE_PART))
    full = play_all(head, settings, settings.seed, lambda events_n: None)
    reference_s = max(0.0, full.run_s - full.events_n * event_s) / full.labels_n
    return Costs(event_s=event_s, label_s=label_s, reference_s=reference_s)


def expected_s(costs: Costs, events_n: int, jobs: list[Case | None], processes_n: int) -> float:
    """Estimate the seconds until the last run ends.

    The processes share the time of all runs, and need no less than the longest run.
    """
    runs_s = [costs.of_run(events_n, job) for job in jobs]
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
