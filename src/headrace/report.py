"""One frozen Report of numbers: what every adapter reads, and all it reads.

Here is what it holds; `reporting` makes it from an engine, or from the parts that a worker has.
"""

from __future__ import annotations

import msgspec

from .label.steadiness import Fall
from .learn.evaluation import Estimate
from .learn.intervals import Z, typical_of, wilson
from .learn.noise import Suspicion
from .learn.quality import Quality
from .learn.twins import Choosing
from .limits import Limit
from .observe.shares import FeatureShares


class AnnotatorReport(msgspec.Struct, frozen=True, kw_only=True):
    """One annotator; shares are of answers that could be compared with a settled label.

    `number` counts the annotators in order of their first answer, from 1: it stands for them where
    a name must not. It is 0 where several are added up. Of `timed_n` answers `log_s` is the sum of
    the logarithm of the seconds from request to answer, and `log_squares` that of its square.
    `falls_n` times the agreement was noticed to fall, at last as `fall` says. To `gold_n` gold
    questions they named a class, the true one in `gold_right_n` of them. `by_class` has the
    comparisons of both kinds by label or true class: how many, and how many that they named.
    """

    name: str
    number: int
    answers_n: int
    refused_n: int
    compared_n: int
    agreed_n: int
    latency_s: float
    timed_n: int = 0
    log_s: float = 0.0
    log_squares: float = 0.0
    falls_n: int = 0
    fall: Fall | None = None
    gold_n: int = 0
    gold_right_n: int = 0
    by_class: dict[str, tuple[int, int]] = {}

    @property
    def mean_latency_s(self) -> float | None:
        """Mean time from request to answer; none before the first answer."""
        return self.latency_s / self.answers_n if self.answers_n else None

    @property
    def agreed_between(self) -> tuple[float, float] | None:
        """95 % interval of how often they name the label that others name too; see `wilson`.

        >>> cy = AnnotatorReport(
        ...     name="cy", number=3, answers_n=60, refused_n=4, compared_n=50, agreed_n=40,
        ...     latency_s=900.0)
        >>> [round(bound, 2) for bound in cy.agreed_between]
        [0.67, 0.89]
        """
        if not self.compared_n:
            return None
        return wilson(self.agreed_n / self.compared_n, self.compared_n, Z)

    @property
    def gold_between(self) -> tuple[float, float] | None:
        """95 % interval of how often they are right in gold questions; see `wilson`."""
        if not self.gold_n:
            return None
        return wilson(self.gold_right_n / self.gold_n, self.gold_n, Z)

    @property
    def typical_latency_s(self) -> tuple[float, float, float] | None:
        """Lower 95 % bound, geometric mean and upper bound of the seconds from request to answer.

        A night in between moves it little. None before the third answer.
        """
        return typical_of(self.timed_n, self.log_s, self.log_squares)

    @property
    def fall_told(self) -> str:
        """The latest fall of the agreement as a sentence; empty if there was none.

        >>> AnnotatorReport(
        ...     name="cy", number=3, answers_n=8, refused_n=0, compared_n=0, agreed_n=0,
        ...     latency_s=0.0, falls_n=1, fall=Fall(9.0, 10, 20, 269, 299)).fall_told
        "annotator 'cy' agrees less: with 10 of the latest 20 labels, with 269 of 299 before"
        """
        if self.fall is None:
            return ""
        return (
            f"annotator {self.name!r} agrees less: with {self.fall.agreed_n} of the latest "
            f"{self.fall.n} labels, with {self.fall.agreed_before_n} of {self.fall.before_n} before"
        )


class PartitionReport(msgspec.Struct, frozen=True, kw_only=True):
    """One partition of the events, and its shard.

    `lag_n` records and `lag_s` seconds are what is there and not fed yet; none where nobody knows.
    `last_event_at` is the time of the newest event fed, seconds.
    """

    partition: int
    lag_n: int | None = None
    lag_s: float | None = None
    events_n: int = 0
    last_event_at: float | None = None
    drift_level: str = "STABLE"


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """What `who`, the model or a member of the committee, failed at: to `learn` or to `predict`.

    `n` labels or events it failed on, None where that is not counted; `error` is the first one's
    exception, "" where it happened before this process began.
    """

    who: str
    act: str
    n: int | None
    error: str

    @property
    def told(self) -> str:
        """The same in words."""
        given = "labels" if self.act == "learn" else "events"
        on = "" if self.n is None else f" {self.n:,} {given}"
        because = f" ({self.error})" if self.error else ""
        return f"{self.who} failed to {self.act}{on}{because}"


