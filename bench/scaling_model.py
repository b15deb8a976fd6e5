"""One worker of many, turn by turn of its loop: a small discrete model, driven by measured costs.

See `scaling.py`. What is waited for, and what takes CPU, is a number here; the order of things is
that of `headrace.flow.flow`, the defaults are the settings'.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from dataclasses import dataclass, field, replace

from headrace import Settings
from headrace.drivers.kafka import client
from headrace.flow.commits import COMMIT_S, FREEZE_S_MAX
from headrace.flow.training import FOLDED_AT_ONCE_MAX, FOLDING_S_MAX
from scaling_costs import Costs
from scaling_state import Frozen, Sharing, Wire

DEFAULTS = Settings()
EVERY_S = DEFAULTS.worker.snapshot_every_s
BUSY_MAX = 0.7
"""Of a core, without what is spent once a turn: the rest is for that, and for bursts and kills."""

BY_TURN = ("batches", "tell first")

LAG_S_MAX = 1.0
PLAYED_S = 2.2 * EVERY_S


@dataclass(frozen=True)
class Found:
    """Everything that was measured."""

    by_model: dict[str, Costs]
    wide: Costs
    frozen: dict[tuple[str, int], Frozen]
    mib: dict[int, float]
    sharings: list[Sharing]
    wire: Wire
    write_s: float
    read_s: float


@dataclass(frozen=True)
class Load:
    """A stream, and how many share it."""

    partitions_n: int
    events_s: float
    labels_s: float
    workers_n: int
    desks_n: int

    @property
    def shards_n(self) -> int:
        """Of the worker that has most."""
        return math.ceil(self.partitions_n / self.workers_n)


@dataclass
class Outcome:
    """How the worker fared: shares of a core by part, seconds of a turn and of a stopped loop."""

    parts: dict[str, float] = field(default_factory=dict)
    lag_s: float = 0.0
    labels_lag_s: float = 0.0
    turn_s: float = 0.0
    frozen_s: float = 0.0

    @property
    def firm(self) -> float:
        """The share of a core that larger batches would not make smaller."""
        return sum(share for part, share in self.parts.items() if part not in BY_TURN)

    @property
    def is_held(self) -> bool:
        return self.firm <= BUSY_MAX and max(self.lag_s, self.labels_lag_s) <= LAG_S_MAX

    @property
    def limit(self) -> str:
        """What is not held, if anything."""
        if self.is_held:
            return ""
        if self.labels_lag_s > max(self.lag_s, LAG_S_MAX):
            return "labels wait"
        return "events wait" if self.lag_s > LAG_S_MAX else "CPU"


@dataclass
class Worker:
    """One worker's loop as `session` has it; everything that waits is a number."""

    found: Found
    of: Costs
    load: Load
    in_flight: int = DEFAULTS.worker.batches_in_flight_max
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    events: float = 0.0
    labels: float = 0.0

    def play(self) -> Outcome:
        load, now, turns_n, parts = self.load, 0.0, 0, self.parts_to_save()
        waiting = deque[float]()
        mine = load.shards_n * load.events_s / load.partitions_n
        saved_at = committed_at = 0.0
        while now < PLAYED_S:
            took = self.turn()
            if now - committed_at >= COMMIT_S:
                committed_at, took = now, took + self.found.wire.ack_s
            if now - saved_at >= EVERY_S:
                saved_at = now
                waiting.extend(parts)
            if waiting:
                # What was handed over arrives first; parts are written beside the next turn.
                frozen_s = waiting.popleft()
                while waiting and frozen_s < FREEZE_S_MAX:
                    frozen_s += waiting.popleft()
                took += self.found.wire.ack_s + self.spend("snapshots", frozen_s)
            now += took
            turns_n += 1
            self.events += took * mine
            self.labels += took * load.labels_s
            if self.events > 30 * mine or self.labels > 30 * load.labels_s:
                break
        lag_s, labels_lag_s = self.events / mine, self.labels / load.labels_s
        shares = {part: spent / now for part, spent in self.seconds.items()}
        return Outcome(shares, lag_s, labels_lag_s, now / turns_n, FREEZE_S_MAX + max(parts))

    def spend(self, part: str, seconds: float) -> float:
        self.seconds[part] += seconds
        return seconds

    def turn(self) -> float:
        """Seconds of one turn: labels, a poll's events, and the brokers' word on them."""
        of, wire, load = self.of, self.found.wire, self.load
        shards_n = load.shards_n
        labels_n = min(folded_a_turn(of, wire, shards_n), self.labels)
        self.labels -= labels_n
        cpu = self.spend("fold", labels_n * (of.fold + wire.read))
        cpu += self.spend("tell first", shards_n * min(1.0, labels_n) * of.first)
        cpu += self.spend("tell each", shards_n * labels_n * of.foreign)
        taken_n = min(float(DEFAULTS.worker.batch_max), self.events)
        fed_n = min(float(shards_n), taken_n, math.ceil(taken_n * shards_n / max(1.0, self.events)))
        self.events -= taken_n
        asked_n = taken_n * load.labels_s / load.events_s
        cpu += self.spend("events", taken_n * (of.event + wire.read))
        cpu += self.spend("ask", asked_n * (of.request + 2 * wire.send))
        carried_n = math.ceil(fed_n / self.in_flight)
        strides_n = carried_n * (1 + 2 * min(1.0, asked_n / max(1, carried_n)))
        cpu += self.spend("batches", fed_n * of.feed + strides_n * wire.stride)
        cpu += self.desks(labels_n)
        waited_s = strides_n * wire.ack_s
        # With nothing to do the poll waits for the brokers about as long as a stride does.
        return max(cpu, waited_s, wire.ack_s)

    def desks(self, labels_n: float) -> float:
        """Answers routed, and the desks' partitions of the worker that has most."""
        of, wire, load = self.of, self.found.wire, self.load
        mine = labels_n * math.ceil(load.desks_n / load.workers_n) / load.desks_n
        routed = of.route + wire.read + wire.send
        folded = of.desk_request + of.desk_answer + 2 * wire.read + wire.send
        return self.spend("answers", mine * (routed + folded))

    def parts_to_save(self) -> list[float]:
        """Seconds to freeze each part of a snapshot."""
        load, frozen, features_n = self.load, self.found.frozen, self.of.features_n
        desks_n = math.ceil(load.desks_n / load.workers_n)
        return [
            frozen[f"training log, {self.of.model}", features_n].freeze,
            *[frozen["shard", features_n].freeze] * load.shards_n,
            *[frozen["desk", features_n].freeze] * desks_n,
        ]


