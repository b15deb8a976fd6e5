"""How an event, a label and memory grow: one thing varied at a time, two models.

An event's cost is that of watching (0.1 % of labels); a label's is what a stream with 5 % of labels
takes beyond it, for each label more. Shards are partitions that one process holds as a worker does:
they share its model, and each hears of every label; the same events are spread over them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import msgspec
from bench.engine_plugin import Found, Linear, Run, committee, engine_run
from bench.speed.rows import LONG_S, Row, Scale, memory_mib, yardstick

from headrace.flow.desks import PartitionDesk
from headrace.flow.shards import PartitionShard
from headrace.flow.training import new_log
from headrace.messages import Answer, LabelRequested, LabelSettled
from headrace.observe.decode import Decoder
from headrace.settings import Settings, parse

WATCHED, ASKED = 0.001, 0.05
MODELS = ("logistic", "committee")
AXES: dict[str, tuple[int, ...]] = {
    "features": (5, 20, 50, 100, 200, 500),
    "classes": (2, 10, 30, 100),
    "pool": (50, 500, 2_000),
    "window": (500, 2_000, 4_000),
    "reservoir": (500, 2_000, 4_000),
    "shards": (1, 4, 16, 64),
}
TURN_N = 1_000


def jobs() -> dict[str, Callable[[Scale], list[Row]]]:
    """A job a point."""
    return {
        f"growth/{axis}/{model}/{value:05d}": partial(_play, axis, model, value)
        for axis, values in AXES.items()
        for model in MODELS
        for value in values
    }


def with_labels(
    name: str, watched: Run, asked: Run, repeats_n: int, *, is_of_asking: bool = False
) -> Row:
    """The row of two runs in turn: an event's cost while watching, or asking, and a label's."""
    before, peak = memory_mib("VmRSS"), None
    found: list[tuple[Found, Found, Found]] = []
    began, bare = time.perf_counter(), yardstick()
    while len(found) < repeats_n and (not found or time.perf_counter() - began < LONG_S):
        found.append((asked(), watched(), bare()))
        peak = peak or memory_mib("VmHWM")
    asking, watching, beside = (
        min((turn[i] for turn in found), key=lambda one: one["cpu_s"]) for i in range(3)
    )
    n, labels_n = asking["events"], asking["labels"] - watching["labels"]
    beyond_s = asking["cpu_s"] - watching["cpu_s"]
    return Row(
        name=name,
        events_n=n,
        us=1e6 * (asking if is_of_asking else watching)["cpu_s"] / n,
        bare_us=1e6 * beside["cpu_s"] / beside["events"],
        label_us=1e6 * beyond_s / labels_n if labels_n > 0 else None,
        labels_n=asking["labels"],
        peak_mib=peak,
        own_mib=None if peak is None or before is None else peak - before,
        note=f"{retrained_n} retrainings" if (retrained_n := asking.get("retrained")) else "",
    )


def _play(axis: str, model: str, value: int, scale: Scale) -> list[Row]:
    run_of = _shards if axis == "shards" else _engine
    watched, asked = (run_of(axis, model, value, share, scale) for share in (WATCHED, ASKED))
    return [with_labels(f"{value}", watched, asked, scale.repeats_n)]


def _engine(axis: str, model: str, value: int, share: float, scale: Scale) -> Run:
    features_n = value if axis == "features" else 20
    classes_n = value if axis == "classes" else 2
    rounds = {"ask": "rounds", "rounds": {"every_n": value}}
    settings = {
        "model": {"name": model},
        "query": rounds if axis == "pool" else {},
        "observe": {f"{axis}_n": value} if axis in ("window", "reservoir") else {},
    }
    stream = Linear.of(scale.events_n, features_n, 7, classes_n)
    return engine_run(stream, committee, share, settings=settings)


# ------------------------------------------------------------------------------ partitions


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a partition as far as a shard reads it."""

    offset: int
    value: bytes
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


def _shards(axis: str, model: str, value: int, share: float, scale: Scale) -> Run:
    budget = {"share": share, "burst": max(200, 20 * value)}
    settings = parse(
        {
            "schema": {"classes": ["0", "1"]},
            "model": {"name": model},
            "query": {"budget": budget},
        }
    )
    stream = Linear.of(scale.events_n, 20, 7)
    names = [f"f{j:03d}" for j in range(20)]
    records: list[list[Record]] = [[] for _ in range(value)]
    for i, row in enumerate(stream.X.tolist()):
        features = dict(zip(names, row, strict=True))
        line = msgspec.json.encode({"id": f"e{i}", "at": float(i), "features": features})
        records[i % value].append(Record(i // value, line))
    return lambda: Partitions(settings, value).play(records, stream.y.tolist())


class Partitions:
    """Shards, a desk and a trainer, fed in turns; what a turn asks is answered behind it.

    Nothing is retrained: the stream does not drift.
    """

    def __init__(self, settings: Settings, n: int) -> None:
        self.log = new_log(settings)
        self.shards = [PartitionShard(settings, p, n, self.log.trainer) for p in range(n)]
        self.desk = PartitionDesk(settings, 0)
        self.decoder = Decoder(settings.input, settings.columns)
        self.labels_n = self.training = 0

    def play(self, records: list[list[Record]], truths: list[int]) -> Found:
        """All records, so many a turn that a turn has `TURN_N`."""
        piece_n = max(1, TURN_N // len(self.shards))
        wall, cpu = time.perf_counter(), time.process_time()
        for start in range(0, max(map(len, records)), piece_n):
            asked: list[LabelRequested] = []
            for shard, all_of in zip(self.shards, records, strict=True):
                piece = all_of[start : start + piece_n]
                shard.feed(self.decoder, piece, start + len(piece))
                asked += self._take(shard)
            for request in asked:
                self._answer(request, str(truths[int(request.event_id[1:])]))
        return {
            "events": len(truths),
            "wall_s": time.perf_counter() - wall,
            "cpu_s": time.process_time() - cpu,
            "labels": self.labels_n,
        }

    def _take(self, shard: PartitionShard) -> list[LabelRequested]:
        taken = shard.take_step(self.training, shard.journal)
        shard.journal += 1
        return [output for output in taken.outputs if isinstance(output, LabelRequested)]

    def _answer(self, request: LabelRequested, label: str) -> None:
        desk, at = self.desk, request.at
        answer = Answer(request_id=request.request_id, label=label, at=at, annotator="ann")
        for entry in (request, answer):
            for said in desk.fold(entry, at, desk.position):
                if isinstance(said.output, LabelSettled):
                    self._learn(said.output)

    def _learn(self, entry: LabelSettled) -> None:
        self.labels_n += 1
        self.training += 1
        folded = self.log.fold(entry)
        if folded is not None:
            for shard in self.shards:
                shard.hear_entry(folded, self.log)
