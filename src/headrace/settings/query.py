"""[query]: which events are asked about, when, and how many; a part of `settings`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, field

from .fields import Count, CountOrNone, Positive, Seconds, Section, Share, about
from .open import OpenSettings, faults_of_open

ROUND_EVERY_N = 50
"""Events from one round to the next where the settings have no schedule."""


def dearest_price(
    price: float, by_class: Mapping[str, float], by_annotator: Mapping[str, float]
) -> float:
    """What a label of the dearest class by the dearest annotator costs.

    >>> dearest_price(1.0, {"fraud": 3.0}, {"ada": 2.0})
    6.0
    """
    return max([price, *by_class.values()]) * max([1.0, *by_annotator.values()])


class BudgetSettings(Section, frozen=True, kw_only=True):
    """[query.budget]: how many labels may be asked. All limits that are set hold at once."""

    share: Annotated[Share | None, about("Labels per event.")] = None
    per_hour: Annotated[Positive | None, about("Labels per hour of event time.")] = None
    per_period: Annotated[
        Count | None, about("Labels per `period_s` of event time, granted when the period begins.")
    ] = None
    period_s: Annotated[
        Seconds, about("Seconds of a period, counted from the epoch: 86400 are days in UTC.")
    ] = 86_400.0
    carry_over: Annotated[
        Annotated[float, Meta(ge=0, le=1)],
        about("Share of a period's unspent labels that the next period, and no later one, gets."),
    ] = 0.0
    share_over_n: Annotated[
        Annotated[int, Meta(ge=1, le=100_000)] | None,
        about(
            "Keep to `share` also over about this many of the latest events, which bounds bursts "
            "(the estimate of Zliobaite et al., 2014)."
        ),
    ] = None
    cap: Annotated[Count | None, about("The most labels in all.")] = None
    money: Annotated[
        Annotated[float, Meta(gt=0, le=1e12)] | None,
        about("Money for labels in all, at the prices below; it is counted in millionths."),
    ] = None
    price: Annotated[Positive, about("What a label costs.")] = 1.0
    price_by_class: Annotated[
        dict[str, Positive],
        about(
            "What a label of a class costs, where that is not `price`. Until a label is known, the "
            "price of the dearest class is held back."
        ),
    ] = msgspec.field(default_factory=dict)
    price_by_annotator: Annotated[
        dict[str, Positive],
        about(
            "How many times as much a label by this annotator costs. Others count 1, and a label "
            "by several annotators their mean. Needs `label.names_annotators`."
        ),
    ] = msgspec.field(default_factory=dict)
    price_doubt: Annotated[
        Annotated[float, Meta(ge=1, le=100)],
        about("How many times as much an event costs whose classes are all equally likely."),
    ] = 1.0
    burst: Annotated[
        Count, about("The most unspent labels that may pile up; any further ones are forfeited.")
    ] = 200
    start: Annotated[
        CountOrNone, about("Labels granted at the start, before any event has earned one.")
    ] = 0
    reserve: Annotated[
        CountOrNone,
        about(
            "Labels set aside, once earned, for rounds opened by drift or on demand. At most half "
            "of `burst`, and the part `reserve_share` of `per_period` and of the labels of "
            "`share_over_n` events, can be set aside."
        ),
    ] = 20
    reserve_audit: Annotated[
        CountOrNone,
        about("Labels set aside, once earned, for audits alone (`headrace round open --audit`)."),
    ] = 0
    reserve_share: Annotated[
        Annotated[float, Meta(ge=0, le=1)],
        about(
            "Share of the labels asked that is set aside until there are `reserve`. It stays "
            "unused if no such round opens."
        ),
    ] = 0.1

    @property
    def is_total(self) -> bool:
        """Whether labels or money are limited once for the whole run."""
        return self.cap is not None or self.money is not None

    @property
    def dearest_price(self) -> float:
        """The highest price of a label, over classes, annotators and doubt."""
        prices = self.price, self.price_by_class, self.price_by_annotator
        return dearest_price(*prices) * self.price_doubt

    @property
    def limits(self) -> dict[str, float]:
        """The limits that are set, by name."""
        named = {
            "share": self.share,
            "per_hour": self.per_hour,
            "per_period": self.per_period,
            "cap": self.cap,
            "money": self.money,
        }
        return {name: limit for name, limit in named.items() if limit is not None}


class RoundSettings(Section, frozen=True, kw_only=True):
    """[query.rounds]: when the strategy chooses among many events; the round after a drift."""

    every_n: Annotated[
        Count | None,
        about("Events from one round to the next. Asking in rounds without a schedule: 50."),
    ] = None
    every_s: Annotated[Seconds | None, about("Seconds of event time from round to round.")] = None
    drift_n: Annotated[
        CountOrNone, about("The most labels asked in a round that drift opened; 0: no such round.")
    ] = 50

    @property
    def is_scheduled(self) -> bool:
        """Whether the settings say when a round is due."""
        return self.every_n is not None or self.every_s is not None

    @property
    def regular_n(self) -> int | None:
        """Events from one regular round to the next; None where rounds go by time alone."""
        return self.every_n if self.is_scheduled else ROUND_EVERY_N


class ArrivalSettings(Section, frozen=True, kw_only=True):
    """[query.arrival]: by which rule events are asked on arrival."""

    rule: Annotated[
        str,
        about(
            "`rank`: the higher the doubt about an event ranks among the latest events, the "
            "likelier it is asked. Or a rule of docs/ARRIVALS.md, such as `split` or "
            "`variable_uncertainty`, or `module:attribute`; beside such a rule, "
            "`query.control_share` is drawn blindly."
        ),
    ] = "rank"
    options: Annotated[
        dict[str, Any],
        about("Options of the rule by name; docs/ARRIVALS.md lists them."),
    ] = field(default_factory=dict)


class WorkflowSettings(Section, frozen=True, kw_only=True):
    """[query.workflow]: how rounds and annotators take turns, where events are asked in rounds."""

    kind: Annotated[
        Literal["parallel", "sequential", "hybrid", "adaptive"],
        about(
            "`parallel`: a batch at every round, whether the last one is answered or not. "
            "`sequential`: one question, and the next when it is answered. `hybrid`: as "
            "`sequential` for `warm_up_n` labels, then a batch whenever `enough` of the last one "
            "has ended. `adaptive`: as many questions as the annotators answer in `retrain_s` at "
            "the pace of their latest answers, less those that are open."
        ),
    ] = "parallel"
    batch_n: Annotated[
        Count | None,
        about(
            "Questions in a batch; with `adaptive`, in the first one. Not set: all that the budget "
            "allows in `parallel`, 10 in `hybrid` and `adaptive`."
        ),
    ] = None
    batch_max: Annotated[Count, about("The most open questions, with `adaptive`.")] = 200
    warm_up_n: Annotated[CountOrNone, about("Labels asked one by one, with `hybrid`.")] = 20
    enough: Annotated[
        Share, about("Share of a batch that has to end before the next one, with `hybrid`.")
    ] = 0.8
    retrain_s: Annotated[
        Seconds, about("Seconds from labels to a model that has learned them, with `adaptive`.")
    ] = 60.0


class QuotaSettings(Section, frozen=True, kw_only=True):
    """[query.quotas]: the least number of labels of each class and slice among the latest labels.

    Events that are likely to be of a class or slice short of its quota are preferred.
    `[query.slices]` names the slices.
    """

    per_class_n: Annotated[
        CountOrNone,
        about("The fewest labels of each known class among the latest ones; 0: no such quota."),
    ] = 0
    per_slice_n: Annotated[
        CountOrNone, about("The fewest labels of each slice among the latest ones.")
    ] = 0
    over_n: Annotated[
        Annotated[int, Meta(ge=10, le=100_000)], about("How many labels are the latest.")
    ] = 500
    share: Annotated[
        Annotated[float, Meta(gt=0, le=0.9)],
        about(
            "While a class or slice is short of its quota, this share of the events not drawn "
            "blindly is asked among those that are likely to belong to it."
        ),
    ] = 0.5

    @property
    def is_set(self) -> bool:
        """Whether there is any quota."""
        return self.per_class_n > 0 or self.per_slice_n > 0


class DuplicateSettings(Section, frozen=True, kw_only=True):
    """[query.duplicates]: events like those already asked about, which only the blind draw may ask.

    The distance is the root of the mean of the squared differences over all features. Numbers are
    measured in deviations of the events asked about; categories that differ are 1 apart.
    """

    distance: Annotated[
        Annotated[float, Meta(ge=0, le=10)] | None,
        about(
            "An event at most this far from one already asked about is a duplicate. 0: only an "
            "event that is equal to it. None: duplicates are asked like all other events."
        ),
    ] = None
    remembered_n: Annotated[
        Annotated[int, Meta(ge=1, le=10_000)],
        about("How many of the latest events asked an event is compared with."),
    ] = 500


class ColdStartSettings(Section, frozen=True, kw_only=True):
    """[query.cold_start]: at the start rounds ask at random, and confidence is not watched."""

    per_class_n: Annotated[
        CountOrNone, about("Cold until every known class has this many labels; 0: never cold.")
    ] = 10
    labels_max: Annotated[Count, about("No longer cold after this many labels in all.")] = 100


class QuerySettings(Section, frozen=True, kw_only=True):
    """[query]: which events are worth a label."""

    strategy: Annotated[
        str,
        about(
            "A name of docs/STRATEGIES.md, such as `random`, `margin`, `entropy`, `hybrid`, "
            "`vote_entropy`, `badge`, `bandit`; or `module:function`."
        ),
    ] = "margin"
    options: Annotated[
        dict[str, Any],
        about("Options of the strategy by name; docs/STRATEGIES.md lists them."),
    ] = field(default_factory=dict)
    ask: Annotated[
        Literal["auto", "arrival", "rounds"],
        about(
            "When events are asked. `arrival`: each at once or never. `rounds`: some of many, "
            "every so often. `auto`: in rounds if `query.rounds` has a schedule, or if the "
            "strategy looks at many events at once (`hybrid`, functions of yours); otherwise on "
            "arrival. With `arrival`, a function of yours is called for each event alone."
        ),
    ] = "auto"
    control_share: Annotated[
        Share,
        about(
            "Share of the budget that is spent at random on arrival: it keeps every propensity "
            "above 0 and the accuracy estimate honest. Where events are asked on arrival it is a "
            "minimum; while labels are few or late, the share is larger."
        ),
    ] = 0.25
    estimate_share: Annotated[
        Annotated[float, Meta(ge=0, le=1)],
        about(
            "Share of the events drawn on arrival, but not at random, that is drawn for the "
            "accuracy estimate: events where it is hard to tell whether the prediction is right. "
            "Intervals become narrower; the model learns less from its closest calls."
        ),
    ] = 0.0
    sharpness: Annotated[
        Annotated[float, Meta(ge=0, le=10)],
        about(
            "How strongly a round prefers high utility: the chance of the candidate ranked r from "
            "the top is proportional to (1 + r) to the power of minus this. 0 is random."
        ),
    ] = 1.5
    uncertainty_from: Annotated[
        Literal["model", "served", "disagreement"],
        about(
            "Whose probabilities strategies see: our model's, the served model's, or how far apart "
            "the two are. Where the log has no probabilities, our model's are used."
        ),
    ] = "model"
    budget: BudgetSettings = BudgetSettings(share=0.05)
    arrival: ArrivalSettings = ArrivalSettings()
    rounds: RoundSettings = RoundSettings()
    workflow: WorkflowSettings = WorkflowSettings()
    quotas: QuotaSettings = QuotaSettings()
    slices: Annotated[
        dict[str, str],
        about(
            'Parts of the stream by name, each a predicate over features, such as `large = "amount '
            "> 1000 and country in ('CH', 'FR')\"`; [ASKING.md](ASKING.md) has the grammar. "
            "`query.quotas.per_slice_n` applies to each."
        ),
    ] = field(default_factory=dict)
    duplicates: DuplicateSettings = DuplicateSettings()
    open: OpenSettings = OpenSettings()
    cold_start: ColdStartSettings = ColdStartSettings()


STRATEGIES_BY_ROW = ("random", "least_confidence", "margin", "entropy")
"""Names of the strategies that look at each event alone."""


def asks_on_arrival(query: QuerySettings, is_by_row: bool) -> bool:
    """Whether events are asked on arrival; `is_by_row`: whether the strategy looks at each event
    alone."""
    is_open = query.ask == "auto" and not query.rounds.is_scheduled
    return query.ask == "arrival" or (is_open and is_by_row)


SLICES_MAX = 50
"""The most slices: each is evaluated for every event."""


def _faults_of_quotas(query: QuerySettings) -> list[str]:
    quotas, n = query.quotas, len(query.slices)
    faults = []
    if n and not quotas.per_slice_n:
        faults.append(
            f"query.slices names {n} and query.quotas.per_slice_n is 0; set it to the labels that "
            "each is to have"
        )
    if quotas.per_slice_n and not n:
        faults.append(
            f"query.quotas.per_slice_n is {quotas.per_slice_n} and query.slices names none; name "
            "one, or leave it out"
        )
    if n > SLICES_MAX:
        faults.append(f"query.slices names {n}; must be at most {SLICES_MAX}")
    faults += [
        f"query.quotas.{name} is {value}; must be at most query.quotas.over_n, which is "
        f"{quotas.over_n}"
        for name in ("per_class_n", "per_slice_n")
        if (value := getattr(quotas, name)) > quotas.over_n
    ]
    if quotas.is_set and query.strategy == "random":
        faults.append(
            "query.quotas are set and query.strategy is random, which prefers nothing; take "
            "another strategy, or leave them out"
        )
    return faults


def faults_of_query(query: QuerySettings, window_n: int) -> list[str]:
    """List contradictions between these settings, and with the window's length in events."""
    faults = _faults_of_quotas(query) + faults_of_open(query.open, query.strategy)
    budget, rounds = query.budget, query.rounds
    if not budget.limits:
        faults.append("query.budget has no limit; set share, per_hour, per_period, cap or money")
    if budget.share_over_n is not None and budget.share is None:
        faults.append(
            f"query.budget.share_over_n is {budget.share_over_n} and there is no share to hold; "
            "set query.budget.share"
        )
    if budget.money is not None and budget.money < budget.dearest_price:
        faults.append(
            f"query.budget.money is {budget.money:g}, and the dearest label costs "
            f"{budget.dearest_price:g}: nothing would ever be asked"
        )
    workflow = query.workflow
    if workflow.kind == "sequential" and workflow.batch_n not in {None, 1}:
        faults.append(
            f"query.workflow.batch_n is {workflow.batch_n} and query.workflow.kind is sequential, "
            "which asks one by one; leave batch_n out, or take hybrid"
        )
    is_by_row = query.strategy in STRATEGIES_BY_ROW
    if workflow != WorkflowSettings() and asks_on_arrival(query, is_by_row):
        faults.append(
            "query.workflow is set and events are asked on arrival, where there are no batches; "
            "set query.ask to rounds"
        )
    if query.ask == "arrival":
        if query.strategy == "hybrid":
            faults.append(
                "query.ask is arrival and query.strategy is hybrid, which looks at many events at "
                "once; use rounds, or a strategy that looks at each event alone"
            )
        faults += [
            f"query.rounds.{name} is {value} and query.ask is arrival; regular rounds are for "
            "query.ask rounds"
            for name, value in (("every_n", rounds.every_n), ("every_s", rounds.every_s))
            if value is not None
        ]
    elif rounds.every_n is not None and rounds.every_n > window_n:
        faults.append(
            f"query.rounds.every_n is {rounds.every_n}; must be at most observe.window_n, which "
            f"is {window_n}, or candidates leave before they are considered"
        )
    if query.ask == "rounds" and not rounds.is_scheduled and window_n < ROUND_EVERY_N:
        faults.append(
            f"observe.window_n is {window_n} and a round is due every {ROUND_EVERY_N} events; set "
            "query.rounds.every_n to less, or candidates leave before they are considered"
        )
    return faults
