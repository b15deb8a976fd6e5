"""Deletes the beginning of the logs that states are made of, up to where these were saved.

A training log is the model, and a desk's log its requests: records before the newest snapshots are
needed no more, and may name persons who were erased. Afterwards that state is in the snapshots
alone.
"""

from __future__ import annotations

from ...errors import BadInput
from ...flow.effects import Part
from ...settings import Settings
from .cluster import connect_cluster
from .states import States
from .topics import ensure_topics


async def places_to_cut(settings: Settings, states: States) -> dict[Part, int]:
    """Return up to where the training log and the desks' logs may be cut: to the newest snapshots.

    Raises `BadInput` where a part has none, `NoBroker` and `BadSettings` as `ensure_topics`.
    """
    kafka = settings.kafka
    events = (await ensure_topics(settings, create=False))[0].found
    assert events is not None
    _, training = states.read_training()
    stands = {"the training log": training}
    for number in range(events.partitions_n):
        _, _, positions = states.read_shard(number, events.partitions_n)
        stands[f"partition {number}"] = int(positions["training"])
    places = {Part(kafka.training, 0): min(stands.values())}
    places |= {
        Part(kafka.desk, number): states.read_desk(number).position
        for number in range(kafka.desk_partitions)
    }
    if missing := [name for name, place in stands.items() if place == 0]:
        raise BadInput(
            f"there is no snapshot of {', '.join(missing)} that stands in {kafka.training}, so "
            "nothing is cut; let workers run until they have saved all"
        )
    return places


async def cut_logs(settings: Settings, places: dict[Part, int]) -> None:
    """Delete the records before these places. Raises `NoBroker`, and `BadSettings` if refused."""
    async with connect_cluster(settings.kafka) as cluster:
        await cluster.delete_before(places)
