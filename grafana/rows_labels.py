"""What is asked, and what comes back: rows of the overview, and one for the annotators' board."""

from __future__ import annotations

from .panels import (
    GREEN,
    YELLOW,
    Json,
    above,
    below,
    line,
    lines,
    mapping,
    never,
    ranking,
    stat,
    told,
)


def asking() -> list[Json]:
    """What is asked, why, and within which budget."""
    return [
        lines(
            "Requests an hour, by reason",
            [
                line(
                    "sum by (reason) (increase(headrace_label_requests_total{S}[1h]))",
                    "{{reason}}",
                )
            ],
            unit="short",
            steps=never(),
            low=0,
            stacked="normal",
            about=told(
                "Label requests in the hour before: control ones are drawn blindly, doubt ones on "
                "arrival by the strategy; cold start and the others in rounds.",
                calm="the budget bounds them.",
                do="no requests while events come: see the budget. Nothing but control: labels are "
                "few or late, or no round opens.",
            ),
        ),
        lines(
            "Share of events asked about, last hour",
            [
                line(
                    "sum(increase(headrace_label_requests_total{S}[1h])) "
                    "/ clamp_min(sum(increase(headrace_events_observed_total{S}[1h])), 1)",
                    "asked",
                ),
                line("max(headrace_budget_share_ratio{S})", "earned"),
            ],
            unit="percentunit",
            steps=above(0.1, 0.25),
            low=0,
            about=told(
                "Requests for each event, and what the budget earns for each.",
                red="a quarter of all events: there is little left to choose.",
                do="lower query.budget.share or per_hour, unless it is a cold start.",
            ),
        ),
        lines(
            "Labels that may be asked",
            [
                line("sum(headrace_budget_available_labels{S})", "available"),
                line("sum(headrace_budget_reserve_labels{S})", "of these in reserve"),
            ],
            unit="short",
            steps=never(),
            low=0,
            decimals=1,
            about=told(
                "What the budget has earned and not spent; the reserve is for rounds that drift "
                "or a person opens.",
                calm="near 0 is normal: what is earned is spent.",
                do="full for hours: rounds do not open, see the next panel. Reserve at 0 after a "
                "drift: it has been used, as it should.",
            ),
        ),
        lines(
            "Open questions scored again, last hour",
            [
                line(
                    "sum by (outcome) (increase(headrace_query_rescored_total{S}[1h]))",
                    "{{outcome}}",
                )
            ],
            unit="short",
            steps=never(),
            low=0,
            stacked="normal",
            about=told(
                "Questions that nobody has answered yet and that a model which has learned since "
                "gave another priority, or withdrew. 0 where query.open.rescored is kept.",
                calm="some are withdrawn as the model learns.",
                do="most are withdrawn: more is asked than gets answered; lower the budget, or let "
                "a workflow wait for answers.",
            ),
        ),
        lines(
            "Rounds an hour, by what opened them",
            [
                line(
                    "sum by (reason) (increase(headrace_query_rounds_total{S}[1h]))",
                    "{{reason}}",
                )
            ],
            unit="short",
            steps=never(),
            low=0,
            stacked="normal",
            about=told(
                "Rounds decided in the hour before.",
                calm="how many there should be, the schedule says.",
                do="none for longer than the schedule: no events, or no budget.",
            ),
        ),
        lines(
            "Spent and paid back",
            [
                line("sum(headrace_budget_spent_labels{S})", "spent"),
                line("sum(headrace_budget_refunded_labels{S})", "paid back"),
                line("sum(headrace_budget_cap_labels{S})", "cap"),
            ],
            unit="short",
            steps=never(),
            low=0,
            about=told(
                "Labels since the beginning, less what was paid back for requests without an "
                "answer; and the cap, if there is one.",
                calm="Budget, at the top, is red when the cap is reached.",
                do="paid back grows as fast as spent: nobody answers, see Labelling.",
            ),
        ),
        lines(
            "Redundancy of rounds, mean of the last hour",
            [line("max(avg_over_time(headrace_query_redundancy_ratio{S}[1h]))", "redundancy")],
            unit="percentunit",
            steps=above(0.5, 0.8),
            high=1,
            about=told(
                "How alike the events of one round are: 1 the same, 0 as a blind draw, below 0 "
                "less. Single rounds of a few events jump.",
                red="0.8: people are asked the same thing again and again.",
                do="choose a strategy with diversity, or smaller rounds.",
            ),
        ),
        lines(
            "Utility preferred",
            [line("headrace_query_threshold{S}", "{{instance}}")],
            unit="none",
            steps=never(),
            width=6,
            decimals=2,
            about=told(
                "The utility above which an event is likelier asked than blindly, or above which "
                "the last round chose; by worker.",
                calm="its scale is the strategy's own.",
                do="at 0 for long: nothing is doubtful, the budget may be lower. It falls after a "
                "drift in rounds, which draw at random then.",
            ),
        ),
        lines(
            "Lowest propensity",
            [line("min(headrace_propensity_floor_ratio{S})", "floor")],
            unit="percentunit",
            steps=below(0.0001, 0.0005),
            width=6,
            low=0,
            about=told(
                "The lowest probability with which an event that was asked about would have been.",
                red="below 1 in 10,000: a single label may weigh as much as ten thousand events, "
                "and the estimate jumps.",
                do="raise query.control_share.",
            ),
        ),
        lines(
            "Asked, by predicted class, last hour",
            [
                line(
                    "sum by (class) (increase(headrace_label_requests_by_class_total{S}[1h])) > 0",
                    "{{class}}",
                )
            ],
            unit="short",
            steps=never(),
            width=8,
            low=0,
            stacked="normal",
            about=told(
                "Which class the model expected of what was asked; none: before any was known.",
                calm="the classes the model confuses are asked about more.",
                do="one class alone: the strategy digs in one place; look at Predicted classes.",
            ),
        ),
        stat(
            "Cold start",
            "max(headrace_query_is_cold{S})",
            unit="none",
            steps=above(1, None),
            mappings=mapping({"0": ("over", GREEN), "1": ("few labels", YELLOW)}),
            graph=False,
            height=8,
            about=told(
                "Whether some class has too few labels: rounds draw blindly, and confidence is not "
                "watched yet.",
                calm="it ends by itself; yellow while it lasts.",
                do="for days: a class that hardly comes up; seed it with labels, or leave it out "
                "of schema.classes.",
            ),
        ),
    ]


