"""One run of a pilot: plays past events with known labels through one engine, and judges it.

Every event is predicted on arrival, before its label can be known, and this prediction is judged by
the label, whether the engine asked for it or not. Other modules choose the runs and compare them.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...chance import Chance
from ...drivers.notebook import Simulation
from ...engine import Engine
from ...errors import BadSettings
from ...learn.failures import check_start
from ...messages import DriftChanged, EventBatch, ModelAdopted, RoundOpened
from ...observe.schema import Schema
from ...observe.signals import predicted_classes
from ...privacy import WHOLE
from ...settings import Settings
from ...testing.oracles import Delayed
from ...wiring import make_learner
from .history import History

BLOCKS_N = 100
"""Points of a learning curve: blocks of the stream, of equal length but for rounding."""

BATCH_N = 1024
START_MAX = 50
ALL = "all labels"

REFERENCE_LABELS_MAX = 100_000
"""In a longer history the reference learns one label in so many that no more are learned."""

TAIL_PART = 5
TAIL_MAX = 2_000
"""The last fifth of a history is the hold-out tail; at most this many events of it are judged."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What is varied between runs. `latency` is in events, or seconds where events have a time.

    `is_asked_for` is false for extra runs of `random`, made only to see which labels it needs.
    """

    budget: float
    latency: float
    strategy: str
    seed: int
    is_asked_for: bool = True


class RunOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one run. Shares are 0 to 1; positions are counts of events.

    `balanced` is the mean recall over the classes that occurred, `macro_f1` the mean F1 over those
    that occurred or were predicted. `tail` is the accuracy on the last fifth of the history by the
    model as it was before, which learns nothing of it: as with a hold-out set.

    `block_right` is the accuracy in each block of the stream, None where no event was judged.
    `estimate`, `low` and `high` are the engine's own, from the labels it bought; they are about
    `accuracy_predicted`, without the events before the first label. `drifts` has
    (events, level, signal, detector) of each change of the drift level. `rejected_as` is the reason
    of most of the `rejected_n` events.
    """

    case: Case
    events_n: int
    rejected_n: int
    labels_n: int
    accuracy: float
    kappa: float
    block_right: list[float | None]
    balanced: float = 0.0
    macro_f1: float = 0.0
    tail: float | None = None
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    accuracy_predicted: float | None = None
    drifts: list[tuple[int, str, str, str]] = []
    drift_rounds: list[int] = []
    adoptions: list[int] = []
    retrained_n: int = 0
    rejected_as: str = ""
    run_s: float = 0.0

    @property
    def truth(self) -> float:
        """The accuracy that `estimate` is about."""
        return self.accuracy if self.accuracy_predicted is None else self.accuracy_predicted


Progress = Callable[[int], None]

Take = Callable[[NDArray[np.int64], NDArray[np.float64]], None]
"""Called with rows of the history, shape (n,), and their probabilities on arrival, (n, k)."""


def play_case(history: History, settings: Settings, case: Case, progress: Progress) -> RunOutcome:
    """Play the whole history through one engine; `progress` is called with counts of events done.

    Raises `BadSettings` when the budget is too small for a single label.
    """
    started = time.perf_counter()
    settings = settings_of(history, settings, case)
    engine = Engine(settings=settings, privacy=WHOLE)
    simulation = Simulation(engine, Delayed(delay_s=case.latency))
    judge = _Judge(history, engine.schema)
    drifts, drift_rounds, adoptions = [], [], []
    tail, tail_from = None, tail_start(history)
    for outputs in simulation.play_batches(
        play_watched(history, engine, judge.record_predictions, progress)
    ):
        seen_n = engine.shard.events_n
        engine.check_model()
        if tail is None and seen_n >= tail_from:
            tail = tail_right(history, engine.schema, engine.trainer.probabilities)
        for output in outputs:
            if isinstance(output, DriftChanged):
                drifts.append((seen_n, output.level, output.signal, output.detector))
            elif isinstance(output, RoundOpened) and output.reason == "drift":
                drift_rounds.append(seen_n)
            elif isinstance(output, ModelAdopted):
                adoptions.append(seen_n)
    if tail is None:
        # Nothing was learned since the tail began.
        tail = tail_right(history, engine.schema, engine.trainer.probabilities)
    report = engine.report
    return RunOutcome(
        case=case,
        events_n=report.events.observed_n,
        rejected_n=len(history) - report.events.observed_n,
        labels_n=report.asking.requests_n - report.budget.refunded_n,
        accuracy=judge.accuracy,
        kappa=judge.kappa,
        block_right=judge.block_right(),
        balanced=judge.balanced,
        macro_f1=judge.macro_f1,
        tail=tail,
        estimate=report.estimates.accuracy_all.accuracy,
        low=report.estimates.accuracy_all.low,
        high=report.estimates.accuracy_all.high,
        accuracy_predicted=judge.accuracy_without(report.events.unpredicted_n),
        drifts=drifts,
        drift_rounds=drift_rounds,
        adoptions=adoptions,
        retrained_n=report.retraining.ordered_n,
        rejected_as=max(
            report.events.rejected_n, key=lambda one: report.events.rejected_n[one], default=""
        ),
        run_s=time.perf_counter() - started,
    )


