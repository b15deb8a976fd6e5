"""A pilot's findings for people and programs: a console table, JSON, an HTML page.

Everything shown is in a `Pilot` already; only points of plots are computed here.
"""

from __future__ import annotations

import math

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable

from ...pages.drawing import Bar, Curve, Style
from ...pages.html import PageSection, make_page, make_section, make_table
from ...pages.markup import Html, NumberText, count, interval, percent, plus_minus
from ...pages.plots import bar_plot, events_plot, line_plot
from ...pages.report.parts import changed_settings
from ...settings import Settings
from .compare import RANDOM, Reach, Row, drift_points, group_outcomes, is_covered, mean_curve
from .compare import t_interval as over_seeds
from .history import ColumnsRead, History
from .runs import ALL, Case, RunOutcome


class Pilot(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a pilot found; `docs/PILOT.md` explains each number.

    `outcomes` are all runs, those for the savings included; `all_labels` is the same learner with
    every label at once, or in a long history with one in a number of them; `rejects` is a sentence
    on events that were rejected.
    """

    history: str
    reading: ColumnsRead
    rejects: str
    events_n: int
    features_n: int
    classes: tuple[str, ...]
    latency_unit: str
    settings: Settings
    seeds_n: int
    rows: list[Row]
    reaches: list[Reach]
    all_labels: RunOutcome
    outcomes: list[RunOutcome]
    advice: str


def as_json(pilot: Pilot) -> bytes:
    """The pilot as JSON, indented; fields as in `Pilot`, `Row` and `RunOutcome`."""
    return msgspec.json.format(msgspec.json.encode(pilot), indent=1)


# ------------------------------------------------------------------------------------ console


def show_reading(name: str, history: History, reading: ColumnsRead, console: Console) -> None:
    """Print how the columns of a file were read, before any run."""
    console.print(f"{name}: {len(history):,} events")
    shown = RichTable(box=None, show_header=False, padding=(0, 2, 0, 0))
    shown.add_column(no_wrap=True)
    shown.add_column(overflow="fold")
    for row in reading.rows:
        shown.add_row(*row)
    console.print(shown)
    for note in reading.notes:
        console.print(note)


def show_pilot(pilot: Pilot, console: Console) -> None:
    """Print the table and the advice; the table fits into eighty columns."""
    varies = len({row.latency for row in pilot.rows}) > 1
    console.print(
        f"{pilot.history}: {pilot.events_n:,} events, {pilot.features_n} features, "
        f"{len(pilot.classes)} classes. Model {pilot.settings.model.name}, {pilot.seeds_n} seeds"
        f"{'' if varies else _describe_latency(pilot, pilot.rows[0].latency)}.",
    )
    for role, columns in pilot.reading.rows[:1]:
        console.print(f"{role} {columns}")
    shown = RichTable(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for name in ("budget", *(("latency",) if varies else ()), "strategy", "accuracy, %", "kappa",
                 "labels", "minus random", "labels saved"):  # fmt: skip
        shown.add_column(name, justify="left" if name == "strategy" else "right")
    before = None
    for row in pilot.rows:
        if before is not None and (row.budget, row.latency) != before:
            shown.add_section()
        before = (row.budget, row.latency)
        shown.add_row(
            f"{100 * row.budget:g} %",
            *((f"{row.latency:g}",) if varies else ()),
            row.strategy,
            plus_minus(row.accuracy.mean, row.accuracy.half),
            f"{row.kappa:.2f}",
            count(row.labels_n),
            _format_difference(row),
            _format_saving(row),
        )
    shown.add_section()
    full = pilot.all_labels
    shown.add_row(f"{100 * full.case.budget:.3g} %", *(("0",) if varies else ()),
                  full.case.strategy,
                  percent(full.accuracy).removesuffix("%"), f"{full.kappa:.2f}",
                  count(full.labels_n))  # fmt: skip
    console.print(shown)
    console.print(_make_grid(*_tabulate_measures(pilot)))
    console.print(_make_grid(*_tabulate_reaches(pilot)))
    console.print(_describe_estimates(pilot))
    if pilot.rejects:
        console.print(pilot.rejects)
    console.print(pilot.advice, style="bold")


def _make_grid(header: list[str], rows: list[list[str]]) -> RichTable:
    shown = RichTable(box=None, padding=(0, 2, 0, 0))
    for i, name in enumerate(header):
        shown.add_column(name, justify="right" if i else "left")
    for row in rows:
        shown.add_row(*row)
    return shown


def _tabulate_measures(pilot: Pilot) -> tuple[list[str], list[list[str]]]:
    """Header and rows of further measures, in percent: balanced, macro F1, hold-out tail."""
    full = pilot.all_labels
    figures: list[tuple[str, tuple[float | None, ...]]] = [
        (
            f"{row.strategy}, {_describe_place(pilot, row.budget, row.latency)}",
            (row.accuracy.mean, row.balanced, row.macro_f1, row.tail),
        )
        for row in pilot.rows
    ]
    figures.append(
        (_name_reference(pilot), (full.accuracy, full.balanced, full.macro_f1, full.tail))
    )
    header = ["run", "accuracy", "balanced", "macro F1", "hold-out tail"]
    rows = [
        [name, *("" if value is None else f"{100 * value:.1f}" for value in values)]
        for name, values in figures
    ]
    return header, rows


def _tabulate_reaches(pilot: Pilot) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the labels to reach parts of the accuracy with all labels."""
    strategies = list(dict.fromkeys(reach.strategy for reach in pilot.reaches))
    varies = len({reach.latency for reach in pilot.reaches}) > 1
    places = dict.fromkeys((reach.part, reach.accuracy, reach.latency) for reach in pilot.reaches)
    rows = []
    for part, accuracy, latency in places:
        reaches = {r.strategy: r for r in pilot.reaches if (r.part, r.latency) == (part, latency)}
        after = f", latency {latency:g}" if varies else ""
        level = (
            f"{100 * accuracy:.1f} %, {100 * part:g} % of that with {_name_reference(pilot)}{after}"
        )
        rows.append([level, *(_describe_labels(reaches[name]) for name in strategies)])
    return ["labels to reach", *strategies], rows


def _name_reference(pilot: Pilot) -> str:
    name = pilot.all_labels.case.strategy
    return "every label" if name == ALL else name


def _describe_labels(reach: Reach) -> str:
    mark = {"": "", "at least": "> ", "at most": "≤ "}[reach.bound]
    return f"{mark}{count(reach.labels_n)}"


def _format_difference(row: Row) -> str | None:
    difference = row.difference
    if difference is None:
        return None
    text = f"{100 * difference.mean:+.1f}"
    if difference.low is not None and difference.high is not None:
        text += f" ({100 * difference.low:.1f}, {100 * difference.high:.1f})"
    return text.replace("-", "−")


def _format_saving(row: Row) -> str | None:
    """Describe the saving; "none" where luck alone may explain it."""
    saving = row.saving
    if saving is None:
        return None
    if saving.low is None or saving.high is None:
        return f"{_format_bounded(saving.share, saving.bound)}, one seed"
    if not saving.is_sure:
        return "none"
    if saving.share < 0:
        return "costs more"
    if saving.low >= saving.share:
        # Even the lower end is beyond the budgets of random, so there is no interval to show.
        return _format_bounded(saving.share, saving.bound)
    share = _format_bounded(saving.share, saving.bound)
    return f"{share} ({100 * saving.low:.0f}–{100 * saving.high:.0f})"


def _format_bounded(share: float, bound: str) -> str:
    mark = {"": "", "at least": "≥ ", "at most": "≤ "}[bound]
    return f"{mark}{100 * share:.0f} %".replace("-", "−")


def _describe_estimates(pilot: Pilot) -> str:
    """Compare the engine's own estimates with the truth that the pilot knows, in words."""
    judged = [o for o in pilot.outcomes if o.low is not None]
    held_n = sum(is_covered(o) for o in judged)
    example = next((o for o in judged if o.case.strategy != RANDOM), judged[0] if judged else None)
    if example is None or example.estimate is None or example.low is None or example.high is None:
        return "No run had labels enough for a live estimate."
    case = example.case
    return (
        f"The live 95 % interval held the true accuracy in {held_n} of {len(judged)} runs. First: "
        f"{case.strategy} at {100 * case.budget:g} %, estimated {100 * example.estimate:.1f} "
        f"({100 * example.low:.1f}–{100 * example.high:.1f}), true {100 * example.truth:.1f}."
    )


# --------------------------------------------------------------------------------------- page


def as_html(pilot: Pilot) -> str:
    """Make a page that needs no other file. Raises `BadSettings` without matplotlib."""
    strategies = list(dict.fromkeys(row.strategy for row in pilot.rows if row.strategy != RANDOM))
    tones = {name: tone for tone, name in enumerate(strategies)}
    sections = [
        make_section("In short", pilot.advice, _describe_estimates(pilot), _make_table(pilot))
    ]
    sections.append(
        make_section(
            "Beyond accuracy on arrival",
            make_table(
                *_tabulate_measures(pilot),
                caption="Tail: the last fifth, by a model that learns no more.",
            ),
            make_table(
                *_tabulate_reaches(pilot),
                caption="Read off the budgets that were run; >: not reached.",
            ),
        )
    )
    places = list(dict.fromkeys((row.budget, row.latency) for row in pilot.rows))
    curves = [_plot_learning(pilot, budget, latency, tones) for budget, latency in places]
    sections.append(make_section("Accuracy over the stream", *curves))
    if strategies:
        latencies = list(dict.fromkeys(latency for _, latency in places))
        sections.append(_make_savings_section(pilot, latencies, tones))
    drifts = [_plot_drifts(pilot, budget, latency) for budget, latency in places]
    sections.append(make_section("Drift, rounds and adoptions", *drifts))
    sections.append(_make_honesty_section(pilot, tones))
    sections += [_make_reading_section(pilot), _make_settings_section(pilot)]
    subtitle = (
        f"{count(pilot.events_n)} events, {pilot.features_n} features, "
        f"{len(pilot.classes)} classes; model {pilot.settings.model.name}; {pilot.seeds_n} seeds"
    )
    return make_page(f"Headrace pilot: {pilot.history}", subtitle, sections)


def _make_table(pilot: Pilot) -> Html:
    rows: list[list[str | None]] = [
        [
            f"{row.strategy}, {_describe_place(pilot, row.budget, row.latency)}",
            plus_minus(row.accuracy.mean, row.accuracy.half),
            NumberText(f"{row.kappa:.2f}", row.kappa),
            count(row.labels_n),
            NumberText(_format_difference(row) or "", row.difference.mean)
            if row.difference
            else None,
            NumberText(_format_saving(row) or "", row.saving.share) if row.saving else None,
            NumberText(f"{row.covered_n} of {row.estimates_n}", row.covered_n),
        ]
        for row in pilot.rows
    ]
    full = pilot.all_labels
    kappa = NumberText(f"{full.kappa:.2f}", full.kappa)
    unknown = (None, None, None)
    accuracy = plus_minus(full.accuracy, math.nan)
    rows.append([full.case.strategy, accuracy, kappa, count(full.labels_n), *unknown])
    header = ["run", "accuracy, %", "kappa", "labels", "minus random", "labels saved",
              "estimate held"]  # fmt: skip
    caption = (
        "Mean over seeds and its 95 % interval; differences are in points, between equal seeds; "
        '"none": it may be luck.'
    )
    return make_table(header, rows, caption=caption)


def _plot_learning(pilot: Pilot, budget: float, latency: float, tones: dict[str, int]) -> Html:
    curves = []
    for (at_budget, at_latency, strategy), runs in group_outcomes(pilot.outcomes).items():
        if (at_budget, at_latency) == (budget, latency) and runs[0].case.is_asked_for:
            curves.append(_make_curve(strategy, runs, tones))
    curves.append(
        _make_curve(pilot.all_labels.case.strategy, [pilot.all_labels], tones, style="all")
    )
    return line_plot(
        curves,
        title=f"Accuracy at {_describe_place(pilot, budget, latency)}",
        x_label="events",
        y_label="accuracy",
        note="Right at arrival, over the last 5 of 100 blocks. Shaded: 95 % interval over seeds.",
    )


def _make_curve(
    strategy: str, runs: list[RunOutcome], tones: dict[str, int], style: Style | None = None
) -> Curve:
    points = mean_curve(runs)
    has_bounds = all(interval.low is not None for _, interval in points)
    return Curve(
        strategy,
        [n for n, _ in points],
        [interval.mean for _, interval in points],
        [max(0.0, f.low) for _, f in points if f.low is not None] if has_bounds else None,
        [min(1.0, f.high) for _, f in points if f.high is not None] if has_bounds else None,
        style=style or _choose_style(strategy),
        tone=tones.get(strategy),
    )


def _choose_style(strategy: str) -> Style:
    return "random" if strategy == RANDOM else "strategy"


def _make_savings_section(
    pilot: Pilot, latencies: list[float], tones: dict[str, int]
) -> PageSection:
    blocks = []
    for latency in latencies:
        named: dict[str, list[list[RunOutcome]]] = {}
        for (_, at, strategy), runs in group_outcomes(pilot.outcomes).items():
            if at == latency:
                named.setdefault(strategy, []).append(runs)
        curves = []
        for strategy, groups in named.items():
            points = sorted(
                (sum(o.labels_n for o in runs) / len(runs), over_seeds([o.accuracy for o in runs]))
                for runs in groups
            )
            has_bounds = pilot.seeds_n > 1
            curves.append(
                Curve(
                    strategy,
                    [n for n, _ in points],
                    [f.mean for _, f in points],
                    [f.low for _, f in points if f.low is not None] if has_bounds else None,
                    [f.high for _, f in points if f.high is not None] if has_bounds else None,
                    style=_choose_style(strategy),
                    tone=tones.get(strategy),
                )
            )
        blocks.append(
            line_plot(
                curves,
                title=f"Accuracy by labels{_describe_latency(pilot, latency)}",
                x_label="labels",
                y_label="accuracy over the whole stream",
                note="Follow a level to the right until it meets random: that many labels.",
            )
        )
    bars = [
        Bar(
            f"{row.strategy}, {_describe_place(pilot, row.budget, row.latency)}",
            row.saving.share,
            row.saving.low,
            row.saving.high,
            tone=tones.get(row.strategy),
        )
        for row in pilot.rows
        if row.saving is not None
    ]
    note = (
        "Share of the labels that random needs for the same accuracy. Line: 95 % interval of the "
        "difference in accuracy, read off random's curve; it ends where random was not run."
    )
    blocks.append(
        bar_plot(bars, title="Labels saved against random", x_label="labels saved", note=note)
    )
    return make_section("Labels saved", *blocks)


def _plot_drifts(pilot: Pilot, budget: float, latency: float) -> Html:
    rows: list[tuple[str, list[float]]] = []
    for outcome in pilot.outcomes:
        case = outcome.case
        if (case.budget, case.latency, case.seed) != (budget, latency, 0) or not case.is_asked_for:
            continue
        rows += [
            (f"{case.strategy}: drift", [float(n) for n in drift_points(outcome)]),
            (f"{case.strategy}: drift round", [float(n) for n in outcome.drift_rounds]),
            (f"{case.strategy}: adoption", [float(n) for n in outcome.adoptions]),
        ]
    return events_plot(
        rows,
        title=f"Alarms at {_describe_place(pilot, budget, latency)}, first seed",
        x_label="events",
        x_range=(0.0, float(pilot.events_n)),
    )


def _make_honesty_section(pilot: Pilot, tones: dict[str, int]) -> PageSection:
    outcomes = [o for o in pilot.outcomes if o.case.is_asked_for and o.estimate is not None]
    bars = [
        Bar(
            _describe_run(pilot, o.case),
            o.estimate - o.truth,
            None if o.low is None else o.low - o.truth,
            None if o.high is None else o.high - o.truth,
            style=_choose_style(o.case.strategy),
            tone=tones.get(o.case.strategy),
        )
        for o in outcomes
        if o.estimate is not None
    ]
    rows: list[list[str | None]] = [
        [
            _describe_run(pilot, o.case),
            percent(o.estimate or 0.0),
            interval(o.low, o.high) if o.low is not None and o.high is not None else None,
            percent(o.truth),
            "yes" if is_covered(o) else "no",
        ]
        for o in outcomes
    ]
    note = (
        "Zero is the truth: a line that crosses it is an interval that held. Last in a name: seed."
    )
    return make_section(
        "The live estimate against the truth",
        "What the engine estimated from the labels it bought, without a hold-out set, minus what "
        "the history knows: of the events after the first label was learned.",
        bar_plot(bars, title="Estimate minus truth", x_label="points of accuracy", note=note),
        make_table(["run", "estimated", "95 % interval, %", "true", "holds"], rows),
    )


def _make_reading_section(pilot: Pilot) -> PageSection:
    rows: list[list[str | None]] = [list(row) for row in pilot.reading.rows]
    table = make_table(["read as", "columns"], rows) if rows else "Read from a program."
    return make_section("What was read as what", table, *pilot.reading.notes, pilot.rejects)


def _make_settings_section(pilot: Pilot) -> PageSection:
    rows: list[list[str | None]] = [list(pair) for pair in changed_settings(pilot.settings)]
    used = make_table(["setting", "value"], rows) if rows else "All settings at their defaults."
    return make_section("Settings used", used, "Budget, latency, strategy and seed vary by run.")


def _describe_run(pilot: Pilot, case: Case) -> str:
    return f"{case.strategy}, {_describe_place(pilot, case.budget, case.latency)}, {case.seed}"


def _describe_place(pilot: Pilot, budget: float, latency: float) -> str:
    after = f", +{latency:g} {pilot.latency_unit}" if latency else ""
    return f"{100 * budget:g} %{after}"


def _describe_latency(pilot: Pilot, latency: float) -> str:
    return f", answers after {latency:g} {pilot.latency_unit}" if latency else ""
