"""Versions of the model are kept, and one that somebody wants is what the model is again."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from river import naive_bayes

from headrace import (
    Engine,
    InputRejected,
    LabelRequested,
    LabelSettled,
    ModelKept,
    ModelRolledBack,
    RollBackOrdered,
)
from headrace.errors import BrokenInvariant
from headrace.learn.committee.committee import Committee
from headrace.learn.retrain import retrain
from headrace.learn.trainer import Trainer
from headrace.learn.training_log import TrainingLog
from headrace.messages import Answer, Event, Reason
from headrace.settings import parse
from learn.test_parked import Life, trainer_of

KEPT = ModelKept(
    job_id=0, at=60.0, reason="", champion_right=1.0, challenger_right=0.0, labels_n=20
)
ROWS = np.array([[0.0], [2.0], [4.0]])


def life_of(model: Any = None, **learn: Any) -> Life:
    return Life(trainer_of(model, **{"versions_kept": 3, "version_every_n": 20, **learn}))


def numbers(trainer: Trainer) -> list[int]:
    return [version.number for version in trainer.versions.kept]


def ordered_back(trainer: Trainer, to: int, key: str = "") -> ModelRolledBack:
    order = RollBackOrdered(at=0.0, to=to, key=key, reason="it was better")
    [entry] = trainer.versions.order_roll_back(order, 9.0, trainer.version + 1)
    assert isinstance(entry, ModelRolledBack)
    return entry


def test_the_latest_versions_are_kept_by_the_entries_behind_them() -> None:
    life = life_of()
    life.live(100, 0)
    assert numbers(life.trainer) == [60, 80, 100]
    assert life.trainer.versions.in_use == 100
    assert [version.labels_n for version in life.trainer.versions.kept] == [60, 80, 100]


def test_none_is_kept_where_none_is_wanted() -> None:
    life = life_of(versions_kept=0)
    life.live(100, 0)
    life.adopt()
    assert numbers(life.trainer) == []


@pytest.mark.parametrize("model", [naive_bayes.GaussianNB(), Committee()])
def test_the_model_is_what_it_was_and_learns_on_from_there(model: Any) -> None:
    life = life_of(model, version_every_n=30)
    life.live(30, 0)
    then = life.trainer.probabilities(ROWS, np.full(3, 30.0))
    life.live(50, 1)  # labels of another world, or wrong ones
    spoilt = life.trainer.probabilities(ROWS, np.full(3, 30.0))
    assert not np.allclose(then, spoilt, atol=0.05)
    life.fold(ordered_back(life.trainer, 30))
    assert life.trainer.probabilities(ROWS, np.full(3, 30.0)).tolist() == then.tolist()
    assert life.trainer.versions.in_use == 30
    # What was displaced can be returned to, as it was.
    assert numbers(life.trainer) == [30, 60, 80]
    kept = life.trainer.versions.find(30)
    assert kept is not None
    life.live(10, 0)
    assert life.trainer.probabilities(ROWS, np.full(3, 30.0)).tolist() != then.tolist()
    life.fold(ordered_back(life.trainer, 80))
    assert life.trainer.probabilities(ROWS, np.full(3, 30.0)).tolist() == spoilt.tolist()


def test_the_same_log_gives_the_same_model_with_a_roll_back_in_it() -> None:
    life = life_of()
    life.live(60, 0)
    life.adopt()
    life.fold(ordered_back(life.trainer, 40))
    life.live(30, 1)
    again = life_of()
    for entry in life.log:
        again.fold(entry)
    assert numbers(again.trainer) == numbers(life.trainer)
    assert again.trainer.probabilities(ROWS).tolist() == life.trainer.probabilities(ROWS).tolist()


def test_an_adopted_model_is_a_version_and_the_version_in_use_is_the_last_to_go() -> None:
    life = life_of(version_every_n=1_000_000)
    life.live(60, 0)
    life.adopt()
    adopted = life.trainer.version
    assert numbers(life.trainer) == [adopted]
    life.live(20, 0)
    life.fold(ordered_back(life.trainer, adopted))
    for _ in range(4):
        life.live(20, 0)
        life.fold(ordered_back(life.trainer, adopted))
    assert numbers(life.trainer)[0] == adopted
    assert len(numbers(life.trainer)) == 3


def test_a_version_that_is_not_kept_is_refused_with_those_that_are() -> None:
    trainer = life_of().trainer
    order = RollBackOrdered(at=0.0, to=7, key="k")
    [rejected] = trainer.versions.order_roll_back(order, 9.0, 1)
    assert isinstance(rejected, InputRejected)
    assert (rejected.reason, rejected.input_id) == (Reason.NO_VERSION, "k")
    assert "no version is kept yet" in rejected.detail
    life = life_of()
    life.live(45, 0)
    [rejected] = life.trainer.versions.order_roll_back(order, 9.0, 1)
    assert isinstance(rejected, InputRejected)
    assert "kept are 20, 40" in rejected.detail
    [rejected] = life_of(versions_kept=0).trainer.versions.order_roll_back(order, 9.0, 1)
    assert isinstance(rejected, InputRejected)
    assert "learn.versions_kept" in rejected.detail


@pytest.mark.parametrize("to", [-1, True, 2.5, "7"])
def test_what_is_no_version_is_refused(to: Any) -> None:
    order = msgspec.structs.replace(RollBackOrdered(at=0.0, to=0), to=to)
    [rejected] = life_of().trainer.versions.order_roll_back(order, 9.0, 1)
    assert isinstance(rejected, InputRejected)
    assert rejected.reason == Reason.BAD_ORDER
    assert "to is" in rejected.detail


def test_in_a_log_an_order_counts_where_its_version_is_kept() -> None:
    life = life_of()
    life.live(40, 0)
    entry = ordered_back(life.trainer, 20)
    assert TrainingLog(life.trainer).counts(entry)
    gone = msgspec.structs.replace(entry, to=3)
    assert not TrainingLog(life.trainer).counts(gone)
    with pytest.raises(BrokenInvariant, match="version 3"):
        life.trainer.fold(gone)


# --------------------------------------------------------------------------------- the engine


def lived(events_n: int) -> Engine:
    settings = {
        "model": {"name": "naive-bayes"},
        "schema": {"classes": ["a", "b"]},
        "query": {"budget": {"share": 0.5}},
        "learn": {"versions_kept": 3, "version_every_n": 10},
    }
    engine = Engine(settings=parse(settings), seed=3)
    for i in range(events_n):
        event = Event(id=str(i), at=float(i), features={"x": 4.0 * (i % 2) + 0.01 * (i % 7)})
        for request in engine.feed([event]):
            if isinstance(request, LabelRequested):
                label = "ab"[int(str(request.event_id)) % 2]
                engine.feed([Answer(request_id=request.request_id, label=label, at=float(i))])
    return engine


def test_an_order_is_carried_out_once_and_a_snapshot_knows_it() -> None:
    engine = lived(120)
    first = engine.trainer.versions.kept[0].number
    order = RollBackOrdered(at=0.0, to=first, key="k", reason="a complaint")
    [told] = engine.feed([order])
    assert isinstance(told, ModelRolledBack)
    assert (told.to, told.order_key, told.order_reason) == (first, "k", "a complaint")
    assert engine.report.retraining.rolled_back_n == 1
    restored = Engine(settings=engine.settings)
    restored.restore(engine.snapshot())
    event = Event(id="new", at=200.0, features={"x": 1.0})
    for one in (engine, restored):
        assert one.feed([order]) == []
        assert one.trainer.versions.in_use == first
    assert restored.feed([event]) == engine.feed([event])
    assert restored.predict({"x": 1.0}) == engine.predict({"x": 1.0})


def test_a_state_of_before_versions_goes_on_without_any() -> None:
    engine = lived(40)
    fields = dict(vars(engine.trainer))
    del fields["versions"]
    assert Trainer.upgrade_state(fields, 1)["versions"].kept == []


def test_a_label_settled_after_a_roll_back_is_learned_by_the_model_that_is_back() -> None:
    engine = lived(120)
    first = engine.trainer.versions.kept[0]
    engine.feed([RollBackOrdered(at=0.0, to=first.number)])
    learned_n = engine.trainer.champion.learned_n
    event = Event(id="new", at=200.0, features={"x": 1.0})
    requests = [
        o
        for i in range(50)
        for o in engine.feed([msgspec.structs.replace(event, id=f"n{i}", at=200.0 + i)])
        if isinstance(o, LabelRequested)
    ]
    answer = Answer(request_id=requests[0].request_id, label="a", at=260.0)
    assert any(isinstance(o, LabelSettled) for o in engine.feed([answer]))
    assert engine.trainer.champion.learned_n == learned_n + 1


@pytest.mark.parametrize("model", [naive_bayes.GaussianNB(), Committee()])
def test_a_challenger_that_was_not_adopted_is_kept_until_the_next_and_can_be_brought_in(
    model: Any,
) -> None:
    life = life_of(model, retrain_members=True, memory_n=30)
    life.live(30, 1)
    life.live(30, 0)  # all that the challenger knows
    trainer = life.trainer
    for entry in trainer.order_retraining("labels", float(life.i)):
        life.fold(entry)
    job = trainer.retrainings.open_job
    assert job is not None
    challenger = retrain(job)
    life.fold(KEPT)
    trainer.versions.end_retraining(KEPT, challenger, trainer.as_version)
    found = trainer.versions.challenger
    assert found is not None
    assert found.number == trainer.version
    assert found.number not in numbers(trainer)
    theirs = found.learner.probabilities(ROWS, np.full(3, 60.0))
    assert (
        theirs.tolist() != trainer.champion.learner.probabilities(ROWS, np.full(3, 60.0)).tolist()
    )
    life.fold(ordered_back(trainer, found.number))
    assert (
        trainer.champion.learner.probabilities(ROWS, np.full(3, 60.0)).tolist() == theirs.tolist()
    )
    trainer.versions.end_retraining(KEPT, None, trainer.as_version)
    assert trainer.versions.challenger is None


def test_no_challenger_is_kept_where_no_version_is() -> None:
    life = life_of(versions_kept=0)
    life.live(60, 0)
    for entry in life.trainer.order_retraining("labels", float(life.i)):
        life.fold(entry)
    assert life.trainer.retrainings.open_job is not None
    life.trainer.versions.end_retraining(
        KEPT, retrain(life.trainer.retrainings.open_job), life.trainer.as_version
    )
    assert life.trainer.versions.challenger is None
