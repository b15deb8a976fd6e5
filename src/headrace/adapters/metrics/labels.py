"""The metrics of asking, labels, money and the people who answer."""

from __future__ import annotations

from collections.abc import Callable

from ...label.annotators import TURNAROUND_BOUNDS_S
from ...query.open_questions import OUTCOMES as RESCORED
from ...query.opinions import REASON as OPINION
from ...query.opinions import STRATEGY as SUSPICION
from ...query.opinions import UNSURE
from ...query.spread import NAME as SPREAD
from ...report import AnnotatorReport, Report
from ...report.people import NUMBERED_MAX
from ...report.sections import ASKED_REASONS
from .catalogue import (
    OTHER,
    Buckets,
    Exported,
    compute_by,
    define_by_label,
    define_computed,
    define_gathered,
    define_metric,
    per_class,
)

ROUND_REASONS = ("schedule", "drift", "ordered", "audit")
QUOTAS_MAX = 5

NUMBERS = (*(str(n) for n in range(1, NUMBERED_MAX + 1)), OTHER)


def _read_requests(report: Report) -> list[tuple[tuple[str, ...], float]]:
    """Count by reason and strategy; each reason has one for the settings' strategy and "random"."""
    counts = {
        f"{reason}/{strategy}": 0
        for reason in ASKED_REASONS
        for strategy in ("random", report.asking.strategy)
    }
    counts[f"drift/{SPREAD}"] = 0
    counts |= {f"{OPINION}/{SUSPICION}": 0, f"{OPINION}/{UNSURE}": 0}
    counts |= report.asking.by_strategy
    return [(tuple(key.split("/", 1)), n) for key, n in counts.items()]


def _read_quotas(report: Report) -> list[tuple[str, float | None]]:
    most = sorted(report.asking.quota_missing_n.items(), key=lambda quota: -quota[1])
    return [(name, float(n)) for name, n in most[:QUOTAS_MAX]]


def _read_turnaround(report: Report) -> list[tuple[tuple[str, ...], Buckets]]:
    answers = report.answers
    buckets = Buckets(TURNAROUND_BOUNDS_S, answers.turnaround_counts, answers.turnaround_sum_s)
    return [((), buckets)]


def _by_number(
    name: str,
    unit: str,
    about: str,
    value: Callable[[AnnotatorReport], float | None],
    unborn: float | None = 0,
) -> Exported:
    def read_numbers(report: Report) -> list[tuple[str, float | None]]:
        by_number = {str(a.number or OTHER): value(a) for a in report.annotators.by_number}
        return [(number, by_number.get(number, unborn)) for number in NUMBERS]

    return compute_by("number", name, unit, about, read_numbers, closed=NUMBERS, over="each")


ASKING = (
    Exported(
        name="headrace_label_requests_total",
        kind="counter",
        unit="requests",
        about="Label requests, by the reason for asking and by what chose the event.",
        read=_read_requests,
        labels=("reason", "strategy"),
        closed={"reason": tuple(ASKED_REASONS)},
    ),
    per_class("headrace_label_requests_by_class_total", "asking.by_class", has_none=True),
    compute_by(
        "quota",
        "headrace_query_quota_missing_labels",
        "labels",
        "Labels that a quota still lacks; 0: it is filled. Only the five quotas that lack most "
        "are shown, and without quotas there is no sample.",
        _read_quotas,
        over="max",
    ),
    define_by_label(
        "reason",
        "headrace_query_rounds_total",
        "asking.rounds_by_reason",
        closed=ROUND_REASONS,
    ),
    define_by_label(
        "reason",
        "headrace_query_last_round_timestamp_seconds",
        "asking.last_round_at",
        closed=ROUND_REASONS,
    ),
    define_metric("headrace_query_threshold", "asking.threshold"),
    define_metric("headrace_query_redundancy_ratio", "asking.redundancy"),
    define_metric("headrace_query_duplicates_total", "asking.duplicates_n"),
    define_by_label(
        "outcome", "headrace_query_rescored_total", "asking.rescored_n", closed=RESCORED
    ),
    define_metric("headrace_query_is_cold", "asking.is_cold"),
    define_metric("headrace_propensity_floor_ratio", "asking.propensity_min"),
)

