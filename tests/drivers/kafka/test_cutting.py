"""Up to where logs may be cut: to all kept snapshots, which must be from after the last order."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from headrace.commands.kafka import topics
from headrace.drivers.kafka.cutting import (
    Stand,
    UnsavedError,
    check_saved,
    find_last_orders,
    find_stands,
)
from headrace.drivers.kafka.states import States
from headrace.flow import wire
from headrace.flow.desks import PartitionDesk
from headrace.flow.effects import Bounds, Look, Part, Read
from headrace.flow.saving import freeze_log
from headrace.flow.shards import PartitionShard
from headrace.flow.training import new_log
from headrace.messages import ErasureOrdered, Tick
from headrace.settings import Settings, parse

TRAINING, DESK = Part("headrace.training", 0), Part("headrace.desk", 0)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("HEADRACE_SNAPSHOT_KEY", "k" * 32)
    worker = {"snapshots": str(tmp_path / "snapshots"), "snapshots_kept": 2}
    return parse({"stream": "s", "kafka": {"desk_partitions": 1}, "worker": worker})


def save_shard(own: Settings, states: States, events: int, training: int) -> None:
    log = new_log(own)
    shard = PartitionShard(own, 0, 1, log.trainer)
    shard.seek(events)
    states.write_shard(0, shard.freeze(), freeze_log(log), shard.places_at(training, "w"))


def test_logs_are_cut_up_to_all_kept_snapshots(own: Settings) -> None:
    states = States(own, lambda sentence: None)
    states.write_training(freeze_log(new_log(own)), 9)
    with pytest.raises(UnsavedError, match=r"^partition 0: there is no snapshot"):
        find_stands(own.kafka, states, 1)
    # Of three two are kept: one that fits no place of its journal must not be the only one left.
    for events, training in ((1, 2), (4, 5), (8, 30)):
        save_shard(own, states, events, training)
    for position in (6, 8):
        states.write_desk(0, PartitionDesk(own, 0).freeze(), position)
    assert find_stands(own.kafka, states, 1) == [
        Stand("the training log", TRAINING, 9),
        Stand("partition 0", TRAINING, 5),
        Stand("desk 0", DESK, 6),
    ]


def test_nothing_is_cut_where_no_snapshot_of_a_part_can_be_used(own: Settings) -> None:
    states = States(own, lambda sentence: None)
    states.write_training(freeze_log(new_log(own)), 9)
    # Signed, and of a version that this one can't read.
    states.write_shard(0, b"?", b"?", {"events": 4, "training": 5, "journal": 1, "writer": "w"})
    with pytest.raises(UnsavedError, match=r"^partition 0: there is no snapshot that can be used"):
        find_stands(own.kafka, states, 1)


def last_orders(logs: dict[Part, list[Any]], places: dict[Part, int]) -> dict[Part, int]:
    """Carry `find_last_orders` out over these logs, which begin at 0."""
    routine, result = find_last_orders(places), None
    while True:
        try:
            request = routine.send(result)
        except StopIteration as ended:
            return ended.value
        if isinstance(request, Look):
            result = {part: Bounds(0, len(logs[part])) for part in request.parts}
        else:
            assert isinstance(request, Read)
            records = [
                SimpleNamespace(offset=n, value=None if entry is None else wire.value_of(entry))
                for n, entry in enumerate(logs[request.part])
            ]
            result = (records[request.start :], len(records))


def test_nothing_is_cut_while_a_snapshot_is_from_before_an_order() -> None:
    order = ErasureOrdered(at=1.0, key="ada", field="key", values=(), salt="5a" * 16)
    logs: dict[Part, list[Any]] = {
        TRAINING: [Tick(at=1.0), order, None, order, Tick(at=2.0)],
        DESK: [order, Tick(at=1.0)],
    }
    assert last_orders(logs, {TRAINING: 1, DESK: 1}) == {TRAINING: 3}
    assert last_orders(logs, {TRAINING: 4, DESK: 0}) == {DESK: 0}
    stands = [Stand("the training log", TRAINING, 5), Stand("partition 0", TRAINING, 3)]
    stands.append(Stand("desk 0", DESK, 1))
    with pytest.raises(
        UnsavedError, match=r"^partition 0: a snapshot is from before the latest order"
    ):
        check_saved(stands, {TRAINING: 3})
    with pytest.raises(UnsavedError, match=r"^partition 0, desk 0: a snapshot"):
        check_saved(stands, {TRAINING: 4, DESK: 1})
    check_saved(stands, {TRAINING: 2, DESK: 0})
    check_saved(stands, {})


def test_what_is_not_saved_yet_ends_the_command_with_1(
    own: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def refuse(settings: Settings, states: States) -> None:
        check_saved([Stand("desk 0", DESK, 1)], {DESK: 1})

    monkeypatch.setattr(topics, "places_to_cut", refuse)
    assert topics._cut_logs(own, asks=False) == 1
    assert "desk 0: a snapshot is from before" in "".join(capsys.readouterr())
