"""Statistics over the runs of a pilot: means with intervals, differences to random, savings.

This is pure arithmetic on outcomes; `pilot.report` shows the results.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import msgspec
import numpy as np

from .runs import ALL, RunOutcome

RANDOM = "random"

# Student's t, two-sided 95 %, by degrees of freedom from 1.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
      2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
      2.052, 2.048, 2.045, 2.042)  # fmt: skip


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A mean over seeds and its 95 % interval; no bounds where there is one seed."""

    mean: float
    low: float | None
    high: float | None

    @property
    def half(self) -> float:
        """Half of the interval's width; NaN without bounds."""
        return math.nan if self.low is None or self.high is None else (self.high - self.low) / 2.0


def t_interval(values: Sequence[float]) -> Interval:
    """Mean and t-interval of a few independent values.

    >>> accuracy = t_interval([0.70, 0.72, 0.74])
    >>> round(accuracy.mean, 3), round(accuracy.low, 3), round(accuracy.high, 3)
    (0.72, 0.67, 0.77)
    """
    n = len(values)
    mean = math.fsum(values) / n
    if n < 2:
        return Interval(mean=mean, low=None, high=None)
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    t = _T[n - 2] if n - 2 < len(_T) else 1.96
    half = t * math.sqrt(variance / n)
    return Interval(mean=mean, low=mean - half, high=mean + half)


class LabelSaving(msgspec.Struct, frozen=True, kw_only=True):
    """Labels saved against random at equal accuracy, as a share of those random needs.

    Negative: random needs fewer. `bound` is "at least" or "at most" where the accuracy is beyond
    those that random reached in the runs. `is_sure` is false if the interval contains 0.
    """

    share: float
    bound: str
    low: float | None
    high: float | None
    is_sure: bool


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """The results of one budget, latency and strategy over all seeds; shares are 0 to 1.

    `difference` is the accuracy minus that of random with the same seed. `covered_n` of
    `estimates_n` runs had the truth inside their own live estimate's interval.
    """

    budget: float
    latency: float
    strategy: str
    accuracy: Interval
    kappa: float
    balanced: float
    macro_f1: float
    tail: float | None
    labels_n: float
    difference: Interval | None
    saving: LabelSaving | None
    covered_n: int
    estimates_n: int
    drifts_n: float
    adoptions_n: float


def rows_of(outcomes: Sequence[RunOutcome]) -> list[Row]:
    """A row for each budget, latency and strategy that was asked for, in the order of the runs."""
    rows = []
    for (budget, latency, strategy), runs in group_outcomes(outcomes).items():
        if not runs[0].case.is_asked_for:
            continue
        labels_n = math.fsum(o.labels_n for o in runs) / len(runs)
        difference = saving = None
        if strategy not in (RANDOM, ALL):
            luck = {o.case.seed: o for o in group_outcomes(outcomes)[budget, latency, RANDOM]}
            difference = t_interval([o.accuracy - luck[o.case.seed].accuracy for o in runs])
            # Random was also run at budgets that were not asked for.
            curve = curve_of(outcomes, latency, RANDOM)
            saving = count_saved_labels(curve, labels_n, difference)
        estimated = [o for o in runs if o.low is not None and o.high is not None]
        rows.append(
            Row(
                budget=budget,
                latency=latency,
                strategy=strategy,
                accuracy=t_interval([o.accuracy for o in runs]),
                kappa=math.fsum(o.kappa for o in runs) / len(runs),
                balanced=math.fsum(o.balanced for o in runs) / len(runs),
                macro_f1=math.fsum(o.macro_f1 for o in runs) / len(runs),
                tail=_mean_of([o.tail for o in runs if o.tail is not None]),
                labels_n=labels_n,
                difference=difference,
                saving=saving,
                covered_n=sum(is_covered(o) for o in estimated),
                estimates_n=len(estimated),
                drifts_n=sum(len(drift_points(o)) for o in runs) / len(runs),
                adoptions_n=sum(len(o.adoptions) for o in runs) / len(runs),
            )
        )
    return rows