def labelling() -> list[Json]:
    """Requests, answers and what became of them; people have a board of their own."""
    return [
        lines(
            "Requests and their ends, an hour",
            [
                line("sum(increase(headrace_label_requests_total{S}[1h]))", "asked"),
                line(
                    "sum by (end) (increase(headrace_label_requests_ended_total{S}[1h]))",
                    "{{end}}",
                ),
            ],
            unit="short",
            steps=never(),
            low=0,
            about=told(
                "Asked, and settled, disputed, expired or withdrawn, in the hour before.",
                calm="see the share without a label, below.",
                do="asked above settled for hours: open requests grow; see the annotators board.",
            ),
        ),
        lines(
            "Open requests",
            [
                line("sum(headrace_label_requests_open{S})", "open"),
                line("sum(headrace_label_requests_stale{S})", "near their deadline"),
            ],
            unit="short",
            steps=never(),
            low=0,
            about=told(
                "Requests without an end, and those with less than half of their time left.",
                calm="their share near the deadline is judged at the top.",
                do="growing: fewer answers come than are wanted. Headrace asks no more than the "
                "budget, so this cannot run away.",
            ),
        ),
        lines(
            "Oldest open request",
            [line("time() - min(headrace_label_oldest_request_timestamp_seconds{S})", "age")],
            unit="s",
            steps=above(43_200, 90_000),
            low=0,
            about=told(
                "How long ago the request was asked that is open longest.",
                red="25 hours: above the default of label.deadline_s, so requests do not expire as "
                "they should.",
                do="does time pass? Without events or ticks nothing expires: see Newest event.",
            ),
        ),
        lines(
            "Turnaround, last hour",
            [line(_turnaround(0.5), "half within"), line(_turnaround(0.9), "90 % within")],
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
            "Agreement beyond chance",
            [line("min(headrace_label_agreement_ratio{S})", "alpha")],
            unit="percentunit",
            steps=below(0.4, 0.667),
            high=1,
            about=told(
                "Krippendorff's alpha over requests with two answers or more.",
                red="below 40 %: people read the question differently.",
                do="see who differs on the annotators board; mend the instructions before buying "
                "more labels. Alert HeadraceAgreementLow.",
            ),
        ),
        lines(
            "Ended without a label, last hour",
            [
                line(
                    'sum(increase(headrace_label_requests_ended_total{S,end!="settled"}[1h])) '
                    "/ clamp_min(sum(increase(headrace_label_requests_ended_total{S}[1h])), 1)",
                    "share",
                )
            ],
            unit="percentunit",
            steps=above(0.1, 0.3),
            low=0,
            about=told(
                "Share of the ends that were disputed, expired or withdrawn.",
                red="3 in 10: attention is paid for and lost.",
                do="expired: too few people or too short a deadline. disputed: see the agreement. "
                "Alert HeadraceRequestsExpire.",
            ),
        ),
        lines(
            "Labels an hour, by class",
            [line("sum by (class) (increase(headrace_labels_total{S}[1h])) > 0", "{{class}}")],
            unit="short",
            steps=never(),
            width=12,
            low=0,
            stacked="normal",
            about=told(
                "Settled labels in the hour before.",
                calm="the mix follows what is asked.",
                do="a class that has vanished: its answers are refused, or it is no longer asked.",
            ),
        ),
        lines(
            "Answers out of the ordinary, last hour",
            [
                line(
                    "sum by (outcome) (increase(headrace_answers_unusual_total{S}[1h])) "
                    "/ on () group_left () "
                    "clamp_min(sum(increase(headrace_answers_accepted_total{S}[1h])), 1)",
                    "{{outcome}}",
                )
            ],
            unit="percentunit",
            steps=above(0.1, 0.25),
            width=12,
            low=0,
            about=told(
                "For each accepted answer: how many were late, duplicates, corrections, could not "
                "tell (refused), or could not be used (rejected).",
                red="a quarter.",
                do="rejected: wrong project, or a class that is not in schema.classes. late: raise "
                "label.deadline_s. refused: the question cannot be answered from what is shown. "
                "Alert HeadraceAnswersRejected.",
            ),
        ),
    ]


