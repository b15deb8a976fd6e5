"""The people who answer: how much, how alike, how fast, for how much. Numbers stand for names."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig

from .board import board, several
from .panels import (
    Panel,
    above,
    bare,
    below,
    heat,
    line,
    lines,
    never,
    now,
    override,
    ranking,
    row_of,
    rows,
    single,
    stacked,
    told,
)
from .rows_labels import gold_questions, wrong_labels

ABOUT = (
    "Throughput, agreement, turnaround and cost. A number stands for a person, in order of the "
    "first answer; no name is ever exported. Each worker numbers on its own: compare within one."
)
WHO = "{{number}} at {{instance}}"


def annotators() -> Dashboard:
    """The dashboard."""
    return board(
        "headrace-annotators",
        ABOUT,
        [
            ("Throughput", _throughput()),
            ("Agreement", [*_agreement(), *gold_questions(), *wrong_labels()]),
            ("Turnaround", _turnaround()),
            ("Cost", _cost()),
        ],
        [
            several(
                "number", "Annotators", "label_values(headrace_annotator_answers_total{S}, number)"
            ).description("Number of the annotator; other: all but the first ten.")
        ],
    )


def _throughput() -> list[Panel]:
    return [
        bare("Annotators ever", "short", never())
        .with_target(line("max(headrace_annotators{S})"))
        .decimals(0)
        .description(
            told(
                "People who have ever answered.",
                calm="one may be enough.",
                do="more than you know of: somebody else answers, or names are misspelt.",
            )
        ),
        single("At work, last hour", "short", below(1))
        .with_target(
            line(
                "count(sum by (number, instance) "
                "(increase(headrace_annotator_answers_total{S}[1h])) > 0) or vector(0)"
            )
        )
        .decimals(0)
        .description(
            told(
                "Annotators with an answer in the last hour.",
                red="nobody.",
                do="is it night? Else: can they see the requests? Alert HeadraceLabelsStopped.",
            )
        ),
        single("Answers, last hour", "short", below(1))
        .with_target(line("sum(increase(headrace_answers_accepted_total{S}[1h]))"))
        .decimals(0)
        .description(
            told(
                "Answers that entered a request.",
                red="none.",
                do="see open requests below: none open, nothing to answer.",
            )
        ),
        single("Answers for a label, last hour", "short", above(4, 6))
        .with_target(
            line(
                "sum(increase(headrace_answers_accepted_total{S}[1h])) "
                "/ clamp_min(sum(increase(headrace_labels_total{S}[1h])), 1)"
            )
        )
        .decimals(1)
        .description(
            told(
                "Accepted answers for each settled label.",
                red="6 or more: people do not agree, or labels never settle.",
                do="see the agreement below; label.answers_max bounds it.",
            )
        ),
        single("Open requests", "short", never())
        .with_target(line("sum(headrace_label_requests_open{S})"))
        .decimals(0)
        .description(
            told(
                "Requests that have not ended yet.",
                calm="the share near the deadline is judged beside it.",
                do="grows for hours: more people, or a smaller budget.",
            )
        ),
        single("Near their deadline", "percentunit", above(0.25, 0.5))
        .with_target(
            line(
                "sum(headrace_label_requests_stale{S}) "
                "/ clamp_min(sum(headrace_label_requests_open{S}), 1)"
            )
        )
        .decimals(0)
        .description(
            told(
                "Share of the open requests that have less than half of their time left.",
                red="half of them.",
                do="the oldest come first; alert HeadraceRequestsExpire.",
            )
        ),
        stacked("Answers an hour, by annotator", "short")
        .with_target(
            line(
                "sum by (number, instance) (increase("
                'headrace_annotator_answers_total{S,number=~"$number"}[1h])) > 0',
                WHO,
            )
        )
        .span(12)
        .min(0)
        .description(
            told(
                "Accepted answers in the hour before.",
                calm="the roster says how many there should be.",
                do="one person does it all: agreement is then not measured.",
            )
        ),
        lines("Could not tell, last hour", "percentunit", above(0.1, 0.3))
        .with_target(
            line(
                "sum by (number, instance) (increase("
                'headrace_annotator_refused_total{S,number=~"$number"}[1h])) '
                "/ (sum by (number, instance) (increase("
                'headrace_annotator_answers_total{S,number=~"$number"}[1h])) > 0)',
                WHO,
            )
        )
        .span(6)
        .min(0)
        .description(
            told(
                "Share of the answers that name no class.",
                red="3 in 10.",
                do="everybody: what is shown is not enough to tell. One person: instructions.",
            )
        ),
        stacked("Labels an hour, by class", "short")
        .with_target(
            line("sum by (class) (increase(headrace_labels_total{S}[1h])) > 0", "{{class}}")
        )
        .span(6)
        .min(0)
        .description(
            told(
                "Settled labels in the hour before.",
                calm="the mix follows what is asked.",
                do="a class that nobody ever names: do the instructions have it?",
            )
        ),
    ]


def _agreement() -> list[Panel]:
    return [
        lines("Agreement beyond chance", "percentunit", below(0.4, 0.667))
        .with_target(line("min(headrace_label_agreement_ratio{S})", "alpha"))
        .max(1)
        .description(
            told(
                "Krippendorff's alpha over requests with two answers or more: 1 is perfect, 0 is "
                "as by chance.",
                red="below 40 %: the labels are hardly worth learning.",
                do="mend the instructions, or merge classes. Alert HeadraceAgreementLow.",
            )
        ),
        ranking("Agreement with the settled label", "percentunit", below(0.7, 0.85))
        .with_target(
            now(
                "sort(min by (number, instance) "
                '(headrace_annotator_agreement_ratio{S,number=~"$number"}))',
                WHO,
            )
        )
        .max(1)
        .decimals(0)
        .description(
            told(
                "Share of each annotator's answers that named the settled label, over the "
                "requests that somebody else answered too; the lowest first.",
                red="below 70 %, if some dozen answers were compared.",
                do="talk to the person before doing anything else; consensus already weighs "
                "answers by this.",
            )
        ),
        single("Agreement fell, last day", "short", above(0.5, 1))
        .with_target(line("sum(increase(headrace_annotator_falls_total{S}[1d]))"))
        .description(
            told(
                "Times that an annotator was found to name the settled label less often than "
                "before.",
                red="once.",
                do="the report says who. Alert HeadraceAnnotatorDrifted.",
            )
        ),
        lines("Disputed, last hour", "percentunit", above(0.05, 0.2))
        .with_target(
            line(
                'sum(increase(headrace_label_requests_ended_total{S,end="disputed"}[1h])) '
                "/ clamp_min(sum(increase(headrace_label_requests_ended_total{S}[1h])), 1)",
                "share",
            )
        )
        .min(0)
        .description(
            told(
                "Share of the ended requests whose answers gave no majority.",
                red="1 in 5.",
                do="raise label.answers_max, or mend the question.",
            )
        ),
    ]


def _turnaround() -> list[Panel]:
    buckets = "headrace_label_turnaround_seconds_bucket"
    half = f"histogram_quantile(0.5, sum by (le) (rate({buckets}{{S}}[1h])))"
    most = f"histogram_quantile(0.9, sum by (le) (rate({buckets}{{S}}[1h])))"
    return [
        lines("Turnaround, last hour", "s", above(14_400, 86_400))
        .with_target(line(half, "half within"))
        .with_target(line(most, "90 % within"))
        .min(0)
        .description(
            told(
                "Time from request to accepted answer.",
                red="a day: the model learns about yesterday.",
                do="more people, or fewer questions. Alert HeadraceTurnaroundSlow.",
            )
        ),
        lines("Mean turnaround by annotator, last hour", "s", above(14_400, 86_400))
        .with_target(
            line(
                "sum by (number, instance) (increase("
                'headrace_annotator_turnaround_seconds_total{S,number=~"$number"}[1h])) '
                "/ (sum by (number, instance) (increase("
                'headrace_annotator_answers_total{S,number=~"$number"}[1h])) > 0)',
                WHO,
            )
        )
        .min(0)
        .description(
            told(
                "Time from request to answer, on average.",
                red="a day.",
                do="one person: away, or has too many. Everybody: too many questions.",
            )
        ),
        heat(
            "Turnaround of all answers", "s", f"sum by (le) (increase({buckets}{{S}}[R]))"
        ).description(
            told(
                "How many answers took how long.",
                calm="it shows all the answers that the lines sum up.",
                do="two bands: two groups of people, such as two time zones.",
            )
        ),
        lines("Open requests, and those near their deadline", "short", never())
        .with_target(line("sum(headrace_label_requests_open{S})", "open"))
        .with_target(line("sum(headrace_label_requests_stale{S})", "near their deadline"))
        .span(12)
        .min(0)
        .description(
            told(
                "Open requests, and those of them with less than half of their time left.",
                calm="their share is judged at the top.",
                do="grows for hours: more people, or a smaller budget.",
            )
        ),
        lines("Oldest open request", "s", above(43_200, 90_000))
        .with_target(
            line("time() - min(headrace_label_oldest_request_timestamp_seconds{S})", "age")
        )
        .span(12)
        .min(0)
        .description(
            told(
                "How long ago the oldest open request was asked.",
                red="25 hours: more than the default of label.deadline_s.",
                do="see Newest event on the overview: without events or ticks nothing expires.",
            )
        ),
    ]


def _cost() -> list[Panel]:
    return [
        bare("Cost of the time in view", "short", never())
        .with_target(line("sum(increase(headrace_label_cost_units_total{S}[$__range]))"))
        .span(6)
        .description(
            told(
                "What the accepted answers cost, over the time in view, in the unit of label.cost.",
                calm="only you know what it may cost.",
                do="set query.budget.per_hour or cap to bound it.",
            )
        ),
        bare("Cost of one answer", "short", never())
        .with_target(line("max(headrace_label_cost_per_answer_units{S})"))
        .span(6)
        .description(
            told(
                "The setting label.cost. With 1, the cost is the number of answers.",
                calm="it is a setting.",
                do="set it to what you pay.",
            )
        ),
        single("Cost of a label, last hour", "short", never())
        .with_target(
            line(
                "sum(increase(headrace_label_cost_units_total{S}[1h])) "
                "/ clamp_min(sum(increase(headrace_labels_total{S}[1h])), 1)"
            )
        )
        .span(6)
        .decimals(1)
        .description(
            told(
                "Cost of the accepted answers for each settled label.",
                calm="answers for a label are judged at the top.",
                do="it rises: people disagree, or requests end without a label.",
            )
        ),
        single("Paid for nothing, last hour", "percentunit", above(0.1, 0.25))
        .with_target(
            line(
                "sum(increase(headrace_answers_unusual_total"
                '{S,outcome=~"duplicate|refused|rejected"}[1h])) '
                "/ clamp_min(sum(increase(headrace_answers_accepted_total{S}[1h])), 1)"
            )
        )
        .span(6)
        .decimals(0)
        .description(
            told(
                "How many duplicate answers, refusals (could not tell) and unusable answers come "
                "for each accepted answer.",
                red="a quarter.",
                do="see by outcome below. Alert HeadraceAnswersRejected.",
            )
        ),
        lines("Cost an hour", "short", never())
        .with_target(line("sum(increase(headrace_label_cost_units_total{S}[1h]))", "cost"))
        .min(0)
        .description(
            told(
                "What the answers of the hour before cost, in the unit of label.cost.",
                calm="the budget bounds the requests.",
                do="it rises with a drift: the reserve is spent, as it should.",
            )
        ),
        lines("Answers out of the ordinary, an hour", "short", never())
        .with_target(
            line(
                "sum by (outcome) (increase(headrace_answers_unusual_total{S}[1h]))", "{{outcome}}"
            )
        )
        .min(0)
        .description(
            told(
                "Late, duplicate, corrected, refused (could not tell) and rejected (could not be "
                "used) answers in the hour before.",
                calm="their share is judged above.",
                do="rejected: wrong project, or a class that is not in schema.classes. late: raise "
                "label.deadline_s.",
            )
        ),
        lines("Spent and paid back", "short", never())
        .with_target(line("sum(headrace_budget_spent_labels{S})", "spent"))
        .with_target(line("sum(headrace_budget_refunded_labels{S})", "paid back"))
        .min(0)
        .description(
            told(
                "Labels asked for since the beginning, minus those paid back (spent), and labels "
                "paid back for requests without an answer.",
                calm="the budget bounds it.",
                do="paid back grows as fast as spent: nobody answers.",
            )
        ),
        _everybody(),
    ]


def _everybody() -> Panel:
    """One row a person, from five instant queries joined by number."""
    names = ("answers", "could not tell", "compared", "agreed", "gold", "right", "mean turnaround")
    chosen = '{S,number=~"$number"}'
    by = "by (number, instance)"
    answers = f"(sum {by} (increase(headrace_annotator_answers_total{chosen}[$__range])) > 0)"
    met = f"and on (number, instance) {answers}"
    queries = (
        answers,
        f"sum {by} (increase(headrace_annotator_refused_total{chosen}[$__range])) {met}",
        f"max {by} (headrace_annotator_compared_answers{chosen}) {met}",
        f"max {by} (headrace_annotator_agreement_ratio{chosen}) {met}",
        f"max {by} (headrace_annotator_gold_answers{chosen}) {met}",
        f"max {by} (headrace_annotator_gold_ratio{chosen}) {met}",
        f"sum {by} (increase(headrace_annotator_turnaround_seconds_total{chosen}[$__range])) "
        f"/ {answers}",
    )
    fields = [f"Value #{chr(ord('A') + i)}" for i in range(len(names))]
    units = ("short", "short", "short", "percentunit", "short", "percentunit", "s")
    return (
        rows("Everybody, over the time in view", "short")
        .targets([row_of(short) for short in queries])
        .span(24)
        .height(9)
        .overrides(
            [override(name, unit=unit, decimals=0) for name, unit in zip(names, units, strict=True)]
        )
        .with_transformation(DataTransformerConfig("merge", options={}))
        .with_transformation(
            DataTransformerConfig(
                "organize",
                options={
                    "excludeByName": {"Time": True},
                    "renameByName": dict(zip(fields, names, strict=True)),
                },
            )
        )
        .description(
            told(
                "Answers and refusals within the time in view; agreement since the beginning, over "
                "the answers that could be compared.",
                calm="it is a list; the panels above judge.",
                do="few compared answers say little: read the agreement with that column.",
            )
        )
    )
