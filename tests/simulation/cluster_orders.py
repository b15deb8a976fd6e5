"""Clusters of which rounds are ordered, and older versions of the model, and what the logs say.

The audit shares no code with the flow: it follows the origins of the training log and the chains of
the journals by itself, as `cluster_audit` does for the ends of requests.
"""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from functools import partial
from typing import Any

import msgspec

from headrace.flow.effects import Part
from headrace.flow.order_outcomes import OrderOutcomes
from headrace.flow.produce import ProducerRecord
from headrace.settings.query import ArrivalSettings
from simulation.cluster import Worker
from simulation.cluster_audit import Rows, rows_of, steps_of
from simulation.cluster_worlds import FED_S, World

ROUNDS_N = 6
KINDS = {"RoundOrdered": "round", "RollBackOrdered": "roll-back"}
ENDS = ("LabelSettled", "LabelDisputed", "RequestExpired", "RequestWithdrawn", *KINDS)


class OrderedWorld(World):
    """A world whose operators order at times of their own; `sent` are keys by the kind of order.

    A key is sent up to three times, as a cron job does that is restarted.
    """

    def __init__(self, seed: int, faults: tuple[str, ...]) -> None:
        super().__init__(seed, faults)
        self.operators = luck = random.Random(f"operators {seed}")
        settings, budget = self.settings, self.settings.query.budget
        budget = msgspec.structs.replace(budget, start=40, burst=80)
        # What is kept is left to those who order.
        rounds = msgspec.structs.replace(settings.query.rounds, every_n=500, drift_n=0)
        settings = msgspec.structs.replace(
            settings,
            query=msgspec.structs.replace(
                settings.query, budget=budget, rounds=rounds, arrival=ArrivalSettings()
            ),
            learn=msgspec.structs.replace(settings.learn, versions_kept=3, version_every_n=5),
        )
        self.settings = self.cluster.settings = settings
        self.sent: set[tuple[str, str]] = set()
        for i in range(ROUNDS_N):
            n = luck.choice((None, 1, 2, 3, 5, 7))
            for _ in range(luck.randint(1, 3)):
                at = luck.uniform(10.0, FED_S + 20.0)
                self.cluster.after(at, partial(self.order_round, f"round {i}", n))
        for i in range(4):
            at = luck.uniform(20.0, FED_S + 20.0)
            self.cluster.after(at, partial(self.order_version, f"version {i}", i == 3))
        self.cluster.after(FED_S, self.send_nonsense)

    def order(self, kind: str, key: str, **fields: Any) -> None:
        self.sent.add((kind, key))
        order = {"type": kind, "at": 0.0, "key": key, "by": "ann", **fields}
        self.put(json.dumps(order).encode())

    def put(self, value: bytes, key: bytes = b"headrace-order/1") -> None:
        self.cluster.send(ProducerRecord(self.cluster.kafka.answers, value, key, 0))

    def order_round(self, key: str, labels_n: int | None) -> None:
        self.order("RoundOrdered", key, labels_n=labels_n)

    def order_version(self, key: str, is_missing: bool) -> None:
        """One that the operator is shown; or one that there never was."""
        flows = [w.flow for w in self.cluster.workers if w.flow is not None and not w.is_dead]
        kept = [
            v.number for flow in flows if flow.is_open for v in flow.training.trainer.versions.kept
        ]
        to = 999 if is_missing else self.operators.choice(kept or [998])
        self.order("RollBackOrdered", key, to=to)

    def send_nonsense(self) -> None:
        self.put(b'{"type": "RoundOrdered", "at": 0.0, "labels_n": 0}')
        self.put(b'{"type": "RoundOrdered", "at": 0.0}', b"headrace-order/2")
        self.put(b'{"type": "Order"}')


def counted_orders(rows: Rows) -> list[dict[str, Any]]:
    """The orders that count, in order: by their place among what a desk said, and their keys."""
    heard: dict[int, tuple[int, int]] = {}
    found, names = [], set[tuple[str, str]]()
    for _, entry, headers in rows:
        if entry["type"] not in ENDS:
            continue
        desk, *rest = map(int, headers["headrace-origin"].split())
        place, before = (rest[0], rest[1]), (rest[2], rest[3])
        last = heard.get(desk, (-1, -1))
        if place <= last or before not in (last, (-1, -1)):
            continue
        heard[desk] = place
        name = entry["type"], entry.get("key", "")
        if entry["type"] in KINDS and name not in names:
            names.add(name)
            found.append(entry)
    return found


