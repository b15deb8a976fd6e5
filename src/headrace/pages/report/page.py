"""The page of a run: the content of a `Chronicle` as sections of text, plots and tables.

This module decides and reads nothing. The first section is a summary; each of the others answers
one question. `report.quality` has the longest of them, `report.parts` what they share.
"""

from __future__ import annotations

import numpy as np

from ...messages import ModelAdopted, ModelKept, ModelRolledBack
from ...query.open_questions import HIGHER, LOWER
from ...report import Report
from ...report.sections import ASKED_REASONS
from ..chronicle import Chronicle, joined_spread
from ..drawing import Bar, Curve
from ..html import PageSection, make_notice, make_page, make_section, make_table
from ..live.health import shorten_span
from ..markup import Html, NumberText, count, percent
from ..plots import bar_plot, layers_plot, line_plot, strips_plot
from .parts import (
    Axis,
    Cells,
    changed_settings,
    describe_outcome,
    describe_prediction,
    format_date,
    over_time,
)
from .quality import Twin, show_people, show_quality

ROWS_MAX = 30
"""The most rows of a table of things that happened: the latest."""
FEATURES_MAX = 15
SPREADS_N = 40
"""Stretches over which chances are averaged; with shorter ones the curve would flicker."""
CLASSES_MAX = 40


def as_html(chronicle: Chronicle, *, twin: Twin | None = None) -> str:
    """Make a page that needs no other file. Raises `BadSettings` without matplotlib."""
    axis = Axis(chronicle)
    sections = [
        _sum_up_run(chronicle, axis, twin),
        show_quality(chronicle, axis, twin),
        _show_drift(chronicle, axis),
        _show_labels(chronicle, axis),
        _show_requests(chronicle, axis),
        _show_models(chronicle, axis),
        show_people(chronicle),
        _show_rejects(chronicle),
        *_show_failures(chronicle),
        _read_as(chronicle),
        _show_settings(chronicle),
    ]
    settings = chronicle.settings
    subtitle = f"{settings.query.strategy}, model {settings.model.name}"
    if chronicle.samples:
        first, last = chronicle.samples[0], chronicle.samples[-1]
        at_least = "at least " if last.report is None else ""
        subtitle = f"{at_least}{count(last.events_n)} events; {subtitle}"
        if chronicle.is_dated:
            subtitle += f"; {format_date(first.at)} to {format_date(last.at)}"
    return make_page(f"Headrace report: {settings.stream}", subtitle, sections)


# -------------------------------------------------------------------------------- in short


def _sum_up_run(chronicle: Chronicle, axis: Axis, twin: Twin | None) -> PageSection:
    blocks: list[str] = []
    if chronicle.gaps:
        blocks.append(make_notice(*chronicle.gaps))
    if twin is not None:
        blocks.append(twin.verdict)
    if not chronicle.samples:
        return make_section("In short", *blocks, "Nothing was decided yet.")
    blocks += [
        _describe_accuracy(chronicle),
        _describe_level(chronicle, axis),
        _describe_labels(chronicle),
    ]
    if twin is not None:
        rows: list[Cells] = [list(row) for row in twin.rows]
        caption = "Both engines, on the same events"
        blocks.append(make_table(["", "headrace", "random twin"], rows, caption=caption))
    return make_section("In short", *blocks)


def _describe_accuracy(chronicle: Chronicle) -> str:
    report = chronicle.report
    if report is None:
        latest, whose = chronicle.control, "By the control draws alone, the"
    else:
        latest, whose = report.estimates.accuracy, "The"
    if latest.accuracy is None or latest.low is None or latest.high is None:
        return "How right the model is can't be said: no label that judges has come back."
    sentence = (
        f"{whose} predictions were right for {percent(latest.accuracy)} of the last "
        f"{count(latest.events_n)} events whose labels are back (95 % interval "
        f"{percent(latest.low)} to {percent(latest.high)}, from {count(latest.labels_n)} labels)"
    )
    whole = chronicle.control_all if report is None else report.estimates.accuracy_all
    if whole.accuracy is None or whole.low is None or whole.high is None:
        return f"{sentence}."
    return (
        f"{sentence}, and for {percent(whole.accuracy)} of all events so far "
        f"({percent(whole.low)} to {percent(whole.high)})."
    )


def _describe_level(chronicle: Chronicle, axis: Axis) -> str:
    changes = chronicle.changes
    drifts = [change for change in changes if change.output.level == "DRIFT"]
    level = changes[-1].output.level if changes else "STABLE"
    if not drifts:
        return f"The drift level is {level}; it never rose to DRIFT."
    last = drifts[-1]
    times = "once" if len(drifts) == 1 else f"{count(len(drifts))} times"
    cause = last.output
    by = f", by {cause.signal}/{cause.detector}"
    named = [*(f"feature {name}" for name in cause.features)]
    named += [f"class {name}" for name in cause.classes]
    by += f" ({', '.join(named)})" if named else ""
    when = axis.describe_time(last)
    return f"The drift level is {level}; it rose to DRIFT {times}, last: {when}{by}."


