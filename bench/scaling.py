"""From one event's cost to 1,000 partitions and a million events a second: where it breaks.

    python bench/scaling.py

Measures what the worker's real parts cost (`scaling_costs.py`, `scaling_state.py`; it starts a
broker of its own for the clients), then plays one worker of many in a small discrete model, turn by
turn of its loop. The model is no cluster: it knows the costs, the settings' defaults and the order
of things, and nothing of networks, of other people's load, or of skew between partitions. It says
where to look first, not what you will get.
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field, replace

from headrace import Settings
from headrace.shells.kafka import client
from headrace.shells.kafka.session import COMMIT_S
from headrace.shells.kafka.training import FOLDED_AT_ONCE_MAX
from scaling_costs import Costs, costs
from scaling_state import (
    GROUP_RECORD_MAX,
    Frozen,
    Sharing,
    Wire,
    frozen_parts,
    sharing,
    wire_costs,
    written_s,
)

DEFAULTS = Settings()
EVERY_S = DEFAULTS.worker.snapshot_every_s
BUSY_MAX = 0.7
"""Of a core, without what is spent once a turn: the rest is for that, and for bursts and kills."""

BY_TURN = ("batches", "tell first")

LAG_S_MAX = 1.0
PLAYED_S = 2.2 * EVERY_S
PARTITION_BYTES_MAX = 10e6
"""What one partition is trusted with a second; brokers take more or less."""

EGRESS_BYTES_MAX = 100e6
"""What one broker is trusted to send a second: most of a network of 1 Gbit/s."""

STREAMS = {
    "logistic": ((10, 1e3), (10, 1e5), (100, 1e5), (1_000, 1e3), (1_000, 1e5), (1_000, 1e6)),
    "forest": ((100, 1e5), (1_000, 1e5), (1_000, 1e6)),
}
"""Partitions and events a second that are played."""

MODELS = ("logistic", "naive-bayes", "tree", "adaptive-tree", "forest", "knn")


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


def measured() -> Found:
    by_model = {model: costs(20, model) for model in MODELS}
    for model, of in by_model.items():
        # What does not depend on the model was measured with one.
        by_model[model] = by_model[MODELS[0]].with_model(of)
    wide = costs(200)
    frozen: dict[tuple[str, int], Frozen] = {}
    mib: dict[int, float] = {}
    for features_n in (20, 200):
        parts, mib[features_n] = frozen_parts(features_n)
        frozen |= {(part.part, features_n): part for part in parts}
    with tempfile.TemporaryDirectory() as folder:
        blob = os.urandom(
            frozen["shard", 20].bytes_n + frozen["training log, logistic", 20].bytes_n
        )
        write_s, read_s = written_s(folder, blob)
    sharings = [sharing(1_000, 100), sharing(1_000, 1_000), sharing(10_000, 1_000)]
    return Found(by_model, wide, frozen, mib, sharings, wire_costs(), write_s, read_s)


# -------------------------------------------------------------------------------- one worker


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
    folded_max: int = FOLDED_AT_ONCE_MAX
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    events: float = 0.0
    labels: float = 0.0

    def play(self) -> Outcome:
        load, now, turns_n, frozen_s = self.load, 0.0, 0, 0.0
        mine = load.shards_n * load.events_s / load.partitions_n
        saved_at = committed_at = 0.0
        while now < PLAYED_S:
            took = self.turn()
            if now - committed_at >= COMMIT_S:
                committed_at, took = now, took + self.found.wire.ack_s
            if now - saved_at >= EVERY_S:
                saved_at, frozen_s = now, self.save()
                took += frozen_s
            now += took
            turns_n += 1
            self.events += took * mine
            self.labels += took * load.labels_s
            if self.events > 30 * mine or self.labels > 30 * load.labels_s:
                break
        lag_s, labels_lag_s = self.events / mine, self.labels / load.labels_s
        parts = {part: spent / now for part, spent in self.seconds.items()}
        return Outcome(parts, lag_s, labels_lag_s, now / turns_n, frozen_s)

    def spend(self, part: str, seconds: float) -> float:
        self.seconds[part] += seconds
        return seconds

    def turn(self) -> float:
        """Seconds of one turn: labels, a poll's events, and the brokers' word on them."""
        of, wire, load = self.of, self.found.wire, self.load
        shards_n = load.shards_n
        labels_n = min(float(self.folded_max), self.labels)
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

    def save(self) -> float:
        """Seconds for which a snapshot stops the loop."""
        load, name = self.load, f"training log, {self.of.model}"
        desks_n = math.ceil(load.desks_n / load.workers_n)
        frozen = self.found.frozen
        cpu = frozen[name, self.of.features_n].freeze
        cpu += load.shards_n * frozen["shard", self.of.features_n].freeze
        cpu += desks_n * frozen["desk", self.of.features_n].freeze
        self.spend("snapshots", cpu)
        written_n = load.shards_n + desks_n + 1
        return cpu + written_n * self.found.write_s


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
    folded_max: int = FOLDED_AT_ONCE_MAX,
) -> tuple[Load, Outcome]:
    """The fewest workers that hold this; as many as there are partitions if none do."""
    labels_s = events_s * share
    desks_n = desks_for(of, found.wire, labels_s)
    load = Load(partitions_n, events_s, labels_s, workers_n=partitions_n, desks_n=desks_n)
    few, many = 0, partitions_n
    best = Worker(found, of, load, in_flight, folded_max).play()
    if not best.is_held:
        return load, best
    while many - few > 1:
        middle = (few + many) // 2
        tried = Worker(found, of, replace(load, workers_n=middle), in_flight, folded_max).play()
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


# ------------------------------------------------------------------------------------ tables


def us(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f}" if seconds < 1e-4 else f"{seconds * 1e6:,.0f}"


def mb(size: float) -> str:
    return f"{size / 1e6:,.1f}" if size < 1e7 else f"{size / 1e6:,.0f}"


def told(title: str, head: list[str], rows: list[list[str]]) -> None:
    lines = [f"\n## {title}\n", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    sys.stdout.write("\n".join(lines) + "\n")


def tell_costs(found: Found) -> None:
    small, wide, wire = found.by_model["logistic"], found.wide, found.wire
    rows = [
        [name, us(getattr(small, key)), us(getattr(wide, key))]
        for name, key in (
            ("event watched, in a batch", "event"),
            ("batch, whatever its size", "feed"),
            ("request, at its shard", "request"),
            ("label folded by the trainer", "fold"),
            ("label, at the shard that asked", "own"),
            ("label, at any other shard: first after a batch, on top", "first"),
            ("label, at any other shard: each", "foreign"),
            ("request folded by a desk", "desk_request"),
            ("answer routed to its desk", "route"),
            ("answer folded by a desk", "desk_answer"),
            ("step encoded", "step_encoded"),
            ("step decoded", "step_decoded"),
        )
    ]
    rows.append(["record read by a client", us(wire.read), ""])
    rows.append(["record sent, among many", us(wire.send), ""])
    rows.append(["stride of the outbox with one record", us(wire.stride), ""])
    told("CPU us; logistic", ["", "20 features", "200"], rows)
    told(
        "CPU us by model; 20 features",
        ["", "event watched", "batch", "label folded", "retraining of a full memory, s"],
        [
            [m, us(c.event), us(c.feed), us(c.fold), f"{c.retrain:.2f}"]
            for m, c in found.by_model.items()
        ],
    )
    told(
        "bytes",
        ["", "20 features", "200"],
        [[name, str(n), str(wide.bytes_of[name])] for name, n in small.bytes_of.items()],
    )
    told(
        "snapshots, all full, default settings",
        ["part", "features", "freeze, ms", "thaw, ms", "MB"],
        [
            [
                p.part,
                str(p.features_n),
                f"{p.freeze * 1e3:.0f}",
                f"{p.thaw * 1e3:.0f}",
                mb(p.bytes_n),
            ]
            for p in found.frozen.values()
        ],
    )
    told(
        "waiting, this machine",
        ["", ""],
        [
            ["a stride acknowledged, ms", f"{wire.ack_s * 1e3:.1f}"],
            ["one committed offset asked for, ms", f"{wire.committed_s * 1e3:.2f}"],
            ["a consumer started and stopped, ms", f"{wire.client_s * 1e3:.0f}"],
            ["snapshot of a shard written to disk, ms", f"{found.write_s * 1e3:.0f}"],
            ["and read, ms", f"{found.read_s * 1e3:.0f}"],
            *(
                [f"idle consumer of {n} partitions, CPU %", f"{x:.1%}"]
                for n, x in wire.idle.items()
            ),
            *([f"MiB of a shard, {n} features", f"{x:.1f}"] for n, x in found.mib.items()),
        ],
    )
    told(
        "rebalance as messages",
        ["partitions", "workers", "assignor, ms", "a member says", "leader hears", "group record"],
        [
            [
                f"{s.partitions_n:,}",
                f"{s.members_n:,}",
                f"{s.assign * 1e3:.1f}",
                f"{s.said:,}",
                f"{s.joined:,}",
                f"{s.record:,}",
            ]
            for s in found.sharings
        ],
    )


PARTS = ("events", "batches", "ask", "fold", "tell first", "tell each", "answers", "snapshots")


def tell_scenarios(found: Found, model: str) -> None:
    of, rows = found.by_model[model], []
    for partitions_n, events_s in STREAMS[model]:
        for share in (0.0001, 0.001, 0.01):
            load, outcome = needed(found, of, partitions_n, events_s, share)
            rows.append(_scenario(found, of, load, outcome))
    told(
        f"model of a cluster; {model}, 20 features; CPU % of one worker's core",
        [
            *("partitions", "events/s", "labels/s", "workers", "desks"),
            *PARTS,
            *("turn, ms", "log MB/s read by all", "store MB/s", "stopped, s", "takeover, s", "MiB"),
        ],
        rows,
    )


def tell_remedies(found: Found) -> None:
    """The largest stream again, with one setting and one constant of the code changed."""
    of, rows = found.by_model["logistic"], []
    for share in (0.001, 0.005, 0.01):
        for in_flight, folded_max in ((4, 50), (32, 50), (4, 500), (32, 500)):
            load, outcome = needed(found, of, 1_000, 1e6, share, in_flight, folded_max)
            row = _scenario(found, of, load, outcome)
            rows.append([row[2], str(in_flight), str(folded_max), row[3], f"{outcome.firm:.0%}"])
    told(
        "1,000 partitions, 1,000,000 events/s: what helps",
        ["labels/s", "batches_in_flight_max", "FOLDED_AT_ONCE_MAX", "workers", "firm CPU of each"],
        rows,
    )


def _scenario(found: Found, of: Costs, load: Load, outcome: Outcome) -> list[str]:
    takeover = takeover_s(found, of, load, outcome) if outcome.is_held else math.inf
    stored = (
        found.frozen["shard", 20].bytes_n + found.frozen[f"training log, {of.model}", 20].bytes_n
    )
    return [
        f"{load.partitions_n:,}",
        f"{load.events_s:,.0f}",
        f"{load.labels_s:,.1f}",
        f"{load.workers_n:,}" if outcome.is_held else f"none: {outcome.limit}",
        str(load.desks_n),
        *(f"{100 * outcome.parts.get(part, 0.0):.0f}" for part in PARTS),
        f"{outcome.turn_s * 1e3:.0f}",
        mb(load.labels_s * of.bytes_of["training entry"] * load.workers_n),
        mb(load.partitions_n * stored / EVERY_S),
        f"{outcome.frozen_s:.1f}",
        "-" if math.isinf(takeover) else f"{takeover:.0f}",
        f"{load.shards_n * found.mib[20]:,.0f}",
    ]


def tell_breaks(found: Found) -> None:
    small, wide, wire, frozen = found.by_model["logistic"], found.wide, found.wire, found.frozen
    rows: list[list[str]] = []
    for model, c in found.by_model.items():
        most = 0.5 / (c.fold + wire.read)
        rows.append([f"labels/s whose folding takes half a core, {model}", f"{most:,.0f}"])
        outrun = DEFAULTS.learn.memory_n / c.retrain
        rows.append([f"labels/s that outrun a retraining, {model}", f"{outrun:,.0f}"])
    for c in (small, wide):
        at = f"{c.features_n} features"
        rows.append([f"labels/s of one desk, half a core, {at}", f"{desk_max(c, wire, 0.5):,.0f}"])
        entry = c.bytes_of["training entry"]
        rows.append(
            [f"labels/s that fill one partition, {at}", f"{PARTITION_BYTES_MAX / entry:,.0f}"]
        )
        egress = EGRESS_BYTES_MAX / entry
        rows.append([f"labels/s x workers that one broker can send, {at}", f"{egress:,.0f}"])
        rows.append(
            [f"shards whose telling costs as much as a fold, {at}", f"{c.fold / c.foreign:,.0f}"]
        )
        rest = 1.0 - frozen["training log, logistic", c.features_n].freeze
        rest -= frozen["desk", c.features_n].freeze
        shards = rest / frozen["shard", c.features_n].freeze
        rows.append([f"shards and one desk that freeze for 1 s, {at}", f"{shards:,.0f}"])
        a_shard = frozen["shard", c.features_n].freeze + found.write_s
        rows.append([f"and written to this disk, 1 s, {at}", f"{rest / a_shard:,.0f}"])
    for in_flight, rate in wire.batches.items():
        what = f"batches/s of a worker, none asks, batches_in_flight_max = {in_flight}"
        rows.append([what, f"{rate:,.0f}"])
    rows.append(
        ["labels/s folded by an otherwise idle loop", f"{FOLDED_AT_ONCE_MAX / wire.ack_s:,.0f}"]
    )
    rows.append(["partitions whose quiet check takes 1 s", f"{1 / wire.committed_s:,.0f}"])
    many = found.sharings[-1]
    rows.append(
        [
            "workers at which the group's record is full",
            f"{GROUP_RECORD_MAX * many.members_n / many.record:,.0f}",
        ]
    )
    told("where it breaks", ["what", "number"], rows)


def main() -> int:
    """Measure, play, print; the exit code."""
    sys.stdout.write(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start\n")
    found = measured()
    tell_costs(found)
    tell_scenarios(found, "logistic")
    tell_scenarios(found, "forest")
    tell_remedies(found)
    tell_breaks(found)
    sys.stdout.write(f"\nload {os.getloadavg()[0]:.1f} at the end\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
