"""The sections of a `Report`: every number, with its unit, its meaning and how parts are combined.

Names of times end in `_at`, in seconds since the epoch; shares are 0 to 1; `_n` counts since the
start. Times are those of the stream; only `WorkerReport` has times of the wall clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..label.annotators import TURNAROUND_BOUNDS_S
from ..learn.evaluation import Estimate
from ..learn.noise import Suspicion
from ..learn.quality import Quality
from ..learn.twins import Choosing
from ..observe.drift import DriftLevel
from ..observe.shares import FeatureShares
from ..observe.signals import CONFIDENCE_BOUNDS
from .numbers import EACH, MAX, MEAN, MIN, SUM, UNION, Reducer, by_key, number, optional

ASKED_REASONS = {
    "control": "drawn by lot on arrival, whatever it looks like: what comparisons need",
    "doubt": "drawn on arrival, the likelier the more the strategy doubted it",
    "cold start": "drawn by lot while there are too few labels of some class",
    "round": "chosen by the strategy",
    "drift": "half by lot, half spread over the newest events after a drift",
    "ordered": "chosen in a round that somebody ordered",
    "second opinion": "asked again, of somebody else: the label looked wrong or was unsure",
    "quota": "likely to be of a class or a slice that is short of labels",
    "audit": "drawn by lot to check the model, because somebody ordered it",
}
"""The reasons for which an event may be asked about, and what each means."""

_WORST = Reducer("max", lambda levels: max(levels, key=DriftLevel.__getitem__))


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsReport:
    """The events that came in, and the model's predictions about them."""

    last_at: float | None = optional("seconds", "Time of the newest event.")
    observed_n: int = number("events", "Events scored and kept.")
    ahead_n: int = number("events", "Events too far ahead of the others to move the clock.")
    behind_n: int = number("events", "Events as far behind the clock.")
    rejected_n: dict[str, int] = by_key("inputs", "Inputs that could not be used, by reason.")
    predicted_n: dict[str, int] = by_key("predictions", "Predictions, by predicted class.")
    unpredicted_n: int = number(
        "events",
        "Events that came before the model had learned a label, and so have no accuracy.",
    )
    failed_predictions_n: int = number(
        "predictions", "Events on which a model that has learned failed."
    )
    confidence_counts: tuple[int, ...] = number(
        "events",
        "Predictions by the probability of the predicted class, up to each of CONFIDENCE_BOUNDS.",
        default=(0,) * len(CONFIDENCE_BOUNDS),
    )
    confidence_sum: float = number("0 to 1", "The sum of these probabilities.", default=0.0)
    window_n: int = number("events", "Events in the window.")
    reservoir_n: int = number("events", "Events in the sample of the past.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaReport:
    """The known features and classes, and counts of values that could not be used."""

    features_n: int = number("features", "Features known.", MAX)
    unknown_n: int = number("values", "Values of features that found no room.")
    mistyped_n: int = number("values", "Values of another kind than their feature.")
    not_finite_n: int = number("values", "Infinite values.")
    vanished: tuple[str, ...] = number(
        "features", "Features known that no event in the window has a value for.", UNION, default=()
    )
    classes: tuple[str, ...] = number(
        "classes", "In order of their first label; never changes but at its end.", UNION, default=()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AskingReport:
    """The requests, by their reasons, and the rounds."""

    strategy: str = number("name", "The strategy of the latest round.", EACH, default="")
    is_cold: bool = number(
        "0 or 1",
        "1: too few labels of some class yet; rounds draw blindly, confidence is not watched.",
        MAX,
        default=False,
    )
    requests_n: int = number("requests", "Label requests.")
    by_reason: dict[str, int] = by_key("requests", "By the reason of the decision.")
    by_strategy: dict[str, int] = by_key(
        "requests", 'Label requests by "reason/strategy": the reason of the decision and who chose.'
    )
    by_class: dict[str, int] = by_key(
        "requests",
        "Label requests, by the class predicted of what is asked; none: before any was known.",
    )
    quota_missing_n: dict[str, int] = by_key(
        "labels", 'Labels missing to each quota, by "class NAME" and "slice NAME".', MAX
    )
    duplicates_n: int = number(
        "events", "Events like one that was asked, passed over for it by all but the blind draw."
    )
    rescored_n: dict[str, int] = by_key(
        "questions",
        "Open questions that a model which has moved gave another priority, or withdrew.",
    )
    propensity_min: float = number(
        "0 to 1",
        "Lowest probability with which an event that was asked about would have been.",
        MIN,
        default=1.0,
    )
    rounds_n: int = number("rounds", "Rounds decided.")
    rounds_by_reason: dict[str, int] = by_key("rounds", "Rounds decided, by what opened them.")
    last_round_at: dict[str, float] = by_key(
        "seconds", "When the last round was decided, by what opened it.", MAX
    )
    threshold: float = number(
        "utility",
        "Utility from which on an event is likelier asked than blindly; the lowest a round chose.",
        EACH,
        default=0.0,
    )
    redundancy: float | None = optional(
        "-1 to 1",
        "How alike the events of the last round are: 1 the same, 0 as a blind draw, below 0 less.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetReport:
    """The labels that may be asked, and those that were."""

    available_n: int = number("labels", "Labels that may be asked now, the reserve included.")
    held_n: int = number(
        "labels",
        "Of these, set aside for rounds that drift or a person opens, and for audits.",
    )
    spent_n: int = number("labels", "Labels asked so far, less those paid back.")
    refunded_n: int = number(
        "labels",
        "Labels paid back so far: of requests that ended without one, late answers being refused.",
    )
    cap_n: int | None = optional(
        "labels", "Labels that may be spent in all; without a cap no sample.", SUM
    )
    labels_per_event: float = number(
        "labels an event", "Labels earned per event at the present pace.", MEAN, default=0.0
    )
    is_exhausted: bool = number(
        "0 or 1",
        "1: the cap or the money is spent, nothing will be asked again unless some comes back.",
        MIN,
        default=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsReport:
    """The requests that are open, and how the others ended."""

    open_n: int = number("requests", "Requests without an end.")
    stale_n: int = number("requests", "Of these, those with less than half of their time left.")
    oldest_open_at: float | None = optional(
        "seconds", "When the request that is open longest was asked.", MIN
    )
    settled_n: int = number("requests", "Requests that ended with a label.")
    disputed_n: int = number("requests", "Requests whose annotators did not agree.")
    expired_n: int = number("requests", "Requests whose time ran out.")
    withdrawn_n: int = number("requests", "Requests that were taken back.")
    by_class: dict[str, int] = by_key("labels", "Labels settled, by class.")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswersReport:
    """The answers of annotators, how fast they came, and what they cost."""

    accepted_n: int = number("answers", "Answers that entered a request: what people did.")
    late_n: int = number("answers", "Answers after the deadline of their request.")
    duplicate_n: int = number("answers", "Answers that came again.")
    corrected_n: int = number("answers", "Answers that changed what their annotator had said.")
    refused_n: int = number("answers", "Accepted answers that could not tell.")
    rejected_n: int = number("answers", "Answers that could not be used.")
    cost_per_answer: float = number(
        "units of label.cost", "What one answer costs, as set.", MAX, default=0.0
    )
    turnaround_counts: tuple[int, ...] = number(
        "answers",
        "Accepted answers by the seconds from request to answer, up to each of "
        "TURNAROUND_BOUNDS_S, and beyond.",
        default=(0,) * (len(TURNAROUND_BOUNDS_S) + 1),
    )
    turnaround_sum_s: float = number("seconds", "The sum of these seconds.", default=0.0)
    gold_questions_n: int = number(
        "questions", "Gold questions that were mixed in, by label.gold_share."
    )
    gold_answers_n: int = number(
        "answers", "Accepted answers to gold questions, which bring no label."
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
        "A lower and a higher estimate of the share of wrong labels, by the model's word.",
        EACH,
    )
    answer_share: float | None = optional(
        "0 to 1", "Estimated share of wrong answers, by how annotators disagree.", EACH
    )
    suspicious_n: int = number(
        "labels",
        "Labels that look wrong to the model; the latest are on the page of `headrace report`.",
        MAX,
    )
    suspicious: tuple[Suspicion, ...] = number("labels", "The latest of these.", EACH, default=())
    confirmed_n: int = number("answers", "Opinions on such a label after which it stayed.")
    overruled_n: int = number("answers", "Opinions after which it is another.")
    undecided_n: int = number("answers", "Opinions after which it is out while they disagree.")


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
        "acts", "What the model failed at in all that it was given of late.", EACH, default=()
    )
    fault: str = number("words", 'The same as a sentence, "" while it does not.', EACH, default="")
    memory_n: int = number("examples", "Labelled examples kept for retraining.", MAX)
    parked_n: int = number(
        "models",
        "Displaced models that are tried again when the inputs look like theirs.",
        MAX,
    )
    temperature: float = number(
        "1 is none",
        "Temperature by which the model's probabilities are calibrated; above 1 it was too sure.",
        EACH,
        default=1.0,
    )
    evidence_n: int | None = optional("labels", "Labels that a committee judges by.")
    evidence_age_s: float | None = optional("seconds", "Their mean age when the newest came.")
    evidence_memory_s: float | None = optional(
        "seconds", "The age at which what is near weighs 1/e."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainingReport:
    """The retrainings that were ordered, and their outcomes."""

    ordered_n: int = number("jobs", "Retrainings ordered.", MAX)
    ordered_at: float | None = optional("seconds", "When one was last ordered.")
    adopted_n: int = number("models", "Retrained models adopted.", MAX)
    adopted_at: float | None = optional("seconds", "When one was last adopted.")
    kept_n: int = number("models", "Times that the model was kept instead.", MAX)
    rolled_back_n: int = number("models", "Adoptions that were rolled back.", MAX)
    is_open: bool = number("0 or 1", "1: a retraining is under way.", MAX, default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftReport:
    """The drift level, its causes, and what has moved."""

    level: str = number(
        "level",
        "0 STABLE, 1 WARNING, 2 DRIFT; the worst of all partitions.",
        _WORST,
        default="STABLE",
    )
    changes_n: dict[str, int] = by_key("changes", "Changes of the drift level, by the new one.")
    changed_at: dict[str, float] = by_key(
        "seconds", "When the drift level last became this one.", MAX
    )
    began_at: float | None = optional(
        "seconds", "While the level is above STABLE: when that began, as far as it is known.", MIN
    )
    features: tuple[str, ...] = number(
        "features", "While the level is above STABLE: those it is about.", EACH, default=()
    )
    classes: tuple[str, ...] = number(
        "classes", "While the level is above STABLE: those it is about.", EACH, default=()
    )
    statistics: dict[str, float] = by_key(
        "1 fires",
        "Statistic divided by its own threshold; the highest of features and partitions.",
        MAX,
    )
    alarms_n: dict[str, int] = by_key("alarms", "Alarms; one that prolongs another is not counted.")
    alarmed_at: dict[str, float] = by_key("seconds", "When this watch last raised an alarm.", MAX)
    feature_psi: dict[str, float] = by_key(
        "index",
        "Population stability index of the window against the past; 0.1 is worth a look, 0.25 "
        "fires.",
        MAX,
    )
    feature_ratios: dict[str, float] = by_key(
        "1 fires", "Highest statistic of the feature divided by its own threshold.", MAX
    )
    feature_shares: dict[str, FeatureShares] = by_key(
        "0 to 1", "Share of the events by bin, of the features that moved most.", EACH
    )
    class_shares: dict[str, tuple[float, float]] = by_key(
        "0 to 1", "Share of the predictions by class: (past, now).", EACH
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimatesReport:
    """Estimates by labels, of the model's predictions or of those served: `judged` says which."""

    judged: str = number("name", '"model" or "served".', EACH, default="model")
    accuracy: Estimate = number(
        "0 to 1",
        "Over the latest window of events; the naive share stands beside it.",
        EACH,
        default=Estimate(),
    )
    accuracy_all: Estimate = number(
        "0 to 1", "The same over the whole stream.", EACH, default=Estimate()
    )
    quality: Quality = number(
        "0 to 1", "By class, over the latest window of events.", EACH, default=Quality()
    )
    choosing: Choosing = number(
        "-1 to 1",
        "What choosing is worth against asking at random.",
        EACH,
        default=Choosing(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionReport:
    """One partition of the events, and its shard; lags are None where they are not known."""

    partition: int
    events_n: int = number("events", "Events scored and kept, by partition.", MAX)
    last_event_at: float | None = optional(
        "seconds",
        "Time of the newest event, by partition; the event age is what the clock is ahead of it.",
    )
    lag_n: int | None = optional("records", "Records that are there and not fed yet.")
    lag_s: float | None = optional(
        "seconds", "How far the clock is ahead of the record fed last; 0 where none waits."
    )
    drift_level: str = number(
        "level", "0 STABLE, 1 WARNING, 2 DRIFT, by partition.", MAX, default="STABLE"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotsReport:
    """The snapshots that were written, that could not be written, or were not trusted."""

    written_at: float | None = optional("seconds", "When the last snapshot was written.", MIN)
    bytes_n: int | None = optional("bytes", "Size of the last snapshot.")
    failed_n: int = number("snapshots", "Snapshots that could not be written.")
    refused_n: int = number("snapshots", "Snapshots that were there and not trusted.")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReport:
    """The driver's numbers. Without `partitions` those of the shards are shown, without lag.

    `rejected_n` counts, by reason, inputs that never reached a part; `lost_n` counts records by
    log.
    """

    partitions: tuple[PartitionReport, ...] = number(
        "partitions", "Partitions of the events that are fed here.", EACH, default=()
    )
    desk_partitions: tuple[int, ...] = number(
        "partitions",
        "Partitions of requests and answers that are looked after here.",
        SUM,
        default=(),
    )
    training_offset: int | None = optional(
        "records",
        "Place in the training log that comes next; the same on every worker that keeps up.",
        EACH,
    )
    training_lag_n: int | None = optional(
        "records", "Records of the training log that are there and not folded yet."
    )
    is_decider: bool = number(
        "0 or 1", "1: orders retraining and judges challengers; one worker does.", default=True
    )
    rebalances_n: int = number("rebalances", "Times that partitions were handed out anew.", MAX)
    rebalanced_at: float | None = optional("seconds", "When that was last.")
    snapshots: SnapshotsReport = number(
        "snapshots", "What is saved.", EACH, default=SnapshotsReport()
    )
    rejected_n: dict[str, int] = by_key("inputs", "Inputs that could not be used, by reason.")
    restarts_n: dict[str, int] = by_key(
        "restarts", "Times that this worker connected to Kafka anew, by why."
    )
    lost_n: dict[str, int] = by_key(
        "records", "Records that were deleted before they were read, by the setting of their topic."
    )
    recomputed_n: int = number(
        "decisions",
        "Decisions of a journal that came out otherwise when they were made again, as on another "
        "processor; what was asked then holds.",
    )
    differing_n: int = number(
        "rules",
        "Settings, versions and modules of code of your own that the worker which started last has "
        "otherwise than this one.",
        MAX,
    )
