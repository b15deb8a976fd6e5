"""The snapshots that a worker writes and reads: shards with their trainer, desks, their places.

A snapshot is only a shortcut past reading the logs again. One that is refused, for whatever reason,
is passed over with a sentence; the one before it is read, and at last the logs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ...adapters.snapshots.store import Keys, SnapshotStore, load_keys, series_in
from ...errors import BadInput
from ...flow.desks import PartitionDesk
from ...flow.effects import Saving
from ...flow.shards import PartitionShard, digest_of
from ...flow.takeover import make_empty_shard
from ...flow.training import new_log
from ...learn.models import build
from ...learn.trainer import Trainer
from ...learn.training_log import TrainingLog
from ...observe.drift import own_detectors
from ...query.budgets import from_settings
from ...query.ruled import own_rule
from ...query.strategies import resolve
from ...query.strategies.state import keeps_state
from ...settings import Settings
from ...state import frozen


def _number_of(kind: str, positions: Mapping[str, int | str]) -> int:
    """Return the number of a part's snapshot: it grows with whatever the part takes in.

    A shard's step may take in no event but labels, an order or the time; so its steps count too.
    """
    if kind == "shard":
        return int(positions["events"]) + int(positions["journal"]) + 1
    return int(positions[kind])


class _ShardState(msgspec.Struct, frozen=True):
    """A shard and the trainer it saw."""

    training: bytes
    shard: bytes


def _shard_state(blob: bytes) -> _ShardState:
    """Decode a shard's state. Raises `BadInput`."""
    try:
        return msgspec.msgpack.decode(blob, type=_ShardState)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadInput(f"it is not that of a shard: {error}") from error


