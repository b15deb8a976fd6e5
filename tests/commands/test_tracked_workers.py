"""What MLflow is shown of workers on Kafka: all of them together, by what they saved.

Workers and brokers are those of the simulation; what they save is written as a worker writes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pandas
import pytest

from commands.saved_workers import KEY, Saved
from commands.test_tracking import Shelf, settle
from headrace import Engine, cli
from headrace.adapters.mlflow_model import load_scorer
from headrace.adapters.mlflow_registry import Away
from headrace.bridges.bridge import Unreachable
from headrace.commands.mlflow import Tracker, params_of
from headrace.commands.tracked import TrackedWorkers
from headrace.drivers.files.curve import point_of
from headrace.drivers.kafka.states import States
from headrace.errors import BadSettings
from headrace.report.building import combine_report
from simulation.cluster_worlds import World


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


said: list[str] = []


@pytest.fixture
def tracker(saved: Saved, shelf: Shelf, tmp_path: Path) -> Iterator[Tracker]:
    said.clear()
    tracked = TrackedWorkers(saved.settings, said.append)
    made = Tracker(tracked, tmp_path / "mlflow", shelf.of, said.append)
    yield made
    made.close()


def truth(world: World) -> Any:
    """What all workers know at the end, put together: each part from whoever owns it."""
    shards: dict[int, Any] = {}
    desks: dict[int, Any] = {}
    for worker in world.cluster.workers:
        flow = worker.flow
        shards |= {n: owned.shard.shard for n, owned in flow.owned.shards.items()}
        desks |= {n: owned.desk.desk for n, owned in flow.owned.desks.items()}
    assert (len(shards), len(desks)) == (2, 2)
    trainer = world.cluster.workers[0].flow.training.trainer
    return point_of(combine_report(world.settings, trainer, shards, desks))


def test_the_curve_is_that_of_all_workers_together(
    world: World, saved: Saved, shelf: Shelf, tracker: Tracker
) -> None:
    assert not tracker.track_changes()
    for at in (0.1, 0.15, 0.2, 1.0):
        saved.write(at)
        settle(tracker)
    steps = sorted({step for _, step, _ in shelf.points})
    assert len(steps) >= 3
    owned = [(len(w.flow.owned.shards), len(w.flow.owned.desks)) for w in world.cluster.workers]
    assert owned == [(1, 1), (1, 1)], "one worker owned all, so nothing was put together"
    expected = truth(world)
    assert steps[-1] == expected.labels_n == len(world.answered)
    last = {name: value for (name, step, _), value in shelf.points.items() if step == steps[-1]}
    assert last == expected.values
    assert said == []


def test_versions_and_the_champion_are_those_of_the_training_log(
    saved: Saved, shelf: Shelf, tracker: Tracker, tmp_path: Path
) -> None:
    saved.write(1.0)
    settle(tracker)
    log, _ = saved.states.read_training()
    assert len(shelf.made) == 3
    assert shelf.made == [version.number for version in log.trainer.versions.kept]
    assert shelf.champion == log.trainer.versions.in_use
    assert "challenger" not in shelf.aliases
    path = tmp_path / "model.hr"
    path.write_bytes(shelf.files[shelf.champion])
    features = {"x": 0.9, "y": 0.8}
    found = load_scorer(path).predict(pandas.DataFrame([features])).iloc[0].to_dict()
    version = log.trainer.versions.find(shelf.champion)
    assert version is not None
    engine = Engine(settings=saved.settings)
    engine.schema, engine.trainer.champion.learner = version.learner.schema, version.learner
    engine.trainer.champion.calibration = version.calibration
    assert found == engine.predict(features)
    assert found["high"] > found["low"]


class FakeOrders:
    """Where orders go: what was placed, and what becomes of it."""

    going_on = "?"

    def __init__(self) -> None:
        self.placed: list[Any] = []
        self.becomes: dict[str, Any] = {"state": "ordered"}
        self.is_away = False

    def place(self, order: Any) -> bool:
        if self.is_away:
            raise Unreachable("no broker answers")
        self.placed.append(order)
        return True

    def find_order(self, order: Any) -> dict[str, Any] | None:
        if self.is_away:
            raise Unreachable("no broker answers")
        return self.becomes if order.key in [one.key for one in self.placed] else None

    def close(self) -> None: ...


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> FakeOrders:
    made = FakeOrders()
    monkeypatch.setattr("headrace.commands.tracked.orders_at", lambda state, settings: made)
    return made


def moved(saved: Saved, shelf: Shelf, tracker: Tracker) -> tuple[int, int]:
    """The champion is moved from one version to another."""
    saved.write(1.0)
    settle(tracker)
    in_use = shelf.champion
    other = next(number for number in shelf.made if number != in_use)
    shelf.move(other)
    return in_use, other


def test_who_moves_the_alias_orders_the_version_back_once(
    saved: Saved, shelf: Shelf, tracker: Tracker, orders: FakeOrders
) -> None:
    _, wanted = moved(saved, shelf, tracker)
    settle(tracker)
    settle(tracker)
    [order] = orders.placed
    assert (order.to, order.by) == (wanted, "mlflow")
    assert "ordered" in said[-1]
    # Carried out; what was saved last is of before, and the alias waits for what comes.
    orders.becomes = {"state": "rolled back", "to": wanted}
    settle(tracker)
    assert shelf.champion == wanted
    tracker._versions.in_use = wanted
    settle(tracker)
    assert tracker.progress.champion == wanted
    assert len(orders.placed) == 1


def test_an_order_that_is_refused_is_told_and_the_alias_goes_back(
    saved: Saved, shelf: Shelf, tracker: Tracker, orders: FakeOrders
) -> None:
    in_use, _ = moved(saved, shelf, tracker)
    orders.becomes = {"state": "refused", "why": "version 4 of the model is not kept"}
    settle(tracker)
    assert shelf.champion == in_use
    assert "version 4 of the model is not kept; the alias goes back" in said[-1]


def test_brokers_that_are_away_are_away_and_the_order_is_placed_when_they_are_back(
    saved: Saved, shelf: Shelf, tracker: Tracker, orders: FakeOrders
) -> None:
    _, wanted = moved(saved, shelf, tracker)
    orders.is_away = True
    for _ in range(2):
        with pytest.raises(Away, match="Kafka does not answer: no broker answers"):
            settle(tracker)
    assert orders.placed == []
    orders.is_away = False
    settle(tracker)
    assert [order.to for order in orders.placed] == [wanted]


def test_the_same_snapshots_give_no_point_twice_after_a_kill(
    saved: Saved, shelf: Shelf, tracker: Tracker, tmp_path: Path
) -> None:
    saved.write(0.5)
    settle(tracker)
    before = dict(shelf.points)
    tracker.close()
    again = Tracker(
        TrackedWorkers(saved.settings, said.append), tmp_path / "mlflow", shelf.of, said.append
    )
    settle(again)
    again.close()
    assert shelf.points == before
    assert len(set(shelf.tags)) == 1


@pytest.mark.parametrize("missing", [("shard", 1), ("desk", 0)])
def test_a_curve_of_half_the_stream_is_never_shown(
    saved: Saved, shelf: Shelf, tracker: Tracker, missing: tuple[str, int]
) -> None:
    saved.write(0.5, but=missing)
    settle(tracker)
    assert shelf.points == {}
    assert shelf.made, "versions need no shard"
    assert "the curve waits" in said[-1]
    told_n = len(said)
    settle(tracker)
    assert len(said) == told_n
    saved.write(1.0)
    settle(tracker)
    assert shelf.points


def test_snapshots_of_other_settings_are_said_and_not_shown(
    saved: Saved, shelf: Shelf, tmp_path: Path
) -> None:
    saved.write(1.0)
    other = msgspec.structs.replace(saved.settings, seed=saved.settings.seed + 1)
    said.clear()
    tracker = Tracker(
        TrackedWorkers(other, said.append), tmp_path / "mlflow", shelf.of, said.append
    )
    settle(tracker)
    tracker.close()
    assert (shelf.points, shelf.made) == ({}, [])
    assert "learned under other settings" in said[0]


def test_a_place_that_is_away_is_away_and_not_mlflow(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(self: States) -> dict[str, int]:
        raise OSError("no route to the bucket")

    monkeypatch.setattr(States, "list_newest", gone)
    with pytest.raises(Away, match="the place of the snapshots does not answer: no route"):
        tracker.track_changes()


def test_who_looks_makes_no_key(world: World, tmp_path: Path) -> None:
    worker = msgspec.structs.replace(world.settings.worker, snapshots=str(tmp_path / "none"))
    settings = msgspec.structs.replace(world.settings, worker=worker)
    with pytest.raises(BadSettings):
        TrackedWorkers(settings, said.append)
    assert not (tmp_path / "none").exists()


def test_the_command_takes_a_run_or_settings(
    saved: Saved, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = ["--server", "sqlite:///x.db"]
    for words in ([], [str(tmp_path), "--settings", str(saved.path)]):
        assert cli.main(["mlflow", *words, *server]) == 2
        assert "--settings FILE of the workers on Kafka; one of them" in capsys.readouterr().err


def test_parameters_are_what_decides(world: World) -> None:
    assert not [name for name in params_of(world.settings) if name.startswith(("kafka", "worker"))]
    assert params_of(world.settings)["learn.versions_kept"] == "3"


def test_snapshots_in_an_object_store_are_listed_too(
    world: World, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_SNAPSHOT_KEY", KEY)
    saved = Saved(world, tmp_path)
    place = f"memory://{tmp_path.name}/snapshots"
    worker = msgspec.structs.replace(saved.settings.worker, snapshots=place)
    saved.settings = msgspec.structs.replace(saved.settings, worker=worker)
    saved.states = States(saved.settings, note=lambda _: None)
    saved.write(1.0)
    tracker = Tracker(
        TrackedWorkers(saved.settings, said.append), tmp_path / "mlflow", shelf.of, said.append
    )
    settle(tracker)
    tracker.close()
    assert {step for _, step, _ in shelf.points} == {len(world.answered)}