def _mean_of(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """Labels that a strategy needs for an accuracy; `bound` as in `LabelSaving`: "at least", "at
    most".

    `labels_n` is interpolated between the budgets that were run, linearly in the log of labels.
    """

    accuracy: float
    part: float
    latency: float
    strategy: str
    labels_n: float
    bound: str


PARTS = (0.9, 0.95, 0.98)
"""Accuracies to reach, as parts of the accuracy of the same learner with every label."""


def reaches_of(outcomes: Sequence[RunOutcome], all_labels: float) -> list[Reach]:
    """List the labels that each strategy needs for each of `PARTS`, random first.

    `all_labels` is the accuracy of the same learner with every label.
    """
    places = {(latency, strategy): None for _, latency, strategy in group_outcomes(outcomes)}
    return [
        Reach(
            accuracy=part * all_labels,
            part=part,
            latency=latency,
            strategy=strategy,
            labels_n=needed_n,
            bound=bound,
        )
        for part in PARTS
        for latency, strategy in places
        if strategy != ALL
        for needed_n, bound in [
            _find_labels_needed(curve_of(outcomes, latency, strategy), part * all_labels)
        ]
    ]


def group_outcomes(
    outcomes: Sequence[RunOutcome],
) -> dict[tuple[float, float, str], list[RunOutcome]]:
    """The outcomes by budget, latency and strategy, in order."""
    groups: dict[tuple[float, float, str], list[RunOutcome]] = {}
    for outcome in outcomes:
        case = outcome.case
        groups.setdefault((case.budget, case.latency, case.strategy), []).append(outcome)
    return groups


def is_covered(outcome: RunOutcome) -> bool:
    """Whether the truth is inside the live estimate's interval."""
    if outcome.low is None or outcome.high is None:
        return False
    return outcome.low <= outcome.truth <= outcome.high


def drift_points(outcome: RunOutcome) -> list[int]:
    """Where the drift level rose to DRIFT; counts of events."""
    return [n for n, level, _, _ in outcome.drifts if level == "DRIFT"]


def mean_curve(runs: Sequence[RunOutcome], blocks_n: int = 5) -> list[tuple[float, Interval]]:
    """(events, accuracy) at the end of each block, over the last `blocks_n` blocks."""
    points = []
    curves = [np.array(outcome.block_right, np.float64) for outcome in runs]  # None becomes NaN.
    for i in range(len(curves[0])):
        parts = [curve[max(0, i + 1 - blocks_n) : i + 1] for curve in curves]
        if any(np.isnan(part).all() for part in parts):
            continue
        interval = t_interval([float(np.nanmean(part)) for part in parts])
        points.append((runs[0].events_n * (i + 1) / len(curves[0]), interval))
    return points


# ------------------------------------------------------------------------------------- savings


def curve_of(
    outcomes: Sequence[RunOutcome], latency: float, strategy: str
) -> list[tuple[float, float]]:
    """(labels, accuracy) of a strategy at every budget that was run, never falling with labels.

    Where noise makes it fall, neighbours are pooled (Ayer et al., "An empirical distribution
    function for sampling with incomplete information", 1955).
    """
    points = []
    for (_, at, name), runs in group_outcomes(outcomes).items():
        if at == latency and name == strategy:
            n = len(runs)
            points.append((sum(o.labels_n for o in runs) / n, sum(o.accuracy for o in runs) / n))
    pools: list[list[tuple[float, float]]] = []
    for point in sorted(points):
        pools.append([point])
        while len(pools) > 1 and _mean_accuracy(pools[-2]) >= _mean_accuracy(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    return [(labels_n, _mean_accuracy(pool)) for pool in pools for labels_n, _ in pool]


def count_saved_labels(
    curve: Sequence[tuple[float, float]], labels_n: float, difference: Interval
) -> LabelSaving | None:
    """The labels saved by a strategy that is `difference` better than random at `labels_n` labels.

    The bounds are those of the difference, read off random's curve in the same way. None when the
    curve has fewer than two points.

    >>> curve = [(100.0, 0.60), (200.0, 0.70), (400.0, 0.80)]
    >>> better = count_saved_labels(curve, 200.0, Interval(mean=0.05, low=0.02, high=0.10))
    >>> round(better.share, 2), round(better.low, 2), round(better.high, 2), better.is_sure
    (0.29, 0.13, 0.5, True)
    """
    if len(curve) < 2:
        return None
    level = _accuracy_at(curve, labels_n)

    def share_of(points: float) -> tuple[float, str]:
        needed_n, bound = _find_labels_needed(curve, level + points) if points else (labels_n, "")
        # Beyond the curve's ends its last labels are known alone, a few more or less than ours.
        needed_n = max(needed_n, labels_n) if points > 0 else min(needed_n, labels_n)
        return 1.0 - labels_n / needed_n, bound

    share, bound = share_of(difference.mean)
    low, high = difference.low, difference.high
    return LabelSaving(
        share=share,
        bound=bound,
        low=None if low is None else share_of(low)[0],
        high=None if high is None else share_of(high)[0],
        is_sure=low is not None and high is not None and (low > 0 or high < 0),
    )


def _mean_accuracy(pool: Sequence[tuple[float, float]]) -> float:
    return math.fsum(accuracy for _, accuracy in pool) / len(pool)


def _accuracy_at(curve: Sequence[tuple[float, float]], labels_n: float) -> float:
    logs = [math.log(max(1.0, n)) for n, _ in curve]
    return float(np.interp(math.log(max(1.0, labels_n)), logs, [a for _, a in curve]))


def _find_labels_needed(curve: Sequence[tuple[float, float]], accuracy: float) -> tuple[float, str]:
    """Labels at which a curve reaches an accuracy, linear in log labels; and the bound."""
    if accuracy <= curve[0][1]:
        return max(1.0, curve[0][0]), "at most" if accuracy < curve[0][1] else ""
    for (n, below), (more_n, above) in pairwise(curve):
        if below < accuracy <= above:
            part = (accuracy - below) / (above - below)
            return max(1.0, n) ** (1 - part) * max(1.0, more_n) ** part, ""
    return max(1.0, curve[-1][0]), "at least"


def describe_rejects(outcomes: Sequence[RunOutcome]) -> str:
    """Describe in a sentence the events that runs rejected; empty if there were none."""
    worst = max(outcomes, key=lambda outcome: outcome.rejected_n)
    if not worst.rejected_n:
        return ""
    n, of = worst.rejected_n, worst.rejected_n + worst.events_n
    return (
        f"Up to {n:,} of {of:,} events were rejected in a run, mostly as "
        f"{worst.rejected_as or 'unknown'}, and are not judged: see docs/REJECTS.md."
    )


# -------------------------------------------------------------------------------------- advice


def write_advice(rows: Sequence[Row], latency_unit: str) -> str:
    """Write one honest sentence of advice on which strategy to choose."""
    rivals = [row for row in rows if row.difference is not None]
    if not rivals:
        return "Only random was run: name strategies to compare it with."
    if any(row.difference is not None and row.difference.low is None for row in rivals):
        return "One seed can't tell luck from merit: run this again with --seeds 5 or more."
    gains = sorted(
        (row for row in rivals if row.difference and (row.difference.low or 0.0) > 0.0),
        key=lambda row: -row.difference.mean if row.difference else 0.0,
    )
    losses = [row for row in rivals if row.difference and (row.difference.high or 0.0) < 0.0]
    harm = ""
    if losses:
        worst = min(losses, key=lambda row: row.difference.mean if row.difference else 0.0)
        harm = f" {worst.strategy} did harm at {_describe_place(worst, latency_unit)}."
    if not gains or gains[0].difference is None:
        return (
            "No strategy beat random beyond the noise of these seeds: keep random, or pay for more "
            f"labels or more seeds before choosing.{harm}"
        )
    best = gains[0]
    gain = gains[0].difference
    wins = sum(row.strategy == best.strategy for row in gains)
    of = sum(row.strategy == best.strategy for row in rivals)
    more = ""
    if best.saving is not None and best.saving.share > 0:
        bound = f"{best.saving.bound} " if best.saving.bound else ""
        times = 1.0 / (1.0 - best.saving.share)
        more = f", for which random would need {bound}{times:.1f} times the labels"
    return (
        f"{best.strategy} is the one to try: at {_describe_place(best, latency_unit)} it gained "
        f"{100 * gain.mean:.1f} points over random ({100 * (gain.low or 0):.1f} to "
        f"{100 * (gain.high or 0):.1f}){more}; it won beyond noise in {wins} of the {of} settings "
        f"tried.{harm}"
    )


def _describe_place(row: Row, unit: str) -> str:
    after = f" with answers after {row.latency:g} {unit}" if row.latency else ""
    return f"{100 * row.budget:g} %{after}"
