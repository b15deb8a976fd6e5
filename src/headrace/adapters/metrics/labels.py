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
from ...reporting import NUMBERED_MAX
from .catalogue import NONE, OTHER, Buckets, Exported, by, by_class, in_full, plain

ASKED_REASONS = (
    "control",
    "doubt",
    "cold start",
    "round",
    "drift",
    "ordered",
    "second opinion",
    "quota",
    "audit",
)
ROUND_REASONS = ("schedule", "drift", "ordered", "audit")
OPINIONS = ("confirmed", "overruled", "undecided")
ENDS = ("settled", "disputed", "expired", "withdrawn")
OUTCOMES = ("late", "duplicate", "corrected", "refused", "rejected")
QUOTAS_MAX = 5

NUMBERS = (*(str(n) for n in range(1, NUMBERED_MAX + 1)), OTHER)


def _requests(report: Report) -> list[tuple[tuple[str, ...], float]]:
    """By reason and strategy; every reason with the strategy of the settings, and with none."""
    counts = {
        f"{reason}/{strategy}": 0
        for reason in ASKED_REASONS
        for strategy in ("random", report.strategy)
    }
    counts[f"drift/{SPREAD}"] = 0
    counts |= {f"{OPINION}/{SUSPICION}": 0, f"{OPINION}/{UNSURE}": 0}
    counts |= report.asked_by
    return [(tuple(key.split("/", 1)), n) for key, n in counts.items()]


def _by_class(report: Report) -> list[tuple[str, float]]:
    return by_class({"": 0, **report.asked_by_class}, report.classes)


def _quotas(report: Report) -> list[tuple[str, float]]:
    missing = sorted(report.quota_missing_n.items(), key=lambda one: -one[1])
    return [(name, float(n)) for name, n in missing[:QUOTAS_MAX]]


def _ends(report: Report) -> list[tuple[str, float | None]]:
    return [(end, getattr(report, f"{end}_n")) for end in ENDS]


def _opinions(report: Report) -> list[tuple[str, float | None]]:
    return [(outcome, getattr(report, f"{outcome}_n")) for outcome in OPINIONS]


def _unusual(report: Report) -> list[tuple[str, float | None]]:
    told = [(outcome, getattr(report, f"{outcome}_n")) for outcome in OUTCOMES[:-1]]
    return [*told, ("rejected", report.answers_rejected_n)]


def _turnaround(report: Report) -> list[tuple[tuple[str, ...], Buckets]]:
    return [((), Buckets(TURNAROUND_BOUNDS_S, report.turnaround_counts, report.turnaround_sum_s))]


def _by_number(
    name: str,
    unit: str,
    about: str,
    value: Callable[[AnnotatorReport], float | None],
    unborn: float | None = 0,
) -> Exported:
    def read(report: Report) -> list[tuple[str, float | None]]:
        found = {str(a.number or OTHER): value(a) for a in report.annotators_by_number}
        return [(number, found.get(number, unborn)) for number in NUMBERS]

    return by("number", name, unit, about, read, closed=NUMBERS, over="each")


ASKING = (
    Exported(
        name="headrace_label_requests_total",
        kind="counter",
        unit="requests",
        about="Label requests, by the reason of the decision and who chose.",
        read=_requests,
        labels=("reason", "strategy"),
        closed={"reason": ASKED_REASONS},
    ),
    by(
        "class",
        "headrace_label_requests_by_class_total",
        "requests",
        "Label requests, by the class predicted of what is asked; none: before any was known.",
        _by_class,
    ),
    by(
        "quota",
        "headrace_query_quota_missing_labels",
        "labels",
        "Labels missing to the five quotas that lack most, by class or slice; none: no sample.",
        _quotas,
        over="max",
    ),
    by(
        "reason",
        "headrace_query_rounds_total",
        "rounds",
        "Rounds decided, by what opened them.",
        lambda r: in_full(r.rounds_by_reason, ROUND_REASONS),
        closed=ROUND_REASONS,
    ),
    by(
        "reason",
        "headrace_query_last_round_timestamp_seconds",
        "seconds",
        "When the last round was decided, by what opened it.",
        lambda r: [(reason, r.last_round_at.get(reason)) for reason in ROUND_REASONS],
        closed=ROUND_REASONS,
        over="max",
    ),
    plain(
        "headrace_query_threshold",
        "utility",
        "Utility from which on an event is likelier asked than blindly; the lowest a round chose.",
        lambda r: r.threshold,
        over="each",
    ),
    plain(
        "headrace_query_redundancy_ratio",
        "-1 to 1",
        "How alike the events of the last round are: 1 the same, 0 as a blind draw, below 0 less.",
        lambda r: r.redundancy,
        over="max",
    ),
    plain(
        "headrace_query_duplicates_total",
        "events",
        "Events like one that was asked, passed over for it by all but the blind draw.",
        lambda r: r.duplicates_n,
    ),
    by(
        "outcome",
        "headrace_query_rescored_total",
        "questions",
        "Open questions that a model which has moved gave another priority, or withdrew.",
        lambda r: in_full(r.rescored_n, RESCORED),
        closed=RESCORED,
    ),
    plain(
        "headrace_query_is_cold",
        "0 or 1",
        "1: too few labels of some class yet; rounds draw blindly, confidence is not watched.",
        lambda r: r.is_cold,
        over="max",
    ),
    plain(
        "headrace_propensity_floor_ratio",
        "0 to 1",
        "Lowest probability with which an event that was asked about would have been.",
        lambda r: r.propensity_min,
        over="min",
    ),
)