class WorkerReport(msgspec.Struct, frozen=True, kw_only=True):
    """What only the driver around the parts knows. Times are by the clock of the day, seconds.

    `training_offset` is the entry of the training log that comes next, `training_lag_n` how many
    are there and not folded. `is_decider`: this one orders retraining and judges challengers.
    `snapshot_refused_n` counts snapshots that were there and not trusted, `rejected_n` inputs that
    no part ever saw, by reason; `restarts_n` sessions that ended early, by kind of error, `lost_n`
    records deleted unread, by log; `recomputed_n` decisions of a journal that came out otherwise
    when they were made again, `differing_n` settings, versions and code that another worker has
    otherwise. Without `partitions` those of the shards are shown, without lag.
    """

    partitions: tuple[PartitionReport, ...] = ()
    desk_partitions: tuple[int, ...] = ()
    training_offset: int | None = None
    training_lag_n: int | None = None
    is_decider: bool = True
    rebalances_n: int = 0
    rebalanced_at: float | None = None
    snapshot_at: float | None = None
    snapshot_bytes: int | None = None
    snapshot_failed_n: int = 0
    snapshot_refused_n: int = 0
    rejected_n: dict[str, int] = msgspec.field(default_factory=dict)
    restarts_n: dict[str, int] = msgspec.field(default_factory=dict)
    lost_n: dict[str, int] = msgspec.field(default_factory=dict)
    recomputed_n: int = 0
    differing_n: int = 0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Frozen numbers. Times are seconds since the epoch, shares 0 to 1, `_n` counts since start.

    `accuracy` is over the latest window of events, `accuracy_all` over the whole stream; both are
    estimates from the labels bought, with the naive share beside them; `judged` says whose.
    `ahead_n` events were too far ahead of the others to move the clock, `behind_n` as far behind.
    `quality` is over the latest window; `unpredicted_n` events came before the model had learned
    anything and have no accuracy. `failed_predictions_n` counts events on which a model that has
    learned failed, which are not right; `unlearnable_n` labels that it could not learn; `failures`
    what they were, of committee's members too. `model_fault` says that the model fails at all it is
    given, "" while it does not. `limits` are those that were reached. `temperature` is that of the
    model's calibration, 1 for none.
    `choosing` is what choosing is worth against asking at random. `label_noise` are a
    lower and a higher estimate of the share of wrong labels, by the model's word, `answer_error`
    that of answers, by how annotators disagree; `suspicious` are the latest labels that look wrong.
    `confirmed_n`, `overruled_n` and `undecided_n` count opinions on such labels by what they did.
    `asked_by` is by "reason/strategy", `asked_by_class` by predicted class, "" where none was.
    `quota_missing_n` are labels missing to each quota, by "class NAME" and "slice NAME".
    `duplicates_n` events were like one that was asked, and were not asked for it. `rescored_n`
    counts open questions that were scored again, by what was said of them: "lower" or "higher" in
    priority, or why they were withdrawn.
    `drift_statistics` are by "signal/detector", each divided by its own threshold, as are
    `feature_ratios`, the highest of a feature's tests. `class_shares` are (past, now). While the
    level is above STABLE, `drift_since` is when that began, as far as it is known, and
    `drift_features` and `drift_classes` are those it is about.
    """

    stream: str
    now: float | None
    events_n: int
    ahead_n: int
    behind_n: int
    rejected_n: dict[str, int]
    predicted_n: dict[str, int]
    confidence_counts: tuple[int, ...]
    confidence_sum: float
    features_n: int
    unknown_features_n: int
    mistyped_n: int
    not_finite_n: int
    limits: tuple[Limit, ...]
    vanished_features: tuple[str, ...]
    classes: tuple[str, ...]

    strategy: str
    is_cold: bool
    asked_n: int
    asked_by_reason: dict[str, int]
    asked_by: dict[str, int]
    asked_by_class: dict[str, int]
    quota_missing_n: dict[str, int]
    duplicates_n: int
    rescored_n: dict[str, int]
    refunded_n: int
    budget_available_n: int
    budget_held_n: int
    budget_cap_n: int | None
    labels_per_event: float
    is_exhausted: bool
    rounds_n: int
    rounds_by_reason: dict[str, int]
    last_round_at: dict[str, float]
    threshold: float
    redundancy: float | None
    propensity_min: float
    window_n: int
    reservoir_n: int

    open_n: int
    stale_n: int
    oldest_open_at: float | None
    settled_n: int
    disputed_n: int
    expired_n: int
    withdrawn_n: int
    confirmed_n: int
    overruled_n: int
    undecided_n: int
    accepted_n: int
    late_n: int
    duplicate_n: int
    gold_asked_n: int
    gold_answers_n: int
    corrected_n: int
    refused_n: int
    answers_rejected_n: int
    cost_per_answer: float
    labels_by_class: dict[str, int]
    agreement: float | None
    annotators_n: int
    annotators: tuple[AnnotatorReport, ...]
    annotators_by_number: tuple[AnnotatorReport, ...]
    turnaround_counts: tuple[int, ...]
    turnaround_sum_s: float

    model_version: int
    learned_n: int
    learned_at: float | None
    unlearnable_n: int
    failed_predictions_n: int
    failures: tuple[Failure, ...]
    failing: tuple[str, ...]
    model_fault: str
    memory_n: int
    retrained_n: int
    retrained_at: float | None
    adopted_n: int
    adopted_at: float | None
    kept_n: int
    rolled_back_n: int
    parked_n: int
    evidence_n: int | None
    evidence_age_s: float | None
    evidence_memory_s: float | None
    is_retraining: bool

    drift_level: str
    drift_changes_n: dict[str, int]
    drift_changed_at: dict[str, float]
    drift_since: float | None
    drift_features: tuple[str, ...]
    drift_classes: tuple[str, ...]
    drift_statistics: dict[str, float]
    drift_alarms_n: dict[str, int]
    drift_alarmed_at: dict[str, float]
    feature_psi: dict[str, float]
    feature_ratios: dict[str, float]
    feature_shares: dict[str, FeatureShares]
    class_shares: dict[str, tuple[float, float]]

    judged: str
    accuracy: Estimate
    accuracy_all: Estimate
    quality: Quality
    unpredicted_n: int
    temperature: float
    choosing: Choosing
    label_noise: tuple[float, float] | None
    answer_error: float | None
    suspicious_n: int
    suspicious: tuple[Suspicion, ...]

    worker: WorkerReport
