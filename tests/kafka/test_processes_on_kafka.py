"""One command starts several workers, which share the partitions of a real Kafka."""

from __future__ import annotations

import re
from pathlib import Path

from kafka.broker import Address
from kafka.workers import Worker, make_events, names_of, settings_of
from kafka.world import HUMAN, Traffic, wait_until

PARTITIONS = 4


def test_two_processes_share_the_partitions_and_end_together(
    broker: Address, prefix: str, tmp_path: Path
) -> None:
    settings = settings_of(prefix, broker.servers, tmp_path)
    make_events(broker, settings, PARTITIONS)
    with Worker(settings, tmp_path, options=("--processes", "2")) as first:
        # The second process stands one port further.
        second = Worker(settings, tmp_path, "w1")
        second.port = first.port + 1

        def shares() -> list[int]:
            first.check()
            return [len(partitions_of(worker)) for worker in (first, second)]

        with Traffic(broker.client, names_of(settings), people=HUMAN, rate=200.0):
            wait_until(lambda: shares() == [2, 2], "they do not share the partitions", 120.0)
            first.wait_ready()
            wait_until(lambda: not second.why_not_ready(), "the second is not ready", 120.0)
        assert first.stop() == 0
    assert first.log.read_text().count("[^-App]: Stopping") == 2, first.tail()


def partitions_of(worker: Worker) -> set[str]:
    """The partitions of events that a worker has, by its metrics; none while it is away."""
    try:
        text = worker.metrics()
    except OSError:
        return set()
    return set(
        re.findall(
            r"^headrace_partition_events_total\{[^}]*partition=\"(\d+)\"", text, re.MULTILINE
        )
    )
