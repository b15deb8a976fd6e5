"""Workers of the simulation whose states are saved as a worker on Kafka saves them."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.drivers.kafka.states import States
from headrace.settings import load_for_kafka
from simulation import cluster_worlds
from simulation.cluster_worlds import World

SEED = 29
"""Of this seed two workers share partitions and desks, and each has one of both at the end."""

KEY = "k" * 40
TOML = """
seed = 29
[model]
name = "logistic"
[schema]
classes = ["high", "low"]
[observe]
window_n = 40
reservoir_n = 40
[query.budget]
share = 0.3
start = 2
[label]
deadline_s = 100.0
[drift]
check_every_n = 20
hold_n = 20
watch = [{ signal = "features", detector = "psi", level = "drift" }]
[learn]
retrain_labels_min = 8
retrain_every_n = 12
versions_kept = 3
version_every_n = 4
[kafka]
desk_partitions = 2
[worker]
snapshot_every_s = 15.0
quiet_tick_s = 2.0
"""


def lived(folder: Path) -> World:
    """Workers that lost nothing, until nothing is open."""
    path = folder / "headrace.toml"
    path.write_text(TOML)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster_worlds, "settings_of", lambda seed: load_for_kafka(path))
        return World(SEED, ()).live()


class Saved:
    """What these workers saved, beside their settings at `path`; nothing of it at first.

    `HEADRACE_SNAPSHOT_KEY` has to be set.
    """

    def __init__(self, world: World, folder: Path) -> None:
        self.path = folder / "headrace.toml"
        self.path.write_text(TOML)
        self.settings = load_for_kafka(self.path)
        self.states = States(self.settings, note=lambda _: None)
        self._saved = world.cluster.saved

    def write(self, at: float, *, but: tuple[str, int] | None = None) -> None:
        """Each part as it stood after this share of its snapshots."""
        for part, savings in self._saved.items():
            if part != but:
                self.states.write(savings[int(at * (len(savings) - 1))])
