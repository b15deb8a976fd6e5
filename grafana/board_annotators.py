"""The people who answer: how much, how alike, how fast, for how much. Numbers stand for names."""

from __future__ import annotations

from .board import board, choice
from .panels import (
    Json,
    above,
    below,
    heat,
    line,
    lines,
    never,
    override,
    ranking,
    row_of,
    stat,
    table,
    told,
)
from .rows_labels import gold_questions, wrong_labels

ABOUT = (
    "Throughput, agreement, turnaround and cost. A number stands for a person, in order of the "
    "first answer; no name is ever exported. Each worker numbers on its own: compare within one."
)
WHO = "{{number}} at {{instance}}"


def annotators() -> Json:
    """The dashboard's JSON."""
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
            choice(
                "number",
                "Annotators",
                "label_values(headrace_annotator_answers_total{S}, number)",
                multi=True,
                about="Number of the annotator; other: all but the first ten.",
            )
        ],
    )


def _throughput() -> list[Json]:
    return [
        stat(
            "Annotators ever",
            "max(headrace_annotators{S})",
            unit="short",
            steps=never(),
            decimals=0,
            graph=False,
            about=told(
                "People who have ever answered.",
                calm="one may do.",
                do="more than you know of: somebody else answers, or names are misspelt.",
            ),
        ),
        stat(
            "At work, last hour",
            "count(sum by (number, instance) "
            "(increase(headrace_annotator_answers_total{S}[1h])) > 0) or vector(0)",
            unit="short",
            steps=below(1),
            decimals=0,
            about=told(
                "Annotators with an answer in the last hour.",
                red="nobody.",
                do="is it night? Else: can they see the requests? Alert HeadraceLabelsStopped.",
            ),
        ),
        stat(
            "Answers, last hour",
            "sum(increase(headrace_answers_accepted_total{S}[1h]))",
            unit="short",
            steps=below(1),
            decimals=0,
            about=told(
                "Answers that entered a request.",
                red="none.",
                do="see open requests below: none open, nothing to answer.",
            ),
        ),
        stat(
            "Answers for a label, last hour",
            "sum(increase(headrace_answers_accepted_total{S}[1h])) "
            "/ clamp_min(sum(increase(headrace_labels_total{S}[1h])), 1)",
            unit="short",
            steps=above(4, 6),
            decimals=1,
            about=told(
                "How many answers one label took.",
                red="6 or more: people do not agree, or labels never settle.",
                do="see the agreement below; label.answers_max bounds it.",
            ),
        ),
        stat(
            "Open requests",
            "sum(headrace_label_requests_open{S})",
            unit="short",
            steps=never(),
            decimals=0,
            about=told(
                "Requests without an end.",
                calm="the share near the deadline is judged beside it.",
                do="grows for hours: more people, or a smaller budget.",
            ),
        ),
        stat(
            "Near their deadline",
            "sum(headrace_label_requests_stale{S}) "
            "/ clamp_min(sum(headrace_label_requests_open{S}), 1)",
            unit="percentunit",
            steps=above(0.25, 0.5),
            decimals=0,
            about=told(
                "Share of the open requests that have less than half of their time left.",
                red="half of them.",
                do="the oldest come first; alert HeadraceRequestsExpire.",
            ),
        ),
        lines(
            "Answers an hour, by annotator",
            [
                line(
                    "sum by (number, instance) (increase("
                    'headrace_annotator_answers_total{S,number=~"$number"}[1h])) > 0',
                    WHO,
                )
            ],
            unit="short",
            steps=never(),
            width=12,
            low=0,
            stacked="normal",
            about=told(
                "Accepted answers in the hour before.",
                calm="how many there should be, the roster says.",
                do="one person does it all: agreement is then not measured.",
            ),
        ),
        lines(
            "Could not tell, last hour",
            [
                line(
                    "sum by (number, instance) (increase("
                    'headrace_annotator_refused_total{S,number=~"$number"}[1h])) '
                    "/ (sum by (number, instance) (increase("
                    'headrace_annotator_answers_total{S,number=~"$number"}[1h])) > 0)',
                    WHO,
                )
            ],
            unit="percentunit",
            steps=above(0.1, 0.3),
            width=6,
            low=0,
            about=told(
                "Share of the answers that name no class.",
                red="3 in 10.",
                do="everybody: what is shown is not enough to tell. One person: instructions.",
            ),
        ),
        lines(
            "Labels an hour, by class",
            [line("sum by (class) (increase(headrace_labels_total{S}[1h])) > 0", "{{class}}")],
            unit="short",
            steps=never(),
            width=6,
            low=0,
            stacked="normal",
            about=told(
                "Settled labels in the hour before.",
                calm="the mix follows what is asked.",
                do="a class that nobody ever names: do the instructions have it?",
            ),
        ),
    ]


