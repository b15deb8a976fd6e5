"""The metrics of quality beyond accuracy: by class, and of calibration."""

from __future__ import annotations

from collections.abc import Iterator

from ...report import Report
from .catalogue import CLASSES_MAX, Exported, compute_by, define_gathered, define_metric

MEASURES = ("balanced_accuracy", "kappa", "macro_f1")
CLASS_MEASURES = ("recall", "precision")
BOUNDS = ("value", "low", "high")
NOISE_BY = ("model_low", "model_high", "annotators")


def _read_quality(report: Report) -> Iterator[tuple[tuple[str, ...], float | None]]:
    for measure in MEASURES:
        rate = getattr(report.estimates.quality, measure)
        for bound in BOUNDS:
            yield (measure, bound), getattr(rate, bound)


def _class_quality(report: Report) -> Iterator[tuple[tuple[str, ...], float | None]]:
    for measure in CLASS_MEASURES:
        rates = getattr(report.estimates.quality, measure)
        # The other classes are left out: a mean over them would describe none of them.
        for name in report.schema.classes[:CLASSES_MAX]:
            for bound in BOUNDS if name in rates else ():
                yield (name, measure, bound), getattr(rates[name], bound)


def _read_choosing(report: Report) -> Iterator[tuple[str, float | None]]:
    choosing = report.estimates.choosing
    yield from zip(BOUNDS, (choosing.gain, choosing.gain_low, choosing.gain_high), strict=True)


def _read_times(report: Report) -> Iterator[tuple[str, float | None]]:
    choosing = report.estimates.choosing
    yield from zip(BOUNDS, (choosing.ratio, choosing.ratio_low, choosing.ratio_high), strict=True)


def _label_noise(report: Report) -> Iterator[tuple[str, float | None]]:
    low, high = report.noise.label_shares or (None, None)
    yield from zip(NOISE_BY, (low, high, report.noise.answer_share), strict=True)


QUALITY = (
    Exported(
        name="headrace_quality_ratio",
        kind="gauge",
        unit="0 to 1, kappa from -1",
        about="Balanced accuracy, Cohen's kappa and macro F1 over the window, with the bounds of "
        "their 95 % intervals. Only classes that have a label count.",
        read=_read_quality,
        labels=("measure", "estimate"),
        closed={"measure": MEASURES, "estimate": BOUNDS},
        over="each",
    ),
    Exported(
        name="headrace_class_quality_ratio",
        kind="gauge",
        unit="0 to 1",
        about="Recall and precision of the first classes over the window, with the bounds of their "
        "95 % intervals.",
        read=_class_quality,
        labels=("class", "measure", "estimate"),
        closed={"measure": CLASS_MEASURES, "estimate": BOUNDS},
        over="each",
    ),
    define_gathered(
        "estimate",
        "headrace_calibration_error_ratio",
        "0 to 1",
        "Expected calibration error over the window (error), and the error that chance alone "
        "would give with so few labels if the confidences were exact (floor).",
        {
            "error": "estimates.quality.calibration_error",
            "floor": "estimates.quality.calibration_floor",
        },
        over="each",
    ),
    define_metric("headrace_calibration_temperature_ratio", "model.temperature"),
    define_metric("headrace_events_unpredicted_total", "events.unpredicted_n"),
    compute_by(
        "estimate",
        "headrace_choosing_gain_ratio",
        "-1 to 1",
        "Accuracy of small twins of the model that choose their labels, minus that of twins that "
        "take as many at random, with the bounds of its 95 % interval.",
        _read_choosing,
        closed=BOUNDS,
        over="each",
    ),
    compute_by(
        "estimate",
        "headrace_random_labels_ratio",
        "1 is as many",
        "How many times as many labels the twins would need if they took them at random, 0.125 to "
        "8, with bounds. No sample while that can't be told.",
        _read_times,
        closed=BOUNDS,
        over="each",
    ),
    compute_by(
        "by",
        "headrace_label_noise_ratio",
        "0 to 1",
        "Estimated share of wrong labels, from what the model predicted before it learned them "
        "(model_low to model_high), and of wrong answers, from how often annotators disagree "
        "(annotators).",
        _label_noise,
        closed=NOISE_BY,
        over="each",
    ),
    define_metric("headrace_labels_suspicious_total", "noise.suspicious_n"),
)
