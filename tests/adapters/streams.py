"""Streams as a worker with three partitions sees them: everything that metrics tell, in small."""

from __future__ import annotations

from functools import cache

import headrace as hr
from headrace.messages import class_name
from headrace.report import PartitionReport, Report, SnapshotsReport, WorkerReport
from headrace.report.building import combine_report, describe_partition
from headrace.settings import Settings, parse

CLASSES = [class_name(f"class-{i}") for i in range(12)]
SETTINGS = {
    "seed": 1,
    "stream": "payments",
    "schema": {"classes": CLASSES},
    "observe": {"window_n": 300, "reservoir_n": 300},
    "query": {
        "budget": {"share": 0.2, "cap": 5_000},
        "rounds": {"every_n": 50},
        "cold_start": {"per_class_n": 1, "labels_max": 50},
    },
    "label": {"answers_wanted": 2, "answers_max": 3, "cost": 0.5},
    "drift": {"check_every_n": 200, "hold_n": 200},
    "evaluation": {"window_n": 400},
}


def settings() -> Settings:
    return parse(SETTINGS)


def event(partition: int, i: int) -> hr.Event:
    """20 features, of which two are texts; from 800 on all numbers are higher."""
    shift = 5 if i >= 800 else 0
    features: dict[str, object] = {f"f{j:02}": (i * (j + 7) % 17) + shift for j in range(18)}
    features["town"] = f"town-{i % 11}"
    features["shop"] = None if i % 5 == 0 else f"shop-{i % 3}"
    return hr.Event(
        id=f"event-{partition}-{i}",
        at=1_000.0 + i,
        features=features,  # type: ignore[arg-type]
    )


def answers_to(request: hr.LabelRequested, n: int) -> list[hr.Answer]:
    """Two annotators of thirteen; every ninth time one of them can't tell."""
    right = CLASSES[int(request.features["f00"] or 0) % 12]
    label = None if n % 9 == 0 else right
    return [
        hr.Answer(
            request_id=request.request_id,
            label=said,
            at=request.at + 30.0,
            annotator=f"annotator-{(n + i) % 13}",
        )
        for i, said in enumerate((right, label))
    ]


@cache
def engine_of(partition: int) -> hr.Engine:
    """1,200 events with a drift, most of them answered when 60 more have come."""
    engine, asked_n = hr.Engine(settings=settings()), 0
    for start in range(0, 1_200, 60):
        outputs = engine.feed([event(partition, i) for i in range(start, start + 60)])
        for request in [o for o in outputs if isinstance(o, hr.LabelRequested)]:
            asked_n += 1
            if asked_n % 10:
                engine.feed(answers_to(request, asked_n))
    return engine


def unfed() -> Report:
    """The same worker before its first event."""
    return worker_report([hr.Engine(settings=settings()) for _ in range(3)])


def fed() -> Report:
    return worker_report([engine_of(partition) for partition in range(3)])


def worker_report(engines: list[hr.Engine]) -> Report:
    shards = {i: engine.shard for i, engine in enumerate(engines)}
    partitions: tuple[PartitionReport, ...] = tuple(
        describe_partition(i, shard, lag_n=10 * i, lag_s=0.5 * i) for i, shard in shards.items()
    )
    worker = WorkerReport(
        partitions=partitions,
        desk_partitions=(0, 1, 2),
        training_offset=engines[0].trainer.version,
        training_lag_n=0,
        rebalances_n=2,
        rebalanced_at=1_000.0,
        snapshots=SnapshotsReport(written_at=1_100.0, bytes_n=4_096),
        rejected_n={"not_json": 3},
        restarts_n={"network": 2},
        lost_n={"events": 7},
        recomputed_n=3,
        differing_n=2,
    )
    desks = {i: engine.desk for i, engine in enumerate(engines)}
    return combine_report(settings(), engines[0].trainer, shards, desks, worker=worker)
