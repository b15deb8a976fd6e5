"""Lives of a cluster that chance draws: what happens when, from events to the last deadline."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from headrace import Answer, LabelRequested, Settings
from headrace.flow.effects import Part
from headrace.flow.produce import ProducerRecord
from headrace.settings import parse
from simulation.cluster import BEGAN_AT, Cluster, Kept, encoded
from simulation.cluster_caps import CAP, CAP_FAULTS, MONEY, PRICES
from simulation.cluster_logs import LOG_FAULTS, put_back

EVENTS_N, DEADLINE_S = 60, 100.0
FED_S, CALM_S = 60.0, 60.0
ANSWERED = 0.85
LOGS_HURT = 0.4
"""Worlds in which something happens to a log."""


RESCORES: dict[str, Any] = {
    "open": {"rescored": "withdrawn", "every_n": 5},
    "cold_start": {"per_class_n": 0},
    "control_share": 0.1,
    "arrival": {"rule": "split"},
}
"""Doubt chooses from the first label on, and questions are taken back that it no longer needs."""


def settings_of(seed: int) -> Settings:
    """Every second world scores open questions again."""
    return msgspec.structs.replace(_settings(limited_by(seed), seed % 2 == 1), seed=seed)


def limited_by(seed: int) -> str:
    """Of three worlds one has a cap, one has money, one has neither."""
    return ("cap", "money", "")[seed % 3]


@functools.cache
def _settings(limited: str, rescores: bool) -> Settings:
    budget: dict[str, Any] = {"share": 0.3, "start": 2}
    if limited == "cap":
        budget["cap"] = CAP
    elif limited:
        budget |= {"money": MONEY} | PRICES
    return parse(
        {
            "model": {"name": "simulation.nearest_mean:NearestMean"},
            "schema": {"classes": ["high", "low"]},
            "observe": {"window_n": 40, "reservoir_n": 40},
            "query": {"budget": budget} | (RESCORES if rescores else {}),
            "label": {"deadline_s": DEADLINE_S},
            "drift": {
                "check_every_n": 20,
                "hold_n": 20,
                "watch": [{"signal": "features", "detector": "psi", "level": "drift"}],
            },
            "learn": {"retrain_labels_min": 8, "retrain_every_n": 12},
            "kafka": {"desk_partitions": 2},
            "worker": {"snapshot_every_s": 20.0, "quiet_tick_s": 2.0},
        }
    )


class World:
    """A cluster, the events and answers that come to it, and the faults of this seed."""

    def __init__(self, seed: int, faults: tuple[str, ...] | None = None) -> None:
        self.luck = luck = random.Random(f"world {seed}")
        self.settings = settings_of(seed)
        self.cluster = cluster = Cluster(self.settings, seed)
        self.asked: set[str] = set()
        self.answered: set[str] = set()
        self.cut: set[int] = set()
        self.began_n = cluster.partitions_n
        self.was_cut_off = self.has_grown = self.has_begun_anew = False
        self.refused: list[str] = []
        self.events_n = 0
        cluster.on_request = self._requested
        self.hurt: set[tuple[str, str]] = set()
        budget = self.settings.query.budget
        self.limited = limited_by(seed)
        limit = getattr(budget, self.limited, None)
        self.limits: list[tuple[int, float | None]] = [] if limit is None else [(0, limit)]
        every = sorted(FAULTS)
        self.faults = tuple(luck.sample(every, 3)) if faults is None else faults
        if faults is None and luck.random() < LOGS_HURT:
            self.faults += (luck.choice(sorted(LOG_FAULTS)),)
        self.drawn = self.faults
        cluster.saved_kept = luck.choice(("all", "all", "none", "some", "old"))
        cluster.has_ids = luck.random() < 0.75
        for _ in range(luck.randint(1, 3)):
            cluster.after(luck.uniform(0.0, 5.0), cluster.start)
        for i in range(EVENTS_N):
            cluster.after(1.0 + FED_S * i / EVENTS_N, self._event)
        for name in self.faults:
            for _ in range(2):
                cluster.after(luck.uniform(5.0, FED_S + 10.0), partial(self._fault, name))

    def live(self, *, puts_back: bool = False) -> World:
        """Until every event is fed and every request has ended.

        With `puts_back` what was lost of the logs is there again when all that is bad is over.
        """
        cluster = self.cluster
        cluster.run(FED_S + 30.0)
        if puts_back:
            for worker in cluster.workers:
                worker.kill()
            cluster.run(FED_S + 45.0)
            self.refused, cluster.refused = cluster.refused, []
            put_back(self)
            kafka = msgspec.structs.replace(cluster.kafka, check_topic_ids=False)
            cluster.settings = msgspec.structs.replace(cluster.settings, kafka=kafka)
        self.heal()
        # What was deleted shows when something follows.
        for number in range(cluster.partitions_n):
            self._event(number)
        cluster.run(FED_S + CALM_S + 15.0 * puts_back)
        # Nothing comes any more: the clock of the day passes all deadlines.
        cluster.run(FED_S + CALM_S + DEADLINE_S)
        return self

    def heal(self) -> None:
        """From now on nothing happens any more; somebody works."""
        self.faults = ()
        for worker in self.cluster.workers:
            worker.clock_off_s = 0.0
        alive = [worker for worker in self.cluster.workers if not worker.is_dead]
        if not alive:
            self.cluster.start()

    def _fault(self, name: str) -> None:
        if name in self.faults:
            (FAULTS | LOG_FAULTS | CAP_FAULTS)[name](self)

    def _event(self, partition: int | None = None) -> None:
        cluster, luck = self.cluster, self.luck
        self.events_n += 1
        event = {
            "id": f"e{self.events_n}",
            "at": BEGAN_AT + cluster.now,
            "features": {"x": luck.random() + (cluster.now > FED_S / 2), "y": luck.random()},
        }
        n = luck.randrange(cluster.partitions_n) if partition is None else partition
        cluster.send(ProducerRecord(cluster.kafka.events, encoded(event), partition=n))

    def _requested(self, record: Kept) -> None:
        """Somebody answers, once, after a while."""
        if b'"LabelRequested"' not in record.value:
            return
        request = msgspec.json.decode(record.value, type=LabelRequested)
        if request.request_id in self.asked:
            return
        self.asked.add(request.request_id)
        if self.luck.random() > ANSWERED:
            return
        label = "high" if request.features["x"] + request.features["y"] > 1.0 else "low"
        answer = Answer(
            request_id=request.request_id, label=label, at=request.at + 1.0, annotator="eva"
        )
        record = ProducerRecord(self.cluster.kafka.answers, encoded(answer), partition=0)
        self.answered.add(request.request_id)
        self.cluster.after(self.luck.uniform(0.5, 20.0), lambda: self.cluster.send(record))

    # ------------------------------------------------------------------------------- faults

    def some(self) -> Any:
        alive = [w for w in self.cluster.workers if not w.is_dead and not w.is_frozen]
        return self.luck.choice(alive) if alive else None

    def kill(self) -> None:
        worker = self.some()
        if worker is not None:
            worker.kill()
            self.cluster.after(self.luck.uniform(0.1, 5.0), self.cluster.start)

    def join(self) -> None:
        self.cluster.start()

    def stop(self) -> None:
        worker = self.some()
        if worker is not None:
            worker.stop()
            self.cluster.after(self.luck.uniform(0.1, 5.0), self.cluster.start)

    def freeze(self) -> None:
        worker = self.some()
        if worker is not None:
            self.was_cut_off = True
            worker.freeze(self.luck.choice((2.0, 12.0, 25.0)))

    def share_anew(self) -> None:
        self.cluster.share()

    def clock(self) -> None:
        worker = self.some()
        if worker is not None:
            worker.clock_off_s = self.luck.choice((-7_200.0, 3_600.0, 36_000.0))

    def move_offsets(self) -> None:
        """An operator moves the group, but not its answers past what was not read."""
        cluster, kafka = self.cluster, self.cluster.kafka
        for part in cluster.parts():
            is_route = part.topic in (kafka.answers, kafka.drift)
            cluster.committed[part] = (
                0 if is_route else self.luck.choice((0, cluster.log(part).end))
            )

    def cut_events(self) -> None:
        """Retention takes what was decided, and three that nobody has read."""
        cluster = self.cluster
        part = Part(cluster.kafka.events, self.luck.randrange(cluster.partitions_n))
        for _ in range(3):
            self._event(part.partition)
        cluster.cut(part, cluster.log(part).end)
        # What nobody has read or committed begins where its log does.
        journal = cluster.log(Part(cluster.kafka.journal, part.partition))
        if part in cluster.committed or journal.end:
            self.cut.add(part.partition)

    def truncate_events(self) -> None:
        """A broker loses the end of a log."""
        cluster = self.cluster
        log = cluster.log(Part(cluster.kafka.events, 0))
        del log.records[len(log.records) // 2 :]

    def recreate_answers(self) -> None:
        """Deleted with all that was read, and made anew; brokers forget the group's place."""
        cluster, part = self.cluster, Part(self.cluster.kafka.answers, 0)
        place = cluster.committed.get(part, 0)
        unread = cluster.log(part).since(place)
        if place <= len(unread) + 3:
            return  # Who stands within the new log can't know that it is another one.
        del cluster.logs[part], cluster.committed[part]
        cluster.topics_n[part.topic] += 1
        for record in unread:
            cluster.send(ProducerRecord(part.topic, record.value, partition=0))

    def add_partition(self) -> None:
        if self.cluster.partitions_n < 4:
            self.has_grown = True
            self.cluster.partitions_n += 1
            self.cluster.share()


FAULTS: dict[str, Callable[[World], None]] = {
    name: getattr(World, name)
    for name in (
        "kill",
        "join",
        "stop",
        "freeze",
        "share_anew",
        "clock",
        "move_offsets",
        "cut_events",
        "truncate_events",
        "recreate_answers",
        "add_partition",
    )
}