class OrderAudit:
    """What is wrong with the orders of a world, as sentences; `asked` of each round, by its key."""

    def __init__(self, world: OrderedWorld) -> None:
        self.world, self.cluster = world, world.cluster
        self.kafka = self.cluster.kafka
        self.wrong: list[str] = []
        self.asked: dict[str, int] = {}
        self.back_n = self.refused_n = 0
        self.followed: defaultdict[str, dict[int, list[dict[str, Any]]]] = defaultdict(dict)
        if not self.cluster.refused:
            self._journals()
            self._orders()
            self._rejects()

    def _rows(self, topic: str, partition: int = 0) -> Rows:
        return rows_of(self.cluster.written[Part(topic, partition)])

    def _journals(self) -> None:
        """What the steps say of orders, and that a round asked what it says."""
        for n in range(self.cluster.partitions_n):
            for step in steps_of(self._rows(self.kafka.journal, n)):
                for told in step.get("orders", []):
                    self.followed[told["order"]].setdefault(n, []).append(told)
                    round_n, asked_n = told.get("round_n", -1), told.get("asked_n", 0)
                    # round_n, reason: the third and fourth of the numbers behind a request.
                    of_round = [one for one in step.get("decided", []) if one[2] == round_n >= 0]
                    if len(of_round) != asked_n:
                        self.wrong.append(f"{told}: {len(of_round)} were asked")

    def _orders(self) -> None:
        counted = counted_orders(self._rows(self.kafka.training))
        n = Counter((order["type"], order["key"]) for order in counted)
        for kind, key in sorted(self.world.sent):
            if n[(kind, key)] != 1:
                self.wrong.append(f"{KINDS[kind]} {key} stands {n[(kind, key)]} times in the log")
        for order in counted:
            said = self.followed[f"{KINDS[order['type']]} {order['key']}"]
            everybody = range(self.cluster.partitions_n)
            if order["type"] == "RoundOrdered":
                everybody = range(order["shards_n"])
                self._round(order, said)
            elif len({json.dumps(one, sort_keys=True) for of in said.values() for one in of}) != 1:
                self.wrong.append(f"of {order} shards say {said}")
            elif "why" in next(iter(said.values()))[0]:
                self.refused_n += 1
            else:
                self.back_n += 1
            for number in everybody:
                times = len(said.get(number, ()))
                # A partition that was added later reads of what was ordered before.
                if times != 1 and number < self.world.began_n:
                    self.wrong.append(f"partition {number} says {times} times what came of {order}")

    def _round(self, order: dict[str, Any], said: dict[int, list[dict[str, Any]]]) -> None:
        parts = [one.get("asked_n", 0) for of in said.values() for one in of]
        self.asked[order["key"]] = sum(parts)
        wanted_n = order.get("labels_n")
        if wanted_n is None:
            return
        if sum(parts) > wanted_n:
            self.wrong.append(f"{sum(parts)} were asked of {order}")
        if parts and max(parts) > -(-wanted_n // order["shards_n"]):
            self.wrong.append(f"one shard asked {max(parts)} of {order}")

    def _rejects(self) -> None:
        """What is no order is told; of a version that is not kept one shard tells."""
        rows = [row for _, row, _ in self._rows(self.kafka.rejects)]
        if len({row["position"] for row in rows if row["reason"] == "bad_order"}) < 3:
            self.wrong.append("what is no order was passed over in silence")
        is_told = any(row["reason"] == "no_version" for row in rows)
        if self.refused_n and not is_told:
            self.wrong.append("a version that is not kept was passed over in silence")


def outcome_of(world: World, kind: str, key: str, *, since_ms: int = 0) -> dict[str, Any] | None:
    """What whoever waits for an order is told, by the logs of a cluster as they are."""
    told, cluster = OrderOutcomes(world.cluster.kafka, since_ms), world.cluster
    looker, routine = Worker(cluster, -1), told.read_order(f"{kind} {key}")
    result: Any = None
    while True:
        try:
            request = routine.send(result)
        except StopIteration as ended:
            return ended.value
        result = looker.result(request)