BUDGET = (
    define_metric("headrace_budget_available_labels", "budget.available_n"),
    define_metric("headrace_budget_reserve_labels", "budget.held_n"),
    define_metric("headrace_budget_spent_labels", "budget.spent_n"),
    define_metric("headrace_budget_refunded_labels", "budget.refunded_n"),
    define_metric("headrace_budget_cap_labels", "budget.cap_n"),
    define_metric("headrace_budget_share_ratio", "budget.labels_per_event"),
    define_metric("headrace_budget_is_exhausted", "budget.is_exhausted"),
    define_computed(
        "headrace_label_cost_units_total",
        "units of label.cost",
        "Cost of the accepted answers so far.",
        lambda r: r.answers.cost,
    ),
    define_metric("headrace_label_cost_per_answer_units", "answers.cost_per_answer"),
)

LABELS = (
    define_metric("headrace_label_requests_open", "labels.open_n"),
    define_metric("headrace_label_requests_stale", "labels.stale_n"),
    define_metric("headrace_label_oldest_request_timestamp_seconds", "labels.oldest_open_at"),
    define_gathered(
        "end",
        "headrace_label_requests_ended_total",
        "requests",
        "Requests that have ended, by how they ended.",
        {
            "settled": "labels.settled_n",
            "disputed": "labels.disputed_n",
            "expired": "labels.expired_n",
            "withdrawn": "labels.withdrawn_n",
        },
    ),
    define_gathered(
        "outcome",
        "headrace_second_opinions_total",
        "answers",
        "Second and third opinions given on labels that looked wrong or unsure, by what became of "
        "the label: it stayed (confirmed), became another (overruled), or was dropped because the "
        "answers disagree (undecided).",
        {
            "confirmed": "noise.confirmed_n",
            "overruled": "noise.overruled_n",
            "undecided": "noise.undecided_n",
        },
    ),
    per_class("headrace_labels_total", "labels.by_class"),
    define_metric("headrace_labels_revised_total", "labels.revised_n"),
    define_metric("headrace_label_requests_repeated_total", "labels.asked_twice_n"),
    define_metric("headrace_answers_accepted_total", "answers.accepted_n"),
    define_gathered(
        "outcome",
        "headrace_answers_unusual_total",
        "answers",
        "Unusual answers: after the deadline (late), delivered again (duplicate), changed by "
        'their annotator (corrected), "cannot tell" (refused), or unusable (rejected). One answer '
        "may count several times.",
        {
            "late": "answers.late_n",
            "duplicate": "answers.duplicate_n",
            "corrected": "answers.corrected_n",
            "refused": "answers.refused_n",
            "rejected": "answers.rejected_n",
        },
    ),
    Exported(
        name="headrace_label_turnaround_seconds",
        kind="histogram",
        unit="seconds",
        about="Time from request to accepted answer.",
        read=_read_turnaround,
    ),
    define_metric("headrace_label_agreement_ratio", "annotators.agreement"),
)

ANNOTATORS = (
    define_metric("headrace_annotators", "annotators.known_n"),
    _by_number(
        "headrace_annotator_answers_total",
        "answers",
        "Accepted answers, by annotator.",
        lambda a: a.answers_n,
    ),
    _by_number(
        "headrace_annotator_refused_total",
        "answers",
        'Accepted answers that say "cannot tell", by annotator.',
        lambda a: a.refused_n,
    ),
    _by_number(
        "headrace_annotator_turnaround_seconds_total",
        "seconds",
        "Sum of the times from request to accepted answer, by annotator. Divided by the number of "
        "answers it is the mean turnaround.",
        lambda a: a.latency_s,
    ),
    _by_number(
        "headrace_annotator_compared_answers",
        "answers",
        "Answers that can be compared, by annotator: their request has a label, and somebody else "
        "named a class too.",
        lambda a: a.compared_n,
    ),
    _by_number(
        "headrace_annotator_agreement_ratio",
        "0 to 1",
        "Share of an annotator's compared answers that named the settled label. No sample before "
        "the first.",
        lambda a: a.agreed_n / a.compared_n if a.compared_n else None,
        unborn=None,
    ),
    _by_number(
        "headrace_annotator_gold_answers",
        "answers",
        "Gold questions, whose answer is known, to which the annotator named a class.",
        lambda a: a.gold_n,
    ),
    _by_number(
        "headrace_annotator_gold_ratio",
        "0 to 1",
        "Share of an annotator's answers to gold questions that named the true class. No sample "
        "before the first.",
        lambda a: a.gold_right_n / a.gold_n if a.gold_n else None,
        unborn=None,
    ),
    define_metric("headrace_gold_questions_total", "answers.gold_questions_n"),
    define_metric("headrace_gold_answers_total", "answers.gold_answers_n"),
    define_computed(
        "headrace_annotator_falls_total",
        "falls",
        "Times that an annotator was found to name the settled label less often than before.",
        lambda r: sum(a.falls_n for a in r.annotators.by_number),
    ),
)
