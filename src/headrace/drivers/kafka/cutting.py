"""Deletes the beginning of the logs that states are made of, up to where these were saved.

A training log is the model, and a desk's log its requests: records before all snapshots are needed
no more, and may name persons who were erased. Afterwards that state is in the snapshots alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from ...errors import BadInput
from ...flow.effects import Part, Routine
from ...flow.log_reader import LogReader
from ...settings import Settings
from ...settings.kafka import KafkaSettings
from .client import make_consumer
from .cluster import connect_cluster
from .reading import QUICK, Reader, retraining_in, start_client
from .states import States
from .topics import ensure_topics

ORDER = b"ErasureOrdered"
"""What the beginning of a record has that is an order to erase."""


class UnsavedError(BadInput):
    """A part has to be saved once more before logs may be cut."""


@dataclass(frozen=True, slots=True)
class Stand:
    """How far all kept snapshots of one part have a log: up to `place`. `name` is for people."""

    name: str
    log: Part
    place: int


async def places_to_cut(settings: Settings, states: States) -> dict[Part, int]:
    """Return up to where the training log and the desks' logs may be cut: to all kept snapshots.

    Raises `UnsavedError` where a part has none, or one from before the latest order to erase, and
    as `ensure_topics`.
    """
    events = (await ensure_topics(settings, create=False))[0].found
    assert events is not None
    stands = find_stands(settings.kafka, states, events.partitions_n)
    places = _least_places(stands)
    async with AsyncExitStack() as stack:
        consumer = await start_client(stack, make_consumer(settings.kafka, **QUICK))
        reader = Reader(consumer, retraining_in(None))
        orders = await reader.run_routine(find_last_orders(places))
    check_saved(stands, orders)
    return places


def find_stands(kafka: KafkaSettings, states: States, partitions_n: int) -> list[Stand]:
    """Return how far the kept snapshots have their logs, of all parts.

    Raises `UnsavedError` where one has none.
    """
    training = Part(kafka.training, 0)
    stands = [Stand("the training log", training, _least(states, "training", "training"))]
    stands += [
        Stand(f"partition {number}", training, _least(states, f"shard-{number}", "training"))
        for number in range(partitions_n)
    ]
    # What is signed may be of another version: somebody must be able to go on from one of each.
    usable = [
        states.read_training()[1],
        *(
            int(states.read_shard(number, partitions_n)[2]["training"])
            for number in range(partitions_n)
        ),
    ]
    missing = [
        one.name for one, place in zip(stands, usable, strict=True) if min(one.place, place) == 0
    ]
    if missing:
        raise UnsavedError(
            f"{', '.join(missing)}: there is no snapshot that can be used, or one from before the "
            f"first entry of {kafka.training}, so nothing is cut; let workers run until they have "
            "saved all again"
        )
    for number in range(kafka.desk_partitions):
        place = min(_least(states, f"desk-{number}", "desk"), states.read_desk(number).position)
        stands.append(Stand(f"desk {number}", Part(kafka.desk, number), place))
    return stands


def _least(states: States, series: str, log: str) -> int:
    """Return the least place in a log at which a snapshot of a part stands; 0 without any."""
    return min((int(one[log]) for one in states.read_positions(series)), default=0)


def _least_places(stands: list[Stand]) -> dict[Part, int]:
    places: dict[Part, int] = {}
    for one in stands:
        places[one.log] = min(one.place, places.get(one.log, one.place))
    return places


def find_last_orders(places: Mapping[Part, int]) -> Routine[dict[Part, int]]:
    """Find the last order to erase at or behind each place. Returns offsets, where there is one."""
    logs, found = LogReader(places), dict[Part, int]()
    yield from logs.go_to_starts()
    for part in places:
        while records := (yield from logs.read_piece(part, logs.ends[part])):
            orders = [record.offset for record in records if ORDER in (record.value or b"")[:40]]
            if orders:
                found[part] = orders[-1]
    return found


def check_saved(stands: list[Stand], orders: Mapping[Part, int]) -> None:
    """Raise `UnsavedError` where a snapshot is from before the last order to erase in its log."""
    if late := [one.name for one in stands if one.place <= orders.get(one.log, -1)]:
        raise UnsavedError(
            f"{', '.join(late)}: a snapshot is from before the latest order to erase, so nothing "
            "is cut; once workers have saved all, after worker.snapshot_every_s and the time that "
            "a save takes, give the command again"
        )


async def cut_logs(settings: Settings, places: dict[Part, int]) -> None:
    """Delete the records before these places. Raises `NoBroker`, and `BadSettings` if refused."""
    async with connect_cluster(settings.kafka) as cluster:
        await cluster.delete_before(places)