def _describe_labels(chronicle: Chronicle) -> str:
    counts, events_n = chronicle.counts, max(1, chronicle.samples[-1].events_n)
    ends_n = counts.settled_n + counts.disputed_n + counts.expired_n + counts.withdrawn_n
    ends_n += counts.opinions_n
    text = (
        f"{count(counts.asked_n)} labels were asked ({percent(counts.asked_n / events_n)} of the "
        f"events): {count(counts.settled_n)} settled, {count(counts.disputed_n)} disputed, "
        f"{count(counts.expired_n)} expired, {count(counts.withdrawn_n)} withdrawn, "
        f"{count(counts.asked_n - ends_n)} open."
    )
    if counts.opinions_n:
        text += f" {count(counts.opinions_n)} of them were second opinions that were given."
    report = chronicle.report
    if report is None or not report.answers.accepted_n:
        return text
    if moved_n := sum(report.asking.rescored_n.values()):
        withdrawn_n = moved_n - sum(
            report.asking.rescored_n.get(direction, 0) for direction in (LOWER, HIGHER)
        )
        text += (
            f" {count(moved_n)} times an open question was given another priority by a model that "
            f"had learned since, or withdrawn: {count(withdrawn_n)} of them."
        )
    if (labels_n := _labels_had(report)) > counts.settled_n:
        text += f" With those that were answered late, {count(labels_n)} labels came."
    text += f" {count(report.answers.accepted_n)} answers came in"
    if report.answers.cost_per_answer not in (0.0, 1.0):
        text += f", which cost {count(report.answers.accepted_n * report.answers.cost_per_answer)}"
    return f"{text}."


# ----------------------------------------------------------------------------------- drift


def _show_drift(chronicle: Chronicle, axis: Axis) -> PageSection:
    samples = [sample for sample in chronicle.samples if sample.report is not None]
    names = sorted({name for sample in samples for name in sample.statistics})
    strips = strips_plot(
        [(name, [sample.statistics.get(name, np.nan) for sample in samples]) for name in names],
        [axis.place_of(sample) for sample in samples],
        title="Drift statistics by signal and detector, each divided by its threshold",
        **over_time(chronicle, axis),
        note="Dashed: the threshold; above it the watch fires. Right: the highest value. The "
        "strip is the highest of each stretch, so that no peak is lost; ADWIN has no statistic "
        "but its alarm.",
    )
    rows: list[Cells] = []
    for change in list(chronicle.changes)[-ROWS_MAX:]:
        output = change.output
        by = f"{output.signal}/{output.detector}"
        rows.append([axis.describe_time(change), output.previous, output.level, by,
                     NumberText(f"{output.statistic:.2f}", output.statistic),
                     ", ".join(output.features), ", ".join(output.classes)])  # fmt: skip
    blocks: list[str] = [strips]
    if rows:
        caption = "Changes of the drift level"
        if chronicle.counts.changes_n > len(rows):
            caption += f": the latest of {count(chronicle.counts.changes_n)}"
        header = ["when", "from", "to", "by", "statistic / threshold", "features", "classes"]
        blocks.append(make_table(header, rows, caption=caption))
    return make_section("Did the world drift, and where?", *blocks, *_list_features(chronicle))


def _list_features(chronicle: Chronicle) -> list[str]:
    report = chronicle.report
    if report is None or not report.drift.feature_ratios:
        return []
    ratios = sorted(report.drift.feature_ratios.items(), key=lambda pair: (-pair[1], pair[0]))
    bars = [Bar(name, round(ratio, 3), tone=0) for name, ratio in ratios[:FEATURES_MAX]]
    blocks: list[str] = [
        bar_plot(
            bars,
            title=f"Features that moved most, by the latest check ({len(bars)} of {len(ratios)})",
            x_label="statistic / threshold",
            percent_x=False,
            note="1 fires. The latest events against a sample of all before them.",
        )
    ]
    if report.schema.vanished:
        blocks.append(f"Gone from the latest events: {', '.join(report.schema.vanished[:20])}.")
    return blocks


# ------------------------------------------------------------------------- labels and cost


