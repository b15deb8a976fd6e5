"""What may happen to the logs of a cluster, beside what happens to its workers: cut at either end,
deleted, put back.

`World.hurt` has the topics to which it happened, by the verb.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from headrace.flow.effects import Part

KEPT = ("events", "journal", "desk", "training")
"""Settings in [kafka] of the logs without which nobody can go on where a worker stood."""


LOOKED_S, FROZEN_S = 6.0, 25.0
"""Within so long a worker has looked where a log ends, and how much later one that is frozen."""

READ_N = 3
"""Of a log that has more records somebody has read some, by the time that bad luck begins."""


def parts_of(world: Any, log: str) -> list[Part]:
    """All partitions of a topic, by the name of its setting."""
    cluster = world.cluster
    numbers = {
        "events": cluster.partitions_n,
        "journal": cluster.partitions_n,
        "desk": cluster.kafka.desk_partitions,
    }
    return [Part(getattr(cluster.kafka, log), number) for number in range(numbers.get(log, 1))]


def cut(world: Any, log: str) -> None:
    """Retention takes all but the newest record of each partition."""
    for part in parts_of(world, log):
        world.cluster.cut(part, world.cluster.log(part).end - 1)
    world.hurt.add(("cut", log))


def truncate(world: Any, log: str) -> None:
    """Brokers lose the newer part of one partition."""
    found = world.cluster.log(world.luck.choice(parts_of(world, log)))
    del found.records[len(found.records) // 2 :]
    world.hurt.add(("truncated", log))
    looked_s = LOOKED_S + FROZEN_S * ("freeze" in world.drawn)
    world.cluster.after(looked_s, partial(_note_refill, world, log, found, found.end))


def _note_refill(world: Any, log: str, found: Any, end: int) -> None:
    """It was written to again before anybody looked: nobody can know that it was shorter."""
    if found.end > end:
        world.hurt.add(("refilled", log))


def delete(world: Any, log: str) -> None:
    """Deleted, and made anew with nothing in it."""
    for part in parts_of(world, log):
        if world.cluster.log(part).end > READ_N:
            world.hurt.add(("deleted", log))
        world.cluster.delete(part)
    world.hurt.add(("made anew", log))
    world.cluster.topics_n[getattr(world.cluster.kafka, log)] += 1


def refill(world: Any, log: str) -> None:
    """Deleted, made anew, and filled at once with as many records as were there."""
    cluster, old = world.cluster, {part: world.cluster.log(part) for part in parts_of(world, log)}
    delete(world, log)
    for part, found in old.items():
        cluster.log(part).records = [
            record._replace(offset=offset) for offset, record in enumerate(found.records)
        ]


def put_back(world: Any) -> None:
    """What was lost of the logs is there again, and behind it what was written meanwhile."""
    for part, records in world.cluster.written.items():
        log = world.cluster.log(part)
        records[:] = [record._replace(offset=offset) for offset, record in enumerate(records)]
        log.first, log.records = 0, list(records)


LOG_FAULTS: dict[str, Callable[[Any], None]] = {
    f"{fault.__name__}_{log}": partial(fault, log=log)
    for fault, logs in (
        (cut, ("journal", "desk", "training", "answers", "drift", "requests")),
        (truncate, ("journal", "desk", "training", "answers", "drift", "requests")),
        (delete, (*KEPT, "answers", "drift", "requests")),
        (refill, (*KEPT, "answers", "drift")),
    )
    for log in logs
}