def spacing_of(events_n: int) -> int:
    """Return n where the reference learns one label in n: 1 up to `REFERENCE_LABELS_MAX` events."""
    return max(1, -(-events_n // REFERENCE_LABELS_MAX))


def play_all(history: History, settings: Settings, seed: int, progress: Progress) -> RunOutcome:
    """Let the same learner learn every label, each right after its event was predicted.

    Of a long history it learns one label in `spacing_of` events, evenly spaced.
    """
    started = time.perf_counter()
    judge = _Judge(history, schema_of(history, settings))
    tails: list[float | None] = []
    every_n = spacing_of(len(history))
    learn_all(
        history,
        settings,
        seed,
        judge.record_predictions,
        progress,
        on_tail=tails.append,
        every_n=every_n,
    )
    strategy = ALL if every_n == 1 else f"1 label in {every_n}"
    return RunOutcome(
        case=Case(budget=1.0 / every_n, latency=0.0, strategy=strategy, seed=seed),
        events_n=len(history),
        rejected_n=0,
        labels_n=-(-len(history) // every_n),
        accuracy=judge.accuracy,
        kappa=judge.kappa,
        block_right=judge.block_right(),
        balanced=judge.balanced,
        macro_f1=judge.macro_f1,
        tail=tails[0] if tails else None,
        run_s=time.perf_counter() - started,
    )


def learn_all(
    history: History,
    settings: Settings,
    seed: int,
    take: Take,
    progress: Progress,
    *,
    on_tail: Callable[[float | None], None] = lambda right: None,
    every_n: int = 1,
) -> None:
    """Predict each event, then learn its label, of the first event and each `every_n` later.

    `take` is called with the predictions of each batch, `progress` with its number of events,
    `on_tail` once with `tail_right`. `seed` is that of the learner.
    """
    schema = schema_of(history, settings)
    codes, tail_from = codes_of(history, schema), tail_start(history)
    learner = make_learner(settings, schema, Chance(seed))
    for batch, _ in history.iterate_batches(BATCH_N):
        rows = schema.rows(batch)
        first = int(batch.ids[0])
        truths = codes[first : first + len(batch)].tolist()
        predicted = np.empty((len(batch), len(schema.classes)))
        start = 0
        # Between two labels the model stays the same, so these events are scored together.
        for stop in [*range(-first % every_n + 1, len(batch), every_n), len(batch)]:
            if first + start <= tail_from < first + stop:
                on_tail(tail_right(history, schema, learner.probabilities))
            piece = range(start, stop)
            originals = [batch.original(i) if batch.texts else None for i in piece]
            predicted[start:stop] = learner.probabilities(
                rows[start:stop], None, originals.__getitem__
            )
            if (first + stop - 1) % every_n == 0:
                learner.learn(rows[stop - 1], truths[stop - 1], original=originals[-1])
            start = stop
        check_start(
            learner.failures, learned_n=learner.learned_n, unlearnable_n=learner.unlearnable_n
        )
        take(np.arange(first, first + len(batch)), predicted)
        progress(len(batch))


def tail_start(history: History) -> int:
    """The first event of the last part, which `tail_right` holds out."""
    return len(history) - len(history) // TAIL_PART


def tail_right(
    history: History, schema: Schema, probabilities: Callable[..., NDArray[np.float64]]
) -> float | None:
    """The accuracy on the last fifth of the history of a model that learns nothing of it.

    `probabilities` is the model. At most `TAIL_MAX` events, evenly spaced; None without events.
    """
    codes, ahead = codes_of(history, schema), copy.deepcopy(schema)
    tail = np.arange(tail_start(history), len(history))
    wanted = set(tail[:: max(1, -(-len(tail) // TAIL_MAX))].tolist())
    known_n = {j: len(schema.categories[n]) for j, n in enumerate(schema.names)
               if n in schema.categories}  # fmt: skip
    right_n = 0
    for batch, _ in history.iterate_batches(BATCH_N):
        first = int(batch.ids[0])
        rows = [i for i in range(len(batch)) if first + i in wanted]
        if not rows:
            continue
        # Values that the stream has not shown by then are missing, as in `Engine.predict`.
        X = ahead.rows(batch)[:, : schema.width]
        for j, n in known_n.items():
            X[X[:, j] >= n, j] = np.nan
        originals = [batch.original(i) for i in rows] if batch.texts else [None] * len(rows)
        predictions = probabilities(X[rows], None, originals.__getitem__)
        is_known = (
            ~np.isnan(predictions).any(axis=1)
            if predictions.shape[1]
            else np.zeros(len(rows), bool)
        )
        predicted = predicted_classes(predictions)
        truths = codes[first + np.array(rows)]
        right_n += int(np.count_nonzero((predicted == truths) & is_known))
    return right_n / len(wanted) if wanted else None


def settings_of(history: History, settings: Settings, case: Case) -> Settings:
    """The settings of one run: the user's, adapted to the case and to the history's length.

    A fifth of the labels, at most `START_MAX`, is granted at the start, and the share lowered by as
    much (the warm start of the published baselines). Limits in time or in all are left out.
    """
    n = len(history)
    start = min(START_MAX, math.ceil(0.2 * case.budget * n))
    share = case.budget - start / max(1, n)
    if share <= 0:
        raise BadSettings(
            f"a budget of {case.budget:g} is {case.budget * n:.1f} labels in {n} events; must be "
            f"at least {2 / max(1, n):.2g}"
        )
    replace = msgspec.structs.replace
    none = dict.fromkeys(("per_hour", "per_period", "cap", "money", "share_over_n"))
    budget = replace(settings.query.budget, share=share, start=start, **none)
    label = settings.label
    fields = settings.input
    if history.at is not None and n:
        # The whole past is known: a season without events is not a wrong clock.
        span_s = float(np.ptp(history.at))
        fields = replace(fields, jump_max_s=max(fields.jump_max_s, span_s + 1.0))
    if history.at is None:
        # Without real times a deadline in seconds means nothing, so no answer may miss it.
        label = replace(label, deadline_s=max(label.deadline_s, case.latency + 1.0))
    return replace(
        settings,
        seed=settings.seed + case.seed,
        schema=replace(settings.schema, classes=_list_classes(history, settings.schema.classes)),
        query=replace(settings.query, strategy=case.strategy, budget=budget),
        label=label,
        input=fields,
    )


def _list_classes(history: History, declared: list[str]) -> list[str]:
    return [*declared, *(name for name in history.classes if name not in set(declared))]


def schema_of(history: History, settings: Settings) -> Schema:
    """The schema of a run: the declared classes, then those that only the history names."""
    classes = _list_classes(history, settings.schema.classes)
    schema = msgspec.structs.replace(settings.schema, classes=classes)
    return Schema(schema, settings.columns)


def codes_of(history: History, schema: Schema) -> NDArray[np.int64]:
    """The class of each event, shape (n,), by its place in the schema; -1 where it has none."""
    codes = [schema.class_code(name) for name in history.classes]
    return np.array([-1 if code is None else code for code in codes])[history.codes]


def play_watched(
    history: History, engine: Engine, take: Take, progress: Progress, batch_n: int = BATCH_N
) -> Iterator[tuple[EventBatch, list[str]]]:
    """Yield the batches; before the next one, call `take` with the predictions of the last one.

    No batch is longer than the window, so that no event has left it by then.
    """
    for batch, truths in history.iterate_batches(min(batch_n, engine.settings.observe.window_n)):
        before_n = engine.shard.events_n
        yield batch, truths
        window = engine.shard.window
        # `window_s` limits the age of candidates; here every event is looked at.
        age_max_s, window.window_s = window.window_s, None
        seen = window.since(before_n)
        window.window_s = age_max_s
        take(np.array([int(name) for name in seen.ids], np.int64), seen.probabilities)
        progress(len(batch))


class _Judge:
    """Judges predictions by the true classes."""

    def __init__(self, history: History, schema: Schema) -> None:
        self.truths = codes_of(history, schema)
        self._classes_n = len(schema.classes)
        # Rejected events are never predicted, and not judged.
        self._predicted = np.full(len(history), -1, np.int64)

    def record_predictions(
        self, rows: NDArray[np.int64], probabilities: NDArray[np.float64]
    ) -> None:
        """Note the probabilities predicted for these rows of the history; NaN counts as wrong."""
        predicted = predicted_classes(probabilities)
        self._predicted[rows] = np.where(
            np.isnan(probabilities).any(axis=1), self._classes_n, predicted
        )

    @property
    def accuracy(self) -> float:
        """The share of right predictions among the events judged."""
        return self.accuracy_without(0)

    def accuracy_without(self, first_n: int) -> float:
        """The same without the first `first_n` of these events."""
        judged = np.flatnonzero(self._predicted >= 0)[first_n:]
        right_n = np.count_nonzero(self._predicted[judged] == self.truths[judged])
        return float(right_n) / max(1, len(judged))

    @property
    def kappa(self) -> float:
        """Agreement beyond chance (Cohen, "A coefficient of agreement", 1960)."""
        is_judged, k = self._predicted >= 0, self._classes_n
        n = max(1, int(is_judged.sum()))
        # The last place counts predictions that the model failed to make.
        predicted = np.bincount(self._predicted[is_judged], minlength=k)[:k] / n
        true = np.bincount(self.truths[is_judged], minlength=k) / n
        expected = float((predicted * true).sum())
        return (self.accuracy - expected) / (1.0 - expected) if expected < 1.0 else 0.0

    @property
    def _table(self) -> NDArray[np.int64]:
        """Counts by true class (row) and predicted class (column); last column: no prediction."""
        is_judged, k = self._predicted >= 0, self._classes_n
        pairs = self.truths[is_judged] * (k + 1) + self._predicted[is_judged]
        counts = np.bincount(pairs[self.truths[is_judged] >= 0], minlength=k * (k + 1))
        return counts.reshape(k, k + 1)

    @property
    def balanced(self) -> float:
        """The mean recall over the classes that occurred."""
        table = self._table
        true_n = table.sum(axis=1)
        occurred = true_n > 0
        recalls = np.diagonal(table)[occurred] / true_n[occurred]
        return float(recalls.mean()) if len(recalls) else 0.0

    @property
    def macro_f1(self) -> float:
        """The mean F1 over the classes that occurred or were predicted."""
        table = self._table
        k = self._classes_n
        both_n = table.sum(axis=1) + table[:, :k].sum(axis=0)
        f1 = 2.0 * np.diagonal(table)[both_n > 0] / both_n[both_n > 0]
        return float(f1.mean()) if len(f1) else 0.0

    def block_right(self) -> list[float | None]:
        """The accuracy in each block of the stream; None where no event was judged."""
        rights: list[float | None] = []
        for rows in np.array_split(np.arange(len(self.truths)), min(BLOCKS_N, len(self.truths))):
            judged = self._predicted[rows] >= 0
            right = self._predicted[rows] == self.truths[rows]
            rights.append(float(right[judged].mean()) if judged.any() else None)
        return rights
