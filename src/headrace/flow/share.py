"""One shard's part of every limit that is set for all partitions together."""

from __future__ import annotations

import math

import msgspec

from ..errors import BadSettings
from ..learn.caps import part_of
from ..query.schedule import BATCH_N
from ..settings import LabelSettings, PrivacySettings, RunSettings, SealingSettings, Settings
from ..settings.http import HttpSettings
from ..settings.kafka import KafkaSettings, WorkerSettings
from ..settings.query import WorkflowSettings
from ..settings.queue import QueueSettings


def share_of(settings: Settings, partitions_n: int, partition: int) -> Settings:
    """Return the settings of one shard out of `partitions_n`: its part of every shared limit.

    A share of events needs no dividing. A shard has nothing of a cap and of money until it has
    claimed its part, however much there is, so that a changed cap does not reset shards; the room
    for open requests is rounded down. A part of the burst holds at least what two rounds and the
    reserve need: with less, many partitions would never let the strategy choose. Settings of the
    process alone are left out, so that a shard is the same whoever saved it. Raises `BadSettings`
    when nothing would be left.

    >>> settings = msgspec.convert({"query": {"budget": {"per_hour": 60.0}}}, Settings)
    >>> share_of(settings, 4, partition=0).query.budget.per_hour
    15.0
    """
    n, budget = partitions_n, settings.query.budget
    if settings.label.open_max < n:
        raise BadSettings(
            f"label.open_max is {settings.label.open_max}; must be at least {n}, one for each "
            "partition of the events"
        )
    reserve, audit = budget.reserve // n, budget.reserve_audit // n
    per_round = (budget.share or 0.0) * (settings.query.rounds.regular_n or 0)
    part = msgspec.structs.replace(
        budget,
        per_hour=None if budget.per_hour is None else budget.per_hour / n,
        cap=None if budget.cap is None else 0,
        per_period=None if budget.per_period is None else part_of(budget.per_period, n, partition),
        money=None if budget.money is None else 0.0,
        burst=max(math.ceil(budget.burst / n), reserve + audit + math.ceil(2.0 * per_round) + 1),
        start=budget.start // n,
        reserve=reserve,
        reserve_audit=audit,
    )
    return msgspec.structs.replace(
        settings,
        query=msgspec.structs.replace(
            settings.query, budget=part, workflow=_workflow_part(settings.query.workflow, n)
        ),
        label=msgspec.structs.replace(
            settings.label, open_max=settings.label.open_max // n, cost=LabelSettings().cost
        ),
        run=RunSettings(),
        http=HttpSettings(),
        kafka=KafkaSettings(),
        worker=WorkerSettings(),
        queue=QueueSettings(),
        bridges={},
        privacy=PrivacySettings(),
        sealing=SealingSettings(),
    )


def _workflow_part(workflow: WorkflowSettings, n: int) -> WorkflowSettings:
    """Divide a batch among n shards, rounded up; `sequential` asks one by one in each."""
    batch_n = workflow.batch_n
    if batch_n is None and workflow.kind in {"hybrid", "adaptive"}:
        batch_n = BATCH_N
    return msgspec.structs.replace(
        workflow,
        batch_n=None if batch_n is None else math.ceil(batch_n / n),
        batch_max=math.ceil(workflow.batch_max / n),
        warm_up_n=math.ceil(workflow.warm_up_n / n),
    )
