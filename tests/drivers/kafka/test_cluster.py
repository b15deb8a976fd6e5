"""What is asked of the brokers about topics ends, even where a client does not stop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from headrace.drivers.kafka import cluster, reading
from headrace.settings.kafka import KafkaSettings

aiokafka = pytest.importorskip("aiokafka", reason="the extra headrace[kafka] is not installed")


class Stuck:
    """A consumer that has offsets and never stops."""

    async def start(self) -> None:
        pass

    async def beginning_offsets(self, tps: list[Any]) -> dict[Any, int]:
        return dict.fromkeys(tps, 5)

    async def end_offsets(self, tps: list[Any]) -> dict[Any, int]:
        return dict.fromkeys(tps, 12)

    async def stop(self) -> None:
        await asyncio.Event().wait()


def test_records_are_counted_though_the_consumer_does_not_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cluster, "make_consumer", lambda kafka, **options: Stuck())
    monkeypatch.setattr(reading, "STOP_S_MAX", 0.01)
    counting = cluster.Cluster(KafkaSettings(), None).count_records({"events": 2, "answers": 1})
    assert asyncio.run(asyncio.wait_for(counting, 5.0)) == {"events": 14, "answers": 7}
