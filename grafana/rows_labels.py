"""What is asked, and what comes back: rows of the overview, and one for the annotators' board."""

from __future__ import annotations

from .panels import (
    GREEN,
    YELLOW,
    Panel,
    above,
    bare,
    below,
    line,
    lines,
    mapping,
    never,
    now,
    ranking,
    stacked,
    told,
)


def asking() -> list[Panel]:
    """What is asked, why, and within which budget."""
    return [
        stacked("Requests an hour, by reason", "short")
        .with_target(
            line("sum by (reason) (increase(headrace_label_requests_total{S}[1h]))", "{{reason}}")
        )
        .min(0)
        .description(
            told(
                "Label requests in the hour before, by the reason for asking. On arrival: control "
                "is drawn blindly, doubt is chosen by the strategy. In rounds: cold start is "
                "drawn blindly, round is chosen by the strategy. `headrace report` explains them "
                "all.",
                calm="the budget bounds them.",
                do="no requests while events come: see the budget. Nothing but control: labels are "
                "few or late, or no round opens.",
            )
        ),
        lines("Share of events asked about, last hour", "percentunit", above(0.1, 0.25))
        .with_target(
            line(
                "sum(increase(headrace_label_requests_total{S}[1h])) "
                "/ clamp_min(sum(increase(headrace_events_observed_total{S}[1h])), 1)",
                "asked",
            )
        )
        .with_target(line("max(headrace_budget_share_ratio{S})", "earned"))
        .min(0)
        .description(
            told(
                "Label requests per event (asked), and labels that the budget earns per event "
                "(earned).",
                red="a quarter of all events: there is little left to choose.",
                do="lower query.budget.share or per_hour, unless it is a cold start.",
            )
        ),
        lines("Labels that may be asked", "short", never())
        .with_target(line("sum(headrace_budget_available_labels{S})", "available"))
        .with_target(line("sum(headrace_budget_reserve_labels{S})", "of these in reserve"))
        .min(0)
        .decimals(1)
        .description(
            told(
                "What the budget has earned and not spent; the reserve is for rounds that drift "
                "or a person opens.",
                calm="near 0 is normal: what is earned is spent.",
                do="full for hours: rounds do not open, see the next panel. Reserve at 0 after a "
                "drift: it has been used, as it should.",
            )
        ),
        stacked("Open questions scored again, last hour", "short")
        .with_target(
            line("sum by (outcome) (increase(headrace_query_rescored_total{S}[1h]))", "{{outcome}}")
        )
        .min(0)
        .description(
            told(
                "Questions without an answer yet, to which the model gave another priority after "
                "it had learned, or that it withdrew. 0 while query.open.rescored is kept.",
                calm="some are withdrawn as the model learns.",
                do="most are withdrawn: more is asked than gets answered; lower the budget, or let "
                "a workflow wait for answers.",
            )
        ),
        stacked("Rounds an hour, by reason", "short")
        .with_target(
            line("sum by (reason) (increase(headrace_query_rounds_total{S}[1h]))", "{{reason}}")
        )
        .min(0)
        .description(
            told(
                "Rounds decided in the hour before, by the reason that opened them.",
                calm="the schedule says how many there should be.",
                do="none for longer than the schedule: no events, or no budget.",
            )
        ),
        lines("Spent and paid back", "short", never())
        .with_target(line("sum(headrace_budget_spent_labels{S})", "spent"))
        .with_target(line("sum(headrace_budget_refunded_labels{S})", "paid back"))
        .with_target(line("sum(headrace_budget_cap_labels{S})", "cap"))
        .min(0)
        .description(
            told(
                "Labels asked for since the beginning, minus those paid back (spent), labels paid "
                "back for requests without an answer, and the cap, if there is one.",
                calm="Budget, at the top, is red when the cap or the money is spent.",
                do="paid back grows as fast as spent: nobody answers, see Labelling.",
            )
        ),
        lines("Redundancy of rounds, mean of the last hour", "percentunit", above(0.5, 0.8))
        .with_target(
            line("max(avg_over_time(headrace_query_redundancy_ratio{S}[1h]))", "redundancy")
        )
        .max(1)
        .description(
            told(
                "How alike the events of one round are: 100 % if they are equal, 0 if they differ "
                "as much as in a blind draw, below 0 if they differ more. Single rounds of a few "
                "events jump.",
                red="80 %: people are asked the same thing again and again.",
                do="choose a strategy with diversity, or smaller rounds.",
            )
        ),
        lines("Utility from which events are preferred", "none", never())
        .with_target(line("headrace_query_threshold{S}", "{{instance}}"))
        .decimals(2)
        .description(
            told(
                "The utility from which on an event is more likely to be asked about than in a "
                "blind draw; with rounds, the lowest utility that the last round chose. By worker.",
                calm="its scale is the strategy's own.",
                do="at 0 for long: nothing is doubtful, the budget may be lower. It falls after a "
                "drift in rounds, which draw at random then.",
            )
        ),
        lines("Lowest propensity", "percentunit", below(0.0001, 0.0005))
        .with_target(line("min(headrace_propensity_floor_ratio{S})", "floor"))
        .min(0)
        .description(
            told(
                "The lowest probability of being asked about, among the events asked about so far.",
                red="below 1 in 10,000: a single label may weigh as much as ten thousand events, "
                "and the estimate jumps.",
                do="raise query.control_share.",
            )
        ),
        stacked("Asked, by predicted class, last hour", "short")
        .with_target(
            line(
                "sum by (class) (increase(headrace_label_requests_by_class_total{S}[1h])) > 0",
                "{{class}}",
            )
        )
        .span(20)
        .min(0)
        .description(
            told(
                "Label requests by the class that was predicted for the event. none: it had no "
                "prediction.",
                calm="the classes the model confuses are asked about more.",
                do="one class alone: the strategy digs in one place; look at Predicted classes.",
            )
        ),
        bare("Cold start", "none", above(1, None))
        .with_target(line("max(headrace_query_is_cold{S})"))
        .height(8)
        .mappings(mapping({"0": ("over", GREEN), "1": ("few labels", YELLOW)}))
        .description(
            told(
                "Whether some class has too few labels: rounds draw blindly, and confidence is not "
                "watched yet.",
                calm="it ends by itself; yellow while it lasts.",
                do="for days: a class that hardly comes up; seed it with labels, or leave it out "
                "of schema.classes.",
            )
        ),
    ]


