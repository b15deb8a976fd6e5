"""What is on disk in clusters: nothing of who was erased, and always a state to go on from."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("fsspec", reason="pip install 'headrace[kafka]'")

from headrace.drivers.kafka.cutting import find_stands
from headrace.drivers.kafka.states import States
from headrace.flow.effects import Ask, Part, Save, Saving
from headrace.flow.recovery import Recovery
from headrace.flow.saving import freeze_log
from headrace.flow.shards import decoder_of
from simulation.cluster import Worker
from simulation.cluster_audit import Audit
from simulation.cluster_erasures import ERASED, ErasedWorld
from simulation.cluster_stores import Store
from simulation.cluster_worlds import EVENTS_N, World

SEEDS = (9_000, 9_001, 9_003)
FROZEN_S, ORDERED_S = 25.0, 16.0
KEY = "late"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_SNAPSHOT_KEY", "k" * 32)


def names_in(blob: bytes) -> list[str]:
    return [name for name in ERASED if name.encode() in blob]


# ------------------------------------------------------------------------------------- erasure


class LateWorld(ErasedWorld):
    """A worker freezes while it saves a part that has a name in it; then who has it is erased.

    The others take its partitions over. When it moves again it writes what it was about to write.
    """

    def __init__(self, seed: int, kind: str) -> None:
        super().__init__(seed, ())
        self.kind, self.late = kind, list[Saving]()
        self.store = Store(self, kept_n=1_000)
        self.cluster.start()
        self.cluster.after(15.0, self._watch_saves)

    def erase(self, name: str, key: str) -> None:
        if key.startswith(KEY):
            super().erase(name, key)

    def _erase_all(self) -> None:
        for n, name in enumerate(ERASED):
            self.erase(name, f"{KEY} {n}")

    def _watch_saves(self) -> None:
        for worker in self.cluster.workers:
            self._watch_worker(worker)

    def _watch_worker(self, worker: Worker) -> None:
        carry_out = worker.carry_out

        def freeze_in_save(effect: Any) -> None:
            carry_out(effect)
            if isinstance(effect, Ask) and isinstance(effect.request, Save) and not self.late:
                [part] = effect.request.parts
                if part.kind == self.kind and names_in(part.blob):
                    self.late.append(part)
                    worker.freeze(FROZEN_S)
                    # What was sent of theirs is read by then.
                    self.gone.update(ERASED)
                    self.cluster.after(ORDERED_S, self._erase_all)

        worker.carry_out = freeze_in_save  # type: ignore[method-assign]


@pytest.mark.parametrize("kind", ["training", "shard", "desk"])
def test_a_late_write_of_a_worker_thought_dead_brings_no_name_back(kind: str) -> None:
    for seed in SEEDS:
        world = LateWorld(seed, kind)
        world.live()
        assert world.late, seed
        assert world.cluster.refused == []
        files = world.store.read_files()
        assert files
        found = [path for path, content in files.items() if names_in(content)]
        assert found == [], f"LateWorld({seed}, {kind})"


# ---------------------------------------------------------- a snapshot that fits no place


KILLED_S = 55.0


class UnfitWorld(World):
    """All workers die, and one more writes a shard with entries that its journal comes to later.

    It was thought dead, and read the training log on, while another had its partition. With
    `is_cut` the logs are cut before that, as `headrace topics --cut` does.
    """

    def __init__(self, seed: int, *, kept_n: int, is_cut: bool) -> None:
        super().__init__(seed, ())
        self.is_cut = is_cut
        self.store = Store(self, kept_n=kept_n)
        self.cluster.due.clear()
        self.cluster.start()
        for i in range(EVENTS_N):
            self.cluster.after(1.0 + i, self._event)
        self.cluster.after(KILLED_S, self._kill_all)

    def _kill_all(self) -> None:
        for worker in self.cluster.workers:
            worker.kill()
        states = self.store.open_states()
        if self.is_cut:
            self._cut_logs(states)
        self._write_late(states)
        self.cluster.start()

    def _cut_logs(self, states: States) -> None:
        cluster = self.cluster
        stands = find_stands(cluster.kafka, states, cluster.partitions_n)
        for part in {stand.log for stand in stands}:
            place = min(stand.place for stand in stands if stand.log == part)
            cluster.cut(part, place)

    def _write_late(self, states: States) -> None:
        cluster = self.cluster
        shard, log, positions = states.read_shard(0, cluster.partitions_n)
        recovery = Recovery(self.settings, decoder_of(self.settings), cluster.told.append)
        writer, journal = str(positions["writer"]), int(positions["journal"])
        again = recovery.recover_shard(shard, log, writer=writer, until=journal)
        cluster.run_routine(again)
        end = cluster.log(Part(cluster.kafka.training, 0)).end
        cluster.run_routine(recovery.catch_up(shard, log, end))
        places = {**positions, **shard.places_at(end, writer)}
        states.write(Saving("shard", 0, shard.freeze(), places, freeze_log(log)))


def is_passed_over(world: World) -> bool:
    return any("snapshot of partition 0 is passed over" in said for said in world.cluster.warned)


def test_the_snapshot_before_one_that_fits_no_place_is_taken() -> None:
    for seed in SEEDS:
        world = UnfitWorld(seed, kept_n=2, is_cut=True)
        world.live()
        assert is_passed_over(world)
        assert world.cluster.refused == []
        assert Audit(world).wrong == [], f"UnfitWorld({seed})"
        assert not any("are gone" in said for said in world.cluster.warned)


def test_without_another_snapshot_the_logs_do() -> None:
    world = UnfitWorld(SEEDS[0], kept_n=1, is_cut=False)
    world.live()
    assert is_passed_over(world) and world.cluster.refused == []
    assert Audit(world).wrong == []


def test_without_another_snapshot_and_with_cut_logs_it_is_said_what_to_do() -> None:
    world = UnfitWorld(SEEDS[0], kept_n=1, is_cut=True)
    world.live()
    [said, *_] = world.cluster.refused
    assert "partition 0 can't be made anew: its snapshots fit no place of its journal" in said
    assert "the training log up to" in said and "headrace reset" in said
