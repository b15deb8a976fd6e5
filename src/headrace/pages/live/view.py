"""The live view: the essentials of a `Report`, and the history of earlier reports, as text.

The demo, `headrace run --live` and a worker show it. It decides nothing, reads no clock and writes
nothing: `draw_view` returns a `Group` that rich can print, `live.screen` puts it on a terminal.
Every line is cut to the width and there are as many lines as the height, so that no terminal wraps
or scrolls; below 60 columns or 20 lines the end is missing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Group
from rich.text import Text

from ...learn.estimate import Estimate
from ...messages import (
    DriftChanged,
    LabelRequested,
    ModelAdopted,
    ModelKept,
    ModelRolledBack,
    Output,
)
from ...report import AnnotatorReport, Report
from ...report.sections import ASKED_REASONS
from .health import Pulse, health_line, shorten_span
from .plot import BAND, Mark, Track, plot_lines

__all__ = ["Mark", "Pulse", "Rated", "Track", "ViewHistory", "draw_view"]

MARKS_MAX = 500
"""Marks on the axis; at the limit the oldest is dropped."""
DECISIONS_MAX = 30

OURS, TRUE, THEIRS = "bold cyan", "green", "magenta"
LEVEL_STYLES = {"STABLE": "green", "WARNING": "bold yellow", "DRIFT": "bold red"}
LEVEL_LETTERS = {"STABLE": "s", "WARNING": "w", "DRIFT": "D"}
LETTERS = "a adopted  D drift  w warning  s stable"

Decision = LabelRequested | DriftChanged | ModelAdopted | ModelKept | ModelRolledBack


class ViewHistory:
    """The view's memory: estimates with their intervals, marks, the latest decisions.

    >>> from headrace import Engine
    >>> history = ViewHistory()
    >>> history.add_report(Engine().report)
    >>> history.accuracy.points, list(history.decisions)
    ([], [])
    """

    def __init__(self) -> None:
        self.accuracy = Track("estimated", OURS)
        self.low = Track("", BAND)
        self.high = Track("", BAND)
        self.marks: deque[Mark] = deque(maxlen=MARKS_MAX)
        self.decisions: deque[Decision] = deque(maxlen=DECISIONS_MAX)

    def add_report(self, report: Report) -> None:
        """Add the estimate of a report."""
        estimate = report.estimates.accuracy
        # An estimate over several partitions does not cover one stretch of events.
        events_n = report.events.observed_n if estimate.to_seq is None else estimate.to_seq
        self.accuracy.add(events_n, estimate.accuracy)
        self.low.add(events_n, estimate.low)
        self.high.add(events_n, estimate.high)

    def add_outputs(self, outputs: Iterable[Output], events_n: int) -> None:
        """Add outputs that left the engine after `events_n` events."""
        for output in outputs:
            if isinstance(output, Decision):
                self.decisions.append(output)
            if isinstance(output, DriftChanged):
                level = output.level
                self.marks.append(Mark(events_n, LEVEL_LETTERS[level], LEVEL_STYLES[level]))
            elif isinstance(output, ModelRolledBack):
                self.marks.append(Mark(events_n, "r", "bold blue"))
            elif isinstance(output, ModelAdopted):
                self.marks.append(Mark(events_n, "a", "bold blue"))


@dataclass(frozen=True, slots=True)
class Rated:
    """One row of accuracy: an estimate, and the truth over the same events where it is known."""

    name: str
    style: str
    estimate: Estimate
    true: float | None = None


def draw_view(
    report: Report,
    history: ViewHistory,
    *,
    width: int,
    height: int,
    pulse: Pulse | None = None,
    rated: Sequence[Rated] = (),
    tracks: Sequence[Track] = (),
    until_n: int | None = None,
    foot: str = "",
) -> Group:
    """Draw the view as `height` lines of at most `width` columns.

    `pulse` has the pace, lag and age; `rated` are the rows of accuracy (none: the report's own),
    `tracks` further lines of the plot, `until_n` the events at its right end where that is known,
    `foot` the text of the last line.
    """
    pulse = pulse or Pulse()
    rows = rated or [Rated("estimated", OURS, report.estimates.accuracy)]
    # The lines left over go to the columns first, then to the plot, then to decisions.
    spare = max(0, height - 7 - len(rows))
    column_n = min(12, max(8, spare * 4 // 10))
    plot_n = min(16, max(4, (spare - column_n) * 6 // 10))
    decisions_n = max(0, spare - plot_n - column_n)
    half = (width - 2) // 2
    events_n = max(report.events.observed_n, pulse.events_n or 0)
    lines = [_make_head(report, events_n, width), health_line(report, pulse)]
    lines.append(_make_rule("accuracy", width, _make_legend(history, tracks)))
    lines += [_make_gauge(row, width) for row in rows]
    lines += plot_lines(
        [history.accuracy, *tracks],
        (history.low, history.high),
        history.marks,
        width=width,
        rows=plot_n,
        until_n=until_n or events_n,
    )
    level = report.drift.level
    left = [_make_rule("budget and labels", half), *_list_spending(report, half)]
    right = [
        _make_rule(
            "drift and annotators", width - half - 2, Text(level, style=LEVEL_STYLES[level])
        ),
        *_list_statistics(report, width - half - 2, column_n),
    ]
    lines += _join_columns(left, right, half, column_n + 1)
    lines.append(_make_rule("latest decisions", width))
    lines += [
        _describe_decision(decision) for decision in list(history.decisions)[::-1][:decisions_n]
    ]
    lines = lines[: height - 1]
    lines += [Text("")] * (height - 1 - len(lines))
    lines.append(_justify_line(Text(foot, style="dim"), Text(LETTERS, style="dim"), width))
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
        line.truncate(width, overflow="ellipsis")
    return Group(*lines)


# ------------------------------------------------------------------------------- head and rows


def _make_head(report: Report, events_n: int, width: int) -> Text:
    state = (
        "cold start"
        if report.asking.is_cold
        else "retraining"
        if report.retraining.is_open
        else "warm"
    )
    left = Text.assemble(
        ("headrace", "bold"),
        f" {report.stream}  ",
        (f"{events_n:,}", "bold"),
        " events",
    )
    right = Text.assemble(
        f"{report.asking.strategy}, {state}  model {report.model.version:,}  ",
        (f" {report.drift.level} ", f"reverse {LEVEL_STYLES[report.drift.level]}"),
    )
    return _justify_line(left, right, width)


def _make_rule(title: str, width: int, right: Text | None = None) -> Text:
    end = Text.assemble(" ", right, " ─") if right else Text("")
    line = Text.assemble(("── ", "dim"), (title, "bold"), " ")
    line.append("─" * max(0, width - line.cell_len - end.cell_len), style="dim")
    return line.append_text(end)


def _make_legend(history: ViewHistory, tracks: Sequence[Track]) -> Text:
    parts: list[tuple[str, str] | str] = []
    for track in (history.accuracy, *tracks):
        parts += [("⠤⠤ ", track.style), f"{track.name}  "]
    return Text.assemble(*parts, ("░", BAND), " 95 %")


def _make_gauge(row: Rated, width: int) -> Text:
    """Draw name, share, interval, a gauge from 0 to 1 with interval and truth, and the truth."""
    estimate = row.estimate
    line = Text.assemble((f"{row.name[:12]:<12}", row.style), " ")
    if estimate.accuracy is None or estimate.low is None or estimate.high is None:
        return line.append("no label has come back yet", style="dim")
    line.append(f"{estimate.accuracy:6.1%}", style=row.style)
    line.append(f"  {estimate.low:5.1%} to {estimate.high:6.1%}  ")
    tail = f"  {estimate.labels_n:,} labels"
    if row.true is not None:
        tail += f"  true {row.true:6.1%}"
    cells_n = max(4, width - line.cell_len - len(tail))

    def cell_of(share: float) -> int:
        return min(cells_n - 1, int(share * cells_n))

    for i in range(cells_n):
        if i == cell_of(estimate.accuracy):
            line.append("●", style=row.style)
        elif row.true is not None and i == cell_of(row.true):
            line.append("┃", style=TRUE)
        elif cell_of(estimate.low) <= i <= cell_of(estimate.high):
            line.append("━", style=row.style)
        else:
            line.append("·", style="dim")
    return line.append(tail)


# --------------------------------------------------------------------------------- the columns


def _list_spending(report: Report, width: int) -> list[Text]:
    paid_n = report.asking.requests_n - report.budget.refunded_n
    earned_n = paid_n + report.budget.available_n
    unsettled_n = report.labels.disputed_n + report.labels.withdrawn_n
    oldest = ""
    if report.labels.oldest_open_at is not None and report.events.last_at is not None:
        open_s = max(0.0, report.events.last_at - report.labels.oldest_open_at)
        oldest = f", oldest {shorten_span(open_s)}"
    lines = [
        Text.assemble(
            f"{'paid':<11}",
            *_make_bar(paid_n / max(1, earned_n), width - 27, "cyan"),
            f" {paid_n:,}",
        ).append(f" of {earned_n:,}"),
        Text.assemble(f"{'open':<11}", (f"{report.labels.open_n:,}", "bold"), " requests", oldest),
        Text(
            f"{'ended':<11}{report.labels.settled_n:,} settled, {report.labels.expired_n:,} expired"
            + (f", {unsettled_n:,} else" if unsettled_n else "")
        ),
        Text(
            f"{'rounds':<11}{report.asking.rounds_n:,}; retrained {report.retraining.ordered_n:,}, "
            f"adopted {report.retraining.adopted_n:,}"
            + (
                f", rolled back {report.retraining.rolled_back_n:,}"
                if report.retraining.rolled_back_n
                else ""
            )
        ),
    ]
    if report.model.evidence_n and report.model.evidence_age_s is not None:
        age = f"{shorten_span(report.model.evidence_age_s)} old on average"
        lines.append(Text(f"{'evidence':<11}{report.model.evidence_n:,} labels, {age}"))
    most_n = max(report.asking.by_reason.values(), default=1)
    for reason in ASKED_REASONS:
        n = report.asking.by_reason.get(reason, 0)
        if n:
            lines.append(
                Text.assemble(
                    f"{reason:<15}", *_make_bar(n / most_n, width - 31, "blue"), f" {n:,}"
                )
            )
    return lines


def _list_statistics(report: Report, width: int, rows: int) -> list[Text]:
    """List drift statistics relative to their thresholds, highest first; then annotators."""
    lines = []
    statistics = sorted(report.drift.statistics.items(), key=lambda pair: (-pair[1], pair[0]))
    annotators = report.annotators.most_active
    are_listed = rows > min(5, len(statistics)) + len(annotators) and width >= 60
    shown_n = rows - 1 - (len(annotators) if are_listed else 0)
    for name, ratio in statistics[:shown_n]:
        style = "red" if ratio >= 1.0 else "yellow" if ratio >= 0.75 else "green"
        bar = _make_bar(min(1.0, ratio / 2.0), width - 25, style)
        lines.append(Text.assemble(f"{name[:17]:<18}", *bar, f" {ratio:5.2f}"))
    lines.append(_sum_up_annotators(annotators))
    for a in annotators if are_listed else ():
        agreed = f"{a.agreed_n / a.compared_n:4.0%}" if a.compared_n else "   -"
        late = f"{a.mean_latency_s:6,.0f} s late" if a.mean_latency_s is not None else ""
        lines.append(Text(f"  {a.name[:15]:<16}{a.answers_n:5,} answers {agreed} agreed{late}"))
    return lines


def _sum_up_annotators(annotators: Sequence[AnnotatorReport]) -> Text:
    """Sum up in a line: number of annotators, answers, shares that agreed and were right."""
    if not annotators:
        return Text("annotators  nobody has answered yet")
    compared_n = sum(a.compared_n for a in annotators)
    agreed = (
        f", {sum(a.agreed_n for a in annotators) / compared_n:.0%} agreed" if compared_n else ""
    )
    gold_n = sum(a.gold_n for a in annotators)
    gold = (
        f", {sum(a.gold_right_n for a in annotators) / gold_n:.0%} right in gold" if gold_n else ""
    )
    answers_n = sum(a.answers_n for a in annotators)
    return Text(f"annotators  {len(annotators):,}, {answers_n:,} answers{agreed}{gold}")


def _make_bar(share: float, width: int, style: str) -> list[tuple[str, str]]:
    width = max(4, width)
    full = min(width, max(0, round(share * width)))
    return [("█" * full, style), ("░" * (width - full), "dim")]


def _describe_decision(decision: Decision) -> Text:
    """Describe in one line what was decided, and why."""
    match decision:
        case LabelRequested():
            return _describe_request(decision)
        case DriftChanged(level=level, previous=previous):
            return Text.assemble(
                (f"{'drift':<13}", "bold"),
                f"{previous} to ",
                (level, LEVEL_STYLES[level]),
                f"  {decision.signal}/{decision.detector} "
                f"at {decision.statistic:.2f} of its threshold",
                "".join(f"  {name}" for name in (*decision.features, *decision.classes)),
            )
        case ModelAdopted():
            return Text.assemble((f"{'adopted':<13}", "bold blue"), _describe_comparison(decision))
        case ModelRolledBack(to=int(to)):
            return Text.assemble((f"{'rolled back':<13}", "bold blue"), f"to version {to}")
        case ModelRolledBack():
            return Text.assemble(
                (f"{'rolled back':<13}", "bold blue"), _describe_comparison(decision)
            )
        case ModelKept():
            why = decision.reason
            if decision.labels_n:
                why = f"{_describe_comparison(decision)}  {why}"
            return Text.assemble((f"{'model kept':<13}", "blue"), why)


def _describe_comparison(decision: ModelAdopted | ModelKept | ModelRolledBack) -> str:
    return (
        f"challenger {decision.challenger_right:.0%}, champion {decision.champion_right:.0%} right "
        f"on {decision.labels_n:,} labels"
    )


def _describe_request(request: LabelRequested) -> Text:
    likely = max(request.prediction, key=lambda name: request.prediction[name], default="")
    guess = f"{likely} {request.prediction[likely]:.0%}" if likely else "no prediction"
    return Text.assemble(
        (f"{request.reason:<13}", "blue"),
        f"event {request.event_id[:14]:<8} ",
        f" chance {request.propensity:7.2%}",
        f"  utility {request.utility:6.3f}  ",
        (guess, "dim"),
    )


# ----------------------------------------------------------------------------------- the lines


def _join_columns(left: list[Text], right: list[Text], half: int, rows: int) -> list[Text]:
    lines = []
    for i in range(rows):
        first = left[i].copy() if i < len(left) else Text("")
        first.truncate(half, overflow="ellipsis", pad=True)
        lines.append(first.append("  ").append_text(right[i] if i < len(right) else Text("")))
    return lines


def _justify_line(left: Text, right: Text, width: int) -> Text:
    return left.append(" " * max(1, width - left.cell_len - right.cell_len)).append_text(right)