def labelling() -> list[Panel]:
    """Requests, answers and what became of them; people have a board of their own."""
    return [
        lines("Requests and their ends, an hour", "short", never())
        .with_target(line("sum(increase(headrace_label_requests_total{S}[1h]))", "asked"))
        .with_target(
            line("sum by (end) (increase(headrace_label_requests_ended_total{S}[1h]))", "{{end}}")
        )
        .min(0)
        .description(
            told(
                "Requests asked in the hour before, and requests settled, disputed, expired or "
                "withdrawn.",
                calm="see the share without a label, below.",
                do="asked above settled for hours: open requests grow; see the annotators board.",
            )
        ),
        lines("Open requests", "short", never())
        .with_target(line("sum(headrace_label_requests_open{S})", "open"))
        .with_target(line("sum(headrace_label_requests_stale{S})", "near their deadline"))
        .min(0)
        .description(
            told(
                "Open requests, and those of them with less than half of their time left.",
                calm="their share near the deadline is judged at the top.",
                do="growing: fewer answers come than are wanted. Headrace asks no more than the "
                "budget, so this cannot run away.",
            )
        ),
        lines("Oldest open request", "s", above(43_200, 90_000))
        .with_target(
            line("time() - min(headrace_label_oldest_request_timestamp_seconds{S})", "age")
        )
        .min(0)
        .description(
            told(
                "How long ago the oldest open request was asked.",
                red="25 hours: above the default of label.deadline_s, so requests do not expire as "
                "they should.",
                do="does time pass? Without events or ticks nothing expires: see Newest event.",
            )
        ),
        lines("Turnaround, last hour", "s", above(14_400, 86_400))
        .with_target(line(_turnaround(0.5), "half within"))
        .with_target(line(_turnaround(0.9), "90 % within"))
        .min(0)
        .description(
            told(
                "Time from request to accepted answer.",
                red="a day: the model learns about yesterday.",
                do="more people, or fewer questions. Alert HeadraceTurnaroundSlow.",
            )
        ),
        lines("Agreement beyond chance", "percentunit", below(0.4, 0.667))
        .with_target(line("min(headrace_label_agreement_ratio{S})", "alpha"))
        .max(1)
        .description(
            told(
                "Krippendorff's alpha over requests with two answers or more.",
                red="below 40 %: people read the question differently.",
                do="see who differs on the annotators board; mend the instructions before buying "
                "more labels. Alert HeadraceAgreementLow.",
            )
        ),
        lines("Ended without a label, last hour", "percentunit", above(0.1, 0.3))
        .with_target(
            line(
                'sum(increase(headrace_label_requests_ended_total{S,end!="settled"}[1h])) '
                "/ clamp_min(sum(increase(headrace_label_requests_ended_total{S}[1h])), 1)",
                "share",
            )
        )
        .min(0)
        .description(
            told(
                "Share of the ended requests that were disputed, expired or withdrawn.",
                red="3 in 10: attention is paid for and lost.",
                do="expired: too few people or too short a deadline. disputed: see the agreement. "
                "Alert HeadraceRequestsExpire.",
            )
        ),
        stacked("Labels an hour, by class", "short")
        .with_target(
            line("sum by (class) (increase(headrace_labels_total{S}[1h])) > 0", "{{class}}")
        )
        .span(12)
        .min(0)
        .description(
            told(
                "Settled labels in the hour before.",
                calm="the mix follows what is asked.",
                do="a class that has vanished: its answers are refused, or it is no longer asked.",
            )
        ),
        lines("Answers out of the ordinary, last hour", "percentunit", above(0.1, 0.25))
        .with_target(
            line(
                "sum by (outcome) (increase(headrace_answers_unusual_total{S}[1h])) "
                "/ on () group_left () "
                "clamp_min(sum(increase(headrace_answers_accepted_total{S}[1h])), 1)",
                "{{outcome}}",
            )
        )
        .span(12)
        .min(0)
        .description(
            told(
                "How many answers were late, duplicate, corrected, refused (could not tell) or "
                "rejected (could not be used), for each accepted answer.",
                red="a quarter.",
                do="rejected: wrong project, or a class that is not in schema.classes. late: raise "
                "label.deadline_s. refused: the question cannot be answered from what is shown. "
                "Alert HeadraceAnswersRejected.",
            )
        ),
    ]


