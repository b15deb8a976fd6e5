"""What later code came to, beside the same runs by the code that all other tables are of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.experiments.plan import BUDGETS
from bench.experiments.runs import Row, Run
from bench.experiments.sections import enumerated, marked
from bench.experiments.tables import (
    DASH,
    Figure,
    Pick,
    Results,
    accuracy,
    kappa,
    over,
    percent,
    table,
    told,
    told_difference,
)

from headrace.commands.pilot.compare import Interval

NEWER = Path(__file__).parent / "newer.jsonl"
"""Runs made anew before there is time to make all of them anew."""


def anew(newer: Mapping[Run, Row], rows: Mapping[Run, Row], names: Sequence[str]) -> list[str]:
    """The lines of the section; the same seeds before and after."""
    before = Results({run: rows[run] for run in newer if run in rows}, names)
    after = Results(newer, names)
    lines = []
    for budget in BUDGETS:
        lines += [
            [f"{percent(budget)}, {marked(name)}", *_line(before, after, budget, name)]
            for name in names
            if after.rows(name, Pick(budget))
        ]
        if after.overall(Pick(budget)):
            lines.append([f"**{percent(budget)}, mean**", *_line(before, after, budget)])
            lines.append(
                [f"{percent(budget)}, mean kappa", *_line(before, after, budget, figure=kappa)]
            )
    codes = enumerated([f"`{code[:7]}`" for code in sorted({row.code for row in newer.values()})])
    head = ("labels, stream", "seeds", "random before", "random", "default before", "default",
            "default, change", "default minus random")  # fmt: skip
    return [
        f"{len(newer)} runs (`bench/experiments/newer.jsonl`) by the code {codes}, which has all "
        "decisions up to 27. *Before* are the runs of the same seeds by the code that the targets "
        "and all other tables are of. In percent.",
        "",
        *table(head, lines),
    ]


def _line(
    before: Results,
    after: Results,
    budget: float,
    name: str | None = None,
    figure: Figure = accuracy,
) -> list[str]:
    """Of one stream, or of the mean over all."""

    def mean(results: Results, pick: Pick) -> Interval | None:
        return over(_values(results, pick, name, figure))

    ours, random = Pick(budget), Pick(budget, "random")
    older, newest = mean(before, ours), mean(after, ours)
    difference = (
        after.overall_difference(ours, random, figure)
        if name is None
        else after.difference(name, ours, random, figure)
    )
    return [
        str(len(_values(after, ours, name, figure))),
        told(mean(before, random)),
        told(mean(after, random)),
        told(older),
        told(newest),
        DASH if older is None or newest is None else f"{newest.mean - older.mean:+.1f}",
        told_difference(difference),
    ]


def _values(results: Results, pick: Pick, name: str | None, figure: Figure) -> dict[int, float]:
    return results.overall(pick, figure) if name is None else results.values(name, pick, figure)
