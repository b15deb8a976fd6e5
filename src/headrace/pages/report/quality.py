"""The sections of a run's page on how right the model is, how surely, and who answered.

A run can't be compared with one that asks at random, so its estimates are compared: by all labels,
by the control draws alone, by as many labels drawn blindly. The demo has a twin to compare with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ...learn.estimate import Estimate
from ...learn.quality import Rate
from ...messages import ModelAdopted
from ...report import AnnotatorReport
from ..chronicle import Chronicle
from ..drawing import Curve
from ..html import PageSection, make_section, make_table
from ..markup import Html, NumberText, count, interval, percent
from ..plots import line_plot
from .parts import (
    Axis,
    Cells,
    describe_calibration,
    describe_choosing,
    explain_control,
    half_blind,
    half_of,
    make_sureness_row,
    over_time,
)

CLASSES_SHOWN_MAX = 30
SUSPICIOUS_SHOWN_MAX = 20


@dataclass
class Twin:
    """What only a simulation knows: a second engine that asks at random, and the truth.

    `true` and `ours_true` are the shares right among the events that each estimate covers. `rows`
    is a closing table (name, ours, the twin's), `verdict` a sentence on who won, `marks` (events,
    name) are changes made to the stream.
    """

    estimates: list[Estimate] = field(default_factory=list)
    true: list[float] = field(default_factory=list)
    ours: list[Estimate] = field(default_factory=list)
    ours_true: list[float] = field(default_factory=list)
    rows: Sequence[tuple[str, str, str]] = ()
    verdict: str = ""
    marks: Sequence[tuple[float, str]] = ()

    def add_estimates(
        self, ours: tuple[Estimate, float | None], theirs: tuple[Estimate, float | None]
    ) -> None:
        """Add both sides' estimates, each with the truth, at one moment."""
        for (estimate, true), estimates, truths in (
            (ours, self.ours, self.ours_true),
            (theirs, self.estimates, self.true),
        ):
            if estimate.accuracy is not None and true is not None:
                estimates.append(estimate)
                truths.append(true)


def show_quality(chronicle: Chronicle, axis: Axis, twin: Twin | None) -> PageSection:
    """Make the section on how right the model is; `twin` replaces the curve of control draws."""
    marks = [
        (axis.place_of(trial), "adopted")
        for trial in chronicle.trials
        if isinstance(trial.output, ModelAdopted)
    ]
    estimates = [s.report.estimates.accuracy for s in chronicle.samples if s.report is not None]
    if not estimates and chronicle.report is not None:
        estimates = [chronicle.report.estimates.accuracy]
    controls = [sample.control for sample in chronicle.samples]
    curves = [_make_estimate_curve("estimated, all labels", estimates, axis)]
    if twin is None:
        curves.append(_make_estimate_curve("control draws alone", controls, axis, is_random=True))
    else:
        curves += _twin_curves(twin, axis)
        marks += [(axis.of_seq(events_n), name) for events_n, name in twin.marks]
    window_n = chronicle.settings.evaluation.window_n
    accuracy = line_plot(
        _drop_empty(curves),
        title="Accuracy on arrival, with its 95 % interval",
        y_label="share right",
        marks=marks,
        **over_time(chronicle, axis),
        note=f"Each point stands at the end of the {count(window_n)} events, at most, that it "
        "speaks of, as far as labels were back.",
    )
    blind = axis.points_of([(e, half_blind(e)) for e in estimates])
    halves = line_plot(
        _drop_empty(
            [
                _make_width_curve("all labels", estimates, axis),
                _make_width_curve("control draws alone", controls, axis, is_random=True),
                Curve("as many labels, drawn blindly (calculated)", *blind, style="all"),
            ]
        ),
        title="How unsure: half the width of the interval",
        y_label="half width",
        **over_time(chronicle, axis),
    )
    return make_section(
        "How right is the model?", accuracy, *explain_control(twin is not None),
        _make_sureness_table(chronicle), halves, *_show_classes(chronicle),
        *_show_suspicious_labels(chronicle),
    )  # fmt: skip


def _drop_empty(curves: Sequence[Curve]) -> list[Curve]:
    """Drop curves without points, whose names would be in the legend."""
    return [curve for curve in curves if np.isfinite(curve.ys).any()]


def _make_estimate_curve(
    name: str, estimates: Sequence[Estimate], axis: Axis, *, is_random: bool = False
) -> Curve:
    xs, ys = axis.points_of([(e, e.accuracy) for e in estimates])
    low = axis.points_of([(e, e.low) for e in estimates])[1]
    high = axis.points_of([(e, e.high) for e in estimates])[1]
    return Curve(name, xs, ys, low, high, style="random" if is_random else "strategy", tone=0)


def _twin_curves(twin: Twin, axis: Axis) -> list[Curve]:
    ours = axis.points_of(list(zip(twin.ours, twin.ours_true, strict=True)))
    theirs = axis.points_of(list(zip(twin.estimates, twin.true, strict=True)))
    return [
        Curve("in truth", *ours, tone=2),
        _make_estimate_curve("random twin, estimated", twin.estimates, axis, is_random=True),
        Curve("random twin, in truth", *theirs, tone=3),
    ]


def _make_width_curve(
    name: str, estimates: Sequence[Estimate], axis: Axis, *, is_random: bool = False
) -> Curve:
    points = axis.points_of([(e, half_of(e)) for e in estimates])
    return Curve(name, *points, style="random" if is_random else "strategy", tone=0)


