"""Which strategy, budget, workflow and model suit a team: constraints in, settings and reasons out.

A list of rules, each a line of the checklist in docs/ADVISE.md, in the order in which they are
tried; the first of a kind that fits decides. Nothing is measured here: `headrace pilot` does that,
and its result is passed in as a constraint, which takes precedence over the rules of thumb.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec

from ..errors import BadSettings

FEW_LABELS = 100
"""With fewer labels in all, or fewer than ten a class, draw at random: doubts mean nothing yet."""

WARM_LABELS = 1_000
"""With fewer labels than this, the first are asked one by one, before batches."""

RARE = 0.05


class Constraints(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of the task. Times in seconds, rates per hour, money in a unit of your choice.

    `labels_max` limits the labels in all, over `days`. `rarest_share` is the share of events in the
    rarest class; None: classes are about equally frequent. `is_calibrated`: whether the model's
    probabilities can be taken literally; None if unknown. `pilot_gain` is by how many points, for
    sure, `pilot_strategy` beat random in the pilot; 0 if no strategy did. `error_cost` is the cost
    of a wrong prediction, `error_reduction` the share of all events that better labels would get
    right, `setup_cost` and `compute_cost` what building and running it costs, over `days`.
    """

    events_per_hour: float
    annotators: int = 1
    label_s: float = 60.0
    hours_per_day: float = 8.0
    label_cost: float = 1.0
    retrain_s: float = 60.0
    labels_max: int | None = None
    days: float = 30.0
    classes: int = 2
    rarest_share: float | None = None
    is_calibrated: bool | None = None
    is_explained: bool = False
    pilot_strategy: str | None = None
    pilot_gain: float | None = None
    error_cost: float = 0.0
    error_reduction: float = 0.0
    setup_cost: float = 0.0
    compute_cost: float = 0.0


class AdvisedSetting(msgspec.Struct, frozen=True):
    """One advised setting, the rule that led to it, and the reason in a sentence."""

    setting: str
    value: Any
    rule: str
    reason: str


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """Money over the days: costs, gain, and the error reduction at which the gain covers the costs.

    `reduction_to_pay` is that reduction, as the share of all events that has to become right; None
    without the cost of an error.
    """

    labels_n: int
    labelling: float
    other: float
    gain: float
    reduction_to_pay: float | None

    @property
    def net(self) -> float:
        return self.gain - self.labelling - self.other


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """All choices in order, the number of questions in a batch, the workflow, and the balance."""

    choices: tuple[AdvisedSetting, ...]
    batch_n: int
    workflow: str
    balance: Balance


def advise(given: Constraints) -> Advice:
    """Return the advice for these constraints. Raises `BadSettings` with all their faults.

    >>> advice = advise(Constraints(events_per_hour=3_600.0, annotators=4, retrain_s=300.0))
    >>> advice.workflow, advice.batch_n
    ('adaptive', 20)
    """
    if faults := _find_faults(given):
        raise BadSettings(faults)
    labels_n = _labels_n(given)
    share = _choose_share(given, labels_n)
    strategy = _choose_strategy(given, labels_n, share.value)
    choices = [share, strategy, _choose_control(given, labels_n), _choose_model(given)]
    workflow, batch_n = _choose_workflow(given, labels_n, strategy.value)
    choices += workflow
    choices += _choose_quota(given)
    choices += _choose_times(given, batch_n)
    kinds = {choice.setting: choice.value for choice in workflow}
    return Advice(
        choices=tuple(choices),
        batch_n=batch_n,
        workflow=kinds.get("query.workflow.kind", "arrival"),
        balance=_weigh_costs(given, labels_n),
    )