def _show_labels(chronicle: Chronicle, axis: Axis) -> PageSection:
    samples = chronicle.samples
    xs = [axis.place_of(sample) for sample in samples]
    known = [(axis.place_of(s), s.report) for s in samples if s.report is not None]
    counts = [sample.counts for sample in samples]
    lost = [c.expired_n + c.disputed_n + c.withdrawn_n for c in counts]
    curves = [
        Curve("asked", xs, [c.asked_n for c in counts], tone=0),
        Curve("settled", xs, [c.settled_n for c in counts], tone=2),
        Curve("expired, disputed, withdrawn", xs, lost, tone=1),
    ]
    if known:
        curves.insert(0, Curve(
            "earned by the budget",
            [x for x, _ in known],
            [r.asking.requests_n - r.budget.refunded_n + r.budget.available_n for _, r in known],
            style="random",
        ))  # fmt: skip
    plot = line_plot(
        curves,
        title="Labels so far",
        y_label="labels",
        percent_y=False,
        **over_time(chronicle, axis),
        note="Earned: what was paid and what may still be asked. An expired request gives its "
        "label back. Unused labels don't pile up beyond the budget's burst.",
    )
    blocks: list[str] = [plot]
    if report := chronicle.report:
        blocks.append(_describe_cost(report))
        budget = report.budget
        blocks.append(
            f"{count(budget.spent_n)} labels are paid or on their way, {count(budget.refunded_n)} "
            f"came back to the budget, {count(budget.available_n)} may be asked now."
        )
    return make_section("Are labels flowing, and what do they cost?", *blocks)


def _labels_had(report: Report) -> int:
    """Count the labels paid for: those that came, also after their request had expired."""
    opinions_n = report.noise.confirmed_n + report.noise.overruled_n + report.noise.undecided_n
    ended_n = report.labels.open_n + report.labels.disputed_n + opinions_n
    return report.asking.requests_n - report.budget.refunded_n - ended_n


def _describe_cost(report: Report) -> str:
    answers_n, labels_n, cost = (
        report.answers.accepted_n,
        _labels_had(report),
        report.answers.cost_per_answer,
    )
    if not answers_n:
        return "Nobody has answered yet."
    each = f"; {answers_n / labels_n:.2f} for each label" if labels_n > 0 else ""
    sentence = f"{count(answers_n)} answers came in{each}."
    if cost in (0.0, 1.0):
        return f"{sentence} What an answer costs is set by label.cost."
    each = f", {answers_n * cost / labels_n:,.2f} for each label" if labels_n > 0 else ""
    return f"{sentence} At {cost:g} an answer that is {answers_n * cost:,.2f}{each}."


# -------------------------------------------------------------------------- what was asked


