"""The sections of a `Report`: every number, with its unit, its meaning and how parts are combined.

Names of times end in `_at`, in seconds since the epoch; shares are 0 to 1; `_n` counts since the
start. Times are those of the stream; the sections in `worker` have times of the wall clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..label.annotators import TURNAROUND_BOUNDS_S
from ..learn.evaluation import Estimate
from ..learn.noise import Suspicion
from ..learn.quality import Quality
from ..learn.twins import ChoosingGain
from ..observe.drift import DriftLevel
from ..observe.shares import FeatureShares
from ..observe.signals import CONFIDENCE_BOUNDS
from .numbers import EACH, MAX, MEAN, MIN, SUM, UNION, Reducer, by_key, number, optional

ASKED_REASONS = {
    "control": "drawn at random on arrival, whatever it looks like; comparisons need such events",
    "doubt": "drawn on arrival; the more the strategy doubted it, the likelier",
    "cold start": "drawn at random while some class has too few labels",
    "round": "chosen by the strategy",
    "drift": "after a drift: half at random, half spread over the newest events",
    "ordered": "chosen in a round that somebody ordered",
    "second opinion": "asked again of somebody else, because the label looked wrong or was unsure",
    "quota": "likely to be of a class or a slice that is short of labels",
    "audit": "drawn at random to check the model, because somebody ordered it",
}
"""The reasons for which an event may be asked about, and what each means."""

_WORST = Reducer("max", lambda levels: max(levels, key=DriftLevel.__getitem__))


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsReport:
    """The events that came in, and the model's predictions about them."""

    last_at: float | None = optional(
        "seconds",
        "Time of the stream's clock: that of the newest event, unless it is far ahead of the "
        "others.",
    )
    observed_n: int = number("events", "Events scored and kept.")
    ahead_n: int = number("events", "Events too far ahead of the others to move the clock.")
    behind_n: int = number("events", "Events that came too far behind the clock.")
    rejected_n: dict[str, int] = by_key("inputs", "Inputs that could not be used, by reason.")
    predicted_n: dict[str, int] = by_key("predictions", "Predictions, by predicted class.")
    unpredicted_n: int = number(
        "events",
        "Events that came before the model had learned any label. They have no prediction, so the "
        "accuracy leaves them out.",
    )
    failed_predictions_n: int = number(
        "predictions", "Events that the model failed to predict although it had learned labels."
    )
    confidence_counts: tuple[int, ...] = number(
        "events",
        "Predictions by the probability of the predicted class, up to each of CONFIDENCE_BOUNDS.",
        default=(0,) * len(CONFIDENCE_BOUNDS),
    )
    confidence_sum: float = number(
        "0 to 1", "The sum of the probabilities of the predicted classes.", default=0.0
    )
    window_n: int = number("events", "Events in the window, which holds the latest ones.")
    reservoir_n: int = number(
        "events", "Events in the reservoir, a random sample of all events so far."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaReport:
    """The known features and classes, and counts of values that could not be used."""

    features_n: int = number("features", "Known features.", MAX)
    appeared_n: int = number(
        "features", "Features whose first value came after the first event.", MAX
    )
    unknown_n: int = number("values", "Values of features that found no room in the schema.")
    mistyped_n: int = number("values", "Values of another kind than their feature.")
    not_finite_n: int = number("values", "Infinite values.")
    vanished: tuple[str, ...] = number(
        "features",
        "Features that had values before, but have none in any event of the window.",
        UNION,
        default=(),
    )
    classes: tuple[str, ...] = number(
        "classes",
        "The classes in the order of their first labels; new ones come at the end.",
        UNION,
        default=(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AskingReport:
    """The requests, by their reasons, and the rounds."""

    strategy: str = number("name", "The strategy of the latest round.", EACH, default="")
    is_cold: bool = number(
        "0 or 1",
        "1 while some class has too few labels, else 0. Meanwhile rounds draw blindly and "
        "confidence is not watched for drift.",
        MAX,
        default=False,
    )
    requests_n: int = number("requests", "Label requests.")
    by_reason: dict[str, int] = by_key("requests", "Label requests, by the reason for asking.")
    by_strategy: dict[str, int] = by_key(
        "requests",
        'Label requests by "reason/strategy": the reason for asking, and what chose the event.',
    )
    by_class: dict[str, int] = by_key(
        "requests",
        "Label requests, by the class that was predicted for the event. none: it had no "
        "prediction.",
    )
    quota_missing_n: dict[str, int] = by_key(
        "labels", 'Labels that each quota still lacks, by "class NAME" and "slice NAME".', MAX
    )
    duplicates_n: int = number(
        "events",
        "Events passed over because they are like one that was asked about. Only the blind "
        "draw may ask about such events. 0 unless query.duplicates.distance is set.",
    )
    rescored_n: dict[str, int] = by_key(
        "questions",
        "Open questions to which a changed model gave another priority, or that it withdrew. 0 "
        "while query.open.rescored is kept.",
    )
    propensity_min: float = number(
        "0 to 1",
        "Lowest probability of being asked about, among the events asked about so far. 1 before "
        "the first.",
        MIN,
        default=1.0,
    )
    rounds_n: int = number("rounds", "Rounds decided.")
    rounds_by_reason: dict[str, int] = by_key(
        "rounds", "Rounds decided, by the reason that opened them."
    )
    last_round_at: dict[str, float] = by_key(
        "seconds",
        "When the last round was decided, by the reason that opened it. No sample before the "
        "first.",
        MAX,
    )
    threshold: float = number(
        "utility",
        "Utility from which on an event is more likely to be asked about than in a blind draw; "
        "with rounds, the lowest utility that the last round chose. 0 before the first question.",
        EACH,
        default=0.0,
    )
    redundancy: float | None = optional(
        "-1 to 1",
        "How alike the events of the last round are: 1 if they are equal, 0 if they differ as "
        "much as in a blind draw, below 0 if they differ more. No sample before a round of two "
        "events.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetReport:
    """The labels that may be asked, and those that were."""

    available_n: int = number(
        "labels", "Labels that may be asked for now, including those in reserve."
    )
    held_n: int = number(
        "labels",
        "Labels set aside from those available: for audits, and for rounds that drift or a person "
        "opens.",
    )
    spent_n: int = number("labels", "Labels asked for so far, minus those paid back.")
    refunded_n: int = number(
        "labels",
        "Labels paid back so far, for requests that expired or were withdrawn. Except for second "
        "opinions, this happens only if label.late_answers is refused.",
    )
    cap_n: int | None = optional(
        "labels", "Labels that may be spent in all. No sample without query.budget.cap.", SUM
    )
    labels_per_event: float = number(
        "labels an event",
        "Labels that the budget earns per event at the present pace of events.",
        MEAN,
        default=0.0,
    )
    is_exhausted: bool = number(
        "0 or 1",
        "1 if the cap or the money is spent, else 0. Then nothing more is asked unless labels are "
        "paid back.",
        MIN,
        default=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsReport:
    """The requests that are open, and how the others ended."""

    open_n: int = number("requests", "Requests that have not ended yet.")
    stale_n: int = number(
        "requests", "Open requests with less than half of the time to their deadline left."
    )
    oldest_open_at: float | None = optional(
        "seconds", "When the oldest open request was asked. No sample while none is open.", MIN
    )
    settled_n: int = number("requests", "Requests that ended with a label.")
    disputed_n: int = number("requests", "Requests whose annotators did not agree.")
    expired_n: int = number("requests", "Requests whose time ran out.")
    withdrawn_n: int = number("requests", "Requests that were taken back.")
    revised_n: int = number("labels", "Times that a later answer changed or undid a label.")
    asked_twice_n: int = number("requests", "Requests that the log delivered again.")
    by_class: dict[str, int] = by_key("labels", "Labels settled, by class.")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswersReport:
    """The answers of annotators, how fast they came, and what they cost."""

    accepted_n: int = number(
        "answers",
        "Answers that were accepted: all the work that people did. Refusals, corrections and "
        "answers to gold questions are included.",
    )
    late_n: int = number("answers", "Answers after the deadline of their request.")
    duplicate_n: int = number("answers", "Answers that were delivered again.")
    corrected_n: int = number("answers", "Answers that changed what their annotator had said.")
    refused_n: int = number("answers", 'Accepted answers that say "cannot tell".')
    rejected_n: int = number("answers", "Answers that could not be used.")
    cost_per_answer: float = number(
        "units of label.cost", "Cost of one answer, as set in label.cost.", MAX, default=0.0
    )
    turnaround_counts: tuple[int, ...] = number(
        "answers",
        "Accepted answers by the seconds from request to answer, up to each of "
        "TURNAROUND_BOUNDS_S, and beyond.",
        default=(0,) * (len(TURNAROUND_BOUNDS_S) + 1),
    )
    turnaround_sum_s: float = number(
        "seconds", "The sum of the seconds from request to accepted answer.", default=0.0
    )
    gold_questions_n: int = number(
        "questions",
        "Gold questions asked: questions whose answer is known. 0 without label.gold_share.",
    )
    gold_answers_n: int = number(
        "answers", "Accepted answers to gold questions. They bring no label."
    )

    @property
    def cost(self) -> float:
        """The cost of the accepted answers, in units of `label.cost`."""
        return self.accepted_n * self.cost_per_answer


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseReport:
    """Labels and answers that look wrong, and the outcomes of further opinions about them."""

    label_shares: tuple[float, float] | None = optional(
        "0 to 1",
        "A lower and a higher estimate of the share of wrong labels, from what the model "
        "predicted before it learned them.",
        EACH,
    )
    answer_share: float | None = optional(
        "0 to 1", "Estimated share of wrong answers, from how often annotators disagree.", EACH
    )
    suspicious_n: int = number(
        "labels",
        "Labels that look wrong to the model. The page of `headrace report` shows the latest.",
        MAX,
    )
    suspicious: tuple[Suspicion, ...] = number(
        "labels", "The latest labels that look wrong.", EACH, default=()
    )
    confirmed_n: int = number("answers", "Opinions on a doubtful label after which it stayed.")
    overruled_n: int = number("answers", "Opinions after which the label is another.")
    undecided_n: int = number(
        "answers", "Opinions after which the label is dropped, since the answers disagree."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failure of `who`, the model or a member of a committee, to `learn` or to `predict`: `act`.

    It failed on `n` labels or events, None where that is not counted; `error` is the exception of
    the first failure, "" where that was before this process began.
    """

    who: str
    act: str
    n: int | None
    error: str

    @property
    def sentence(self) -> str:
        """The failure as a sentence."""
        unit = "labels" if self.act == "learn" else "events"
        count = "" if self.n is None else f" {self.n:,} {unit}"
        because = f" ({self.error})" if self.error else ""
        return f"{self.who} failed to {self.act}{count}{because}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReport:
    """The model, what it has learned, and what it fails at."""

    version: int = number("entries", "Entries of the training log that the model is made of.", EACH)
    learned_n: int = number("labels", "Labels learned.", MAX)
    learned_at: float | None = optional("seconds", "When a label was last learned.")
    unlearnable_n: int = number("labels", "Labels that the model could not learn.", MAX)
    failures: tuple[Failure, ...] = number(
        "failures", "What the model and members of a committee failed at.", EACH, default=()
    )
    failing: tuple[str, ...] = number(
        "acts",
        "The acts, learn or predict, at which the model has failed every time of late.",
        EACH,
        default=(),
    )
    fault: str = number(
        "words",
        'What the model fails at, as a sentence; "" while it does not fail.',
        EACH,
        default="",
    )
    memory_n: int = number("examples", "Labelled examples kept for retraining.", MAX)
    parked_n: int = number(
        "models",
        "Replaced models that are kept and tried again when the inputs look like those of their "
        "time.",
        MAX,
    )
    temperature: float = number(
        "1 is none",
        "Temperature by which the model's probabilities are calibrated. Above 1: the model was "
        "too sure; below 1: not sure enough.",
        EACH,
        default=1.0,
    )
    evidence_n: int | None = optional(
        "labels", "Labelled events that the members of a committee learn from."
    )
    evidence_age_s: float | None = optional(
        "seconds", "Mean age of these labelled events when the newest of them came."
    )
    evidence_memory_s: float | None = optional(
        "seconds", "Age at which a labelled event nearby weighs 1/e."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainingReport:
    """The retrainings that were ordered, and their outcomes."""

    ordered_n: int = number("jobs", "Retrainings ordered.", MAX)
    ordered_at: float | None = optional("seconds", "When a retraining was last ordered.")
    adopted_n: int = number("models", "Retrained models adopted.", MAX)
    adopted_at: float | None = optional("seconds", "When a retrained model was last adopted.")
    kept_n: int = number("models", "Times that the model was kept instead of a retrained one.", MAX)
    rolled_back_n: int = number("models", "Adoptions that were rolled back.", MAX)
    is_open: bool = number(
        "0 or 1", "1 while a retraining is under way, else 0.", MAX, default=False
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftReport:
    """The drift level, its causes, and what has moved."""

    level: str = number(
        "level",
        "The drift level: 0 STABLE, 1 WARNING, 2 DRIFT. The worst of all partitions.",
        _WORST,
        default="STABLE",
    )
    changes_n: dict[str, int] = by_key("changes", "Changes of the drift level, by the new level.")
    changed_at: dict[str, float] = by_key(
        "seconds", "When the drift level last changed to this level. No sample before that.", MAX
    )
    began_at: float | None = optional(
        "seconds",
        "When the present WARNING or DRIFT began, as far as that is known. No sample while "
        "the level is STABLE.",
        MIN,
    )
    features: tuple[str, ...] = number(
        "features", "While the level is above STABLE: those it is about.", EACH, default=()
    )
    classes: tuple[str, ...] = number(
        "classes", "While the level is above STABLE: those it is about.", EACH, default=()
    )
    statistics: dict[str, float] = by_key(
        "1 fires",
        "Statistic of the watch divided by its threshold: from 1 on the watch fires. The highest "
        "of all features and partitions.",
        MAX,
    )
    alarms_n: dict[str, int] = by_key(
        "alarms", "Alarms of the watch. One that only prolongs another is not counted."
    )
    alarmed_at: dict[str, float] = by_key(
        "seconds", "When the watch last raised an alarm. No sample before the first.", MAX
    )
    feature_psi: dict[str, float] = by_key(
        "index",
        "Population stability index: how far the feature in the window differs from the past. "
        "From 0.1 on it is worth a look, from 0.25 on it fires.",
        MAX,
    )
    feature_ratios: dict[str, float] = by_key(
        "1 fires",
        "Highest statistic of the feature divided by its threshold: from 1 on a watch fires.",
        MAX,
    )
    feature_shares: dict[str, FeatureShares] = by_key(
        "0 to 1", "Share of the events in each bin, for the features that moved most.", EACH
    )
    class_shares: dict[str, tuple[float, float]] = by_key(
        "0 to 1", "Share of the predictions by class: (past, now).", EACH
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimatesReport:
    """Estimates by labels, of the model's predictions or of those served: `judged` says which."""

    judged: str = number(
        "name", 'Whose predictions are judged: "model" or "served".', EACH, default="model"
    )
    accuracy: Estimate = number(
        "0 to 1",
        "Accuracy over the latest window of events, with the naive share beside it.",
        EACH,
        default=Estimate(),
    )
    accuracy_all: Estimate = number(
        "0 to 1",
        "Accuracy over the whole stream, with the naive share beside it.",
        EACH,
        default=Estimate(),
    )
    quality: Quality = number(
        "0 to 1", "Quality by class, over the latest window of events.", EACH, default=Quality()
    )
    choosing: ChoosingGain = number(
        "-1 to 1",
        "What choosing is worth, compared with asking at random.",
        EACH,
        default=ChoosingGain(),
    )
