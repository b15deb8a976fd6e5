"""The embedded engine, a worker that stays and one that is replaced half-way decide alike.

All three get the same events and answers, interleaved alike: after each piece everybody waits until
the workers have taken it. What they asked, learned and decided is compared byte for byte.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headrace import Engine, Event, LabelRequested, RetrainRequested
from headrace.learn.retrain import retrain
from headrace.messages import Output, RetrainFinished
from headrace.observe.answers import AnswersDecoder
from headrace.settings import parse
from kafka.broker import Address, skip_unless_kafka
from kafka.topics import Topics
from kafka.workers import Worker, make_events, settings_of
from kafka.world import World, wait_until

EVENTS_N = 1_000
PIECE_N = 100
REPLACED_AT = 600
# Long ago, so that the clock of the day has no say.
BEGAN_AT = 1_000_000.0
TOPIC_OF = {
    "LabelRequested": "requests",
    "RequestWithdrawn": "requests",
    "LabelSettled": "training",
    "LabelDisputed": "training",
    "RequestExpired": "training",
    "RetrainRequested": "training",
    "ModelAdopted": "training",
    "ModelKept": "training",
    "DriftChanged": "drift",
}
FOLDED = re.compile(r"^headrace_training_log_offset(?:{.*})? (\S+)$", re.MULTILINE)
ROUNDS: Mapping[str, dict[str, Any]] = {"arrival": {}, "rounds": {"rounds": {"every_n": 50}}}
COMPARED = ("requests", "training", "drift")
BESIDE = {"requests": 0, "training": 1, "drift": 0}
"""Records that an engine has no reason for: a worker says in the training log what it goes by."""


class Embedded:
    """The engine, fed one input at a time; what it said, by the topic it would stand in."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.engine = Engine(settings=parse(dict(settings)))
        self.said: dict[str, list[bytes]] = defaultdict(list)

    def feed(self, message: Any) -> list[Output]:
        """What follows from one input, a retraining that it leads to included."""
        outputs = self.engine.feed([message])
        for output in outputs:
            topic = TOPIC_OF.get(type(output).__name__)
            if topic is not None:
                self.said[topic].append(msgspec.json.encode(output))
        return outputs

    def retrain(self) -> None:
        """Run what is ordered; the verdict comes at the same moment."""
        job = self.engine.open_job
        assert job is not None
        self.feed(RetrainFinished(job_id=job.job_id, at=self.engine.now, challenger=retrain(job)))


class OnKafka:
    """A worker on topics of its own."""

    def __init__(self, topics: Topics, settings: Mapping[str, Any], folder: Path) -> None:
        self.topics, self.settings, self.folder = topics, settings, folder
        self.names = settings["kafka"]
        self.sent_n = dict.fromkeys(("events", "answers"), 0)
        self.worker = Worker(settings, folder, "first").start()

    def replace(self, end: Callable[[Worker], object]) -> None:
        """Another process takes over, and finds nothing but snapshots and topics."""
        end(self.worker)
        self.worker = Worker(self.settings, self.folder, "second").start().wait_ready()

    def send(self, setting: str, values: list[bytes]) -> None:
        self.topics.produce(self.names[setting], values, partition=0)
        self.sent_n[setting] += len(values)

    def wait(self, expected: Mapping[str, list[bytes]]) -> None:
        """Wait until everything sent was taken, and everything expected was said and learned."""
        group = self.names["group"]

        def has_taken() -> bool:
            self.worker.check()
            committed = self.topics.committed(group)
            return all(
                committed.get((self.names[setting], 0), 0) == n
                for setting, n in self.sent_n.items()
                if n
            )

        def has_said() -> bool:
            return all(
                sum(self.topics.end_offsets(self.names[setting]).values())
                >= len(expected[setting]) + BESIDE[setting]
                for setting in COMPARED
            )

        def has_learned() -> bool:
            found = FOLDED.search(self.worker.metrics())
            return (
                found is not None
                and float(found[1]) >= len(expected["training"]) + BESIDE["training"]
            )

        wait_until(has_taken, "the worker has not taken what was sent")
        wait_until(has_said, "the worker has not said what the engine said")
        wait_until(has_learned, "the worker has not learned what it said")

    def said(self) -> dict[str, list[bytes | None]]:
        """Every record of the compared topics; requests in the order of their events."""
        found = {name: self.topics.values(self.names[name]) for name in COMPARED}
        found["training"] = [v for v in found["training"] if b'"RulesInUse"' not in (v or b"")]
        found["requests"].sort(key=lambda value: json.loads(value or b"")["request_id"])
        return found