def _agreement() -> list[Json]:
    return [
        lines(
            "Agreement beyond chance",
            [line("min(headrace_label_agreement_ratio{S})", "alpha")],
            unit="percentunit",
            steps=below(0.4, 0.667),
            high=1,
            about=told(
                "Krippendorff's alpha over requests with two answers or more: 1 is perfect, 0 is "
                "as by chance.",
                red="below 40 %: the labels are hardly worth learning.",
                do="mend the instructions, or merge classes. Alert HeadraceAgreementLow.",
            ),
        ),
        ranking(
            "Agreement with the settled label",
            "sort(min by (number, instance) "
            '(headrace_annotator_agreement_ratio{S,number=~"$number"}))',
            WHO,
            unit="percentunit",
            steps=below(0.7, 0.85),
            high=1,
            decimals=0,
            about=told(
                "Of the answers that somebody else answered too: how many named the label that was "
                "settled; the lowest first.",
                red="below 70 %, if compared with some dozen answers.",
                do="talk to the person before doing anything else; consensus already weighs "
                "answers by this.",
            ),
        ),
        stat(
            "Agreement fell, last day",
            "sum(increase(headrace_annotator_falls_total{S}[1d]))",
            unit="short",
            steps=above(0.5, 1),
            about=told(
                "Times that somebody was noticed to name the settled label less often than before.",
                red="once.",
                do="the report says who. Alert HeadraceAnnotatorDrifted.",
            ),
        ),
        lines(
            "Disputed, last hour",
            [
                line(
                    'sum(increase(headrace_label_requests_ended_total{S,end="disputed"}[1h])) '
                    "/ clamp_min(sum(increase(headrace_label_requests_ended_total{S}[1h])), 1)",
                    "share",
                )
            ],
            unit="percentunit",
            steps=above(0.05, 0.2),
            low=0,
            about=told(
                "Share of the ends where no majority came about.",
                red="1 in 5.",
                do="raise label.answers_max, or mend the question.",
            ),
        ),
    ]


def _turnaround() -> list[Json]:
    buckets = "headrace_label_turnaround_seconds_bucket"
    half = f"histogram_quantile(0.5, sum by (le) (rate({buckets}{{S}}[1h])))"
    most = f"histogram_quantile(0.9, sum by (le) (rate({buckets}{{S}}[1h])))"
    return [
        lines(
            "Turnaround, last hour",
            [line(half, "half within"), line(most, "90 % within")],
            unit="s",
            steps=above(14_400, 86_400),
            low=0,
            about=told(
                "From request to accepted answer.",
                red="a day: the model learns about yesterday.",
                do="more people, or fewer questions. Alert HeadraceTurnaroundSlow.",
            ),
        ),
        lines(
            "Mean turnaround by annotator, last hour",
            [
                line(
                    "sum by (number, instance) (increase("
                    'headrace_annotator_turnaround_seconds_total{S,number=~"$number"}[1h])) '
                    "/ (sum by (number, instance) (increase("
                    'headrace_annotator_answers_total{S,number=~"$number"}[1h])) > 0)',
                    WHO,
                )
            ],
            unit="s",
            steps=above(14_400, 86_400),
            low=0,
            about=told(
                "Time from request to answer, on average.",
                red="a day.",
                do="one person: away, or has too many. Everybody: too many questions.",
            ),
        ),
        heat(
            "Turnaround of all answers",
            f"sum by (le) (increase({buckets}{{S}}[R]))",
            unit="s",
            width=8,
            about=told(
                "How many answers took how long.",
                calm="it is the whole of what the lines sum up.",
                do="two bands: two groups of people, such as two time zones.",
            ),
        ),
        lines(
            "Open requests, and the late ones",
            [
                line("sum(headrace_label_requests_open{S})", "open"),
                line("sum(headrace_label_requests_stale{S})", "near their deadline"),
            ],
            unit="short",
            steps=never(),
            width=12,
            low=0,
            about=told(
                "Requests without an end, and those with less than half of their time left.",
                calm="their share is judged at the top.",
                do="grows for hours: more people, or a smaller budget.",
            ),
        ),
        lines(
            "Oldest open request",
            [line("time() - min(headrace_label_oldest_request_timestamp_seconds{S})", "age")],
            unit="s",
            steps=above(43_200, 90_000),
            width=12,
            low=0,
            about=told(
                "How long ago the request was asked that is open longest.",
                red="25 hours: more than the default of label.deadline_s.",
                do="see Newest event on the overview: without events or ticks nothing expires.",
            ),
        ),
    ]


