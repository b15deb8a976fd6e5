"""Settings that only size or silence something: each does what it says, at two values."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest

from headrace import Engine, Event
from headrace.drivers.kafka import logs
from headrace.flow.outbox import Outbox
from headrace.settings import parse
from headrace.settings.kafka import WorkerSettings
from simulation import cluster, cluster_worlds
from simulation.cluster_worlds import World

SEED = 29
LEVELS = ["debug", "info", "warning", "error"]


def waiting_most(in_flight_max: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """The most batches that waited for the brokers' word in a world where each write takes 2 s."""
    most = 0
    put = Outbox.put

    def counted(self: Outbox, batch: Any) -> None:
        nonlocal most
        put(self, batch)
        most = max(most, len(self._waiting))

    settings = cluster_worlds.settings_of(SEED)
    worker = msgspec.structs.replace(settings.worker, batches_in_flight_max=in_flight_max)
    changed = msgspec.structs.replace(settings, worker=worker)
    with monkeypatch.context() as patch:
        patch.setattr(cluster, "WRITE_S", 2.0)
        patch.setattr(Outbox, "put", counted)
        patch.setattr(cluster_worlds, "settings_of", lambda seed: changed)
        world = World(SEED, ()).live()
    assert world.cluster.refused == []
    return most


def test_reading_pauses_when_so_many_batches_wait_for_the_brokers(monkeypatch) -> None:
    few, many = (waiting_most(n, monkeypatch) for n in (1, 20))
    # What one read brought is decided whole: a batch of each partition, and what desks say.
    assert 2 * few < many


@pytest.fixture
def logging_restored() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])


@pytest.mark.parametrize("least", LEVELS)
def test_what_is_below_the_level_is_not_logged(least, logging_restored, capsys) -> None:
    logs.set_up(WorkerSettings(log_level=least))
    for level in LEVELS:
        logging.getLogger("headrace.somewhere").log(logging.getLevelName(level.upper()), level)
    told = [line.rpartition(" ")[2] for line in capsys.readouterr().err.splitlines()]
    assert told == LEVELS[LEVELS.index(least) :]


def test_a_half_life_makes_the_sample_of_the_past_young() -> None:
    ages = {}
    for half_life_s in (None, 200.0):
        observe = {"window_n": 50, "reservoir_n": 200}
        observe |= {} if half_life_s is None else {"reservoir_half_life_s": half_life_s}
        engine = Engine(settings=parse({"schema": {"classes": ["a", "b"]}, "observe": observe}))
        engine.feed([Event(id=f"e{i}", at=float(i), features={"x": 1.0}) for i in range(4_000)])
        at = engine.shard.reservoir.columns().at
        assert len(at) == 200
        ages[half_life_s] = float(np.mean(3_999.0 - at))
    # Of an even sample half the stream; of one that halves every 200 s 200 / ln 2 = 289 s.
    assert 1_700 < ages[None] < 2_300
    assert 220 < ages[200.0] < 370