def _find_faults(given: Constraints) -> list[str]:
    above_0 = ("events_per_hour", "label_s", "days", "hours_per_day")
    faults = [
        f"{name} is {getattr(given, name)}; must be a number above 0"
        for name in above_0
        if not 0 < getattr(given, name) < math.inf
    ]
    at_least_0 = ("label_cost", "retrain_s", "error_cost", "setup_cost", "compute_cost")
    faults += [
        f"{name} is {getattr(given, name)}; must be a number of at least 0"
        for name in at_least_0
        if not 0 <= getattr(given, name) < math.inf
    ]
    for name, least in (("annotators", 1), ("classes", 2), ("labels_max", 1)):
        value = getattr(given, name)
        if value is not None and value < least:
            faults.append(f"{name} is {value}; must be at least {least}")
    if given.hours_per_day > 24:
        faults.append(f"hours_per_day is {given.hours_per_day}; must be at most 24")
    if given.rarest_share is not None and not 0 < given.rarest_share <= 1 / max(1, given.classes):
        faults.append(
            f"rarest_share is {given.rarest_share}; must be above 0 and at most "
            f"{1 / max(1, given.classes):.3g}, for the rarest of {given.classes} classes"
        )
    if not 0 <= given.error_reduction <= 1:
        faults.append(f"error_reduction is {given.error_reduction}; must be from 0 to 1")
    return faults


def _per_day(given: Constraints) -> float:
    """Number of labels that all annotators together can give in a day."""
    return given.annotators * given.hours_per_day * 3_600.0 / given.label_s


def _labels_n(given: Constraints) -> int:
    """Number of labels over the days: the least of working time, `labels_max` and events."""
    done = _per_day(given) * given.days
    events = given.events_per_hour * 24.0 * given.days
    return max(1, math.floor(min(done, events, given.labels_max or math.inf)))


def _choose_share(given: Constraints, labels_n: int) -> AdvisedSetting:
    events_n = given.events_per_hour * 24.0 * given.days
    share = min(1.0, float(f"{labels_n / events_n:.2g}"))
    if share >= 0.95:
        why = "the annotators can label every event, so that there is nothing to choose"
        return AdvisedSetting("query.budget.share", 1.0, "label all", why)
    limit, who = "annotators' time", "the time of those who label"
    if given.labels_max == labels_n:
        limit, who = "label budget", "the label budget"
    why = f"{labels_n:,} labels of {events_n:,.0f} events in {given.days:g} days are what {who}"
    return AdvisedSetting("query.budget.share", max(share, 1e-6), limit, f"{why} allows")


def _choose_strategy(given: Constraints, labels_n: int, share: float) -> AdvisedSetting:
    def choose(value: str, rule: str, reason: str) -> AdvisedSetting:
        return AdvisedSetting("query.strategy", value, rule, reason)

    if share >= 1.0:
        return choose("random", "label all", "every event is asked about: no strategy is needed")
    if given.pilot_strategy is not None and (gain := given.pilot_gain) is not None:
        if gain <= 0:
            why = "the pilot found no strategy that is better than random for sure"
            return choose("random", "pilot", why)
        why = f"the pilot found it {gain:.1f} points above random on your own history"
        return choose(given.pilot_strategy, "pilot", why)
    if labels_n < max(FEW_LABELS, 10 * given.classes):
        why = f"{labels_n} labels of {given.classes} classes leave no model that knows its doubts"
        return choose("random", "few labels", why)
    return _strategy_by_task(given, choose)


def _strategy_by_task(
    given: Constraints, choose: Callable[[str, str, str], AdvisedSetting]
) -> AdvisedSetting:
    if given.rarest_share is not None and given.rarest_share < RARE:
        why = "with a rare class doubt alone circles round what is known; half of the choice goes "
        return choose("hybrid", "rare class", f"{why}by how much of the stream an event stands for")
    if given.is_explained:
        why = "1 less the probability of the predicted class: the reason for a question can be said"
        return choose("least_confidence", "explained", f"{why} in one sentence")
    if given.is_calibrated is True and given.classes > 2:
        why = "with calibrated probabilities of several classes entropy uses all of them"
        return choose("entropy", "calibrated", why)
    why = "the two likeliest classes suffice, so that probabilities need not be calibrated"
    return choose("margin", "default", why)


