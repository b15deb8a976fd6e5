"""What may happen to a cap and to money: other settings, shards that forget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from headrace.commands.kafka.reset import reset_step
from headrace.flow import wire
from headrace.flow.effects import Part
from headrace.flow.journal_head import read_journal_head
from headrace.flow.produce import ProducerRecord
from headrace.flow.shards import PartitionShard
from headrace.flow.training import new_log

CAP, MONEY = 12, 20.0
"""What a world may spend in all that is limited by labels, or by money."""

DEAREST = 2.5
PRICES = {"price": 1.0, "price_by_class": {"high": DEAREST}}


def stop_all(world: Any) -> None:
    """All workers die at once; one begins a little later."""
    cluster = world.cluster
    for worker in cluster.workers:
        worker.kill()
    cluster.after(world.luck.uniform(0.1, 2.0), cluster.start)


def set_limit(world: Any, labels_n: int | None) -> None:
    """The settings say another cap, or money for so many labels, from now on; no worker goes on
    with the one before."""
    cluster, query = world.cluster, world.cluster.settings.query
    limit = labels_n
    if world.limited == "money" and labels_n is not None:
        limit = labels_n * DEAREST
    budget = msgspec.structs.replace(query.budget, **{world.limited: limit})
    query = msgspec.structs.replace(query, budget=budget)
    cluster.settings = msgspec.structs.replace(cluster.settings, query=query)
    world.limits.append((int(cluster.now * 1_000), limit))
    stop_all(world)


def change_limit(world: Any) -> None:
    """Raised, lowered, below what is spent, below the number of partitions."""
    set_limit(world, world.luck.choice((1, 5, 9, 14, 30)))


def forget_limit(world: Any) -> None:
    """For a while there is none."""
    world.has_begun_anew = True
    set_limit(world, None)
    world.cluster.after(8.0, lambda: set_limit(world, CAP))


def change_settings(world: Any) -> None:
    """Something else is set, so that every shard begins anew."""
    cluster, observe = world.cluster, world.cluster.settings.observe
    observe = msgspec.structs.replace(observe, window_n=observe.window_n + 1)
    cluster.settings = msgspec.structs.replace(cluster.settings, observe=observe)
    world.has_begun_anew = True
    stop_all(world)


def reset(world: Any) -> None:
    """Shards forget everything and go on where they are, as `headrace reset` has it."""
    cluster, kafka = world.cluster, world.cluster.kafka
    stop_all(world)
    log = new_log(cluster.settings)
    for record in cluster.log(Part(kafka.training, 0)).records:
        entry, origin = wire.entry_of(record) or (None, None)
        if entry is not None and not hasattr(entry, "job_id"):
            log.fold(entry, origin)
    for number in range(cluster.partitions_n):
        head = cluster.run_routine(read_journal_head(cluster.settings, number))
        shard = PartitionShard(cluster.settings, number, cluster.partitions_n, log.trainer)
        shard.seek(head.stop)
        shard.keep_spent(head.claim_n, head.spent, log.caps)
        step = reset_step(head, shard, head.training, f"reset at {cluster.now}")
        cluster.send(ProducerRecord(kafka.journal, wire.value_of(step), partition=number))
        cluster.saved.pop(("shard", number), None)


CAP_FAULTS: dict[str, Callable[[Any], None]] = {
    fault.__name__: fault for fault in (change_limit, forget_limit, change_settings, reset)
}