def wrong_labels() -> list[Panel]:
    """For the board of the annotators: labels that look wrong, and what came of asking again."""
    return [
        lines("Labels that may be wrong", "percentunit", above(0.1, 0.25))
        .with_target(line("max by (by) (headrace_label_noise_ratio{S})", "{{by}}"))
        .min(0)
        .description(
            told(
                "Estimated share of wrong labels, from what the model predicted before it learned "
                "them (model_low to model_high), and of wrong answers, from how often annotators "
                "disagree (annotators).",
                red="1 in 4: the model learns about as much wrong as right.",
                do="mend the question; set label.second_opinion_share, or label.answers_wanted to "
                "2. Where the model is good, model_low is nearer to the truth.",
            )
        ),
        lines("Labels that look wrong, last day", "percentunit", above(0.2, 0.4))
        .with_target(
            line(
                "max(increase(headrace_labels_suspicious_total{S}[1d])) "
                "/ clamp_min(sum(increase(headrace_labels_total{S}[1d])), 1)",
                "share",
            )
        )
        .min(0)
        .description(
            told(
                "Labels of the last day that the model does not believe, as a share of all; hard "
                "events are among them.",
                red="2 in 5: either many answers are wrong, or the model is.",
                do="look at the latest ones on the page of headrace report; after a drift it "
                "falls by itself.",
            )
        ),
        stacked("Second opinions, last day", "short")
        .with_target(
            line(
                "sum by (outcome) (increase(headrace_second_opinions_total{S}[1d]))", "{{outcome}}"
            )
        )
        .min(0)
        .description(
            told(
                "Opinions given in the last day on labels that looked wrong or unsure: the label "
                "stayed (confirmed), became another (overruled), or was dropped because the "
                "answers disagree (undecided).",
                calm="none without label.second_opinion_share.",
                do="nearly all confirmed: annotators are right, lower the share. Many overruled: "
                "see who differs, above.",
            )
        ),
    ]


def gold_questions() -> list[Panel]:
    """For the board of the annotators: who is right where the answer is known."""
    return [
        ranking("Right in gold questions", "percentunit", below(0.7, 0.85))
        .with_target(
            now(
                "sort(min by (number, instance) "
                '(headrace_annotator_gold_ratio{S,number=~"$number"}))',
                "{{number}} at {{instance}}",
            )
        )
        .max(1)
        .decimals(0)
        .description(
            told(
                "Share of each annotator's answers to gold questions that named the class which "
                "an expert had named; the lowest first. Empty without label.gold_share.",
                red="below 70 %, if some dozen were answered.",
                do="look at the interval in headrace report, then talk to the person; "
                "dawid_skene weighs answers by this.",
            )
        ),
        lines("Gold questions, last day", "short", never())
        .with_target(line("sum(increase(headrace_gold_questions_total{S}[1d]))", "asked"))
        .with_target(line("sum(increase(headrace_gold_answers_total{S}[1d]))", "answers"))
        .min(0)
        .description(
            told(
                "Gold questions asked, whose answer is known, and the answers to them, which "
                "bring no label.",
                calm="label.gold_share bounds them.",
                do="none asked: none of label.experts has answered. Few answered: tools do not "
                "show them, or whoever answered first gets them.",
            )
        ),
    ]


def _turnaround(share: float) -> str:
    buckets = "headrace_label_turnaround_seconds_bucket"
    return f"histogram_quantile({share}, sum by (le) (rate({buckets}{{S}}[1h])))"
