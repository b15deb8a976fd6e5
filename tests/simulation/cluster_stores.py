"""Clusters whose workers save to files as on Kafka: signed, numbered, the older ones removed."""

from __future__ import annotations

from itertools import count
from typing import Any

import fsspec
import msgspec

from headrace.drivers.kafka.states import States
from simulation.cluster_worlds import World

_NUMBERS = count()


class Store:
    """The files that all workers of a world save; `kept_n` of each part are kept.

    All are in one memory of this process, so each world has a folder with a number of its own.
    """

    def __init__(self, world: World, *, kept_n: int) -> None:
        cluster = world.cluster
        self.path = f"/{cluster.name}-{next(_NUMBERS)}"
        worker = msgspec.structs.replace(
            world.settings.worker, snapshots=f"memory:/{self.path}", snapshots_kept=kept_n
        )
        world.settings = cluster.settings = msgspec.structs.replace(world.settings, worker=worker)
        cluster.open_states = self.open_states
        self.cluster = cluster
        self._files: Any = fsspec.filesystem("memory")

    def open_states(self) -> States:
        """Return states as a new process has them."""
        return States(self.cluster.settings, self.cluster.told.append)

    def read_files(self) -> dict[str, bytes]:
        """Return all that is saved now, by the part and the name of the file."""
        paths = self._files.find(self.path)
        return {path.removeprefix(self.path): self._files.cat_file(path) for path in paths}