class States:
    """The snapshots of all parts of one stream, whoever wrote them.

    `note` is called with the reason why a snapshot was passed over; `refused_n` counts them. A mere
    reader makes no key (`makes_key`). Every call reads or writes a file or an object store, so a
    worker calls from a thread. Raises `OSError` when the store can't be reached.
    """

    def __init__(
        self, settings: Settings, note: Callable[[str], None], *, makes_key: bool = True
    ) -> None:
        self.settings = settings
        self.refused_n = 0
        self._note = note
        self._keys = load_keys(settings.worker.snapshots, makes_key=makes_key)
        self._stores: dict[str, SnapshotStore] = {}
        # By series: the orders to erase carried out, and the number of the first snapshot since.
        self._erased: dict[str, tuple[int, int]] = {}
        # Two streams that share a store must not remove each other's snapshots.
        name = hashlib.blake2b(settings.stream.encode(), digest_size=4).hexdigest()
        self._prefix = f"{name}-"
        # A digest of what the model follows from, beside the log.
        self._learning = digest_of(settings.seed, settings.schema, settings.model, settings.learn)
        named, classes_n = settings.model, len(settings.schema.classes)
        model = build(named.name, 0, classes_n, named.options)
        budget, rule = from_settings(settings.query.budget), own_rule(settings.query.arrival)
        _, strategy = resolve(settings.query.strategy, settings.query.options)
        stateful_strategy = strategy if keeps_state(strategy) else None
        own = [model, budget, own_detectors(settings.drift), rule, stateful_strategy]
        self._allowed = frozen.allowed_by(own)

    @property
    def keys(self) -> Keys:
        """The keys that sign and verify snapshots."""
        return self._keys

    # -------------------------------------------------------------------------------- writing

    def write(self, part: Saving) -> None:
        """Save one part, and remove its snapshots from before the latest order to erase.

        What this process saves first once the part has carried out an order is the oldest that may
        stay. Each write removes what is older: another worker may have been killed before it did,
        and one that lost the part may write an earlier state long after.
        """
        series = "training" if part.kind == "training" else f"{part.kind}-{part.number}"
        number = _number_of(part.kind, part.positions)
        erasures_n, oldest = self._erased.get(series, (0, 0))
        if part.erasures_n > erasures_n:
            erasures_n, oldest = part.erasures_n, number
        if part.kind == "shard":
            self.write_shard(part.number, part.blob, part.training, part.positions, oldest=oldest)
        elif part.kind == "desk":
            self.write_desk(part.number, part.blob, number, oldest=oldest)
        else:
            self.write_training(part.blob, number, oldest=oldest)
        self._erased[series] = (erasures_n, oldest)

    def write_shard(
        self,
        partition: int,
        blob: bytes,
        training: bytes,
        positions: Mapping[str, int | str],
        *,
        oldest: int = 0,
    ) -> None:
        """Save a shard, frozen, with the frozen training log that it had seen.

        Here and below snapshots with a number below `oldest` are removed.
        """
        state = msgspec.msgpack.encode(_ShardState(training, blob))
        store = self._open_store(f"shard-{partition}")
        store.write(_number_of("shard", positions), state, positions, oldest=oldest)

    def write_desk(self, partition: int, blob: bytes, position: int, *, oldest: int = 0) -> None:
        """Save a desk, frozen."""
        store = self._open_store(f"desk-{partition}")
        store.write(position, blob, {"desk": position}, oldest=oldest)

    def write_training(self, blob: bytes, position: int, *, oldest: int = 0) -> None:
        """Save the training log's state, frozen, for workers that start."""
        positions: dict[str, int | str] = {"training": position, "rules": self._learning}
        self._open_store("training").write(position, blob, positions, oldest=oldest)

    def clear_series(self, series: str) -> int:
        """Remove all snapshots of a part (`training`, `shard-3`, `desk-0`); return how many."""
        return self._open_store(series).clear()

    # -------------------------------------------------------------------------------- finding

    def read_training(self) -> tuple[TrainingLog, int]:
        """Return the newest state of the training log and its offset, or a new one and 0."""

        def read_log(snapshot: Any) -> TrainingLog:
            if snapshot.positions["rules"] != self._learning:
                raise BadInput("learned under other settings; the log is folded again")
            return self._thawed_log(snapshot.blob)

        newest = self._read_newest("training", read_log)
        return (
            (new_log(self.settings), 0)
            if newest is None
            else (newest[0], int(newest[1]["training"]))
        )

    def read_shard(
        self,
        partition: int,
        partitions_n: int,
        before: Mapping[str, int | str] | None = None,
    ) -> tuple[PartitionShard, TrainingLog, Mapping[str, int | str]]:
        """Return a shard as it was saved last, the training log it saw, and where both stood.

        Positions are `events` and `training` (next offsets), and the offset (`journal`) and the
        `writer` of its last step. With those of one snapshot as `before` this returns the one
        before it. Without any it is a shard before its first event.
        """

        def read_parts(snapshot: Any) -> tuple[PartitionShard, TrainingLog]:
            state = _shard_state(snapshot.blob)
            log = self._thawed_log(state.training)
            shard = PartitionShard(self.settings, partition, partitions_n, log.trainer)
            shard.thaw(state.shard, self._allowed, log.trainer)
            return shard, log

        number = None if before is None else _number_of("shard", before)
        newest = self._read_newest(f"shard-{partition}", read_parts, number)
        if newest is None:
            return make_empty_shard(self.settings, partition, partitions_n)
        (shard, log), positions = newest
        shard.stand_at(positions)
        return shard, log, positions

    def read_desk(self, partition: int) -> PartitionDesk:
        """Return a desk as it was saved last, or a new one."""
        # A desk whose snapshot was refused may have been changed in part.
        return self.saved_desk(partition) or PartitionDesk(self.settings, partition)

    def saved_desk(self, partition: int) -> PartitionDesk | None:
        """Return a desk as it was saved last; None if it was not."""
        desk = PartitionDesk(self.settings, partition)
        newest = self._read_newest(
            f"desk-{partition}",
            lambda snapshot: desk.thaw(snapshot.blob, int(snapshot.positions["desk"])),
        )
        return None if newest is None else desk

    def read_positions(self, series: str) -> list[dict[str, int | str]]:
        """Return where all snapshots of a part stand (`training`, `shard-3`, `desk-0`)."""
        return self._open_store(series).read_positions()

    # -------------------------------------------------------------------------- looking on

    def list_newest(self) -> dict[str, int]:
        """Return the number of each saved part's newest snapshot, by `training`, `shard-3`, ..."""
        names = [
            name.removeprefix(self._prefix)
            for name in series_in(self.settings.worker.snapshots)
            if name.startswith(self._prefix)
        ]
        numbers = {name: self._open_store(name).newest_seq() for name in names}
        return {name: seq for name, seq in numbers.items() if seq >= 0}

    def shard_seen_with(
        self, partition: int, partitions_n: int, trainer: Trainer
    ) -> PartitionShard | None:
        """Return a shard as it was saved last, with this trainer, to be read and not fed."""
        shards: list[PartitionShard] = []

        def check_shard(snapshot: Any) -> None:
            shard = PartitionShard(self.settings, partition, partitions_n, trainer)
            shard.thaw(_shard_state(snapshot.blob).shard, self._allowed, trainer)
            shards.append(shard)

        return None if self._read_newest(f"shard-{partition}", check_shard) is None else shards[-1]

    def _thawed_log(self, blob: bytes) -> TrainingLog:
        log = frozen.thaw(blob, kind="training", allowed=self._allowed)
        if not isinstance(log, TrainingLog):
            raise BadInput("the state is not that of a training log")
        return log

    def _read_newest(
        self, series: str, read: Callable[[Any], Any], before: int | None = None
    ) -> tuple[Any, Mapping[str, int | str]] | None:
        store = self._open_store(series)
        states: list[Any] = []
        snapshot = store.read_latest(lambda found: states.append(read(found)), before=before)
        self.refused_n += len(store.refused)
        for sentence in store.first_refused():
            self._note(f"a snapshot of {series} is passed over: {sentence}")
        return None if snapshot is None else (states[-1], snapshot.positions)

    def _open_store(self, series: str) -> SnapshotStore:
        if series not in self._stores:
            worker = self.settings.worker
            self._stores[series] = SnapshotStore(
                worker.snapshots,
                series=f"{self._prefix}{series}",
                stream=self.settings.stream,
                keys=self._keys,
                kept_n=worker.snapshots_kept,
            )
        return self._stores[series]
