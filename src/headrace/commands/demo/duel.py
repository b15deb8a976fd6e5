"""The demo's stream, its two engines, and the figures that are shown at the end.

Two engines see the same events under the same budget and differ only in their strategies. The truth
is known here, because the stream has its labels; the engines know only the labels they bought. This
module draws, paces and prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from river import datasets

from ...chance import Chance
from ...drivers.notebook import Simulation
from ...engine import Engine
from ...learn.estimate import Estimate
from ...messages import DriftChanged, Event, EventBatch, Features, Output, class_name
from ...observe.decode import batch_of
from ...observe.signals import predicted_classes
from ...settings import (
    BudgetSettings,
    DriftSettings,
    EvaluationSettings,
    LabelSettings,
    ObserveSettings,
    QuerySettings,
    SchemaSettings,
    Settings,
    WatchSettings,
)
from ...testing.oracles import Crowd

BATCH_N = 25
EVENTS_MIN = 1_000
SHARE = 0.05
RECOVERED = 0.05
"""Recovered: accuracy over `NEAR_N` events is at most this far below that before the drift."""
NEAR_N = 500
LEVEL_POINTS = 2.0
"""A smaller difference counts as level: docs/DEMO.md has the spread over seeds."""

Batch = tuple[EventBatch, list[str]]


def make_stream(events_n: int, seed: int) -> Iterator[Batch]:
    """River's `ImageSegments` in batches of `BATCH_N`, one event a second, with a drift half way.

    The 2,310 patches of outdoor photographs repeat as often as needed, each time in another order.
    From the middle on each of the 18 columns holds the values of its neighbour, as after a release
    that shifts the columns by one.
    """
    pictures = _read_pictures()
    names = list(pictures[0][0])
    shifted = dict(zip(names, [*names[1:], names[0]], strict=True))
    chance = Chance(seed)
    keys = chance.keys(str(i) for i in range(len(pictures)))
    events: list[Event] = []
    truths: list[str] = []
    for n in range(events_n):
        turn, place = divmod(n, len(pictures))
        if place == 0:
            order = np.argsort(chance.uniforms(f"order {turn}", keys), kind="stable")
        features, label = pictures[int(order[place])]
        if n >= events_n // 2:
            features = {name: features[shifted[name]] for name in names}
        events.append(Event(id=str(n), at=float(n), features=features))
        truths.append(label)
        if len(events) == BATCH_N or n == events_n - 1:
            yield batch_of(events), truths
            events, truths = [], []


def _read_pictures() -> list[tuple[Features, str]]:
    dataset: Any = datasets.ImageSegments  # Unlike the rest of river it has no types.
    return [
        ({str(name): float(value) for name, value in features.items()}, class_name(label))
        for features, label in dataset()
    ]


def settings_of(strategy: str, events_n: int, seed: int) -> Settings:
    """The settings of both engines, but for the strategy; docs/DEMO.md gives the reasons."""
    classes = sorted({label: True for _, label in _read_pictures()})
    by_default = DriftSettings().watch
    watches = [w for w in by_default if (w.signal, w.detector) != ("features", "psi")]
    return Settings(
        stream="demo",
        seed=seed,
        schema=SchemaSettings(classes=classes),
        observe=ObserveSettings(
            window_n=1_000, reservoir_n=1_000, reservoir_half_life_s=events_n / 24
        ),
        query=QuerySettings(strategy=strategy, budget=BudgetSettings(share=SHARE)),
        label=LabelSettings(deadline_s=900.0, answers_wanted=2, answers_max=3),
        drift=DriftSettings(
            check_every_n=250,
            window_n=250,
            watch=(*watches, WatchSettings(signal="features", detector="psi", level="drift")),
        ),
        evaluation=EvaluationSettings(window_n=events_n // 8),
    )


def make_crowd(seed: int) -> Crowd:
    """Make five simulated annotators; three are asked about each event, and two must agree."""
    return Crowd(
        annotators_n=5, answers_n=3, delay_s=90.0, wrong=0.08, unsure=0.02, silent=0.03, seed=seed
    )


class Side:
    """One engine with its own annotators, and its true accuracy.

    The drift comes after half of `events_n`; `settings` replace those that `settings_of` makes.
    """

    def __init__(
        self,
        name: str,
        strategy: str,
        events_n: int,
        seed: int,
        settings: Settings | None = None,
    ) -> None:
        self.name = name
        self.engine = Engine(settings=settings or settings_of(strategy, events_n, seed))
        self.simulation = Simulation(self.engine, make_crowd(seed))
        self.half_n = events_n // 2
        self.estimates: dict[str, Estimate] = {}
        self.noticed_n: int | None = None
        self.false_alarms_n = 0
        # right_before[i]: how many of the first i predictions were right.
        self._right_before = [0]

    def play_batch(self, batch: Batch) -> list[Output]:
        """Observe, ask, answer and learn; return the outputs."""
        before_n = self.engine.shard.events_n
        outputs = [
            o for piece in self.simulation.play_batches([batch], settle=False) for o in piece
        ]
        self._judge_events(before_n, batch[1])
        self._note_outputs(outputs)
        return outputs

    def end_requests(self) -> list[Output]:
        """Let time pass until every request has ended; return the outputs."""
        outputs = [o for piece in self.simulation.play_batches([]) for o in piece]
        self.estimates["at the end"] = self.engine.report.estimates.accuracy
        self.estimates["overall"] = self.engine.report.estimates.accuracy_all
        return outputs

    def _judge_events(self, before_n: int, truths: list[str]) -> None:
        seen = self.engine.shard.window.since(before_n)
        classes = self.engine.schema.classes
        for code, truth in zip(predicted_classes(seen.probabilities).tolist(), truths, strict=True):
            self._right_before.append(self._right_before[-1] + (classes[code] == truth))

    def _note_outputs(self, outputs: list[Output]) -> None:
        estimate, seen_n = self.engine.report.estimates.accuracy, self.engine.shard.events_n
        if (
            estimate.to_seq is not None
            and estimate.from_seq is not None
            and estimate.accuracy is not None
        ):
            # The latest estimates that cover no event beyond their stretch.
            if estimate.to_seq <= self.half_n:
                self.estimates["before the drift"] = estimate
            if estimate.from_seq <= self.half_n and estimate.to_seq > self.half_n:
                self.estimates["just after it"] = estimate
        for output in outputs:
            if isinstance(output, DriftChanged) and output.level == "DRIFT":
                if seen_n <= self.half_n:
                    self.false_alarms_n += 1
                elif self.noticed_n is None:
                    self.noticed_n = seen_n - self.half_n

    def measure_accuracy(self, first: int | None, last: int | None) -> float | None:
        """The share of right predictions among events [first, last); None where there are none."""
        if first is None or last is None or not 0 <= first < last < len(self._right_before):
            return None
        return (self._right_before[last] - self._right_before[first]) / (last - first)

    def true_of(self, estimate: Estimate) -> float | None:
        """The share of right predictions among the events that an estimate covers."""
        return self.measure_accuracy(estimate.from_seq, estimate.to_seq)

    @property
    def recovered_n(self) -> int | None:
        """Events from the drift until the accuracy is recovered; None where it never is."""
        before = self.measure_accuracy(
            self.half_n - self.engine.settings.evaluation.window_n, self.half_n
        )
        for stop in range(self.half_n + NEAR_N, len(self._right_before)):
            near = self.measure_accuracy(stop - NEAR_N, stop)
            if before is not None and near is not None and near >= before - RECOVERED:
                return stop - self.half_n
        return None


@dataclass
class Duel:
    """Headrace and its twin that asks at random, on the same events.

    >>> duel = Duel.against_random(1_000, seed=7)
    >>> for batch in make_stream(1_000, seed=7):
    ...     _ = duel.play_batch(batch)
    >>> duel.ours.engine.report.events.observed_n, duel.twin.engine.report.events.observed_n
    (1000, 1000)
    """

    ours: Side
    twin: Side

    @classmethod
    def against_random(cls, events_n: int, seed: int) -> Duel:
        return cls(
            Side("headrace", "margin", events_n, seed), Side("random", "random", events_n, seed)
        )

    def play_batch(self, batch: Batch) -> list[Output]:
        """Play one batch on both sides; return the outputs of our engine."""
        outputs = self.ours.play_batch(batch)
        self.twin.play_batch(batch)
        return outputs

    def end_requests(self) -> list[Output]:
        """Let time pass until every request has ended; return the outputs of our engine."""
        outputs = self.ours.end_requests()
        self.twin.end_requests()
        return outputs

    def list_rows(self) -> list[tuple[str, str, str]]:
        """The rows of the closing table: name, headrace, random twin."""
        rows = [("labels paid", _describe_payment(self.ours), _describe_payment(self.twin))]
        for stretch in STRETCHES:
            rows.append(
                (f"accuracy {stretch}", *_tell_both(self.sides, stretch, _describe_estimate))
            )
            rows.append(("  in truth", *_tell_both(self.sides, stretch, _describe_truth)))
        for title, tell in FIGURES:
            rows.append((title, tell(self.ours), tell(self.twin)))
        return rows

    def state_verdict(self) -> str:
        """Say in one sentence which side won, or that they are level."""
        ours, twin = (side.true_of(side.estimates["overall"]) for side in self.sides)
        if ours is None or twin is None:
            return "The stream was too short to compare anything."
        points, labels = 100 * (ours - twin), _describe_payment(self.ours)
        twins = _describe_payment(self.twin)
        text = f"({ours:.1%} against {twin:.1%} right, for {labels} and {twins} labels)"
        if abs(points) < LEVEL_POINTS:
            return (
                f"Here choosing and chance came out level over the whole stream {text}: the seed "
                f"alone moves their difference by about {LEVEL_POINTS:g} points."
            )
        if points > 0:
            return (
                f"Here Headrace's choice of labels gained {points:.1f} points of accuracy "
                f"over the whole stream {text}."
            )
        return f"Here the twin that asks at random won by {-points:.1f} points {text}."

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.ours, self.twin


STRETCHES = ("before the drift", "just after it", "at the end", "overall")


def _describe_payment(side: Side) -> str:
    report = side.engine.report
    return f"{report.asking.requests_n - report.budget.refunded_n:,}"


def _tell_both(
    sides: tuple[Side, Side], stretch: str, tell: Callable[[Side, Estimate], str]
) -> tuple[str, str]:
    ours, twin = (tell(side, side.estimates.get(stretch, Estimate())) for side in sides)
    return ours, twin


def _describe_estimate(side: Side, found: Estimate) -> str:
    if found.accuracy is None or found.low is None or found.high is None:
        return "-"
    return f"{found.accuracy:.1%} ({found.low:.0%} to {found.high:.0%})"


def _describe_truth(side: Side, found: Estimate) -> str:
    true = side.true_of(found)
    return "-" if true is None else f"{true:.1%}"


def _format_count(n: int | None) -> str:
    return "not in this stream" if n is None else f"{n:,}"


def _describe_retraining(side: Side) -> str:
    return f"{side.engine.report.retraining.ordered_n} / {side.engine.report.retraining.adopted_n}"


def _describe_unsettled(side: Side) -> str:
    report = side.engine.report
    return f"{report.labels.disputed_n} / {report.labels.expired_n + report.labels.withdrawn_n}"


FIGURES: tuple[tuple[str, Callable[[Side], str]], ...] = (
    ("events until recovered", lambda side: _format_count(side.recovered_n)),
    ("events until DRIFT seen", lambda side: _format_count(side.noticed_n)),
    ("false DRIFT before it", lambda side: str(side.false_alarms_n)),
    ("rounds", lambda side: f"{side.engine.report.asking.rounds_n:,}"),
    ("retrained / adopted", _describe_retraining),
    ("disputed / not answered", _describe_unsettled),
)
