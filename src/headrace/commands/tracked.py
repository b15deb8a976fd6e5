"""What `headrace mlflow` shows: a run in a folder, or the workers on Kafka by their snapshots.

Both are only read, except that orders are placed there; neither waits for this reader.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from ..adapters.jsonl import Tail
from ..adapters.mlflow_registry import Away
from ..adapters.snapshots.store import Keys, load_keys
from ..drivers.files.curve import CURVE, LINE_BYTES_MAX, CurvePoint, point_of
from ..drivers.files.folder import settings_of_run
from ..drivers.files.orders import FolderOrders, RunOrders
from ..learn.versions import Versions
from ..report import Report
from ..report.building import combine_report
from ..settings import Settings
from .model import read_kept_versions
from .ordering import orders_at

if TYPE_CHECKING:
    from ..drivers.kafka.states import States

EVERY_S = 5.0
POINTS_N = 500
SNAPSHOTS = "snapshots"

_POINTS = msgspec.json.Decoder(CurvePoint)


class Tracked(Protocol):
    """One stream: its settings, seconds between two looks, and where roll-backs are ordered."""

    @property
    def settings(self) -> Settings: ...

    @property
    def every_s(self) -> float: ...

    @property
    def orders(self) -> RunOrders: ...

    def read_points(self, since: int) -> tuple[list[CurvePoint], int]:
        """The curve's points after `since`, and where to go on; 0 is the start. Raises `Away`."""

    def read_mark(self) -> str:
        """A text that changes whenever versions may have; empty before there are any."""

    def read_versions(self) -> Versions:
        """The versions that are kept now. Raises `BadInput`."""

    def load_keys(self) -> Keys:
        """The keys that sign a version."""

    def close(self) -> None: ...


class TrackedRun:
    """A run of `headrace run` in its folder. Raises `BadInput` where there is none."""

    every_s = EVERY_S

    def __init__(self, state: Path) -> None:
        self._state = state
        self.settings = settings_of_run(state)
        self.orders = FolderOrders(state)

    def read_points(self, since: int) -> tuple[list[CurvePoint], int]:
        """As `Tracked.read_points`; `since` counts bytes of the file."""
        path = self._state / CURVE
        if not path.exists():
            return [], since
        with closing(Tail(path, position=since, length_max=LINE_BYTES_MAX)) as tail:
            lines = tail.peek(POINTS_N, is_final=False)
            tail.advance(len(lines))
            return [_POINTS.decode(line) for line in lines], tail.position

    def read_mark(self) -> str:
        newest = max((self._state / SNAPSHOTS).glob("snapshot-*.hr"), default=None)
        return "" if newest is None else newest.name

    def read_versions(self) -> Versions:
        return read_kept_versions(self._state)

    def load_keys(self) -> Keys:
        return load_keys(self._state / SNAPSHOTS, makes_key=False)

    def close(self) -> None:
        self.orders.close()


class TrackedWorkers:
    """All workers of a stream on Kafka, by their snapshots; brokers are needed for orders alone.

    The curve gets a point whenever something new was saved and a label came. A point combines the
    latest snapshots of all shards and desks, as a worker's report combines those that it owns.
    `since` counts labels. There is no challenger, since workers drop one that is not adopted.

    `note` is called with what can't be read, never twice in a row with the same sentence.
    """

    def __init__(self, settings: Settings, note: Callable[[str], None]) -> None:
        from ..drivers.kafka.states import States  # noqa: PLC0415 - only beside workers

        self.settings = settings
        self.every_s = settings.worker.snapshot_every_s
        self._note, self._noted = note, ""
        self._states: States = States(settings, self._note_once, makes_key=False)
        self._newest: dict[str, int] = {}
        self._point: CurvePoint | None = None
        self.report: Report | None = None
        self._versions = Versions(settings.learn)
        self._orders: RunOrders | None = None

    @property
    def orders(self) -> RunOrders:
        if self._orders is None:
            self._orders = orders_at(None, self.settings)
        return self._orders

    def read_points(self, since: int) -> tuple[list[CurvePoint], int]:
        try:
            self.read_snapshots()
        except OSError as error:
            raise Away(str(error), who="the place of the snapshots") from error
        point = self._point
        if point is None or point.labels_n <= since:
            return [], since
        return [point], point.labels_n

    def read_mark(self) -> str:
        seq = self._newest.get("training", -1)
        return "" if seq < 0 else str(seq)

    def read_versions(self) -> Versions:
        return self._versions

    def load_keys(self) -> Keys:
        return self._states.keys

    def close(self) -> None:
        if self._orders is not None:
            self._orders.close()

    def read_snapshots(self) -> None:
        """Read new snapshots, if there are any, and make the `report` of all. Raises `OSError`."""
        newest = self._states.list_newest()
        if newest == self._newest:
            return
        log, position = self._states.read_training()
        if position == 0:
            # No snapshot was saved yet, or it was refused, which was noted.
            return
        self._versions = log.trainer.versions
        self._newest = newest
        shards_n = sum(name.startswith("shard-") for name in newest)
        desks_n = self.settings.kafka.desk_partitions
        shards = {
            n: shard.shard
            for n in range(shards_n)
            if (shard := self._states.shard_seen_with(n, shards_n, log.trainer)) is not None
        }
        desks = {
            n: desk.desk for n in range(desks_n) if (desk := self._states.saved_desk(n)) is not None
        }
        if not shards or len(shards) < shards_n or len(desks) < desks_n:
            self._note_once(
                f"of {shards_n} shards {len(shards)} have a snapshot that can be read, of "
                f"{desks_n} desks {len(desks)}; the curve waits for the others"
            )
            return
        self._noted = ""
        self.report = combine_report(self.settings, log.trainer, shards, desks)
        self._point = point_of(self.report)

    def _note_once(self, sentence: str) -> None:
        if sentence != self._noted:
            self._noted = sentence
            self._note(sentence)