def _show_requests(chronicle: Chronicle, axis: Axis) -> PageSection:
    samples = chronicle.samples
    xs = [axis.place_of(sample) for sample in samples]
    asked_n = chronicle.counts.asked_by_reason
    reasons = [r for r in ASKED_REASONS if r in asked_n] + [
        r for r in asked_n if r not in ASKED_REASONS
    ]
    layers = [
        (r, [float(sample.counts.asked_by_reason.get(r, 0)) for sample in samples]) for r in reasons
    ]
    stacked = layers_plot(
        layers,
        xs,
        title="Labels asked so far, by reason",
        y_label="labels",
        **over_time(chronicle, axis),
    )
    rows: list[Cells] = [[r, count(asked_n[r]), ASKED_REASONS.get(r, "")] for r in reasons]
    joined_n = max(1, len(samples) // SPREADS_N)
    groups = [samples[i : i + joined_n] for i in range(0, len(samples), joined_n)]
    spreads = [(axis.place_of(group[-1]), joined_spread(group)) for group in groups]
    spread = [(x, chance) for x, chance in spreads if chance is not None]
    chances = line_plot(
        [
            Curve(
                "geometric mean, from the least to the greatest",
                [x for x, _ in spread],
                [chance.mean for _, chance in spread],
                [chance.least for _, chance in spread],
                [chance.greatest for _, chance in spread],
            )
        ],
        title="Chance with which an event was asked about (propensity)",
        y_label="chance",
        log_y=True,
        **over_time(chronicle, axis),
        note="Each label counts 1 / chance in the estimate: few very small ones make it unsure.",
    )
    reasons_table = make_table(["reason", "labels", "what it means"], rows, caption="Why")
    return make_section(
        "What was asked, and why?", stacked, reasons_table, chances,
        *_list_classes(chronicle), _make_request_table(chronicle, axis),
    )  # fmt: skip


def _list_classes(chronicle: Chronicle) -> list[str]:
    report = chronicle.report
    if report is None:
        return []
    rows: list[Cells] = [
        [
            name,
            count(report.events.predicted_n.get(name, 0)),
            count(report.asking.by_class.get(name, 0)),
            count(report.labels.by_class.get(name, 0)),
        ]
        for name in report.schema.classes[:CLASSES_MAX]
    ]
    caption = "Classes: predicted, asked about under that prediction, and what the label was"
    return [make_table(["class", "predicted", "asked", "labels"], rows, caption=caption)]


def _make_request_table(chronicle: Chronicle, axis: Axis) -> Html:
    rows: list[Cells] = []
    for asked in reversed(chronicle.requests.values()):
        request = asked.request
        is_usual = request.strategy == chronicle.settings.query.strategy
        strategy = "" if is_usual or request.round_n < 0 else f" ({request.strategy})"
        rows.append(
            [
                request.event_id[:40],
                axis.format_time(request.at),
                f"{request.reason}{strategy}",
                NumberText(f"{100 * request.propensity:.2f}%", request.propensity),
                NumberText(f"{request.utility:.3f}", request.utility),
                describe_prediction(request.prediction),
                describe_outcome(asked),
            ]
        )
    header = ["event", "asked", "reason", "chance", "utility", "prediction", "became"]
    return make_table(header, rows, caption=f"The latest {len(rows)} requests, the newest first")


# ---------------------------------------------------------------------------------- others


DECIDED: dict[type, str] = {
    ModelAdopted: "adopted",
    ModelKept: "kept the old one",
    ModelRolledBack: "rolled back to the old one",
}


def _show_models(chronicle: Chronicle, axis: Axis) -> PageSection:
    rows: list[Cells] = []
    for trial in list(chronicle.trials)[-ROWS_MAX:]:
        output = trial.output
        is_judged = output.labels_n > 0
        rows.append(
            [
                axis.describe_time(trial),
                DECIDED[type(output)],
                percent(output.challenger_right) if is_judged else None,
                percent(output.champion_right) if is_judged else None,
                count(output.labels_n),
                getattr(output, "reason", getattr(output, "order_reason", "")),
            ]
        )
    counts = chronicle.counts
    ended_n = counts.adopted_n + counts.kept_n
    caption = ""
    if ended_n + counts.rolled_back_n > len(rows):
        caption = f"The latest {len(rows)} of {count(ended_n + counts.rolled_back_n)}"
    header = ["when", "", "challenger right", "champion right", "labels", "why"]
    return make_section(
        "What was retrained?",
        f"Retrainings that came to an end: {count(ended_n)}; models adopted: "
        f"{count(counts.adopted_n)}, rolled back: {count(counts.rolled_back_n)}; rounds opened by "
        f"drift or by somebody: {count(counts.rounds_n)}. A challenger is adopted only if it "
        "beats the champion on the latest control labels, and rolled back if it then proves worse."
        f"{_describe_evidence(chronicle)}",
        make_table(header, rows, caption=caption) if rows else "",
    )


def _describe_evidence(chronicle: Chronicle) -> str:
    """Describe how much evidence a committee has and how old it is."""
    report = chronicle.report
    if report is None or not report.model.evidence_n or report.model.evidence_age_s is None:
        return ""
    text = f" The committee judges by {count(report.model.evidence_n)} labels"
    text += f", {shorten_span(report.model.evidence_age_s)} old on average"
    if report.model.evidence_memory_s is not None:
        text += (
            f"; what is near weighs 1/e at an age of {shorten_span(report.model.evidence_memory_s)}"
        )
    return text + "."


def _show_rejects(chronicle: Chronicle) -> PageSection:
    rejected = sorted(chronicle.rejected_n.items(), key=lambda pair: (-pair[1], pair[0]))
    if not rejected:
        return make_section("What was rejected?", "Nothing.")
    kinds = make_table(["reason", "inputs"], [[reason, count(n)] for reason, n in rejected])
    rows: list[Cells] = [
        [reject.reason, reject.detail[:120], reject.input_id[:40], reject.source[-60:],
         count(reject.position) if reject.position >= 0 else None]
        for reject in reversed(chronicle.rejects)
    ]  # fmt: skip
    header = ["reason", "detail", "id", "source", "byte"]
    return make_section(
        "What was rejected?", kinds, make_table(header, rows, caption=f"The latest {len(rows)}")
    )


def _show_failures(chronicle: Chronicle) -> list[PageSection]:
    failures = () if chronicle.report is None else chronicle.report.model.failures
    sentences = [failure.sentence for failure in failures]
    return [make_section("What did the model fail at?", *sentences)] if sentences else []


def _read_as(chronicle: Chronicle) -> PageSection:
    rows: list[Cells] = [list(pair) for pair in chronicle.features]
    table = make_table(["read as", "features"], rows) if rows else "No feature is known."
    limits = () if chronicle.report is None else chronicle.report.limits
    reached = [f"Limit reached: {limit.sentence}." for limit in limits] or ["All is used."]
    return make_section("What was read as what?", table, *reached)


def _show_settings(chronicle: Chronicle) -> PageSection:
    rows: list[Cells] = [list(pair) for pair in changed_settings(chronicle.settings)]
    used = make_table(["setting", "value"], rows) if rows else "All settings at their defaults."
    return make_section("Settings used", used)