def folded_a_turn(of: Costs, wire: Wire, shards_n: float) -> float:
    """Labels that a worker of so many shards folds before events have their turn again."""
    of_one = of.fold + wire.read + shards_n * of.foreign
    return min(float(FOLDED_AT_ONCE_MAX), max(1.0, FOLDING_S_MAX / of_one))


def desks_for(of: Costs, wire: Wire, labels_s: float) -> int:
    """Desk partitions that take a tenth of a core each at most; never fewer than the default."""
    return max(DEFAULTS.kafka.desk_partitions, math.ceil(labels_s / desk_max(of, wire, 0.1)))


def desk_max(of: Costs, wire: Wire, core: float) -> float:
    """Labels a second of one desk partition."""
    return core / (of.desk_request + of.desk_answer + of.route + 3 * wire.read + 2 * wire.send)


def needed(
    found: Found,
    of: Costs,
    partitions_n: int,
    events_s: float,
    share: float,
    in_flight: int = DEFAULTS.worker.batches_in_flight_max,
) -> tuple[Load, Outcome]:
    """The fewest workers that hold this; as many as there are partitions if none do."""
    labels_s = events_s * share
    desks_n = desks_for(of, found.wire, labels_s)
    load = Load(partitions_n, events_s, labels_s, workers_n=partitions_n, desks_n=desks_n)
    few, many = 0, partitions_n
    best = Worker(found, of, load, in_flight).play()
    if not best.is_held:
        return load, best
    while many - few > 1:
        middle = (few + many) // 2
        tried = Worker(found, of, replace(load, workers_n=middle), in_flight).play()
        if tried.is_held:
            many, best = middle, tried
        else:
            few = middle
    return replace(load, workers_n=many), best


def takeover_s(found: Found, of: Costs, load: Load, outcome: Outcome) -> float:
    """Seconds from a kill, just before a snapshot was due, until its last partition goes on.

    Made ready one after the other by workers that go on with their own; the group waits for the
    session of the dead one to end, and for all to hear of it.
    """
    others_n = max(1, load.workers_n - 1)
    moved_n = math.ceil(load.shards_n / others_n)
    free = max(0.1, 1.0 - outcome.firm)
    part = found.frozen
    thaw = part["shard", of.features_n].thaw + part[f"training log, {of.model}", of.features_n].thaw
    waited_s = client.SESSION_S + client.HEARTBEAT_S + outcome.turn_s
    entries_n, a_shard = EVERY_S * load.labels_s, load.events_s / load.partitions_n
    ready_s = waited_s + part["desk", of.features_n].thaw / free
    for _ in range(moved_n):
        # What was labelled meanwhile has to be caught up with, too.
        entries_n = (EVERY_S + ready_s) * load.labels_s
        spent = thaw + entries_n * (of.fold + of.foreign + found.wire.read)
        spent += EVERY_S * a_shard * (of.event + found.wire.read)
        ready_s += found.wire.client_s + found.read_s + spent / free
        if ready_s > 3_600:
            return math.inf
    return ready_s