def _choose_control(given: Constraints, labels_n: int) -> AdvisedSetting:
    setting = "query.control_share"
    if labels_n < FEW_LABELS:
        why = "few labels must also tell how good the model is, which random ones do best"
        return AdvisedSetting(setting, 0.5, "few labels", why)
    if given.is_calibrated is False:
        why = "a model that is surer than right overlooks its errors; more is drawn blindly"
        return AdvisedSetting(setting, 0.35, "not calibrated", why)
    why = "a quarter drawn blindly keeps every event's chance above 0 and the estimate honest"
    return AdvisedSetting(setting, 0.25, "default", why)


def _choose_model(given: Constraints) -> AdvisedSetting:
    if given.is_explained:
        why = "its weights say which feature speaks for which class"
        return AdvisedSetting("model.name", "logistic", "explained", why)
    why = "it weighs several models by how right they were on your stream"
    return AdvisedSetting("model.name", "committee", "default", why)


def _choose_workflow(
    given: Constraints, labels_n: int, strategy: str
) -> tuple[list[AdvisedSetting], int]:
    """Return the workflow's settings and the number of questions in a batch."""
    n, label_s, retrain_s = given.annotators, given.label_s, given.retrain_s
    batch_n = max(1, math.ceil(retrain_s * n / label_s))
    formula = f"{retrain_s:g} s of retraining x {n} annotators / {label_s:g} s a label = {batch_n}"

    def kind(value: str, rule: str, reason: str) -> list[AdvisedSetting]:
        rounds = AdvisedSetting("query.ask", "rounds", rule, "a workflow is of rounds")
        return [rounds, AdvisedSetting("query.workflow.kind", value, rule, reason)]

    def batch(n: int) -> AdvisedSetting:
        return AdvisedSetting("query.workflow.batch_n", n, "batch size", formula)

    if strategy == "random":
        why = "events drawn at random need no batch: each is asked about when it comes"
        return [AdvisedSetting("query.ask", "arrival", "random", why)], 1
    if n == 1 and retrain_s <= label_s:
        why = f"one annotator, and the model learns ({retrain_s:g} s) before the next answer is due"
        return kind("sequential", "one annotator", why), 1
    if labels_n < WARM_LABELS:
        why = f"{labels_n} labels: the first are asked one by one, so that none is wasted"
        size = max(2, min(batch_n, labels_n // 10))
        return [*kind("hybrid", "small budget", why), batch(size)], size
    why = "the time from labels to a model that has learned them"
    seconds_s = float(max(1.0, retrain_s))
    seconds = AdvisedSetting("query.workflow.retrain_s", seconds_s, "batch size", why)
    why = "as many questions as are answered while the model learns, whoever is away"
    return [*kind("adaptive", "several at work", why), batch(batch_n), seconds], batch_n


def _choose_quota(given: Constraints) -> list[AdvisedSetting]:
    if given.rarest_share is None or given.rarest_share >= RARE:
        return []
    labels_max = min(2_000, math.ceil(10 / given.rarest_share))
    why = f"ten labels of a class of {100 * given.rarest_share:g} % take about so many random ones"
    return [AdvisedSetting("query.cold_start.labels_max", labels_max, "rare class", why)]


def _choose_times(given: Constraints, batch_n: int) -> list[AdvisedSetting]:
    """Choose the time to answer: four times the queue of an annotator, plus the hours off work."""
    queue_s = given.label_s * math.ceil(batch_n / given.annotators)
    away_s = (24.0 - given.hours_per_day) * 3_600.0
    deadline_s = float(math.ceil((4.0 * queue_s + away_s) / 60.0) * 60)
    why = "four times the queue before an annotator, and the hours when nobody labels"
    return [
        AdvisedSetting("label.deadline_s", deadline_s, "time to answer", why),
        AdvisedSetting(
            "label.cost", given.label_cost, "cost of a label", "shown beside what is asked"
        ),
    ]


def _weigh_costs(given: Constraints, labels_n: int) -> Balance:
    events_n = given.events_per_hour * 24.0 * given.days
    worth = events_n * given.error_cost
    labelling = labels_n * given.label_cost
    other = given.setup_cost + given.compute_cost
    return Balance(
        labels_n=labels_n,
        labelling=labelling,
        other=other,
        gain=worth * given.error_reduction,
        reduction_to_pay=(labelling + other) / worth if worth > 0 else None,
    )