def wrong_labels() -> list[Json]:
    """For the board of the annotators: labels that look wrong, and what came of asking again."""
    return [
        lines(
            "Labels that may be wrong",
            [line("max by (by) (headrace_label_noise_ratio{S})", "{{by}}")],
            unit="percentunit",
            steps=above(0.1, 0.25),
            low=0,
            about=told(
                "Estimated share of wrong labels: by what the model said before it learned them "
                "(from model_low to model_high), and of wrong answers, by how annotators disagree.",
                red="1 in 4: the model learns about as much wrong as right.",
                do="mend the question; set label.second_opinion_share, or label.answers_wanted to "
                "2. What the lower one says is nearer where the model is good.",
            ),
        ),
        lines(
            "Labels that look wrong, last day",
            [
                line(
                    "max(increase(headrace_labels_suspicious_total{S}[1d])) "
                    "/ clamp_min(sum(increase(headrace_labels_total{S}[1d])), 1)",
                    "share",
                )
            ],
            unit="percentunit",
            steps=above(0.2, 0.4),
            low=0,
            about=told(
                "Labels of the last day that the model does not believe, as a share of all; hard "
                "events are among them.",
                red="2 in 5: either many answers are wrong, or the model is.",
                do="look at the latest ones on the page of headrace report; after a drift it "
                "falls by itself.",
            ),
        ),
        lines(
            "Second opinions, last day",
            [
                line(
                    "sum by (outcome) (increase(headrace_second_opinions_total{S}[1d]))",
                    "{{outcome}}",
                )
            ],
            unit="short",
            steps=never(),
            low=0,
            stacked="normal",
            about=told(
                "Opinions given in the last day on labels that looked wrong: the label stayed, is "
                "another, or is out while two disagree.",
                calm="none without label.second_opinion_share.",
                do="nearly all confirmed: annotators are right, lower the share. Many overruled: "
                "see who differs, above.",
            ),
        ),
    ]


def gold_questions() -> list[Json]:
    """For the board of the annotators: who is right where the answer is known."""
    return [
        ranking(
            "Right in gold questions",
            'sort(min by (number, instance) (headrace_annotator_gold_ratio{S,number=~"$number"}))',
            "{{number}} at {{instance}}",
            unit="percentunit",
            steps=below(0.7, 0.85),
            high=1,
            decimals=0,
            about=told(
                "Of the questions whose answer an expert has given: how many they answered alike; "
                "the lowest first. None without label.gold_share.",
                red="below 70 %, of some dozen.",
                do="look at the interval in headrace report, then talk to the person; "
                "dawid_skene weighs answers by this.",
            ),
        ),
        lines(
            "Gold questions, last day",
            [
                line("sum(increase(headrace_gold_questions_total{S}[1d]))", "asked"),
                line("sum(increase(headrace_gold_answers_total{S}[1d]))", "answers"),
            ],
            unit="short",
            steps=never(),
            low=0,
            about=told(
                "Questions whose answer is known, mixed in, and the answers to them, which bring "
                "no label.",
                calm="label.gold_share bounds them.",
                do="none asked: none of label.experts has answered. Few answered: tools do not "
                "show them, or whoever answered first gets them.",
            ),
        ),
    ]


def _turnaround(share: float) -> str:
    buckets = "headrace_label_turnaround_seconds_bucket"
    return f"histogram_quantile({share}, sum by (le) (rate({buckets}{{S}}[1h])))"
