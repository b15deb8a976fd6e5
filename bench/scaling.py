"""From one event's cost to 1,000 partitions and a million events a second: where it breaks.

    python bench/scaling.py

Measures what the worker's real parts cost (`scaling_costs.py`, `scaling_state.py`; a broker of its
own is started for the clients), then plays one worker of many in a small discrete model, turn by
turn of its loop (`scaling_model.py`). The model is no cluster: it knows the costs, the settings'
defaults and the order of things, and nothing of networks, of other people's load, or of skew
between partitions. It says where to look first, not what you will get.
"""

from __future__ import annotations

import math
import os
import sys
import tempfile

from headrace.flow.commits import FREEZE_S_MAX
from scaling_costs import Costs, asked_of_earned, costs
from scaling_model import (
    DEFAULTS,
    EVERY_S,
    Found,
    Load,
    Outcome,
    desk_max,
    folded_a_turn,
    needed,
    takeover_s,
)
from scaling_state import GROUP_RECORD_MAX, Frozen, frozen_parts, sharing, wire_costs, written_s

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
    """The largest stream again, with one setting changed."""
    of, rows = found.by_model["logistic"], []
    for share in (0.001, 0.005, 0.01):
        for in_flight in (4, 32):
            load, outcome = needed(found, of, 1_000, 1e6, share, in_flight)
            row = _scenario(found, of, load, outcome)
            rows.append([row[2], str(in_flight), row[3], f"{outcome.firm:.0%}"])
    told(
        "1,000 partitions, 1,000,000 events/s: what helps",
        ["labels/s", "batches_in_flight_max", "workers", "firm CPU of each"],
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
        longest = FREEZE_S_MAX + max(f.freeze for (_, n), f in frozen.items() if n == c.features_n)
        rows.append([f"s for which a snapshot stops the loop, {at}", f"{longest:.2f}"])
    for in_flight, rate in wire.batches.items():
        what = f"batches/s of a worker, none asks, batches_in_flight_max = {in_flight}"
        rows.append([what, f"{rate:,.0f}"])
    for model, c in found.by_model.items():
        a_turn = folded_a_turn(c, wire, 1)
        most = a_turn / max(wire.ack_s, a_turn * (c.fold + wire.read))
        rows.append([f"labels/s folded by an otherwise idle loop, {model}", f"{most:,.0f}"])
    rows.append(["partitions whose quiet check takes 1 s", f"{1 / wire.committed_s:,.0f}"])
    many = found.sharings[-1]
    rows.append(
        [
            "workers at which the group's record is full",
            f"{GROUP_RECORD_MAX * many.members_n / many.record:,.0f}",
        ]
    )
    told("where it breaks", ["what", "number"], rows)


def tell_asked() -> None:
    """Whether what the budget earns is asked, when its limits are divided among the partitions."""
    rows, least = [], DEFAULTS.query.budget.burst
    for partitions_n in (1, 20, 100, 200, 1_000):
        for share in (0.01, 0.05):
            found = [
                asked_of_earned(partitions_n, share, burst)
                for burst in (least, max(least, 20 * partitions_n))
            ]
            told_of = [f"{asked:.0%}, {chosen:.0%}" for asked, chosen in found]
            rows.append([f"{partitions_n:,}", f"{share:.0%}", *told_of])
    told(
        "of the labels earned: asked in all, and chosen by the strategy",
        ["partitions", "share", "burst 200", "burst 200 or 20 x partitions"],
        rows,
    )


def main() -> int:
    """Measure, play, print; the exit code."""
    sys.stdout.write(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start\n")
    found = measured()
    tell_costs(found)
    tell_scenarios(found, "logistic")
    tell_scenarios(found, "forest")
    tell_remedies(found)
    tell_breaks(found)
    tell_asked()
    sys.stdout.write(f"\nload {os.getloadavg()[0]:.1f} at the end\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