def _cost() -> list[Json]:
    return [
        stat(
            "Cost of the time in view",
            "sum(increase(headrace_label_cost_units_total{S}[$__range]))",
            unit="short",
            steps=never(),
            graph=False,
            width=6,
            about=told(
                "What the accepted answers cost, over the time in view, in the unit of label.cost.",
                calm="what it may cost only you know.",
                do="set query.budget.per_hour or cap to bound it.",
            ),
        ),
        stat(
            "Cost of one answer",
            "max(headrace_label_cost_per_answer_units{S})",
            unit="short",
            steps=never(),
            graph=False,
            width=6,
            about=told(
                "As set in label.cost; with 1, answers are counted.",
                calm="it is a setting.",
                do="set it to what you pay.",
            ),
        ),
        stat(
            "Cost of a label, last hour",
            "sum(increase(headrace_label_cost_units_total{S}[1h])) "
            "/ clamp_min(sum(increase(headrace_labels_total{S}[1h])), 1)",
            unit="short",
            steps=never(),
            decimals=1,
            width=6,
            about=told(
                "What one settled label took.",
                calm="answers for a label are judged at the top.",
                do="it rises: people disagree, or requests end without a label.",
            ),
        ),
        stat(
            "Paid for nothing, last hour",
            "sum(increase(headrace_answers_unusual_total"
            '{S,outcome=~"duplicate|refused|rejected"}[1h])) '
            "/ clamp_min(sum(increase(headrace_answers_accepted_total{S}[1h])), 1)",
            unit="percentunit",
            steps=above(0.1, 0.25),
            decimals=0,
            width=6,
            about=told(
                "Duplicates, answers that could not tell, and those that could not be used, for "
                "each accepted answer.",
                red="a quarter.",
                do="see by outcome below. Alert HeadraceAnswersRejected.",
            ),
        ),
        lines(
            "Cost an hour",
            [line("sum(increase(headrace_label_cost_units_total{S}[1h]))", "cost")],
            unit="short",
            steps=never(),
            low=0,
            about=told(
                "What the answers of the hour before cost, in the unit of label.cost.",
                calm="the budget bounds the requests.",
                do="it rises with a drift: the reserve is spent, as it should.",
            ),
        ),
        lines(
            "Answers out of the ordinary, an hour",
            [
                line(
                    "sum by (outcome) (increase(headrace_answers_unusual_total{S}[1h]))",
                    "{{outcome}}",
                )
            ],
            unit="short",
            steps=never(),
            low=0,
            about=told(
                "Late, duplicate, corrected, refused (could not tell) and rejected (could not be "
                "used) answers in the hour before.",
                calm="their share is judged above.",
                do="rejected: wrong project, or a class that is not in schema.classes. late: raise "
                "label.deadline_s.",
            ),
        ),
        lines(
            "Spent and paid back",
            [
                line("sum(headrace_budget_spent_labels{S})", "spent"),
                line("sum(headrace_budget_refunded_labels{S})", "paid back"),
            ],
            unit="short",
            steps=never(),
            low=0,
            about=told(
                "Labels since the beginning, less what was paid back for requests without an "
                "answer.",
                calm="the budget bounds it.",
                do="paid back grows as fast as spent: nobody answers.",
            ),
        ),
        _everybody(),
    ]


def _everybody() -> Json:
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
    return table(
        "Everybody, over the time in view",
        [row_of(short) for short in queries],
        unit="short",
        width=24,
        height=9,
        overrides=[
            override(name, unit=unit, decimals=0) for name, unit in zip(names, units, strict=True)
        ],
        transformations=[
            {"id": "merge", "options": {}},
            {
                "id": "organize",
                "options": {
                    "excludeByName": {"Time": True},
                    "renameByName": dict(zip(fields, names, strict=True)),
                },
            },
        ],
        about=told(
            "Answers and refusals within the time in view; agreement since the beginning, over "
            "the answers that could be compared.",
            calm="it is a list; the panels above judge.",
            do="few compared answers say little: read the agreement with that column.",
        ),
    )