BUDGET = (
    plain(
        "headrace_budget_available_labels",
        "labels",
        "Labels that may be asked now, the reserve included.",
        lambda r: r.budget_available_n,
    ),
    plain(
        "headrace_budget_reserve_labels",
        "labels",
        "Of these, set aside for rounds that drift or a person opens, and for audits.",
        lambda r: r.budget_held_n,
    ),
    plain(
        "headrace_budget_spent_labels",
        "labels",
        "Labels asked so far, less those paid back.",
        lambda r: r.asked_n - r.refunded_n,
    ),
    plain(
        "headrace_budget_refunded_labels",
        "labels",
        "Labels paid back so far: of requests that ended without one, late answers being refused.",
        lambda r: r.refunded_n,
    ),
    plain(
        "headrace_budget_cap_labels",
        "labels",
        "Labels that may be spent in all; without a cap no sample.",
        lambda r: r.budget_cap_n,
    ),
    plain(
        "headrace_budget_share_ratio",
        "labels an event",
        "Labels earned per event at the present pace.",
        lambda r: r.labels_per_event,
        over="max",
    ),
    plain(
        "headrace_budget_is_exhausted",
        "0 or 1",
        "1: the cap is reached, nothing will be asked again.",
        lambda r: r.is_exhausted,
        over="min",
    ),
    plain(
        "headrace_label_cost_units_total",
        "units of label.cost",
        "What the accepted answers cost.",
        lambda r: r.accepted_n * r.cost_per_answer,
    ),
    plain(
        "headrace_label_cost_per_answer_units",
        "units of label.cost",
        "What one answer costs, as set.",
        lambda r: r.cost_per_answer,
        over="max",
    ),
)

LABELS = (
    plain(
        "headrace_label_requests_open", "requests", "Requests without an end.", lambda r: r.open_n
    ),
    plain(
        "headrace_label_requests_stale",
        "requests",
        "Of these, those with less than half of their time left.",
        lambda r: r.stale_n,
    ),
    plain(
        "headrace_label_oldest_request_timestamp_seconds",
        "seconds",
        "When the request that is open longest was asked.",
        lambda r: r.oldest_open_at,
        over="min",
    ),
    by(
        "end",
        "headrace_label_requests_ended_total",
        "requests",
        "Requests that ended, by how.",
        _ends,
        closed=ENDS,
    ),
    by(
        "outcome",
        "headrace_second_opinions_total",
        "answers",
        "Second and third opinions given, by what became of the label that looked wrong: it stayed "
        "(confirmed), is another (overruled), or is out while they disagree (undecided).",
        _opinions,
        closed=OPINIONS,
    ),
    by(
        "class",
        "headrace_labels_total",
        "labels",
        "Labels settled, by class.",
        lambda r: by_class(r.labels_by_class, r.classes),
    ),
    plain(
        "headrace_answers_accepted_total",
        "answers",
        "Answers that entered a request: what people did.",
        lambda r: r.accepted_n,
    ),
    by(
        "outcome",
        "headrace_answers_unusual_total",
        "answers",
        "Answers that were not plain, by what was the matter; one may be several.",
        _unusual,
        closed=OUTCOMES,
    ),
    Exported(
        name="headrace_label_turnaround_seconds",
        kind="histogram",
        unit="seconds",
        about="From request to accepted answer.",
        read=_turnaround,
    ),
    plain(
        "headrace_label_agreement_ratio",
        "up to 1",
        "Krippendorff's alpha: agreement beyond chance of requests with two answers or more.",
        lambda r: r.agreement,
        over="min",
    ),
)

ANNOTATORS = (
    plain(
        "headrace_annotators",
        "annotators",
        "Annotators who have ever answered.",
        lambda r: r.annotators_n,
        over="max",
    ),
    _by_number(
        "headrace_annotator_answers_total",
        "answers",
        "Accepted answers, by annotator.",
        lambda a: a.answers_n,
    ),
    _by_number(
        "headrace_annotator_refused_total",
        "answers",
        "Of these, those that could not tell.",
        lambda a: a.refused_n,
    ),
    _by_number(
        "headrace_annotator_turnaround_seconds_total",
        "seconds",
        "Time from request to answer, added up; over the answers, the mean turnaround.",
        lambda a: a.latency_s,
    ),
    _by_number(
        "headrace_annotator_compared_answers",
        "answers",
        "Answers to settled requests that somebody else answered too.",
        lambda a: a.compared_n,
    ),
    _by_number(
        "headrace_annotator_agreement_ratio",
        "0 to 1",
        "Share of those that named the settled label.",
        lambda a: a.agreed_n / a.compared_n if a.compared_n else None,
        unborn=None,
    ),
    _by_number(
        "headrace_annotator_gold_answers",
        "answers",
        "Gold questions, whose answer is known, to which they named a class.",
        lambda a: a.gold_n,
    ),
    _by_number(
        "headrace_annotator_gold_ratio",
        "0 to 1",
        "Share of those that named the true class.",
        lambda a: a.gold_right_n / a.gold_n if a.gold_n else None,
        unborn=None,
    ),
    plain(
        "headrace_gold_questions_total",
        "questions",
        "Gold questions that were mixed in, by label.gold_share.",
        lambda r: r.gold_asked_n,
    ),
    plain(
        "headrace_gold_answers_total",
        "answers",
        "Accepted answers to gold questions, which bring no label.",
        lambda r: r.gold_answers_n,
    ),
    plain(
        "headrace_annotator_falls_total",
        "falls",
        "Times that an annotator was noticed to name the settled label less often than before.",
        lambda r: sum(a.falls_n for a in r.annotators_by_number),
    ),
)

__all__ = ["ANNOTATORS", "ASKING", "BUDGET", "LABELS", "NONE"]
