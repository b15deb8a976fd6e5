"""Of the overview: what one number of accuracy hides, and whether choosing pays."""

from __future__ import annotations

from .panels import Panel, line, lines, never, told
from .rows_health import BAND


def beyond_accuracy() -> list[Panel]:
    """Classes, calibration, evidence, and the twins that judge the choosing."""
    return [
        lines("Balanced accuracy, kappa and F1", "percentunit", never())
        .with_target(
            line('min by (measure) (headrace_quality_ratio{S,estimate="value"})', "{{measure}}")
        )
        .description(
            told(
                "Estimated over the same window as the accuracy; the lowest worker. In balanced "
                "accuracy and F1 each class counts alike. The intervals are in `headrace report`.",
                calm="what is good depends on the classes; look at falls.",
                do="one falls and accuracy does not: a rare class is missed; the panel beside it "
                "says which.",
            )
        ),
        lines("Recall by class", "percentunit", never())
        .with_target(
            line(
                "min by (class) "
                '(headrace_class_quality_ratio{S,measure="recall",estimate="value"})',
                "{{class}}",
            )
        )
        .min(0)
        .max(1)
        .description(
            told(
                "Estimated share of a class's events that are predicted as that class, the first "
                "classes only. A rare class has few labels and a wide interval.",
                calm="a rare class jumps about; its interval is in `headrace report`.",
                do="one class falls for hours: annotators' guidelines, then its features.",
            )
        ),
        lines("Calibration error", "percentunit", never())
        .with_target(line('max(headrace_calibration_error_ratio{S,estimate="error"})', "error"))
        .with_target(line('max(headrace_calibration_error_ratio{S,estimate="floor"})', "by chance"))
        .min(0)
        .description(
            told(
                "How far the confidences are from the share of right predictions (error), and how "
                "far chance alone would put them with so few labels if they were exact (by "
                "chance).",
                calm="while the error is as low as by chance, nothing speaks against the "
                "confidences.",
                do="far above chance for a day: do not act on single confidences downstream.",
            )
        ),
        lines("What choosing gains over random", "percentunit", never())
        .with_target(line('min(headrace_choosing_gain_ratio{S,estimate="value"})', "estimated"))
        .with_target(line('min(headrace_choosing_gain_ratio{S,estimate="low"})', "at least"))
        .with_target(line('min(headrace_choosing_gain_ratio{S,estimate="high"})', "at most"))
        .overrides(BAND)
        .description(
            told(
                "Accuracy of small twins of the model that choose their labels, minus that of "
                "twins that take as many at random, with its 95 % interval.",
                calm="an interval around 0 is no news.",
                do='all of it below 0 for days: `query.strategy = "random"` is better here.',
            )
        ),
        lines("Labels that random asking would need", "percentunit", never())
        .with_target(line('min(headrace_random_labels_ratio{S,estimate="value"})', "estimated"))
        .with_target(line('min(headrace_random_labels_ratio{S,estimate="low"})', "at least"))
        .with_target(line('min(headrace_random_labels_ratio{S,estimate="high"})', "at most"))
        .min(0)
        .overrides(BAND)
        .description(
            told(
                "How many labels the twins would need if they took them at random, as a share of "
                "those they have; empty while it can't be told.",
                calm="100 % is as many.",
                do="below 100 % for days: see what choosing gains, on the left.",
            )
        ),
        lines("How old the evidence is", "s", never())
        .with_target(line("max by (kind) (headrace_model_evidence_age_seconds{S})", "{{kind}}"))
        .min(0)
        .description(
            told(
                "Only for a committee: the mean age of the labelled events that it learns from "
                "(mean), and the age at which one nearby weighs 1/e (memory).",
                calm="a world that stands still is best judged by old labels too.",
                do="the mean grows by a day each day: no labels come; see Labelling.",
            )
        ),
    ]
