"""What one event, label, step, snapshot and rebalance cost: the worker's real parts, measured.

Used by `scaling.py`, which prints what is found here and puts it into a model. Times are CPU
seconds of this process, mostly the best of some tries; where brokers or disks are waited for it is
said. Nothing here is estimated.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from headrace.flow import wire
from headrace.flow.desks import PartitionDesk
from headrace.flow.output_router import OutputRouter
from headrace.flow.owned import OwnedDesk, OwnedShard
from headrace.flow.produce import ProducerRecord
from headrace.flow.shards import PartitionShard
from headrace.flow.training import new_log
from headrace.learn.retrain import retrain
from headrace.learn.training_log import TrainingLog
from headrace.messages import (
    Answer,
    LabelRequested,
    LabelSettled,
    RequestExpired,
    RetrainRequested,
)
from headrace.observe.answers import AnswersDecoder
from headrace.observe.decode import Decoder
from headrace.settings import Settings, parse

BODIES_N = 1_000


@dataclass(frozen=True, slots=True)
class Kept:
    """A record as far as the worker reads it."""

    offset: int
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    timestamp: int = 0
    partition: int = 0


class Stream:
    """Events as JSON lines for ever, with what an annotator would answer.

    The features of `BODIES_N` events are made once and come again under new ids.
    """

    def __init__(self, features_n: int, seed: int = 1) -> None:
        rng = np.random.default_rng(seed)
        slope = rng.normal(size=features_n)
        rows = rng.normal(size=(BODIES_N, features_n)).round(6)
        self._bodies = [
            msgspec.json.encode({f"f{j}": x for j, x in enumerate(row)}) for row in rows.tolist()
        ]
        self._labels = ["a" if x > 0 else "b" for x in rows @ slope]
        self._seed = seed
        self.n = 0

    def take(self, n: int) -> list[bytes]:
        found = [
            b'{"id":"p%d-e%d","at":%.3f,"features":%b}'
            % (self._seed, i, 1.7e9 + i * 0.001, self._bodies[i % BODIES_N])
            for i in range(self.n, self.n + n)
        ]
        self.n += n
        return found

    def label(self, event_id: str) -> str:
        return self._labels[int(event_id.partition("-e")[2]) % BODIES_N]


def settings_of(features_n: int, model: str = "logistic", share: float = 0.0001) -> Settings:
    """Defaults, except the share asked; the classes are declared, and room for open requests."""
    return parse(
        {
            "schema": {
                "classes": ["a", "b"],
                "features": {f"f{j}": "numeric" for j in range(features_n)},
            },
            "model": {"name": model},
            "query": {"budget": {"share": share}},
        }
    )


class Bench:
    """A shard, a desk and a training log of one worker, fed by hand."""

    def __init__(self, settings: Settings, features_n: int, seed: int = 1) -> None:
        self.settings = settings
        self.stream = Stream(features_n, seed)
        self.log: TrainingLog = new_log(settings)
        self.owned = OwnedShard(PartitionShard(settings, 0, 1, self.log.trainer), 0, -1)
        self.desk = OwnedDesk(PartitionDesk(settings, 0), 0)
        self.router = OutputRouter(settings.kafka, writer="0123456789abcdef")
        self.decoder = Decoder(settings.input, settings.columns)
        self.training = 0

    def feed(self, lines: list[bytes]) -> list[LabelRequested]:
        """As the session does: fed, and turned into a batch; the requests that followed."""
        shard = self.owned.shard
        stop = shard.position + len(lines)
        records = [Kept(i, line, ()) for i, line in enumerate(lines, shard.position)]
        shard.feed(self.decoder, records, stop)
        batch = self.router.pack_step(self.owned, self.training)
        self.journal = batch.journal
        return [_REQUESTS.decode(record.value) for record in batch.to_desks]

    def settled(self, request: LabelRequested) -> LabelSettled:
        """What the desk says of this request once it is answered."""
        desk, at = self.desk.desk, request.at
        desk.fold(request, at, desk.position)
        label = self.stream.label(request.event_id)
        said = desk.fold(
            Answer(request_id=request.request_id, label=label, at=at, annotator="ann"),
            at,
            desk.position,
        )
        found = said[-1].output
        assert isinstance(found, LabelSettled)
        return found

    def learn(self, entry: LabelSettled) -> None:
        self.log.fold(entry)
        self.training += 1
        self.owned.shard.hear_entry(entry, self.log)

    def grow(self, events_n: int, labels_n: int = 0) -> None:
        """So many events, of which the first requests are answered and learned."""
        for _ in range(0, events_n, 2_000):
            for request in self.feed(self.stream.take(2_000)):
                if self.log.trainer.champion.learned_n < labels_n:
                    self.learn(self.settled(request))


_REQUESTS = msgspec.json.Decoder(LabelRequested)


def cpu_of(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


# ------------------------------------------------------------------------------ events, labels


@dataclass
class Costs:
    """CPU seconds and bytes, for one number of features and one model."""

    features_n: int
    model: str
    event: float = 0.0  # a further event of a batch
    feed: float = 0.0  # a batch, whatever its size, after a label was folded
    request: float = 0.0  # what a request costs its shard
    fold: float = 0.0  # a label at the trainer
    own: float = 0.0  # the same at the shard that asked
    foreign: float = 0.0  # at any other, each further one
    first: float = 0.0  # at any other, the first after a batch, on top
    desk_request: float = 0.0
    desk_answer: float = 0.0
    route: float = 0.0
    retrain: float = 0.0
    step_encoded: float = 0.0
    step_decoded: float = 0.0
    bytes_of: dict[str, int] = field(default_factory=dict)

    def with_model(self, of: Costs) -> Costs:
        """The same, with what depends on the model from another."""
        return replace(
            self,
            model=of.model,
            event=of.event,
            feed=of.feed,
            fold=of.fold,
            retrain=of.retrain,
        )


def costs(features_n: int, model: str = "logistic") -> Costs:
    """All costs of events and labels."""
    found = Costs(features_n, model)
    slow = model not in ("logistic", "naive-bayes")
    asking = Bench(settings_of(features_n, model, 0.05), features_n)
    asking.grow(4_000 if slow else 20_000, 200 if slow else 500)
    _events(found, asking.log, features_n, 400 if slow else 2_000)
    requests = [r for _ in range(5) for r in asking.feed(asking.stream.take(2_000))]
    if model == "logistic":
        _asking(found, features_n, asking.log)
        _desks(found, asking, requests)
    entries = [asking.settled(request) for request in requests]
    _labels(found, asking, entries, features_n)
    entry = RetrainRequested(job_id=0, at=0.0, reason="drift", examples_n=0, model_version=0)
    asking.log.fold(entry)
    job = asking.log.trainer.retrainings.open_job
    assert job is not None
    per_example = cpu_of(lambda: retrain(job)) / len(job.examples)
    found.retrain = per_example * asking.settings.learn.memory_n
    return found


def _watching(features_n: int, log: TrainingLog, share: float, seed: int = 3) -> Bench:
    bench = Bench(settings_of(features_n, "logistic", share), features_n, seed)
    bench.log = log
    bench.owned.shard.attach_trainer(log.trainer)
    return bench


def _events(found: Costs, log: TrainingLog, features_n: int, large: int) -> None:
    """A line through the costs of small and large batches, each at a new version of the model."""
    bench = _watching(features_n, log, 0.0001)
    bench.grow(6_000 if large == 2_000 else 2_000)
    at = {}
    for n, times in ((2, 60), (large, 3)):
        tries = []
        for _ in range(5):
            spent = 0.0
            for _ in range(times):
                log.fold(RequestExpired(request_id="x", event_id="x", at=0.0, answers_n=0))
                lines = bench.stream.take(n)
                spent += cpu_of(lambda lines=lines: bench.feed(lines))
            tries.append(spent / times)
        at[n] = min(tries)
    found.event = (at[large] - at[2]) / (large - 2)
    found.feed = max(0.0, at[2] - 2 * found.event)


def _asking(found: Costs, features_n: int, log: TrainingLog) -> None:
    """What 1 % asked costs above 0.01 %, by request; both in turn."""
    few, many = _watching(features_n, log, 0.0001, 4), _watching(features_n, log, 0.01, 5)
    few.grow(4_000)
    many.grow(4_000)
    tries = []
    for _ in range(5):
        lines, others = few.stream.take(2_000), many.stream.take(2_000)
        requests: list[LabelRequested] = []
        without = cpu_of(lambda lines=lines: few.feed(lines))
        more = cpu_of(lambda lines=others, out=requests: out.extend(many.feed(lines)))
        tries.append((more - without) / max(1, len(requests)))
    found.request = sorted(tries)[2]


def _labels(found: Costs, asking: Bench, entries: list[LabelSettled], features_n: int) -> None:
    records = [Kept(i, wire.value_of(entry), ()) for i, entry in enumerate(entries)]
    found.bytes_of["training entry"] = len(records[0].value)
    entries, records = entries[:300], records[:300]

    def folded() -> None:
        for record in records:
            read = wire.entry_of(record)
            assert read is not None
            asking.log.fold(*read)

    found.fold = min(cpu_of(folded) / len(records) for _ in range(3))
    if found.model != "logistic":
        return
    shard = asking.owned.shard
    found.own = cpu_of(lambda: _tell(shard, asking.log, entries)) / len(entries)
    other = _watching(features_n, asking.log, 0.0001, 6)
    other.grow(6_000)
    heard = other.owned.shard
    heard.hear_entry(entries[0], asking.log)
    found.foreign = min(
        cpu_of(lambda: _tell(heard, asking.log, entries)) / len(entries) for _ in range(3)
    )
    tries = []
    for _ in range(60):
        other.feed(other.stream.take(50))
        tries.append(cpu_of(lambda: heard.hear_entry(entries[0], asking.log)))
    found.first = max(0.0, sorted(tries)[30] - found.foreign)


def _tell(shard: PartitionShard, log: TrainingLog, entries: list[LabelSettled]) -> None:
    for entry in entries:
        shard.hear_entry(entry, log)


def _desks(found: Costs, asking: Bench, requests: list[LabelRequested]) -> None:
    """A desk's partition: requests in, answers in, ends out; and an answer on its way to it."""
    settings, router = asking.settings, asking.router
    desk = OwnedDesk(PartitionDesk(settings, 0), 0)
    answers = [
        msgspec.json.encode(
            {"request_id": r.request_id, "label": "a", "at": r.at, "annotator": "ann-17"}
        )
        for r in requests
    ]
    records = [router.route_to_desk(request, request.at) for request in requests]

    def keep_records(records: list[ProducerRecord], start: int) -> list[Kept]:
        return [Kept(start + i, p.value, tuple(p.headers)) for i, p in enumerate(records)]

    n = len(requests)
    first = keep_records(records, 0)
    found.desk_request = cpu_of(lambda: router.fold_desk_records(desk, first)) / n
    routed: list[ProducerRecord] = []

    decoder = AnswersDecoder()

    def route() -> None:
        for i, value in enumerate(answers):
            for answer in decoder.decode([value], "answers, partition 0", [i]):
                assert isinstance(answer, Answer)
                routed.append(router.route_to_desk(answer, 1.7e9))

    found.route = cpu_of(route) / n
    second = keep_records(routed, n)
    found.desk_answer = cpu_of(lambda: router.fold_desk_records(desk, second)) / n
    journal = asking.journal
    assert journal is not None
    step = wire.step_of(Kept(0, journal.value, ()))
    assert step is not None
    plain = msgspec.structs.replace(step, asked=[], decided=[])
    found.step_encoded = min(
        cpu_of(lambda: [wire.value_of(plain) for _ in range(2_000)]) / 2_000 for _ in range(3)
    )
    record = Kept(0, wire.value_of(plain), ())
    found.step_decoded = min(
        cpu_of(lambda: [wire.step_of(record) for _ in range(2_000)]) / 2_000 for _ in range(3)
    )
    found.bytes_of |= {
        "event": len(asking.stream.take(1)[0]),
        "journal record": len(record.value),
        "each request in it": (len(journal.value) - len(record.value)) // len(step.asked),
        "request": len(records[0].value),
        "answer": len(answers[0]),
        "answer in desk log": len(routed[0].value),
    }


def asked_of_earned(partitions_n: int, share: float, burst: int) -> tuple[float, float]:
    """Of the labels that one of so many shards earns, the parts asked and chosen by the strategy.

    Every request is answered at once.
    """
    settings = settings_of(20, share=share)
    budget = msgspec.structs.replace(settings.query.budget, burst=burst)
    settings = msgspec.structs.replace(
        settings,
        query=msgspec.structs.replace(settings.query, budget=budget),
        # Room is not what is looked at here.
        label=msgspec.structs.replace(settings.label, open_max=10_000 * partitions_n),
    )
    bench = Bench(settings, 20)
    shard = PartitionShard(settings, 0, partitions_n, bench.log.trainer)
    bench.owned, events_n, asked_n, chosen_n = OwnedShard(shard, 0, -1), 20_000, 0, 0
    for _ in range(0, events_n, 500):
        for request in bench.feed(bench.stream.take(500)):
            asked_n += 1
            chosen_n += request.strategy != "random"
            bench.learn(bench.settled(request))
    earned = events_n * share
    return asked_n / earned, chosen_n / earned