def _show_classes(chronicle: Chronicle) -> list[Html | str]:
    """Make the table of recall and precision by class and of the measures over all classes."""
    report = chronicle.report
    if report is None or not report.estimates.quality.recall:
        return []
    quality = report.estimates.quality
    rows: list[Cells] = []
    over_all = (
        ("balanced accuracy", quality.balanced_accuracy),
        ("kappa", quality.kappa),
        ("macro F1", quality.macro_f1),
    )
    for name, rate in over_all:
        rows.append([name, count(rate.labels_n), *_rate_cells(rate), None, None])
    for name in list(quality.recall)[:CLASSES_SHOWN_MAX]:
        recall, precision = quality.recall[name], quality.precision.get(name, Rate())
        cells = [*_rate_cells(recall), *_rate_cells(precision)]
        rows.append([name[:40], count(recall.labels_n), *cells])
    header = ["", "labels", "recall, %", "95 % interval", "precision, %", "95 % interval"]
    caption = "Quality over all classes, then by class, over the latest window"
    return [
        make_table(header, rows, caption=caption),
        describe_calibration(report),
        describe_choosing(report),
    ]


def _show_suspicious_labels(chronicle: Chronicle) -> list[Html | str]:
    """Describe how many labels may be wrong, and list the latest that look wrong."""
    noise = None if chronicle.report is None else chronicle.report.noise
    if noise is None or noise.label_shares is None:
        return []
    low, high = noise.label_shares
    text = f"By the model's word {percent(low)} to {percent(high)} of the labels may be wrong"
    if noise.answer_share is not None:
        text += f", and by how annotators disagree {percent(noise.answer_share)} of the answers"
    if opinions_n := noise.confirmed_n + noise.overruled_n + noise.undecided_n:
        text += (
            f". {count(opinions_n)} second opinions confirmed {count(noise.confirmed_n)} labels, "
            f"overruled {count(noise.overruled_n)} and left {count(noise.undecided_n)} undecided"
        )
    if not noise.suspicious:
        return [f"{text}. No label looks wrong."]
    rows: list[Cells] = [
        [
            suspect.event_id[:40],
            suspect.label[:40],
            suspect.likelier[:40],
            percent(suspect.confidence),
        ]
        for suspect in reversed(noise.suspicious[-SUSPICIOUS_SHOWN_MAX:])
    ]
    header = ["event", "label", "the model said", "with probability"]
    return [
        f"{text}.",
        make_table(header, rows, caption="Labels worth a second look, latest first"),
    ]


def _rate_cells(rate: Rate) -> Cells:
    if rate.value is None or rate.low is None or rate.high is None:
        return [None, None]
    if rate.is_thin:
        return [None, "too few labels"]
    return [percent(rate.value), interval(rate.low, rate.high)]


def _make_sureness_table(chronicle: Chronicle) -> Html:
    rows: list[Cells] = []
    report = chronicle.report
    for stretch, control, estimate in (
        ("latest window", chronicle.control, report.estimates.accuracy if report else None),
        ("whole stream", chronicle.control_all, report.estimates.accuracy_all if report else None),
    ):
        if estimate is not None:
            rows.append(make_sureness_row(f"{stretch}: all labels that judge", estimate))
        rows.append(make_sureness_row(f"{stretch}: control draws alone", control))
        if estimate is not None and (half := half_blind(estimate)) is not None:
            width = NumberText(f"± {100 * half:.1f}", half)
            blind = f"{stretch}: as many drawn blindly (calculated)"
            rows.append([blind, count(estimate.labels_n), None, None, width])
    header = ["", "labels", "accuracy", "95 % interval, %", "half width, points"]
    return make_table(header, rows, caption="How sure, by which labels")


_PEOPLE_HEADER = [
    "annotator",
    "answers",
    "could not tell",
    "compared",
    "agreed",
    "95 %",
    "gold",
    "right",
    "95 %",
    "typical delay, s",
    "95 %",
    "agreed less",
]
_PEOPLE_CAPTION = (
    "Compared: with a label that others gave too. Agreed: with that label. Gold: questions whose "
    "answer an expert has given. Right: with that answer. Typical delay: the "
    "geometric mean from request to answer. Agreed less: how often that was noticed."
)


def show_people(chronicle: Chronicle) -> PageSection:
    """Make the section with a table of who answered."""
    report = chronicle.report
    if report is None or not report.annotators.most_active:
        return make_section("Who answered?", "Nobody, as far as is known.")
    alpha = "" if report.annotators.agreement is None else (
        f"Agreement beyond chance (Krippendorff's alpha): {report.annotators.agreement:.2f}."
    )  # fmt: skip
    falls = [
        f"{a.fall_sentence[0].upper()}{a.fall_sentence[1:]}."
        for a in report.annotators.most_active
        if a.fall
    ]
    rows = [_make_person_row(a) for a in report.annotators.most_active]
    return make_section(
        "Who answered?", alpha, *falls, make_table(_PEOPLE_HEADER, rows, caption=_PEOPLE_CAPTION)
    )


def _make_person_row(a: AnnotatorReport) -> Cells:
    low, typical, high = a.typical_latency_s or (None, None, None)
    return [
        a.name or "(no name)",
        count(a.answers_n),
        count(a.refused_n),
        count(a.compared_n),
        percent(a.agreed_n / a.compared_n) if a.compared_n else None,
        " to ".join(percent(bound) for bound in a.agreed_between or ()) or None,
        count(a.gold_n) if a.gold_n else None,
        percent(a.gold_right_n / a.gold_n) if a.gold_n else None,
        " to ".join(percent(bound) for bound in a.gold_between or ()) or None,
        None if typical is None else count(typical),
        None if low is None or high is None else f"{count(low)} to {count(high)}",
        count(a.falls_n) if a.falls_n else None,
    ]
