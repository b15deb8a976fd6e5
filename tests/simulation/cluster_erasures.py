"""Clusters of which persons are erased, and what is left of them in states and logs.

The audit shares no code with the flow: it follows the origins of the training log by itself, and
looks for the bytes of a person's names in all that workers hold and have saved.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from functools import partial
from typing import Any

import msgspec

from headrace.flow import wire
from headrace.flow.desks import PartitionDesk
from headrace.flow.effects import Part, Saving
from headrace.flow.produce import ProducerRecord
from headrace.flow.saving import FrozenLog, freeze_part, parts_to_save
from headrace.flow.training import new_log
from headrace.learn.retrain import attempt_job
from headrace.state.compare import find_differences
from simulation.cluster import BEGAN_AT, encoded
from simulation.cluster_audit import Audit, rows_of, steps_of
from simulation.cluster_orders import ENDS
from simulation.cluster_worlds import FED_S, World

PERSONS_N = 5
ERASED = {"ada-0": "key", "Person-1": "who"}
"""Names of those who are erased, and what field has them."""

LAST_AT = FED_S + 50.0
"""When all orders are given once more, as is told where events were not read yet."""


def salted(text: str, salt: str) -> str:
    """As the page says it; not by the code that is tried."""
    return hashlib.blake2b(text.encode(), key=bytes.fromhex(salt), digest_size=16).hexdigest()


class ErasedWorld(World):
    """A world of five persons, of whom two are erased; an order is sent up to three times.

    Once a person is to be erased no event of theirs is sent any more.
    """

    def __init__(self, seed: int, faults: tuple[str, ...]) -> None:
        self.gone: set[str] = set()
        self.names: dict[str, str] = {}
        super().__init__(seed, faults)
        luck = random.Random(f"erased {seed}")
        settings = self.settings
        label = msgspec.structs.replace(settings.label, closed_n=30)
        learn = msgspec.structs.replace(settings.learn, versions_kept=2, version_every_n=4)
        # One that learns categories, which may name a person.
        model = msgspec.structs.replace(settings.model, name="logistic")
        self.settings = settings = msgspec.structs.replace(
            settings, label=label, learn=learn, model=model
        )
        self.cluster.settings = settings
        self.sent: set[str] = set()
        for n, name in enumerate(ERASED):
            at = luck.uniform(20.0, FED_S)
            times = [at + luck.choice((0.0, 0.01, 5.0)) * i for i in range(luck.randint(1, 3))]
            for moment in times:
                self.cluster.after(moment, partial(self.erase, name, f"order {n}"))
            self.cluster.after(LAST_AT, partial(self.erase, name, f"again {n}"))

    def erase(self, name: str, key: str) -> None:
        """Order it, as `headrace erase` does."""
        self.gone.add(name)
        self.sent.add(key)
        salt = hashlib.sha256(key.encode()).hexdigest()[:32]
        labelled = [
            row["request_id"]
            for _, row, _ in rows_of(self.cluster.written[Part(self.cluster.kafka.training, 0)])
            if row["type"] == "LabelSettled" and self.is_about(name, row)
        ]
        order = {
            "type": "ErasureOrdered",
            "at": BEGAN_AT + self.cluster.now,
            "key": key,
            "field": ERASED[name],
            "values": [salted(name, salt)],
            "salt": salt,
            "request_ids": sorted(set(labelled)),
            "is_learned": bool(labelled),
        }
        value = json.dumps(order).encode()
        self.cluster.send(ProducerRecord(self.cluster.kafka.answers, value, b"headrace-order/1", 0))

    @staticmethod
    def is_about(name: str, row: dict[str, Any]) -> bool:
        return name in (row.get("key"), row["features"].get("who"))

    def _event(self, partition: int | None = None) -> None:
        cluster, luck = self.cluster, self.luck
        self.events_n += 1
        person = self.events_n % PERSONS_N
        key, who = f"ada-{person}", f"Person-{person}"
        if self.gone & {key, who}:
            return
        at = BEGAN_AT + cluster.now
        features = {"x": luck.random() + (cluster.now > FED_S / 2), "y": luck.random(), "who": who}
        event = {"id": f"e{self.events_n}", "at": at, "key": key, "features": features}
        n = luck.randrange(cluster.partitions_n) if partition is None else partition
        cluster.send(ProducerRecord(cluster.kafka.events, encoded(event), partition=n))


class ErasureAudit:
    """What is wrong with the erasures of a world, as sentences; `forgotten` counts, by where."""

    def __init__(self, world: ErasedWorld) -> None:
        self.world, self.cluster = world, world.cluster
        self.kafka = self.cluster.kafka
        self.forgotten: Counter[str] = Counter()
        self.refitted_n = 0
        self.erased_ids = self._erased_ids()
        self.wrong = [one for one in Audit(world).wrong if not self._is_about_erased(one)]
        if not self.cluster.refused:
            self._orders()
            self._withdrawn()
            self._names()
            self._again()

    def _rows(self, topic: str, partition: int = 0) -> Any:
        return rows_of(self.cluster.written[Part(topic, partition)])

    def _erased_ids(self) -> set[str]:
        """The requests about those who are erased."""
        rows = self._rows(self.kafka.requests)
        return {
            row["request_id"]
            for _, row, _ in rows
            if row["type"] == "LabelRequested"
            and any(self.world.is_about(name, row) for name in ERASED)
        }

    def _is_about_erased(self, sentence: str) -> bool:
        """Their answers may come too late, and a request that was forgotten may end once more."""
        is_end = "the answer to" in sentence or "ended 2 times" in sentence
        return is_end and any(name in sentence for name in self.erased_ids)

    def _orders(self) -> None:
        """Each desk passes each order on once, and each shard says once what came of it."""
        heard: dict[int, tuple[int, int]] = {}
        counted: Counter[tuple[str, int]] = Counter()
        for _, entry, headers in self._rows(self.kafka.training):
            if entry["type"] not in (*ENDS, "ErasureOrdered"):
                continue
            desk, *rest = map(int, headers["headrace-origin"].split())
            place, before = (rest[0], rest[1]), (rest[2], rest[3])
            last = heard.get(desk, (-1, -1))
            if place > last and before in (last, (-1, -1)):
                heard[desk] = place
                if entry["type"] == "ErasureOrdered":
                    counted[(entry["key"], desk)] += 1
        wanted = {(key, n) for key in self.world.sent for n in range(self.kafka.desk_partitions)}
        for key, n in sorted(wanted | counted.keys()):
            if counted[(key, n)] != 1:
                self.wrong.append(f"desk {n} passed {key} on {counted[(key, n)]} times")
        said: Counter[tuple[str, int]] = Counter()
        for number in range(self.world.began_n):
            for step in steps_of(self._rows(self.kafka.journal, number)):
                for told in step.get("orders", []):
                    said[(told["order"], number)] += 1
                    self.forgotten.update(told.get("erased", {}))
                    self.refitted_n += told.get("is_refitted", False)
        for key, n in sorted(wanted):
            for number in range(self.world.began_n):
                times = said[(f"erasure {n} {key}", number)]
                if times != 1:
                    self.wrong.append(f"partition {number} says {times} times what came of {key}")

    def _withdrawn(self) -> None:
        """Annotators are told that the questions are moot, without the id of an event."""
        for _, row, _ in self._rows(self.kafka.requests):
            if row["type"] == "RequestWithdrawn" and row["reason"] == "erased":
                self.forgotten["withdrawn"] += 1
                if row["event_id"]:
                    self.wrong.append(f"{row} names an event")

    def _names(self) -> None:
        """No state of a worker, and none that was saved since, has a name of those who are gone."""
        for worker in self.cluster.workers:
            if worker.is_dead or worker.flow is None:
                continue
            log = FrozenLog(worker.flow.training)
            for name in parts_to_save(worker.flow):
                if part := freeze_part(worker.flow, name, log):
                    self._look_in(f"worker {worker.number}", part)
        for parts in self.cluster.saved.values():
            self._look_in("a snapshot", parts[-1])
        for name in ERASED:
            found = [
                r for r in self._own_logs() if name.encode() in r.value and b"Ordered" in r.value
            ]
            if found:
                self.wrong.append(f"an order says {name}")

    def _own_logs(self) -> list[Any]:
        topics = (self.kafka.answers, self.kafka.desk, self.kafka.training, self.kafka.journal)
        return [
            r for part, log in self.cluster.written.items() if part.topic in topics for r in log
        ]

    def _look_in(self, whose: str, part: Saving) -> None:
        for name, field in ERASED.items():
            if any(name.encode() in blob for blob in (part.blob, part.training)):
                self.wrong.append(f"{whose}, {part.kind} {part.number}, holds {field} {name}")

    def _again(self) -> None:
        """Who folds the logs from their beginning comes to the same model and desks."""
        flows = [w.flow for w in self.cluster.workers if not w.is_dead and w.flow is not None]
        logs = self.cluster.logs
        if any(logs[part].first for part in logs) or not flows:
            return
        log = new_log(self.world.settings)
        for record in logs[Part(self.kafka.training, 0)].records:
            entry, origin = wire.entry_of(record) or (None, None)
            if entry is not None:
                job, challenger = log.trainer.retrainings.open_job, None
                if type(entry).__name__ == "ModelAdopted" and job is not None:
                    challenger = attempt_job(job)[0] if log.counts(entry) else None
                log.fold(entry, origin, challenger)
        if found := find_differences(log, flows[0].training.log):
            self.wrong.append(f"the training log folded again gives another model: {found[0]}")
        for flow in flows:
            for number, owned in flow.owned.desks.items():
                desk = PartitionDesk(self.world.settings, number)
                for record in logs[Part(self.kafka.desk, number)].records[: owned.desk.position]:
                    desk.fold(*wire.desk_input_of(record), record.offset)
                if found := find_differences(desk.state, owned.desk.state):
                    self.wrong.append(f"desk {number} folded again is another: {found[0]}")
