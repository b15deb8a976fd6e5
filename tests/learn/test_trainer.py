"""The training log is the model: whoever folds it holds the same one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from river import naive_bayes

from headrace import Answer, Engine, LabelSettled, RetrainFinished, Tick
from headrace.chance import Chance
from headrace.errors import BrokenInvariant
from headrace.learn.learner import Learner
from headrace.learn.models import build
from headrace.learn.retrain import retrain
from headrace.learn.trainer import Trainer
from headrace.messages import (
    Event,
    LabelDisputed,
    LabelRequested,
    ModelAdopted,
    ModelKept,
    RequestExpired,
    RequestWithdrawn,
    RetrainRequested,
)
from headrace.observe.decode import batch_of
from headrace.observe.schema import Schema
from headrace.settings import LearnSettings, SchemaSettings
from marks import long_ones
from worlds import Played, events_of, played, settings_with

ENTRIES = (
    LabelSettled
    | LabelDisputed
    | RequestExpired
    | RequestWithdrawn
    | RetrainRequested
    | ModelAdopted
    | ModelKept
)
DECLARED = {
    "classes": ["p", "q", "third", "zz"],
    "features": {"a": "numeric", "b": "numeric", "c": "categorical"},
}


def run_of(seed: int, model: str) -> tuple[Played, Engine]:
    """A run with adoptions in it, over a declared schema; and an engine that has lived it."""
    settings = settings_with(seed=seed, model={"name": model}, schema=DECLARED)
    run = played(settings, events_of(seed, 320), seed)
    engine = Engine(settings=settings)
    engine.feed(run.inputs)
    return run, engine


def fresh_trainer(run: Played) -> Trainer:
    settings = run.settings
    chance, schema = Chance(settings.seed), Schema(settings.schema)
    model = build(settings.model.name, chance.integer("model"), len(schema.classes))
    return Trainer(Learner(model, schema), schema, settings.learn, chance)


@pytest.mark.parametrize("seeds", [(6,), *long_ones((7, 8, 9, 10))])
@pytest.mark.parametrize("model", ["logistic", "naive-bayes", "adaptive-tree"])
def test_folding_the_log_gives_the_same_model_bit_for_bit(model: str, seeds: Sequence[int]) -> None:
    adopted_n = 0
    for seed in seeds:
        run, engine = run_of(seed, model)
        log = [output for output in run.outputs if isinstance(output, ENTRIES)]
        trainer = fresh_trainer(run)
        # Categories are numbered as they come: the log's first sight is not the stream's.
        rows = engine.schema.rows(batch_of(events_of(9, 50)))
        features = [engine.schema.features(row) for row in rows]
        for entry in log:
            trainer.fold(entry)
        again = trainer.schema.rows(
            batch_of([Event(id=str(i), at=0.0, features=f) for i, f in enumerate(features)])
        )
        assert trainer.version == engine.trainer.version == len(log)
        mine, theirs = trainer.probabilities(again), engine.trainer.probabilities(rows)
        assert mine.tobytes() == theirs.tobytes()
        assert [e.id for e in trainer.memory.examples()] == [
            e.id for e in engine.trainer.memory.examples()
        ]
        adopted_n += sum(isinstance(entry, ModelAdopted) for entry in log)
    assert adopted_n > 0


# -------------------------------------------------------------------------------- entry by entry


def trainer_of(**learn: Any) -> Trainer:
    schema = Schema(SchemaSettings(classes=["a", "b"], features={"x": "numeric"}))
    learner = Learner(naive_bayes.GaussianNB(), schema)
    settings = LearnSettings(**{"retrain_labels_min": 12, "adopt_margin": 0.0, **learn})
    return Trainer(learner, schema, settings, Chance(1))


def settled(i: int, label: str = "", **changes: Any) -> LabelSettled:
    x = float(i % 2)
    fields: dict[str, Any] = {
        "request_id": f"r{i}",
        "event_id": f"e{i}",
        "at": float(i),
        "event_at": float(i),
        "label": label or "ab"[i % 2],
        "features": {"x": x + 0.01 * i},
        "prediction": {},
        "reason": "control",
        "seq": i,
        "answers_n": 1,
        "agreement": 1.0,
    }
    return LabelSettled(**(fields | changes))


def test_only_settled_labels_teach() -> None:
    trainer = trainer_of()
    trainer.fold(RequestExpired(request_id="r", event_id="e", at=1.0, answers_n=0))
    trainer.fold(RequestWithdrawn(request_id="r", event_id="e", at=1.0, reason="moot"))
    trainer.fold(LabelDisputed(request_id="r", event_id="e", at=1.0, reason="refused", answers={}))
    assert (trainer.version, trainer.champion.learned_n, len(trainer.memory)) == (3, 0, 0)
    trainer.fold(settled(0))
    assert (trainer.version, trainer.champion.learned_n, len(trainer.memory)) == (4, 1, 1)


def test_a_correction_replaces_its_example_and_a_dispute_takes_it_back() -> None:
    trainer = trainer_of()
    trainer.fold(settled(0, "a"))
    trainer.fold(settled(0, "b", revision=1))
    assert [example.code for example in trainer.memory.examples()] == [1]
    trainer.fold(
        LabelDisputed(
            request_id="r0", event_id="e0", at=2.0, reason="no_majority", answers={}, revision=2
        )
    )
    assert len(trainer.memory) == 0


def test_a_class_beyond_the_limit_is_counted_and_not_learned() -> None:
    schema = Schema(SchemaSettings(classes=["a", "b"], classes_max=2))
    trainer = Trainer(Learner(naive_bayes.GaussianNB(), schema), schema, LearnSettings(), Chance(1))
    trainer.fold(settled(0, "third"))
    assert (trainer.champion.unlearnable_n, trainer.champion.learned_n) == (1, 0)


def test_no_job_is_ordered_while_one_is_open_or_examples_are_few() -> None:
    trainer = trainer_of()
    for i in range(11):
        trainer.fold(settled(i))
    assert trainer.order_retraining("labels", 1.0) == []
    trainer.fold(settled(11))
    [entry] = trainer.order_retraining("labels", 1.0)
    assert trainer.retrainings.open_job is None
    trainer.fold(entry)
    assert trainer.retrainings.open_job is not None
    assert (trainer.retrainings.open_job.job_id, len(trainer.retrainings.open_job.examples)) == (
        0,
        12,
    )
    assert (
        trainer.order_retraining("labels", 2.0) == trainer.order_retraining("schedule", 2.0) == []
    )


def test_drift_drops_an_open_job_that_knows_nothing_of_it() -> None:
    trainer, before = ordered()
    [entry] = trainer.order_retraining("drift", 30.0)
    trainer.fold(entry)
    assert trainer.retrainings.open_job is not None
    assert trainer.retrainings.open_job.job_id == before.job_id + 1
    assert trainer.judge(RetrainFinished(job_id=before.job_id, at=31.0)) is None


def test_a_schedule_orders_when_its_time_has_come() -> None:
    trainer = trainer_of(retrain_every_s=100.0)
    for i in range(12):
        trainer.fold(settled(i))
    start = settled(0).at
    assert trainer.next_deadline() == start + 100.0
    assert trainer.order_due(start + 99.0) == []
    [entry] = trainer.order_due(start + 100.0)
    assert (entry.reason, entry.job_id) == ("schedule", 0)
    # To ask twice orders nothing: only the log moves the schedule on, for every reader alike.
    assert trainer.order_due(start + 100.0) == [entry]
    trainer.fold(entry)
    trainer.fold(kept(0))
    # Until a label comes in there is nothing to learn again, however much time passes.
    assert trainer.next_deadline() is None
    trainer.fold(settled(12))
    assert trainer.next_deadline() == settled(12).at + 100.0


def test_a_count_of_labels_orders() -> None:
    trainer = trainer_of(retrain_every_n=12)
    for i in range(12):
        assert trainer.order_due(float(i)) == []
        trainer.fold(settled(i))
    [entry] = trainer.order_due(12.0)
    assert entry.reason == "labels"
    trainer.fold(entry)
    assert trainer.order_due(13.0) == []


def kept(job_id: int) -> ModelKept:
    return ModelKept(
        job_id=job_id, at=0.0, reason="", champion_right=0.0, challenger_right=0.0, labels_n=0
    )


def ordered() -> tuple[Trainer, RetrainRequested]:
    trainer = trainer_of()
    for i in range(20):
        trainer.fold(settled(i))
    [entry] = trainer.order_retraining("drift", 20.0)
    trainer.fold(entry)
    return trainer, entry


def test_a_failed_job_and_an_unknown_one_leave_the_champion() -> None:
    trainer, entry = ordered()
    assert trainer.judge(RetrainFinished(job_id=7, at=1.0)) is None
    verdict = trainer.judge(RetrainFinished(job_id=entry.job_id, at=1.0, error="out of memory"))
    assert isinstance(verdict, ModelKept)
    assert verdict.reason == "out of memory"
    champion = trainer.champion.learner
    trainer.fold(verdict)
    assert trainer.champion.learner is champion
    assert (trainer.retrainings.open_job, trainer.retrainings.kept_n) == (None, 1)


def test_an_adoption_needs_its_order() -> None:
    trainer = trainer_of()
    adopted = ModelAdopted(
        job_id=0, at=1.0, model_version=1, champion_right=0.0, challenger_right=1.0, labels_n=9
    )
    with pytest.raises(BrokenInvariant, match="was not ordered"):
        trainer.fold(adopted)


def test_a_challenger_catches_up_with_labels_that_came_meanwhile() -> None:
    trainer, entry = ordered()
    job = trainer.retrainings.open_job
    assert job is not None
    challenger = retrain(job)
    trainer.fold(settled(20))
    adopted = ModelAdopted(
        job_id=entry.job_id,
        at=30.0,
        model_version=trainer.version + 1,
        champion_right=0.0,
        challenger_right=1.0,
        labels_n=20,
    )
    trainer.fold(adopted, challenger)
    assert trainer.champion.learner.learned_n == challenger.learner.learned_n + 1
    assert trainer.retrainings.adopted_n == 1


def adoption_of(trainer: Trainer, job_id: int) -> ModelAdopted:
    """An entry that adopts a challenger, whatever it predicts."""
    return ModelAdopted(
        job_id=job_id,
        at=30.0,
        model_version=trainer.version + 1,
        champion_right=0.0,
        challenger_right=1.0,
        labels_n=20,
    )


def says(trainer: Trainer) -> list[bytes]:
    """What the champion and the model on trial say, to the last bit."""
    row, trial = trainer.schema.row({"x": 0.4}), trainer.displaced.trial
    assert trial is not None
    parked = trainer.displaced.parked[-1]
    parts = (trainer.champion.learner, trial.part, parked.part)
    return [part.predict_row(row).tobytes() for part in parts]


def test_slices_between_labels_make_the_same_champion_as_at_once() -> None:
    states = []
    for is_sliced in (False, True):
        trainer, entry = ordered()
        job = trainer.retrainings.open_job
        assert job is not None
        challenger = retrain(job)
        for i in range(20, 26):
            trainer.fold(settled(i))
            if is_sliced and i % 2:
                assert not trainer.prepare(challenger, lambda: True)
        while is_sliced and not trainer.prepare(challenger, lambda: True):
            pass
        assert not is_sliced or trainer.retrainings.caught is challenger
        trainer.fold(adoption_of(trainer, entry.job_id), challenger)
        assert trainer.retrainings.caught is None
        assert (challenger.learner is trainer.champion.learner) is is_sliced
        states.append(says(trainer))
    assert states[0] == states[1]


def test_a_challenger_that_is_judged_catches_up_once_and_stays_as_it_was() -> None:
    trainer, entry = ordered()
    challenger = retrain(trainer.retrainings.open_job)  # type: ignore[arg-type]
    learned_n = challenger.learner.learned_n
    trainer.fold(settled(20))
    finished = RetrainFinished(job_id=entry.job_id, at=21.0, challenger=challenger)
    trainer.judge(finished)
    caught = trainer.retrainings.caught
    trainer.judge(finished)
    assert caught is not None and trainer.retrainings.caught is caught
    assert (challenger.learner.learned_n, challenger.since_n) == (learned_n, 0)
    assert caught.learner.learned_n == learned_n + 1


def test_a_challenger_that_began_by_another_schema_is_made_again() -> None:
    champions = []
    for is_begun in (False, True):
        trainer, entry = ordered()
        challenger = retrain(trainer.retrainings.open_job)  # type: ignore[arg-type]
        trainer.fold(settled(20))
        trainer.fold(settled(21))
        if is_begun:
            assert not trainer.prepare(challenger, lambda: True)
        # A new class comes between two slices.
        assert trainer.schema.class_code("a third") == 2
        assert trainer.is_outdated(challenger) is is_begun
        assert trainer.prepare(challenger, lambda: False) is not is_begun
        trainer.fold(adoption_of(trainer, entry.job_id), challenger)
        champions.append(says(trainer))
    assert champions[0] == champions[1]


def test_a_challenger_of_no_open_job_has_nothing_to_learn() -> None:
    trainer, _ = ordered()
    challenger = retrain(trainer.retrainings.open_job)  # type: ignore[arg-type]
    trainer.retrainings.drop()
    assert trainer.prepare(challenger, lambda: True)
    assert challenger.since_n == 0


def test_a_challenger_from_before_a_restore_reads_rows_by_the_new_schema() -> None:
    settings = settings_with(
        learn={"retrain_labels_min": 10, "retrain_every_n": 20, "adopt_margin": 0.0},
        model={"name": "naive-bayes"},
        query={"budget": {"share": 1.0}, "rounds": {"every_n": 5}},
        drift={"watch": []},
    )
    engine = Engine(settings=settings)
    job_id, i = None, 0
    while job_id is None:
        for output in engine.feed([Event(id=str(i), at=float(i), features={"x": float(i % 2)})]):
            if isinstance(output, LabelRequested):
                answer = Answer(
                    request_id=output.request_id, label="ab"[output.seq % 2], at=output.at
                )
                for told in engine.feed([answer]):
                    job_id = told.job_id if isinstance(told, RetrainRequested) else job_id
        i += 1
    challenger = retrain(engine.job(job_id))
    engine.restore(engine.snapshot())
    # The schema grows after the restore: the challenger's own copy of it knows nothing of this.
    engine.feed([Event(id="new", at=float(i), features={"x": 1.0, "new": 5.0})])
    adopted = ModelAdopted(
        job_id=job_id, at=0.0, model_version=0, champion_right=0, challenger_right=1, labels_n=10
    )
    engine.trainer.fold(adopted, challenger)
    assert engine.trainer.champion.learner.schema is engine.schema
    engine.feed([Tick(at=float(i + 1))])