@pytest.mark.parametrize(
    ("model", "asking"),
    [
        pytest.param("logistic", "arrival", marks=pytest.mark.long),
        pytest.param("logistic", "rounds", marks=pytest.mark.long),
        ("committee", "arrival"),
    ],
)
@pytest.mark.long
def test_engine_and_workers_decide_alike_when_inputs_are_interleaved_alike(
    broker: Address, prefix: str, tmp_path: Path, model: str, asking: str
) -> None:
    skip_unless_kafka(broker, "records that survive a stop")
    settings = {}
    for name in "ab":
        settings[name] = settings_for(broker, f"{prefix}-{name}", tmp_path / name, model, asking)
    embedded = Embedded(settings["a"])
    stays, moves = (OnKafka(broker.topics, settings[name], tmp_path / name) for name in "ab")
    both = (stays, moves)
    try:
        for player in both:
            player.worker.wait_ready()
        drive(embedded, both, lambda: moves.replace(Worker.kill))
        expected = dict(embedded.said)
        expected["requests"].sort(key=lambda value: json.loads(value)["request_id"])
        for player in both:
            found = player.said()
            for topic in COMPARED:
                assert found[topic] == expected[topic], topic
    finally:
        for player in both:
            player.worker.kill()
    kinds = [json.loads(value)["type"] for value in expected["training"]]
    assert "LabelSettled" in kinds
    # A committee is solved anew at each label: it orders no retraining.
    assert model == "committee" or {"RetrainRequested", "ModelAdopted"} <= set(kinds)
    assert len(expected["requests"]) > 50
    assert expected["drift"]


def settings_for(
    broker: Address, prefix: str, folder: Path, model: str, asking: str
) -> dict[str, Any]:
    """One partition, one desk, one stream; topics and snapshots by prefix."""
    folder.mkdir()
    found = settings_of(
        prefix,
        broker.servers,
        folder,
        kafka={"desk_partitions": 1},
        model={"name": model},
        query={"budget": {"share": 0.1}} | ROUNDS[asking],
        label={"deadline_s": 1_000_000.0},
        learn={"retrain_labels_min": 20, "adopt_labels_n": 10, "adopt_margin": 0.001},
    )
    found["stream"] = "alike"
    # By this one a drift is seen, and one challenger is adopted, another refused.
    found["seed"] = 4
    del found["learn"]["retrain_every_n"]
    make_events(broker, found, partitions=1)
    return found


def drive(embedded: Embedded, both: tuple[OnKafka, ...], half_way: Callable[[], None]) -> None:
    """Events in pieces; after each the answers. A piece ends early where a retraining is ordered:
    what it leads to comes before the next event, everywhere."""
    world = World(drift_every_n=EVENTS_N // 2 + 37)
    i, is_replaced = 0, False
    while i < EVENTS_N:
        if i >= REPLACED_AT and not is_replaced:
            is_replaced = True
            half_way()
        piece, asked, is_ordered = [], [], False
        while len(piece) < PIECE_N and not is_ordered:
            value = world.event(i, BEGAN_AT + i)
            outputs = embedded.feed(msgspec.json.decode(value, type=_Event).event())
            asked += [output for output in outputs if isinstance(output, LabelRequested)]
            is_ordered = any(isinstance(output, RetrainRequested) for output in outputs)
            piece.append(value)
            i += 1
        if is_ordered:
            embedded.retrain()
        _sync(embedded, both, "events", piece)
        _answer(embedded, both, world, asked)


def _answer(
    embedded: Embedded, both: tuple[OnKafka, ...], world: World, asked: list[LabelRequested]
) -> None:
    waiting: list[bytes] = []
    for number, request in enumerate(asked):
        value = json.dumps(
            {
                "request_id": request.request_id,
                "label": world.label(request.event_id),
                "annotator": "eva",
                "at": BEGAN_AT + number,
            }
        ).encode()
        waiting.append(value)
        (answer,) = AnswersDecoder().decode([value])
        outputs = embedded.feed(answer)
        more = [output for output in outputs if isinstance(output, LabelRequested)]
        asked += more
        is_ordered = any(isinstance(output, RetrainRequested) for output in outputs)
        if is_ordered:
            embedded.retrain()
        # Nobody can answer what the workers have not asked yet.
        if is_ordered or more:
            _sync(embedded, both, "answers", waiting)
            waiting = []
    if waiting:
        _sync(embedded, both, "answers", waiting)


def _sync(embedded: Embedded, both: tuple[OnKafka, ...], setting: str, values: list[bytes]) -> None:
    for player in both:
        player.send(setting, values)
    for player in both:
        player.wait(embedded.said)


class _Event(msgspec.Struct):
    id: str
    at: float
    features: dict[str, float]

    def event(self) -> Event:
        return Event(id=self.id, at=self.at, features=dict(self.features))
